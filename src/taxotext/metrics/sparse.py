"""Label sets as sparse matrices: the checks and the few operations that the metrics and the decoders share.

A set matrix is a ``csr_array`` of bool, shape (documents, labels), True where the document carries the label.
Nothing here ever makes a dense (documents, labels) or (labels, labels) array.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

Sets: TypeAlias = "csr_array[np.bool_, tuple[int, int]]"
"""Label sets, (documents, labels) bool, CSR."""
IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

_EXPANDED_PAIRS = 1 << 22
"""How many (document, label, ancestor) triples :func:`keys_above` looks at together (~150 MB)."""


def as_sets(given: Any, name: str = "sets", labels: int | None = None) -> Sets:
    """Return ``given`` as a canonical set matrix: CSR, bool, sorted indices, no duplicates, no stored False.

    The input is never changed; it is returned itself when it already is canonical.

    Args:
        given: sparse (D, L) matrix or array of numbers or bools; non-zero means "carries the label".
        labels: the number of columns it must have.

    Raises:
        ValueError: it is not sparse, not two-dimensional, or has another number of columns.
    """
    matrix: Any = given
    if not issparse(given):
        raise ValueError(f"{name} is a {type(matrix).__name__}; a scipy sparse array (documents, labels) is needed")
    if len(matrix.shape) != 2:
        raise ValueError(f"{name} has shape {matrix.shape}; two dimensions (documents, labels) are needed")
    if labels is not None and matrix.shape[1] != labels:
        raise ValueError(f"{name} has {matrix.shape[1]} label columns, not {labels}")
    sets: Any = csr_array(matrix)
    if not sets.has_canonical_format:
        sets = sets.copy()
        sets.sum_duplicates()
    if sets.dtype != np.bool_:
        sets = sets.astype(np.bool_)
    if not sets.data.all():
        sets = sets.copy()
        sets.eliminate_zeros()
    return cast(Sets, sets)


def as_pair(gold: Any, predicted: Any, labels: int) -> tuple[Sets, Sets]:
    """Return gold and predicted sets of the same documents as :func:`as_sets` does; ValueError where they differ."""
    gold, predicted = as_sets(gold, "gold", labels), as_sets(predicted, "predicted", labels)
    if gold.shape != predicted.shape:
        raise ValueError(f"gold has {gold.shape[0]} documents but predicted has {predicted.shape[0]}")
    return gold, predicted


def check_labels(labels: int) -> int:
    """Return L, the number of gold columns; ValueError unless there is one."""
    if labels < 1:
        raise ValueError(f"labels is {labels}; at least one label is needed")
    return labels


def widen(sets: Sets, labels: int) -> Sets:
    """Return the same sets with columns added at the end, up to ``labels`` columns; the data are shared.

    Predictions over the N labels of a taxonomy are widened to the columns of a gold matrix in which labels
    that the taxonomy lacks come last.

    Raises:
        ValueError: ``labels`` is less than the columns there are.
    """
    documents, columns = sets.shape
    if labels < columns:
        raise ValueError(f"cannot widen {columns} label columns to {labels}: that is fewer")
    if labels == columns:
        return sets
    return csr_array((sets.data, sets.indices, sets.indptr), shape=(documents, labels))


def row_of_entry(sets: Any) -> IntArray:
    """Return the row of every stored entry of a CSR array, (nnz,) int64."""
    return np.repeat(np.arange(sets.shape[0], dtype=np.int64), np.diff(sets.indptr))


def keys(sets: Any) -> IntArray:
    """Return ``row * columns + column`` of every stored entry (ascending when canonical), (nnz,) int64."""
    return np.asarray(row_of_entry(sets) * np.int64(sets.shape[1]) + sets.indices)


def contains(sorted_keys: IntArray, wanted: IntArray) -> BoolArray:
    """Tell for each wanted key whether it is among the sorted keys; same shape as ``wanted``."""
    if sorted_keys.size == 0:
        return np.zeros(wanted.shape, dtype=np.bool_)
    place = np.searchsorted(sorted_keys, wanted)
    np.minimum(place, sorted_keys.size - 1, out=place)
    return np.asarray(sorted_keys[place] == wanted)


def as_closure(closure: Any, labels: int) -> Sets:
    """Return a checked closure matrix of ``labels`` labels: row i is True at i and at every ancestor of i.

    A smaller closure is widened: labels beyond it (gold labels that the taxonomy lacks) have no ancestors.

    Raises:
        ValueError: it is not square, is larger than ``labels``, or some label is not in its own row.
    """
    sets = as_sets(closure, "closure")
    size = sets.shape[0]
    if sets.shape[1] != size or size > labels:
        raise ValueError(f"closure has shape {sets.shape}; a square matrix of at most {labels} labels is needed")
    if not sets.diagonal().all():
        raise ValueError("closure lacks its diagonal: row i must be True at i itself and at the ancestors of i")
    if size == labels:
        return sets
    extra = labels - size
    indices = np.concatenate([sets.indices, np.arange(size, labels, dtype=sets.indices.dtype)])
    indptr = np.concatenate([sets.indptr, sets.indptr[-1] + np.arange(1, extra + 1, dtype=sets.indptr.dtype)])
    return csr_array((np.ones(indices.size, dtype=np.bool_), indices, indptr), shape=(labels, labels))


def close_upward(sets: Sets, closure: Sets) -> Sets:
    """Return the sets with every ancestor of a set label set too; (D, L) bool, canonical."""
    closed = csr_array(sets @ closure)
    closed.sort_indices()
    return closed


def violations(sets: Sets, closure: Sets) -> IntArray:
    """Count, for each document, the set labels of which at least one ancestor is not set.

    Args:
        sets: (D, L) canonical bool.
        closure: (L, L) bool, ancestors or self.

    Returns:
        (D,) int64.
    """
    bad = row_of_entry(sets)[~complete(sets, closure)]
    return np.bincount(bad, minlength=sets.shape[0]).astype(np.int64)


def complete(sets: Sets, closure: Sets) -> BoolArray:
    """Tell of each stored entry (document, label) whether all ancestors of the label are set too.

    Args:
        sets: (D, L) canonical bool.
        closure: (L, L) bool, ancestors or self.

    Returns:
        (nnz,) bool, in the order of ``sets.indices``.
    """
    result = np.ones(sets.nnz, dtype=np.bool_)
    own_keys = keys(sets)
    for part, above, starts in keys_above(sets, closure):
        result[part] = np.logical_and.reduceat(contains(own_keys, above), starts)
    return result


def keys_above(matrix: Any, closure: Sets) -> Iterator[tuple[slice, IntArray, IntArray]]:
    """Yield the keys (:func:`keys`) of the ancestors of all stored entries, some million keys at a time.

    Args:
        matrix: (D, L) CSR.
        closure: (L, L) bool; the rows of labels that occur are not empty.

    Yields:
        The stretch of entries; ``row * L + ancestor`` of each of them and each label in its row of ``closure``, one
        entry after the other; and where the keys of each entry start.
    """
    rows, labels = row_of_entry(matrix), matrix.shape[1]
    sizes = np.diff(closure.indptr).astype(np.int64)[matrix.indices]  # (nnz,) ancestors-or-self of each label
    begins = closure.indptr.astype(np.int64)[matrix.indices]
    ends = np.cumsum(sizes)
    first = 0
    while first < sizes.size:
        before = ends[first] - sizes[first]
        last = max(int(np.searchsorted(ends, before + _EXPANDED_PAIRS, side="right")), first + 1)
        part = slice(first, last)
        starts = ends[part] - sizes[part] - before
        total = int(ends[last - 1] - before)
        within = np.repeat(begins[part] - starts, sizes[part]) + np.arange(total, dtype=np.int64)
        above: IntArray = np.repeat(rows[part] * labels, sizes[part]) + closure.indices[within].astype(np.int64)
        yield part, above, starts
        first = last


def keep_entries(matrix: Any, kept: BoolArray) -> Any:
    """Return a CSR array with some of the stored entries; ``kept`` (nnz,), values of 0 stay where they are kept."""
    ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(kept)])
    return csr_array((matrix.data[kept], matrix.indices[kept], ends[matrix.indptr]), shape=matrix.shape)


def from_keys(sorted_keys: IntArray, values: NDArray[Any], shape: tuple[int, int]) -> Any:
    """Return the CSR array whose stored entries have these ascending, distinct :func:`keys` and values."""
    rows = sorted_keys // shape[1]
    indptr = np.searchsorted(rows, np.arange(shape[0] + 1))
    index = np.int32 if shape[1] <= np.iinfo(np.int32).max else np.int64
    return csr_array((values, (sorted_keys - rows * shape[1]).astype(index), indptr), shape=shape)
