"""Counts of a prepared corpus, and their comparison with the published ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from taxotext.data.catalogue.entries import SPLITS, Count, Record
from taxotext.labels import Taxonomy


@dataclass
class SplitCounts:
    """Counts of one split, filled while it is written."""

    documents: int = 0
    without_text: int = 0
    duplicate_ids: int = 0
    without_labels: int = 0
    duplicate_labels: int = 0
    words: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record, labels: Sequence[str]) -> None:
        """Count a document that is written."""
        self.documents += 1
        self.without_labels += not labels
        self.words += len(record.text.split())
        self.labels.update(labels)

    @property
    def read(self) -> int:
        """Documents that were written or left out for want of text."""
        return self.documents + self.without_text

    def to_dict(self) -> dict[str, Any]:
        """The form in ``prepared.json``; words are runs without white space."""
        documents = max(self.documents, 1)
        return {
            "documents": self.documents,
            "left_out_without_text": self.without_text,
            "left_out_duplicate_ids": self.duplicate_ids,
            "without_labels": self.without_labels,
            "duplicate_labels_removed": self.duplicate_labels,
            "labels": len(self.labels),
            "labels_per_document": round(self.labels.total() / documents, 4),
            "words_per_document": round(self.words / documents, 2),
        }


class Check(NamedTuple):
    """A published count beside the one found."""

    what: str
    expected: int | list[int]
    found: int | list[int]
    source: str
    ok: bool

    def sentence(self) -> str:
        """What differs, with both numbers."""
        return f"{self.what}: {_shown(self.found)} here, {_shown(self.expected)} published ({self.source})"


def counts(splits: Mapping[str, SplitCounts], taxonomy: Taxonomy | None) -> dict[str, list[Any]]:
    """What can be compared, each with the values that count as equal.

    A number of documents has two: with and without those that have no text, since papers give either.
    """
    found: dict[str, list[Any]] = {}
    for split in SPLITS:
        if split in splits:
            counted = splits[split]
            found[f"{split} documents"] = [counted.documents, counted.read]
            found[f"labels in {split}"] = [len(counted.labels)]
    found["documents"] = [sum(part.documents for part in splits.values()), sum(part.read for part in splits.values())]
    found["labels"] = [len(set().union(*(part.labels for part in splits.values())))]
    if taxonomy is not None:
        levels = Counter(taxonomy.levels.tolist())
        found["labels of the taxonomy"] = [len(taxonomy)]
        found["roots"] = [len(taxonomy.roots)]
        found["labels of each level"] = [[levels[level] for level in sorted(levels)]]
    return found


def compare(counts: Sequence[Count], found: Mapping[str, Sequence[Any]]) -> list[Check]:
    """A check for each published count; what was not found at all counts as 0."""
    checks = []
    for count in counts:
        expected = list(count.value) if isinstance(count.value, tuple) else count.value
        values = found.get(count.what, [[] if isinstance(expected, list) else 0])
        checks.append(Check(count.what, expected, values[0], count.source, expected in values))
    return checks


def missing_labels(splits: Mapping[str, SplitCounts], taxonomy: Taxonomy) -> dict[str, int]:
    """Labels of documents that the taxonomy lacks, with their numbers of documents."""
    used: Counter[str] = Counter()
    for part in splits.values():
        used.update(part.labels)
    return {label: times for label, times in sorted(used.items()) if label not in taxonomy}


def _shown(value: int | list[int]) -> str:
    return "/".join(f"{number:,}" for number in value) if isinstance(value, list) else f"{value:,}"
