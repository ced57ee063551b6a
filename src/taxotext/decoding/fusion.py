"""A learned fusion of the scores of several systems, shared by all labels.

For a document and a label with scores p_1 .. p_K, and n training documents of the label:

    p = σ(b + u f + Σ_k [(w_k + v_k f) x_k + c_k a_k])      f = ln(1 + n)
    x_k = logit p_k,  a_k = 0                               where p_k ≥ FLOOR
    x_k = logit FLOOR, a_k = 1                              where it is smaller, or the label is no candidate

No coefficient belongs to a label: labels without training documents are served as others are. The coefficients have the
smallest log loss over the pairs that some system gives FLOOR or more, with a normal prior around the mean of the
logits (w_k = 1/K, all others 0): few documents change little, and enough make a calibrated probability. A pair that
no system gives FLOOR keeps its largest score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.heldout import FLOOR
from taxotext.decoding.mixing import ScoreTable
from taxotext.metrics.sparse import contains, keys

Numbers = NDArray[np.float64]
PRIOR_SPREAD = 1.0
"""Standard deviation of a coefficient around the mean of the logits."""
FOLDS = 5
STEPS, TOLERANCE = 50, 1e-8
TOGETHER = 1 << 18
"""Pairs whose features are made at a time."""
NEAREST = 1e-6
"""Distance from 1 that logits keep."""


@dataclass(frozen=True)
class Fusion:
    """A fitted fusion of K systems."""

    coefficients: Numbers  # (3K + 2,): b, u, then w, v and c of the K systems

    @classmethod
    def of_mean(cls, members: int) -> Self:
        """The mean of the logits, which a fit starts from."""
        return cls(np.concatenate([[0.0, 0.0], np.full(members, 1 / members), np.zeros(2 * members)]))

    @classmethod
    def fit(cls, values: Numbers, gold: NDArray[np.bool_], counts: NDArray[np.int64]) -> Self:
        """Fit by Newton's method.

        Args:
            values: (K, P) scores of pairs, 0 where a label is no candidate.
            gold: (P,) whether the label is one of the document.
            counts: (P,) training documents of the label.
        """
        start = cls.of_mean(len(values)).coefficients
        features = _features(values, counts)
        found = start.copy()
        value = _objective(features, gold, found, start)
        for _ in range(STEPS):
            p = _sigmoid(features @ found)
            gradient = features.T @ (p - gold) + (found - start) / PRIOR_SPREAD**2
            curvature = (features * (p * (1 - p))[:, None]).T @ features + np.eye(len(found)) / PRIOR_SPREAD**2
            step = np.linalg.solve(curvature, gradient)
            scale = 1.0
            while (next_value := _objective(features, gold, found - scale * step, start)) > value and scale > 1e-6:
                scale /= 2  # far from the minimum a whole step may lead uphill
            if next_value > value:
                break
            found, decrease, value = found - scale * step, value - next_value, next_value
            if decrease <= TOLERANCE * max(value, 1.0):
                break
        return cls(found)

    @property
    def members(self) -> int:
        """K."""
        return (len(self.coefficients) - 2) // 3

    def of_pairs(self, values: NDArray[np.floating[Any]], counts: NDArray[np.int64]) -> Numbers:
        """Probabilities (P,) of pairs, see :meth:`fit`."""
        largest = values.max(0, initial=0.0)
        found = np.where(largest < FLOOR, largest, 0.0)
        above = np.flatnonzero(largest >= FLOOR)
        for start in range(0, len(above), TOGETHER):
            some = above[start : start + TOGETHER]
            found[some] = _sigmoid(_features(values[:, some], counts[some]) @ self.coefficients)
        return found

    def mix(self, blocks: Sequence[ScoreBlock], counts: NDArray[np.int64]) -> ScoreBlock:
        """Fuse the scores that K systems give to the same documents; sparse where all blocks are.

        Args:
            blocks: K of one shape (b, N).
            counts: (N,) training documents of each label.
        """
        if all(block.is_sparse for block in blocks):
            table = ScoreTable.of([block.candidates for block in blocks])
            return table.with_values(self.of_pairs(table.values, counts[table.indices]))
        shape = blocks[0].shape
        values = np.stack([block.candidates.toarray() if block.is_sparse else block.dense for block in blocks])
        flat = values.reshape(len(blocks), -1)
        found = self.of_pairs(flat, np.broadcast_to(counts, shape).ravel())
        return ScoreBlock(found.astype(np.float32).reshape(shape))


def cross_fit(
    scores: Sequence[Any], gold: csr_array, counts: NDArray[np.int64], seed: int
) -> tuple[Fusion, ScoreBlock]:
    """Fit on all documents; and score each by a fusion that did not see it.

    Args:
        scores: K sparse (D, N), the scores of the systems for D documents.
        gold: csr bool (D, N).
        counts: (N,) training documents of each label.

    Returns:
        The fusion of all documents, and the sparse scores (D, N) of folds.
    """
    table = ScoreTable.of(scores)
    documents, labels = table.shape
    rows = np.repeat(np.arange(documents), np.diff(table.indptr))
    # Of pairs below FLOOR the fit knows nothing.
    fit_on = table.values.max(0, initial=0.0) >= FLOOR
    right = contains(keys(gold), rows * labels + table.indices)
    frequency = counts[table.indices]
    fold = np.empty(documents, dtype=np.int64)
    fold[np.random.default_rng(seed).permutation(documents)] = np.arange(documents) % min(FOLDS, documents)
    found = np.empty(len(rows))
    for number in np.unique(fold):
        own = fold[rows] == number
        others = fit_on & ~own
        part = Fusion.fit(table.values[:, others], right[others], frequency[others])
        found[own] = part.of_pairs(table.values[:, own], frequency[own])
    whole = Fusion.fit(table.values[:, fit_on], right[fit_on], frequency[fit_on])
    return whole, table.with_values(found)


def _features(values: NDArray[np.floating[Any]], counts: NDArray[np.int64]) -> Numbers:
    """(P, 3K + 2)."""
    frequency = np.log1p(counts)
    kept = np.clip(values.astype(np.float64), FLOOR, 1 - NEAREST)
    logits = np.log(kept) - np.log1p(-kept)  # (K, P)
    absent = values < FLOOR
    return np.vstack([np.ones_like(frequency), frequency, logits, logits * frequency, absent]).T


def _objective(features: Numbers, gold: NDArray[np.bool_], coefficients: Numbers, start: Numbers) -> float:
    margin = features @ coefficients
    loss = np.logaddexp(0.0, np.where(gold, -margin, margin)).sum()
    return float(loss + ((coefficients - start) ** 2).sum() / (2 * PRIOR_SPREAD**2))


def _sigmoid(margin: Numbers) -> Numbers:
    return np.asarray(np.exp(-np.logaddexp(0.0, -margin)))
