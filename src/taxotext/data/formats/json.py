"""JSON files: a list of objects, or a table by columns as pandas writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import orjson

from taxotext.data.formats.annotations import TOOLS, Tool
from taxotext.data.formats.base import Format, Item, Reading, Record, Request, json_object, no_number, object_in, parsed
from taxotext.data.formats.jsonl import JSONL
from taxotext.data.records import BadRecordError, kind, short
from taxotext.data.sources import BYTE_ORDER_MARK, open_lines
from taxotext.errors import DataError
from taxotext.messages import parameter


def read_json(request: Request) -> Reading:
    """Read a JSON file as a whole.

    A list of objects, also as the only value of an object; pairs ``["text", {"cats": ...}]``; or what
    ``DataFrame.to_json`` writes: an object of columns, or of ``columns`` and ``data``. Exports of annotation tools are
    recognised by their first object.

    Raises:
        DataError: it is not JSON, or another value.
    """
    return _items(request), request.parser()


def _items(request: Request) -> Iterator[Item]:
    with open_lines(request.source, request.compressed, whole=True) as lines:
        content = b"".join(line for _, line in lines)
    yield from _of_content(request, content, None)


def _of_content(request: Request, content: bytes, tool: Tool | None) -> Iterator[Item]:
    """The records of a JSON text; those of a tool, if it is one of its exports."""
    try:
        value = orjson.loads(content.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        if (fault := no_number(content)) is not None:
            raise DataError(f"{request.name}:{error.lineno}: {fault}") from error
        raise DataError(
            f"{request.name}: this is not valid JSON, at line {error.lineno}, column {error.colno}: {error.msg}; "
            f"fix it, or give {parameter('input_format', 'jsonl')} if each line is an object"
        ) from error
    lists = [key for key, part in value.items() if _are_objects(part)] if isinstance(value, dict) else []
    if len(lists) > 1 and len(lists) == len(value):
        raise DataError(
            f"{request.name}: holds {len(lists)} lists of documents ({', '.join(map(repr, lists[:5]))}); write each "
            "into a file of its own"
        )
    rows = rows_in(value)
    if rows is None:
        raise DataError(
            f"{request.name}: holds {kind(value)}, not a list of objects; write one object a "
            "document, with its text and its labels"
        )
    objects = ((f"{request.name}: record {number}", _object(row)) for number, row in enumerate(rows, 1))
    first = next((found for row in rows if isinstance(found := _object(row), dict)), {})
    tool = tool or next((each for each in TOOLS if each.recognises(first)), None)
    yield from objects if tool is None else tool.records(request, objects)


def rows_in(value: Any) -> list[Any] | None:
    """The rows of a table in a JSON value; None when there is none.

    >>> rows_in({"text": {"0": "x", "1": "y"}, "labels": {"0": ["a"], "1": []}})
    [{'text': 'x', 'labels': ['a']}, {'text': 'y', 'labels': []}]
    """
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or not value:
        return None
    columns, data = value.get("columns"), value.get("data")
    if isinstance(columns, list) and isinstance(data, list):
        return [dict(zip(columns, row, strict=False)) if isinstance(row, list) else row for row in data]
    lists = [part for part in value.values() if isinstance(part, list)]
    if len(lists) == 1 and _are_objects(lists[0]) and "text" not in value:
        return lists[0]
    if len(value) < 2:
        return None
    by_index = list(value.values())
    if all(isinstance(part, dict) for part in by_index) and all(str(key).isdecimal() for key in value):
        return by_index  # rows by their numbers
    if all(isinstance(part, dict) and list(part) == list(by_index[0]) for part in by_index) and by_index[0]:
        return [{name: part[key] for name, part in value.items()} for key in by_index[0]]
    if all(isinstance(part, list) and len(part) == len(by_index[0]) for part in by_index):
        return [dict(zip(value, row, strict=True)) for row in zip(*by_index, strict=True)]
    return None


def _are_objects(part: Any) -> bool:
    return isinstance(part, list) and bool(part) and all(isinstance(row, dict) for row in part)


def _object(row: Any) -> Record | BadRecordError:
    if isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], dict):
        return {"text": row[0], **row[1]}
    if not isinstance(row, dict):
        return BadRecordError(f"each record must be a JSON object, found {kind(row)}: {short(row)}")
    return row


def _is_lines(line: bytes) -> bool:
    """Whether a file has one object a line, by its first one: not a table, which is one object, too."""
    try:
        return rows_in(json_object(line)) is None
    except BadRecordError:
        return False


def _of_tool(tool: Tool) -> Format:
    """The format of the exports of a tool: a list of objects, or one object a line."""

    def read(request: Request) -> Reading:
        return _of_list_or_lines(request, tool), request.parser()

    def is_export(line: bytes) -> bool:
        return tool.recognises(object_in(line))

    return Format(tool.name, read, first_line=is_export, looked_into=("jsonl", "ndjson", "json"), cells=True)


def _of_list_or_lines(request: Request, tool: Tool) -> Iterator[Item]:
    with open_lines(request.source, request.compressed, whole=True) as lines:
        held = list(islice(lines, 1))
        if held and held[0][1].lstrip().startswith(b"["):
            yield from _of_content(request, b"".join(line for _, line in chain(held, lines)), tool)
        else:
            yield from tool.records(request, parsed(request, chain(held, lines), json_object))


JSON = Format("json", read_json, suffixes=("json",), empty="an empty list", cells=True)
LINES = replace(JSONL, first_line=_is_lines, looked_into=("json",))
TOOL_FORMATS = tuple(map(_of_tool, TOOLS))
