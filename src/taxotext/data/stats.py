"""What a corpus looks like in numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from taxotext.data.corpus import Corpus
from taxotext.data.words import count_words
from taxotext.errors import DataError

EXAMPLES = 10
"""How many examples of a kind are kept."""

_BATCH = 1000


@dataclass(frozen=True)
class Spread:
    """The distribution of a number over the D documents; ``sd`` divides by D."""

    mean: float
    sd: float
    min: int
    median: float
    p95: float
    max: int

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Spread:
        """Summarise D whole numbers; all are 0 when there are none."""
        array = np.asarray(values, dtype=np.int64)
        if not array.size:
            return cls(0.0, 0.0, 0, 0.0, 0.0, 0)
        median, p95 = (float(value) for value in np.percentile(array, [50, 95]))
        return cls(float(array.mean()), float(array.std()), int(array.min()), median, p95, int(array.max()))


@dataclass(frozen=True)
class DuplicateTexts:
    """Texts that are equal after each run of white space has become one space."""

    texts: int  # distinct texts that occur more than once
    copies: int  # documents beyond the first of each such text
    texts_with_different_labels: int  # such texts whose documents differ in their label sets
    # document numbers, counted from 1, of some such texts; those with different labels come first
    examples: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Overlap:
    """What this corpus shares with another one (of training with test data, for example)."""

    source: str  # the name of the other corpus
    documents: int  # documents of this corpus whose text is in the other one (white space folded)
    share: float  # of the documents of this corpus
    documents_with_different_labels: int  # those whose label set is none of those the text has in the other corpus
    examples: tuple[tuple[int, int], ...]  # pairs (number here, number there), counted from 1
    labels_only_here: tuple[str, ...]  # labels that documents here have and none there, sorted
    labels_only_there: tuple[str, ...]  # labels that documents there have and none here, sorted
    documents_there_with_unseen_labels: int  # documents of the other corpus with at least one of `labels_only_there`


@dataclass(frozen=True)
class TokenStatistics:
    """Tokens per document, and the texts longer than ``max_tokens`` (None when no limit was given)."""

    tokens: Spread
    max_tokens: int | None
    cut_texts: int | None
    cut_share: float | None


@dataclass(frozen=True)
class CorpusStatistics:
    """The result of :func:`corpus_statistics`.

    Attributes:
        source: the name of the corpus.
        documents: D.
        labels: labels of the taxonomy.
        edges: parent-child pairs of the taxonomy.
        depth: levels of the taxonomy; 1 when it is flat.
        closure: the closure policy of the corpus; all counts of labels are those after it.
        labels_used: labels of the taxonomy with at least one document.
        labels_unused: labels of the taxonomy without one.
        unknown_labels: labels of the data that the taxonomy lacks (kept or dropped).
        words: words per document (:func:`~taxotext.data.count_words`).
        characters: characters (code points) per document.
        labels_per_document: labels per document.
        documents_without_labels: documents with an empty label set.
        label_frequency: how many labels of the taxonomy have so many documents: ``0``, ``1``, ``2-5``,
            ``6-10``, ``11-100``, ``>100``.
        top_10_share: the share of the 10 most frequent labels in all uses of labels.
        labels_per_level: labels of the taxonomy on each level (longest path from a root), from the top.
        documents_per_level: documents with at least one label on the level, from the top.
        closure_violations: documents, and pairs of document and label, with an ancestor of a label missing;
            None unless the corpus was read with ``closure="as_given"``.
        labels_added: labels that the closure policy added when the corpus was read.
        labels_removed: labels that it removed.
        duplicates: equal texts.
        overlap: what is shared with the other corpus, if one was given.
        tokens: token counts, if a counter was given.
    """

    source: str
    documents: int
    labels: int
    edges: int
    depth: int
    closure: str
    labels_used: int
    labels_unused: int
    unknown_labels: int
    words: Spread
    characters: Spread
    labels_per_document: Spread
    documents_without_labels: int
    label_frequency: dict[str, int]
    top_10_share: float
    labels_per_level: tuple[int, ...]
    documents_per_level: tuple[int, ...]
    closure_violations: dict[str, int] | None
    labels_added: int
    labels_removed: int
    duplicates: DuplicateTexts
    overlap: Overlap | None
    tokens: TokenStatistics | None

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain values, ready for JSON."""
        return asdict(self)


