"""How far probabilities can be taken at their word: Brier score and expected calibration error.

In multi-label classification each of the D * L pairs of a document and a label is one yes-or-no forecast p with
outcome y. Gold labels that the model does not know are forecasts p = 0.

* ``brier`` = mean of (p - y)^2 over all pairs.
* ``ece`` = sum over bins of |sum of p - sum of y| / (D * L), with 15 bins of equal width (Guo et al. 2017).
* ``ece_equal_mass``: the same with 15 bins of equal numbers of pairs (Nixon et al. 2019). Pairs whose probabilities
  agree to 1/1024 stay in one bin and count with its middle.
* ``ece_top``: the same with equal width over one pair a document, its label with the highest probability (smaller
  index on a tie), as in classification with one label.

Most pairs are near 0, right and certain, so ``brier`` and ``ece`` are small numbers with many labels: compare them
between models on the same labels only. ``ece_top`` is free of that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.metrics.scores import (
    FINEST,
    as_scores,
    coarser,
    fine_bin,
    fine_bins,
    fine_counts,
    fine_middles,
    gold_entries,
)
from taxotext.metrics.sparse import FloatArray, IntArray, Sets, as_sets

_BITS = 10
"""Of the fine bins from which bins of equal mass are joined."""


class CalibrationMetrics:
    """Accumulates Brier score and calibration errors over batches of documents; see the module for the definitions.

    Args:
        labels: L, the number of gold columns.
        bins: how many bins.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> metrics = CalibrationMetrics(2)
    >>> metrics.update(csr_array(np.array([[1, 0]], bool)), np.array([[0.5, 0.0]]))
    >>> {key: round(value, 3) for key, value in metrics.compute().items()}
    {'brier': 0.125, 'ece': 0.25, 'ece_equal_mass': 0.25, 'ece_top': 0.5}
    """

    def __init__(self, labels: int, bins: int = 15) -> None:
        if labels < 1 or bins < 1:
            raise ValueError(f"labels is {labels} and bins {bins}; at least 1 is needed")
        self.labels = labels
        self.bins = bins
        self.documents = 0
        self._squares = 0.0
        # (bins,) each: pairs, sum of probabilities, gold pairs
        self._width = _empty(bins)
        self._top = _empty(bins)
        self._fine = _empty(fine_bins(_BITS))  # without the sum of probabilities, which would cost the most time

    def update(self, gold: Sets, scores: Any) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            scores: (B, N) probabilities of the first N <= L labels.

        Raises:
            ValueError: the shapes do not fit, or a score is not a probability.
        """
        gold = as_sets(gold, "gold", self.labels)
        block = as_scores(scores, gold.shape[0], self.labels)
        self.add(gold, block, fine_counts(block, FINEST))

    def add(self, gold: Sets, scores: NDArray[np.float32], counts: IntArray) -> None:
        """Add a batch that is checked already; ``counts``: its scores in fine bins of :data:`FINEST` bits."""
        documents, labels = scores.shape
        self.documents += documents
        rows, columns = gold_entries(gold, labels)
        of_gold = scores[rows, columns]
        unknown = gold.nnz - rows.size
        # (p - y)^2 = p^2 + y - 2 p y
        self._squares += float(np.einsum("ij,ij->", scores, scores, dtype=np.float64))
        self._squares += gold.nnz - 2.0 * float(of_gold.sum(dtype=np.float64))
        for table in (self._width, self._fine):
            table[0, 0] += documents * (self.labels - labels)
            table[2, 0] += unknown
        size = self._fine.shape[1]
        self._fine[0] += coarser(counts, FINEST, _BITS)
        self._fine[2] += np.bincount(fine_bin(of_gold, _BITS), minlength=size)
        high = np.flatnonzero(scores >= np.float32(1.0 / self.bins))  # few; the rest is in the first bin
        chosen = scores.ravel()[high]
        before = self._width[:2].sum(axis=1)
        _tally(self._width, self._bin(chosen), chosen, self._bin(of_gold))
        total = np.array([scores.size, float(scores.sum(dtype=np.float64))])
        self._width[:2, 0] += total - (self._width[:2].sum(axis=1) - before)
        if labels and documents:
            best = scores.argmax(axis=1)
            row = np.arange(documents)
            hit = np.asarray(gold[row, best]).ravel().astype(np.bool_)
            highest = scores[row, best]
            _tally(self._top, self._bin(highest), highest, self._bin(highest[hit]))

    def compute(self) -> dict[str, float]:
        """Return ``brier``, ``ece``, ``ece_equal_mass`` and ``ece_top``.

        Raises:
            ValueError: no document was added.
        """
        if self.documents == 0:
            raise ValueError("no document was added: there is nothing to compute")
        return {
            "brier": self._squares / (self.documents * self.labels),
            "ece": _error(self._width),
            "ece_equal_mass": _error(_equal_mass(self._fine, self.bins)),
            "ece_top": _error(self._top),
        }

    def reliability(self) -> NDArray[np.void]:
        """Return the reliability diagram of all pairs, by bins of equal width: pairs, mean p and share of y.

        Returns:
            (bins,) with the fields ``low``, ``high``, ``pairs``, ``probability``, ``gold``; nan in empty bins.
        """
        table = np.zeros(
            self.bins, dtype=[("low", "f8"), ("high", "f8"), ("pairs", "i8"), ("probability", "f8"), ("gold", "f8")]
        )
        pairs, probability, gold = self._width
        edges = np.arange(self.bins + 1) / self.bins
        table["low"], table["high"], table["pairs"] = edges[:-1], edges[1:], pairs
        with np.errstate(invalid="ignore"):
            table["probability"], table["gold"] = probability / pairs, gold / pairs
        return table

    def _bin(self, scores: NDArray[np.float32]) -> IntArray:
        """Bins are closed below and open above, the last one closed."""
        found = (scores.astype(np.float64) * self.bins).astype(np.int64)
        return np.minimum(found, self.bins - 1)


def _empty(bins: int) -> FloatArray:
    return np.zeros((3, bins), dtype=np.float64)  # counts stay exact far below 2**53


def _tally(table: FloatArray, bins: Any, scores: NDArray[np.float32], gold_bins: Any) -> None:
    size = table.shape[1]
    table[0] += np.bincount(bins, minlength=size)
    table[1] += np.bincount(bins, weights=scores, minlength=size)
    table[2] += np.bincount(gold_bins, minlength=size)


def _equal_mass(fine: FloatArray, bins: int) -> FloatArray:
    """Join neighbouring fine bins to bins of about as many pairs each."""
    counts, _, gold = fine
    half = np.cumsum(counts) - counts / 2
    place = np.minimum((half * bins / counts.sum()).astype(np.int64), bins - 1)
    return np.stack(
        [np.bincount(place, weights=row, minlength=bins) for row in (counts, counts * fine_middles(_BITS), gold)]
    )


def _error(table: FloatArray) -> float:
    pairs, probability, gold = table
    return float(np.abs(probability - gold).sum() / max(pairs.sum(), 1.0))
