"""What a careful person would look into before training on a corpus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from taxotext.data.corpus import Corpus
from taxotext.data.label_oddities import INVISIBLE, Oddity, label_oddities
from taxotext.data.reading_notes import change_notes, form_notes, warning_notes, whole_cell_notes
from taxotext.data.stats import CorpusStatistics, corpus_statistics, label_frequency
from taxotext.data.words import count_words
from taxotext.labels import lookup
from taxotext.messages import counted, percentage, some

FEW_DOCUMENTS = 5
"""A label with fewer documents is reported as rare."""
SHORT_WORDS = 3
"""A text with fewer words is reported as short."""

Level = Literal["error", "warning", "info"]
_ORDER = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One finding: how serious it is, and the sentence."""

    level: Level
    sentence: str


def check_corpus(
    corpus: Corpus,
    other: Corpus | None = None,
    *,
    token_counter: Callable[[Sequence[str]], npt.NDArray[Any]] | None = None,
    max_tokens: int | None = None,
    statistics: CorpusStatistics | None = None,
) -> list[Finding]:
    """Return the findings, the serious ones first.

    Args:
        corpus: the corpus to train on.
        other: the corpus to test or validate on; shared texts and labels unseen in training are reported.
        token_counter: as in :func:`~taxotext.data.corpus_statistics`, to report texts that will be cut.
        max_tokens: the length at which they will be cut.
        statistics: those of the same corpora, if they were computed already.

    ``error`` is what makes training useless, ``warning`` what to look into, ``info`` what to know. Document
    numbers in sentences are counted from 1.
    """
    facts = statistics or corpus_statistics(corpus, token_counter=token_counter, max_tokens=max_tokens, other=other)
    found = [
        *_label_findings(corpus, facts),
        *_structure_findings(facts),
        *_text_findings(corpus, facts),
        *_reading_findings(corpus),
        *_overlap_findings(corpus, facts, other),
    ]
    return sorted(found, key=lambda finding: _ORDER.index(finding.level))


def _label_findings(corpus: Corpus, facts: CorpusStatistics) -> Iterable[Finding]:
    total = facts.documents
    empty = facts.documents_without_labels
    if empty == total:
        yield Finding("error", f"No document of {corpus.source} has a label; check which field holds the labels.")
        return
    if facts.labels_used == 1 and not empty:
        yield Finding("error", "All documents have the same single label; there is nothing to tell apart.")
    if empty:
        level: Level = "warning" if empty > total / 2 else "info"
        yield Finding(
            level,
            f"{counted(empty, 'document has', 'documents have')} no label ({percentage(empty / total)}); "
            f"{'it is' if empty == 1 else 'they are'} kept.",
        )
    frequency = label_frequency(corpus)
    rare = np.flatnonzero((frequency > 0) & (frequency < FEW_DOCUMENTS))
    if rare.size:
        rare = rare[np.argsort(frequency[rare], kind="stable")]
        shown = [f"{corpus.taxonomy.ids[i]} ({frequency[i]})" for i in rare[:5].tolist()]
        yield Finding(
            "warning",
            f"{counted(rare.size, 'label has', 'labels have')} fewer than {FEW_DOCUMENTS} documents: "
            f"{some(shown, rare.size)}; add documents, merge them into their parent, or expect them to be "
            "missed.",
        )
    if facts.labels_unused:
        unused = np.flatnonzero(frequency == 0)
        shown = [corpus.taxonomy.ids[i] for i in unused[:5].tolist()]
        yield Finding(
            "info",
            f"{counted(unused.size, 'label', 'labels')} of the taxonomy "
            f"{'has' if unused.size == 1 else 'have'} no document: {some(shown, unused.size)}; "
            f"{'it' if unused.size == 1 else 'they'} cannot be learned from these data.",
        )
    everywhere = [corpus.taxonomy.ids[i] for i in np.flatnonzero(frequency == total).tolist()] if total > 1 else []
    if everywhere and facts.labels_used > 1:
        yield Finding(
            "info",
            f"Every document has {some(everywhere[:5], len(everywhere))}; such a label says nothing about a document.",
        )
    yield from _alike(corpus, frequency)
    for oddity in corpus_oddities(corpus, frequency):
        yield Finding("warning" if oddity.warning else "info", oddity.sentence)


