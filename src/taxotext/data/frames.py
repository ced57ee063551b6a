"""Tables of pandas, polars, pyarrow and datasets as texts or indicator matrices; none of them is imported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from taxotext.errors import DataError
from taxotext.messages import counted

SHOWN_COLUMNS = 5


def column_names(values: Any) -> list[Any] | None:
    """The names of the columns of a table; None for anything else.

    >>> column_names([["a"]]) is None
    True
    """
    if isinstance(values, (np.ndarray, list, tuple, str, bytes, Mapping)) or sparse.issparse(values):
        return None
    names = getattr(values, "column_names", None)  # pyarrow and datasets, whose ``columns`` are no names
    if names is None:
        names = getattr(values, "columns", None)
    return list(names) if isinstance(names, Iterable) and hasattr(values, "__getitem__") else None


def column(table: Any, name: Any) -> Any:
    """The values of one column."""
    values = table[name]
    return values.to_pylist() if hasattr(values, "to_pylist") else values


def one_column(values: Any, what: str) -> Any:
    """Texts, or what else is one value a document, out of whatever was given.

    Args:
        values: a list, array or Series is returned as it is; of a table or matrix with one column, that column.

    Raises:
        DataError: a table or matrix of several columns, or a mapping.
    """
    names = list(values) if isinstance(values, Mapping) else column_names(values)
    if names is None:
        if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
            return values[:, 0]
        if isinstance(values, np.ndarray) and values.ndim != 1:
            raise DataError(f"{what} is an array of {values.ndim} dimensions; give one with a text for each document.")
        return values
    if len(names) == 1 and not isinstance(values, Mapping):
        return column(values, names[0])
    kind = "dict" if isinstance(values, Mapping) else type(values).__name__
    name = "text" if "text" in names or not names else names[0]
    shown = ", ".join(map(str, names[:SHOWN_COLUMNS])) + (", ..." if len(names) > SHOWN_COLUMNS else "")
    raise DataError(
        f"{what} is a {kind} with {counted(len(names), 'column')} ({shown}); give the one with the texts, such as "
        f"df[{name!r}]."
    )


def as_indicator(values: Any, label_ids: Sequence[str] | None) -> tuple[Any, Sequence[str] | None]:
    """An indicator matrix and the ids of its columns, where labels are a table; anything else stays as it is.

    The columns of a table are label ids, numbers as text. Columns that are only counted (0, 1, 2, ...) name nothing:
    such a table is a matrix, whose ``label_ids`` may be given. One column of lists is one list for each document.

    Raises:
        DataError: a column of a table holds something else than 0 and 1; or its columns and ``label_ids`` differ.
    """
    names = column_names(values)
    if not names:
        return values, label_ids
    if len(names) == 1 and _holds_lists(values, names[0]):
        return column(values, names[0]), label_ids
    ids = [str(name) for name in names]
    counted = all(isinstance(name, (int, np.integer)) for name in names) and ids == [str(i) for i in range(len(ids))]
    if label_ids is not None and not counted and [str(label) for label in label_ids] != ids:
        raise DataError("label_ids: the columns of the labels have names of their own; leave it out.")
    matrix = _sparse(values)
    if matrix is None:
        if len(set(ids)) < len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise DataError(f"the labels have two columns {twice!r}; name each label once.")
        matrix = np.stack([_numbers(column(values, name), name) for name in names], axis=1)
    return matrix, label_ids if counted else ids


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, or one of pandas' own.

    >>> is_missing(float("nan")), is_missing("nan")
    (True, False)
    """
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def is_rectangle_of_bits(rows: Sequence[Any]) -> bool:
    """Whether lists look like the rows of an indicator matrix: equally long, more than one entry, 0 and 1 only."""
    return (
        len(rows) > 0
        and all(isinstance(row, (list, tuple)) and len(row) > 1 for row in rows)
        and all(len(first) == len(second) for first, second in pairwise(rows))
        and all(isinstance(value, (int, float)) and value in (0, 1) for row in rows for value in row)
    )


def _holds_lists(table: Any, name: Any) -> bool:
    first = next((value for value in column(table, name) if not is_missing(value)), None)
    return isinstance(first, (list, tuple, set, frozenset, str)) or (isinstance(first, np.ndarray) and first.ndim == 1)


def _sparse(table: Any) -> Any:
    """The matrix of a pandas table whose columns are sparse; None for another one."""
    try:
        return table.sparse.to_coo()
    except AttributeError:
        return None


def _numbers(values: Any, name: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        try:
            if any(isinstance(value, str) for value in array.tolist()):
                raise TypeError("text")
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(
                f"the column {str(name)!r} of the labels holds something else than 0 and 1; give only columns of "
                "labels, or lists of label ids."
            ) from None
    return array
