"""What a format of corpora is, and what is handed to its reader and writer."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from taxotext.data.class_names import Names, names_beside
from taxotext.data.columns import DEFAULT_COLUMNS, Columns, ReadReport
from taxotext.data.record_parser import RecordParser
from taxotext.data.records import BadRecordError, kind, missing_field, short
from taxotext.data.sources import BYTE_ORDER_MARK, Lines, encoding_fault, open_lines, source_name
from taxotext.errors import DataError
from taxotext.labels import Taxonomy
from taxotext.messages import parameter

ROLES = {"text": "their text", "labels": "their labels", "id": "their id"}

Record: TypeAlias = dict[str, Any]
Item: TypeAlias = tuple[str, Record | BadRecordError | None]
"""Where a record is (``file:line``), and the record, or why it cannot be read, or None for a blank line."""
PAUSED: Record = {}
"""In the place of a record: the writer of a live stream pauses."""
Reading: TypeAlias = tuple[Iterator[Item], RecordParser]
"""The records of a corpus, and what makes documents of them."""


@dataclass(frozen=True)
class Request:
    """What is to be read, and how; see :func:`taxotext.data.read_documents`."""

    source: Path | str | BinaryIO
    format: str
    compressed: bool
    columns: Columns
    labelled: bool
    report: ReadReport
    taxonomy: Taxonomy | None = None
    blank_texts: bool = False

    @property
    def name(self) -> str:
        """The source, as messages name it."""
        return source_name(self.source)

    @property
    def folder(self) -> Path:
        """The source as a folder.

        Raises:
            DataError: it is not one.
        """
        if not isinstance(self.source, (str, Path)) or not Path(self.source).is_dir():
            raise DataError(f"{self.name}: a corpus in the format {self.format} is a folder; name that")
        return Path(self.source)

    def parser(self, *, names: Mapping[str, Sequence[str]] | None = None, cells: bool = False) -> RecordParser:
        """What makes documents of the records; see :class:`taxotext.data.record_parser.RecordParser`.

        Names of class numbers that the file does not store itself are looked for beside it.
        """
        beside: Names = {}
        file = ""
        if self.labelled and not names and isinstance(self.source, (str, Path)):
            beside, file = names_beside(Path(self.source), self.columns.labels)
        return RecordParser(
            self.columns,
            self.labelled,
            self.report,
            names or beside,
            cells,
            names_file=file,
            taxonomy=self.taxonomy,
            blank_texts=self.blank_texts,
        )

    def note_field(self, role: str, own: Collection[str], what: str) -> None:
        """Note that a field was named in vain where a format has fields of its own."""
        given = getattr(self.columns, role)
        named = {given} if isinstance(given, str) else set(given)
        is_of_training = self.columns.id_optional
        if given != getattr(DEFAULT_COLUMNS, role) and not named <= set(own) and not is_of_training:
            self.report.unused[role] = f"{what} have {ROLES[role]} in the field {next(iter(own))!r}"

    @property
    def advice(self) -> str:
        """What to do where a column is missing."""
        roles = ("text", "labels", "id") if self.labelled else ("text", "id")
        names = [parameter(role) for role in roles]
        # A command may have an option for some of them only.
        *first, last = [name for name in names if name.startswith("--")] or names
        return f"say with {', '.join(first)}{' and ' if first else ''}{last} which one is what"

    def missing(self, present: Sequence[str]) -> list[str]:
        """A sentence for each column that is needed and is none of those present."""
        columns = self.columns
        wanted = [*columns.text, *(columns.labels if self.labelled else ()), columns.weight, columns.group]
        wanted.append(None if columns.id_may_be_absent else columns.id)
        there = set(present)
        return [
            self._several_in_one(column, there) or missing_field(column, present)
            for column in wanted
            if column is not None and column not in there
        ]

    def _several_in_one(self, column: str, present: Collection[str]) -> str:
        """What to do where the names of several fields were given as one, ``--labels toxic,obscene``."""
        for role in ("text", "labels"):
            pieces = [piece.strip() for piece in re.split(r"[,;]", column)]
            if column in getattr(self.columns, role) and len(pieces) > 1 and all(piece in present for piece in pieces):
                return (
                    f"there is no field {column!r}. These are {len(pieces)} fields; give {parameter(role)} several "
                    "times, one field each (in Python and in configurations: a list)."
                )
        return ""


class Documents(Protocol):
    """What writers need of a :class:`taxotext.data.Corpus`."""

    @property
    def texts(self) -> Sequence[str]: ...
    @property
    def ids(self) -> Sequence[str | int | None] | None: ...
    @property
    def weights(self) -> npt.NDArray[np.float32] | None: ...
    @property
    def groups(self) -> Sequence[str | None] | None: ...
    @property
    def metadata(self) -> Sequence[Mapping[str, Any]] | None: ...
    def label_lists(self) -> list[list[str]]:
        """The label ids of each document."""


class Writer(Protocol):
    """Writes a corpus; arguments and errors are those of :func:`taxotext.data.write_jsonl`."""

    def __call__(
        self, corpus: Documents, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
    ) -> None: ...


@dataclass(frozen=True)
class Format:
    """One format of corpora."""

    name: str  # as users write it
    # returns the records and their parser. It may check the source at once; records are drawn one by one.
    read: Callable[[Request], Reading]
    # of files that are of this format unless another one recognises them, without the dot
    suffixes: tuple[str, ...] = ()
    # whether a file is of this format by its first line that is not blank; asked for files with one of `looked_into`
    first_line: Callable[[bytes], bool] | None = None
    looked_into: tuple[str, ...] = ()  # suffixes of the files whose first line is looked at
    # whether a line may be a document without labels, which does not tell the format: the next one is asked
    undecided: Callable[[bytes], bool] | None = None
    # whether a folder is a corpus of this format by the names of what is in it
    files: Callable[[frozenset[str]], bool] | None = None
    is_folder: bool = False  # whether its corpora are folders
    packed: bool = True  # whether files may be compressed (`.gz`)
    empty: str = "no documents"  # what a source without documents holds, for its error
    cells: bool = False  # whether labels may be cells with separators between them, when it is read
    # the label ids that a corpus declares beside those that occur, in their order
    declared: Callable[[Request], tuple[str, ...]] | None = None
    write: Writer | None = None  # None if corpora are not written in this format
    written_suffixes: tuple[str, ...] = ()  # how the name of a written file must end; any name when empty
    written_cells: bool = False  # whether labels may be cells with separators between them, when it is written


def from_lines(
    records: Callable[[Request, Lines], Iterator[Item]], *, fixed_fields: bool = False
) -> Callable[[Request], Reading]:
    """Make the ``read`` of a format whose documents are lines of text and whose labels are lists.

    Args:
        records: yields an item for each line.
        fixed_fields: whether the fields are ``id``, ``text`` and ``labels`` whatever the columns of the request are.
    """

    def read(request: Request) -> Reading:
        columns = request.columns
        if fixed_fields:
            for setting in ("text", "labels", "id"):
                if getattr(columns, setting) != getattr(DEFAULT_COLUMNS, setting):
                    request.report.unused[setting] = f"{request.format} has no names of fields"
            columns = replace(columns, text=("text",), labels=("labels",), id="id")
        asked = replace(request, columns=columns)

        def items() -> Iterator[Item]:
            with open_lines(request.source, request.compressed) as lines:
                yield from records(asked, lines)

        return items(), asked.parser()

    return read


def with_labels(request: Request, record: Record, labels: Any, own: tuple[str, ...], what: str) -> Record:
    """The record with its labels where the parser looks for them.

    A field that the user named and that the record has comes first: exports have other fields, too.

    Args:
        record: without the labels.
        labels: the content of the field that the format keeps them in.
        own: the fields of the format for labels.
        what: has these fields, for messages.

    Raises:
        DataError: several fields were named, and the record lacks one.
    """
    columns = request.columns
    if columns.labels != DEFAULT_COLUMNS.labels and not set(columns.labels) <= set(own):
        if all(name in record for name in columns.labels):
            return record
        if len(columns.labels) > 1:
            raise DataError(
                f"{request.name}: {what} have their labels in the field {own[0]!r}; leave {parameter('labels')} out"
            )
        request.note_field("labels", own, what)
    return {**record, columns.label_field: labels}


def parsed(request: Request, lines: Lines, parse: Callable[[bytes], Record]) -> Iterator[Item]:
    """An item for each line; ``parse`` makes a record of a line that is not blank, or raises a BadRecordError."""
    name = request.name
    for number, line in lines:
        item: Record | BadRecordError | None = None if line else PAUSED
        if line.strip():
            try:
                item = parse(line)
            except BadRecordError as reason:
                item = reason
        yield f"{name}:{number}", item


def decoded(raw: bytes) -> str:
    """The text of a line; a BadRecordError where it is not UTF-8."""
    fault = encoding_fault(raw)
    if fault is not None:
        raise BadRecordError(fault)
    return raw.decode()


def no_number(raw: bytes) -> str | None:
    """What is wrong with JSON that holds numbers which only Python writes; None when there are none."""
    found = re.search(rb"[:,\[]\s*-?(?:NaN|Infinity)\s*[,}\]]", raw)
    return None if found is None else "NaN and Infinity are not valid JSON, though Python writes them; write null"


def object_in(line: bytes) -> Record:
    """The JSON object that a line is, for recognising formats; an empty one where it is none."""
    try:
        return json_object(line)
    except BadRecordError:
        return {}


def json_object(raw: bytes, what: str = "a document") -> Record:
    """Parse a JSON object.

    Raises:
        BadRecordError: it is not JSON, or another value; ``what`` names it.
    """
    try:
        value = orjson.loads(raw.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        line = f"line {error.lineno}, " if b"\n" in raw.strip() else ""
        fault = (
            encoding_fault(raw)
            or no_number(raw)
            or f"this is not valid JSON, at {line}column {error.colno}: {error.msg}"
        )
        raise BadRecordError(fault) from None
    if not isinstance(value, dict):
        raise BadRecordError(f"{what} must be a JSON object, found {kind(value)}: {short(value)}")
    return value