def corpus_oddities(corpus: Corpus, frequency: npt.NDArray[np.int64] | None = None) -> list[Oddity]:
    """What is odd about the labels that documents of a corpus have; ``frequency`` as of :func:`label_frequency`.

    Labels of a taxonomy that was read from a file of its own are not taken for several in one.
    """
    counts = label_frequency(corpus) if frequency is None else frequency
    used = {corpus.taxonomy.ids[i]: int(counts[i]) for i in np.flatnonzero(counts).tolist()}
    one_each = bool(np.diff(corpus.targets.indptr).max(initial=0) <= 1)
    known = corpus.taxonomy.positions if corpus.report.labels_known else ()
    return label_oddities({**used, **corpus.report.unknown_labels}, known, one_each=one_each)


def _alike(corpus: Corpus, frequency: npt.NDArray[np.int64]) -> Iterable[Finding]:
    used = [corpus.taxonomy.ids[i] for i in np.flatnonzero(frequency).tolist()] + list(corpus.unknown_labels)
    folded: dict[str, list[str]] = {}
    for label in used:
        folded.setdefault(_folded(label), []).append(label)
    groups = [labels for labels in folded.values() if len(labels) > 1]
    unlike = [labels for labels in groups if any(lookup.other_form(labels[0], label) is None for label in labels)]
    if unlike:
        shown = [" / ".join(repr(label) for label in labels) for labels in unlike[:5]]
        yield Finding(
            "warning",
            f"{counted(len(unlike), 'group of labels differs', 'groups of labels differ')} only in case, spaces or "
            f"the form of characters: {some(shown, len(unlike))}; if they mean the same, write them alike.",
        )
    looking_alike = [labels for labels in groups if labels not in unlike]
    if looking_alike:
        shown = [" / ".join(ascii(label) for label in labels) for labels in looking_alike[:5]]
        forms = {lookup.other_form(labels[0], label) for labels in looking_alike for label in labels}
        yield Finding(
            "warning",
            f"{counted(len(looking_alike), 'group of labels is', 'groups of labels are')} the same text, written with "
            f"other Unicode characters: {some(shown, len(looking_alike))}; normalise the labels to "
            f"{'NFKC' if 'NFKC' in forms else 'NFC'}.",
        )


def _folded(label: str) -> str:
    """The label as :func:`lookup.fold` has it, without blanks around signs and without characters nobody sees."""
    return re.sub(r"\s*([^\w\s])\s*", r"\1", INVISIBLE.sub("", lookup.fold(label)))


def _structure_findings(facts: CorpusStatistics) -> Iterable[Finding]:
    violations = facts.closure_violations
    if violations is not None and violations["pairs"]:
        yield Finding(
            "warning",
            f"{counted(violations['documents'], 'document has', 'documents have')} labels without all of "
            f"their ancestors ({counted(violations['pairs'], 'label')}); read the corpus with closure=ancestors to "
            "add them, or leave them out on purpose.",
        )
    if facts.labels_added:
        yield Finding(
            "info",
            f"{counted(facts.labels_added, 'ancestor of a label was', 'ancestors of labels were')} added to the label "
            "sets (closure policy).",
        )
    if facts.labels_removed:
        removed = counted(facts.labels_removed, "ancestor was", "ancestors were")
        yield Finding("info", f"{removed} removed from the label sets (closure policy).")


def _text_findings(corpus: Corpus, facts: CorpusStatistics) -> Iterable[Finding]:
    duplicates = facts.duplicates
    if duplicates.texts:
        yield Finding(
            "warning" if duplicates.copies > facts.documents / 100 else "info",
            f"{counted(duplicates.texts, 'text occurs', 'texts occur')} more than once "
            f"({counted(duplicates.copies, 'surplus document')}), for example in documents "
            f"{_enumerated(duplicates.examples[0])}; remove the copies, or keep them in one part of a split by giving "
            "them a group.",
        )
    if duplicates.texts_with_different_labels:
        differing = duplicates.texts_with_different_labels
        yield Finding(
            "warning",
            f"{counted(differing, 'text that occurs', 'texts that occur')} more than once "
            f"{'has' if differing == 1 else 'have'} different labels, for example documents "
            f"{_enumerated(duplicates.examples[0])}; decide which labels are right.",
        )
    short = [number for number, text in enumerate(corpus.texts, 1) if _is_short(text)]
    if short:
        yield Finding(
            "warning" if len(short) > facts.documents / 100 else "info",
            f"{counted(len(short), 'text has', 'texts have')} fewer than {SHORT_WORDS} words (number "
            f"{some([str(number) for number in short[:5]], len(short))}); check that the text field is the "
            "right one.",
        )
    damaged = [number for number, text in enumerate(corpus.texts, 1) if "\ufffd" in text]
    if damaged:
        yield Finding(
            "warning",
            f"{counted(len(damaged), 'text has', 'texts have')} the replacement character U+FFFD (number "
            f"{some([str(number) for number in damaged[:5]], len(damaged))}); fetch the data again, they "
            "were decoded wrongly once.",
        )
    if facts.tokens is not None and facts.tokens.cut_texts:
        yield Finding(
            "warning" if (facts.tokens.cut_share or 0) > 0.05 else "info",
            f"{counted(facts.tokens.cut_texts, 'text is', 'texts are')} longer than {facts.tokens.max_tokens} "
            f"tokens ({percentage(facts.tokens.cut_share or 0.0)}); choose how long texts are treated.",
        )


