"""Scores that agree with the taxonomy: maxima carried up, minima carried down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxotext.decoding.blocks import ScoreBlock, look_up
from taxotext.metrics.sparse import IntArray, from_keys, keys, keys_above

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy


class _Step(NamedTuple):
    """The edges into the nodes of one level: ``sources`` grouped by target, each group from its start."""

    targets: NDArray[np.int64]
    sources: NDArray[np.int64]
    starts: NDArray[np.int64]


class Propagation:
    """Carries scores along the edges of a taxonomy.

    In a dense block each level is one vectorised step. In a sparse block the entries are taken together with their
    ancestors:

    * ``up``: an ancestor of a candidate becomes a candidate, if it is none yet, with the largest score of the
      candidates at or below it.
    * ``down``: the score of a candidate becomes the minimum over itself and its ancestors. An ancestor that is no
      candidate counts as 0, so the candidate gets the score 0; it stays a candidate, which no threshold lets pass.

    This is what happens in a dense block where labels that are not candidates hold minus infinity, candidates are then
    cut at 0 from below, and a mask keeps the other labels out of every choice.

    Args:
        taxonomy: the N labels.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        parents, children = np.asarray(taxonomy.edge_index, dtype=np.int64)
        level = np.asarray(taxonomy.levels, dtype=np.int64)
        self._taxonomy = taxonomy
        self._up = _steps(parents, children, level)[::-1]
        self._down = _steps(children, parents, level)

    def up(self, block: ScoreBlock) -> ScoreBlock:
        """Return the block in which every score is the maximum of itself and those of all descendants."""
        if block.is_sparse:
            return ScoreBlock(self._candidates_up(block.candidates), block.sets)
        return self._dense(block, np.maximum, self._up)

    def down(self, block: ScoreBlock) -> ScoreBlock:
        """Return the block in which every score is the minimum of itself and those of all ancestors."""
        if block.is_sparse:
            return ScoreBlock(self._candidates_down(block.candidates), block.sets)
        return self._dense(block, np.minimum, self._down)

    def _dense(self, block: ScoreBlock, best: np.ufunc, steps: list[_Step]) -> ScoreBlock:
        values = np.array(block.dense.T, order="C")  # (N, b): a step then reads whole rows
        for step in steps:
            found = best.reduceat(values[step.sources], step.starts, axis=0)
            values[step.targets] = best(values[step.targets], found)
        return ScoreBlock(np.ascontiguousarray(values.T), block.sets)

    def _candidates_up(self, scores: Any) -> Any:
        found = [
            _largest(above, np.repeat(scores.data[part], np.diff(starts, append=above.size)))
            for part, above, starts in keys_above(scores, self._taxonomy.closure)
        ]
        if not found:
            return scores
        every, values = (np.concatenate(part) for part in zip(*found, strict=True))
        return from_keys(*_largest(every, values), scores.shape)

    def _candidates_down(self, scores: Any) -> Any:
        own, result = keys(scores), np.empty_like(scores.data)
        for part, above, starts in keys_above(scores, self._taxonomy.closure):
            result[part] = np.minimum.reduceat(look_up(own, scores.data, above), starts)
        return type(scores)((result, scores.indices, scores.indptr), shape=scores.shape)


def _largest(given: IntArray, values: NDArray[np.float32]) -> tuple[IntArray, NDArray[np.float32]]:
    """Return the distinct keys, ascending, and the largest value of each; at least one."""
    order = np.argsort(given, kind="stable")
    ordered = given[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[starts], np.maximum.reduceat(values[order], starts)


def _steps(targets: NDArray[np.int64], sources: NDArray[np.int64], level: NDArray[np.int64]) -> list[_Step]:
    """Group the edges by the level of their target (ascending), within it by target."""
    if not targets.size:
        return []
    order = np.lexsort((targets, level[targets]))
    targets, sources = targets[order], sources[order]
    steps = []
    bounds = np.flatnonzero(np.diff(level[targets], prepend=-1))
    for first, last in zip(bounds, [*bounds[1:], targets.size], strict=True):
        group, starts = np.unique(targets[first:last], return_index=True)
        steps.append(_Step(group, sources[first:last], starts))
    return steps
