"""Losses over all labels, and the regulariser along the taxonomy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Scale = Literal["sum", "mean"]


class LabelwiseLoss(nn.Module, ABC):
    """A loss that is a sum over labels, mean over documents.

    Args:
        scale: ``sum`` over the labels or their ``mean``.
    """

    def __init__(self, scale: Scale = "sum") -> None:
        super().__init__()
        self.scale = scale

    @abstractmethod
    def cells(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(B, N) logits, (B, N) targets in {0, 1} -> (B, N), in float32 also under autocast."""

    def forward(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """(B, N) logits, (B, N) targets in {0, 1}, (B,) document weights or None -> scalar.

        Documents of weight 0 do not count; the mean is taken over the sum of the weights.
        """
        return mean_over_documents(over_labels(self.cells(logits, targets), self.scale), weights)


class BinaryCrossEntropy(LabelwiseLoss):
    """Binary cross-entropy over N labels, mean over documents.

    Args:
        positive_weight: (N,) weight of the positive term of each label, or None for 1.
        scale: ``sum`` over the labels (default) or their ``mean``. With the mean each label's gradient is divided
            by N, and the regularisers and the epsilon of Adam weigh the more. The sum keeps the size of a label's
            gradient the same however many labels there are.
    """

    positive_weight: Tensor | None

    def __init__(self, positive_weight: Tensor | None = None, scale: Scale = "sum") -> None:
        super().__init__(scale)
        self.register_buffer("positive_weight", positive_weight)

    def cells(self, logits: Tensor, targets: Tensor) -> Tensor:
        """As :meth:`LabelwiseLoss.cells`."""
        return functional.binary_cross_entropy_with_logits(
            logits.float(), targets, pos_weight=self.positive_weight, reduction="none"
        )


class FocalLoss(LabelwiseLoss):
    """Focal loss (Lin et al. 2017, equation 5), over N labels, mean over documents.

    FL(p_t) = −α_t (1 − p_t)^γ ln p_t, with p_t = p of a gold label and 1 − p of another one, α_t = α and 1 − α.

    Args:
        gamma: γ ≥ 0; 0 gives binary cross-entropy, the paper takes 2.
        alpha: α; None: 1 for both. The paper takes 0.25.
        scale: ``sum`` over the labels or their ``mean``, see :class:`BinaryCrossEntropy`.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None, scale: Scale = "sum") -> None:
        super().__init__(scale)
        self.gamma, self.alpha = gamma, alpha

    def cells(self, logits: Tensor, targets: Tensor) -> Tensor:
        """As :meth:`LabelwiseLoss.cells`."""
        right = logits.float() * (2 * targets - 1)  # (B, N), the logit of p_t
        # (1 − p_t)^γ by way of its logarithm: the power itself has no finite slope at 0 for γ below 1.
        cells = -torch.exp(self.gamma * functional.logsigmoid(-right)) * functional.logsigmoid(right)
        if self.alpha is not None:
            cells = cells * (targets * self.alpha + (1 - targets) * (1 - self.alpha))
        return cells


class AsymmetricLoss(LabelwiseLoss):
    """Asymmetric loss (Ridnik et al. 2021, equations 4 to 7), over N labels, mean over documents.

    L+ = −(1 − p)^γ+ ln p                  of gold labels
    L− = −p_m^γ− ln(1 − p_m),  p_m = max(p − m, 0)   of the others: what is below the margin m does not count at all

    Args:
        gamma_positive: γ+.
        gamma_negative: γ−, at least γ+ as it is meant.
        margin: m, from 0 to below 1.
        scale: ``sum`` over the labels or their ``mean``, see :class:`BinaryCrossEntropy`.
    """

    def __init__(
        self, gamma_positive: float = 0.0, gamma_negative: float = 4.0, margin: float = 0.05, scale: Scale = "sum"
    ) -> None:
        super().__init__(scale)
        self.gamma_positive, self.gamma_negative, self.margin = gamma_positive, gamma_negative, margin

    def cells(self, logits: Tensor, targets: Tensor) -> Tensor:
        """As :meth:`LabelwiseLoss.cells`."""
        logits = logits.float()
        gold = torch.exp(self.gamma_positive * functional.logsigmoid(-logits)) * functional.logsigmoid(logits)
        if self.margin == 0:
            other = torch.exp(self.gamma_negative * functional.logsigmoid(logits)) * functional.logsigmoid(-logits)
        else:
            above = torch.sigmoid(logits) - self.margin  # (B, N)
            counts = above > 0
            # 1 stands in for what does not count: 0^γ has no finite slope for γ below 1, and NaN would pass the mask.
            shifted = torch.where(counts, above, torch.ones_like(above))  # p_m
            rest = torch.where(counts, torch.sigmoid(-logits) + self.margin, torch.ones_like(above))  # 1 − p_m
            other = shifted.pow(self.gamma_negative) * rest.log()
        return -(targets * gold + (1 - targets) * other)


class ZlprLoss(nn.Module):
    """ZLPR (Su et al. 2022, equation 9): log-sum-exp over pairs of labels with 0 between them, mean over documents.

    L = ln(1 + Σ_{i not gold} e^{s_i}) + ln(1 + Σ_{j gold} e^{−s_j})

    It is one number for a document, not a sum or mean over labels; it grows with the logarithm of their number. A
    label is predicted when its logit s is above 0, which is where σ(s) is above 0.5: thresholds of 0.5 mean what the
    paper means. Away from there σ(s) is a score, not a probability, until it is calibrated.
    """

    def forward(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """As :meth:`LabelwiseLoss.forward`."""
        logits = logits.float()
        gold = targets > 0.5  # (B, N)
        lowest = torch.finfo(logits.dtype).min
        zero = logits.new_zeros(len(logits), 1)
        negatives = torch.cat([zero, logits.masked_fill(gold, lowest)], 1).logsumexp(1)  # (B,)
        positives = torch.cat([zero, (-logits).masked_fill(~gold, lowest)], 1).logsumexp(1)  # (B,)
        return mean_over_documents(negatives + positives, weights)


class MaxConstraintLoss(nn.Module):
    """MCLoss of C-HMCNN (Giunchiglia & Lukasiewicz 2020, section 4): cross-entropy of scores that cannot contradict a
    taxonomy, mean over documents.

    With D(A) the label A and all labels below it, and h_B = σ(z_B):

    MCM_A = max_{B in D(A)} h_B
    L_A = −ln max_{B in D(A), B gold} h_B   where A is gold
    L_A = −ln(1 − MCM_A)                    where it is not

    The maximum commutes with σ, so that everything is computed with logits, over the pairs (A, B in D(A)): nothing is
    of size (B, N, N). Gold labels are completed by their ancestors first. Where labels are decoded with
    ``consistency=up``, predictions are MCM_A.

    Args:
        ancestors, descendants: (E,) int64, the pairs (A, B in D(A)), A itself among its B.
        scale: ``sum`` over the labels or their ``mean``, see :class:`BinaryCrossEntropy`.
    """

    ancestors: Tensor
    descendants: Tensor

    def __init__(self, ancestors: Tensor, descendants: Tensor, scale: Scale = "sum") -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("ancestors", ancestors, persistent=False)
        self.register_buffer("descendants", descendants, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """As :meth:`LabelwiseLoss.forward`."""
        logits = logits.float()
        gold = self.highest(targets) > 0.5  # (B, N), closed
        lowest = torch.finfo(logits.dtype).min
        constrained = torch.where(
            gold, self.highest(logits.masked_fill(~gold, lowest)), self.highest(logits)
        )  # (B, N): a gold label is among its own descendants, so that the first maximum is never of nothing
        cells = functional.binary_cross_entropy_with_logits(constrained, gold.to(logits.dtype), reduction="none")
        return mean_over_documents(over_labels(cells, self.scale), weights)

    def highest(self, values: Tensor) -> Tensor:
        """Maximum over each label and all labels below it: (B, N) -> (B, N)."""
        index = self.ancestors.expand(len(values), -1)  # (B, E)
        return torch.full_like(values, -torch.inf).scatter_reduce(1, index, values[:, self.descendants], "amax")


def over_labels(cells: Tensor, scale: Scale) -> Tensor:
    """(B, N) -> (B,)."""
    return cells.sum(1) if scale == "sum" else cells.mean(1)


def mean_over_documents(documents: Tensor, weights: Tensor | None) -> Tensor:
    """(B,) -> scalar, weighted by (B,); 0 when all weights are."""
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
