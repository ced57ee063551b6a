"""Tables as text: CSV and TSV, a header and one document a row."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson

from taxotext.data.columns import DEFAULT_COLUMNS, Columns, ReadReport
from taxotext.data.formats.base import Documents, Format, Item, Reading, Record, Request
from taxotext.data.formats.output import field_names, opened_for, records_of
from taxotext.data.label_columns import indicator_columns
from taxotext.data.records import BadRecordError, short
from taxotext.data.sources import Lines, encoding_fault, open_lines
from taxotext.errors import DataError
from taxotext.messages import parameter, some

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
"""What may separate columns."""
LARGEST_RECORD = 2**28
"""Bytes after which a record is taken for one whose quote is never closed."""

LINES_ABOVE = 20
"""Lines below the first that are looked at for the header."""
ROWS_FOR_ADVICE = 200
"""Rows that are looked at to say which columns are labels."""

_SPREADSHEET = re.compile(r'(?:\ufeff)?"?sep=(.)"?[,;]*', re.IGNORECASE)

Row = tuple[int, Record | BadRecordError | None]
"""The line where a row begins, and its cells by column."""


def _reader(delimiter: str) -> Callable[[Request], Reading]:
    def read(request: Request) -> Reading:
        return _items(request, delimiter), request.parser(cells=True)

    return read


def _items(request: Request, delimiter: str) -> Iterator[Item]:
    name = request.name
    with open_lines(request.source, request.compressed) as lines:
        for number, row in _rows(lines, request, delimiter):
            yield f"{name}:{number}", row


def _rows(lines: Lines, request: Request, promised: str) -> Iterator[Row]:
    name, report = request.name, request.report
    # The limit of the csv module belongs to the whole process; it is only ever raised here.
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
    lines, delimiter, spaced = _dialect(lines, request, promised)
    report.column_separator = None if delimiter == promised else delimiter
    feed = _CsvLines(lines, name)
    rows = csv.reader(feed, **_settings(request, delimiter, spaced))
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
                    f'close it, or double it (""){_or_no_quotes(request)}'
                ) from error
            reason = _why_no_csv(error, start, feed.number, request)
            if header is None:
                raise DataError(f"{name}:{feed.number}: the header is not valid CSV: {reason}") from error
            yield feed.number, BadRecordError(f"this is not valid CSV: {reason}")
            continue
        if _is_blank(row, header, request.blank_texts):
            if header is not None:
                yield start, None
            continue
        if feed.fault is not None:
            number, reason = feed.fault
            if header is None:
                raise DataError(f"{name}:{number}: the header cannot be read: {reason}")
            yield number, BadRecordError(reason)
            continue
        if header is None:
            header = _named(row, report)
            _check_header(header, f"{name}:{start}", rows, request)
            continue
        if delimiter == "\t" and len(feed.tabs) > 1 and _seems_swallowed(row, feed.tabs, len(header)):
            yield start, BadRecordError(_swallowed(start, feed.number) + _or_no_quotes(request))
            continue
        row = _without_empty_end(row, len(header), report)
        if len(row) != len(header):
            few_or_many = "few" if len(row) < len(header) else "many"
            yield (
                start,
                BadRecordError(
                    f"the row has too {few_or_many} cells, {len(row)} where the header has {len(header)}; a "
                    f"cell with {SEPARATORS[delimiter]}, a quote or a line break must be in quotes"
                ),
            )
        elif len(header) > 1 and _is_header(row, header):
            report.repeated_headers += 1
        elif len(header) > 1 and sorted(map(_plain_name, row)) == sorted(map(_plain_name, header)):
            yield (
                start,
                BadRecordError("the row is a header in another order; join files only if their columns are alike"),
            )
        else:
            yield start, dict(zip(header, row, strict=True))
    if header is None:
        raise DataError(f"{name}: the file is empty; give a file with a header and one document a row")


def _settings(request: Request, delimiter: str, spaced: bool = False) -> dict[str, Any]:
    """Settings of the CSV parser; ``spaced``: blanks follow the separators, ``text, "labels"``."""
    settings = {"delimiter": delimiter, "strict": True, "skipinitialspace": spaced}
    return settings if request.columns.quotes else {**settings, "quoting": csv.QUOTE_NONE, "quotechar": None}


def _dialect(lines: Lines, request: Request, promised: str) -> tuple[Lines, str, bool]:
    """All lines from the header on, what separates columns, and whether blanks follow it.

    That is what the suffix promises, unless the first line tells a spreadsheet the separator (``sep=;``), or the header
    has the columns that are needed with another separator only.
    """
    held: list[tuple[int, bytes]] = []
    for number, line in lines:
        text = line.decode("utf-8", "replace")
        named = _SPREADSHEET.fullmatch(text.strip("\r\n"))
        if named is not None and not held:
            return lines, named[1], False
        held.append((number, line))
        if text.strip():
            marks = dict.fromkeys((promised, *SEPARATORS))
            ways = [(mark, spaced) for spaced in (False, True) for mark in marks]
            readable = next((way for way in ways if not request.missing(_cells(text, request, *way))), None)
            if readable is None:
                held += islice(lines, LINES_ABOVE)
                _check_above(held, number, ways, request)
                readable = _likeliest(text, request, promised), False
            return chain(held, lines), *readable
    return iter(held), promised, False


def _check_above(held: list[tuple[int, bytes]], first: int, ways: list[tuple[str, bool]], request: Request) -> None:
    """Refuse a table with something above its header, such as a title or a comment.

    Raises:
        DataError: the header is a line below the first.
    """
    for number, line in held:
        text = line.decode("utf-8", "replace")
        if number > first and any(not request.missing(_cells(text, request, *way)) for way in ways):
            raise DataError(
                f"{request.name}:{first}: the header is in line {number}; remove what is above it, "
                f"{short(held[0][1].decode('utf-8', 'replace').strip())}"
            )


def _cells(line: str, request: Request, delimiter: str, spaced: bool = False) -> list[str]:
    try:
        return next(csv.reader([line], **_settings(request, delimiter, spaced)), [])
    except csv.Error:
        return []


def _likeliest(line: str, request: Request, promised: str) -> str:
    """Where no separator gives the columns that are needed: another one only if the header is one cell without it."""
    if len(_cells(line, request, promised)) > 1:
        return promised
    return max((promised, *SEPARATORS), key=lambda way: len(_cells(line, request, way)))


def _is_blank(row: list[str], header: list[str] | None, blank_texts: bool) -> bool:
    """Whether a row is a blank line: nothing, only empty cells, or white space where rows have more cells.

    A cell of white space is a document where rows have one cell, and so is a row of empty cells where texts may be
    blank (``blank_texts``): each row gets its prediction.
    """
    if len(row) > 1:
        return not (blank_texts and header is not None) and not any(cell.strip() for cell in row)
    return not row or (not row[0].strip() and (header is None or len(header) > 1))


def _named(row: list[str], report: ReadReport) -> list[str]:
    """The header without the columns at the end that have no name."""
    names = list(row)
    while len(names) > 1 and not names[-1].strip():
        names.pop()
    report.empty_columns = len(row) - len(names)
    return names


def _without_empty_end(row: list[str], width: int, report: ReadReport) -> list[str]:
    """The row without empty cells beyond the columns that have a name."""
    surplus = row[width:]
    if not surplus or any(cell.strip() for cell in surplus):
        return row
    report.empty_columns = max(report.empty_columns, len(surplus))
    return row[:width]


def _is_header(row: list[str], header: list[str]) -> bool:
    """Whether a row repeats the header, perhaps as another program writes it: other case, blanks, quotes."""
    return [_plain_name(cell) for cell in row] == [_plain_name(cell) for cell in header]


def _plain_name(cell: str) -> str:
    return cell.removeprefix("\ufeff").strip().strip('"').strip().casefold()


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


def _why_no_csv(error: csv.Error, first: int, last: int, request: Request) -> str:
    if "new-line character" in str(error):
        return "lines end in CR alone; save the file with LF (or CR LF) line ends"
    begun = "" if first == last else f", in the record that begins in line {first}; check the quotes from there on"
    problem = str(error).replace("'\t'", "a tab")
    return f"{problem}{begun or '; fix it'}{_or_no_quotes(request)}"


def _or_no_quotes(request: Request) -> str:
    """What else to do about quotes; a model reads files as that of its training, whatever they hold."""
    if request.columns.id_optional:
        return ""
    return f", or give {parameter('no_quotes')} where a quote is a character like any other"


def _seems_swallowed(row: list[str], tabs: list[int], columns: int) -> bool:
    """Whether a row over several lines may be several rows: its first line is whole by itself, and so is its last."""
    both = any("\n" in cell and "\t" in cell for cell in row)
    return both and tabs[0] == columns - 1 and (tabs[1] == columns - 1 or len(row) != columns)


def _swallowed(first: int, last: int) -> str:
    return (
        f'lines {first} to {last} make one row, because a cell begins with a quote ("), but seem to be several: put '
        'a cell that begins with a quote into quotes and double its own ("""so"" it begins"), or use JSONL or CSV'
    )


