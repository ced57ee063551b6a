"""Layers over nodes that belong to G branches, each with weights of its own; all branches in one pass."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class BranchIndex(nn.Module):
    """Where the nodes of each branch are: nodes side by side (M), or padded to the largest branch (G, P).

    Args:
        branch: (M,) int64, the branch of each node.
        count: G.
    """

    branch: Tensor
    slots: Tensor
    real: Tensor
    place: Tensor
    sizes: Tensor

    def __init__(self, branch: Tensor, count: int) -> None:
        super().__init__()
        self.count, self.nodes = count, len(branch)
        sizes = torch.bincount(branch, minlength=count)
        self.longest = int(sizes.max()) if len(branch) else 0
        order = torch.argsort(branch, stable=True)
        inside = torch.arange(len(branch)) - (sizes.cumsum(0) - sizes)[branch[order]]
        slots = torch.zeros(count, self.longest, dtype=torch.long)
        real = torch.zeros(count, self.longest, dtype=torch.bool)
        slots[branch[order], inside], real[branch[order], inside] = order, True
        place = torch.empty_like(order)
        place[order] = branch[order] * self.longest + inside
        for name, tensor in (("branch", branch), ("slots", slots), ("real", real), ("place", place), ("sizes", sizes)):
            self.register_buffer(name, tensor, persistent=False)

    def padded(self, nodes: Tensor) -> Tensor:
        """(W, M, d) -> (G, W, P, d), zeros on padding."""
        windows, _, width = nodes.shape
        if self.count == 1:
            return nodes.unsqueeze(0)
        found = nodes[:, self.slots.flatten()].view(windows, self.count, self.longest, width)
        return (found * self.real.unsqueeze(-1)).transpose(0, 1)

    def side_by_side(self, padded: Tensor) -> Tensor:
        """(G, W, P, d) -> (W, M, d)."""
        if self.count == 1:
            return padded[0]
        return padded.transpose(0, 1).flatten(1, 2)[:, self.place]


class BranchLinear(nn.Module):
    """A linear layer for each branch: (W, M, D) -> (W, M, H).

    Args:
        inputs: D.
        outputs: H.
        count: G.
        bias: whether a bias is added.
    """

    def __init__(self, inputs: int, outputs: int, count: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(max(inputs, 1))
        self.weight = nn.Parameter(torch.empty(count, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, outputs).uniform_(-bound, bound)) if bias else None

    def forward(self, nodes: Tensor, index: BranchIndex) -> Tensor:
        """(W, M, D) nodes of the branches of ``index`` -> (W, M, H)."""
        if len(self.weight) == 1:
            return functional.linear(nodes, self.weight[0], None if self.bias is None else self.bias[0])
        padded = index.padded(nodes)  # (G, W, P, D)
        rows = padded.flatten(1, 2)  # (G, W P, D)
        weight = self.weight.transpose(1, 2)
        found = torch.bmm(rows, weight) if self.bias is None else torch.baddbmm(self.bias.unsqueeze(1), rows, weight)
        return index.side_by_side(found.view(*padded.shape[:3], -1))


class BranchNorm(nn.BatchNorm1d):
    """Batch normalisation over all nodes of a branch, in all windows: (W, M, d) -> (W, M, d).

    A branch of one row in a batch is normalised by its running statistics, and leaves them alone.

    Args:
        width: d.
        count: G.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__(width * count)
        self.branches = count

    def forward(self, nodes: Tensor, index: BranchIndex) -> Tensor:  # type: ignore[override]  # branches are given
        """(W, M, d) nodes of the branches of ``index`` -> (W, M, d)."""
        shape = (self.branches, -1)
        assert self.running_mean is not None  # for the type checker: statistics are tracked
        assert self.running_var is not None
        mean, variance = self.running_mean.view(shape), self.running_var.view(shape)
        if self.training:
            mean, variance = self._statistics(nodes.float(), index, mean, variance)
        scale = self.weight.view(shape) * torch.rsqrt(variance + self.eps)  # (G, d)
        shift = self.bias.view(shape) - mean * scale
        return (nodes * scale[index.branch] + shift[index.branch]).to(nodes.dtype)

    def _statistics(self, nodes: Tensor, index: BranchIndex, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        rows = (index.sizes * len(nodes)).unsqueeze(1)  # (G, 1)
        many = rows > 1
        total = torch.zeros_like(mean).index_add(0, index.branch, nodes.sum(0))
        found = total / rows.clamp(min=1)  # (G, d)
        squares = (nodes - found[index.branch]).pow(2).sum(0)  # (M, d)
        spread = torch.zeros_like(mean).index_add(0, index.branch, squares) / rows.clamp(min=1)
        with torch.no_grad():
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            unbiased = spread * rows / (rows - 1).clamp(min=1)
            new_mean, new_variance = torch.lerp(mean, found, share), torch.lerp(variance, unbiased, share)
            kept_mean, kept_variance = mean.clone(), variance.clone()
            mean.copy_(torch.where(many, new_mean, mean))
            variance.copy_(torch.where(many, new_variance, variance))
        return torch.where(many, found, kept_mean), torch.where(many, spread, kept_variance)
