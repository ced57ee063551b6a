"""Heads with an output for each level and one for all labels: HMCN-F, and local predictions that a layer combines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext.nn.batch import Targets
from taxotext.nn.dropout import Dropout
from taxotext.nn.encoders.words import RowNorm
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import HeadScores, LogitHead
from taxotext.nn.losses import Scale, mean_over_documents, over_labels


class LocalGlobalHead(LogitHead):
    """Two outputs for each label, a local one (of its level) and a global one, trained and predicted together.

        P = β P_L + (1 − β) P_G                                   what is predicted
        L = BCE(P_G, y) + w BCE(P_L, y) + λ Σ_(p,c) max(0, P_c − P_p)²

    Subclasses give both logits.

    Args:
        levels: labels of each level, int64 (n_h,); each of the N labels is on one level.
        taxonomy_edges: (2, E) int64, parents above children.
        beta: β.
        violation: λ.
        scale: of both cross-entropies and of the violations: their sum, or mean over labels and over edges.
        local_weight: w.
    """

    taxonomy_edges: Tensor
    order: Tensor

    def __init__(
        self,
        levels: Sequence[Tensor],
        taxonomy_edges: Tensor,
        beta: float,
        violation: float,
        scale: Scale,
        local_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.beta, self.violation, self.local_weight = beta, violation, local_weight
        self.scale: Scale = scale
        order = torch.cat(list(levels)) if levels else torch.empty(0, dtype=torch.long)
        self.register_buffer("taxonomy_edges", taxonomy_edges, persistent=False)
        self.register_buffer("order", torch.argsort(order), persistent=False)

    @abstractmethod
    def both(self, features: TextFeatures) -> tuple[Tensor, Tensor]:
        """Return the local and the global logits of all documents, (B, N) each."""

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the global logits of all documents, (B, N)."""
        return self.both(features)[1]

    def mixed(self, local: Tensor, whole: Tensor) -> Tensor:
        """P, (B, N), of the logits."""
        return self.beta * torch.sigmoid(local) + (1 - self.beta) * torch.sigmoid(whole)

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return both cross-entropies, the violations of the taxonomy, and the regulariser."""
        local, whole = self.both(features)
        gold = targets.dense()
        cells = functional.binary_cross_entropy_with_logits(whole, gold, reduction="none")
        if self.local_weight:
            lower = functional.binary_cross_entropy_with_logits(local, gold, reduction="none")
            cells = cells + self.local_weight * lower
        documents = over_labels(cells, self.scale)  # (B,)
        if self.violation and self.taxonomy_edges.shape[1]:
            found = self.mixed(local, whole)
            parents, children = self.taxonomy_edges
            above = torch.relu(found[:, children] - found[:, parents]).pow(2)  # (B, E)
            documents = documents + self.violation * over_labels(above, self.scale)
        return mean_over_documents(documents, targets.weights) + self.penalty()

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return P, (B, N)."""
        return HeadScores(self.mixed(*self.both(features)))


