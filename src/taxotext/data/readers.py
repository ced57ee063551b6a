"""Reading corpora one document at a time: JSONL, CSV and TSV here, other formats in ``taxotext.data.formats``.

Memory stays bounded by the largest record. Every bad line is reported by file and line with its reason;
nothing is dropped silently.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from taxotext.data.columns import DEFAULT_COLUMNS, Columns, Document, ReadReport
from taxotext.data.records import BadRecordError, LabelCells, RecordParser, kind, missing_field, short
from taxotext.data.sources import Lines, check_path, open_lines, resolve_format, source_name
from taxotext.errors import SHOWN_PROBLEMS, ConfigError, DataError
from taxotext.labels import Taxonomy

logger = logging.getLogger("taxotext")

BAD_LINE_POLICIES = ("error", "skip")
GUESS_ROWS = 1000
"""How many rows of a CSV file are looked at to guess the separator of its label cells."""
LARGEST_RECORD = 2**28
"""Bytes after which a CSV record is taken for one whose quote is never closed."""

Record = dict[str, Any]


def read_documents(
    source: Path | str | BinaryIO,
    columns: Columns = DEFAULT_COLUMNS,
    *,
    format: str | None = None,
    on_bad_line: str = "error",
    labelled: bool = True,
    report: ReadReport | None = None,
    taxonomy: Taxonomy | None = None,
) -> Iterator[Document]:
    """Read the documents of a file or a folder one by one.

    Args:
        source: a path, or a binary stream (which is left open).
        columns: which field is what.
        format: one of :data:`taxotext.data.FORMATS`, lines of text also with ``.gz``; ``None``: from the suffix, and
            for some formats from the first line (see :mod:`taxotext.data.detect`). Needed for a stream.
        on_bad_line: ``error``: read on to the end and raise one DataError with the first 20 problems and
            their number (no document is yielded after the first problem); ``skip``: leave the line out, keep
            the sentence in the report and log a warning with the number.
        labelled: whether labels are read. If not, a label field is passed through as metadata and may be
            absent.
        report: filled while reading.
        taxonomy: whose names stand for its ids where an Annif corpus gives subjects by name.

    Raises:
        DataError: bad lines, or a file that is missing, empty, cut short, not UTF-8, or of unknown format.
        ConfigError: an impossible setting.
        MissingExtraError: the format needs a package that is not installed.

    Settings and the path are checked at once, the content while the documents are drawn.
    """
    if on_bad_line not in BAD_LINE_POLICIES:
        raise ConfigError(f"on_bad_line is {on_bad_line!r}; choose 'error' or 'skip'")
    columns.check_roles(labelled=labelled)
    kind_of_file, compressed = resolve_format(source, format)
    if isinstance(source, (str, Path)):
        check_path(Path(source), kind_of_file)
    problems = _Problems(source_name(source), on_bad_line, ReadReport() if report is None else report)
    if kind_of_file not in ("jsonl", "csv", "tsv"):
        from taxotext.data.formats import Asked, open_records

        asked = Asked(source, kind_of_file, compressed, columns, labelled, problems.report, taxonomy)
        return _documents(open_records(asked), problems)
    return _read(source, columns, kind_of_file, compressed, labelled, problems)


def documents_of_dataset(
    dataset: Any, columns: Columns, on_bad_line: str, labelled: bool, report: ReadReport, name: str
) -> Iterator[Document]:
    """The rows of a dataset of Hugging Face as documents, with the errors of :func:`read_documents`."""
    from taxotext.data.formats import Asked
    from taxotext.data.hub import read_rows

    if on_bad_line not in BAD_LINE_POLICIES:
        raise ConfigError(f"on_bad_line is {on_bad_line!r}; choose 'error' or 'skip'")
    asked = Asked(name, "dataset", False, columns, labelled, report)
    return _documents(read_rows(dataset, asked), _Problems(name, on_bad_line, report))


def _documents(
    opened: tuple[Iterator[tuple[str, Record | BadRecordError | None]], RecordParser],
    problems: _Problems,
    empty: str = "no documents",
) -> Iterator[Document]:
    """The documents of (place, record) pairs; None stands for a blank line."""
    records, parser = opened
    report = problems.report
    blank = 0
    for where, record in records:
        if record is None:
            blank += 1
            continue
        report.blank_lines += blank  # blank lines count only when something follows them
        blank = 0
        try:
            if isinstance(record, BadRecordError):
                raise record
            document = parser.document(record, where)
        except BadRecordError as reason:
            problems.add(f"{where}: {reason}")
            continue
        problems.read += 1
        if not problems.fatal:
            report.documents += 1
            yield document
    problems.finish(empty)


def _read(
    source: Path | str | BinaryIO,
    columns: Columns,
    kind_of_file: str,
    compressed: bool,
    labelled: bool,
    problems: _Problems,
) -> Iterator[Document]:
    name, report = problems.name, problems.report
    with open_lines(source, compressed) as lines:
        if kind_of_file == "jsonl":
            parser = RecordParser(columns, labelled, None, report)
            records = _json_records(lines, name)
        else:
            cells = LabelCells(columns.labels, columns.label_separator, report, columns.found_separator)
            parser = RecordParser(columns, labelled, cells, report)
            records = _csv_records(lines, name, "," if kind_of_file == "csv" else "\t", columns, labelled)
            if labelled:
                records = _look_ahead(records, cells, columns.labels, name)
        placed = ((f"{name}:{number}", record) for number, record in records)
        empty = "only blank lines" if kind_of_file == "jsonl" else "a header and no documents"
        yield from _documents((placed, parser), problems, empty)


class _Problems:
    """Gathers the sentences about bad lines and says at the end what became of them."""

    def __init__(self, name: str, policy: str, report: ReadReport) -> None:
        self.name = name
        self.report = report
        self.read = 0
        self._policy = policy
        self._sentences: list[str] = []
        self._count = 0

    @property
    def fatal(self) -> bool:
        return self._policy == "error" and self._count > 0

    def add(self, sentence: str) -> None:
        self._count += 1
        if len(self._sentences) < SHOWN_PROBLEMS:
            self._sentences.append(sentence)
        if self._policy == "skip":
            self.report.skip(sentence)

    def finish(self, empty: str) -> None:
        if self._count and (self._policy == "error" or not self.read):
            total = self.read + self._count
            listed = f" (the first {SHOWN_PROBLEMS} are listed)" if self._count > SHOWN_PROBLEMS else ""
            advice = "mend them, or leave bad lines out (--on-bad-line skip)" if self.read else "mend them"
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


def _json_records(lines: Lines, name: str) -> Iterator[tuple[int, Record | BadRecordError | None]]:
    number = 0
    for number, line in lines:
        if not line.strip():
            yield number, None
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield number, _why_no_json(line, error)
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            yield (
                number,
                BadRecordError(f"each line must be a JSON object, found {kind(value)}: {short(value)}"),
            )
    if number == 0:
        raise DataError(f"{name}: the file is empty; give a file with one JSON object a line")


def _why_no_json(line: bytes, error: orjson.JSONDecodeError) -> BadRecordError:
    fault = encoding_fault(line)
    if fault is not None:
        return BadRecordError(fault)
    return BadRecordError(f"this is not valid JSON, at column {error.colno}: {error.msg}")


def encoding_fault(line: bytes) -> str | None:
    """Return the reason why a line is not text in UTF-8, or None when it is."""
    if b"\0" in line:
        return f"there is a NUL byte at byte {line.index(0) + 1}; remove it, or save the file as UTF-8 text"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = line[error.start]
        return f"the line is not UTF-8 (byte 0x{byte:02X} at byte {error.start + 1}); save the file as UTF-8"
    return None


class _CsvLines:
    """Feeds decoded lines to the CSV parser, and remembers what was wrong with them.

    Bytes that are not UTF-8 are let through in disguise, so that a record that goes over several lines ends
    where it should; the record is then refused as a whole.
    """

    def __init__(self, lines: Lines, name: str) -> None:
        self._lines = lines
        self._name = name
        self.number = 0
        self.ended = False
        self.begin_record()

    def begin_record(self) -> None:
        self.start = self.number + 1
        self.tabs: list[int] = []  # of the first and the last line
        self.fault: tuple[int, str] | None = None
        self._size = 0

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        try:
            self.number, line = next(self._lines)
        except StopIteration:
            self.ended = True
            raise
        self._size += len(line)
        self.tabs = [*self.tabs[:1], line.count(b"\t")]
        if self._size > LARGEST_RECORD:
            raise DataError(
                f"{self._name}:{self.start}: the record that begins here is longer than "
                f"{LARGEST_RECORD >> 20} MiB; a "
                'quote (") is probably opened and never closed'
            )
        reason = encoding_fault(line)
        if reason is not None and self.fault is None:
            self.fault = (self.number, reason)
        return line.decode("utf-8", "surrogateescape")


def _csv_records(
    lines: Lines, name: str, delimiter: str, columns: Columns, labelled: bool
) -> Iterator[tuple[int, Record | BadRecordError | None]]:
    # The limit of the csv module belongs to the whole process; it is only ever raised here.
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
    feed = _CsvLines(lines, name)
    rows = csv.reader(feed, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        feed.begin_record()
        start = feed.start
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            if feed.ended:
                raise DataError(
                    f'{name}:{start}: the record that begins here opens a quote (") that is never closed; '
                    'close it, or double it ("")'
                ) from error
            reason = _why_no_csv(error, start, feed.number)
            if header is None:
                raise DataError(f"{name}:{feed.number}: the header is not valid CSV: {reason}") from error
            yield feed.number, BadRecordError(f"this is not valid CSV: {reason}")
            continue
        # A cell of white space is a blank line where rows have more cells, and a document where they have one.
        if not row or (len(row) == 1 and not row[0].strip() and (header is None or len(header) > 1)):
            if header is not None:
                yield start, None
            continue
        if feed.fault is not None:
            number, reason = feed.fault
            if header is None:
                raise DataError(f"{name}:{number}: the header cannot be read: {reason}")
            yield number, BadRecordError(reason)
        elif header is None:
            header = row
            _check_header(header, f"{name}:{start}", delimiter, columns, labelled)
        elif delimiter == "\t" and len(feed.tabs) > 1 and _seems_swallowed(row, feed.tabs, len(header)):
            yield start, BadRecordError(_swallowed(start, feed.number))
        elif len(row) != len(header):
            few_or_many = "few" if len(row) < len(header) else "many"
            yield (
                start,
                BadRecordError(
                    f"the row has too {few_or_many} cells, {len(row)} where the header has {len(header)}; a "
                    f"cell with a {'comma' if delimiter == ',' else 'tab'}, a quote or a line break must "
                    "stand in quotes"
                ),
            )
        else:
            yield start, dict(zip(header, row, strict=True))
    if header is None:
        raise DataError(f"{name}: the file is empty; give a file with a header and one document a row")


def _why_no_csv(error: csv.Error, first: int, last: int) -> str:
    if "new-line character" in str(error):
        return "lines end in CR alone; save the file with LF (or CR LF) line ends"
    begun = "" if first == last else f", in the record that begins in line {first}; see to the quotes from there on"
    told = str(error).replace("'\t'", "a tab")
    return f"{told}{begun or '; mend it'}"


def _seems_swallowed(row: list[str], tabs: list[int], columns: int) -> bool:
    """Whether a row over several lines may be several rows: its first line is whole by itself, and so is its last."""
    both = any("\n" in cell and "\t" in cell for cell in row)
    return both and tabs[0] == columns - 1 and (tabs[1] == columns - 1 or len(row) != columns)


def _swallowed(first: int, last: int) -> str:
    return (
        f'lines {first} to {last} make one row, because a cell begins with a quote ("), but seem to be several: put '
        'a cell that begins with a quote into quotes and double its own ("""so"" it begins"), or use JSONL or CSV'
    )


