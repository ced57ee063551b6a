"""The head of HMCN-F: one flow through all labels, and one output for each level."""

from __future__ import annotations

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


class HmcnHead(LogitHead):
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

    taxonomy_edges: Tensor
    order: Tensor

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
        super().__init__()
        self.beta, self.violation = beta, violation
        self.scale: Scale = scale
        self.flow = nn.ModuleList(
            _layer(inputs + (width if level else 0), width, dropout) for level in range(len(levels))
        )
        self.local = nn.ModuleList(_layer(width, width, dropout) for _ in levels)
        outputs = [nn.Linear(width, len(labels)) for labels in levels]
        self.local_output = nn.ModuleList(outputs)
        order = torch.cat(list(levels)) if levels else torch.empty(0, dtype=torch.long)
        self.output = nn.Linear(width + inputs, len(order))
        self.register_buffer("taxonomy_edges", taxonomy_edges, persistent=False)
        self.register_buffer("order", torch.argsort(order), persistent=False)
        with torch.no_grad():
            start = torch.zeros(len(order)) if bias is None else bias
            self.output.bias.copy_(start)
            for labels, output in zip(levels, outputs, strict=True):
                output.bias.copy_(start[labels])

    def tied(self) -> Sequence[Tensor]:
        """The rows of W_G, (N, H + D)."""
        return (self.output.weight,)

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the global logits of all documents, (B, N)."""
        return self.both(features)[1]

    def both(self, features: TextFeatures) -> tuple[Tensor, Tensor]:
        """Return the local and the global logits of all documents, (B, N) each."""
        text = features.pooled  # (W, D)
        state, found = text.new_zeros(len(text), 0), []
        for flow, local, output in zip(self.flow, self.local, self.local_output, strict=True):
            state = flow(torch.cat([state, text], 1))  # (W, H)
            found.append(output(local(state)))  # (W, n_h)
        locals_ = torch.cat(found, 1)[:, self.order]  # (W, N)
        globals_ = self.output(torch.cat([state, text], 1))
        return features.joined(locals_, self.join).float(), features.joined(globals_, self.join).float()

    def mixed(self, local: Tensor, whole: Tensor) -> Tensor:
        """P, (B, N), of the logits."""
        return self.beta * torch.sigmoid(local) + (1 - self.beta) * torch.sigmoid(whole)

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return both cross-entropies, the violations of the taxonomy, and the regulariser."""
        local, whole = self.both(features)
        gold = targets.dense()
        cells = sum(
            functional.binary_cross_entropy_with_logits(logits, gold, reduction="none") for logits in (local, whole)
        )
        documents = over_labels(torch.as_tensor(cells), self.scale)  # (B,)
        if self.violation and self.taxonomy_edges.shape[1]:
            found = self.mixed(local, whole)
            parents, children = self.taxonomy_edges
            above = torch.relu(found[:, children] - found[:, parents]).pow(2)  # (B, E)
            documents = documents + self.violation * over_labels(above, self.scale)
        loss = mean_over_documents(documents, targets.weights)
        penalty = self.penalty()
        return loss if penalty is None else loss + penalty

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return P, (B, N)."""
        return HeadScores(self.mixed(*self.both(features)))


def _layer(inputs: int, width: int, dropout: float) -> nn.Module:
    """φ(W x)."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), RowNorm(width), Dropout(dropout))