class HmcnHead(LocalGlobalHead):
    """Global and local outputs (Wehrmann et al. 2018, equations 1 to 9, "HMCN-F").

        A^1 = φ(W^1 x),  A^h = φ(W^h [A^(h-1); x])                global flow, levels h = 1..H
        P_G = σ(W_G [A^H; x])                                     all labels
        P_L = [σ(W_L^h φ(W_T^h A^h)) for each h]                  labels of level h, put together
        P   = β P_L + (1 − β) P_G                                 what is predicted
        L   = BCE(P_L, y) + BCE(P_G, y) + λ Σ_(p,c) max(0, P_c − P_p)²

    φ is ReLU, batch normalisation and dropout. Recursive regularisation ties the rows of W_G.

    Args:
        inputs: D.
        levels: labels of each level, int64 (n_h,); each of the N labels is on one level.
        taxonomy_edges: (2, E) int64, parents above children.
        width: of each layer.
        beta: β.
        violation: λ.
        dropout: of φ.
        scale: of both cross-entropies and of the violations: their sum, or mean over labels and over edges.
        bias: (N,) first biases of both outputs, or None for 0.
    """

    def __init__(
        self,
        inputs: int,
        levels: Sequence[Tensor],
        taxonomy_edges: Tensor,
        width: int = 384,
        beta: float = 0.5,
        violation: float = 0.1,
        dropout: float = 0.6,
        scale: Scale = "sum",
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(levels, taxonomy_edges, beta, violation, scale)
        self.flow = nn.ModuleList(
            _layer(inputs + (width if level else 0), width, dropout) for level in range(len(levels))
        )
        self.local = nn.ModuleList(_layer(width, width, dropout) for _ in levels)
        outputs = [nn.Linear(width, len(labels)) for labels in levels]
        self.local_output = nn.ModuleList(outputs)
        count = len(self.order)
        self.output = nn.Linear(width + inputs, count)
        with torch.no_grad():
            start = torch.zeros(count) if bias is None else bias
            self.output.bias.copy_(start)
            for labels, output in zip(levels, outputs, strict=True):
                output.bias.copy_(start[labels])

    def tied(self) -> Sequence[Tensor]:
        """The rows of W_G, (N, H + D)."""
        return (self.output.weight,)

    def both(self, features: TextFeatures) -> tuple[Tensor, Tensor]:
        """Return the local and the global logits of all documents, (B, N) each."""
        text = features.pooled  # (W, D)
        state, found = text.new_zeros(text.shape[0], 0), []
        for flow, local, output in zip(self.flow, self.local, self.local_output, strict=True):
            state = flow(torch.cat([state, text], 1))  # (W, H)
            found.append(output(local(state)))  # (W, n_h)
        locals_ = torch.cat(found, 1)[:, self.order]  # (W, N)
        globals_ = self.output(torch.cat([state, text], 1))
        return features.joined(locals_, self.join).float(), features.joined(globals_, self.join).float()


class LevelsHead(LocalGlobalHead):
    """Disjoint classifiers of the levels, and a linear layer over what all of them predict (after Liu et al. 2024).

        z_L = [W_L^h φ(W^h x) for each level h],  P_L = σ(z_L)    labels of level h, put together
        P_G = σ(U z_L + c)                                        all labels

    φ is ReLU, batch normalisation and dropout. U starts at I and c at 0, where P_G is P_L. Recursive regularisation
    ties the rows of W_L.

    Args:
        inputs: D.
        levels: labels of each level, int64 (n_h,); each of the N labels is on one level.
        taxonomy_edges: (2, E) int64, parents above children.
        width: of the layer of each level.
        beta: β, share of P_L in what is predicted.
        violation: λ.
        local_weight: w, weight of the cross-entropy of P_L.
        dropout: of φ.
        scale: see :class:`LocalGlobalHead`.
        bias: (N,) first biases of the local outputs, or None for 0.
    """

    def __init__(
        self,
        inputs: int,
        levels: Sequence[Tensor],
        taxonomy_edges: Tensor,
        width: int = 256,
        beta: float = 0.0,
        violation: float = 0.0,
        local_weight: float = 1.0,
        dropout: float = 0.4,
        scale: Scale = "sum",
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(levels, taxonomy_edges, beta, violation, scale, local_weight)
        self.local = nn.ModuleList(_layer(inputs, width, dropout) for _ in levels)
        outputs = [nn.Linear(width, len(labels)) for labels in levels]
        self.local_output = nn.ModuleList(outputs)
        count = len(self.order)
        self.combine = nn.Linear(count, count)
        with torch.no_grad():
            self.combine.weight.copy_(torch.eye(count))
            self.combine.bias.zero_()
            start = torch.zeros(count) if bias is None else bias
            for labels, output in zip(levels, outputs, strict=True):
                output.bias.copy_(start[labels])

    def tied(self) -> Sequence[Tensor]:
        """The rows of W_L in the order of the labels, (N, H)."""
        rows = [output.weight for output in self.local_output if isinstance(output, nn.Linear)]
        return (torch.cat(rows)[self.order],)

    def both(self, features: TextFeatures) -> tuple[Tensor, Tensor]:
        """Return the local and the global logits of all documents, (B, N) each."""
        found = [
            output(layer(features.pooled)) for layer, output in zip(self.local, self.local_output, strict=True)
        ]  # (W, n_h) each
        local = features.joined(torch.cat(found, 1)[:, self.order], self.join).float()  # (B, N)
        return local, self.combine(local).float()


def _layer(inputs: int, width: int, dropout: float) -> nn.Module:
    """φ(W x)."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), RowNorm(width), Dropout(dropout))
