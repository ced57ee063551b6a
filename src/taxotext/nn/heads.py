"""Heads: text features to one logit for each label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taxotext.nn.features import TextFeatures


class LinearHead(nn.Module):
    """Dropout and one linear layer over the pooled vector: (W, D) -> (W, N).

    Args:
        width: D.
        labels: N.
        dropout: share of the pooled vector that is zeroed in training.
        bias: (N,) first biases, the log-odds of the labels in the training documents, or None for 0. With them the
            first epochs do not go into learning that most labels are rare (Lin et al. 2017, section 3.3).
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.1, bias: Tensor | None = None) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, labels)
        nn.init.normal_(self.output.weight, std=0.02)
        if bias is None:
            nn.init.zeros_(self.output.bias)
        else:
            with torch.no_grad():
                self.output.bias.copy_(bias)

    @property
    def label_weights(self) -> Tensor:
        """(N, D) one row for each label: what recursive regularisation ties along the taxonomy."""
        return self.output.weight

    def forward(self, features: TextFeatures) -> Tensor:
        """Return logits (W, N)."""
        logits: Tensor = self.output(self.dropout(features.pooled))
        return logits