def _check_header(header: list[str], where: str, rows: Iterator[list[str]], request: Request) -> None:
    seen: set[str] = set()
    for cell in header:
        if cell in seen:
            raise DataError(f"{where}: the header has the column {cell!r} twice; give each column a name of its own")
        seen.add(cell)
    missing = request.missing(header)
    if not missing:
        return
    raise DataError(
        f"{where}: the header lacks a column that is needed; the first line must name the columns: {request.advice}",
        missing + _indicators(header, rows, request),
    )


def _indicators(header: list[str], rows: Iterator[list[str]], request: Request) -> list[str]:
    """That columns are labels, each with 0 and 1 or the like, where no column of labels was found."""
    if not request.labelled or set(request.columns.labels) & set(header):
        return []
    try:
        seen = list(islice(rows, ROWS_FOR_ADVICE))
    except (csv.Error, DataError):
        return []
    used = {*request.columns.text, request.columns.id}
    found = [name for name in indicator_columns(header, seen) if name not in used]
    if len(found) < 2:
        return []
    options = [parameter("labels", name) for name in found]
    how = " ".join(options) if options[0].startswith("--") else f"{parameter('labels')}={found!r}"
    shown = some([repr(name) for name in found[:3]], len(found))
    return [f"The columns {shown} say whether a document has a label (1 or 0, true or false); give {how}."]


