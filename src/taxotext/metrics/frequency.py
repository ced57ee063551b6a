"""Metrics for frequent and rare labels apart, by the number of their training documents.

Bins, with the limits 20 and 100 (many, medium and few shots of Liu et al. 2019) unless others are given:

    head: more than 100      middle: 20 to 100      tail: 1 to 19      unseen: 0

Absolute numbers, because they say how much a model had to learn from. For each bin that has labels:

* ``BIN_labels``: how many labels are in it.
* ``BIN_macro_f1``: mean F1 over them.
* ``BIN_p@k``: what hits on its labels add to ``p@k``; the bins add up to ``p@k``.

Gold labels that the model does not know are unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from taxotext.metrics.ranking import check_ks
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray

BINS = ("unseen", "tail", "middle", "head")


class FrequencyBins:
    """Accumulates hits by frequency of labels; see the module for the definitions.

    Args:
        labels: L, the number of gold columns.
        counts: (N,) training documents of the first N <= L labels.
        ks: the cut-offs.
        limits: the fewest documents of a middle label, and the most.

    Attributes:
        of_label: (L,) the bin of each label, an index into :data:`BINS`.
    """

    def __init__(
        self, labels: int, counts: Any, ks: Sequence[int] = (1, 3, 5), limits: tuple[int, int] = (20, 100)
    ) -> None:
        low, high = limits
        if not 1 <= low <= high:
            raise ValueError(f"limits is {limits}; two numbers from 1 upwards in order are needed")
        self.ks = check_ks(ks)
        given = train_counts(counts, labels)
        self.of_label: IntArray = (given > 0).astype(np.int64) + (given >= low) + (given > high)
        self.documents = 0
        self._hits: IntArray = np.zeros((len(BINS), max(self.ks)), dtype=np.int64)  # by place in the ranking

    def add(self, top: IntArray, hits: BoolArray) -> None:
        """Add a batch of rankings, (B, K) with -1 as pad, and their hits (B, K)."""
        places = np.nonzero(hits)[1]
        bins = self.of_label[top[hits]]
        depth = self._hits.shape[1]
        self._hits += np.bincount(bins * depth + places, minlength=self._hits.size).reshape(self._hits.shape)
        self.documents += top.shape[0]

    def compute(self, f1: FloatArray) -> dict[str, float]:
        """Return the metrics of all bins that have labels, the most frequent first; ``f1`` (L,) of each label."""
        result = {}
        size = np.bincount(self.of_label, minlength=len(BINS))
        for index in reversed(range(len(BINS))):
            if size[index] == 0:
                continue
            name = BINS[index]
            result[f"{name}_labels"] = float(size[index])
            result[f"{name}_macro_f1"] = float(f1[self.of_label == index].mean())
            if self.documents:
                hits = np.cumsum(self._hits[index])
                result.update({f"{name}_p@{k}": float(hits[k - 1] / (k * self.documents)) for k in self.ks})
        return result


def train_counts(counts: Any, labels: int) -> IntArray:
    """Return the training documents of each of ``labels`` labels, (L,) int64, 0 for those beyond ``counts``.

    Raises:
        ValueError: there are more than L, or one is not a number from 0 upwards.
    """
    given = np.asarray(counts)
    if given.ndim != 1 or given.size > labels or (given.size and (given.dtype.kind not in "iu" or given.min() < 0)):
        raise ValueError(
            f"train_counts has shape {given.shape} and type {given.dtype}; whole numbers from 0 for at most {labels} "
            "labels are needed"
        )
    return np.pad(given.astype(np.int64), (0, labels - given.size))
