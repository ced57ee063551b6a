"""From the fields of one record to a document, or to the reason why it is none."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from taxotext.data.columns import DEFAULT_COLUMNS, Columns, Document, ReadReport
from taxotext.data.label_columns import LabelColumn
from taxotext.data.records import (
    MissingFieldError,
    check_label,
    check_name,
    check_text,
    check_weight,
    not_a_string,
)
from taxotext.data.several_columns import SeveralColumns
from taxotext.labels import Taxonomy
from taxotext.labels.building import are_sound


class RecordParser:
    """Turns records of one file into documents.

    Args:
        columns: which field is what.
        labelled: whether the label fields are read; if not, they are passed through like any other field.
        report: counts duplicate labels and empty label sets, and learns how label fields are read.
        names: of class numbers by field, where the file stores them.
        cells: whether numbers stand as text, as in a table.
        names_file: the file beside it that has these names; empty where they are in the file itself.
        taxonomy: what the labels are, where that is known.
        blank_texts: whether a text may be empty or null, so that every record has its place in what is predicted.
    """

    def __init__(
        self,
        columns: Columns,
        labelled: bool,
        report: ReadReport,
        names: Mapping[str, Sequence[str]] | None = None,
        cells: bool = False,
        *,
        names_file: str = "",
        taxonomy: Taxonomy | None = None,
        blank_texts: bool = False,
    ) -> None:
        self._columns = columns
        self._labelled = labelled
        self._cells = cells
        self._blank_texts = blank_texts
        self._report = report
        named = [*columns.text, columns.id_field, columns.weight, columns.group, *(columns.labels if labelled else ())]
        self._roles = frozenset(name for name in named if name is not None)
        self._text_fields = f" (field {' and '.join(map(repr, columns.text))})"
        self._id_field = columns.id_field
        self._label_fields = " and ".join(map(repr, columns.labels))
        named_numbers = names or {}
        self._label_columns = [
            LabelColumn(name, columns, report, named_numbers.get(name, ()), names_file)
            for name in columns.labels
            if labelled
        ]
        self._taxonomy = taxonomy
        self._several = SeveralColumns(columns, self._label_columns, known=taxonomy is not None)

    def look(self, records: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Decide by the first records and their places how label fields are read.

        Raises:
            DataError: there is a doubt that only the user can settle.
        """
        for column in self._label_columns:
            column.look([(record.get(column.name), where) for where, record in records if column.name in record])
        if any(column.has_signs for column in self._label_columns):
            for column in self._label_columns:
                column.take_signs()
        if any(column.shape == "numbers" for column in self._label_columns):  # levels with few classes among others
            for column in self._label_columns:
                column.shape = "numbers" if column.may_be_numbers else column.shape
        numbered = [column for column in self._label_columns if column.shape == "numbers"]
        if len(numbered) > 1 and self._are_apart(numbered):
            for column in numbered:
                column.prefix = f"{column.name}="
        for column in self._label_columns:
            column.note_reading()
        declared = (label for column in self._label_columns for label in column.declared())
        self._report.declared_labels = tuple(dict.fromkeys(declared))
        self._report.guessed_columns = [
            column.name
            for column in self._label_columns
            if column.is_guess and column.name in self._report.label_columns
        ]

    def close(self) -> None:
        """Note what had no effect, once all records are read.

        Raises:
            DataError: equal names in several label fields, of which only the user knows what they are.
        """
        if self._labelled:
            self._several.close(self._report)
        reasons = [column.unused_separator() for column in self._label_columns]
        if reasons and all(reason is not None for reason in reasons):
            self._report.unused["label_separator"] = str(reasons[0])
        if len(self._columns.text) == 1 and self._columns.text_join != DEFAULT_COLUMNS.text_join:
            self._report.unused["text_join"] = "there is one text field"

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

    def _are_apart(self, numbered: Sequence[LabelColumn]) -> bool:
        """Whether class 3 of one column is not class 3 of another: the columns are no levels of one code."""
        if self._columns.label_columns is not None:
            return self._columns.label_columns == "prefixed"
        starts = tuple(f"{column.name}=" for column in numbered)
        return self._taxonomy is None or any(label.startswith(starts) for label in self._taxonomy.ids)

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
        found = [column.read(_get(record, column.name), where) for column in self._label_columns]
        value = self._several.join(found, where)
        what = f"the field {self._label_fields}"
        labels = value if are_sound(value) else [check_label(label, what) for label in value]
        unique = dict.fromkeys(labels)
        self._report.trimmed_labels += sum(map(operator.ne, labels, value))
        # Levels of a hierarchy and the like may have a label in common.
        duplicates = len(value) - len(unique) if len(self._label_columns) == 1 else 0
        return tuple(unique), duplicates

    def _name(self, record: Mapping[str, Any], name: str, optional: bool) -> str | int | None:
        value = record.get(name) if optional else _get(record, name)
        return None if value is None else check_name(value, f"the field {name!r}")

    def _weight(self, value: object) -> float:
        what = f"the weight (field {self._columns.weight!r})"
        if self._cells and isinstance(value, str):
            with suppress(ValueError):
                # A table with semicolons comes from a spreadsheet that writes decimal commas.
                value = float(value.replace(",", ".") if self._report.column_separator == ";" else value)
        return check_weight(value, what)


def _get(record: Mapping[str, Any], name: str) -> Any:
    try:
        return record[name]
    except KeyError:
        raise MissingFieldError(name, list(record)) from None