def write_csv(
    corpus: Documents, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write a header and one row a document; separated by tabs if the path ends in ``.tsv``, else by commas.

    Label cells hold a JSON list, which any label survives, unless ``columns.label_separator`` is given.
    Metadata that are not strings are written as JSON; a field that a document lacks is an empty cell.

    Args and errors are those of :func:`write_jsonl`; besides, a label may not contain the separator.
    """
    target = Path(path)
    tabs = [suffix.lower() for suffix in target.suffixes if suffix.lower() != ".gz"][-1:] in (
        [".tsv"],
        [".tab"],
    )
    delimiter = "\t" if tabs else ","
    names = field_names(corpus, columns)
    metadata = dict.fromkeys(name for fields in corpus.metadata or () for name in fields)
    header = [name for role, name in names.items() if role != "id" or corpus.ids is not None] + list(metadata)
    with opened_for(target, overwrite) as stream:
        stream.write(_row(header, delimiter, target))
        for record in records_of(corpus, names):
            record[names["labels"]] = _label_cell(record[names["labels"]], columns.label_separator, target)
            stream.write(_row([_cell(record.get(name)) for name in header], delimiter, target))


def _label_cell(labels: list[str], separator: str | None, target: Path) -> str:
    if not separator:
        if separator == "" and len(labels) == 1:
            return labels[0]
        if separator == "" and len(labels) > 1:
            raise DataError(
                f"{target}: a document has {len(labels)} labels, and label_separator='' leaves room for one; "
                "give a separator"
            )
        return orjson.dumps(labels).decode() if labels else ""
    for label in labels:
        if separator in label:
            raise DataError(
                f"{target}: the label {label!r} contains the separator {separator!r}; choose another one, or "
                "leave label_separator out to write JSON lists"
            )
    return separator.join(labels)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _row(cells: list[str], delimiter: str, target: Path) -> bytes:
    # Not the csv module: up to Python 3.12 it leaves a lone carriage return without quotes.
    quoted = []
    for cell in cells:
        if "\0" in cell:
            raise DataError(f"{target}: {short(cell)} holds a NUL character, which CSV has no form for; write JSONL")
        special = delimiter in cell or '"' in cell or "\n" in cell or "\r" in cell
        quoted.append('"' + cell.replace('"', '""') + '"' if special else cell)
    row = delimiter.join(quoted)
    lines = row.split("\n")
    if delimiter == "\t" and len(lines) > 1 and lines[0].count("\t") == lines[-1].count("\t") == len(cells) - 1:
        odd = [cell for cell in cells if "\t" in cell and "\n" in cell]
        if odd:  # the reader would take it for rows that an open quote has swallowed
            raise DataError(
                f"{target}: {short(odd[0])} has tabs and line breaks that look like rows of a TSV file; "
                "write JSONL or CSV"
            )
    return (row + "\n").encode("utf-8")


CSV = Format(
    "csv",
    _reader(","),
    suffixes=("csv",),
    empty="a header and no documents",
    cells=True,
    write=write_csv,
    written_suffixes=(".csv", ".csv.gz"),
    written_cells=True,
)
TSV = Format(
    "tsv",
    _reader("\t"),
    suffixes=("tsv", "tab"),
    empty="a header and no documents",
    cells=True,
    write=write_csv,
    written_suffixes=(".tsv", ".tsv.gz", ".tab", ".tab.gz"),
    written_cells=True,
)
