"""The head over a label tree: clusters are scored, the labels of the best are candidates, and both learn together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from taxotext.labels.label_tree import LabelTree
from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import Head, HeadScores
from taxotext.nn.node_scorers import NodeScorer

Negatives = Literal["dynamic", "static", "none"]


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
            self._tree()
            self._checked = True
        return _listed(getattr(self, f"offsets_{level}"), getattr(self, f"children_{level}"), nodes)

    def up(self, level: int, children: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parents, on ``level``, of nodes of the level below (K,): the place of the child, and the parent.

        Raises:
            TaxonomyError: as for :meth:`down`.
        """
        if self._parents is None or self._parents[0][0].device != children.device:
            links = [csr_array(link.T) for link in self._tree().links]
            self._parents = [(_on(children.device, link.indptr), _on(children.device, link.indices)) for link in links]
        return _listed(*self._parents[level], children)

    def _tree(self) -> LabelTree:
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
    """Nodes of a level for each document.

    Attributes:
        nodes: (B, C), ascending, -1 behind the last one.
        path: (B, C) float32, log-probability of the path, -inf where there is no node.
    """

    nodes: Tensor
    path: Tensor

    def best(self, count: int) -> Beam:
        """Keep the ``count`` most probable nodes of each document."""
        if count >= self.nodes.shape[1]:
            return self
        path, places = self.path.topk(count, 1)
        return Beam(self.nodes.gather(1, places).masked_fill(path.isneginf(), -1), path)


