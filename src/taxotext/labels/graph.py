"""Array functions on directed acyclic graphs of labels: rows, levels, closure, cycles.

Everything works on ``edge_index``, an int64 array ``(2, E)`` whose row 0 holds parents and row 1 children.
Memory is proportional to nodes, edges and (for the closure) pairs of label and ancestor; nothing is ever ``N
x N`` dense.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    BoolMatrix: TypeAlias = sparse.csr_array[np.bool_, tuple[int, int]]

Int32Array: TypeAlias = npt.NDArray[np.int32]
Int64Array: TypeAlias = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """A list of label indexes for each label: list i is ``indices[indptr[i]:indptr[i + 1]]``."""

    indptr: Int64Array
    indices: Int32Array

    def row(self, i: int) -> Int32Array:
        """The (sorted) list of label i, a read-only view."""
        return self.indices[self.indptr[i] : self.indptr[i + 1]]

    def gather(self, rows: npt.NDArray[np.integer]) -> tuple[Int32Array, Int64Array]:
        """The lists of ``rows`` one after the other, and the length of each."""
        starts = self.indptr[rows]
        lengths = self.indptr[np.asarray(rows, dtype=np.int64) + 1] - starts
        return self.indices[_positions(starts, lengths)], lengths


def _positions(starts: Int64Array, lengths: Int64Array) -> Int64Array:
    """``starts[0], starts[0] + 1, ...`` (``lengths[0]`` of them), then ``starts[1], ...``, in one array."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    positions: Int64Array = np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)
    return positions


def frozen(array: npt.NDArray[np.generic]) -> None:
    """Make ``array`` read-only, so that no user of a taxonomy can change it behind another's back."""
    array.setflags(write=False)


def rows_from_pairs(count: int, keys: Int64Array, values: Int64Array) -> Rows:
    """Group ``values`` by ``keys``; each group is sorted."""
    order = np.lexsort((values, keys))
    indptr = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys, minlength=count), out=indptr[1:])
    rows = Rows(indptr, values[order].astype(np.int32))
    frozen(rows.indptr)
    frozen(rows.indices)
    return rows


def _distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values sorted, each once; ``np.unique`` hashes millions of them first, which takes ten times as long."""
    values.sort()
    distinct: npt.NDArray[Any] = values[np.diff(values, prepend=-1) != 0]
    return distinct


def longest_levels(count: int, edge_index: Int64Array) -> Int32Array:
    """Level of each label by the longest path from a root, roots = 1; 0 for labels on or below a cycle."""
    children = rows_from_pairs(count, edge_index[0], edge_index[1])
    waiting = np.bincount(edge_index[1], minlength=count)
    levels = np.zeros(count, dtype=np.int32)
    frontier = np.flatnonzero(waiting == 0)
    level = 1
    while frontier.size:
        levels[frontier] = level
        below, times = np.unique(children.gather(frontier)[0], return_counts=True)
        waiting[below] -= times
        frontier = below[waiting[below] == 0]
        level += 1
    return levels


def shortest_levels(count: int, edge_index: Int64Array) -> Int32Array:
    """Level of each label by the shortest path from a root, roots = 1."""
    children = rows_from_pairs(count, edge_index[0], edge_index[1])
    levels = np.zeros(count, dtype=np.int32)
    frontier = np.flatnonzero(np.bincount(edge_index[1], minlength=count) == 0)
    level = 1
    while frontier.size:
        levels[frontier] = level
        below = children.gather(frontier)[0]
        frontier = _distinct(below[levels[below] == 0])
        level += 1
    return levels


def ancestor_closure(count: int, edge_index: Int64Array, levels: Int32Array) -> BoolMatrix:
    """Sparse ``(N, N)`` matrix, True at (i, j) when j is i or an ancestor of i.

    Level by level from the roots: the ancestors of a label are the union of what its parents have. The work
    is in proportion to the edges times the ancestors of their parents.
    """
    parents = rows_from_pairs(count, edge_index[1], edge_index[0])
    starts = np.zeros(count, dtype=np.int64)
    lengths = np.zeros(count, dtype=np.int64)
    found = np.empty(2 * count, dtype=np.int32)  # the rows in the order of the levels; grows when full
    used = 0
    order = np.argsort(levels, kind="stable")
    cuts: list[int] = np.flatnonzero(np.diff(levels[order], prepend=0, append=-1)).tolist()
    for first, last in pairwise(cuts):
        nodes = order[first:last]
        above, many = parents.gather(nodes)
        inherited = found[_positions(starts[above], lengths[above])]
        owner = np.repeat(np.repeat(np.arange(nodes.size), many), lengths[above])
        itself = np.arange(nodes.size) * count + nodes
        keys = _distinct(np.concatenate([owner * count + inherited, itself]))
        if used + keys.size > found.size:
            found = np.concatenate([found[:used], np.empty(used + keys.size, dtype=np.int32)])
        found[used : used + keys.size] = keys % count
        lengths[nodes] = np.bincount(keys // count, minlength=nodes.size)
        starts[nodes] = used + np.cumsum(lengths[nodes]) - lengths[nodes]
        used += keys.size
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices = found[_positions(starts, lengths)]
    small = used < np.iinfo(np.int32).max
    closure: BoolMatrix = sparse.csr_array(
        (np.ones(used, dtype=np.bool_), indices, indptr.astype(np.int32 if small else np.int64)),
        shape=(count, count),
    )
    closure.has_canonical_format = True  # rows are sorted and without duplicates: no need to look
    for array in (closure.data, closure.indices, closure.indptr):
        frozen(array)
    return closure


def cycles(count: int, edge_index: Int64Array) -> Iterator[list[int]]:
    """Cycles as ``[a, b, ..., a]`` until none is left without their last edges; self loops must be gone."""
    while True:
        found = list(_one_cycle_each(count, edge_index))
        if not found:
            return
        yield from found
        for cycle in found:
            last = (edge_index[0] == cycle[-2]) & (edge_index[1] == cycle[-1])
            edge_index = edge_index[:, ~last]


def _one_cycle_each(count: int, edge_index: Int64Array) -> Iterator[list[int]]:
    """One shortest cycle of every knot of labels."""
    inside = longest_levels(count, edge_index) == 0
    if not inside.any():
        return
    from scipy.sparse import csgraph

    kept = edge_index[:, inside[edge_index[0]] & inside[edge_index[1]]]
    graph = sparse.csr_array((np.ones(kept.shape[1], dtype=np.int8), (kept[0], kept[1])), shape=(count, count))
    _, knots = csgraph.connected_components(graph, directed=True, connection="strong")
    kept = kept[:, knots[kept[0]] == knots[kept[1]]]
    children = rows_from_pairs(count, kept[0], kept[1])
    nodes = np.unique(kept[0])
    _, first = np.unique(knots[nodes], return_index=True)
    for start in np.sort(nodes[first]).tolist():
        yield _shortest_cycle(start, children)


def _shortest_cycle(start: int, children: Rows) -> list[int]:
    came_from: dict[int, int] = {}
    queue = deque([start])
    while start not in came_from:  # ends: every label of a knot is on a cycle through `start`
        node = queue.popleft()
        for child in children.row(node).tolist():
            if child not in came_from:
                came_from[child] = node
                queue.append(child)
    path = [start]
    while len(path) == 1 or path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]
