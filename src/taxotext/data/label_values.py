"""Values of label columns: what is nothing, a truth value, a class number, a list, a vector."""

from __future__ import annotations

import numbers
import re
from collections.abc import Mapping
from typing import Any

from taxotext.data.label_cells import Printed, looks_printed, parse_printed
from taxotext.data.records import BadRecordError, short

WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d*)")
"""A whole number; digits that begin with 0 (``004``) are a code, in which the zeros count."""
WHOLE_FLOAT = re.compile(r"([-+]?(?:0|[1-9]\d*))[.,]0+")
LARGEST_EXACT = 2**53
"""Beyond it, a number with decimals no longer tells neighbours apart."""


def is_nothing(value: Any) -> bool:
    """Whether a value says: no labels. NaN is what pandas has for a cell without a value."""
    if value is None or (isinstance(value, float) and value != value):
        return True
    return isinstance(value, (str, list, tuple, Mapping)) and (
        not value.strip() if isinstance(value, str) else not value
    )


def word_of(value: Any) -> str:
    """A single value in small letters, whole numbers without decimals: ``1``, ``true``, ``yes``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, numbers.Real):
        number = float(value)
        return str(int(number)) if number.is_integer() else str(value)
    return str(value).strip().lower()


def printed_in(text: str, *, strict: bool = True) -> Printed | None:
    """A printed list; one that was cut short counts as one until it is read (``strict``: the decision goes on)."""
    try:
        return parse_printed(text)
    except BadRecordError:
        if strict:
            return Printed()
        raise


def items_of(value: Any, *, strict: bool = True) -> list[Any] | None:
    """The items of a list, a printed list, or a single value; None where a printed list cannot be read.

    Args:
        strict: as of :func:`printed_in`.
    """
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str) and looks_printed(value):
        found = printed_in(value, strict=strict)
        return None if found is None or found.values else found.items
    return [value]


def binary_items(value: Any) -> list[int] | None:
    """The 0 and 1 of a vector; None when it is none."""
    items = items_of(value)
    if isinstance(value, str) and items == [value]:
        items = re.split(r"[\s,;|]+", value.strip())
    if not items or not all(item in ("0", "1") if isinstance(item, str) else item in (0, 1) for item in items):
        return None
    return [int(item) for item in items]


def is_whole(item: Any) -> bool:
    """Whether an item is a whole number, also as text."""
    if isinstance(item, bool):
        return False
    if isinstance(item, str):
        return bool(WHOLE.fullmatch(item) or WHOLE_FLOAT.fullmatch(item))
    return isinstance(item, numbers.Real) and float(item).is_integer()


def whole_number(item: Any, field: str) -> int:
    """The number that ``is_whole`` has found, exactly.

    Raises:
        BadRecordError: a number with decimals that is so large that it stands for several whole ones.
    """
    if isinstance(item, str):
        decimals = WHOLE_FLOAT.fullmatch(item)
        return int(decimals[1] if decimals else item)
    if not isinstance(item, numbers.Integral) and abs(item) > LARGEST_EXACT:
        raise BadRecordError(
            f"the field {field!r} has the number {short(item)}, which a program has rounded; write such numbers as "
            "strings"
        )
    return int(item)


def name_in(item: Mapping[str, Any], field: str) -> Any:
    """The label of an object that describes one, such as ``{"id": 3, "name": "bug"}``."""
    for key in ("label", "name", "id", "uri", "value", "title"):
        if isinstance(item.get(key), str):
            return item[key]
    raise BadRecordError(f"the field {field!r} must be a list of strings, found an object in it: {short(item)}")
