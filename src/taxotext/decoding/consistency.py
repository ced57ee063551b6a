"""Scores and sets that agree with the taxonomy: maxima carried up, minima carried down, level by level."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class _Step(NamedTuple):
    """The edges into the nodes of one level: ``sources`` grouped by target, each group from its start."""

    targets: NDArray[np.int64]
    sources: NDArray[np.int64]
    starts: NDArray[np.int64]


class Propagation:
    """Carries values along the edges of a directed acyclic graph, each level in one vectorised step.

    Args:
        edge_index: (2, E) int, row 0 parent, row 1 child.
        levels: (N,) int, longest path from a root: every parent is on a smaller level than its children.

    Values are (N, B) arrays, one row a label, float or bool (for which maximum is "or" and minimum is "and");
    they are changed in place.
    """

    def __init__(self, edge_index: NDArray[Any], levels: NDArray[Any]) -> None:
        parents = np.asarray(edge_index[0], dtype=np.int64)
        children = np.asarray(edge_index[1], dtype=np.int64)
        level = np.asarray(levels, dtype=np.int64)
        self._up = _steps(parents, children, level)[::-1]
        self._down = _steps(children, parents, level)

    def up(self, values: NDArray[Any]) -> None:
        """Make every row the maximum of itself and the rows of all its descendants."""
        for step in self._up:
            found = np.maximum.reduceat(values[step.sources], step.starts, axis=0)
            values[step.targets] = np.maximum(values[step.targets], found)

    def down(self, values: NDArray[Any]) -> None:
        """Make every row the minimum of itself and the rows of all its ancestors (over every path)."""
        for step in self._down:
            found = np.minimum.reduceat(values[step.sources], step.starts, axis=0)
            values[step.targets] = np.minimum(values[step.targets], found)


def _steps(targets: NDArray[np.int64], sources: NDArray[np.int64], level: NDArray[np.int64]) -> list[_Step]:
    """Group the edges by the level of their target (ascending), within it by target."""
    order = np.lexsort((targets, level[targets]))
    targets, sources = targets[order], sources[order]
    steps = []
    bounds = np.flatnonzero(np.diff(level[targets], prepend=-1)) if targets.size else np.zeros(0, np.int64)
    for first, last in zip(bounds, [*bounds[1:], targets.size], strict=True):
        group, starts = np.unique(targets[first:last], return_index=True)
        steps.append(_Step(group, sources[first:last], starts))
    return steps
