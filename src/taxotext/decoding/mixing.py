"""Mixtures of the scores of several systems, and their weights from documents that no system was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.decoding.blocks import ScoreBlock, look_up
from taxotext.decoding.decoder import Decoder
from taxotext.metrics import Evaluation
from taxotext.metrics.sparse import keys

Combine = Literal["mean", "max"]
"""How scores are combined without a fit."""
Weights = NDArray[np.float64]
STEPS = {2: 100, 3: 20}
"""Steps from 0 to 1 of the weights of so many members; more members have ten."""


def mix(blocks: Sequence[ScoreBlock], weights: Weights, combine: Combine) -> ScoreBlock:
    """The weighted mean, or the maximum, of the scores that several systems give to the same documents.

    What is no candidate of a sparse block has score 0. The mixture is sparse where all blocks are.

    Args:
        blocks: K of one shape (b, N).
        weights: (K,), sum 1; of the mean.
        combine: "mean" or "max".
    """
    shape = blocks[0].shape
    if all(block.is_sparse for block in blocks):
        table = ScoreTable.of([block.candidates for block in blocks])
        return table.mixed(weights, combine)
    total = np.zeros(shape, dtype=np.float32)
    for block, weight in zip(blocks, weights, strict=True):
        if block.is_sparse:
            found: Any = block.candidates.tocoo()
            rows, columns, values = found.row, found.col, found.data
            if combine == "mean":
                total[rows, columns] += np.float32(weight) * values
            else:
                total[rows, columns] = np.maximum(total[rows, columns], values)
        elif combine == "mean":
            total += np.float32(weight) * block.dense
        else:
            np.maximum(total, block.dense, out=total)
    return ScoreBlock(np.minimum(total, np.float32(1.0)))


@dataclass(frozen=True)
class Sweep:
    """What weights were tried."""

    tried: Weights  # (M, K) weights
    values: Weights  # (M,) metric of each mixture
    chosen: int  # place of the best one

    @property
    def weights(self) -> Weights:
        """(K,), the best ones."""
        best: Weights = self.tried[self.chosen]
        return best


def sweep(scores: Sequence[Any], gold: csr_array, decoder: Decoder, metric: str) -> Sweep:
    """Try weights of a mean from 0 to 1 (in steps of 0.01 for two members) and take the best.

    Of equal values the middle of the longest run of equal ones is taken for two members, and the weights nearest to
    equal ones for more: both lie far from where the metric falls.

    Args:
        scores: K sparse (D, N), the scores of the members for D documents.
        gold: csr bool (D, N).
        metric: a name of :class:`~taxotext.metrics.Evaluation`.
    """
    table = ScoreTable.of(scores)
    tried = simplex(len(scores), STEPS.get(len(scores), 10))
    values = np.empty(len(tried))
    for place, weights in enumerate(tried):
        evaluation = Evaluation(gold.shape[1])
        evaluation.update(gold, decoder.decode(table.mixed(weights, "mean"))[0])
        values[place] = evaluation.compute()[metric]
    return Sweep(tried, values, _best(tried, values))


def simplex(members: int, steps: int) -> Weights:
    """All weights of K members that are multiples of 1/steps and have the sum 1: (M, K).

    Those of the last member rise first: for two members the rows are (1 − α, α) with α from 0 to 1.

    >>> simplex(2, 2).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    rows = []
    for bars in combinations(range(steps + members - 1), members - 1):
        edges = [-1, *bars, steps + members - 1]
        rows.append([edges[place + 1] - edges[place] - 1 for place in range(members)])
    return np.asarray(rows[::-1], dtype=np.float64) / steps


def _best(tried: Weights, values: Weights) -> int:
    tied = values >= values.max() - 1e-12
    if tried.shape[1] != 2:
        far = np.abs(tried - 1 / tried.shape[1]).sum(1)
        return int(np.flatnonzero(tied)[np.argmin(far[tied])])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], tied.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]  # runs of tied places, the end not included
    longest = int(np.argmax(ends - starts))
    return int(starts[longest] + ends[longest] - 1) // 2


@dataclass(frozen=True)
class ScoreTable:
    """Scores of K members at the P entries that any of them has."""

    values: Weights  # (K, P), 0 where a member has no entry
    indices: NDArray[np.int32]  # (P,) labels
    indptr: NDArray[np.int64]  # (D + 1,) where the entries of a document begin
    shape: tuple[int, int]  # (D, N)

    @classmethod
    def of(cls, scores: Sequence[Any]) -> ScoreTable:
        """Return the table of K sparse arrays (D, N)."""
        documents, labels = scores[0].shape
        flat = [keys(matrix) for matrix in scores]
        union = np.unique(np.concatenate(flat))
        values = np.stack(
            [look_up(own, matrix.data.astype(np.float64), union) for own, matrix in zip(flat, scores, strict=True)]
        )
        counts = np.bincount(union // max(labels, 1), minlength=documents)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        return cls(values, (union % max(labels, 1)).astype(np.int32), indptr, (documents, labels))

    def mixed(self, weights: Weights, combine: Combine) -> ScoreBlock:
        """Return the weighted mean, or the maximum."""
        return self.with_values(weights @ self.values if combine == "mean" else self.values.max(0))

    def with_values(self, values: Weights) -> ScoreBlock:
        """Return the sparse block with one score (P,) for each entry."""
        data = np.minimum(values, 1.0).astype(np.float32)
        return ScoreBlock(csr_array((data, self.indices, self.indptr), shape=self.shape))
