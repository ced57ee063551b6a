"""Scorers of many nodes (labels, or clusters of labels): of all of them, or of a few candidates for each document.

Both kinds take the features of B documents and give one logit for each node; what they cost grows with the nodes that
are asked for. They are the levels of a label tree (:mod:`taxotext.nn.tree_head`), and alone a flat head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from taxotext.nn.features import TextFeatures

CELLS = 2**24
"""Numbers of the largest array (documents x nodes x width) that one chunk of nodes makes."""


class NodeScorer(nn.Module, ABC):
    """Logits of n nodes."""

    nodes: int

    @abstractmethod
    def all(self, features: TextFeatures) -> Tensor:
        """Return the logits of all nodes, (B, n), float32."""

    @abstractmethod
    def some(self, features: TextFeatures, nodes: Tensor) -> Tensor:
        """Return the logits of candidates, (B, C), float32; ``nodes`` is (B, C) int64, -1 for none (any number)."""


class SharedLayers(nn.Module):
    """The layers that all nodes share, (..., d) -> (...,): ReLU after each hidden one, then one output.

    Args:
        width: d.
        hidden: widths of the hidden layers.
        prior: share of the nodes that apply, whose log-odds the output starts from; None: 0.
    """

    def __init__(self, width: int, hidden: Sequence[int], prior: float | None = None) -> None:
        super().__init__()
        widths = [width, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.output = nn.Linear(widths[-1], 1)
        for layer in (*self.hidden, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        if prior is not None:
            share = min(max(prior, 1e-6), 1 - 1e-6)
            nn.init.constant_(self.output.bias, float(torch.logit(torch.tensor(share, dtype=torch.float64))))

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., d) -> (...,)."""
        for layer in self.hidden:
            vectors = functional.relu(layer(vectors))
        logits: Tensor = self.output(vectors).squeeze(-1)
        return logits


