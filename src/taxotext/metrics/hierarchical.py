"""Hierarchical metrics: closed sets, constrained and path F1, and how often predictions break the taxonomy.

Hierarchical precision, recall and F1 (Kiritchenko et al. 2005) count a label together with all its ancestors:
gold and predicted sets are both closed upward first. Three averages, under different keys because the
literature mixes them up:

* ``hierarchical_micro_*``: counts pooled over labels and documents;
* ``hierarchical_macro_*``: mean over labels;
* ``hierarchical_samples_*``: mean over documents (what hiclass calls "macro").

Without ancestors (a flat label set) they equal the flat metrics.

``constrained_micro_*`` and ``constrained_macro_f1`` (C-F1, Yu et al. 2022): a predicted label is right only when it is
gold and all its ancestors are predicted as well; otherwise it is a wrong prediction and, if it is gold, a miss.

``path_micro_*`` and ``path_macro_f1`` (P-F1, Ji et al. 2023): a path is a label that has no descendant in its set,
together with all its ancestors. A predicted path is right when its end is the end of a gold path and all ancestors are
predicted. The macro average is over the labels that end some gold path; without any, ``zero_division``.

``violation_rate`` = share of predicted (document, label) pairs of which at least one ancestor is not
predicted, and ``violating_documents`` = share of documents with at least one such pair; both of the
predictions as they are given. With nothing predicted both are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from taxotext.metrics.sets import SetMetrics, per_label, ratio
from taxotext.metrics.sparse import (
    BoolArray,
    IntArray,
    Sets,
    as_closure,
    as_pair,
    as_sets,
    complete,
    contains,
    keys,
    row_of_entry,
)

_METRICS = tuple(
    f"{mean}_{metric}" for mean in ("micro", "macro", "samples") for metric in ("precision", "recall", "f1")
)


class HierarchicalMetrics:
    """Accumulates the hierarchical metrics over batches of documents; see the module for the definitions.

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
        # Per label: right, predicted and gold; of labels and of paths that end there.
        self._constrained: IntArray = np.zeros((3, labels), dtype=np.int64)
        self._paths: IntArray = np.zeros((3, labels), dtype=np.int64)

    def update(self, gold: Sets, predicted: Sets) -> None:
        """Add a batch: gold and predicted, (B, L) bool sparse each.

        Raises:
            ValueError: the shapes differ, or there are not L columns.
        """
        gold, predicted = as_pair(gold, predicted, self.closed.labels)
        if self._flat:
            self.closed.update(gold, predicted)
            whole = gold_ends = predicted_ends = None
        else:
            closed_gold, gold_ends = _closed_with_ends(gold, self.closure)
            closed, predicted_ends = _closed_with_ends(predicted, self.closure)
            self.closed.update(closed_gold, closed)
            whole = complete(predicted, self.closure)
            bad = row_of_entry(predicted)[~whole]
            self._bad_pairs += bad.size
            self._bad_documents += np.unique(bad).size
        self._pairs += predicted.nnz
        _count(self._constrained, gold, predicted, whole)
        _count(self._paths, gold, predicted, whole, gold_ends, predicted_ends)

    def compute(self) -> dict[str, float]:
        """Return the hierarchical metrics of the documents so far.

        Raises:
            ValueError: no document was added.
        """
        zero = self.closed.zero_division
        closed = self.closed.compute()
        result = {f"hierarchical_{metric}": closed[metric] for metric in _METRICS}
        for name, counts in (("constrained", self._constrained), ("path", self._paths)):
            right, given, wanted = (int(total) for total in counts.sum(axis=1))
            result[f"{name}_micro_precision"] = float(ratio(right, given, zero))
            result[f"{name}_micro_recall"] = float(ratio(right, wanted, zero))
            result[f"{name}_micro_f1"] = float(ratio(2 * right, given + wanted, zero))
            tp, fp, fn = counts[0], counts[1] - counts[0], counts[2] - counts[0]
            f1 = per_label(tp, fp, fn, zero_division=zero)["f1"]
            chosen = f1[counts[2] > 0] if name == "path" else f1
            result[f"{name}_macro_f1"] = float(ratio(chosen.sum(), chosen.size, zero))
        result["violation_rate"] = self._bad_pairs / self._pairs if self._pairs else 0.0
        result["violating_documents"] = self._bad_documents / self.closed.documents
        return result


def _count(
    counts: IntArray,
    gold: Sets,
    predicted: Sets,
    whole: BoolArray | None,
    gold_chosen: BoolArray | None = None,
    predicted_chosen: BoolArray | None = None,
) -> None:
    """Add right, predicted and gold entries per label; the masks say which entries are whole or taken at all."""
    labels = counts.shape[1]
    gold_keys, gold_labels = keys(gold), gold.indices
    predicted_keys, predicted_labels = keys(predicted), predicted.indices
    if gold_chosen is not None:
        gold_keys, gold_labels = gold_keys[gold_chosen], gold_labels[gold_chosen]
    if predicted_chosen is not None:
        predicted_keys, predicted_labels = predicted_keys[predicted_chosen], predicted_labels[predicted_chosen]
        whole = None if whole is None else whole[predicted_chosen]
    right = contains(gold_keys, predicted_keys)
    if whole is not None:
        right &= whole
    for row, chosen in enumerate((predicted_labels[right], predicted_labels, gold_labels)):
        counts[row] += np.bincount(chosen, minlength=labels)


def _closed_with_ends(sets: Sets, closure: Sets) -> tuple[Sets, BoolArray]:
    """Return the sets with all ancestors added, and of each entry of ``sets`` whether it has no descendant there."""
    below: Any = sets.astype(np.int32) @ closure.astype(np.int32)  # (B, L) how many set labels lie at or below
    below.sort_indices()
    # Every set label is in its closed set; those of which it alone lies at or below are ends.
    alone = keys(below)[below.data == 1]
    return as_sets(below), contains(alone, keys(sets))
