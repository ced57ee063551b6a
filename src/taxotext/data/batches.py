"""Batches of documents of similar length, padded to little more than the longest of the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taxotext.data.windows import Windows

POOL = 64
"""Batches that are sorted by length together: more means less padding, less means more randomness."""

ENOUGH_POOLS = 8
"""Pools of an epoch from which on chance alone decides which documents are sorted together."""

SPREAD = 0.15
"""With fewer pools each length is sorted as if it were longer or shorter, by up to this share of it."""

WIDTH_STEP = 8
"""Widths of batches are multiples of it: libraries keep a compiled kernel for each shape that they have met, about
10 MB for each width of a MiniLM in bf16 on a CPU."""


@dataclass(frozen=True)
class Batch:
    """B documents as W >= B windows of T tokens."""

    documents: NDArray[np.int64]  # int64 (B,), which documents of the corpus
    ids: NDArray[np.int64]  # int64 (W, T), padded with the tokenizer's padding id
    mask: NDArray[np.bool_]  # bool (W, T), True on tokens
    owner: NDArray[np.int64]  # int64 (W,), position in the batch (0..B-1) of the document that a window belongs to
    rows: NDArray[np.int64]  # int64 (W,), which windows of the corpus


def shuffled_plan(costs: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Batches of one training epoch: each document once, similar lengths together, in random order.

    Where an epoch has few pools, sorting by the exact length would bring nearly the same documents together in every
    epoch, so the lengths are sorted with noise. On 790 documents of three public corpora, up to 512 words of each, in
    batches of 16, the share of pairs that meet again falls from 64 to 83 % to 7 to 15 %; padding rises by 10 to 12
    points.

    The plan is a function of its arguments alone, so a resumed run finds the same batches again.

    Args:
        costs: int64 (n,), length of the longest window of each document.
        epoch: number of the epoch, from 0.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(costs))
    size = batch_size * POOL
    few = len(costs) < size * ENOUGH_POOLS
    # Uniform noise: unlike that of exp(normal), its product has the same bits on every processor.
    keys = costs * rng.uniform(1 - SPREAD, 1 + SPREAD, len(costs)) if few else costs
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), size):
        pool = order[start : start + size]
        pool = pool[np.argsort(keys[pool], kind="stable")]
        batches.extend(pool[at : at + batch_size] for at in range(0, len(pool), batch_size))
    return [batches[at] for at in rng.permutation(len(batches))]


def sorted_plan(
    costs: NDArray[np.int64], counts: NDArray[np.int64], rows: int, tokens: int | None = None
) -> list[NDArray[np.int64]]:
    """Batches for scoring: longest first, so that a lack of memory shows at once; the caller undoes the order.

    Args:
        costs: length of the longest window of each document.
        counts: windows of each document.
        rows: windows of a batch at most; a document with more is a batch of its own.
        tokens: of a batch at most, padding included; a document with more is a batch of its own. None: any number.
    """
    order = np.argsort(-costs, kind="stable")
    batches: list[NDArray[np.int64]] = []
    begin = taken = 0
    for at, count in enumerate(counts[order].tolist()):
        most = rows if tokens is None else min(rows, tokens // max(1, int(costs[order[begin]])))
        if at > begin and taken + count > most:
            batches.append(order[begin:at])
            begin, taken = at, 0
        taken += count
    return [*batches, order[begin:]] if len(order) else []


def make_batch(windows: Windows, documents: NDArray[np.int64], pad_id: int) -> Batch:
    """Gather ``documents`` of a corpus into one padded batch."""
    counts = windows.first[documents + 1] - windows.first[documents]
    owner = np.repeat(np.arange(len(documents)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.repeat(windows.first[documents], counts) + within
    starts = windows.tokens.offsets[rows]
    lengths = windows.tokens.offsets[rows + 1] - starts
    # Never wider than the longest window: the encoder has no positions beyond.
    width = min(-(-int(lengths.max()) // WIDTH_STEP) * WIDTH_STEP, windows.tokens.longest)
    positions = np.arange(width)
    mask = positions < lengths[:, None]
    # Padding positions are read at the start of their row and overwritten below: no index leaves the array.
    ids = windows.tokens.values[starts[:, None] + np.where(mask, positions, 0)].astype(np.int64)
    ids[~mask] = pad_id
    return Batch(
        documents=documents,
        ids=ids,
        mask=mask,
        owner=owner,
        rows=rows,
    )
