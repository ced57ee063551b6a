"""A taxonomy split into branches: one graph that is the disjoint union of all of them.

A label may be in several branches (a label of a DAG below two roots), and is then several nodes of the graph. Blocks
that work on the graph compute all branches in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taxotext.errors import ConfigError
from taxotext.labels.coding_tree import coding_tree
from taxotext.labels.graph import Int64Array
from taxotext.labels.taxonomy import Taxonomy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SPLIT = re.compile(r"root|coding_tree|level:[1-9]\d{0,3}")
"""What :func:`split` takes."""


@dataclass(frozen=True, eq=False)
class LabelGraph:
    """M nodes, each a label in one of the branches; no edge leads from one branch to another."""

    taxonomy: Taxonomy  # the N labels
    labels: Int64Array  # int64 (M,), the label of each node; ascending within a branch
    branch: Int64Array  # int64 (M,), the branch of each node; ascending
    edges: Int64Array  # int64 (2, E), nodes of parents above nodes of children
    # bool (M,), whether the branch predicts the label; each label is owned by at least one branch
    owned: NDArray[np.bool_]
    count: int  # number of branches

    @classmethod
    def whole(cls, taxonomy: Taxonomy) -> LabelGraph:
        """The taxonomy as one branch: nodes are labels."""
        return cls._of(taxonomy, [np.arange(len(taxonomy))])

    @classmethod
    def split(cls, taxonomy: Taxonomy, how: str) -> LabelGraph:
        """Split a taxonomy.

        Args:
            taxonomy: the labels; each root without children is a branch of one label.
            how: ``root``: a branch for each root, the root and all labels below it; ``level:K``: for each label whose
                longest path from a root has K labels, with all below it, and one branch of all labels above that level;
                ``coding_tree``: the clusters below the root of the coding tree of height 2.

        Raises:
            ConfigError: for another ``how``, or a level below the deepest one.
        """
        if not SPLIT.fullmatch(how):
            raise ConfigError(f"split: {how!r} is not known; use root, level:K (such as level:2) or coding_tree.")
        if how == "root":
            return cls._of(taxonomy, taxonomy.branches())
        if how == "coding_tree":
            clusters = coding_tree(taxonomy, 2).parents[0]
            return cls._of(taxonomy, [np.flatnonzero(clusters == cluster) for cluster in range(clusters.max() + 1)])
        level = int(how.partition(":")[2])
        if level > taxonomy.depth:
            raise ConfigError(f"split: the taxonomy has {taxonomy.depth} levels, not {level}; lower the level.")
        upper = np.flatnonzero(taxonomy.levels < level)
        tops = np.flatnonzero(taxonomy.levels == level).tolist()
        lower = [np.sort(np.append(taxonomy.descendants(top), top)) for top in tops]
        return cls._of(taxonomy, [upper, *lower] if len(upper) else lower)

    @classmethod
    def _of(cls, taxonomy: Taxonomy, members: Sequence[ArrayLike]) -> LabelGraph:
        rows = [np.asarray(row, dtype=np.int64) for row in members]
        parents, children = taxonomy.edge_index
        edges, first = [np.empty((2, 0), dtype=np.int64)], 0
        place = np.full(len(taxonomy), -1, dtype=np.int64)
        for row in rows:
            place[row] = np.arange(first, first + len(row))
            inside = (place[parents] >= 0) & (place[children] >= 0)
            edges.append(np.stack([place[parents[inside]], place[children[inside]]]))
            place[row] = -1
            first += len(row)
        labels = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
        branch = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        owned = np.ones(len(labels), dtype=np.bool_)
        return cls(taxonomy, labels, branch, np.concatenate(edges, 1), owned, len(rows))

    def masked(self) -> LabelGraph:
        """The same branches, each with all N labels as nodes; a branch owns those that it had.

        What is added has no edges. Node b N + l is label l in branch b.
        """
        width = len(self.taxonomy)
        node = self.branch * width + self.labels  # of each node of this graph
        owned = np.zeros(self.count * width, dtype=np.bool_)
        owned[node] = True
        labels, branch = np.tile(np.arange(width), self.count), np.repeat(np.arange(self.count), width)
        return LabelGraph(self.taxonomy, labels, branch, node[self.edges], owned, self.count)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def sizes(self) -> Int64Array:
        """Nodes of each branch, int64 (count,)."""
        return np.bincount(self.branch, minlength=self.count)

    def branch_taxonomy(self, branch: int) -> Taxonomy:
        """The labels that a branch owns, and its edges."""
        nodes = np.flatnonzero((self.branch == branch) & self.owned)
        inside = self.branch[self.edges[0]] == branch
        rows = self.labels[nodes].tolist()
        whole = self.taxonomy
        return Taxonomy(
            tuple(whole.ids[row] for row in rows),
            tuple(whole.names[row] for row in rows),
            np.searchsorted(nodes, self.edges[:, inside]),
        )

    def coding_trees(self, height: int) -> tuple[list[Int64Array], list[Int64Array]]:
        """The coding tree of the labels that each branch owns, side by side.

        Labels outside of a branch have no edges: each would be a cluster of its own, and outweigh the branch in sums.

        Args:
            height: of each.

        Returns:
            The parents of each layer (as :attr:`taxotext.labels.coding_tree.CodingTree.parents`), and the branch of
            each node of layers 0..height; nodes of a layer are sorted by branch, and the last layer has one for each.
        """
        trees = [coding_tree(self.branch_taxonomy(branch), height) for branch in range(self.count)]
        sizes = np.asarray([tree.sizes for tree in trees], dtype=np.int64).reshape(self.count, height + 1)
        before = np.cumsum(sizes, axis=0) - sizes  # (branches, layers): nodes of the branches in front
        parents = [
            np.concatenate([tree.parents[layer] + before[at, layer + 1] for at, tree in enumerate(trees)])
            for layer in range(height)
        ]
        return parents, [np.repeat(np.arange(self.count), sizes[:, layer]) for layer in range(height + 1)]
