"""Average precision: the area under the steps of the precision-recall curve, free of thresholds.

Over a list of scored items of which some are gold, AP is the mean over the gold items of the precision among all
items that score at least as high: items of equal score count together, as in scikit-learn. Three lists, three figures:

* ``micro_average_precision``: all (document, label) pairs in one list (reported by HMCN and C-HMCNN as AU(PRC)).
* ``macro_average_precision``: the documents under each label; mean over the labels with gold documents.
* ``samples_average_precision``: the labels of each document; mean over the documents with gold labels (label-ranking
  average precision).

Gold labels that the model does not know are never found: each adds 0 to the sum and 1 to the gold items. A mean over
nothing is 0.

Up to 4 million pairs are kept and sorted, exactly. Beyond, scores are counted in fine bins (equal scores then are
those that agree to 1/4096 for micro; for macro to 1/32768 down to 1/8, as the number of labels allows). Above some
50,000 labels there is no macro figure then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.metrics.scores import as_scores, fine_bin, fine_bins, gold_entries
from taxotext.metrics.sparse import FloatArray, IntArray, Sets, as_sets

_KEPT_PAIRS = 1 << 22
"""Pairs up to which the figures are exact (16 MB of scores)."""
_MICRO_BITS = 12
_MOST_BITS, _FEWEST_BITS = 15, 3
_COUNTERS = 1 << 23
"""Fine bins of all labels together, two counters of 4 bytes each (64 MB)."""
_COMPARED = 1 << 22
"""Comparisons of a gold label with the labels of its document that are made together."""


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
        if labels < 1:
            raise ValueError(f"labels is {labels}; at least one label is needed")
        self.labels = labels
        self.documents = 0
        self._documents_with_gold = 0
        self._samples = 0.0
        self._support: IntArray = np.zeros(labels, dtype=np.int64)
        self._scores: list[NDArray[np.float32]] = []
        self._gold: list[tuple[IntArray, IntArray]] = []
        self._kept = 0
        self._counts: _Counts | None = None

    def update(self, gold: Sets, scores: Any) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            scores: (B, N) probabilities of the first N <= L labels, the same N in every batch.

        Raises:
            ValueError: the shapes do not fit, or a score is no probability.
        """
        gold = as_sets(gold, "gold", self.labels)
        self.add(gold, as_scores(scores, gold.shape[0], self.labels))

    def add(self, gold: Sets, scores: NDArray[np.float32]) -> None:
        """Add a batch that is checked already."""
        if self._scores and self._scores[0].shape[1] != scores.shape[1]:
            raise ValueError(f"scores has {scores.shape[1]} labels, and {self._scores[0].shape[1]} in the first batch")
        documents = gold.shape[0]
        size = np.diff(gold.indptr).astype(np.int64)
        entries = gold_entries(gold, scores.shape[1])
        self.documents += documents
        self._documents_with_gold += int((size > 0).sum())
        self._support += np.bincount(gold.indices, minlength=self.labels)
        self._samples += float((_precisions(scores, *entries) / size[entries[0]]).sum())
        if self._counts is None and self._kept + scores.size <= _KEPT_PAIRS:
            self._scores.append(scores.copy())
            self._gold.append(entries)
            self._kept += scores.size
            return
        if self._counts is None:
            self._counts = _Counts(scores.shape[1])
            for kept, kept_entries in zip(self._scores, self._gold, strict=True):
                self._counts.add(kept, *kept_entries)
            self._scores, self._gold = [scores[:0]], []
        self._counts.add(scores, *entries)

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
            found = _binned(*self._counts.micro[:, None, :])
        else:
            scores, rows, columns = self._joined()
            found = _sorted_terms(scores.ravel().view(np.uint32), scores[rows, columns].view(np.uint32))
        return float(found.sum()) / max(int(self._support.sum()), 1)

    def _per_label(self) -> FloatArray | None:
        sums = np.zeros(self.labels)
        if self._counts is not None:
            if self._counts.of_label is None:
                return None
            found = _binned(*self._counts.of_label)
            sums[: found.shape[0]] = found.sum(axis=1)
        else:
            scores, rows, columns = self._joined()
            # One sort for all labels: the label goes above the bits of the score.
            label = np.arange(scores.shape[1], dtype=np.uint64) << np.uint64(32)
            items = (scores.view(np.uint32) | label).ravel()
            terms = _sorted_terms(items, items.reshape(scores.shape)[rows, columns])
            sums += np.bincount(columns, weights=terms, minlength=self.labels)
        return np.asarray(sums / np.maximum(self._support, 1))

    def _joined(self) -> tuple[NDArray[np.float32], IntArray, IntArray]:
        if not self._gold:
            none = np.zeros(0, dtype=np.int64)
            return np.zeros((0, self.labels), dtype=np.float32), none, none
        starts = np.cumsum([0, *(len(part) for part in self._scores[:-1])])
        rows = np.concatenate([start + entries[0] for start, entries in zip(starts, self._gold, strict=True)])
        return np.concatenate(self._scores), rows, np.concatenate([entries[1] for entries in self._gold])