class LabelTreeHead(Head):
    """Generator and discriminator over a label tree, trained together.

    Level 0 is scored for all nodes, the children of the ``beam`` most probable nodes on each level below, and so on
    down to the labels. With z the logit of a node, P(node) = Π σ(z) over the path from level 0; of several paths (a
    label under several nodes) the most probable one.

    The loss is binary cross-entropy on each level, over all nodes of level 0 and over the candidates below; a node is
    positive where a gold label is below it. Which candidates there are is decided without gradient:

    * ``dynamic``: children of the best nodes, every gold node before all others (Jiang et al. 2021, LightXML);
    * ``static``: children of the gold nodes, and of those next to them in the order of the clusters: the same in every
      epoch;
    * ``none``: all nodes, which costs as much as a flat head.

    Gold nodes are candidates always, and none twice. At prediction no gold is known, and what ``beam`` finds counts.

    Args:
        tree: of the labels.
        scorers: one for each level, and one for the labels.
        beam: C.
        negatives: see above.
        scale: the loss of a level is the "sum" or the "mean" over its nodes or candidates.
        leaf_only: the score of a label is σ(z) of the label alone.
    """

    def __init__(
        self,
        tree: TreeArrays,
        scorers: Sequence[NodeScorer],
        *,
        beam: int,
        negatives: Negatives = "dynamic",
        scale: Literal["sum", "mean"] = "sum",
        leaf_only: bool = False,
    ) -> None:
        super().__init__()
        if [scorer.nodes for scorer in scorers] != [*tree.nodes, tree.labels]:
            raise ValueError("there must be a scorer for the nodes of each level, and one for the labels")
        self.tree, self.scorers = tree, nn.ModuleList(scorers)
        self.beam, self.negatives, self.scale, self.leaf_only = beam, negatives, scale, leaf_only
        self._sums: dict[str, float | Tensor] = {}

    # -- training ----------------------------------------------------------------------------------------------

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the losses of all levels in sum, mean over the documents."""
        gold = self._gold(targets)  # by level: rows * width + node, ascending
        documents, device = len(targets), targets.indices.device
        weights = torch.ones(documents, device=device) if targets.weights is None else targets.weights
        found, chosen = [], None
        for level, scorer in enumerate(self.scorers):
            if level == 0 or self.negatives == "none":
                logits = scorer.all(features)  # type: ignore[operator]  # (B, n)
                total = functional.softplus(logits).sum(1)
                rows, nodes = gold[level] // logits.shape[1], gold[level] % logits.shape[1]
                total = total.index_add(0, rows, -logits[rows, nodes])  # targets are never dense
                counts: Any = logits.shape[1]
                if level < self.tree.levels and self.negatives != "none":
                    everywhere = torch.arange(logits.shape[1], device=device).expand(documents, -1)
                    chosen = Beam(everywhere, functional.logsigmoid(logits.detach()))
            else:
                candidates = self._candidates(level, self._selected(chosen, gold[level - 1], level - 1), gold[level])
                logits = scorer.some(features, candidates.nodes)  # type: ignore[operator]  # (B, C)
                real = candidates.nodes >= 0
                positive = _contains(gold[level], candidates.nodes, self.tree.width(level))
                cells = functional.softplus(logits) - logits * positive
                total, counts = (cells * real).sum(1), real.sum(1).clamp(min=1)
                chosen = Beam(candidates.nodes, candidates.path + functional.logsigmoid(logits.detach()))
            found.append(((total if self.scale == "sum" else total / counts) * weights).sum())
        self._count(label_loss=found[-1], cluster_loss=torch.stack(found[:-1]).sum(), documents=weights.sum())
        return torch.stack(found).sum() / weights.sum().clamp(min=1e-6)

    def _gold(self, targets: Targets) -> list[Tensor]:
        """Positive nodes of each level, and gold labels last: rows * width + node, ascending, each once."""
        rows, nodes = targets.rows, targets.indices
        found = [rows * self.tree.labels + nodes]
        for level in reversed(range(self.tree.levels)):
            places, parents = self.tree.up(level, nodes)
            keys = torch.unique(rows[places] * self.tree.width(level) + parents)
            rows, nodes = keys // self.tree.width(level), keys % self.tree.width(level)
            found.insert(0, keys)
        return found

    def _selected(self, beam: Beam | None, gold: Tensor, level: int) -> Beam:
        """The C nodes of a level whose children become candidates; the gold ones come first."""
        if beam is None:
            raise RuntimeError("the level above was not scored")
        if self.beam >= beam.nodes.shape[1]:
            return beam
        positive = _contains(gold, beam.nodes, self.tree.width(level))
        order = self._nearness(beam.nodes, positive) if self.negatives == "static" else beam.path
        # Both are at most 0, so that gold nodes come first.
        order = torch.where(positive, 1.0, order).masked_fill(beam.nodes < 0, -torch.inf)
        found, places = order.topk(self.beam, 1)
        nodes = beam.nodes.gather(1, places).masked_fill(found.isneginf(), -1)
        return Beam(nodes, beam.path.gather(1, places))

    def _nearness(self, nodes: Tensor, positive: Tensor) -> Tensor:
        """Minus the distance to the nearest gold node in the order of the clusters, (B, C)."""
        places = nodes.float()
        far = 2.0 * self.tree.labels
        gold = torch.where(positive, places, -far)
        before = places - torch.cummax(gold, 1).values
        after = torch.where(positive, places, far).flip(1).cummin(1).values.flip(1) - places
        return -torch.minimum(before, after)

    def _candidates(self, level: int, selected: Beam, gold: Tensor | None) -> Beam:
        """Children of the selected nodes, each once with its most probable path, and the gold nodes of the level."""
        documents, width = len(selected.nodes), self.tree.width(level)
        rows, places = torch.nonzero(selected.nodes >= 0, as_tuple=True)
        parents, children = self.tree.down(level - 1, selected.nodes[rows, places])
        path = selected.path[rows, places][parents]
        keys = rows[parents] * width + children
        if gold is not None:  # of a gold node whose parents were not kept no path is known
            keys, path = torch.cat([keys, gold]), torch.cat([path, path.new_full((len(gold),), -1e30)])
        keys, inverse = torch.unique(keys, return_inverse=True)
        best = path.new_full((len(keys),), -torch.inf).scatter_reduce(0, inverse, path, "amax")
        return _padded(keys // width, keys % width, best, documents)

    # -- use ---------------------------------------------------------------------------------------------------

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the probabilities of the labels that the beam reaches, (B, C)."""
        logits = self.scorers[0].all(features)  # type: ignore[operator]  # (B, n_0)
        nodes = torch.arange(logits.shape[1], device=logits.device).expand_as(logits)
        beam = Beam(nodes, functional.logsigmoid(logits))
        for level in range(1, self.tree.levels + 1):
            candidates = self._candidates(level, beam.best(self.beam), None)
            own = functional.logsigmoid(self.scorers[level].some(features, candidates.nodes))  # type: ignore[operator]
            last = level == self.tree.levels and self.leaf_only
            beam = Beam(candidates.nodes, own if last else candidates.path + own)
        return HeadScores(beam.path.exp().masked_fill(beam.nodes < 0, 0.0), beam.nodes)

    # -- metrics of an epoch -----------------------------------------------------------------------------------

    def metrics(self) -> dict[str, float]:
        """The two losses a document: over nodes of the tree, and over labels."""
        documents = float(self._sums.get("documents", 0.0)) or 1.0
        found = {name: float(self._sums.get(name, 0.0)) / documents for name in ("cluster_loss", "label_loss")}
        self._sums = {}
        return found

    def counts(self) -> dict[str, float]:
        """Losses and documents since the last call of :meth:`metrics`."""
        return {name: float(value) for name, value in self._sums.items()}

    def restore_counts(self, counts: Mapping[str, float]) -> None:
        """Go on from :meth:`counts`."""
        self._sums = dict(counts)

    def _count(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()


def _contains(keys: Tensor, nodes: Tensor, width: int) -> Tensor:
    """Whether (row, node) is among ascending keys: (B, C) bool."""
    rows = torch.arange(len(nodes), device=nodes.device).unsqueeze(1)
    wanted = torch.where(nodes < 0, -1, rows * width + nodes)
    if not len(keys):
        return torch.zeros_like(nodes, dtype=torch.bool)
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return keys[places] == wanted


def _padded(rows: Tensor, nodes: Tensor, path: Tensor, documents: int) -> Beam:
    """Arrange nodes, in the order of the documents, side by side."""
    counts = torch.bincount(rows, minlength=documents)
    places = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    shape = (documents, max(int(counts.max()), 1))
    found = Beam(nodes.new_full(shape, -1), path.new_full(shape, -torch.inf))
    found.nodes[rows, places], found.path[rows, places] = nodes, path
    return found
