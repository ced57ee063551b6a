"""Clusters of labels that are alike: label features, and balanced 2-means of all nodes of a level at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array

Int64Array = npt.NDArray[np.int64]
ITERATIONS = 20
"""Steps of 2-means at most."""
GAIN = 1e-4
"""A node is done when the mean similarity to the centroids rises by less."""


def label_features(targets: csr_array, features: csr_array, names: csr_array | None = None) -> csr_array:
    """Describe each label by its documents ("positive instance feature aggregation", Prabhu et al. 2018, Parabel).

        v_l = x_l / |x_l|,  x_l = Σ_i y_il x_i; with names n_l, v_l + n_l brought to length 1

    Args:
        targets: csr bool (D, N).
        features: csr (D, V), rows of length 1.
        names: csr (N, V), rows of length 1 or empty, features of the names of the labels; None: left out.

    Returns:
        csr float32 (N, V), rows of length 1; those of labels with neither documents nor a name are empty.
    """
    sums = unit_rows(csr_array(targets.astype(np.float32).T @ features.astype(np.float32)))
    return sums if names is None else unit_rows(csr_array(sums + names.astype(np.float32)))


def unit_rows(rows: csr_array) -> csr_array:
    """Scale rows to length 1; rows of zeros become empty."""
    kept: csr_array = rows.astype(np.float32)
    kept.eliminate_zeros()
    lengths = np.sqrt(np.asarray(kept.multiply(kept).sum(1))).ravel()
    scaled: csr_array = csr_array(diags_array(1 / np.where(lengths > 0, lengths, 1)) @ kept)
    return scaled.astype(np.float32)


def depth_of(labels: int, cluster_size: int) -> int:
    """Depth h of the binary tree whose 2^h clusters have at most ``cluster_size`` labels and none is empty.

    With ``cluster_size`` 1 that can only be where N is a power of two: else some clusters have two labels.

    >>> depth_of(3956, 8), depth_of(9, 8), depth_of(8, 8), depth_of(3, 1)
    (9, 1, 0, 1)
    """
    wanted = math.ceil(math.log2(max(1.0, labels / cluster_size)))
    return min(wanted, int(math.log2(labels)))


def balanced_clusters(features: csr_array, cluster_size: int, *, seed: int = 0) -> Int64Array:
    """Put labels that are alike into 2^h clusters of equal size, by balanced spherical 2-means of every node.

    Of a node with n labels, ⌊n/2⌋ go left and the others go right: those go left whose similarity to the left
    centroid exceeds that to the right one by most, ties by number. The first centroids are two labels that a function
    of (seed, depth, node) picks. Labels without features are dealt out to the smallest clusters at the end.

    Args:
        features: csr (N, V), rows of length 1 or empty.
        cluster_size: M; see :func:`depth_of`.

    Returns:
        (N,) cluster of each label, 0 .. 2^h - 1, numbered from left to right: cluster i is under node i >> 1. With
        ``cluster_size`` 1 each label has its own, 0 .. N - 1, in the order of those.
    """
    labels, depth = features.shape[0], depth_of(features.shape[0], cluster_size)
    order = np.flatnonzero(np.diff(features.indptr))  # ascending within each node throughout
    placed: Any = features[order]
    cells = csr_array(placed, dtype=np.float32)
    sizes = np.asarray([len(order)])
    # Each row keeps its numbers under columns of its own node: a column is a pair (node, feature), so that one product
    # of matrix and vector is that of all nodes with their centroids.
    _, columns = np.unique(cells.indices, return_inverse=True)
    node_of = np.zeros(int(columns.max(initial=-1)) + 1, np.int64)
    cells = csr_array((cells.data, columns, cells.indptr), shape=(len(order), len(node_of)))
    for level in range(depth):
        right = _split(cells, sizes, node_of, _picks(sizes, level, seed))
        child = 2 * np.repeat(np.arange(len(sizes)), sizes) + right
        places = np.argsort(child, kind="stable")
        order, sizes = order[places], np.bincount(child, minlength=2 * len(sizes))
        cells, node_of = _columns_of_children(csr_array(cells[places]), right[places], node_of)
    found = np.full(labels, -1, np.int64)
    found[order] = np.repeat(np.arange(len(sizes)), sizes)
    found[found < 0] = _smallest_first(sizes, labels - len(order))
    if cluster_size == 1:
        found[np.argsort(found, kind="stable")] = np.arange(labels)
    return found


def _picks(sizes: Int64Array, level: int, seed: int) -> Int64Array:
    """(2, nodes) two members of each node, by their place in it; of nodes with less than two, 0."""
    with np.errstate(over="ignore"):
        keys = np.arange(len(sizes), dtype=np.uint64) * np.uint64(2) + np.uint64(2**40 * (level + 1))
        first, second = (_mixed(_mixed(keys + np.uint64(which)) ^ np.uint64(seed)) for which in (0, 1))
    count = np.maximum(sizes, 2).astype(np.uint64)
    a = first % count
    b = (a + np.uint64(1) + second % (count - np.uint64(1))) % count
    return np.where(sizes > 1, np.stack([a, b]).astype(np.int64), 0)


def _mixed(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64: neighbouring keys become unlike numbers."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _split(cells: csr_array, sizes: Int64Array, node_of: Int64Array, picks: Int64Array) -> npt.NDArray[np.bool_]:
    """Whether each row goes right; rows of a node lie together."""
    starts, nodes = np.cumsum(sizes) - sizes, np.repeat(np.arange(len(sizes)), sizes)
    right = np.ones(len(nodes), np.bool_)  # what nodes of one label keep
    rows = np.flatnonzero(sizes[nodes] > 1)  # of nodes that are not done
    sides = np.zeros((len(nodes), 2), np.float32)  # left, right
    for side in (0, 1):
        sides[(starts + picks[side])[sizes > 1], side] = 1
    quality = np.full(len(sizes), -np.inf)
    cells, nodes, sides = csr_array(cells[rows]), nodes[rows], sides[rows]
    for step in range(ITERATIONS):
        if not len(rows):
            break
        sums = cells.T @ sides  # (G, 2)
        norms = np.sqrt([np.bincount(node_of, sums[:, side] ** 2, len(sizes)) for side in (0, 1)])  # (2, nodes)
        if step:  # the similarities of rows to their normalised centroid sum up to the length of the sum of the rows
            found = norms.sum(0) / np.maximum(sizes, 1)
            done = found - quality < GAIN
            quality = found
            if 2 * np.count_nonzero(done[nodes]) >= len(rows):
                left = ~done[nodes]
                rows, nodes, sides, cells = rows[left], nodes[left], sides[left], csr_array(cells[left])
            live = ~done[nodes]
            if not live.any():
                break
        else:
            live = np.ones(len(rows), np.bool_)
        scale = (1 / np.where(norms > 0, norms, 1)).astype(np.float32)
        nearer = cells @ (sums[:, 1] * scale[1][node_of] - sums[:, 0] * scale[0][node_of])  # to the right
        goes = _behind_half(nearer, nodes, sizes)
        goes[~live] = sides[~live, 1] > 0
        sides = np.stack([~goes, goes], 1).astype(np.float32)
        right[rows] = goes
    return right


def _behind_half(values: npt.NDArray[np.float32], nodes: Int64Array, sizes: Int64Array) -> npt.NDArray[np.bool_]:
    """Whether a row is not among the ⌊n/2⌋ smallest of its node; ties by place. ``nodes`` ascends."""
    bits = values.astype(np.float32).view(np.uint32)
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(2**31))  # in the order of the numbers
    order = np.argsort(nodes.astype(np.uint64) << np.uint64(32) | bits, kind="stable")
    counts = np.bincount(nodes, minlength=len(sizes))
    places = np.arange(len(nodes)) - (np.cumsum(counts) - counts)[nodes]
    behind = np.empty(len(nodes), np.bool_)
    behind[order] = places >= sizes[nodes] // 2
    return behind


def _columns_of_children(
    cells: csr_array, right: npt.NDArray[np.bool_], node_of: Int64Array
) -> tuple[csr_array, Int64Array]:
    """Give the two children of each node columns of their own; those without an entry are left out."""
    columns = 2 * cells.indices.astype(np.int64) + np.repeat(right, np.diff(cells.indptr))
    used = np.zeros(2 * len(node_of), np.bool_)
    used[columns] = True
    numbers = np.cumsum(used) - 1
    owners = (2 * np.repeat(node_of, 2) + np.tile([0, 1], len(node_of)))[used]
    cells = csr_array((cells.data, numbers[columns], cells.indptr), shape=(cells.shape[0], len(owners)))
    return cells, owners


def _smallest_first(sizes: Int64Array, count: int) -> Int64Array:
    """Clusters for ``count`` more labels (count,): each goes to the smallest one, ties by number."""
    most = int(sizes.max(initial=0)) + -(-count // len(sizes)) + 1
    free = most - sizes
    clusters = np.repeat(np.arange(len(sizes)), free)
    level = np.arange(len(clusters)) - np.repeat(np.cumsum(free) - free, free) + np.repeat(sizes, free)
    return clusters[np.lexsort((clusters, level))][:count]
