"""Label trees: labels under clusters, and clusters under wider ones, as integer arrays.

A system for very many labels scores the nodes of the first level, keeps the best, scores their children, and so on down
to the labels. Names are left out here: nodes and labels are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from taxotext.errors import TaxonomyError
from taxotext.labels.taxonomy import Taxonomy

Int64Array = npt.NDArray[np.int64]
FIRST_LEVEL = 512
"""Nodes that ``levels="auto"`` scores unconditionally at most: those of the first level."""


@dataclass(frozen=True, eq=False)
class LabelTree:
    """A tree over N labels, or a graph without cycles where a label is under several nodes.

    Attributes:
        links: one matrix a level, csr bool; (n_l, n_l+1) for the children of the nodes of level l, the last one
            (n_H-1, N) for the labels of the clusters.
    """

    links: tuple[csr_array, ...]

    @property
    def labels(self) -> int:
        """N."""
        return int(self.links[-1].shape[1])

    @property
    def nodes(self) -> tuple[int, ...]:
        """Nodes of each level, the labels left out; the last number is that of the clusters."""
        return tuple(int(link.shape[0]) for link in self.links)

    def members(self, level: int) -> csr_array:
        """Labels below the nodes of a level: csr bool (n_l, N)."""
        return _product(self.links[level:])

    def keep(self, levels: Sequence[int]) -> Self:
        """Return the tree of some levels; each node is linked to its nearest descendants that are left.

        Args:
            levels: ascending; the last one must be kept, since it holds the clusters of the labels.
        """
        if not levels or levels[-1] != len(self.links) - 1 or any(a >= b for a, b in pairwise(levels)):
            raise ValueError(f"levels {list(levels)}: ascending, and with the last one, {len(self.links) - 1}")
        parts = [*pairwise(levels), (levels[-1], len(self.links))]
        return type(self)(tuple(_product(self.links[start:stop]) for start, stop in parts))

    def arrays(self) -> dict[str, Int64Array]:
        """Offsets and children of each level by name; :meth:`from_arrays` takes them."""
        found = {}
        for level, link in enumerate(self.links):
            found[f"offsets_{level}"] = link.indptr.astype(np.int64)
            found[f"children_{level}"] = link.indices.astype(np.int64)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], labels: int) -> Self:
        """Build a tree of what :meth:`arrays` returned.

        Raises:
            TaxonomyError: they are no tree over so many labels.
        """
        links: list[csr_array] = []
        widths = [len(arrays[f"offsets_{level}"]) - 1 for level in range(len(arrays) // 2)]
        for level, (rows, columns) in enumerate(pairwise([*widths, labels])):
            offsets, children = arrays[f"offsets_{level}"], arrays[f"children_{level}"]
            if (
                rows < 1
                or offsets[0] != 0
                or offsets[-1] != len(children)
                or (np.diff(offsets) < 1).any()
                or children.min() < 0
                or children.max() >= columns
                or not np.bincount(children, minlength=columns).all()
            ):
                raise TaxonomyError(
                    f"The label tree is damaged at level {level}: not every node has its place. Save the model again."
                )
            links.append(csr_array((np.ones(len(children), np.bool_), children, offsets), shape=(rows, columns)))
        return cls(tuple(links))


def tree_of_clusters(
    cluster_of: Int64Array, *, branching: int = 8, levels: int | Literal["auto"] = "auto"
) -> LabelTree:
    """Build the tree over numbered clusters: the parent of node i is i // K.

    In a perfect binary tree whose nodes are numbered from left to right, i // 2^c is the ancestor c levels up, so that
    this is algorithm 1 of AttentionXML without a tree that is cut afterwards.

    Args:
        cluster_of: (N,) the cluster of each label; each cluster from 0 on has at least one.
        branching: K.
        levels: H, the levels of nodes at most; auto: as many as the first level needs to have no more than
            :data:`FIRST_LEVEL` nodes; 1: the clusters only, all of which are scored for each document.
    """
    count = int(cluster_of.max()) + 1
    clusters = _links(cluster_of, np.arange(len(cluster_of)), (count, len(cluster_of)))
    return _grown([clusters], branching, levels)


def clusters_in_order(order: Int64Array, cluster_size: int) -> Int64Array:
    """Cluster of each label (N,) when neighbours in an order are put together, ``cluster_size`` a cluster.

    Args:
        order: (N,) all labels; a random order makes a random tree.
        cluster_size: M.
    """
    found = np.empty(len(order), np.int64)
    found[order] = np.arange(len(order)) // cluster_size
    return found


def _grown(links: Iterable[csr_array], branching: int, levels: int | Literal["auto"]) -> LabelTree:
    """The tree of some levels, with further ones above where the parent of node i is i // K."""
    found = list(links)
    count = int(found[0].shape[0])
    while count > branching and (count > FIRST_LEVEL if levels == "auto" else len(found) < levels):
        above = -(-count // branching)
        children = np.arange(count)
        found.insert(0, _links(children // branching, children, (above, count)))
        count = above
    return LabelTree(tuple(found))


def tree_of_taxonomy(taxonomy: Taxonomy, *, branching: int = 8, levels: int | Literal["auto"] = "auto") -> LabelTree:
    """Take the taxonomy itself as the tree: a label is under each of its parents.

    A label with children is a node and a label: as a label it is under its own node. What ends above the lowest level
    is handed down to it by nodes with one child.

    Args:
        taxonomy: with at least one edge.
        branching: K, labels at the top that are put under one node, in their order, where they are too many for the
            first level; with ``levels="auto"`` only.
        levels: the lowest levels of nodes, at most; auto: see :func:`tree_of_clusters`.

    Raises:
        TaxonomyError: the label set is flat.
    """
    if taxonomy.is_flat:
        raise TaxonomyError("The taxonomy has no edges, and cannot be the label tree; build one of the documents.")
    # A node is (label, whether its children are still to come); those of the first level are the labels at the top.
    present: list[tuple[int, bool]] = [(int(root), True) for root in taxonomy.roots]
    links = []
    for depth in range(1, taxonomy.depth):
        rows: list[tuple[int, int]] = []
        following: dict[tuple[int, bool], int] = {}
        for row, (label, opens) in enumerate(present):
            below = [(int(child), True) for child in taxonomy.children(label)] if opens else []
            for node in [*below, (label, False)]:
                rows.append((row, following.setdefault(node, len(following))))
        if depth < taxonomy.depth - 1:
            shape, present = (len(present), len(following)), list(following)
            pairs = np.asarray(rows)
        else:  # the labels themselves, whichever way they are reached
            shape = (len(present), len(taxonomy))
            names = np.asarray([label for label, _ in following])
            pairs = np.unique(np.stack([np.asarray(rows)[:, 0], names[np.asarray(rows)[:, 1]]], 1), axis=0)
        links.append(_links(pairs[:, 0], pairs[:, 1], shape))
    tree = LabelTree(tuple(links))
    if levels != "auto":
        return tree.keep(range(max(0, len(links) - levels), len(links)))
    small = [level for level, count in enumerate(tree.nodes) if count <= FIRST_LEVEL]
    tree = tree.keep(range(small[-1] if small else 0, len(links)))
    # A node above all others is part of every path: all of the next level would be scored for each document.
    alone = tree.nodes[0] == 1 and len(tree.nodes) > 1
    return _grown(tree.links[1:] if alone else tree.links, branching, levels)


def _links(rows: Int64Array, columns: Int64Array, shape: tuple[int, int]) -> csr_array:
    found = csr_array((np.ones(len(rows), np.bool_), (rows, columns)), shape=shape)
    found.sort_indices()
    return found


def _product(links: Iterable[csr_array]) -> csr_array:
    first, *others = links
    for link in others:
        first = csr_array(first @ link)
        first.data = np.ones(first.nnz, np.bool_)  # bool products are counts in some versions of SciPy
    first.sort_indices()
    return first
