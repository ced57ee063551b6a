"""The labels of several label fields of a document: names, the steps of a path, or names of one field each.

Equal names in two fields, or below different names of the field before, may be one label or several. Only the user
knows; where no taxonomy says what the labels are, such names are refused until ``columns.label_columns`` is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from taxotext.data.columns import Columns, ReadReport
from taxotext.data.label_cells import NO_LABEL
from taxotext.data.label_columns import LabelColumn
from taxotext.data.records import BadRecordError
from taxotext.errors import DataError
from taxotext.messages import counted, parameter

_PLACES = re.compile(r"(?:tag|label|keyword|genre|topic|subject|descriptor|code)s?[ _.-]?\d+")
"""Names of fields that have room for one more label each, ``tag1``, ``tag2``, and are no levels."""
_SAME = 0.5
"""The share of names of such a field that another one has, too, from which on they hold the same labels."""


class SeveralColumns:
    """Joins what the label fields of a document hold, and watches for names that may be several labels.

    Args:
        fields: the label fields, whose shapes are decided before the first document.
        known: whether a taxonomy says what the labels are.
    """

    def __init__(self, columns: Columns, fields: Sequence[LabelColumn], *, known: bool) -> None:
        self._form = columns.label_columns
        self._separator = columns.path_separator
        self._fields = fields
        self._watches = len(fields) > 1 and not known and self._form is None
        self._in_fields: dict[str, dict[int, str]] = {}
        """Name -> number of a field that has it -> place of the first."""
        self._above: list[dict[str, dict[str, str]]] = [{} for _ in fields]
        """For each field, name -> name in the field before -> place of the first."""

    def join(self, found: Sequence[list[Any]], where: str) -> list[Any]:
        """The labels of one document from those of its fields.

        Raises:
            BadRecordError: a path with a gap, or several labels in one of its steps.
            DataError: a name contains the separator of paths.
        """
        if self._form == "paths" and len(found) > 1:
            return self._path(found, where)
        if self._form == "prefixed" and len(found) > 1:
            return [
                f"{field.name}={label.strip()}" if isinstance(label, str) and not field.names_itself else label
                for field, labels in zip(self._fields, found, strict=True)
                for label in labels
            ]
        if self._watches:
            self._watch(found, where)
        return [label for labels in found for label in labels]

    def close(self, report: ReadReport) -> None:
        """Say what had no effect, and refuse names that may be one label or several.

        Raises:
            DataError: such a name, with what to give in either case.
        """
        if self._form is not None and (len(self._fields) < 2 or all(field.is_indicator for field in self._fields)):
            reason = "there is one label field" if len(self._fields) < 2 else "each label field is one label"
            report.unused["label_columns"] = reason
        if not self._watches:
            return
        shared = {name: places for name, places in self._in_fields.items() if len(places) > 1}
        if shared and self._are_places(shared):
            report.joined_names.append(
                f"{counted(len(shared), 'name is', 'names are')} in several label columns and taken as one label each; "
                f"else give {parameter('label_columns', 'prefixed')}."
            )
            return
        if shared:
            raise self._in_two_fields(shared)
        for number, names in enumerate(self._above):
            several = {name: above for name, above in names.items() if len(above) > 1}
            if several and (2 * len(several) <= len(names) or self._is_level(number)):
                raise self._two_parents(number, several)
            if several:
                field, above = self._fields[number].name, self._fields[number - 1].name
                report.joined_names.append(
                    f"A name in {field!r} is one label, whatever {above!r} is; if it is a level below {above!r}, "
                    f"give {parameter('label_columns', 'paths')}."
                )

    def _path(self, found: Sequence[list[Any]], where: str) -> list[Any]:
        path: list[Any] = []
        beside: list[Any] = []
        gap = ""
        for field, labels in zip(self._fields, found, strict=True):
            if field.is_indicator:
                beside += labels
                continue
            if len(labels) > 1:
                raise BadRecordError(
                    f"the column {field.name!r} has {len(labels)} labels in one cell, so the columns are not a path; "
                    f"give {parameter('label_columns', 'names')} or {parameter('label_columns', 'prefixed')}"
                )
            if not labels:
                gap = gap or field.name
                continue
            if gap:
                raise BadRecordError(
                    f"the column {field.name!r} is {labels[0]!r}, and {gap!r}, a level above it, is empty; fill it"
                )
            label = labels[0]
            if not isinstance(label, str):
                return [label]  # which is refused as any label that is no text
            if self._separator in label:
                other = " > " if self._separator != " > " else " | "
                raise DataError(
                    f"{where}: {label!r} in the column {field.name!r} contains {self._separator!r}, which separates "
                    f"the steps of paths; give {parameter('path_separator', other)}"
                )
            path.append(f"{path[-1]}{self._separator}{label.strip()}" if path else label.strip())
        return path + beside

    def _watch(self, found: Sequence[list[Any]], where: str) -> None:
        above: str | None = None
        for number, labels in enumerate(found):
            alone = len(labels) == 1
            for label in labels:
                if not isinstance(label, str) or label.strip().lower() in NO_LABEL:
                    continue
                name = label.strip()
                self._in_fields.setdefault(name, {}).setdefault(number, where)
                if alone and above is not None:
                    self._above[number].setdefault(name, {}).setdefault(above, where)
            usable = alone and isinstance(labels[0], str) and not self._fields[number].names_itself
            above = labels[0].strip() if usable else None

    def _is_level(self, number: int) -> bool:
        """Whether the name of a field says that it is a level below the field before: ``l2``, ``subcategory``."""
        above, field = (self._fields[place].name.lower() for place in (number - 1, number))
        numbered = [re.fullmatch(r"(.*?)(\d+)(\D*)", name) for name in (above, field)]
        if all(numbered):
            (before, first, after), (stem, second, end) = (found.groups() for found in numbered if found)
            return (before, after) == (stem, end) and int(second) > int(first)
        return field.startswith("sub") or (above != field and above in field)

    def _are_places(self, shared: Mapping[str, Mapping[int, str]]) -> bool:
        """Whether the fields have room for one more label each, so that an equal name is the same label."""
        if not all(_PLACES.fullmatch(field.name.lower()) for field in self._fields):
            return False
        sizes = [sum(number in places for places in self._in_fields.values()) for number in range(len(self._fields))]
        return len(shared) >= _SAME * min(size for size in sizes if size)

    def _in_two_fields(self, shared: Mapping[str, Mapping[int, str]]) -> DataError:
        name, places = next(iter(shared.items()))
        (first, at), (second, again) = list(places.items())[:2]
        one, two = self._fields[first].name, self._fields[second].name
        if len(shared) <= 2 and len(self._in_fields) == len(shared):
            return DataError(
                f"{again}: the columns {one!r} and {two!r} have the same {counted(len(shared), 'value')}, "
                f"{' and '.join(map(repr, shared))}. If they say whether a document has the label that a column is "
                f"named after, write 1 and 0; else give {parameter('label_columns', 'prefixed')} ({two + '=' + name!r})"
            )
        return DataError(
            f"{again}: {name!r} is a label in the column {two!r}, and in {one!r} at {at}{_more(shared)}. If these are "
            f"different labels, give {parameter('label_columns', 'prefixed')} ({two + '=' + name!r}), or "
            f"{parameter('label_columns', 'paths')} if the columns are levels of a hierarchy; if they are one label, "
            f"give {parameter('label_columns', 'names')}"
        )

    def _two_parents(self, number: int, several: Mapping[str, Mapping[str, str]]) -> DataError:
        name, places = next(iter(several.items()))
        (first, at), (second, again) = list(places.items())[:2]
        field = self._fields[number].name
        path = f"{second}{self._separator}{name}"
        return DataError(
            f"{again}: {name!r} in the column {field!r} is below {second!r}, and below {first!r} at {at}"
            f"{_more(several)}. If these are different labels, give {parameter('label_columns', 'paths')}, which makes "
            f"paths of them ({path!r}); if they are one label, give {parameter('label_columns', 'names')}"
        )


def _more(names: Mapping[str, Any]) -> str:
    return "" if len(names) == 1 else f" ({counted(len(names) - 1, 'more name is', 'more names are')} like it)"
