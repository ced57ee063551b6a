"""Metrics of label sets: Hamming and set accuracy, and precision, recall and F1 in every averaging.

Definitions, with tp, fp and fn counted per label over all documents, L labels and D documents:

* ``hamming_loss`` = (sum of fp + fn) / (D * L); ``hamming_accuracy`` = 1 - that.
* ``set_accuracy`` = share of documents whose predicted set equals the gold set; two empty sets are equal.
* ``micro_*``: from tp, fp and fn summed over labels.
* ``macro_*``: mean over **all L labels** of the label's own metric (the label's F1 is 2tp / (2tp + fp + fn)).
* ``macro_f1_of_means``: F1 of macro precision and macro recall, the *other* macro-F1 of the literature.
* ``macro_f1_seen``: the mean over labels seen in training; ``macro_f1_supported``: over labels that some
  document has as gold.
* ``weighted_*``: mean over labels weighted by gold support.
* ``samples_*``: mean over documents. Gold and prediction both empty count 1; one of them empty counts 0.

What is 0/0 for a label (no gold, no prediction), for pooled counts, or for a mean over nothing, is
``zero_division``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray, Sets, as_pair, as_sets, check_labels

PER_LABEL = np.dtype(
    [
        ("label", np.int64),
        ("precision", np.float64),
        ("recall", np.float64),
        ("f1", np.float64),
        ("support", np.int64),
        ("predicted", np.int64),
    ]
)
"""A row of :func:`per_label`: label index, its metrics, gold documents, predicted documents."""

PER_LEVEL = np.dtype(
    [
        ("level", np.int64),
        ("labels", np.int64),
        ("micro_precision", np.float64),
        ("micro_recall", np.float64),
        ("micro_f1", np.float64),
        ("macro_f1", np.float64),
        ("support", np.int64),
        ("predicted", np.int64),
    ]
)
"""A row of :func:`per_level`: the level (1 = top; 0 = outside the taxonomy), its labels and its metrics."""


def ratio(numerator: Any, denominator: Any, zero_division: float = 0.0) -> FloatArray:
    """Divide, with ``zero_division`` where the denominator is 0.

    >>> ratio([1, 0], [2, 0], zero_division=1.0).tolist()
    [0.5, 1.0]
    """
    above, below = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    result = np.full(np.broadcast(above, below).shape, float(zero_division))
    np.divide(above, below, out=result, where=below != 0)
    return result


def check_zero_division(zero_division: float) -> float:
    """Return 0.0 or 1.0; any other value is a ValueError."""
    if zero_division not in (0, 1):
        raise ValueError(f"zero_division is {zero_division!r}; 0.0 or 1.0 is needed")
    return float(zero_division)


def per_label(tp: IntArray, fp: IntArray, fn: IntArray, *, zero_division: float = 0.0) -> NDArray[np.void]:
    """Return the table of all labels, one :data:`PER_LABEL` row each, in label order.

    Args:
        tp, fp, fn: (L,) int64 counts over documents.
        zero_division: the value of 0/0.
    """
    table = np.zeros(len(tp), dtype=PER_LABEL)
    table["label"] = np.arange(len(tp))
    table["precision"] = ratio(tp, tp + fp, zero_division)
    table["recall"] = ratio(tp, tp + fn, zero_division)
    table["f1"] = ratio(2 * tp, 2 * tp + fp + fn, zero_division)
    table["support"] = tp + fn
    table["predicted"] = tp + fp
    return table


def per_level(tp: IntArray, fp: IntArray, fn: IntArray, levels: Any, *, zero_division: float = 0.0) -> NDArray[np.void]:
    """Return the table of levels, one :data:`PER_LEVEL` row for each level that has labels, ascending.

    Args:
        tp, fp, fn: (L,) int64 counts over documents.
        levels: (N,) with N <= L, the level of each label; labels beyond N are outside the taxonomy: level 0.
        zero_division: the value of 0/0.
    """
    level = level_of_label(levels, len(tp))
    count = int(level.max(initial=0)) + 1

    def pooled(values: Any) -> FloatArray:
        # exact: counts stay far below 2**53
        weights = np.asarray(values, dtype=np.float64)
        return np.asarray(np.bincount(level, weights=weights, minlength=count), dtype=np.float64)

    labels = np.bincount(level, minlength=count)
    hit, false, missed = pooled(tp), pooled(fp), pooled(fn)
    table = np.zeros(count, dtype=PER_LEVEL)
    table["level"] = np.arange(count)
    table["labels"] = labels
    table["micro_precision"] = ratio(hit, hit + false, zero_division)
    table["micro_recall"] = ratio(hit, hit + missed, zero_division)
    table["micro_f1"] = ratio(2 * hit, 2 * hit + false + missed, zero_division)
    table["macro_f1"] = ratio(pooled(ratio(2 * tp, 2 * tp + fp + fn, zero_division)), labels)
    table["support"] = hit + missed
    table["predicted"] = hit + false
    return table[labels > 0]


def level_of_label(levels: Any, labels: int) -> IntArray:
    """Return the level of each of ``labels`` labels, (L,) int64, 0 for those beyond ``levels``.

    Raises:
        ValueError: there are more levels than labels, or a level is below 1.
    """
    given = np.asarray(levels)
    if given.ndim != 1 or given.size > labels:
        raise ValueError(f"levels has shape {given.shape}; one level for each of at most {labels} labels is needed")
    if given.size and (not np.issubdtype(given.dtype, np.integer) or given.min() < 1):
        raise ValueError("levels must be integers from 1 (top level) upwards")
    return np.pad(given.astype(np.int64), (0, labels - given.size))


def seen_mask(seen: Any, labels: int) -> BoolArray:
    """Return a (L,) mask of the labels seen in training; labels beyond ``seen`` are unseen.

    Raises:
        ValueError: ``seen`` is not a bool vector of at most L entries.
    """
    given = np.asarray(seen)
    if given.ndim != 1 or given.size > labels or given.dtype != np.bool_:
        raise ValueError(
            f"seen has shape {given.shape} and type {given.dtype}; a bool for each of at most {labels} labels is needed"
        )
    return np.pad(given, (0, labels - given.size))


class SetMetrics:
    """Accumulates the set metrics over batches of documents; see the module for the definitions.

    Args:
        labels: L, the number of label columns.
        zero_division: 0.0 (default) or 1.0, the value of 0/0.

    Attributes:
        tp, fp, fn: (L,) int64 counts so far.
        documents: how many documents were added.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> metrics = SetMetrics(3)
    >>> metrics.update(csr_array(np.array([[1, 1, 0]], bool)), csr_array(np.array([[1, 0, 0]], bool)))
    >>> round(metrics.compute()["micro_f1"], 4)
    0.6667
    """

    def __init__(self, labels: int, *, zero_division: float = 0.0) -> None:
        self.labels = check_labels(labels)
        self.zero_division = check_zero_division(zero_division)
        self.tp: IntArray = np.zeros(labels, dtype=np.int64)
        self.fp: IntArray = np.zeros(labels, dtype=np.int64)
        self.fn: IntArray = np.zeros(labels, dtype=np.int64)
        self.documents = 0
        self._exact = 0
        self._samples = np.zeros(3, dtype=np.float64)  # sums of precision, recall, F1

    def update(self, gold: Sets, predicted: Sets) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            predicted: (B, L) bool sparse.

        Raises:
            ValueError: the shapes differ, or there are not L columns.
        """
        gold, predicted = as_pair(gold, predicted, self.labels)
        both = as_sets(gold.multiply(predicted))
        hits_of_label = np.bincount(both.indices, minlength=self.labels)
        self.tp += hits_of_label
        self.fp += np.bincount(predicted.indices, minlength=self.labels) - hits_of_label
        self.fn += np.bincount(gold.indices, minlength=self.labels) - hits_of_label

        hits, wanted, given = (
            np.diff(both.indptr),
            np.diff(gold.indptr),
            np.diff(predicted.indptr),
        )  # (B,) each
        self._exact += int(((hits == wanted) & (hits == given)).sum())
        empty = (wanted + given == 0).astype(np.float64)  # nothing to find and nothing claimed: perfect
        self._samples += (
            (ratio(hits, given) + empty).sum(),
            (ratio(hits, wanted) + empty).sum(),
            (ratio(2 * hits.astype(np.int64), wanted + given) + empty).sum(),
        )
        self.documents += gold.shape[0]

    def per_label(self) -> NDArray[np.void]:
        """Return the table of labels so far, one :data:`PER_LABEL` row each."""
        return per_label(self.tp, self.fp, self.fn, zero_division=self.zero_division)

    def per_level(self, levels: Any) -> NDArray[np.void]:
        """Return the table of levels so far, one :data:`PER_LEVEL` row each; see :func:`per_level`."""
        return per_level(self.tp, self.fp, self.fn, levels, zero_division=self.zero_division)

    def compute(self, seen: Any = None) -> dict[str, float]:
        """Return all set metrics of the documents so far.

        Args:
            seen: (N,) bool with N <= L, the labels seen in training; adds ``macro_f1_seen``.

        Raises:
            ValueError: no document was added, or ``seen`` does not fit.
        """
        if self.documents == 0:
            raise ValueError("no document was added: there is nothing to compute")
        zero = self.zero_division
        table = self.per_label()
        hit, false, missed = int(self.tp.sum()), int(self.fp.sum()), int(self.fn.sum())
        loss = (false + missed) / (self.documents * self.labels)
        macro = {metric: float(table[metric].mean()) for metric in ("precision", "recall", "f1")}
        result = {
            "hamming_accuracy": 1.0 - loss,
            "hamming_loss": loss,
            "set_accuracy": self._exact / self.documents,
            "micro_precision": float(ratio(hit, hit + false, zero)),
            "micro_recall": float(ratio(hit, hit + missed, zero)),
            "micro_f1": float(ratio(2 * hit, 2 * hit + false + missed, zero)),
            "macro_precision": macro["precision"],
            "macro_recall": macro["recall"],
            "macro_f1": macro["f1"],
            "macro_f1_of_means": float(
                ratio(2 * macro["precision"] * macro["recall"], macro["precision"] + macro["recall"])
            ),
            "macro_f1_supported": self._mean_f1(table, table["support"] > 0),
        }
        if seen is not None:
            result["macro_f1_seen"] = self._mean_f1(table, seen_mask(seen, self.labels))
        support = table["support"].astype(np.float64)
        for metric in ("precision", "recall", "f1"):
            result[f"weighted_{metric}"] = float(ratio((table[metric] * support).sum(), support.sum(), zero))
        for metric, total in zip(("precision", "recall", "f1"), self._samples, strict=True):
            result[f"samples_{metric}"] = float(total) / self.documents
        return result

    def _mean_f1(self, table: NDArray[np.void], chosen: BoolArray) -> float:
        return float(ratio(table["f1"][chosen].sum(), chosen.sum(), self.zero_division))