class _Counts:
    """How many pairs, and how many gold ones, lie in each fine bin: of all labels, and of each if there is room."""

    def __init__(self, labels: int) -> None:
        self.micro: IntArray = np.zeros((2, fine_bins(_MICRO_BITS)), dtype=np.int64)
        fitting = [bits for bits in range(_MOST_BITS, _FEWEST_BITS - 1, -1) if labels * fine_bins(bits) <= _COUNTERS]
        self._bits = fitting[0] if fitting else 0
        self.of_label: NDArray[np.int32] | None = None
        if fitting:
            self.of_label = np.zeros((2, labels, fine_bins(self._bits)), dtype=np.int32)

    def add(self, scores: NDArray[np.float32], rows: IntArray, columns: IntArray) -> None:
        of_gold = scores[rows, columns]
        size = self.micro.shape[1]
        self.micro[0] += np.bincount(fine_bin(scores.ravel(), _MICRO_BITS), minlength=size)
        self.micro[1] += np.bincount(fine_bin(of_gold, _MICRO_BITS), minlength=size)
        if self.of_label is not None:
            labels = scores.shape[1]
            bins = self.of_label.shape[2]
            every, gold = self.of_label.reshape(2, -1)
            np.add.at(every, (fine_bin(scores, self._bits) + np.arange(labels, dtype=np.int32) * bins).ravel(), 1)
            np.add.at(gold, columns * bins + fine_bin(of_gold, self._bits), 1)


def _binned(every: NDArray[Any], gold: NDArray[Any]) -> FloatArray:
    """Gold items of each bin times the precision from that bin upwards; (..., bins) each."""
    at_least = np.cumsum(every[..., ::-1], axis=-1, dtype=np.int64)[..., ::-1]
    gold_at_least = np.cumsum(gold[..., ::-1], axis=-1, dtype=np.int64)[..., ::-1]
    return np.asarray(gold * (gold_at_least / np.maximum(at_least, 1)))


def _sorted_terms(items: NDArray[Any], gold: NDArray[Any]) -> FloatArray:
    """The precision among the items that are at least as high as each gold item, (gold items,).

    Items of 64 bits are of several lists, named above the lowest 32 bits; only those of the same list count.
    """
    every, found = np.sort(items), np.sort(gold)
    return np.asarray(_at_least(found, gold) / np.maximum(_at_least(every, gold), 1))


def _at_least(ordered: NDArray[Any], items: NDArray[Any]) -> IntArray:
    ends = items | np.asarray(0xFFFFFFFF, dtype=items.dtype)
    return np.asarray(np.searchsorted(ordered, ends, side="right") - np.searchsorted(ordered, items))


def _precisions(scores: NDArray[np.float32], rows: IntArray, columns: IntArray) -> FloatArray:
    """The precision among the labels of the document that score at least as high as each gold label, (gold,)."""
    of_gold = scores[rows, columns]
    above = np.empty(rows.size, dtype=np.int64)
    step = max(1, _COMPARED // max(scores.shape[1], 1))
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        above[part] = (scores[rows[part]] >= of_gold[part, None]).sum(axis=1)
    keys = (rows.astype(np.uint64) << np.uint64(32)) | of_gold.view(np.uint32)
    return np.asarray(_at_least(np.sort(keys), keys) / np.maximum(above, 1))
