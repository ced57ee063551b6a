"""How the columns of labels are read: decided once for each column from its first values, then the same for all rows.

The shape of a column is one of

``lists``
    values are lists of labels (JSON, Parquet); beside them a string is a cell, as in a table;
``one``
    each cell is one label;
``separated``
    labels stand in a cell with a separator between them;
``printed``
    cells hold lists as JSON, Python, numpy or pandas print them;
``identifiers``
    cells hold identifiers side by side, ``<http://...> <http://...>``;
``numbers``
    class numbers, with names where the file stores them;
``positions``
    vectors of 0 and 1 with a place for each label;
``indicator``
    1 or yes where the document has the label that the column is named after.
"""

from __future__ import annotations

import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from taxotext.data.columns import Columns, ReadReport
from taxotext.data.label_cells import NO_LABEL, Printed, cut, identifiers, without_entities
from taxotext.data.label_values import (
    WHOLE_FLOAT,
    binary_items,
    is_nothing,
    is_whole,
    items_of,
    name_in,
    printed_in,
    whole_number,
    word_of,
)
from taxotext.data.records import BadRecordError, kind, short
from taxotext.errors import DataError
from taxotext.messages import parameter

Shape = Literal["lists", "one", "separated", "printed", "identifiers", "numbers", "positions", "indicator"]

_PAIRS = (
    "true false, yes no, y n, t f, on off, wahr falsch, vrai faux, verdadero falso, vero falso, ja nein, ja nee, "
    "ja nej, oui non, si no, sí no, sì no, sim não, tak nie, да нет, да не, истина ложь"
)
_TRUTH: tuple[Mapping[str, bool], ...] = (
    {"1": True, "0": False, "1.0": True, "0.0": False, "1,0": True, "0,0": False},
    *(dict(zip(pair.split(), (True, False), strict=True)) for pair in _PAIRS.split(", ")),
    *({mark: True} for mark in "x✓✔"),
)
"""What stands for has and has not, as people and spreadsheets write it; a column keeps to one of them."""
_UNDECIDED = ("-1", "-1.0", "-1,0")
"""Beside 0 and 1: nobody looked (Kaggle's ``test_labels.csv``)."""
_SIGNS: Mapping[str, bool] = {"1": True, "+1": True, "1.0": True, "1,0": True} | dict.fromkeys(_UNDECIDED, False)
"""1 and -1 where no cell is 0: has and has not (MULAN, support vector machines)."""
_GENERIC = re.compile(
    r"(?:gold_?)?(?:labels?|class(?:es)?|categor(?:y|ies)|targets?|topics?|tags?|subjects?|genres?|y)"
)
"""Names of columns that are no names of labels."""
_FRACTION = re.compile(r"0?[.,]\d*[1-9]\d*")


