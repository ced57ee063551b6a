"""Heads over what structure encoders make: one vector for each label, or one for each layer of a tree over them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from taxotext.nn.batch import Targets
from taxotext.nn.branches import BranchIndex
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import Head, HeadScores, LogitHead
from taxotext.nn.losses import BinaryCrossEntropy, LabelwiseLoss


class LabelDotHead(LogitHead):
    """The vector of each label and a vector of its own: z_m = w_m · dropout(labels_m) + b_m.

    Args:
        width: d of the label vectors.
        nodes: M.
        dropout: on the label vectors, in training.
        bias: (M,) first biases, or None for 0.
    """

    def __init__(self, width: int, nodes: int, dropout: float = 0.0, bias: Tensor | None = None) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.empty(nodes, width).uniform_(-1, 1) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(nodes) if bias is None else bias.clone())

    def tied(self) -> Sequence[Tensor]:
        """The vectors of the labels, (M, d)."""
        return (self.weight,)

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of all documents, (B, M)."""
        found = torch.einsum("wmd,md->wm", self.dropout(of_labels(features)), self.weight) + self.bias
        return features.joined(found, self.join)


class FlattenedHead(LogitHead):
    """One linear layer over the vectors of all labels of a branch side by side, as HiAGM has it.

        z_m = w_m · dropout([labels_1; labels_2; ...]) + b_m        over the labels of the branch of m

    With P labels in the largest of G branches it has G P (P d + 1) parameters.

    Args:
        width: d of the label vectors.
        index: the branches of the M nodes.
        dropout: on the label vectors, in training.
        bias: (M,) first biases, or None for 0.
    """

    def __init__(self, width: int, index: BranchIndex, dropout: float = 0.0, bias: Tensor | None = None) -> None:
        super().__init__()
        self.index, self.dropout = index, nn.Dropout(dropout)
        rows = index.longest
        bounds = 1 / (index.sizes.clamp(min=1) * width).float().sqrt()  # (G,)
        weight = torch.empty(index.count, rows, rows * width).uniform_(-1, 1) * bounds.view(-1, 1, 1)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(index.nodes) if bias is None else bias.clone())

    def tied(self) -> Sequence[Tensor]:
        """The rows of the linear layers, (M, P d)."""
        return (self.weight.flatten(0, 1)[self.index.place],)

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of all documents, (B, M)."""
        padded = self.index.padded(self.dropout(of_labels(features)))  # (G, W, P, d)
        found = torch.bmm(padded.flatten(2), self.weight.transpose(1, 2))  # (G, W, P)
        rows = self.index.side_by_side(found.unsqueeze(3)).squeeze(2)  # (W, M)
        return features.joined(rows + self.bias, self.join)


class LayersHead(LogitHead):
    """A linear layer on each layer of a tree over the labels, summed, as HiTIN has it (equation 14).

        z_m = Σ_i w^i_m · dropout(layer_i) + b_m                    of the tree of the branch of m

    Args:
        width: d of the layers.
        layers: K of them.
        index: the branches of the M nodes.
        dropout: on the layers, in training.
        bias: (M,) first biases, or None for 0.
        added: (K, G) nodes that each layer is the sum of; None: 1. The first weights are divided by it, so that the
            first logits are near the biases however many nodes there are.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        index: BranchIndex,
        dropout: float = 0.5,
        bias: Tensor | None = None,
        added: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.index, self.dropout = index, nn.Dropout(dropout)
        weight = torch.empty(layers, index.nodes, width).uniform_(-1, 1) / math.sqrt(width)
        self.weight = nn.Parameter(weight if added is None else weight / added[:, index.branch].unsqueeze(2))
        self.bias = nn.Parameter(torch.zeros(index.nodes) if bias is None else bias.clone())

    def tied(self) -> Sequence[Tensor]:
        """The rows of the labels in the linear layer of each layer, K times (M, d)."""
        return tuple(self.weight)

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of all documents, (B, M)."""
        if features.layers is None:
            raise ValueError("the structure encoder gives no layers")
        layers = self.dropout(features.layers).flatten(2)  # (W, G, K d)
        weight = self.weight.transpose(0, 1).flatten(1)  # (M, K d)
        if self.index.count == 1:
            found = layers[:, 0] @ weight.T  # (W, M)
        else:
            padded = torch.bmm(layers.transpose(0, 1), weight[self.index.slots].transpose(1, 2))  # (G, W, P)
            found = self.index.side_by_side(padded.unsqueeze(3)).squeeze(2)
        return features.joined(found + self.bias, self.join)


class BranchesHead(Head):
    """Heads of branches that are trained together, and their scores merged (HiMTL).

        L_g = Σ_m  c_m ℓ(z_m, y_label(m))                 over the nodes that branch g owns; ℓ: cross-entropy
        L   = Σ_g L_g, or Σ_g exp(−s_g) L_g + s_g / 2     learned weights, s_g = ln σ_g² (Kendall et al. 2018)
        p_l = merge of σ(z_m) over the branches that own l

    What the text encoder learns from can be less than that, see :mod:`taxotext.nn.steering`.

    Args:
        inner: gives the logits of the M nodes, (B, M).
        labels: (M,) int64, the label of each node.
        branch: (M,) int64, the branch of each node.
        owned: (M,) bool, nodes that count; each label has one at least.
        count: N labels.
        reduction: "label_sum": c = 1; "label_mean": 1 / nodes that count; "branch_mean": 1 / those of the branch, so
            that each branch weighs the same.
        merge: "max", "mean" or "sum" (at most 1) over the owners.
        weights: "equal", or "learned" by the uncertainty of each branch.
        gradients: what reaches the text encoder: "sum" of all branches, "routing" or "surgery".
        cell_loss: ℓ; None: binary cross-entropy. Its scale does not matter.
    """

    kept: Tensor
    branch: Tensor
    labels: Tensor
    cell: Tensor
    owners: Tensor

    def __init__(
        self,
        inner: LogitHead,
        labels: Tensor,
        branch: Tensor,
        owned: Tensor,
        count: int,
        reduction: str = "branch_mean",
        merge: str = "max",
        weights: str = "equal",
        gradients: str = "sum",
        cell_loss: LabelwiseLoss | None = None,
    ) -> None:
        super().__init__()
        self.cell_loss = BinaryCrossEntropy() if cell_loss is None else cell_loss
        self.inner, self.count, self.merge, self.gradients = inner, count, merge, gradients
        kept = torch.nonzero(owned).flatten()
        sizes = torch.bincount(branch[kept])
        cell = torch.ones(len(kept))
        if reduction != "label_sum":
            cell = cell / (sizes[branch[kept]] if reduction == "branch_mean" else max(len(kept), 1))
        owners = torch.bincount(labels[kept], minlength=count)
        for name, tensor in (
            *(("kept", kept), ("labels", labels[kept]), ("cell", cell)),
            *(("branch", branch[kept]), ("owners", owners)),
        ):
            self.register_buffer(name, tensor, persistent=False)
        self.branches = int(branch.max()) + 1 if len(branch) else 0
        self.log_variance = nn.Parameter(torch.zeros(self.branches)) if weights == "learned" else None

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of the nodes that count, (B, O)."""
        found: Tensor = self.inner.logits(features)
        return found[:, self.kept]

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the weighted loss of all branches, and the regulariser of the heads."""
        return self.whole(self.losses(features, targets)[0])

    def losses(self, features: TextFeatures, targets: Targets) -> tuple[Tensor, Tensor]:
        """Return the loss of each branch, (G,), and the part of it from documents with a label there, (G,)."""
        gold = targets.dense()[:, self.labels]  # (B, O)
        cells = self.cell_loss.cells(self.logits(features), gold)
        by_branch = self._by_branch(cells * self.cell)  # (B, G)
        own = by_branch * (self._by_branch(gold) > 0)
        weights = torch.ones_like(by_branch[:, 0]) if targets.weights is None else targets.weights
        share = (weights / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)).unsqueeze(1)  # (B, 1)
        return (share * by_branch).sum(0), (share * own).sum(0)  # autocast would multiply matrices in 16 bits

    def weighted(self, losses: Tensor) -> Tensor:
        """(G,) -> (G,), each multiplied by the weight of its branch, which learns nothing from it."""
        return losses if self.log_variance is None else losses * torch.exp(-self.log_variance.detach())

    def whole(self, losses: Tensor) -> Tensor:
        """Return the loss from those of the branches, (G,), and the regulariser of the heads."""
        if self.log_variance is not None:
            losses = losses * torch.exp(-self.log_variance) + self.log_variance / 2
        return losses.sum() + self.inner.penalty()

    def _by_branch(self, cells: Tensor) -> Tensor:
        """(B, O) -> (B, G), sums."""
        return cells.new_zeros(len(cells), self.branches).index_add(1, self.branch, cells)

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the merged probabilities, (B, N)."""
        found = torch.sigmoid(self.logits(features).float())
        where = self.labels.expand_as(found)
        empty = found.new_zeros(found.shape[0], self.count)
        if self.merge == "max":
            return HeadScores(empty.scatter_reduce(1, where, found, "amax", include_self=False))
        total = empty.scatter_add(1, where, found)  # means are computed from sums: ONNX scatters no means
        return HeadScores((total / self.owners if self.merge == "mean" else total).clamp(max=1))


def of_labels(features: TextFeatures) -> Tensor:
    """(W, M, d), one vector for each label."""
    if features.labels is None:
        raise ValueError("the structure encoder gives no vectors of labels")
    return features.labels
