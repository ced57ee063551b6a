"""Hierarchical metrics: sets closed upward before counting, and how often predictions break the taxonomy.

Hierarchical precision, recall and F1 (Kiritchenko et al. 2005) count a label together with all its ancestors:
gold and predicted sets are both closed upward first. Three averages, under different keys because the
literature mixes them up:

* ``hierarchical_micro_*``: counts pooled over labels and documents;
* ``hierarchical_macro_*``: mean over labels;
* ``hierarchical_samples_*``: mean over documents (what hiclass calls "macro").

Without ancestors (a flat label set) they equal the flat figures.

``violation_rate`` = share of predicted (document, label) pairs of which at least one ancestor is not
predicted, and ``violating_documents`` = share of documents with at least one such pair; both of the
predictions as they are given. With nothing predicted both are 0.
"""

from __future__ import annotations

from typing import Any

from taxotext.metrics.sets import SetMetrics
from taxotext.metrics.sparse import Sets, as_closure, as_sets, close_upward, violations

_FIGURES = tuple(
    f"{mean}_{figure}" for mean in ("micro", "macro", "samples") for figure in ("precision", "recall", "f1")
)


class HierarchicalMetrics:
    """Accumulates the hierarchical metrics over batches of documents.

    Args:
        labels: L, the number of label columns.
        closure: (N, N) bool sparse with N <= L, row i True at i and at its ancestors; labels beyond have
            none.
        zero_division: 0.0 (default) or 1.0, the value of 0/0.
    """

    def __init__(self, labels: int, closure: Any, *, zero_division: float = 0.0) -> None:
        self.closed = SetMetrics(labels, zero_division=zero_division)
        self.closure = as_closure(closure, labels)
        self._flat = self.closure.nnz == labels
        self._pairs = 0
        self._bad_pairs = 0
        self._bad_documents = 0

    def update(self, gold: Sets, predicted: Sets) -> None:
        """Add a batch: gold and predicted, (B, L) bool sparse each.

        Raises:
            ValueError: the shapes differ, or there are not L columns.
        """
        gold = as_sets(gold, "gold", self.closed.labels)
        predicted = as_sets(predicted, "predicted", self.closed.labels)
        if self._flat:
            self.closed.update(gold, predicted)
        else:
            self.closed.update(close_upward(gold, self.closure), close_upward(predicted, self.closure))
            bad = violations(predicted, self.closure)
            self._bad_pairs += int(bad.sum())
            self._bad_documents += int((bad > 0).sum())
        self._pairs += predicted.nnz

    def compute(self) -> dict[str, float]:
        """Return the hierarchical metrics of the documents so far.

        Raises:
            ValueError: no document was added.
        """
        closed = self.closed.compute()
        result = {f"hierarchical_{figure}": closed[figure] for figure in _FIGURES}
        result["violation_rate"] = self._bad_pairs / self._pairs if self._pairs else 0.0
        result["violating_documents"] = self._bad_documents / self.closed.documents
        return result
