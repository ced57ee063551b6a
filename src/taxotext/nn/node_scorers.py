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
    """Logits of n nodes.

    With ``sparse`` the gradients of what each node has of its own are sparse after :meth:`some`: rows of nodes that
    are no candidates have none. A dense gradient has a row for every node, and so have the moments of an optimiser
    that is given it: a step then costs as much as all nodes, however few are candidates.
    """

    nodes: int
    sparse: bool = False

    def tables(self) -> dict[str, nn.Parameter]:
        """What has a row for each node, by name."""
        return {name: own for name, own in self.named_parameters(recurse=False) if own.ndim > 1}

    def narrow(self, kind: torch.dtype) -> None:
        """Keep the tables as numbers of another kind from now on; what is looked up is float32 all the same."""
        for name, own in self.tables().items():
            if own.dtype == kind:
                continue
            setattr(self, name, nn.Parameter(own.detach().to(kind), requires_grad=own.requires_grad))

    @abstractmethod
    def all(self, features: TextFeatures) -> Tensor:
        """Return the logits of all nodes, (B, n), float32."""

    @abstractmethod
    def some(self, features: TextFeatures, nodes: Tensor) -> Tensor:
        """Return the logits of candidates, (B, C), float32; ``nodes`` is (B, C) int64, -1 for none (any number)."""


def rows_of(table: Tensor, rows: Tensor, *, sparse: bool) -> Tensor:
    """Rows (K, ...) of a table (n, ...).

    Args:
        table: of n nodes.
        rows: (K,), ascending, each once.
        sparse: the gradient of the table is a sparse tensor of these rows.
    """
    found: Tensor = _Rows.apply(table, rows) if sparse else table[rows]  # type: ignore[no-untyped-call]  # apply of torch
    return found


class _Rows(torch.autograd.Function):
    """Rows of a table, whose gradient is sparse; ``functional.embedding`` has that for matrices only."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = table.shape
        return table[rows]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        sizes = {"size": ctx.shape, "is_coalesced": True, "check_invariants": False}
        return torch.sparse_coo_tensor(rows.unsqueeze(0), gradient, **sizes), None


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
        sparse: see :class:`NodeScorer`.
        stored: w_j and v_j are to come from a file with such numbers, and have no values yet; None: first values.
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
        sparse: bool = False,
        stored: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.nodes, self.layers, self.dropout, self.sparse = nodes, layers, nn.Dropout(dropout), sparse
        self.queries = nn.Parameter(torch.empty(nodes, width, dtype=stored))
        self.output = nn.Parameter(torch.empty(nodes, width, dtype=stored)) if own_output else None
        if stored is None:
            nn.init.xavier_uniform_(self.queries)
            if self.output is not None:
                nn.init.normal_(self.output, std=0.02)
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
            return self._logits(tokens, mask, *(None if table is None else table.float() for table in tables))
        found = []
        for start in range(0, self.nodes, rows):
            part = [None if table is None else table[start : start + rows].float() for table in tables]
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
        # A n_j, and the gradient, of each node once, however many documents have it.
        if self.names is not None or (self.sparse and torch.is_grad_enabled()):
            picked, wanted = torch.unique(wanted, return_inverse=True)
        queries, output, bias = self._tables(picked)
        return self._logits(
            tokens,
            mask,
            functional.embedding(wanted, queries).float(),
            None if output is None else functional.embedding(wanted, output).float(),
            None if bias is None else bias[wanted],
        )

    def attention(self, features: TextFeatures, nodes: Tensor) -> Tensor:
        """Return α of some nodes (B, C), (B, C, S)."""
        tokens, mask = self._tokens(features)
        return self._weights(tokens, mask, functional.embedding(nodes, self._tables(None)[0]).float())

    def _tables(self, picked: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Queries and outputs (K, d), and biases (K,), of some nodes (K,); None: of all."""

        def of(table: Tensor) -> Tensor:
            return table if picked is None else rows_of(table, picked, sparse=self.sparse)

        queries = of(self.queries)
        output = None if self.output is None else of(self.output)
        bias = None if self.bias is None else of(self.bias)
        if self.names is None:
            return queries, output, bias
        names = self.names if picked is None else self.names[picked]
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
        sparse: see :class:`NodeScorer`.
        stored: e_j are to come from a file with such numbers, and have no values yet; None: first values.
    """

    def __init__(
        self,
        width: int,
        nodes: int,
        bottleneck: int | None,
        *,
        prior: float | None = None,
        dropout: float = 0.0,
        sparse: bool = False,
        stored: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.nodes, self.dropout, self.sparse = nodes, nn.Dropout(dropout), sparse
        self.bottleneck = nn.Identity() if bottleneck is None else nn.Linear(width, bottleneck)
        self.vectors = nn.Parameter(torch.empty(nodes, bottleneck or width, dtype=stored))
        if stored is None:
            nn.init.normal_(self.vectors, std=0.02)
        share = 0.5 if prior is None else min(max(prior, 1e-6), 1 - 1e-6)
        self.bias = nn.Parameter(torch.logit(torch.full((nodes,), share, dtype=torch.float64)).float())

    def all(self, features: TextFeatures) -> Tensor:
        """Return the logits of all nodes, (B, n)."""
        return (self._pooled(features) @ self.vectors.T.float()).float() + self.bias

    def some(self, features: TextFeatures, nodes: Tensor) -> Tensor:
        """Return the logits of candidates, (B, C)."""
        wanted = nodes.clamp(min=0)
        table: Tensor = self.vectors
        bias: Tensor = self.bias
        if self.sparse and torch.is_grad_enabled():
            picked, wanted = torch.unique(wanted, return_inverse=True)
            table, bias = rows_of(table, picked, sparse=True), rows_of(bias, picked, sparse=True)
        vectors = functional.embedding(wanted, table).float()  # (B, C, b)
        found = (vectors @ self._pooled(features).to(vectors.dtype).unsqueeze(-1)).squeeze(-1)
        return found.float() + bias[wanted]

    def _pooled(self, features: TextFeatures) -> Tensor:
        pooled: Tensor = self.bottleneck(self.dropout(features.joined(features.pooled, "mean")))
        return pooled
