"""TF-IDF of a text without single pieces of it, from the features of the text and what each piece changes."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.models.tfidf import Tfidf

SMALLEST = 1e-6
"""Squared lengths below it are what rounding leaves of 0: a feature adds the square of its idf, which is 1 or more."""
_TOKENS, _BLANKS = re.compile(r"\w+"), re.compile(r"\S+")


@dataclass(frozen=True)
class FeatureChanges:
    """Vectors of C changed texts: (values + changes_c) · scales_c."""

    values: csr_array  # (1, V), frequency times idf of the whole text, before it is brought to length 1
    changes: csr_array  # (C, V), what has to be added
    scales: NDArray[np.float64]  # (C,) one by the length of the changed vector, 0 for a text without features


def changes(features: Tfidf, text: str, cuts: NDArray[np.int64], replacement: str) -> FeatureChanges | None:
    """Return what leaving out single pieces changes; None for features that are not counted in words or letters.

    Only the surroundings of a piece are analysed again: n - 1 words on both sides for n-grams of words, the letters up
    to the next blanks for those of letters. All other n-grams are counted in both, and cancel.

    Args:
        features: fitted.
        text: one document.
        cuts: (C, 2) int64, first character and the one behind the last of each piece.
        replacement: what the piece is replaced by.
    """
    settings = features.settings
    if settings.analyzer == "given":
        return None
    analyze, columns, idf = features.analyzer(), features.columns, features.idf
    words = settings.analyzer == "word"
    around = _Surroundings(text, words, settings.ngrams[1] - 1 if words else 0, settings.lowercase)
    base = Counter(columns[feature] for feature in analyze(text) if feature in columns)

    def value(column: int, count: int) -> float:
        frequency = 0.0 if count == 0 else 1 + np.log(count) if settings.sublinear else count
        return float(frequency * idf[column])

    values = {column: value(column, count) for column, count in base.items()}
    square = sum(one * one for one in values.values())
    indptr, indices, data = [0], [], []
    scales = np.zeros(len(cuts))
    for place, (start, stop) in enumerate(cuts.tolist()):
        low, high = around(start, stop)
        moved = Counter(analyze(text[low:start] + replacement + text[stop:high]))
        moved.subtract(analyze(text[low:high]))
        length = square
        for feature, difference in moved.items():
            column = columns.get(feature) if difference else None
            if column is None:
                continue
            old, new = values.get(column, 0.0), value(column, base[column] + difference)
            indices.append(column)
            data.append(new - old)
            length += new * new - old * old
        indptr.append(len(indices))
        if length > SMALLEST:
            scales[place] = 1 / np.sqrt(length)
    there = np.fromiter(values, np.int64, len(values))
    row = csr_array(
        (np.fromiter(values.values(), np.float64, len(values)), (np.zeros_like(there), there)),
        shape=(1, len(features)),
    )
    sizes = (len(cuts), len(features))
    changed = csr_array((np.asarray(data, np.float64), np.asarray(indices, np.int64), np.asarray(indptr)), shape=sizes)
    return FeatureChanges(row, changed, scales)


class _Surroundings:
    """How far around a piece of a text n-grams reach."""

    def __init__(self, text: str, words: bool, more: int, lowercase: bool) -> None:
        spans = [match.span() for match in (_TOKENS if words else _BLANKS).finditer(text)]
        self._starts, self._stops = [start for start, _ in spans], [stop for _, stop in spans]
        self._more, self._length = more, len(text)
        # The lower case of this letter depends on what is far around it.
        self._whole = lowercase and "Σ" in text

    def __call__(self, start: int, stop: int) -> tuple[int, int]:
        if self._whole:
            return 0, self._length
        first = bisect_right(self._stops, start - 1) - self._more  # of the tokens that touch or follow the piece
        last = bisect_left(self._starts, stop + 1) - 1 + self._more
        low = 0 if first <= 0 else min(self._starts[first], start) if first < len(self._starts) else start
        high = self._length if last >= len(self._stops) - 1 else max(self._stops[last], stop) if last >= 0 else stop
        return low, high
