"""Features of texts are those of scikit-learn's vectorizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from taxotext.models.ngrams import NgramFeatures

TEXT = st.lists(st.sampled_from(["a", "A", "bc", "Straße", "İ", "x_1", "日本", "don't", "-", " ", "\n"]), max_size=8)


@given(
    texts=st.lists(TEXT.map(" ".join), min_size=1, max_size=12),
    others=st.lists(TEXT.map("  ".join), max_size=4),
    analyzer=st.sampled_from(["word", "char_wb"]),
    ngrams=st.sampled_from([(1, 1), (1, 2), (2, 3), (3, 3)]),
    least=st.integers(1, 2),
    lowercase=st.booleans(),
    sublinear=st.booleans(),
)
def test_vectors_equal_those_of_scikit_learn(
    texts: list[str],
    others: list[str],
    analyzer: Any,
    ngrams: tuple[int, int],
    least: int,
    lowercase: bool,
    sublinear: bool,
) -> None:
    least = min(least, len(texts))
    theirs = TfidfVectorizer(
        analyzer=analyzer,
        ngram_range=ngrams,
        min_df=least,
        lowercase=lowercase,
        sublinear_tf=sublinear,
        token_pattern=r"(?u)\w+" if analyzer == "word" else None,
    )
    ours = NgramFeatures(analyzer, ngrams, least, None, lowercase, sublinear)
    try:
        expected = theirs.fit_transform(texts).toarray()
    except ValueError:  # no feature is left
        with pytest.raises(ValueError, match="no feature is left"):
            ours.fit_transform(texts)
        return
    np.testing.assert_allclose(ours.fit_transform(texts).toarray(), expected, atol=1e-12)
    assert ours.vocabulary_ == theirs.vocabulary_
    np.testing.assert_allclose(ours.idf_, theirs.idf_)
    assert ours.transform(others).shape == (len(others), len(theirs.vocabulary_))
    if others:
        np.testing.assert_allclose(ours.transform(others).toarray(), theirs.transform(others).toarray(), atol=1e-12)


def test_the_most_frequent_features_are_kept_and_of_equal_ones_the_first() -> None:
    ours = NgramFeatures("word", (1, 1), 1, 2, True, True)
    ours.fit_transform(["d c c", "b b a", "a d"])  # each of them twice
    assert ours.vocabulary_ == {"a": 0, "b": 1}
    ours = NgramFeatures("word", (1, 1), 1, 3, True, True)
    ours.fit_transform(["z z z", "c b", "b a"])
    assert ours.vocabulary_ == {"a": 0, "b": 1, "z": 2}
