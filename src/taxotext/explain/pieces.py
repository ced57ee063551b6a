"""Pieces of texts that are left out: words, and passages of long texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from taxotext.composition.base import System
from taxotext.composition.neural import NeuralSystem
from taxotext.data.tokens import UNKNOWN_WORD
from taxotext.data.words import word_spans
from taxotext.errors import ConfigError

LETTERS_OF_NOTHING = "\ue000\ue000"
"""Letters of a private script, which no feature of letters holds."""
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]|\n\s*\n")
_FEATURES = re.compile(r"\S+")


def words_of(system: System, text: str) -> NDArray[np.int64]:
    """Where the words of a text are, (T, 2): first character and the one behind the last; of feature vectors, where
    the features are.
    """
    if system.reads_vectors():
        found = [match.span() for match in _FEATURES.finditer(text)]
        return np.asarray(found, dtype=np.int64).reshape(-1, 2)
    return word_spans(text)


def passages_of(text: str, words: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Put words together into passages, (P, 2) int64: the first word and the one behind the last.

    Passages end where sentences do. Sentences are joined while they have at most ``longest`` words together; longer
    ones are cut.

    >>> text = "One two. Three four five six seven. Eight."
    >>> passages_of(text, word_spans(text), 4).tolist()
    [[0, 2], [2, 6], [6, 8]]
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    # The first word of each sentence, and the end of the text.
    first = [*np.unique(np.searchsorted(words[:, 0], [0, *ends])).tolist(), len(words)]
    found: list[tuple[int, int]] = []
    start = 0
    for here, after in pairwise(first):
        if after - start > longest and here > start:
            found.append((start, here))
            start = here
        while after - start > longest:
            found.append((start, start + longest))
            start += longest
    if len(words) > start:
        found.append((start, len(words)))
    return np.asarray(found, dtype=np.int64).reshape(-1, 2)


def replacement_of(system: System, mode: str) -> str:
    """What a word is replaced by: nothing, or a word that the system knows nothing of.

    Raises:
        ConfigError: no such mode, or there is no such word for the system.
    """
    if mode == "delete":
        return ""
    if mode != "mask":
        raise ConfigError(f"mode is {mode!r}; choose delete or mask.")
    found = _masks(system)
    if len(found) == 1 and None not in found:
        return str(found.pop())
    reason = "its tokenizer has no mask and no unknown token"
    if len(found) > 1:
        reason = "its members have different words for it"
    raise ConfigError(f"mode is 'mask', and {system.name} cannot mask a word: {reason}; choose delete.")


def _masks(system: System) -> set[str | None]:
    if system.members:
        return set().union(*(_masks(member) for member in system.members))
    if isinstance(system, NeuralSystem):
        return {system.tokenizer.mask()}
    if system.reads_vectors():
        return {None}
    features = getattr(system.settings, "features", None)
    return {LETTERS_OF_NOTHING if getattr(features, "analyzer", "word") != "word" else UNKNOWN_WORD}


def without(text: str, pieces: Sequence[Sequence[int]], replacement: str) -> list[str]:
    """The text without each of some pieces; everything else stays as it is.

    >>> without("a cat purrs", [[2, 5]], "")
    ['a  purrs']
    """
    return [text[:start] + replacement + text[stop:] for start, stop in pieces]
