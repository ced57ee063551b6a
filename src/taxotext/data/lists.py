"""Checks of Python values that become a corpus: those of records, with the place of each value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from taxotext.data.columns import ReadReport
from taxotext.data.frames import is_missing, is_rectangle_of_bits, one_column
from taxotext.data.label_cells import looks_printed, without_entities
from taxotext.data.records import BadRecordError, check_label, check_name, check_text, check_weight, kind, short
from taxotext.errors import DataError
from taxotext.labels import Taxonomy
from taxotext.labels.building import id_problem

if TYPE_CHECKING:
    BoolMatrix: TypeAlias = sparse.csr_array[np.bool_, tuple[int, int]]

T = TypeVar("T")


def check_texts(texts: Iterable[str]) -> list[str]:
    """Return the texts as a list; DataError unless they are strings with something in them."""
    values = _listed(one_column(texts, "texts"), "texts", "a list of strings")
    if not values:
        raise DataError("texts is empty; a corpus needs at least one document")

    def checked(value: Any, what: str) -> str:
        if value is not None and is_missing(value):
            raise BadRecordError(f"{what} is missing ({value!r}); leave the document out, as with dropna")
        return check_text(value, what)

    return _each(values, "texts", checked)


def is_matrix(labels: object) -> bool:
    """Tell whether labels are an indicator matrix rather than lists of ids."""
    return sparse.issparse(labels) or (isinstance(labels, np.ndarray) and labels.ndim == 2)


def check_indicator(
    labels: Any, label_ids: Sequence[str] | None, taxonomy: Taxonomy | None, count: int
) -> tuple[BoolMatrix, list[str]]:
    """Return the indicator matrix as bool CSR (count, L) and the L ids of its columns."""
    if labels.ndim != 2:
        raise DataError(f"labels is a sparse array of {labels.ndim} dimension; give a matrix (documents, labels)")
    if labels.dtype.kind not in "biuf":
        raise DataError(f"labels is a matrix of {labels.dtype}; give one of 0 and 1, or lists of label ids")
    if labels.shape[0] != count:
        raise DataError(f"texts has {count:,} entries and labels has {labels.shape[0]:,} rows; give one row a document")
    entries = cast("Any", sparse.coo_array(labels))
    wrong = np.flatnonzero((entries.data != 0) & (entries.data != 1))  # NaN differs from both
    if wrong.size:
        row, column = int(entries.row[wrong[0]]), int(entries.col[wrong[0]])
        raise DataError(
            f"labels[{row}, {column}] is {entries.data[wrong[0]]}; an indicator matrix has 0 and 1 only "
            f"({wrong.size:,} entries have something else)"
        )
    matrix: BoolMatrix = sparse.csr_array(entries.astype(np.bool_))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    width = int(matrix.shape[1])
    if label_ids is not None:
        columns = _check_ids(label_ids)
        owner = "label_ids"
    elif taxonomy is not None:
        columns, owner = list(taxonomy.ids), "the taxonomy"
    else:
        columns, owner = [str(i) for i in range(width)], "labels"
    if len(columns) != width:
        raise DataError(f"labels has {width:,} columns and {owner} has {len(columns):,} labels; they must be as many")
    return matrix, columns


def flat_from_ids(label_ids: Sequence[str], taxonomy: Taxonomy | None) -> Taxonomy:
    """Return the label set that ``label_ids`` names beside lists of ids."""
    if taxonomy is not None:
        raise DataError("label_ids names the columns of a matrix; with lists of ids and a taxonomy leave it out")
    return Taxonomy.flat(_check_ids(label_ids))


def check_label_lists(labels: Any, count: int, report: ReadReport) -> list[list[str]]:
    """Return one list of label ids for each document.

    White space around them is dropped and counted in the report.
    """
    if labels is None:
        return [[] for _ in range(count)]
    values = _listed(labels, "labels", "one list of label ids for each document", count)
    if is_rectangle_of_bits(values):
        raise DataError("labels looks like an indicator matrix in lists; give numpy.asarray(labels)")

    _refuse_scalars(values)

    def checked(value: Any, what: str) -> list[str]:
        if is_missing(value):  # no label, as in files
            return []
        if isinstance(value, str):
            raise BadRecordError(f"{what} is the string {short(value)}; write a list of label ids, [{short(value)}]")
        if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
            raise BadRecordError(f"{what} must be a list of label ids, found {kind(value)}: {short(value)}")
        # A set has no order of its own that would be the same in the next process.
        given = sorted(value, key=str) if isinstance(value, (set, frozenset)) else list(value)
        found = [check_label(label, what) for label in given]
        report.trimmed_labels += sum(map(operator.ne, given, found))
        return found

    return _each(values, "labels", checked, "label sets")


def _refuse_scalars(values: Sequence[Any]) -> None:
    """Refuse labels of which each is one value, with what makes lists of all of them.

    Raises:
        DataError: strings or whole numbers only.
    """
    there = [value for value in values if not is_missing(value)]
    if not there or not all(isinstance(value, (str, Integral)) for value in there):
        return
    first = there[0]
    if not all(isinstance(value, str) for value in there):
        advice = "[[str(label)] for label in labels]"
    elif any(looks_printed(value) for value in there):
        advice = "[ast.literal_eval(cell) for cell in labels] if they are printed lists"
    else:
        found = (sign for sign in ";|," if any(sign in without_entities(value) for value in there))
        sign = next(found, None)
        first = next((value for value in there if sign is not None and sign in value), first)
        advice = "[[label] for label in labels]"
        if sign is not None:
            advice = f"[cell.split({sign!r}) for cell in labels] if {sign!r} separates labels, else {advice}"
    raise DataError(
        f"labels must be a list of label ids for each document, found {kind(first)} for each: {short(first)}; give "
        f"{advice}"
    )


def check_groups(groups: Iterable[Any] | None, count: int) -> tuple[str | None, ...] | None:
    """Return groups as strings or None."""
    checked = check_ids(groups, count, "groups")
    return None if checked is None else tuple(None if value is None else str(value) for value in checked)


def check_ids(ids: Iterable[Any] | None, count: int, what: str = "ids") -> tuple[str | int | None, ...] | None:
    """Return document ids as strings, whole numbers or None."""
    if ids is None:
        return None
    values = _listed(ids, what, "one string for each document", count)
    return tuple(_each(values, what, lambda value, place: None if value is None else check_name(value, place)))


def check_weights(weights: Iterable[float] | None, count: int) -> npt.NDArray[np.float32] | None:
    """Return the weights as float32 (count,)."""
    if weights is None:
        return None
    values = _listed(weights, "weights", "one number for each document", count)
    return np.asarray(_each(values, "weights", check_weight), dtype=np.float32)


def check_metadata(metadata: Iterable[Mapping[str, Any]] | None, count: int) -> tuple[Mapping[str, Any], ...] | None:
    """Return the metadata as a tuple of mappings."""
    if metadata is None:
        return None
    values = _listed(metadata, "metadata", "one mapping for each document", count)
    for i, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise DataError(f"metadata[{i}] must be a mapping of field names to values, found {kind(value)}")
    return tuple(values)


def _check_ids(label_ids: Sequence[str]) -> list[str]:
    given = _listed(label_ids, "label_ids", "a list of strings")
    ids = [str(label) if isinstance(label, Integral) and not isinstance(label, bool) else label for label in given]
    problems = [f"label_ids[{i}]: {problem}" for i, label in enumerate(ids) if (problem := id_problem(label))]
    first: dict[Any, int] = {}
    for i, label in enumerate(ids):
        if isinstance(label, str) and first.setdefault(label, i) != i:
            problems.append(f"label_ids[{i}]: {label!r} is there already at label_ids[{first[label]}]; name it once")
    _refuse(problems, f"{len(problems):,} of {len(ids):,} label_ids cannot be used")
    return [str(label) for label in ids]


def _listed(values: Any, what: str, wanted: str, count: int | None = None) -> list[Any]:
    """The values as a list; DataError for another type, or another number than ``count``."""
    if isinstance(values, (str, bytes)):
        raise DataError(f"{what} is the one string {short(values)}; give {wanted}")
    if isinstance(values, Mapping) or not isinstance(values, Iterable):
        raise DataError(f"{what} must be {wanted}, found {kind(values)}")
    found = list(values)
    if count is not None and len(found) != count:
        raise DataError(f"texts has {count:,} entries and {what} has {len(found):,}; give one for each text")
    return found


def _each(values: list[Any], what: str, check: Callable[[Any, str], T], all_of_them: str | None = None) -> list[T]:
    """What ``check`` makes of each value; DataError with the problems of all that it refuses."""
    problems = []
    checked = []
    for i, value in enumerate(values):
        try:
            checked.append(check(value, f"{what}[{i}]"))
        except BadRecordError as problem:
            problems.append(str(problem))
    _refuse(problems, f"{len(problems):,} of {len(values):,} {all_of_them or what} cannot be used")
    return checked


def _refuse(problems: Sequence[str], message: str) -> None:
    if problems:
        raise DataError(f"{message}; fix them", problems)
