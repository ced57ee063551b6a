"""Which labels may follow in a sequence that keeps to a taxonomy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

Direction = Literal["top_down", "bottom_up"]


class TaxonomyOrder(nn.Module):
    """Masks of the labels that may come next, so that every finished sequence is a set closed under ancestors.

    ``top_down``: a label may come when all of its parents have come. ``bottom_up``: a label may come while none of its
    ancestors has come and no ancestor that is still missing lies below it; a sequence may end when no ancestor of its
    labels is missing. In both directions every closed set has exactly the orders in which no label comes on the
    wrong side of an ancestor, and no sequence runs into a dead end.

    Args:
        edges: (2, E) int64, parents and children.
        closure: sparse bool (N, N), row: a label; columns: itself and its ancestors. ``bottom_up`` keeps it dense.
        direction: see above.
    """

    parents: Tensor
    above: Tensor

    def __init__(self, edges: NDArray[np.int64], closure: csr_array, direction: Direction) -> None:
        super().__init__()
        labels = closure.shape[0]
        self.direction = direction
        self.register_buffer("parents", _parents(edges, labels), persistent=False)
        above = torch.zeros(0, 0)
        if direction == "bottom_up":
            above = torch.from_numpy(closure.toarray().astype(np.float32)).fill_diagonal_(0.0)
        self.register_buffer("above", above, persistent=False)

    def forward(self, emitted: Tensor, closing: bool = False) -> Tensor:
        """What may follow.

        Args:
            emitted: (b, K, V) bool, EOS (the last column) False.
            closing: only what is needed to end: missing ancestors, then EOS.

        Returns:
            (b, K, V) bool; emitted labels may be True here, they are blocked elsewhere.
        """
        if self.direction == "top_down":
            if closing:
                return _only_end(emitted)
            there = emitted.clone()
            there[..., -1] = True  # the "parent" of roots, of EOS, and of padding
            if self.parents.shape[1] == 1:
                return there[..., self.parents[:, 0]]
            return there[..., self.parents].all(-1)
        labels = emitted[..., :-1].float()  # (b, K, N)
        covered = labels @ self.above.T > 0  # below a label that has come
        missing = (labels @ self.above > 0) & ~emitted[..., :-1]
        waiting = missing.float() @ self.above > 0  # above a label that is missing
        allowed = ~covered & ~waiting
        if closing:
            allowed &= missing
        return torch.cat([allowed, ~missing.any(-1, keepdim=True)], -1)


def _only_end(emitted: Tensor) -> Tensor:
    allowed = torch.zeros_like(emitted)
    allowed[..., -1] = True
    return allowed


def _parents(edges: NDArray[np.int64], labels: int) -> Tensor:
    """(V, P) int64, the parents of each label, filled with N; those of EOS are N alone."""
    parents, children = edges
    order = np.argsort(children, kind="stable")
    counts = np.bincount(children, minlength=labels)
    table = np.full((labels + 1, max(1, int(counts.max(initial=0)))), labels, dtype=np.int64)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    table[children[order], place] = parents[order]
    return torch.from_numpy(table)
