"""Losses over all labels, and the regulariser along the taxonomy."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Scale = Literal["sum", "mean"]


class BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy over N labels, mean over documents.

    Args:
        positive_weight: (N,) weight of the positive term of each label, or None for 1.
        scale: ``sum`` over the labels (default) or their ``mean``. With the mean each label's gradient is divided
            by N: at 100 labels the gradients of the encoder come close to the epsilon of Adam, weight decay and
            the regularisers dominate, and training nearly stops. The sum keeps the size of a label's gradient the
            same however many labels there are.
    """

    positive_weight: Tensor | None

    def __init__(self, positive_weight: Tensor | None = None, scale: Scale = "sum") -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("positive_weight", positive_weight, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """(B, N) logits, (B, N) targets in {0, 1}, (B,) document weights or None -> scalar.

        Documents of weight 0 do not count; the mean is taken over the sum of the weights.
        """
        cells = functional.binary_cross_entropy_with_logits(
            logits.float(), targets, pos_weight=self.positive_weight, reduction="none"
        )  # (B, N), in float32 also under autocast
        documents = cells.sum(1) if self.scale == "sum" else cells.mean(1)  # (B,)
        if weights is None:
            return documents.mean()
        return (documents * weights).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def recursive_regularisation(label_weights: Tensor, edges: Tensor) -> Tensor:
    """Gopal & Yang 2013: sum over edges (p, q) of ½‖w_p − w_q‖².

    *HiMTL: Hierarchy-aware Multi-Task Learning for Hierarchical Text Classification* prints ½‖w_p² − w_q²‖, which would
    not see the sign of the weights and is in no program.

    Args:
        label_weights: (N, D), one row for each label.
        edges: (2, E) int64, parents above children; top-level labels have no edge.
    """
    difference = label_weights[edges[0]] - label_weights[edges[1]]  # (E, D)
    return 0.5 * difference.pow(2).sum()
