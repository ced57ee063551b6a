"""Risk and coverage: what is gained by answering only the documents of which the model is sure.

Documents are sorted by a confidence, the surest first. At coverage n / D the risk is the mean loss of the n surest
documents; ``aurc`` is the mean of that over n = 1..D (Geifman and El-Yaniv 2017; Geifman et al. 2019). Documents of
equal confidence have no order: each counts with their mean loss.

In an evaluation, the loss of a document is 1 - its F1 (0 when gold and prediction are both empty) and its confidence is
the expected number of wrong labels in the prediction, the fewest first: the sum of 1 - p over predicted labels and of p
over the others.

* ``aurc``: area under the risk-coverage curve.
* ``excess_aurc`` = ``aurc`` less that of the best possible order: 0 when documents with smaller loss are always surer.
* ``risk@80%``: risk of the surest 80 % of the documents (rounded up).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.metrics.scores import as_scores
from taxotext.metrics.sets import ratio
from taxotext.metrics.sparse import FloatArray, Sets, as_pair, as_sets, row_of_entry

_SHOWN_COVERAGE = 0.8


def risk_coverage(losses: Any, confidences: Any) -> tuple[FloatArray, FloatArray]:
    """Return the risk-coverage curve.

    Args:
        losses: (D,) of each document.
        confidences: (D,), higher is surer.

    Returns:
        Coverage (D,) = 1/D, ..., 1, and the risk (D,) there.

    Raises:
        ValueError: the shapes differ, there is no document, or a number is not finite.

    >>> coverage, risk = risk_coverage([0.0, 1.0, 0.5, 0.5], [0.9, 0.1, 0.5, 0.6])
    >>> risk.round(4).tolist()
    [0.0, 0.25, 0.3333, 0.5]
    """
    loss, confidence = np.asarray(losses, dtype=np.float64), np.asarray(confidences, dtype=np.float64)
    if loss.ndim != 1 or loss.shape != confidence.shape or loss.size == 0:
        raise ValueError(f"losses has shape {loss.shape} and confidences {confidence.shape}; one of each is needed")
    if not (np.isfinite(loss).all() and np.isfinite(confidence).all()):
        raise ValueError("losses and confidences must be finite numbers")
    order = np.argsort(-confidence, kind="stable")
    _, group, size = np.unique(-confidence[order], return_inverse=True, return_counts=True)
    mean = np.bincount(group, weights=loss[order]) / size
    number = np.arange(1, loss.size + 1)
    return number / loss.size, np.cumsum(mean[group]) / number


class SelectiveMetrics:
    """Accumulates loss and confidence of documents, 16 bytes each; see the module for the definitions.

    Args:
        labels: L, the number of gold columns.
    """

    def __init__(self, labels: int) -> None:
        self.labels = labels
        self._losses: list[FloatArray] = []
        self._confidences: list[FloatArray] = []

    @property
    def documents(self) -> int:
        """How many documents were added."""
        return sum(part.size for part in self._losses)

    def update(self, gold: Sets, predicted: Sets, scores: Any) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            predicted: (B, L) bool sparse.
            scores: (B, N) probabilities of the first N <= L labels.

        Raises:
            ValueError: the shapes do not fit, or a score is not a probability.
        """
        gold, predicted = as_pair(gold, predicted, self.labels)
        self.add(gold, predicted, as_scores(scores, gold.shape[0], self.labels))

    def add(self, gold: Sets, predicted: Sets, scores: NDArray[np.float32]) -> None:
        """Add a batch that is checked already."""
        both = as_sets(gold.multiply(predicted))
        hits, size = np.diff(both.indptr), np.diff(gold.indptr) + np.diff(predicted.indptr)
        self._losses.append(1.0 - ratio(2 * hits, size, 1.0))
        rows, columns = row_of_entry(predicted), predicted.indices
        inside = columns < scores.shape[1]
        chosen = np.zeros(rows.size)
        chosen[inside] = scores[rows[inside], columns[inside]]
        # A predicted label adds 1 - p instead of p.
        errors = scores.sum(axis=1, dtype=np.float64)
        errors += np.bincount(rows, weights=1.0 - 2.0 * chosen, minlength=gold.shape[0])
        self._confidences.append(-errors)

    def curve(self) -> tuple[FloatArray, FloatArray]:
        """Return the risk-coverage curve of the documents so far; see :func:`risk_coverage`.

        Raises:
            ValueError: no document was added.
        """
        if self.documents == 0:
            raise ValueError("no document was added: there is nothing to compute")
        return risk_coverage(np.concatenate(self._losses), np.concatenate(self._confidences))

    def compute(self) -> dict[str, float]:
        """Return ``aurc``, ``excess_aurc`` and ``risk@80%``.

        Raises:
            ValueError: no document was added.
        """
        risk = self.curve()[1]
        losses = np.concatenate(self._losses)
        best = risk_coverage(losses, -losses)[1]
        return {
            "aurc": float(risk.mean()),
            "excess_aurc": max(float(risk.mean() - best.mean()), 0.0),
            f"risk@{_SHOWN_COVERAGE:.0%}": float(risk[math.ceil(_SHOWN_COVERAGE * risk.size) - 1]),
        }
