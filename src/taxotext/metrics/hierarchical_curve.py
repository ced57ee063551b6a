"""hF1-AUC: the area under the hierarchical precision-recall curve of each document (Plaud et al. 2024).

As a threshold falls from 1 to 0, the labels that score above it are predicted together with all their ancestors. Gold
labels are closed upward as well. Each threshold gives a point of hierarchical recall and precision of the document. The
curve goes in steps: up to the recall of a point the precision is that of the point. With s_i the maximum score over
label i and the labels below it, the area is the average precision of s over the labels of the document:

    area = mean over gold labels i, ancestors included, of (gold labels j with s_j >= s_i) / (labels j with s_j >= s_i)

``hierarchical_f1_auc`` is its mean over the documents with gold labels; 0 without any.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from taxotext.metrics.average_precision import precisions
from taxotext.metrics.scores import as_scores, gold_entries
from taxotext.metrics.sparse import Sets, as_closure, as_sets, close_upward


class HierarchicalCurve:
    """Accumulates hF1-AUC over batches of documents; see the module for the definition.

    Args:
        labels: L, the number of gold columns.
        closure: (N, N) bool sparse with N <= L, row i True at i and at its ancestors; labels beyond have none.
    """

    def __init__(self, labels: int, closure: Any) -> None:
        self.labels = labels
        self.closure = as_closure(closure, labels)
        below = csc_array(self.closure)  # column i: the rows of i and of its descendants
        self._below, self._starts = below.indices.astype(np.int64), below.indptr[:-1].astype(np.int64)
        self._flat = self.closure.nnz == labels
        self._documents = 0
        self._area = 0.0

    def update(self, gold: Sets, scores: Any) -> None:
        """Add a batch: gold (B, L) bool sparse, scores (B, N) probabilities of the first N <= L labels.

        Raises:
            ValueError: the shapes do not fit, or a score is not a probability.
        """
        gold = as_sets(gold, "gold", self.labels)
        self.add(gold, as_scores(scores, gold.shape[0], self.labels))

    def add(self, gold: Sets, scores: NDArray[np.float32]) -> None:
        """Add a batch that is checked already."""
        if not self._flat:
            gold = close_upward(gold, self.closure)
            scores = self._highest(scores)
        size = np.diff(gold.indptr).astype(np.int64)
        rows, columns = gold_entries(gold, scores.shape[1])
        self._documents += int((size > 0).sum())
        self._area += float((precisions(scores, rows, columns) / size[rows]).sum())

    def compute(self) -> dict[str, float]:
        """Return the mean area of the documents so far."""
        return {"hierarchical_f1_auc": self._area / max(self._documents, 1)}

    def _highest(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The maximum over each label and those below it: (B, N) -> (B, N)."""
        count = scores.shape[1]
        ends = self._starts[count] if count < self.labels else self._below.size
        by_label = np.ascontiguousarray(scores.T)
        return np.ascontiguousarray(np.maximum.reduceat(by_label[self._below[:ends]], self._starts[:count]).T)
