"""JSON lines: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import orjson

from taxotext.data.columns import DEFAULT_COLUMNS, Columns
from taxotext.data.formats.base import Documents, Format, Item, Request, from_lines, json_object, parsed
from taxotext.data.formats.output import field_names, opened_for, records_of
from taxotext.data.records import short
from taxotext.data.sources import BYTE_ORDER_MARK, Lines
from taxotext.errors import DataError
from taxotext.messages import parameter


def _records(request: Request, lines: Lines) -> Iterator[Item]:
    empty = True
    for item in parsed(request, _no_array(request, lines), partial(json_object, what="each line")):
        empty = False
        yield item
    if empty:
        raise DataError(f"{request.name}: the file is empty; give a file with one JSON object a line")


def _no_array(request: Request, lines: Lines) -> Lines:
    """All lines; DataError when the first one begins a JSON array of documents, each line of which would be bad."""
    looked = False
    for number, line in lines:
        text = line.removeprefix(BYTE_ORDER_MARK).strip()
        if text and not looked:
            looked = True
            if text.startswith(b"[") and _is_array_of_objects(text):
                raise DataError(
                    f"{request.name}:{number}: the file is one JSON array, not one object a line; "
                    f"give {parameter('input_format', 'json')}"
                )
        yield number, line


def _is_array_of_objects(text: bytes) -> bool:
    """Whether a line begins an array that goes on in the next lines, or is an array of objects."""
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text[1:].lstrip()[:1] in (b"", b"{")
    return bool(rows) and all(isinstance(row, dict) for row in rows)


def write_jsonl(
    corpus: Documents, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write one JSON object a line: id, text, labels, weight, group, then the metadata.

    Args:
        corpus: the labels written are those of ``targets``, after the closure policy, unknown labels
            included.
        path: with ``.gz`` it is compressed. The file appears complete or not at all.
        columns: the names of the fields. The text goes into the first text field; weights and groups, where
            the corpus has them, into ``weight`` and ``group`` unless ``columns`` names other fields.
        overwrite: whether an existing file may be replaced.

    Raises:
        DataError: the file exists, cannot be written, or a metadata field has the name of another field.
    """
    target = Path(path)
    names = field_names(corpus, columns)
    with opened_for(target, overwrite) as stream:
        for record in records_of(corpus, names):
            try:
                stream.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            except TypeError as error:  # orjson's error for values that JSON has no form for
                raise DataError(
                    f"{target}: the document {short(record[names['text']])} cannot be written as JSON: "
                    f"{error}; use strings, numbers, lists and mappings in metadata"
                ) from error


JSONL = Format(
    "jsonl", from_lines(_records), suffixes=("jsonl", "ndjson"), empty="only blank lines", cells=True, write=write_jsonl
)