def _is_short(text: str) -> bool:
    # Counting words is slow for long texts, and a long text has enough of them.
    return len(text) < 200 and count_words(text) < SHORT_WORDS


def _reading_findings(corpus: Corpus) -> Iterable[Finding]:
    report = corpus.report
    if report.unknown_labels:
        shown = [repr(label) for label in sorted(report.unknown_labels, key=lambda x: -report.unknown_labels[x])[:5]]
        many = len(report.unknown_labels)
        yield Finding(
            "warning",
            f"{counted(many, 'label is', 'labels are')} not in the taxonomy: {some(shown, many)}; "
            + (
                f"{'it counts as a miss' if many == 1 else 'they count as misses'}."
                if corpus.unknown_labels
                else f"{'it was' if many == 1 else 'they were'} removed."
            ),
        )
    yield from (Finding("warning", sentence) for sentence in warning_notes(report))
    yield from (Finding("info", sentence) for sentence in change_notes(report))
    for sentence in [*form_notes(report), *whole_cell_notes(report)]:
        yield Finding("warning" if sentence.startswith("Not used") else "info", f"{corpus.source}: {sentence}")
    if corpus.ids is not None:
        named = Counter(str(key) for key in corpus.ids if key is not None)  # 7 and "7" are one id
        repeated = [key for key, count in named.items() if count > 1]
        if repeated:
            shown = [repr(key) for key in repeated[:5]]
            yield Finding(
                "warning",
                f"{counted(len(repeated), 'document id occurs', 'document ids occur')} more than once: "
                f"{some(shown, len(repeated))}; give each document an id of its own.",
            )


def _overlap_findings(corpus: Corpus, facts: CorpusStatistics, other: Corpus | None) -> Iterable[Finding]:
    overlap = facts.overlap
    if overlap is None:
        return
    if overlap.documents:
        here, there = overlap.examples[0]
        yield Finding(
            "warning",
            f"{counted(overlap.documents, 'text', 'texts')} of {corpus.source} ({percentage(overlap.share)}) "
            f"{'is' if overlap.documents == 1 else 'are'} also in {overlap.source}, for example document "
            f"{here} here and {there} there; results on {overlap.source} will be too good, remove them from "
            "one of the two.",
        )
    if overlap.documents_with_different_labels:
        yield Finding(
            "warning",
            f"{counted(overlap.documents_with_different_labels, 'shared text has', 'shared texts have')} "
            f"different labels in {corpus.source} and {overlap.source}; decide which labels are right.",
        )
    unseen = overlap.labels_only_there
    if unseen:
        documents = overlap.documents_there_with_unseen_labels
        yield Finding(
            "warning",
            f"{counted(len(unseen), 'label', 'labels')} of {overlap.source} never "
            f"{'occurs' if len(unseen) == 1 else 'occur'} in {corpus.source} and cannot be learned: "
            f"{some(list(unseen[:5]), len(unseen))} (in {counted(documents, 'document', 'documents')}).",
        )
    if other is not None and not other.taxonomy.is_flat and other.taxonomy != corpus.taxonomy:
        yield Finding("error", f"{corpus.source} and {overlap.source} were read with different taxonomies; use one.")
    if other is not None and other.closure != corpus.closure:
        yield Finding(
            "warning",
            f"{corpus.source} was read with closure={corpus.closure!r} and {overlap.source} with "
            f"{other.closure!r}; results would compare different label sets.",
        )


def _enumerated(numbers: Sequence[int]) -> str:
    words = [str(number) for number in numbers[:5]]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
