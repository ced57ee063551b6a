"""TF-IDF vectors of words or of pieces of words. scikit-learn is not imported: that takes a second of CPU time.

Features and values are those of scikit-learn's ``TfidfVectorizer`` with the same settings (the tests compare them); of
equally frequent features at the border of ``max_features`` the first in the alphabet are kept.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

WORD = re.compile(r"\w+")


class NgramFeatures:
    """Turns texts into vectors of length 1 over n-grams, with the attributes of ``TfidfVectorizer``.

    Args:
        analyzer: n-grams of words, or of the characters of each word with a space on both sides.
        ngrams: shortest and longest n-gram.
        min_documents: features in fewer documents are left out.
        max_features: keep those that occur most often; None: all.
        lowercase: fold case.
        sublinear: 1 + ln(count) instead of the count.
        vocabulary: feature -> column; None: found by :meth:`fit_transform`.

    >>> features = NgramFeatures("word", (1, 2), 1, None, True, False)
    >>> features.build_analyzer()("The cat sat")
    ['the', 'cat', 'sat', 'the cat', 'cat sat']
    >>> features.fit_transform(["a b", "b"]).toarray().round(3).tolist()
    [[0.632, 0.632, 0.449], [0.0, 0.0, 1.0]]
    >>> features.vocabulary_
    {'a': 0, 'a b': 1, 'b': 2}
    """

    def __init__(
        self,
        analyzer: Literal["word", "char_wb"],
        ngrams: tuple[int, int],
        min_documents: int,
        max_features: int | None,
        lowercase: bool,
        sublinear: bool,
        vocabulary: dict[str, int] | None = None,
    ) -> None:
        self._analyzer, self._ngrams, self._lowercase = analyzer, ngrams, lowercase
        self._min_documents, self._max_features, self._sublinear = min_documents, max_features, sublinear
        self.vocabulary_: dict[str, int] = vocabulary or {}
        self.idf_: NDArray[np.float64] = np.ones(len(self.vocabulary_))

    def build_analyzer(self) -> Callable[[str], list[str]]:
        """Return what cuts a text into its features, each as often as it occurs."""
        cut = _words if self._analyzer == "word" else _pieces
        shortest, longest = self._ngrams

        def analyze(text: str) -> list[str]:
            return cut(text.lower() if self._lowercase else text, shortest, longest)

        return analyze

    def fit_transform(self, texts: Sequence[str]) -> csr_array:
        """Choose the features and return the vectors (D, V), float64.

        Raises:
            ValueError: no feature is left.
        """
        self.vocabulary_ = {}
        seen: dict[str, int] = {}
        counts = self._counts(texts, lambda word: seen.setdefault(word, len(seen)))
        documents = np.bincount(counts.indices, minlength=len(seen))
        words = np.asarray(list(seen), dtype=object)
        order = np.argsort(words, kind="stable")
        kept = order[documents[order] >= self._min_documents]
        if self._max_features is not None and len(kept) > self._max_features:
            occurrences = np.bincount(counts.indices, counts.data, minlength=len(seen))[kept]
            kept = kept[np.sort(np.argsort(-occurrences, kind="stable")[: self._max_features])]
        if len(kept) == 0:
            raise ValueError("no feature is left")
        column = np.full(len(seen), -1, dtype=np.int32)
        column[kept] = np.arange(len(kept), dtype=np.int32)
        self.vocabulary_ = {word: at for at, word in enumerate(words[kept].tolist())}
        self.idf_ = np.log((1 + len(texts)) / (1 + documents[kept])) + 1
        return self._weighted(_with_columns(counts, column, len(kept)))

    def transform(self, texts: Sequence[str]) -> csr_array:
        """Return the vectors (D, V), float64; features that are not known are left out."""
        return self._weighted(self._counts(texts, self.vocabulary_.get))

    def _counts(self, texts: Sequence[str], column_of: Callable[[str], int | None]) -> csr_array:
        """How often each feature occurs in each text."""
        indices, values = array("i"), array("d")
        indptr = np.zeros(len(texts) + 1, dtype=np.int64)
        analyze = self.build_analyzer()
        for row, text in enumerate(texts):
            for word, count in Counter(analyze(text)).items():
                column = column_of(word)
                if column is not None:
                    indices.append(column)
                    values.append(count)
            indptr[row + 1] = len(indices)
        found = np.frombuffer(indices, dtype=np.int32) if indices else np.empty(0, np.int32)
        data = np.frombuffer(values, dtype=np.float64).copy() if values else np.empty(0)
        width = max(len(self.vocabulary_), int(found.max(initial=-1)) + 1)
        return csr_array((data, found.copy(), _small(indptr)), shape=(len(texts), width))

    def _weighted(self, counts: csr_array) -> csr_array:
        """TF-IDF of counts, in place."""
        counts.sort_indices()
        if self._sublinear:
            counts.data = np.log(counts.data) + 1
        counts.data *= self.idf_[counts.indices]
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        lengths = np.sqrt(np.bincount(rows, counts.data**2, minlength=counts.shape[0]))
        counts.data /= lengths[rows]
        return counts


def _words(text: str, shortest: int, longest: int) -> list[str]:
    """N-grams of the words of a text.

    >>> _words("a b c", 2, 3)
    ['a b', 'b c', 'a b c']
    """
    words = WORD.findall(text)
    if (shortest, longest) == (1, 1):
        return words
    found = list(words) if shortest == 1 else []
    for size in range(max(2, shortest), longest + 1):
        found += map(" ".join, zip(*(words[begin:] for begin in range(size)), strict=False))
    return found


def _pieces(text: str, shortest: int, longest: int) -> list[str]:
    """N-grams of the characters of each word, with a space on both sides; a shorter word is one piece, once.

    >>> _pieces("a bc", 2, 4)
    [' a', 'a ', ' a ', ' b', 'bc', 'c ', ' bc', 'bc ', ' bc ']
    """
    return [piece for word in text.split() for piece in _pieces_of(f" {word} ", shortest, longest)]


def _pieces_of(word: str, shortest: int, longest: int) -> Iterator[str]:
    for size in range(shortest, longest + 1):
        yield word[:size]
        for begin in range(1, len(word) - size + 1):
            yield word[begin : begin + size]
        if size >= len(word):
            break


def _with_columns(counts: csr_array, column: NDArray[np.int32], width: int) -> csr_array:
    """The counts with new columns; those whose column is -1 are dropped."""
    indices = column[counts.indices]
    kept = indices >= 0
    ends = np.concatenate([[0], np.cumsum(kept)])[counts.indptr]
    return csr_array((counts.data[kept], indices[kept], _small(ends)), shape=(counts.shape[0], width))


def _small(indptr: NDArray[np.int64]) -> NDArray[np.int64] | NDArray[np.int32]:
    """With 32 bits where they are enough: the solvers take no others."""
    return indptr.astype(np.int32) if indptr[-1] < 2**31 else indptr
