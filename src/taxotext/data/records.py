"""From the fields of one record to a document, or to the reason why it is none; the checks of all values."""

from __future__ import annotations

import numbers
import operator
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from taxotext.data.columns import Columns, Document, ReadReport
from taxotext.errors import DataError, nearest
from taxotext.labels.building import are_sound, id_problem
from taxotext.messages import parameter

LARGEST_WEIGHT = 3.4e38
"""Weights are kept as 32-bit floats; beyond this they would become infinite."""
HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class BadRecordError(Exception):
    """The reason why one record is not a document; the reader adds the file and the line."""


def short(value: object, limit: int = 60) -> str:
    """Return the value as it stands in a sentence: its ``repr``, cut."""
    text = repr(value[: limit + 1] if isinstance(value, str) else value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def kind(value: object) -> str:
    """Name the JSON type of a value.

    >>> kind([1]), kind(None), kind(True)
    ('a list', 'null', 'a truth value')
    """
    if value is None:
        return "null"
    for types, name in (
        (bool, "a truth value"),
        ((int, float), "a number"),
        (str, "a string"),
        (list, "a list"),
        (dict, "an object"),
    ):
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"


def check_text(text: object, what: str, place: str = "") -> str:
    """Return a text; BadRecordError unless it is a string with something in it. ``place`` follows what was wrong."""
    if not isinstance(text, str):
        raise not_a_string(text, what)
    if not text.strip():
        raise BadRecordError(f"{what} is empty{place}; give a text or leave the document out")
    if "\0" in text:
        raise BadRecordError(f"{what} holds a NUL character (U+0000){place}: {short(text)}; remove it")
    if not text.isascii() and HALF_CHARACTER.search(text):
        raise BadRecordError(f"{what} has half a character (a lone surrogate){place}: {short(text)}; decode it again")
    return str(text)  # numpy has strings of its own


def not_a_string(value: object, what: str) -> BadRecordError:
    """The error for a text of another type."""
    return BadRecordError(f"{what} must be a string, found {kind(value)}: {short(value)}")


def check_label(label: object, what: str) -> str:
    """Return the label without white space around it; BadRecordError when it cannot be a label of ``what``."""
    if not isinstance(label, str):
        hint = f'; write "{label}"' if isinstance(label, int) and not isinstance(label, bool) else ""
        raise BadRecordError(f"{what} must be a list of strings, found {kind(label)} in it: {short(label)}{hint}")
    label = label.strip()
    if not label:
        raise BadRecordError(f"{what} has an empty label; remove it (an empty list means: no labels)")
    if "\0" in label:
        raise BadRecordError(f"{what} has a label with a NUL character (U+0000): {short(label)}; remove it")
    problem = id_problem(label)
    if problem is not None:
        raise BadRecordError(f"in {what}, {problem}")
    return str(label)


def check_name(value: object, what: str) -> str | int | None:
    """Return an id or a group: a string, a whole number, or None for an empty string."""
    if isinstance(value, str):
        if "\0" in value:
            raise BadRecordError(f"{what} holds a NUL character (U+0000); remove it")
        return str(value) or None
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    raise BadRecordError(f"{what} must be a string or a whole number, found {kind(value)}: {short(value)}")


def check_weight(value: Any, what: str) -> float:
    """Return a weight: a finite number, 0 or more."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real:
        raise BadRecordError(f"{what} must be a number, found {short(value)}")
    if not 0 <= value <= LARGEST_WEIGHT:  # also for NaN
        raise BadRecordError(f"{what} must be a finite number, 0 or more, found {short(value)}")
    return float(value)


class RecordParser:
    """Turns records of one file into documents.

    Args:
        columns: which field is what.
        labelled: whether the label field is read; if not, it is passed through like any other field.
        cells: for CSV, how to cut a label cell; ``None`` for JSON, where labels are lists.
        report: counts duplicate labels and empty label sets.
        blank_texts: whether a text may be empty or null, so that every record has its place in what is predicted.
    """

    def __init__(
        self,
        columns: Columns,
        labelled: bool,
        cells: LabelCells | None,
        report: ReadReport,
        *,
        blank_texts: bool = False,
    ) -> None:
        self._columns = columns
        self._labelled = labelled
        self._cells = cells
        self._report = report
        self._blank_texts = blank_texts
        named = [*columns.text, columns.id_field, columns.weight, columns.group, columns.labels if labelled else None]
        self._roles = frozenset(name for name in named if name is not None)
        self._text_fields = f" (field {' and '.join(map(repr, columns.text))})"
        self._id_field = columns.id_field
        self._label_field = f"the field {columns.labels!r}"

    def document(self, record: Mapping[str, Any], where: str) -> Document:
        """Return the document; BadRecordError with the reason when there is none in the record."""
        columns = self._columns
        text = self._text(record)
        labels, duplicates = self._labels(record, where) if self._labelled else ((), 0)
        group = None if columns.group is None else self._name(record, columns.group, optional=False)
        id_field = self._id_field
        document = Document(
            text=text,
            labels=labels,
            id=None if id_field is None else self._name(record, id_field, optional=columns.id_may_be_absent),
            weight=1.0 if columns.weight is None else self._weight(_get(record, columns.weight)),
            group=None if group is None else str(group),
            metadata={name: value for name, value in record.items() if name not in self._roles},
            where=where,
        )
        self._report.duplicate_labels += duplicates
        self._report.empty_label_sets += not labels
        return document

    def _text(self, record: Mapping[str, Any]) -> str:
        names = self._columns.text
        pieces = []
        for name in names:
            value = _get(record, name)
            if value is None and (len(names) > 1 or self._blank_texts):
                continue
            if not isinstance(value, str):
                raise not_a_string(value, f"the field {name!r}")
            pieces.append(value)
        if len(names) > 1:
            pieces = [piece for piece in pieces if piece.strip()]
        text = self._columns.text_join.join(pieces)
        return "" if self._blank_texts and not text.strip() else check_text(text, "the text", self._text_fields)

    def _labels(self, record: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], int]:
        value = _get(record, self._columns.labels)
        if self._cells is not None:
            value = self._cells.split(value, where)
        what = self._label_field
        if isinstance(value, str):
            raise BadRecordError(f"{what} is the string {short(value)}; write a list of strings, [{short(value)}]")
        if not isinstance(value, list):
            raise BadRecordError(f"{what} must be a list of strings, found {kind(value)}: {short(value)}")
        labels = value if are_sound(value) else [check_label(label, what) for label in value]
        unique = dict.fromkeys(labels)
        self._report.trimmed_labels += sum(map(operator.ne, labels, value))
        return tuple(unique), len(value) - len(unique)

    def _name(self, record: Mapping[str, Any], name: str, optional: bool) -> str | int | None:
        value = record.get(name) if optional else _get(record, name)
        return None if value is None else check_name(value, f"the field {name!r}")

    def _weight(self, value: object) -> float:
        what = f"the weight (field {self._columns.weight!r})"
        if self._cells is not None and isinstance(value, str):
            with suppress(ValueError):
                value = float(value)
        return check_weight(value, what)


class LabelCells:
    """Cuts the label cells of a CSV file.

    Without a separator given, one is guessed: from the first rows (:meth:`guess`), and from later rows while
    no cell has shown one. A doubt is a DataError at once, also when bad lines are skipped: every row would be
    read differently.

    Args:
        column: the name of the column.
        separator: the one that is given, if one is.
        report: learns which one was found.
        before: the one that was found in an earlier file of the same kind.
    """

    def __init__(self, column: str, separator: str | None, report: ReadReport, before: str | None = None) -> None:
        self._column = column
        self._given = separator is not None
        self._separator = separator
        self._report = report
        self._before = before

    def guess(self, cells: Sequence[tuple[str, str]]) -> None:
        """Look at the (cell, where) of the first rows before any of them is cut."""
        if self._given:
            return
        first: dict[str, tuple[str, str]] = {}
        for cell, where in cells:
            if not cell.lstrip().startswith("["):
                for mark in ";|,":
                    if mark in cell:
                        first.setdefault(mark, (cell, where))
        if ";" in first and "|" in first:
            raise self._doubt(*first["|"])
        for mark in ";|":
            if mark in first:
                self._adopt(mark)
                return
        if self._before is not None:
            self._adopt(self._before)
        elif "," in first:
            raise self._comma(*first[","])

    def split(self, cell: object, where: str) -> list[Any]:
        """Return the labels of one cell; an empty cell has none."""
        text = str(cell)
        if not text.strip():
            return []
        if not self._given:
            if text.lstrip().startswith("["):
                return self._json(text)
            self._check(text, where)
        if not self._separator:
            return [text.strip()]
        labels = [label.strip() for label in text.split(self._separator)]
        if "" in labels:
            raise BadRecordError(
                f"the column {self._column!r} has an empty label between (or beside) the separators "
                f"{self._separator!r}: {short(text)}; remove the separator that is too many"
            )
        return labels

    def _check(self, text: str, where: str) -> None:
        marks = [mark for mark in ";|" if mark in text]
        if len(marks) == 2 or (marks and self._separator not in (None, marks[0])):
            raise self._doubt(text, where)
        if marks and self._separator is None:
            self._adopt(marks[0])
        elif self._separator is None and "," in text:
            raise self._comma(text, where)

    def _adopt(self, mark: str) -> None:
        self._separator = mark
        self._report.label_separator = mark

    def _json(self, text: str) -> list[Any]:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise BadRecordError(
                f"the column {self._column!r} begins like a JSON list but is none ({error.msg}): "
                f"{short(text)}; fix it, or give {parameter('label_separator')} if the bracket belongs to a label"
            ) from error
        if not isinstance(value, list):  # cannot happen for a value that begins with "[", but costs nothing
            raise BadRecordError(f"the column {self._column!r} must hold a JSON list, found {kind(value)}")
        return value

    def _doubt(self, cell: str, where: str) -> DataError:
        return DataError(
            f"{where}: the column {self._column!r} has ';' and '|' in its cells ({short(cell)}), so it is "
            f"not clear which one separates labels; give {parameter('label_separator')} (';' or '|')"
        )

    def _comma(self, cell: str, where: str) -> DataError:
        return DataError(
            f"{where}: the column {self._column!r} has a comma in {short(cell)}, which may separate labels "
            f"or belong to one; give {parameter('label_separator', ',')} to split there, or "
            f"{parameter('label_separator', '')} if each cell is one label"
        )


def _get(record: Mapping[str, Any], name: str) -> Any:
    try:
        return record[name]
    except KeyError:
        raise BadRecordError(missing_field(name, list(record))) from None


def missing_field(name: str, present: Sequence[str]) -> str:
    """Return the sentence for a field that is not there."""
    found = ", ".join(short(field) for field in present[:10]) + (", ..." if len(present) > 10 else "")
    return f"there is no field {name!r}, only {found or 'none at all'}.{nearest(name, present)}"
