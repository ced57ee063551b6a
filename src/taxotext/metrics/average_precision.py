"""Average precision: the area under the steps of the precision-recall curve, free of thresholds.

Over a list of scored items of which some are gold, AP is the mean over the gold items of the precision among all
items that score at least as high: items of equal score count together, as in scikit-learn. Three lists, three metrics:

* ``micro_average_precision``: all (document, label) pairs in one list (reported by HMCN and C-HMCNN as AU(PRC)).
* ``macro_average_precision``: the documents under each label; mean over the labels with gold documents.
* ``samples_average_precision``: the labels of each document; mean over the documents with gold labels (label-ranking
  average precision).

Gold labels that the model does not know are never found: each adds 0 to the sum and 1 to the gold items. A mean over
nothing is 0.

Up to 33 million pairs are kept and sorted, exactly. Beyond, full buffers are counted in fine bins: equal scores then
are those that agree to 1/4096 for micro, and for macro to 1/4096 down to 1/8, as the number of labels allows. Above
some 100,000 labels there is no macro metric then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.metrics.scores import FINEST, as_scores, fine_bin, fine_bins, fine_counts, gold_entries
from taxotext.metrics.sparse import FloatArray, IntArray, Sets, as_sets, check_labels

_KEPT_PAIRS = 1 << 25
"""Pairs that are kept together (128 MB of scores; memory is taken as it is filled)."""
_FEWEST_BITS = 3
_COUNTERS = 1 << 24
"""Fine bins of all labels together, two counters of 4 bytes each (128 MB)."""
_LABELS_AT_ONCE = 64
COMPARED = 40
"""Gold labels of a document, on average, up to which each is compared with all labels."""


def average_precision(scores: NDArray[np.floating[Any]], gold: NDArray[np.bool_]) -> float:
    """Return the average precision of one list of items, scores (D,) and gold (D,); 0 without gold items.

    >>> average_precision(np.array([0.9, 0.5, 0.5]), np.array([True, True, False]))
    0.8333333333333333
    """
    found = _terms(np.sort(scores), np.sort(scores[gold]))
    return float(found.mean()) if found.size else 0.0


class AveragePrecision:
    """Accumulates the average precisions over batches of documents; see the module for the definitions.

    Args:
        labels: L, the number of gold columns.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> metrics = AveragePrecision(3)
    >>> metrics.update(csr_array(np.array([[1, 0, 1]], bool)), np.array([[0.9, 0.5, 0.1]]))
    >>> round(metrics.compute()["samples_average_precision"], 4)
    0.8333
    """

    def __init__(self, labels: int) -> None:
        self.labels = check_labels(labels)
        self.documents = 0
        self._documents_with_gold = 0
        self._samples = 0.0
        self._support: IntArray = np.zeros(labels, dtype=np.int64)
        self._buffer: NDArray[np.float32] | None = None  # (rows that fit, N)
        self._every: IntArray = np.zeros(fine_bins(FINEST), dtype=np.int64)  # all pairs so far in fine bins
        self._filled = 0
        self._gold: list[tuple[IntArray, IntArray]] = []  # rows in the buffer, columns
        self._counts: _Counts | None = None

    def update(self, gold: Sets, scores: Any) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            scores: (B, N) probabilities of the first N <= L labels, the same N in every batch.

        Raises:
            ValueError: the shapes do not fit, or a score is not a probability.
        """
        gold = as_sets(gold, "gold", self.labels)
        block = as_scores(scores, gold.shape[0], self.labels)
        self.add(gold, block, fine_counts(block, FINEST))

    def add(self, gold: Sets, scores: NDArray[np.float32], counts: IntArray) -> None:
        """Add a batch that is checked already; ``counts``: its scores in fine bins of :data:`FINEST` bits."""
        labels = scores.shape[1]
        if self._buffer is None:
            self._buffer = np.empty((max(_KEPT_PAIRS // max(labels, 1), 1), labels), dtype=np.float32)
        if self._buffer.shape[1] != labels:
            raise ValueError(f"scores has {labels} labels, and {self._buffer.shape[1]} in the first batch")
        documents = gold.shape[0]
        size = np.diff(gold.indptr).astype(np.int64)
        rows, columns = gold_entries(gold, labels)
        self._every += counts
        self.documents += documents
        self._documents_with_gold += int((size > 0).sum())
        self._support += np.bincount(gold.indices, minlength=self.labels)
        self._samples += float((precisions(scores, rows, columns) / size[rows]).sum())
        first = 0
        while first < documents:
            if self._filled == len(self._buffer):
                self._count()
            last = min(documents, first + len(self._buffer) - self._filled)
            start, self._filled = self._filled, self._filled + last - first
            self._buffer[start : self._filled] = scores[first:last]
            part = slice(*np.searchsorted(rows, [first, last]))
            self._gold.append((rows[part] - first + start, columns[part]))
            first = last

    def compute(self) -> dict[str, float]:
        """Return the average precisions of the documents so far.

        Raises:
            ValueError: no document was added.
        """
        if self.documents == 0:
            raise ValueError("no document was added: there is nothing to compute")
        of_label = self._per_label()
        result = {"micro_average_precision": self._micro()}
        if of_label is not None:
            some = self._support > 0
            result["macro_average_precision"] = float(of_label[some].mean()) if some.any() else 0.0
        result["samples_average_precision"] = self._samples / max(self._documents_with_gold, 1)
        return result

    def per_label(self) -> FloatArray | None:
        """Return the average precision of each label, (L,), nan without gold; None where there are too many labels."""
        of_label = self._per_label()
        return None if of_label is None else np.where(self._support > 0, of_label, np.nan)

    def _micro(self) -> float:
        if self._counts is not None:
            self._count()
            found = _binned(self._every, self._counts.micro)
        else:
            scores, rows, columns = self._kept()
            found = _terms(np.sort(scores, axis=None), np.sort(scores[rows, columns]))
        return float(found.sum()) / max(int(self._support.sum()), 1)

    def _per_label(self) -> FloatArray | None:
        sums = np.zeros(self.labels)
        if self._counts is not None:
            self._count()
            if self._counts.of_label is None:
                return None
            for start, stop in _slabs(self._counts.of_label.shape[1]):
                every, gold = self._counts.of_label[:, start:stop]
                sums[start:stop] = _binned(every, gold).sum(axis=1)
        else:
            scores, rows, columns = self._kept()
            order = np.argsort(columns, kind="stable")
            rows, ends = rows[order], np.searchsorted(columns[order], np.arange(scores.shape[1] + 1))
            for start, stop in _slabs(scores.shape[1]):
                for label, column in enumerate(np.sort(scores[:, start:stop].T, axis=1), start):
                    documents = rows[ends[label] : ends[label + 1]]
                    if documents.size:
                        sums[label] = _terms(column, np.sort(scores[documents, label])).sum()
        return np.asarray(sums / np.maximum(self._support, 1))

    def _kept(self) -> tuple[NDArray[np.float32], IntArray, IntArray]:
        """The scores that are kept, and row and column of the gold ones."""
        if self._buffer is None or not self._gold:
            none = np.zeros(0, dtype=np.int64)
            return np.zeros((0, self.labels), dtype=np.float32), none, none
        rows, columns = (np.concatenate(part) for part in zip(*self._gold, strict=True))
        return self._buffer[: self._filled], rows, columns

    def _count(self) -> None:
        """Count what is kept in bins and forget it."""
        scores, rows, columns = self._kept()
        if self._counts is None:
            self._counts = _Counts(scores.shape[1])
        self._counts.add(scores, rows, columns)
        self._filled, self._gold = 0, []


class _Counts:
    """How many gold pairs lie in each fine bin; and how many pairs, and gold ones, of each label if there is room."""

    def __init__(self, labels: int) -> None:
        self.micro: IntArray = np.zeros(fine_bins(FINEST), dtype=np.int64)
        fitting = [bits for bits in range(FINEST, _FEWEST_BITS - 1, -1) if labels * fine_bins(bits) <= _COUNTERS]
        self._bits = fitting[0] if fitting else 0
        self.of_label: NDArray[np.int32] | None = None
        if fitting:
            self.of_label = np.zeros((2, labels, fine_bins(self._bits)), dtype=np.int32)

    def add(self, scores: NDArray[np.float32], rows: IntArray, columns: IntArray) -> None:
        of_gold = scores[rows, columns]
        self.micro += fine_counts(of_gold, FINEST)
        if self.of_label is None:
            return
        every = self.of_label[0]
        width = every.shape[1]
        for start, stop in _slabs(scores.shape[1]):
            # A label after the other: its bins stay in the cache.
            bins = fine_bin(np.ascontiguousarray(scores[:, start:stop].T), self._bits)
            bins += width * np.arange(stop - start, dtype=np.int32)[:, None]
            found = np.bincount(bins.ravel(), minlength=width * (stop - start))
            every[start:stop] += found.reshape(stop - start, width).astype(np.int32)
        np.add.at(self.of_label[1].reshape(-1), columns * width + fine_bin(of_gold, self._bits), 1)


def _slabs(labels: int) -> Iterator[tuple[int, int]]:
    for start in range(0, labels, _LABELS_AT_ONCE):
        yield start, min(start + _LABELS_AT_ONCE, labels)


def _binned(every: NDArray[Any], gold: NDArray[Any]) -> FloatArray:
    """Gold items of each bin times the precision from that bin upwards; (..., bins) each."""
    at_least = np.cumsum(every[..., ::-1], axis=-1, dtype=np.int64)[..., ::-1]
    gold_at_least = np.cumsum(gold[..., ::-1], axis=-1, dtype=np.int64)[..., ::-1]
    return np.asarray(gold * (gold_at_least / np.maximum(at_least, 1)))


def _terms(every: NDArray[np.floating[Any]], gold: NDArray[np.floating[Any]]) -> FloatArray:
    """The precision among the items that are at least as high as each gold item; both ascending, (gold items,)."""
    return np.asarray((gold.size - np.searchsorted(gold, gold)) / (every.size - np.searchsorted(every, gold)))


def precisions(scores: NDArray[np.float32], rows: IntArray, columns: IntArray) -> FloatArray:
    """The precision among the labels of the document that score at least as high as each gold label, (gold,).

    Args:
        scores: (B, N).
        rows, columns: (gold,) document and label of the gold labels, by document.
    """
    of_gold, labels = scores[rows, columns], scores.shape[1]
    low = _lower(scores, rows, of_gold)
    keys = (rows.astype(np.uint64) << np.uint64(32)) | of_gold.view(np.uint32)
    gold = np.sort(keys)
    ends = np.searchsorted(gold, keys | np.uint64(0xFFFFFFFF), side="right")
    return np.asarray((ends - np.searchsorted(gold, keys)) / np.maximum(labels - low, 1))


def _lower(scores: NDArray[np.float32], rows: IntArray, of_gold: NDArray[np.float32]) -> IntArray:
    """How many labels of the document score lower than each gold label, (gold,).

    Few gold labels are compared with all labels, one after the other: a document of 20,000 labels and 20 gold ones
    takes a fifth of the time of sorting its scores.
    """
    labels = scores.shape[1]
    if rows.size <= COMPARED * len(scores):
        counted = np.empty(rows.size, dtype=np.int64)
        for place, (row, score) in enumerate(zip(rows.tolist(), of_gold, strict=True)):
            counted[place] = np.count_nonzero(scores[row] < score)
        return counted
    ordered = np.sort(scores, axis=1)
    # Bisection of all rows together.
    low, high = np.zeros(rows.size, dtype=np.int64), np.full(rows.size, labels)
    for _ in range(labels.bit_length()):
        middle = np.minimum((low + high) // 2, labels - 1)
        lower = (ordered[rows, middle] < of_gold) & (low < high)
        low, high = np.where(lower, middle + 1, low), np.where(lower, high, middle)
    return low
