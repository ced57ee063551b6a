"""Taxonomies in tables: CSV or TSV with a header, a row for each label and parent, as databases and spreadsheets write.

Columns are known by their names, whatever their case and order; see :data:`PARENT`, :data:`LABEL`, :data:`NAME` and
:data:`DESCRIPTION`. Other columns are passed over.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from taxotext.errors import TaxonomyError
from taxotext.labels import building
from taxotext.messages import counted, some

logger = logging.getLogger("taxotext")

PARENT = ("parent", "parent_id", "parentid", "parent_code", "parent_label", "parent_name", "broader", "broader_id")
LABEL = ("child", "child_id", "narrower", "id", "uri", "code", "notation", "label_id", "label", "name", "term")
NAME = ("name", "label", "title", "term", "preflabel", "pref_label", "display_name")
DESCRIPTION = ("description", "definition", "scope_note")
_TOP = ("", "0", "-1", "null", "none", "nan", "root")
"""What stands in the place of a parent where there is none, unless a label has that id."""
_DELIMITERS = (",", "\t", ";", "|")
_EDGES = ("child", "child_id", "narrower")
"""Names of the column of labels in tables of edges, where labels at the top need no row."""


class _Columns(NamedTuple):
    label: int
    parent: int | None
    name: int | None
    description: int | None
    edges: bool


def name_rows(text: str, path: Path, problems: list[str]) -> Iterator[tuple[list[str], str]]:
    """Ids, names and descriptions of labels of a CSV file with a header, and their places.

    Raises:
        TaxonomyError: the header names no labels or no names.
    """
    lines = list(io.StringIO(text, newline=""))
    opened = _opened(lines[0], "name")
    if opened is None:
        raise TaxonomyError(
            f"{path}:1: the header {lines[0].strip()!r:.80} names no column of labels and of their names; name them id "
            "and name, or write lines of id<TAB>name in a .tsv file."
        )
    for row in _rows(lines, *opened, path, problems):
        yield [row.label, row.name, *([row.description] if row.description else [])], row.where


def is_table(line: str) -> bool:
    """Whether the first line of a file is the header of such a table."""
    return _opened(line) is not None


def read_table(text: str, path: Path) -> building.Parts:
    """Read a table.

    Raises:
        TaxonomyError: the header names no labels or no parents; or problems of rows, listed by line.
    """
    lines = list(io.StringIO(text, newline=""))
    opened = _opened(lines[0])
    if opened is None:
        raise TaxonomyError(
            f"{path}:1: the header {lines[0].strip()!r:.80} names no column of labels and of their parents; name them "
            "id, parent and (if there are names) name, or child and parent; or pass the format (edges, paths or "
            "nested) when it is one of them."
        )
    delimiter, columns = opened
    problems: list[str] = []
    rows = list(_rows(lines, delimiter, columns, path, problems))
    labels = dict.fromkeys(row.label for row in rows)
    edges: dict[tuple[str | None, str], str] = {}
    top: dict[str, str] = {}
    for row in rows:
        parent = _known(row.parent, labels)
        if parent is None or parent in labels:
            edges.setdefault((parent, row.label), row.where)
        elif columns.edges:
            top.setdefault(parent, row.where)
            edges.setdefault((parent, row.label), row.where)
        else:
            problems.append(
                f"{row.where}: the parent {parent!r} is the id of no row; correct it, add a row for it, or leave the "
                "cell empty for a label at the top"
            )
    if top:
        shown = some([repr(label) for label in list(top)[:5]], len(top))
        logger.warning("%s: labels at the top are those that are parents and no child: %s", path, shown)
    edges = {(None, label): where for label, where in top.items()} | edges
    names = [building.Name(row.label, row.name, row.where) for row in rows if row.name]
    descriptions = [building.Name(row.label, row.description, row.where) for row in rows if row.description]
    return building.build(
        list(edges),
        names=_once(names, "name", problems),
        descriptions=_once(descriptions, "description", problems),
        where=list(edges.values()),
        source=str(path),
        problems=problems,
    )


class _Row(NamedTuple):
    label: str
    parent: str
    name: str
    description: str
    where: str


def _opened(header: str, needed: Literal["parent", "name"] = "parent") -> tuple[str, _Columns] | None:
    """What separates columns, and which is which; None where there are no labels, or not what else is needed."""
    for delimiter in _DELIMITERS:
        plain = _plain(header, delimiter)
        label = _place(LABEL, plain)
        if label is None:
            continue
        columns = _Columns(
            label,
            _place(PARENT, plain),
            _place([name for name in NAME if name != plain[label]], plain),
            _place(DESCRIPTION, plain),
            plain[label] in _EDGES,
        )
        if getattr(columns, needed) is not None:
            return delimiter, columns
    return None


def _plain(header: str, delimiter: str) -> list[str]:
    """The names of columns as they are compared."""
    try:
        cells = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip().casefold().replace(" ", "_").replace("-", "_") for cell in cells]


def _place(known: Sequence[str], header: Sequence[str]) -> int | None:
    return next((header.index(name) for name in known if name in header), None)


def _rows(lines: list[str], delimiter: str, columns: _Columns, path: Path, problems: list[str]) -> Iterator[_Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width = len(next(reader))
    while True:
        start = reader.line_num + 1
        where = f"{path}:{start}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            problems.append(f"{where}: this is not valid CSV ({error}); check the quotes")
            return
        if row is None:
            return
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != width:
            problems.append(f"{where}: the row has {counted(len(row), 'cell')}, and the header {width}; fix it")
            continue
        cells = [" ".join(cell.split()) for cell in row]
        problem = building.id_problem(cells[columns.label])
        if problem:
            problems.append(f"{where}: {problem}")
            continue
        name = "" if columns.name is None else cells[columns.name]
        description = "" if columns.description is None else cells[columns.description]
        parent = "" if columns.parent is None else cells[columns.parent]
        yield _Row(cells[columns.label], parent, name, description, where)


def _known(parent: str, labels: dict[str, None]) -> str | None:
    """The parent as a label has it: None at the top, ``7`` for the ``7.0`` of a column with empty cells in pandas."""
    if parent in labels:
        return parent
    whole = parent.removesuffix(".0")
    if whole in labels:
        return whole
    return None if parent.casefold() in _TOP else parent


def _once(found: list[building.Name], what: str, problems: list[str]) -> list[building.Name]:
    """The names of labels with a row for each parent, once."""
    first: dict[str, building.Name] = {}
    for one in found:
        before = first.setdefault(one.id, one)
        if before.name != one.name:
            problems.append(
                f"{one.where}: {one.id!r} has the {what} {one.name!r} here and {before.name!r} at {before.where}; keep "
                "one of them"
            )
    return list(first.values())
