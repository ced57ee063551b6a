"""Where the names of labels occur in texts: whole blocks of texts at once, without a loop over labels or matches.

A name is a multiset of word stems: "machine learning" occurs in "learning machines". Every stem has a random number of
64 bits, a name the sum of those of its stems, and so has every window of words; a name occurs where the sums are equal.
Sums of windows are differences of cumulative sums. That two of a million different names share a sum has a probability
of 3e-8. A name with marks between its words, "St. Louis", occurs with them or without any: a second multiset has the
marks too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]

WORD = re.compile(r"\w+|[.,;:!?()\[\]\n]")
"""A word, or a mark that a name goes across only where it has it itself."""
MARKS = frozenset(".,;:!?()[]\n")
_QUALIFIER = re.compile(r"\s*[(<\[][^()<>\[\]]*[)>\]]\s*$")
_SEED = 20_130_601


@dataclass(frozen=True)
class Names:
    """Names of labels, each a key; a key may belong to several labels."""

    stems: dict[str, int]  # number of each stem, from 1
    hashes: NDArray[np.uint64]  # (S + 1,) uint64, of each stem; that of unknown words is 0
    keys: NDArray[np.uint64]  # (K,) uint64, sums of the stems of a name, rising
    lengths: Int  # (K,) words and marks of the name
    words: Int  # (K,) words of the name
    starts: Int  # (K + 1,) where the labels of a key begin in `labels`
    labels: Int  # (M,) label of each name
    # (M,) 0 for a display name; 1 for one whose qualifier was left out, "Java" of "Java (island)"; 2 and 3 for the same
    # of alternative names
    kind: Int


@dataclass(frozen=True)
class Matches:
    """Occurrences of names in texts, in the order of the texts and of their words."""

    document: Int  # (M,) number of the text
    label: Int  # (M,)
    position: Int  # (M,) of the first word among those of the text
    length: Int  # (M,) words
    ambiguity: Int  # (M,) labels that the matched words may mean
    kind: Int  # (M,) as in `Names`
    inside: NDArray[np.bool_]  # (M,) bool, whether the words are part of a longer match
    words: Int  # (documents,) words of each text
    title: Int  # (documents,) words of its first line


def index_names(names: Sequence[Sequence[str]], stem: Callable[[list[str]], list[str]], longest: int) -> Names:
    """Make the index of the names of N labels.

    Args:
        names: of each label: its display name, then others; an empty one is no name.
        stem: of many words, each for itself.
        longest: names with more words are left out.
    """
    found: list[tuple[int, int, list[str]]] = []
    for label, own in enumerate(names):
        variants: dict[tuple[str, ...], int] = {}  # words, and marks, in the order of the alphabet -> kind
        for number, name in enumerate(own):
            for bare, text in enumerate((name, _QUALIFIER.sub("", name))):
                for tokens in _with_and_without_marks(_tokens(text)):
                    variants.setdefault(tuple(sorted(tokens)), bare + 2 * (number > 0))
        found += [
            (label, kind, list(tokens)) for tokens, kind in variants.items() if 0 < _count_words(tokens) <= longest
        ]
    of_word = _stems({token for _, _, tokens in found for token in tokens}, stem)
    stems = {text: number for number, text in enumerate(sorted(set(of_word.values())), 1)}
    hashes = _hashes(len(stems))
    entries = np.asarray(
        [
            (
                sum(int(hashes[stems[of_word[token]]]) for token in tokens) & 0xFFFFFFFFFFFFFFFF,
                len(tokens),
                _count_words(tokens),
                label,
                kind,
            )
            for label, kind, tokens in found
        ],
        dtype=[("key", np.uint64), *((name, np.int64) for name in ("length", "words", "label", "kind"))],
    )
    entries = entries[np.lexsort((entries["kind"], entries["label"], entries["key"]))]
    fresh = np.ones(len(entries), dtype=bool)  # a label twice below one key: the whole name stays
    fresh[1:] = (entries["key"][1:] != entries["key"][:-1]) | (entries["label"][1:] != entries["label"][:-1])
    entries = entries[fresh]
    keys, first = np.unique(entries["key"], return_index=True)
    return Names(
        stems,
        hashes,
        keys,
        entries["length"][first],
        entries["words"][first],
        np.append(first, len(entries)).astype(np.int64),
        entries["label"],
        entries["kind"],
    )


def find_names(names: Names, texts: Sequence[str], stem: Callable[[list[str]], list[str]]) -> Matches:
    """Find all names in all texts.

    Args:
        names: of :func:`index_names`.
        stem: the function that ``names`` were indexed with.
    """
    tokens, document, position, words, title = _read(names, texts, stem)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(names.hashes[tokens], dtype=np.uint64)])
    known = np.concatenate([[0], np.cumsum(tokens > 0)])
    is_mark = np.isin(tokens, [names.stems[mark] for mark in MARKS & names.stems.keys()])
    starts, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]  # first token of a match, and its key
    for length in np.unique(names.lengths).tolist():
        if length > len(tokens):
            break
        whole = known[length:] - known[:-length] == length
        whole &= document[length - 1 :] == document[: len(document) - length + 1]
        whole &= ~(is_mark[: len(whole)] | is_mark[length - 1 :])  # marks are between words
        at = np.flatnonzero(whole)
        window = sums[at + length] - sums[at]
        place = np.searchsorted(names.keys, window)
        place[place == len(names.keys)] = 0
        hit = (names.keys[place] == window) & (names.lengths[place] == length) if len(names.keys) else place < 0
        starts.append(at[hit])
        found.append(place[hit])
    start, key = np.concatenate(starts), np.concatenate(found)
    length = names.lengths[key]
    inside = _inside(start, start + length, len(tokens))
    counts = names.starts[key + 1] - names.starts[key]  # labels of each match
    row = np.repeat(np.arange(len(key)), counts)
    entry = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + names.starts[key[row]]
    order = np.lexsort((length[row], start[row]))
    row, entry = row[order], entry[order]
    return Matches(
        document[start[row]],
        names.labels[entry],
        position[start[row]],
        names.words[key[row]],
        counts[row],
        names.kind[entry],
        inside[row],
        words,
        title,
    )


def _tokens(text: str) -> list[str]:
    """Words and marks; characters that are written with several code points as with one, where there is one."""
    return WORD.findall(unicodedata.normalize("NFC", text.lower()))


def _with_and_without_marks(tokens: list[str]) -> list[list[str]]:
    """The words of a name, and the words with the marks between them; nothing where no word has a letter.

    >>> _with_and_without_marks(["st", ".", "louis", "!"])
    [['st', 'louis'], ['st', '.', 'louis']]
    """
    places = [place for place, token in enumerate(tokens) if token not in MARKS]
    words = [tokens[place] for place in places]
    if not any(sign.isalpha() for word in words for sign in word):
        return []
    return [words, tokens[places[0] : places[-1] + 1]]


def _count_words(tokens: Sequence[str]) -> int:
    return sum(token not in MARKS for token in tokens)


def _stems(tokens: set[str], stem: Callable[[list[str]], list[str]]) -> dict[str, str]:
    """The stem of each word; a mark is its own."""
    words = sorted(tokens - MARKS)
    return {**dict(zip(words, stem(words), strict=True)), **{mark: mark for mark in tokens & MARKS}}


def _hashes(count: int) -> NDArray[np.uint64]:
    drawn = np.random.Generator(np.random.PCG64(_SEED)).integers(1, 2**64, count, dtype=np.uint64)
    return np.concatenate([np.zeros(1, np.uint64), drawn])


def _read(names: Names, texts: Sequence[str], stem: Callable[[list[str]], list[str]]) -> tuple[Int, Int, Int, Int, Int]:
    """Stem numbers of all words and marks, their document and position; words of each text and of its first line."""
    split = [_tokens(text) for text in texts]
    number_of = {
        token: names.stems.get(text, 0) for token, text in _stems({t for found in split for t in found}, stem).items()
    }
    tokens = np.asarray([number_of[token] for found in split for token in found], dtype=np.int64)
    is_word = np.asarray([token not in MARKS for found in split for token in found], dtype=bool)
    lengths = np.asarray([len(found) for found in split], dtype=np.int64)
    document = np.repeat(np.arange(len(texts)), lengths)
    before = np.concatenate([[0], np.cumsum(is_word)]).astype(np.int64)
    first = np.cumsum(lengths) - lengths  # first token of each text
    position = before[:-1] - before[first[document]] if len(tokens) else before[:-1]
    words = before[first + lengths] - before[first]
    line = np.asarray([found.index("\n") if "\n" in found else len(found) for found in split], dtype=np.int64)
    return tokens, document, position, words, before[first + line] - before[first]


def _inside(start: Int, end: Int, tokens: int) -> NDArray[np.bool_]:
    """Whether a longer match has all tokens of a match."""
    furthest = np.zeros(tokens + 1, dtype=np.int64)  # last end of the matches that begin at a token
    np.maximum.at(furthest, start, end)
    before = np.concatenate([[0], np.maximum.accumulate(furthest)[:-1]])  # ... that begin at an earlier one
    return (furthest[start] > end) | (before[start] >= end)
