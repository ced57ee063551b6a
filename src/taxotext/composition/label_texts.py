"""Texts of labels: names and descriptions, or the words that tell their documents from others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from taxotext.data import Corpus
    from taxotext.labels import Taxonomy

_WORD = re.compile(r"[^\W\d_]{2,}")


def names_of_labels(taxonomy: Taxonomy) -> list[str]:
    """Names and description of each label; its id where it has neither."""
    named = [", ".join(taxonomy.all_names(label)) for label in range(len(taxonomy))]
    return [f"{name}. {text}" if text else name for name, text in zip(named, taxonomy.descriptions, strict=True)]


def words_of_labels(taxonomy: Taxonomy, train: Corpus, words: int = 20) -> list[str]:
    """The words of the training documents of each label that weigh most; its name where it has no documents.

    A word weighs (documents of the label that have it) * ln(all documents / documents that have it); ties go to the
    alphabet.
    """
    documents = [sorted({word.lower() for word in _WORD.findall(text)}) for text in train.texts]
    vocabulary = sorted({word for found in documents for word in found})
    place = {word: position for position, word in enumerate(vocabulary)}
    indices = np.asarray([place[word] for found in documents for word in found], dtype=np.int64)
    starts = np.cumsum([0, *(len(found) for found in documents)])
    counts = csr_array((np.ones(len(indices)), indices, starts), shape=(len(documents), len(vocabulary)))
    frequency = np.asarray(counts.sum(axis=0)).ravel()
    rarity = np.log(len(documents) / np.maximum(frequency, 1))
    of_labels = csr_array(train.known_targets.T.astype(np.float64) @ counts)  # (N, V)
    found = names_of_labels(taxonomy)
    for label in range(len(taxonomy)):
        start, stop = of_labels.indptr[label : label + 2]
        here = of_labels.indices[start:stop]
        weights = of_labels.data[start:stop] * rarity[here]
        best = np.lexsort((here, -weights))[:words]
        if len(best):
            found[label] = " ".join(vocabulary[here[position]] for position in best)
    return found
