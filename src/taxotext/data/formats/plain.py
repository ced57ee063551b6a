"""Lines of plain text, one document each; they have no labels."""

from __future__ import annotations

from collections.abc import Iterator

from taxotext.data.formats.base import Format, Item, Reading, Record, Request, decoded, from_lines, parsed
from taxotext.data.sources import Lines
from taxotext.errors import DataError
from taxotext.messages import parameter


def _record(raw: bytes) -> Record:
    return {"text": decoded(raw).strip()}


def _records(request: Request, lines: Lines) -> Iterator[Item]:
    return parsed(request, lines, _record)


_lines = from_lines(_records, fixed_fields=True)


def _read(request: Request) -> Reading:
    if request.labelled:
        raise DataError(
            f"{request.name}: lines of plain text have no labels; use jsonl, json, csv or tsv, each also with .gz, or "
            f"parquet, or give the format ({parameter('input_format')})"
        )
    return _lines(request)


TEXT = Format("text", _read, suffixes=("txt",))
