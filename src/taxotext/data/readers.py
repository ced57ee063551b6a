"""Reading corpora one document at a time, in any format of :mod:`taxotext.data.formats.table`.

Memory stays bounded by the largest record. Every bad line is reported by file and line with its reason;
nothing is dropped silently.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from taxotext.data.columns import DEFAULT_COLUMNS, Columns, Document, ReadReport
from taxotext.data.formats.base import PAUSED, Item, Reading, Request
from taxotext.data.formats.hub import read_rows
from taxotext.data.formats.table import check_source, resolve_format
from taxotext.data.record_parser import RecordParser
from taxotext.data.records import BadRecordError, MissingFieldError
from taxotext.errors import SHOWN_PROBLEMS, ConfigError, DataError
from taxotext.labels import Taxonomy
from taxotext.messages import parameter

logger = logging.getLogger("taxotext")

BAD_LINE_POLICIES = ("error", "skip")


class _Pause(str):
    """Equal to itself alone, whatever texts there are."""


PAUSE = Document(_Pause(""))
"""Comes in the place of a document where a :class:`taxotext.data.sources.LiveStream` pauses; compare with ``is``."""
LOOKED_AT = 1000
"""How many records are looked at to decide how label fields are read."""
LARGEST_LOOK = 2**28
"""Characters of records, as :func:`_length` counts them, after which no more are looked at."""


def read_documents(
    source: Path | str | BinaryIO,
    columns: Columns = DEFAULT_COLUMNS,
    *,
    format: str | None = None,
    on_bad_line: str = "error",
    labelled: bool = True,
    report: ReadReport | None = None,
    taxonomy: Taxonomy | None = None,
    blank_texts: bool = False,
) -> Iterator[Document]:
    """Read the documents of a file or a folder one by one.

    Args:
        source: a path, or a binary stream (which is left open).
        columns: which field is what.
        format: one of :data:`taxotext.data.FORMATS`, lines of text also with ``.gz``; ``None``: from the suffix, and
            for some formats from the first line or from what a folder holds. Needed for a stream.
        on_bad_line: ``error``: read on to the end and raise one DataError with the first 20 problems and
            their number (no document is yielded after the first problem); ``skip``: leave the line out, keep
            the sentence in the report and log a warning with the number.
        labelled: whether labels are read. If not, a label field is passed through as metadata and may be
            absent.
        report: filled while reading.
        taxonomy: whose names stand for its ids where an Annif corpus gives subjects by name.
        blank_texts: whether a document may have an empty text (also null, or only white space, which becomes an empty
            text) rather than be a bad line.

    Raises:
        DataError: bad lines, or a file that is missing, empty, cut short, not UTF-8, or of unknown format.
        ConfigError: an impossible setting.
        MissingExtraError: the format needs a package that is not installed.

    Settings and the path are checked at once, the content while the documents are drawn.
    """
    if on_bad_line not in BAD_LINE_POLICIES:
        raise ConfigError(f"{parameter('on_bad_line')} is {on_bad_line!r}; choose 'error' or 'skip'")
    columns.check_roles(labelled=labelled)
    chosen, compressed = resolve_format(source, format)
    if isinstance(source, (str, Path)):
        check_source(Path(source), chosen.name)
    report = ReadReport() if report is None else report
    if not columns.quotes and not columns.id_optional and chosen.name not in ("csv", "tsv"):
        report.unused["no_quotes"] = f"{chosen.name} has no cells in quotes"
    request = Request(source, chosen.name, compressed, columns, labelled, report, taxonomy, blank_texts)
    documents = _documents(chosen.read(request), _Problems(request, on_bad_line), labelled, chosen.empty)
    return _joined(documents, report) if labelled else documents


def documents_of_dataset(
    dataset: Any,
    columns: Columns,
    on_bad_line: str,
    labelled: bool,
    report: ReadReport,
    name: str,
    taxonomy: Taxonomy | None = None,
) -> Iterator[Document]:
    """The rows of a dataset of Hugging Face as documents, with the errors of :func:`read_documents`."""
    if on_bad_line not in BAD_LINE_POLICIES:
        raise ConfigError(f"{parameter('on_bad_line')} is {on_bad_line!r}; choose 'error' or 'skip'")
    request = Request(name, "dataset", False, columns, labelled, report, taxonomy)
    documents = _documents(read_rows(dataset, request), _Problems(request, on_bad_line), labelled)
    return _joined(documents, report) if labelled else documents


def _joined(documents: Iterator[Document], report: ReadReport) -> Iterator[Document]:
    """Make one document of rows in succession with the same id and text: tables with one row for each label."""
    held: Document | None = None
    for document in documents:
        if held is not None and _continues(held, document):
            held = replace(held, labels=tuple(dict.fromkeys(held.labels + document.labels)))
            report.joined_rows += 1
            report.documents -= 1
            continue
        if held is not None:
            yield held
        held = document if document.labels and document.id is not None else None
        if held is None:
            yield document
    if held is not None:
        yield held


def _continues(held: Document, document: Document) -> bool:
    return document.id == held.id and document.text == held.text and bool(document.labels)


def _documents(opened: Reading, problems: _Problems, labelled: bool, empty: str = "no documents") -> Iterator[Document]:
    """The documents of the records."""
    items, parser = opened
    report = problems.report
    blank = 0
    for where, record in _look_ahead(items, parser) if labelled else items:
        if record is None:
            blank += 1
            continue
        if record is PAUSED:
            yield PAUSE
            continue
        report.blank_lines += blank  # blank lines count only when something follows them
        blank = 0
        try:
            if isinstance(record, BadRecordError):
                raise record
            document = parser.document(record, where)
        except BadRecordError as reason:
            problems.add(where, reason)
            continue
        problems.read += 1
        if not problems.fatal:
            report.documents += 1
            yield document
    problems.finish(empty)
    parser.close()


def _look_ahead(items: Iterator[Item], parser: RecordParser) -> Iterator[Item]:
    """Hold the first records back until it is decided how their labels are read."""
    held: list[Item] = []
    size = 0
    for item in items:
        held.append(item)
        size += sum(map(_length, item[1].values())) if isinstance(item[1], dict) else 0
        if len(held) >= LOOKED_AT or size > LARGEST_LOOK:
            break
    parser.look([(where, record) for where, record in held if isinstance(record, dict)])
    yield from chain(held, items)


def _length(value: Any) -> int:
    """Characters of a text, or of a list with 8 for the place of each entry."""
    if isinstance(value, list):
        return sum(8 + (len(entry) if isinstance(entry, str) else 0) for entry in value)
    return len(value) if isinstance(value, str) else 0


class _Problems:
    """Gathers the sentences about bad lines and says at the end what became of them."""

    def __init__(self, request: Request, policy: str) -> None:
        self.name, self.report = request.name, request.report
        self._request = request
        self.read = 0
        self._policy = policy
        self._sentences: list[str] = []
        self._count = 0
        self._missing: Counter[str] = Counter()
        self._fields = ""

    @property
    def fatal(self) -> bool:
        return self._policy == "error" and self._count > 0

    def add(self, where: str, reason: BadRecordError) -> None:
        sentence = f"{where}: {reason}"
        self._count += 1
        if isinstance(reason, MissingFieldError):
            self._missing[reason.name] += 1
            self._fields = self._fields or str(reason)
        if len(self._sentences) < SHOWN_PROBLEMS:
            self._sentences.append(sentence)
        if self._policy == "skip":
            self.report.skip(sentence)

    def finish(self, empty: str) -> None:
        self._check_fields()
        if self._count and (self._policy == "error" or not self.read):
            total = self.read + self._count
            listed = f" (the first {SHOWN_PROBLEMS} are listed)" if self._count > SHOWN_PROBLEMS else ""
            skip = parameter("on_bad_line", "skip")
            advice = f"fix them, or leave bad lines out ({skip})" if self.read else "fix them"
            if not self.read and not self._request.labelled and self._request.format == "jsonl":
                advice += f", or give {parameter('input_format', 'text')} if each line is a text"
            raise DataError(
                f"{self.name}: {self._count:,} of {total:,} records cannot be read{listed}; {advice}",
                self._sentences,
            )
        if self._count:
            logger.warning(
                "%s: skipped %d of %d records; the first one: %s",
                self.name,
                self._count,
                self.read + self._count,
                self._sentences[0],
            )
        if not self.read:
            raise DataError(f"{self.name}: the file holds {empty}; nothing can be read from it")

    def _check_fields(self) -> None:
        """One sentence, whatever the policy, when no record has a field that is needed."""
        for count in self._missing.values():
            if count == self._count > 1 and not self.read:
                raise DataError(
                    f"{self.name}: in all of its {count:,} records {self._fields} "
                    f"{self._request.advice[0].upper()}{self._request.advice[1:]}."
                )