def corpus_statistics(
    corpus: Corpus,
    *,
    token_counter: Callable[[Sequence[str]], npt.NDArray[Any]] | None = None,
    max_tokens: int | None = None,
    other: Corpus | None = None,
) -> CorpusStatistics:
    """Measure a corpus.

    Args:
        corpus: read it with ``closure="as_given"`` to see how far its label sets are from being closed.
        token_counter: returns the number of tokens of each text; it is called with batches.
        max_tokens: texts with more tokens are counted as cut; needs a counter.
        other: a second corpus, to look for shared texts and labels.

    Raises:
        DataError: ``max_tokens`` without a counter, or a counter that returns another number of values.
    """
    taxonomy = corpus.taxonomy
    known = corpus.known_targets
    frequency = label_frequency(corpus)
    used = int(np.count_nonzero(frequency))
    per_document = np.diff(corpus.targets.indptr)
    top = np.sort(frequency)[::-1][:10].sum()
    violations = None
    if corpus.closure == "as_given":
        found = taxonomy.violations(known)
        violations = {"documents": int(np.count_nonzero(found)), "pairs": int(found.sum())}
    levels = [0] * taxonomy.depth
    level_of, rows = taxonomy.levels[known.indices], np.repeat(np.arange(len(corpus)), np.diff(known.indptr))
    for level in range(taxonomy.depth):
        levels[level] = len(np.unique(rows[level_of == level + 1]))
    return CorpusStatistics(
        source=corpus.source,
        documents=len(corpus),
        labels=len(taxonomy),
        edges=int(taxonomy.edge_index.shape[1]),
        depth=taxonomy.depth,
        closure=corpus.closure,
        labels_used=used,
        labels_unused=len(taxonomy) - used,
        unknown_labels=len(corpus.report.unknown_labels),
        words=Spread.of([count_words(text) for text in corpus.texts]),
        characters=Spread.of([len(text) for text in corpus.texts]),
        labels_per_document=Spread.of(per_document),
        documents_without_labels=int(np.count_nonzero(per_document == 0)),
        label_frequency=_tail(frequency),
        top_10_share=float(top / frequency.sum()) if frequency.sum() else 0.0,
        labels_per_level=tuple(np.bincount(taxonomy.levels, minlength=taxonomy.depth + 1)[1:].tolist()),
        documents_per_level=tuple(levels),
        closure_violations=violations,
        labels_added=corpus.report.labels_added,
        labels_removed=corpus.report.labels_removed,
        duplicates=_duplicates(corpus),
        overlap=None if other is None else _overlap(corpus, other),
        tokens=_tokens(corpus.texts, token_counter, max_tokens),
    )


def label_frequency(corpus: Corpus) -> npt.NDArray[np.int64]:
    """Return the number of documents of each label of the taxonomy, int64 (N,)."""
    known = corpus.known_targets
    return np.bincount(known.indices, minlength=len(corpus.taxonomy)).astype(np.int64)


def _tail(frequency: npt.NDArray[np.int64]) -> dict[str, int]:
    bounds = {"0": (0, 0), "1": (1, 1), "2-5": (2, 5), "6-10": (6, 10), "11-100": (11, 100)}
    tail = {name: int(((frequency >= low) & (frequency <= high)).sum()) for name, (low, high) in bounds.items()}
    return tail | {">100": int((frequency > 100).sum())}


def _places(corpus: Corpus) -> dict[bytes, list[int]]:
    """Return the documents (from 0) of each text, by the hash of the text with white space folded."""
    places: dict[bytes, list[int]] = {}
    for row, text in enumerate(corpus.texts):
        folded = " ".join(text.split()).encode("utf-8", "surrogatepass")
        places.setdefault(blake2b(folded, digest_size=16).digest(), []).append(row)
    return places


def _duplicates(corpus: Corpus) -> DuplicateTexts:
    groups = [rows for rows in _places(corpus).values() if len(rows) > 1]
    if not groups:
        return DuplicateTexts(0, 0, 0, ())
    labels = [frozenset(label_set) for label_set in corpus.label_lists()]
    differing = [rows for rows in groups if len({labels[row] for row in rows}) > 1]
    shown = (differing + [rows for rows in groups if len({labels[row] for row in rows}) == 1])[:EXAMPLES]
    return DuplicateTexts(
        texts=len(groups),
        copies=sum(len(rows) - 1 for rows in groups),
        texts_with_different_labels=len(differing),
        examples=tuple(tuple(row + 1 for row in rows[:EXAMPLES]) for rows in shown),
    )


def _overlap(corpus: Corpus, other: Corpus) -> Overlap:
    there = _places(other)
    label_sets = [frozenset(labels) for labels in corpus.label_lists()]
    other_sets = [frozenset(labels) for labels in other.label_lists()]
    shared = [
        (row, there[text]) for text, rows in _places(corpus).items() if text in there for row in rows
    ]  # (document here, documents there)
    shared.sort()
    different = sum(label_sets[row] not in {other_sets[place] for place in places} for row, places in shared)
    here_used = frozenset[str]().union(*label_sets)
    there_used = frozenset[str]().union(*other_sets)
    unseen = there_used - here_used
    return Overlap(
        source=other.source,
        documents=len(shared),
        share=len(shared) / len(corpus) if len(corpus) else 0.0,
        documents_with_different_labels=different,
        examples=tuple((row + 1, places[0] + 1) for row, places in shared[:EXAMPLES]),
        labels_only_here=tuple(sorted(here_used - there_used)),
        labels_only_there=tuple(sorted(unseen)),
        documents_there_with_unseen_labels=sum(not labels.isdisjoint(unseen) for labels in other_sets),
    )


def _tokens(
    texts: Sequence[str], counter: Callable[[Sequence[str]], npt.NDArray[Any]] | None, max_tokens: int | None
) -> TokenStatistics | None:
    if counter is None:
        if max_tokens is not None:
            raise DataError(f"max_tokens={max_tokens} needs a token_counter to count with; give one")
        return None
    counts: list[int] = []
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        values = np.asarray(counter(batch)).reshape(-1)
        if len(values) != len(batch):
            raise DataError(f"the token_counter returned {len(values)} numbers for {len(batch)} texts")
        counts += [int(value) for value in values]
    cut = None if max_tokens is None else sum(count > max_tokens for count in counts)
    share = None if cut is None else cut / len(counts) if counts else 0.0
    return TokenStatistics(Spread.of(counts), max_tokens, cut, share)
