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
from scipy.sparse import coo_array, csr_array, eye_array

from taxotext.metrics.average_precision import precisions
from taxotext.metrics.scores import as_scores, gold_entries
from taxotext.metrics.sparse import IntArray, Sets, as_closure, as_sets, close_upward


class HierarchicalCurve:
    """Accumulates hF1-AUC over batches of documents; see the module for the definition.

    Args:
        labels: L, the number of gold columns.
        closure: (N, N) bool sparse with N <= L, row i True at i and at its ancestors; labels beyond have none.
    """

    def __init__(self, labels: int, closure: Any) -> None:
        self.labels = labels
        self.closure = as_closure(closure, labels)
        self._steps = _steps_up(self.closure)
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
        by_label = np.array(scores.T, order="C")
        for parents, children, starts in self._steps:
            below = np.maximum.reduceat(by_label[children], starts)
            by_label[parents] = np.maximum(by_label[parents], below)
        return np.ascontiguousarray(by_label.T)


def _steps_up(closure: Sets) -> list[tuple[IntArray, IntArray, IntArray]]:
    """The edges of a closure, the lowest level first, in each step those to the parents of one level.

    Edges are far fewer than the pairs of the closure, and what a label hands up is complete when its turn comes.

    Returns:
        For each step: parents (P,), their children one parent after the other (C,), and where each parent's start (P,).
    """
    labels = closure.shape[0]
    given: Any = closure
    whole: Any = csr_array(given.astype(np.int32))
    above = whole - eye_array(labels, dtype=np.int32, format="csr")
    above.eliminate_zeros()
    # A pair is an edge where no third label lies between.
    edges = coo_array(above - above.multiply((above @ above) > 0))
    children, parents = (index[edges.data > 0].astype(np.int64) for index in edges.coords)
    level = np.zeros(labels, dtype=np.int64)
    while True:
        deeper = level.copy()
        np.maximum.at(deeper, children, level[parents] + 1)
        if (deeper == level).all():
            break
        level = deeper
    order = np.lexsort((parents, -level[parents]))
    children, parents = children[order], parents[order]
    steps = []
    for part in np.split(np.arange(parents.size), np.flatnonzero(np.diff(level[parents])) + 1):
        if part.size:
            found, starts = np.unique(parents[part], return_index=True)
            steps.append((found, children[part], starts))
    return steps
