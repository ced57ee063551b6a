"""The checks of all values of a record: text, labels, id, weight."""

from __future__ import annotations

import numbers
import re
from collections.abc import Sequence
from typing import Any

from taxotext.errors import nearest
from taxotext.labels.building import id_problem

LARGEST_WEIGHT = 3.4e38
"""Weights are kept as 32-bit floats; beyond this they would become infinite."""
SHOWN = 60
"""Characters of a value that a sentence repeats."""
HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class BadRecordError(Exception):
    """The reason why one record is not a document; the reader adds the file and the line."""


class MissingFieldError(BadRecordError):
    """The record has no such field."""

    def __init__(self, name: str, present: Sequence[str]) -> None:
        super().__init__(missing_field(name, present))
        self.name = name


def short(value: object) -> str:
    """Return the value as it stands in a sentence: its ``repr``, cut."""
    text = repr(value[: SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


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
        if isinstance(label, list) and label and all(isinstance(step, str) for step in label):
            hint = f'; write a path as one label, "{"/".join(label)}"'
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


def missing_field(name: str, present: Sequence[str]) -> str:
    """Return the sentence for a field that is not there."""
    found = ", ".join(short(field) for field in present[:10]) + (", ..." if len(present) > 10 else "")
    return f"there is no field {name!r}, only {found or 'none at all'}.{nearest(name, present)}"
