"""The best labels of documents, where all N decision values of a document are never in memory together.

Classifiers of one label against the rest are fitted a few labels at a time. What they say of held-out documents is
merged into the k largest values of each document as it comes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

CELLS = 2**22
"""Values that are sorted, or that wait to be merged, at a time: 16 MB for each array of them."""


class BestLabels:
    """Collects decision values of D documents for N labels, some labels at a time.

    Args:
        documents: D.
        labels: N.
        count: k, values of a document that are kept at most.
        sample: (S,) documents whose values are all kept, for a calibration; S N of them.
        floor: values that are not above it are never kept.
    """

    def __init__(self, documents: int, labels: int, count: int, sample: Ints, floor: float) -> None:
        self.labels, self.count, self.sample, self.floor = labels, count, sample, floor
        self.sampled: Floats = np.full((len(sample), labels), np.float32(floor))
        self._values: Floats = np.zeros((documents, 0), np.float32)
        self._labels: Ints = np.zeros((documents, 0), np.int64)
        self._waiting: list[tuple[Ints, Floats]] = []
        self._whole: csr_array | None = None

    def add(self, labels: Ints, values: Floats) -> None:
        """Take the values (D, G) of G labels, each label once."""
        self.sampled[:, labels] = values[self.sample]
        self._waiting.append((labels, values))
        if sum(waiting.size for _, waiting in self._waiting) >= CELLS:
            self._merge()

    def take(self, kept: csr_array) -> None:
        """Take the values that are kept of all labels (D, N) at once."""
        self._whole = kept

    def matrix(self) -> csr_array:
        """The kept values, float32 CSR (D, N)."""
        if self._whole is not None:
            return self._whole
        self._merge()
        return _rows(self._values, self._labels, self.labels, self.floor)

    def _merge(self) -> None:
        if not self._waiting:
            return
        labels = np.concatenate([own for own, _ in self._waiting])
        width = min(self.count, self._values.shape[1] + len(labels))
        documents = len(self._values)
        kept, names = np.empty((documents, width), np.float32), np.empty((documents, width), np.int64)
        step = max(1, CELLS // (self._values.shape[1] + len(labels)))
        for start in range(0, documents, step):
            part = slice(start, start + step)
            values = np.concatenate([self._values[part], *(own[part] for _, own in self._waiting)], 1)
            own = np.concatenate([self._labels[part], np.broadcast_to(labels, (len(values), len(labels)))], 1)
            places = _largest(values, own, width)
            kept[part], names[part] = (np.take_along_axis(array, places, 1) for array in (values, own))
        self._values, self._labels, self._waiting = kept, names, []


def best_labels(values: Floats, count: int, floor: float) -> csr_array:
    """The ``count`` largest values of each document that are above ``floor``, float32 CSR (b, N).

    Among equal values the label of the smaller number is kept.

    Args:
        values: (b, N).
        count: k.
        floor: see above.
    """
    names = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    places = _largest(values, names, min(count, values.shape[1]))
    return _rows(np.take_along_axis(values, places, 1), places, values.shape[1], floor)


def _largest(values: Floats, labels: Ints, count: int) -> Ints:
    """Places of the ``count`` largest values of each row, those of smaller labels among equal ones."""
    if count >= values.shape[1]:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    places = np.argpartition(-values, count - 1, axis=1)[:, :count]
    least = np.take_along_axis(values, places, 1).min(1)
    # Where more values are equal to the least one than are kept, argpartition takes any of them.
    tied = np.flatnonzero(
        (values == least[:, None]).sum(1) > (np.take_along_axis(values, places, 1) == least[:, None]).sum(1)
    )
    for row in tied.tolist():
        places[row] = np.lexsort((labels[row], -values[row]))[:count]
    return places


def _rows(values: Floats, labels: Ints, width: int, floor: float) -> csr_array:
    real = values > floor
    indptr = np.concatenate([[0], np.cumsum(real.sum(1))])
    found: Any = csr_array((values[real], labels[real], indptr), shape=(len(values), width))
    found.sort_indices()
    return csr_array(found)
