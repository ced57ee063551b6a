"""The k best labels of each document, with ties decided the same way every time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_CELLS_AT_ONCE = 1 << 24
"""Scores that are partitioned together; bounds the working copies to a few times 64 MB."""

_MANY_LABELS = 4096
"""Labels from which on :func:`top_k` looks at the maxima of :data:`_CHUNKS` stretches first."""
_CHUNKS = 128


def top_k(scores: NDArray[np.floating[Any]], k: int) -> tuple[NDArray[np.int32], NDArray[np.floating[Any]]]:
    """Return the k best labels of each row, best first; equal scores go by the smaller label index.

    Time is linear in the number of labels (a partition, not a sort); labels tied at the k-th place are chosen
    by index, not by chance.

    Args:
        scores: (B, N) float, finite or infinite.
        k: at least 1. With k > N the lists are padded with label -1 and score -inf.

    Returns:
        Label indexes (B, k) int32 and their scores (B, k) of the type of ``scores``.

    Raises:
        ValueError: ``scores`` is not a float matrix, holds NaN, or k < 1.

    >>> ids, best = top_k(np.array([[0.2, 0.9, 0.2, 0.1]]), 2)
    >>> ids.tolist(), best.tolist()
    ([[1, 0]], [[0.9, 0.2]])
    """
    block = np.asarray(scores)
    if block.ndim != 2 or not np.issubdtype(block.dtype, np.floating):
        raise ValueError(f"scores has shape {block.shape} and type {block.dtype}; floats (B, N) are needed")
    if k < 1:
        raise ValueError(f"k is {k}; at least 1 is needed")
    rows, labels = block.shape
    ids = np.full((rows, k), -1, dtype=np.int32)
    best = np.full((rows, k), -np.inf, dtype=block.dtype)
    kept = min(k, labels)
    if kept == 0:
        return ids, best
    step = max(1, _CELLS_AT_ONCE // labels)
    for start in range(0, rows, step):
        part = slice(start, start + step)
        ids[part, :kept], best[part, :kept] = _top_k_of_part(block[part], kept)
    return ids, best


def _top_k_of_part(block: NDArray[np.floating[Any]], k: int) -> tuple[NDArray[np.int32], NDArray[np.floating[Any]]]:
    if np.isnan(block.max(axis=1)).any():  # max carries NaN along
        raise ValueError("scores holds NaN: a model has diverged, or a score is missing")
    labels = block.shape[1]
    few = _top_k_of_few(block, k) if labels >= _MANY_LABELS and k <= _CHUNKS // 4 else None
    if few is not None:
        return few
    last = np.partition(block, labels - k, axis=1)[:, labels - k, None]  # (B, 1) the k-th best score
    above, level = block > last, block == last
    wanted = k - above.sum(axis=1)  # (B,) how many of the tied labels fit
    crowded = level.sum(axis=1) > wanted
    if crowded.any():
        some = level[crowded]
        level[crowded] = some & (np.cumsum(some, axis=1) <= wanted[crowded, None])
    columns = (np.flatnonzero(above | level) % labels).reshape(block.shape[0], k)  # k of each row, ascending
    values = np.take_along_axis(block, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1).astype(np.int32), np.take_along_axis(values, order, axis=1)


def _top_k_of_few(
    block: NDArray[np.floating[Any]], k: int
) -> tuple[NDArray[np.int32], NDArray[np.floating[Any]]] | None:
    """The same without a partition of all labels: few are as good as the k-th best of the maxima of some stretches.

    None where many are, as where most scores are equal.
    """
    rows, labels = block.shape
    width = labels // _CHUNKS
    maxima = block[:, : width * _CHUNKS].reshape(rows, _CHUNKS, width).max(axis=2)
    least = np.partition(maxima, _CHUNKS - k, axis=1)[:, _CHUNKS - k, None]  # (B, 1) no more than the k-th best score
    places = np.flatnonzero(block >= least)
    if places.size > _CHUNKS * rows:
        return None
    row, column = np.divmod(places, labels)
    values = block.ravel()[places]
    order = np.lexsort((column, -values, row))
    first = np.searchsorted(row, np.arange(rows))
    chosen = order[first[:, None] + np.arange(k)]  # (B, k)
    return column[chosen].astype(np.int32), values[chosen]