def _check_header(header: list[str], where: str, delimiter: str, columns: Columns, labelled: bool) -> None:
    seen: set[str] = set()
    for cell in header:
        if cell in seen:
            raise DataError(f"{where}: the header has the column {cell!r} twice; give each column a name of its own")
        seen.add(cell)
    wanted = [*columns.text, columns.labels if labelled else None, columns.weight, columns.group]
    wanted.append(columns.id if columns.id != "id" else None)
    missing = [missing_field(column, header) for column in wanted if column is not None and column not in seen]
    if not missing:
        return
    if len(header) == 1:
        for other, mark in ((";", "';'"), ("\t", "a tab"), (",", "a comma"), ("|", "'|'")):
            if other in header[0] and other != delimiter:
                advice = {"\t": "name the file .tsv", ",": "name the file .csv"}.get(
                    other, "export it with commas, as .csv, or with tabs, as .tsv"
                )
                raise DataError(
                    f"{where}: the header is one cell, {short(header[0])}; columns seem to be separated by "
                    f"{mark}, expected {'a comma' if delimiter == ',' else 'a tab'}: {advice}"
                )
    raise DataError(
        f"{where}: the header lacks a column that is needed; the first line must name the columns, and the "
        "setting 'columns' says which one is what",
        missing,
    )


def _look_ahead(
    records: Iterator[tuple[int, Record | BadRecordError | None]], cells: LabelCells, column: str, name: str
) -> Iterator[tuple[int, Record | BadRecordError | None]]:
    """Hold the first rows back until the separator of label cells has been guessed from them."""
    held: list[tuple[int, Record | BadRecordError | None]] = []
    size = 0
    for item in records:
        held.append(item)
        size += sum(map(len, item[1].values())) if isinstance(item[1], dict) else 0
        if len(held) >= GUESS_ROWS or size > LARGEST_RECORD:
            break
    cells.guess([(str(record[column]), f"{name}:{number}") for number, record in held if isinstance(record, dict)])
    yield from chain(held, records)