class LabelColumn:
    """Reads one column of labels.

    Args:
        columns: with the separator that is given, and what was found in an earlier file of the same kind.
        names: of the class numbers 0, 1, ..., where the file stores them.
        names_file: the file beside it that stores them; empty: the file itself.

    A doubt is a DataError at once, also when bad lines are skipped: every row would be read differently.
    """

    def __init__(
        self, name: str, columns: Columns, report: ReadReport, names: Sequence[str] = (), names_file: str = ""
    ) -> None:
        self.name = name
        self.shape: Shape = "one"
        self.prefix = ""
        self._several = len(columns.labels) > 1
        self._given = columns.label_separator
        self._separator = columns.label_separator or None
        self._before = columns.found_separator
        self._shape_before = columns.shape_before(name)
        self._report = report
        self._names = tuple(names)
        self._stored = f"with the names in {names_file}" if names_file else "with the names that are stored with them"
        self._truth: Mapping[str, bool] = _TRUTH[0]
        self._width = 0
        self._keys: tuple[str, ...] = ()
        self._cells = self._cut = 0
        self._is_empty = True
        self._words: frozenset[str] | None = None

    def look(self, values: Sequence[tuple[Any, str]]) -> None:
        """Decide on the shape by (value, its place) of the first rows.

        Raises:
            DataError: separators contradict each other, or a comma may be one.
        """
        there = [(value, where) for value, where in values if not is_nothing(value)]
        lists = [value for value, _ in there if isinstance(value, (list, tuple))]
        cells = [(value.strip(), where) for value, where in there if isinstance(value, str)]
        scalars = [value for value, _ in there if isinstance(value, (str, numbers.Real))]
        mappings = [value for value, _ in there if isinstance(value, Mapping) and not _holds_list(value)]
        self._keys = tuple(dict.fromkeys(str(key) for value in mappings for key in value))
        self._check_shares(there)
        self.shape = self._decide(lists, cells, scalars, len(there), len(values))
        self._is_empty = not there
        self._words = frozenset(word_of(value) for value in scalars) - NO_LABEL if len(scalars) == len(there) else None

    def note_reading(self) -> None:
        """Write into the report how the column is read, where it holds something."""
        if not self._is_empty:
            self._report.label_columns[self.name] = self.sentence()
            self._report.label_shapes[self.name] = self.shape

    @property
    def may_be_numbers(self) -> bool:
        """Whether a column of 0 and 1 could hold class numbers as well."""
        return self.shape == "indicator" and self._truth is _TRUTH[0]

    @property
    def is_indicator(self) -> bool:
        """Whether the column says which documents have the label that it is named after."""
        return self.shape == "indicator"

    @property
    def names_itself(self) -> bool:
        """Whether the labels of the column name it, so that no other column has them."""
        return self.is_indicator or bool(self.prefix)

    @property
    def has_signs(self) -> bool:
        """Whether 1 and -1 say which documents have the label."""
        return self.shape == "indicator" and self._truth is _SIGNS

    def take_signs(self) -> None:
        """Read 1 and -1 as the columns beside it do: a rare label is -1 in all of the first rows."""
        if self._words and self._words <= set(_SIGNS):
            self.shape, self._truth = "indicator", _SIGNS

    def read(self, value: Any, where: str) -> list[Any]:
        """The labels of one value, not yet checked.

        Raises:
            BadRecordError: it does not have the shape of the column.
        """
        if is_nothing(value):
            return []
        if self.shape == "indicator":
            return [self.name] if self._truth_of(value) else []
        if isinstance(value, Mapping):
            return self._of_mapping(list(value), list(value.values()))
        if self.shape == "positions":
            return self._of_positions(value)
        if self.shape == "numbers":
            items = items_of(value, strict=False)
            found = [value] if items is None else items
            return [self.prefix + self._of_number(item, value) for item in found if not self._is_no_class(item)]
        if isinstance(value, (list, tuple)):
            return self._of_list(list(value))
        if not isinstance(value, str):
            raise BadRecordError(
                f"the field {self.name!r} must be a list of strings, found {kind(value)}: {short(value)}"
            )
        return self._of_cell(value.strip(), where)

    def sentence(self) -> str:
        """How the column is read, as the end of a sentence."""
        quoted = repr(self._separator)
        return {
            "lists": "lists of labels",
            "one": "one label in each cell",
            "separated": f"labels separated at {quoted}",
            "printed": "lists as programs print them",
            "identifiers": "identifiers side by side; brackets around them are left out",
            "numbers": "class numbers" + (f" {self._stored}" if self._names else ""),
            "positions": f"vectors with a place for each of {self._width} labels, "
            + (self._stored if self._names else "named by their number from 0"),
            "indicator": f"whether a document has the label {self.name!r}",
        }[self.shape]

    @property
    def is_guess(self) -> bool:
        """Whether another reading would be possible, so that users should be told."""
        if self.shape == "separated":
            return self._given is None
        return self.shape in ("printed", "identifiers", "numbers", "positions", "indicator")

    def declared(self) -> Sequence[str]:
        """The labels that the column names beside those that occur, in their order."""
        if self.shape == "indicator":
            return [self.name]
        if self.shape == "positions":
            return self._names or [str(place) for place in range(self._width)]
        return self._keys or ([self.prefix + name for name in self._names] if self.shape == "numbers" else ())

    def unused_separator(self) -> str | None:
        """Why the separator that was given had no effect, if it had none."""
        if self._given is None or self._cut or (not self._given and self.shape == "one"):
            return None
        if self.shape == "separated":
            return f"it is in none of {self._cells:,} cells of {self.name!r}"
        return f"{self.name!r} holds {self.sentence()}"

    # Deciding

    def _decide(
        self, lists: list[Any], cells: list[tuple[str, str]], scalars: list[Any], there: int, rows: int
    ) -> Shape:
        texts = [text for text, _ in cells]
        given = self._given is not None
        if not there:
            return self._shape_before or "one"
        if len(scalars) == there and self._is_indicator(scalars, rows):
            return "indicator"
        if self._given != "" and len(lists) + len(cells) == there and self._are_positions([*lists, *texts]):
            return "positions"
        if len(lists) + len(scalars) == there and self._are_numbers([*lists, *scalars]):
            return "numbers"
        if not cells:
            return "lists"
        if not given and all(identifiers(text) for text in texts):
            return "identifiers" if any(identifiers(text) != [text] for text in texts) else "one"
        printed = [printed_in(text) for text in texts]
        strict = [found is not None and not found.bare for found in printed]
        if self._given != "" and all(strict):
            return "printed"
        if given:
            return "separated" if self._given else "one"
        if all(printed_one is not None for printed_one in printed) and self._are_bare_lists(texts, printed):
            return "printed"
        self._guess([cell for cell, is_list in zip(cells, strict, strict=True) if not is_list])
        return "separated" if self._separator else "one"

    def _check_shares(self, there: Sequence[tuple[Any, str]]) -> None:
        """Refuse a column of numbers between 0 and 1: only the user knows from which on a document has the label."""
        if (not self._several and _GENERIC.fullmatch(self.name.lower())) or self._given is not None:
            return
        parts = [(value, where) for value, where in there if _FRACTION.fullmatch(str(value).strip())]
        words = [word_of(value) for value, _ in there]
        if parts and all(_FRACTION.fullmatch(word) or word in _TRUTH[0] for word in words):
            value, where = parts[0]
            raise DataError(
                f"{where}: the column {self.name!r} is {short(value)}, between 0 and 1; write 1 where a document has "
                f"the label {self.name!r} and 0 where it has not"
            )

    def _is_indicator(self, scalars: list[Any], rows: int) -> bool:
        there = [word for word in map(word_of, scalars) if word not in NO_LABEL]
        words = set(there)
        family = next((truth for truth in _TRUTH if words - set(_UNDECIDED) <= set(truth)), None)
        if words <= set(_SIGNS) and {_SIGNS[word] for word in words} == {True, False}:
            family = _SIGNS
        if family is None or not words - set(_UNDECIDED):
            return False
        if _UNDECIDED[0] in words and family not in (_TRUTH[0], _SIGNS):
            return False
        single_letters = family in _TRUTH[3:5] and len(words) < 2
        full = len(family) == 1 and len(there) == rows  # an x in every row may as well be a label
        if single_letters or full:
            return False
        truths = all(isinstance(value, bool) for value in scalars)
        named = self._several or not _GENERIC.fullmatch(self.name.lower())
        if self._shape_before not in (None, "indicator") or not (truths or named or self._shape_before == "indicator"):
            return False
        if self._given or self._names:
            return False
        self._truth = family
        return True

    def _are_positions(self, values: list[Any]) -> bool:
        rows = [binary_items(value) for value in values]
        first = rows[0]
        if first is None or len(first) < 2 or any(row is None or len(row) != len(first) for row in rows):
            return False
        if len(first) == 2 and self._shape_before != "positions":
            pairs = {tuple(row or ()) for row in rows}
            if pairs <= {(0, 1)} or not ({(0, 0), (1, 1)} & pairs or {(0, 1), (1, 0)} <= pairs):
                return False
        self._width = len(first)
        return not self._names or len(self._names) == self._width

    def _are_numbers(self, values: list[Any]) -> bool:
        items = [item for value in values for item in items_of(value) or ()]
        if not all(item is None or is_whole(item) for item in items) or all(item is None for item in items):
            return False
        return (
            bool(self._names)
            or self._several
            or not all(isinstance(item, str) for item in items)
            or (all(WHOLE_FLOAT.fullmatch(item) for item in items))
        )

    def _are_bare_lists(self, texts: list[str], printed: list[Printed | None]) -> bool:
        """Brackets in every cell; round and curly ones may belong to labels unless one of them holds several."""
        several = any(found is not None and len(found.items) > 1 for found in printed)
        return several or all(text.startswith("[") for text in texts)

    def _guess(self, cells: list[tuple[str, str]]) -> None:
        first: dict[str, tuple[str, str]] = {}
        doubled = dict.fromkeys(";|", True)
        for cell, where in cells:
            seen = without_entities(cell)
            for mark in ";|,":
                if mark in seen:
                    first.setdefault(mark, (cell, where))
                    doubled[mark] = doubled.get(mark, False) and mark not in seen.replace(mark * 2, "")
        if ";" in first and "|" in first:
            raise self._two_separators(*first["|"])
        for mark in ";|":
            if mark in first:
                self._adopt(mark * 2 if doubled[mark] else mark)
                return
        for mark in "\n\t":  # no label has one in it
            if any(mark in cell for cell, _ in cells):
                self._adopt(mark)
                return
        if self._before is not None:
            self._adopt(self._before)
        elif cells and all(re.fullmatch(r"\d+(?: +\d+)*", cell) for cell, _ in cells):
            if any(" " in cell for cell, _ in cells):
                self._adopt(" ")
        elif "," in first:
            raise self._comma(*first[","], cells)

    def _adopt(self, mark: str) -> None:
        self._separator = mark
        self._report.label_separator = mark

    # Reading

    def _truth_of(self, value: Any) -> bool:
        word = word_of(value)
        found = self._truth.get(word)
        if found is not None or word in NO_LABEL:
            return bool(found)
        if word in _UNDECIDED:
            raise BadRecordError(
                f"the column {self.name!r} is {word}, which says neither that the document has the label nor that it "
                "has not; leave the row out"
            )
        words = "'1' or '-1'" if self._truth is _SIGNS else " or ".join(map(repr, list(self._truth)[:2]))
        raise BadRecordError(
            f"the column {self.name!r} is {short(value)}, where other rows have {words}; write one of these"
        )

    def _of_mapping(self, keys: list[Any], values: list[Any]) -> list[Any]:
        if _holds_list(dict(zip(keys, values, strict=True))):
            return ["/".join(map(str, item)) if isinstance(item, list) else item for item in values[0]]
        chosen = []
        for key, value in zip(keys, values, strict=True):
            truth = _TRUTH[0].get(word_of(value), _TRUTH[1].get(word_of(value)))
            if truth is None and value is not None:
                raise BadRecordError(
                    f"the field {self.name!r} must be a list of strings, found an object whose {short(key)} is "
                    f"{short(value)}; write the labels as a list, or 1 and 0 (true and false) for each label"
                )
            if truth:
                chosen.append(key)
        return chosen

    def _of_object(self, item: Mapping[str, Any]) -> list[Any]:
        """The labels of an object in a list: that which it describes, such as ``{"id": 3, "name": "bug"}``."""
        if list(item) in (["choices"], ["taxonomy"]):
            return self._of_mapping(list(item), list(item.values()))
        return [name_in(item, self.name)]

    def _of_positions(self, value: Any) -> list[str]:
        items = binary_items(value)
        if items is None or len(items) != self._width:
            raise BadRecordError(
                f"the field {self.name!r} is {short(value)}, where other rows have vectors of {self._width} numbers "
                "0 and 1; write it like them"
            )
        return [self._names[place] if self._names else str(place) for place, has in enumerate(items) if has]

    def _of_number(self, item: Any, value: Any) -> str:
        if not is_whole(item):
            raise BadRecordError(f"the field {self.name!r} is {short(value)}, where other rows have class numbers")
        number = whole_number(item, self.name)
        if not self._names:
            return str(number)
        if not 0 <= number < len(self._names):
            raise BadRecordError(
                f"the column {self.name!r} has the number {number}, and its ClassLabel names 0 to "
                f"{len(self._names) - 1}"
            )
        return self._names[number]

    def _is_no_class(self, item: Any) -> bool:
        """Whether a class number says: none (-1 in ClassLabel columns, and null)."""
        return item is None or (bool(self._names) and item == -1)

    def _of_list(self, items: list[Any]) -> list[Any]:
        if items and all(isinstance(item, Mapping) for item in items):
            return [label for item in items for label in self._of_object(item)]
        if not self._given:
            return items
        pieces = [cut(item, self._given) if isinstance(item, str) else [item] for item in items]
        self._cells += len(items)
        self._cut += sum(len(piece) > 1 for piece in pieces)
        return [label for piece in pieces for label in piece]

    def _of_cell(self, text: str, where: str) -> list[Any]:
        self._cells += 1
        if self.shape == "identifiers":
            found = identifiers(text)
            if found is None:
                raise BadRecordError(
                    f"the column {self.name!r} holds {short(text)}, where other rows have identifiers side by side; "
                    "write it like them"
                )
            return list(found)
        if self._given is None or self.shape == "printed":
            printed = printed_in(text, strict=False)
            if printed is not None and (not printed.bare or self.shape == "printed"):
                return self._of_printed(printed)
            if text.startswith("[") and self._given is None:
                raise self._no_list(text)
            self._check(text, where)
        if not self._separator:
            return [text]
        labels = cut(text, self._separator)
        self._cut += len(labels) > 1
        return self._without_edges(labels, text)

    def _of_printed(self, printed: Printed) -> list[Any]:
        if printed.values:
            return self._of_mapping(printed.items, printed.values)
        items = [item for item in printed.items if item is not None]
        self._report.empty_labels += len(printed.items) - len(items)
        return self._of_list([self._without_decimals(item) for item in items])

    def _without_decimals(self, item: Any) -> Any:
        is_number = not isinstance(item, str) and is_whole(item)
        return str(whole_number(item, self.name)) if is_number else item

    def _without_edges(self, labels: list[str], text: str) -> list[str]:
        """Labels without empty ones at the edges, which are counted."""
        begin, end = 0, len(labels)
        while begin < end and not labels[begin]:
            begin += 1
        while end > begin and not labels[end - 1]:
            end -= 1
        self._report.empty_labels += len(labels) - (end - begin)
        if "" in labels[begin:end]:
            raise BadRecordError(
                f"the column {self.name!r} has an empty label between the separators {self._separator!r}: "
                f"{short(text)}; remove the separator that is too many"
            )
        return labels[begin:end]

    def _check(self, text: str, where: str) -> None:
        """Look for separators in rows after the first ones, too."""
        seen = without_entities(text)
        marks = [mark for mark in ";|" if mark in seen]
        if len(marks) == 2 or (marks and (self._separator or marks[0]).strip(marks[0])):
            raise self._two_separators(text, where)
        if marks and self._separator is None:
            self._adopt(marks[0])
            self.shape = "separated"
        elif self._separator is None and "," in seen and self.shape != "printed":
            raise self._comma(text, where, ())

    def _no_list(self, text: str) -> BadRecordError:
        return BadRecordError(
            f"the column {self.name!r} begins like a JSON list but is none: {short(text)}; fix it, or give "
            f"{parameter('label_separator', '')} if the bracket belongs to a label and each cell is one"
        )

    def _two_separators(self, cell: str, where: str) -> DataError:
        return DataError(
            f"{where}: the column {self.name!r} has ';' and '|' in its cells ({short(cell)}), so it is "
            f"not clear which one separates labels; give {parameter('label_separator')} (';' or '|')"
        )

    def _comma(self, cell: str, where: str, cells: Sequence[tuple[str, str]]) -> DataError:
        alone = {text for text, _ in cells if "," not in text}
        pieces = {piece for text, _ in cells if "," in text for piece in cut(text, ",")}
        both = sorted(pieces & alone)
        hint = f" ({both[0]!r} is also a cell by itself, so it probably separates labels)" if both else ""
        return DataError(
            f"{where}: the column {self.name!r} has a comma in {short(cell)}, which may separate labels "
            f"or belong to one{hint}; give {parameter('label_separator', ',')} to split there, or "
            f"{parameter('label_separator', '')} if each cell is one label"
        )


def _holds_list(value: Mapping[Any, Any]) -> bool:
    """Whether an object is Label Studio's wrapping of a list, not one whose keys are labels."""
    return list(value) in (["choices"], ["taxonomy"]) and isinstance(next(iter(value.values())), list)


def indicator_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The columns of a table that say whether a document has a label, by 0 and 1 or the like in each row.

    >>> indicator_columns(["id", "toxic", "obscene"], [["7", "0", "1"], ["8", "1", "0"]])
    ['toxic', 'obscene']
    """
    found = []
    for place, name in enumerate(header):
        column = LabelColumn(name, Columns(labels=("one", "of several")), ReadReport())
        try:
            column.look([(row[place], "") for row in rows if len(row) == len(header)])
        except DataError:  # a doubt
            continue
        if column.is_indicator:
            found.append(name)
    return found