class AttentionScorer(NodeScorer):
    """Each node attends to the tokens of the whole document (You et al. 2019, equation 2; "multi-label attention").

        α_tj = softmax_t(h_t · w_j),  m_j = Σ_t α_tj h_t,  z_j = FC(m_j) + v_j · m_j + b_j

    With FC alone, two nodes differ by what they attend to, and of a text of one word all see the same: there v_j and
    b_j, which the paper does not have, tell them apart.

    With vectors n_j of the names of the nodes, w_j + A n_j and v_j + B n_j take the places of w_j and v_j. A and B are
    shared by all nodes: what frequent nodes teach them moves those that have few documents or none.

    Args:
        width: d of the tokens.
        nodes: n.
        layers: FC, shared by all nodes, possibly by several scorers.
        own_output: whether each node has v_j and b_j of its own; else they are 0.
        dropout: on the tokens, in training.
        names: (n, D) n_j, which stay as they are; None: without.
    """

    names: Tensor | None

    def __init__(
        self,
        width: int,
        nodes: int,
        layers: SharedLayers,
        *,
        own_output: bool = True,
        dropout: float = 0.0,
        names: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.nodes, self.layers, self.dropout = nodes, layers, nn.Dropout(dropout)
        self.queries = nn.Parameter(nn.init.xavier_uniform_(torch.empty(nodes, width)))
        self.output = nn.Parameter(torch.empty(nodes, width).normal_(std=0.02)) if own_output else None
        self.bias = nn.Parameter(torch.zeros(nodes)) if own_output else None
        self.register_buffer("names", names)
        if names is not None:
            self.of_query = nn.Linear(names.shape[1], width, bias=False)
            self.of_output = nn.Linear(names.shape[1], width, bias=False) if own_output else None
            for layer in (self.of_query, self.of_output):
                if layer is not None:
                    nn.init.normal_(layer.weight, std=0.02)

    def all(self, features: TextFeatures) -> Tensor:
        """Return the logits of all nodes, (B, n); in chunks of nodes, which training computes again for gradients."""
        tokens, mask = self._tokens(features)
        rows = max(1, CELLS // max(tokens.shape[0] * max(tokens.shape[1], tokens.shape[2]), 1))
        tables = self._tables(None)
        if rows >= self.nodes:
            return self._logits(tokens, mask, *tables)
        found = []
        for start in range(0, self.nodes, rows):
            part = [None if table is None else table[start : start + rows] for table in tables]
            if torch.is_grad_enabled():
                found.append(checkpoint(self._logits, tokens, mask, *part, use_reentrant=False))
            else:
                found.append(self._logits(tokens, mask, *part))
        return torch.cat(found, 1)

    def some(self, features: TextFeatures, nodes: Tensor) -> Tensor:
        """Return the logits of candidates, (B, C)."""
        tokens, mask = self._tokens(features)
        wanted = nodes.clamp(min=0)
        picked = None
        if self.names is not None:  # A n_j of each node once, however many documents have it
            picked, wanted = torch.unique(wanted, return_inverse=True)
        queries, output, bias = self._tables(picked)
        return self._logits(
            tokens,
            mask,
            functional.embedding(wanted, queries),
            None if output is None else functional.embedding(wanted, output),
            None if bias is None else bias[wanted],
        )

    def attention(self, features: TextFeatures, nodes: Tensor) -> Tensor:
        """Return α of some nodes (B, C), (B, C, S)."""
        tokens, mask = self._tokens(features)
        return self._weights(tokens, mask, functional.embedding(nodes, self._tables(None)[0]))

    def _tables(self, picked: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Queries and outputs (K, d), and biases (K,), of some nodes (K,); None: of all."""

        def of(table: Tensor | None) -> Tensor | None:
            return table if table is None or picked is None else table[picked]

        queries = self.queries if picked is None else self.queries[picked]
        output, bias, names = of(self.output), of(self.bias), of(self.names)
        if names is None:
            return queries, output, bias
        if output is not None and self.of_output is not None:
            output = output + self.of_output(names)
        return queries + self.of_query(names), output, bias

    def _tokens(self, features: TextFeatures) -> tuple[Tensor, Tensor]:
        tokens, mask = features.by_document()  # (B, S, d), (B, S)
        return self.dropout(tokens), mask

    def _logits(self, tokens: Tensor, mask: Tensor, queries: Any, output: Tensor | None, bias: Tensor | None) -> Tensor:
        """(B, S, d), (B, S), twice (C, d) or (B, C, d), (C,) or (B, C) -> (B, C)."""
        attention = self._weights(tokens, mask, queries)
        contexts = attention.to(tokens.dtype) @ tokens  # (B, C, d)
        logits: Tensor = self.layers(contexts).float()
        if output is not None:
            logits = logits + (contexts * output).sum(-1).float()
        return logits if bias is None else logits + bias

    @staticmethod
    def _weights(tokens: Tensor, mask: Tensor, queries: Tensor) -> Tensor:
        """(B, S, d), (B, S), (C, d) or (B, C, d) -> (B, C, S), float32."""
        keys = (queries @ tokens.transpose(1, 2)).float()  # (B, C, S)
        return torch.softmax(keys.masked_fill(~mask.unsqueeze(1), torch.finfo(keys.dtype).min), -1)


class DotScorer(NodeScorer):
    """One vector for each node, compared with the pooled vector of the document (LightXML, Jiang et al. 2021).

        v = W dropout(h),  z_j = e_j · v + b_j

    Args:
        width: D of the pooled vector; the vectors of several windows are averaged.
        nodes: n.
        bottleneck: width of v; None: v is h itself.
        prior: share of the nodes that apply, whose log-odds all b_j start from; None: 0.
        dropout: on h, in training.
    """

    def __init__(
        self, width: int, nodes: int, bottleneck: int | None, *, prior: float | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.nodes, self.dropout = nodes, nn.Dropout(dropout)
        self.bottleneck = nn.Identity() if bottleneck is None else nn.Linear(width, bottleneck)
        self.vectors = nn.Parameter(torch.empty(nodes, bottleneck or width).normal_(std=0.02))
        share = 0.5 if prior is None else min(max(prior, 1e-6), 1 - 1e-6)
        self.bias = nn.Parameter(torch.logit(torch.full((nodes,), share, dtype=torch.float64)).float())

    def all(self, features: TextFeatures) -> Tensor:
        """Return the logits of all nodes, (B, n)."""
        return (self._pooled(features) @ self.vectors.T).float() + self.bias

    def some(self, features: TextFeatures, nodes: Tensor) -> Tensor:
        """Return the logits of candidates, (B, C)."""
        wanted = nodes.clamp(min=0)
        vectors = functional.embedding(wanted, self.vectors)  # (B, C, b)
        found = (vectors @ self._pooled(features).to(vectors.dtype).unsqueeze(-1)).squeeze(-1)
        return found.float() + self.bias[wanted]

    def _pooled(self, features: TextFeatures) -> Tensor:
        pooled: Tensor = self.bottleneck(self.dropout(features.joined(features.pooled, "mean")))
        return pooled
