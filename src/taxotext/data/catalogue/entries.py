"""What the catalogue says of a corpus, and what its reader gives back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from taxotext.errors import ConfigError, nearest

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

SPLITS = ("train", "validation", "test")
"""The parts of a corpus, in the order in which they are shown."""


class Count(NamedTuple):
    """A published count."""

    what: str  # a key of `taxotext.data.catalogue.checks.counts`, such as `train documents` or `labels`
    value: int | tuple[int, ...]  # the count; several numbers for the labels of each level
    source: str  # where it is published
    when: Mapping[str, str] = {}  # holds only with these options


class Option(NamedTuple):
    """A choice that a corpus leaves to the user; the first value is the default."""

    name: str
    values: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Dataset:
    """An entry of the catalogue."""

    name: str  # what the user types
    title: str  # the name in the literature
    summary: str  # what the documents and the labels are
    terms: str  # licence or terms of use, in words
    obtain: str  # where the files come from, in words
    files: tuple[str, ...]  # what RAW must hold, loose or in archives, one sentence part each
    reader: str  # the module of `taxotext.data.catalogue` that reads it
    counts: tuple[Count, ...]  # published counts, compared with what is found
    options: tuple[Option, ...] = ()  # choices, as `name=value`
    notes: tuple[str, ...] = ()  # what one must know before comparing results

    def parse_options(self, assignments: Sequence[str]) -> dict[str, str]:
        """All options with their values, from ``name=value`` strings.

        Raises:
            ConfigError: listing unknown options, impossible values and options given twice.
        """
        known = {option.name: option for option in self.options}
        chosen = {option.name: option.values[0] for option in self.options}
        given: set[str] = set()
        problems = []
        for assignment in assignments:
            key, equals, value = assignment.partition("=")
            if not equals:
                problems.append(f"{assignment!r}: write name=value, such as {_example(self.options)}")
            elif key not in known:
                options = ", ".join(known) or "it has none"
                problems.append(f"{key}: is not an option of {self.name} ({options}).{nearest(key, known)}")
            elif value not in known[key].values:
                values = ", ".join(known[key].values)
                problems.append(f"{key}: {value!r} is not one of {values}.{nearest(value, known[key].values)}")
            elif key in given:
                problems.append(f"{key}: is given twice; give it once")
            else:
                given.add(key)
                chosen[key] = value
        if problems:
            raise ConfigError(f"The options of {self.name} have {len(problems)} problem(s):", problems)
        return chosen

    def expected(self, options: Mapping[str, str]) -> list[Count]:
        """The published counts that hold with these options."""
        return [count for count in self.counts if all(options.get(key) == value for key, value in count.when.items())]


def _example(options: Sequence[Option]) -> str:
    return f"{options[0].name}={options[0].values[0]}" if options else "nothing: this corpus has no options"


class Record(NamedTuple):
    """A document of a release: its text, its labels in the order of the release, its id, further fields."""

    text: str
    labels: Sequence[str]
    id: str | None = None
    fields: Mapping[str, Any] = {}


@dataclass
class Findings:
    """What a reader changed or left out: a phrase and how often; filled while the documents are read."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, phrase: str, times: int = 1) -> None:
        """Count ``times`` more of ``phrase`` ("records that are not UTF-8, read as Latin-1")."""
        if times:
            self.counts[phrase] += times


def _no_taxonomy(labels: Collection[str]) -> Taxonomy | None:
    return None


@dataclass
class Content:
    """What a reader found."""

    # (split, document), in the order in which they are to be written; read once
    documents: Iterable[tuple[str, Record]]
    # from the labels of the documents to the taxonomy, called after all documents are read
    taxonomy: Callable[[Collection[str]], Taxonomy | None] = _no_taxonomy
    names: Mapping[str, str] = field(default_factory=dict)  # display names
    total: int | None = None  # how many documents will come, where that is known
