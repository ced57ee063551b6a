"""TF-IDF features of texts, or feature vectors that are given: what the linear systems read. No torch is imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from scipy.sparse import csr_array

from taxotext.data.words import are_unspaced
from taxotext.errors import DataError, ModelFolderError
from taxotext.files.json_files import read_json
from taxotext.models.given import GivenFeatures
from taxotext.models.ngrams import NgramFeatures
from taxotext.settings import Settings

SAMPLED = 500
"""Texts in which features are counted for the estimate of memory."""

LONGEST_NGRAM = 20
"""Words or characters of an n-gram at most: features of longer ones are texts."""

WORDS = "vocabulary.json"


class FeatureSettings(Settings):
    """TF-IDF features."""

    analyzer: Literal["word", "char_wb", "given"] = Field(
        "word",
        description="word; char_wb (with ngrams=[2, 4], say) for languages without spaces; given: svmlight vectors, "
        "used as they are",
    )
    ngrams: tuple[int, int] = Field((1, 1), description="shortest and longest n-gram")
    min_documents: int = Field(2, ge=1, description="rarer features are left out")
    max_features: int | None = Field(None, ge=1, le=2**31 - 1, description="keep the most frequent ones; null: all")
    lowercase: bool = Field(True, description="fold case")
    sublinear: bool = Field(True, description="1 + ln(count) instead of the count")

    @field_validator("ngrams")
    @classmethod
    def _short_to_long(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1]:
            raise ValueError("give the shortest and the longest n-gram, such as [1, 2]")
        if value[1] > LONGEST_NGRAM:
            raise ValueError(f"an n-gram has at most {LONGEST_NGRAM} words or characters")
        return value


class Tfidf:
    """Turns texts into sparse vectors of length 1 over V features."""

    def __init__(self, settings: FeatureSettings) -> None:
        self._settings = settings
        self._vectorizer: GivenFeatures | NgramFeatures | None = None

    def __len__(self) -> int:
        """V; 0 before :meth:`fit`."""
        return len(self._vectorizer.vocabulary_) if self._vectorizer is not None else 0

    @property
    def fitted(self) -> bool:
        """Whether the features are chosen."""
        return self._vectorizer is not None

    @property
    def idf(self) -> NDArray[np.float64]:
        """What the frequency of each feature is multiplied by, (V,)."""
        return np.asarray(self._checked().idf_, dtype=np.float64)

    def fit(self, texts: Sequence[str]) -> csr_array:
        """Choose the features and return the vectors (D, V).

        Raises:
            DataError: no feature is left of the texts.
        """
        vectorizer = self._make(min(self._settings.min_documents, len(texts)))
        try:
            features = vectorizer.fit_transform(texts)
        except ValueError:
            raise DataError(
                "No feature is left of the training texts: each word is in fewer than "
                f"features.min_documents={self._settings.min_documents} texts. Lower it, "
                "or set features.analyzer=char_wb and features.ngrams=[2,4] for languages without spaces."
            ) from None
        self._vectorizer = vectorizer
        return csr_array(features)

    def transform(self, texts: Sequence[str]) -> csr_array:
        """Return the vectors (D, V); what is not among the features is left out."""
        return csr_array(self._checked().transform(texts))

    @property
    def settings(self) -> FeatureSettings:
        """Which features, and their values."""
        return self._settings

    @property
    def columns(self) -> dict[str, int]:
        """The column of each feature."""
        found: dict[str, int] = self._checked().vocabulary_
        return found

    def analyzer(self) -> Callable[[str], list[str]]:
        """What cuts a text into its features, those that are not among the V included."""
        found: Callable[[str], list[str]] = self._checked().build_analyzer()
        return found

    def notes_on(self, texts: Sequence[str]) -> tuple[str, ...]:
        """That the texts have no spaces between words, where words are the features."""
        if self._settings.analyzer != "word" or not are_unspaced(texts):
            return ()
        return (
            "Most texts have no spaces between words, so that whole clauses are taken for words; set "
            "features.analyzer=char_wb and features.ngrams=[2,4].",
        )

    def count_entries(self, texts: Sequence[str]) -> int:
        """About how many entries the vectors of ``texts`` have in sum, counted in :data:`SAMPLED` of them."""
        sample = texts[:: max(1, len(texts) // SAMPLED)]
        analyze = self._make(1).build_analyzer()
        return int(sum(len(set(analyze(text))) for text in sample) / len(sample) * len(texts))

    def save_words(self, folder: Path) -> None:
        """Write ``vocabulary.json``: the features in their order. :attr:`idf` goes among the system's numbers."""
        vocabulary = self._checked().vocabulary_
        words = sorted(vocabulary, key=vocabulary.__getitem__)
        (folder / WORDS).write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")

    def restore(self, words: Sequence[str], idf: NDArray[np.float64]) -> None:
        """Take the features of a model folder: what :func:`read_words` returned, and :attr:`idf`, (V,)."""
        vectorizer = self._make(1, {word: index for index, word in enumerate(words)})
        vectorizer.idf_ = idf
        self._vectorizer = vectorizer

    def _checked(self) -> GivenFeatures | NgramFeatures:
        if self._vectorizer is None:
            raise RuntimeError("the system is not fitted yet")
        return self._vectorizer

    def _make(self, min_documents: int, vocabulary: dict[str, int] | None = None) -> GivenFeatures | NgramFeatures:
        chosen = self._settings
        if chosen.analyzer == "given":
            return GivenFeatures(min_documents, chosen.max_features, vocabulary)
        return NgramFeatures(
            chosen.analyzer,
            chosen.ngrams,
            min_documents,
            chosen.max_features,
            chosen.lowercase,
            chosen.sublinear,
            vocabulary,
        )


def read_words(folder: Path) -> list[str]:
    """Read what :meth:`Tfidf.save_words` wrote.

    Raises:
        ModelFolderError: the file is missing or damaged, or a word is duplicated.
    """
    path = folder / WORDS
    words = read_json(path, list)
    if not words or not all(isinstance(word, str) for word in words):
        raise ModelFolderError(f"{path}: must be a JSON list of words; save the model again.")
    if len(set(words)) != len(words):
        raise ModelFolderError(f"{path}: holds a word twice; save the model again.")
    return words
