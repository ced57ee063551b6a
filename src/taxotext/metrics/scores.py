"""What the metrics of probabilities share: checked blocks, gold scores, and fine bins of probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.metrics.sparse import FloatArray, IntArray, Sets, row_of_entry

FINEST = 12
"""Bits of the fine bins that the metrics of a block share."""
SMALLEST = 20
"""Probabilities below 2^-20 share one fine bin."""
_AT_ONCE = 1 << 18
_TOP_BITS = 127 << 23
"""The bits of 1.0 in float32; those of smaller numbers from 0 are smaller, in the same order."""


def as_scores(scores: Any, documents: int, labels: int) -> NDArray[np.float32]:
    """Return a block of probabilities, (B, N) float32 with N <= L, cut to 0..1.

    Raises:
        ValueError: the shape does not fit, or a value is NaN or no probability.
    """
    block = np.asarray(scores)
    if block.ndim != 2 or block.shape[0] != documents or block.shape[1] > labels:
        raise ValueError(f"scores has shape {block.shape}; ({documents}, at most {labels}) is needed")
    if block.size == 0:
        return np.zeros(block.shape, dtype=np.float32)
    low, high = float(block.min()), float(block.max())  # NaN shows in both
    if not (low >= -1e-4 and high <= 1 + 1e-4):
        raise ValueError(f"scores lie between {low} and {high}; probabilities from 0 to 1 are needed")
    block = np.asarray(block, dtype=np.float32)
    if low < 0 or high > 1:
        block = np.clip(block, np.float32(0), np.float32(1))
    return np.ascontiguousarray(block)


def as_candidates(scores: Any, documents: int, labels: int) -> Any:
    """Return sparse probabilities, (B, N) CSR with N <= L, sorted; a stored 0 stays a candidate.

    Raises:
        ValueError: the shape does not fit, or a value is NaN or no probability.
    """
    found: Any = csr_array(scores)
    if len(found.shape) != 2 or found.shape[0] != documents or found.shape[1] > labels:
        raise ValueError(f"scores has shape {found.shape}; ({documents}, at most {labels}) is needed")
    if found.nnz and not (float(found.data.min()) >= -1e-4 and float(found.data.max()) <= 1 + 1e-4):
        raise ValueError("scores holds values that are not probabilities from 0 to 1")
    return found.sorted_indices() if not found.has_sorted_indices else found


def gold_entries(gold: Sets, labels: int) -> tuple[IntArray, IntArray]:
    """Return row and column of the gold entries that have a score: those of the first N labels."""
    rows, columns = row_of_entry(gold), gold.indices.astype(np.int64)
    inside = columns < labels
    return (rows, columns) if inside.all() else (rows[inside], columns[inside])


def fine_bins(bits: int) -> int:
    """Return how many fine bins there are with so many bits of the mantissa."""
    return (SMALLEST << bits) + 1


def fine_bin(scores: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    """Return the fine bin of each probability, in ascending order; same shape.

    Within a factor of two there are ``2**bits`` bins of equal width: a bin is ``2**-bits`` of its probability wide.

    >>> fine_bin(np.array([0, 2**-20, 0.5, 0.75, 1], np.float32), 1).tolist()
    [0, 0, 38, 39, 40]
    """
    shift = 23 - bits
    floor = (_TOP_BITS >> shift) - (SMALLEST << bits)
    found: NDArray[np.int32] = np.right_shift(scores.view(np.int32), np.int32(shift))
    found -= np.int32(floor)
    np.maximum(found, np.int32(0), out=found)
    return found


def fine_counts(scores: NDArray[np.float32], bits: int) -> IntArray:
    """Return how many probabilities lie in each fine bin; ``scores``: of any shape, contiguous."""
    counts: IntArray = np.zeros(fine_bins(bits), dtype=np.int64)
    flat = scores.reshape(-1)
    for start in range(0, flat.size, _AT_ONCE):  # stays in the cache
        counts += np.bincount(fine_bin(flat[start : start + _AT_ONCE], bits), minlength=counts.size)
    return counts


def coarser(counts: IntArray, bits: int, fewer: int) -> IntArray:
    """Return the counts of fine bins of ``bits`` as those of ``fewer`` bits, (..., bins).

    >>> scores = np.array([0, 2**-20, 0.3, 0.5, 0.75, 0.9, 1], np.float32)
    >>> bool((coarser(fine_counts(scores, 5), 5, 2) == fine_counts(scores, 2)).all())
    True
    """
    together = 1 << (bits - fewer)
    below = counts[..., :-1].reshape(*counts.shape[:-1], SMALLEST << fewer, together).sum(axis=-1)
    return np.concatenate([below, counts[..., -1:]], axis=-1)


def fine_middles(bits: int) -> FloatArray:
    """Return the middle of each fine bin; 0 and 1 stand for the lowest and the highest."""
    lows = (np.arange(fine_bins(bits), dtype=np.int64) << (23 - bits)) + _TOP_BITS - (SMALLEST << 23)
    edges = lows.astype(np.int32).view(np.float32).astype(np.float64)
    middles = np.append((edges[:-1] + edges[1:]) / 2, 1.0)
    middles[0] = 0.0
    return middles
