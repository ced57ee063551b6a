"""Candidates: a label tree as tensors, the nodes that a search keeps of a level, and the loss over what was scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from taxotext.labels.label_tree import LabelTree
from taxotext.nn.losses import BinaryCrossEntropy, LabelwiseLoss


class TreeArrays(nn.Module):
    """A label tree as buffers, which are saved with the weights.

    Args:
        sizes: (nodes, links) of each level.
        labels: N.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], labels: int) -> None:
        super().__init__()
        self.labels, self.nodes = labels, [nodes for nodes, _ in sizes]
        for level, (nodes, links) in enumerate(sizes):
            self.register_buffer(f"offsets_{level}", torch.zeros(nodes + 1, dtype=torch.long))
            self.register_buffer(f"children_{level}", torch.zeros(links, dtype=torch.long))
        self._parents: list[tuple[Tensor, Tensor]] | None = None
        self._checked = False

    @classmethod
    def of(cls, tree: LabelTree) -> TreeArrays:
        """Take the arrays of a tree."""
        found = cls([(link.shape[0], link.nnz) for link in tree.links], tree.labels)
        for name, array in tree.arrays().items():
            getattr(found, name).copy_(torch.from_numpy(array))
        return found

    @property
    def levels(self) -> int:
        """H."""
        return len(self.nodes)

    def width(self, level: int) -> int:
        """Nodes of a level; of level H, the labels."""
        return self.nodes[level] if level < self.levels else self.labels

    def down(self, level: int, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the children of nodes (K,): the place 0..K-1 of the parent of each, and the child.

        Raises:
            TaxonomyError: the arrays, from a damaged folder, are not those of a tree.
        """
        if not self._checked:
            self.whole()
            self._checked = True
        return _listed(getattr(self, f"offsets_{level}"), getattr(self, f"children_{level}"), nodes)

    def up(self, level: int, children: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parents, on ``level``, of nodes of the level below (K,): the place of the child, and the parent.

        Raises:
            TaxonomyError: as for :meth:`down`.
        """
        if self._parents is None or self._parents[0][0].device != children.device:
            links = [csr_array(link.T) for link in self.whole().links]
            self._parents = [(_on(children.device, link.indptr), _on(children.device, link.indices)) for link in links]
        return _listed(*self._parents[level], children)

    def whole(self) -> LabelTree:
        """The tree as sparse matrices.

        Raises:
            TaxonomyError: as for :meth:`down`.
        """
        arrays: dict[str, Any] = {name: array.cpu().numpy() for name, array in self.named_buffers()}
        return LabelTree.from_arrays(arrays, self.labels)


def _on(device: torch.device, array: Any) -> Tensor:
    return torch.from_numpy(np.asarray(array, np.int64)).to(device)


def _listed(offsets: Tensor, items: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Items of each key (K,), one after the other: the place of the key, and the item."""
    counts = offsets[keys + 1] - offsets[keys]
    places = torch.repeat_interleave(torch.arange(len(keys), device=keys.device), counts)
    inside = torch.arange(len(places), device=keys.device) - (counts.cumsum(0) - counts)[places]
    return places, items[offsets[keys][places] + inside]


class Beam(NamedTuple):
    """Nodes of a level for each document."""

    nodes: Tensor  # (B, C), ascending, -1 behind the last one
    path: Tensor  # (B, C) float32, log-probability of the path, -inf where there is no node

    def best(self, count: int) -> Beam:
        """Keep the ``count`` most probable nodes of each document."""
        if count >= self.nodes.shape[1]:
            return self
        path, places = self.path.topk(count, 1)
        return Beam(self.nodes.gather(1, places).masked_fill(path.isneginf(), -1), path)


def children(tree: TreeArrays, level: int, selected: Beam, gold: Tensor | None = None) -> Beam:
    """Children of nodes, each once with its most probable path, and the gold nodes of their level.

    Args:
        tree: of the labels.
        level: of the children, from 1; H are the labels.
        selected: nodes of the level above.
        gold: gold nodes of the level, ascending: row * width + node. Of those whose parents were not selected no path
            is known. None: nothing is added.
    """
    documents, width = len(selected.nodes), tree.width(level)
    rows, places = torch.nonzero(selected.nodes >= 0, as_tuple=True)
    parents, nodes = tree.down(level - 1, selected.nodes[rows, places])
    path = selected.path[rows, places][parents]
    keys = rows[parents] * width + nodes
    if gold is not None:
        keys, path = torch.cat([keys, gold]), torch.cat([path, path.new_full((len(gold),), -1e30)])
    keys, inverse = torch.unique(keys, return_inverse=True)
    best = path.new_full((len(keys),), -torch.inf).scatter_reduce(0, inverse, path, "amax")
    return padded(keys // width, keys % width, best, documents)


def contains(keys: Tensor, nodes: Tensor, width: int) -> Tensor:
    """Whether (row, node) is among ascending keys: (B, C) bool."""
    rows = torch.arange(len(nodes), device=nodes.device).unsqueeze(1)
    wanted = torch.where(nodes < 0, -1, rows * width + nodes)
    if not len(keys):
        return torch.zeros_like(nodes, dtype=torch.bool)
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return keys[places] == wanted


class CandidateLoss(nn.Module):
    """The loss of a level: ℓ(z, y) in sum or mean over its nodes, or over candidates among them, for each document.

    Args:
        cells: ℓ, with the scale; None: binary cross-entropy, summed.
        positive_weight: (n,) that ℓ of a positive node is multiplied by; None: 1.
    """

    positive_weight: Tensor | None

    def __init__(self, cells: LabelwiseLoss | None = None, positive_weight: Tensor | None = None) -> None:
        super().__init__()
        self.cells = BinaryCrossEntropy() if cells is None else cells
        self.register_buffer("positive_weight", positive_weight, persistent=False)  # prediction needs none

    def over_all(self, logits: Tensor, gold: Tensor) -> Tensor:
        """Return the loss over all nodes, (B,); targets are never dense.

        Args:
            logits: (B, n).
            gold: positive nodes, ascending: row * n + node.
        """
        width = logits.shape[1]
        total = self.cells.cells(logits, torch.zeros((), device=logits.device).expand_as(logits)).sum(1)
        rows, nodes = gold // width, gold % width
        own = logits[rows, nodes]
        positive = self._weighted(self.cells.cells(own, torch.ones_like(own)), nodes)
        total = total.index_add(0, rows, positive - self.cells.cells(own, torch.zeros_like(own)))
        return total if self.cells.scale == "sum" else total / width

    def over_some(self, logits: Tensor, nodes: Tensor, gold: Tensor, width: int) -> Tensor:
        """Return the loss over candidates, (B,).

        Args:
            logits: (B, C).
            nodes: (B, C), -1 for none.
            gold: positive nodes of the level, ascending: row * n + node.
            width: n.
        """
        real, positive = nodes >= 0, contains(gold, nodes, width)
        cells = self.cells.cells(logits, positive.to(logits.dtype))
        cells = torch.where(positive, self._weighted(cells, nodes.clamp(min=0)), cells)
        total = (cells * real).sum(1)
        return total if self.cells.scale == "sum" else total / real.sum(1).clamp(min=1)

    def _weighted(self, cells: Tensor, nodes: Tensor) -> Tensor:
        return cells if self.positive_weight is None else cells * self.positive_weight[nodes]


def padded(rows: Tensor, nodes: Tensor, path: Tensor, documents: int) -> Beam:
    """Arrange nodes, in the order of the documents, side by side."""
    counts = torch.bincount(rows, minlength=documents)
    places = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    shape = (documents, max(int(counts.max()), 1))
    found = Beam(nodes.new_full(shape, -1), path.new_full(shape, -torch.inf))
    found.nodes[rows, places], found.path[rows, places] = nodes, path
    return found
