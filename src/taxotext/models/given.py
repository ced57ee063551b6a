"""Feature vectors that are given: texts ``index:value index:value ...`` of svmlight files, for ``linear``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from taxotext.data.records import short
from taxotext.errors import DataError


class GivenFeatures:
    """Parses feature vectors; stands where ``TfidfVectorizer`` does, with its attributes.

    Rows are scaled to length 1, as those of TF-IDF are; values are not changed otherwise.

    Args:
        min_documents: features in fewer documents are left out.
        max_features: keep the most frequent ones; None: all.
        vocabulary: index of a feature, as text -> column; None: found by :meth:`fit_transform`.

    >>> GivenFeatures().fit_transform(["3:0.6 7:0.8", "7:2"]).toarray().round(3)
    array([[0.6, 0.8],
           [0. , 1. ]])
    """

    def __init__(
        self, min_documents: int = 1, max_features: int | None = None, vocabulary: dict[str, int] | None = None
    ) -> None:
        self._min_documents, self._max_features = min_documents, max_features
        self.vocabulary_: dict[str, int] = vocabulary or {}
        self.idf_: NDArray[np.float64] = np.ones(len(self.vocabulary_))

    def build_analyzer(self) -> Callable[[str], list[str]]:
        """Return what cuts a text into its features."""
        return str.split

    def fit_transform(self, texts: Sequence[str]) -> csr_array:
        """Choose the features and return the vectors (D, V).

        Raises:
            ValueError: no feature is left.
            DataError: a text is not a feature vector.
        """
        indptr, indices, values = _parse(texts)
        features, columns, counts = np.unique(indices, return_inverse=True, return_counts=True)
        kept = np.flatnonzero(counts >= self._min_documents)
        if self._max_features is not None and len(kept) > self._max_features:
            kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")[: self._max_features]])
        if len(kept) == 0:
            raise ValueError("no feature is left")
        self.vocabulary_ = {str(feature): column for column, feature in enumerate(features[kept].tolist())}
        self.idf_ = np.ones(len(kept))
        every = csr_array((values, columns.astype(np.int64), indptr), shape=(len(texts), len(features)))
        return _unit_rows(every[:, kept])

    def transform(self, texts: Sequence[str]) -> csr_array:
        """Return the vectors (D, V); features that are not known are left out.

        Raises:
            DataError: a text is not a feature vector.
        """
        indptr, indices, values = _parse(texts)
        known = np.fromiter((int(feature) for feature in self.vocabulary_), np.int64, len(self.vocabulary_))
        column_of = np.fromiter(self.vocabulary_.values(), np.int64, len(self.vocabulary_))
        order = np.argsort(known)
        at = np.searchsorted(known[order], indices)
        at[at == len(known)] = 0
        hit = known[order][at] == indices
        rows = np.repeat(np.arange(len(texts)), np.diff(indptr))[hit]
        shape = (len(texts), len(known))
        return _unit_rows(csr_array((values[hit], (rows, column_of[order][at[hit]])), shape=shape))


def _parse(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Row starts (D + 1,), feature indices and values of all texts, end to end."""
    indptr = np.zeros(len(texts) + 1, dtype=np.int64)
    indices: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float64]] = []
    for row, text in enumerate(texts):
        try:
            pairs = np.array(text.replace(":", " ").split(), dtype=np.float64)
            found = pairs[::2].astype(np.int64)
            sound = text.count(":") * 2 == len(pairs) and len(pairs) == 2 * len(text.split())
            if not (sound and np.isfinite(pairs).all() and (found == pairs[::2]).all() and found.min() >= 0):
                raise ValueError
        except ValueError:
            raise DataError(
                f"The text {short(text)} is not a feature vector; write index:value index:value ..., "
                "or set features.analyzer=word for texts."
            ) from None
        indices.append(found)
        values.append(pairs[1::2])
        indptr[row + 1] = indptr[row] + len(found)
    if not indices:
        return indptr, np.empty(0, np.int64), np.empty(0)
    return indptr, np.concatenate(indices), np.concatenate(values)


def _unit_rows(matrix: csr_array) -> csr_array:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    scaled = csr_array(diags_array(scale) @ matrix)
    if scaled.nnz < 2**31:  # the solvers take 32-bit indices only
        scaled.indices, scaled.indptr = scaled.indices.astype(np.int32), scaled.indptr.astype(np.int32)
    return scaled
