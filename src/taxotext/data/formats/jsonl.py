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
from taxotext.data.sources import Lines
from taxotext.errors import DataError


def _records(request: Request, lines: Lines) -> Iterator[Item]:
    empty = True
    for item in parsed(request, lines, partial(json_object, what="each line")):
        empty = False
        yield item
    if empty:
        raise DataError(f"{request.name}: the file is empty; give a file with one JSON object a line")


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
