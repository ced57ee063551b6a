"""Splitting a corpus into parts: at random, with equal label proportions, and without cutting groups.

Functions that split return one sorted int64 array of document indices for each part; together the arrays hold every
index once. The same seed gives the same parts on any machine.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from taxotext.errors import DataError
from taxotext.messages import counted

if TYPE_CHECKING:
    BoolMatrix: TypeAlias = sparse.csr_array[np.bool_, tuple[int, int]]

Indices: TypeAlias = npt.NDArray[np.int64]

_COVERAGE_BUDGET = 0.3
"""The share of a part that may go to documents placed there only so that a rare label reaches the part."""

_REPAIRED_PAIRS, _REPAIR_CANDIDATES = 100, 30
"""How many pairs of a label and a part that it misses are corrected; how many items are tried on either side."""


def split_fraction(n: int, parts: Sequence[float], seed: int) -> list[Indices]:
    """Split ``n`` documents at random.

    Args:
        parts: the share of each part; positive, together 1. Each part has its share of the documents to
            rounding, and at least one.

    Raises:
        DataError: impossible parts, or fewer documents than parts.

    >>> [len(part) for part in split_fraction(10, (0.8, 0.1, 0.1), seed=0)]
    [8, 1, 1]
    """
    sizes = part_sizes(n, parts)
    order = np.random.default_rng(seed).permutation(n)
    return [np.sort(part).astype(np.int64) for part in np.split(order, np.cumsum(sizes)[:-1])]


def evenly_spaced(n: int, count: int) -> list[int]:
    """At most ``count`` of ``n`` documents, evenly spaced."""
    size = min(n, count)
    return [place * n // size for place in range(size)]


def split_stratified(
    targets: BoolMatrix, parts: Sequence[float], seed: int, groups: Sequence[Hashable] | None = None
) -> list[Indices]:
    """Split documents so that each label is spread over the parts in proportion (iterative stratification).

    Labels are taken from the rarest to the most frequent, among the documents not yet placed; each document
    of the label goes to the part that still wants most documents of that label, then to the part that wants
    most documents and other labels of the document, then to a random one. Documents without labels are spread
    in the same way. A label with at least as many documents as there are parts reaches every part, as far as
    there is room: about a third of a part may be filled for that reason.

    Args:
        targets: (D, L) CSR, the label sets.
        parts: the share of each part; positive, together 1. Without groups the sizes are exact to rounding.
        groups: as in :func:`split_grouped`.

    Raises:
        DataError: impossible parts, or fewer documents (or groups) than parts.

    Source: Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD 2011,
    algorithm 1; part sizes are kept exactly here; the second criterion and the spreading of rare labels are
    ours.
    """
    if groups is not None:
        return split_grouped(groups, parts, seed, targets)
    count = _documents(targets)
    sizes = part_sizes(count, parts)
    ones = np.ones(count, dtype=np.int64)
    placed = _stratify(sparse.csr_array(targets), ones, parts, sizes, np.random.default_rng(seed))
    return [np.flatnonzero(placed == part).astype(np.int64) for part in range(len(sizes))]


def split_grouped(
    groups: Sequence[Hashable], parts: Sequence[float], seed: int, targets: BoolMatrix | None = None
) -> list[Indices]:
    """Split documents so that no group is in two parts.

    Args:
        groups: D values; documents of equal value stay together. None: a group of its own.
        parts: the share of each part; positive, together 1. The sizes are as near to it as the groups allow;
            each part has at least one group.
        targets: (D, L) CSR; with them labels are spread in proportion as well (see :func:`split_stratified`).

    Raises:
        DataError: impossible parts, fewer groups than parts, or another number of groups than of documents.
    """
    members: dict[Any, int] = {}
    group_of = np.asarray(
        [members.setdefault(("", i) if group is None else (group,), len(members)) for i, group in enumerate(groups)],
        dtype=np.int64,
    )
    count = len(group_of)
    if targets is not None and _documents(targets) != count:
        raise DataError(f"there are {_documents(targets):,} documents and {count:,} groups; give one group a document")
    sizes = part_sizes(count, parts)
    if len(members) < len(sizes):
        raise DataError(
            f"{counted(len(members), 'group')} cannot be split into {len(sizes)} parts without cutting one; "
            "use fewer parts"
        )
    group_sizes = np.bincount(group_of, minlength=len(members))
    if targets is None:
        counts = sparse.csr_array((len(members), 0), dtype=np.int64)
    else:
        ones = np.ones(count, dtype=np.int64)
        membership = sparse.csr_array((ones, (group_of, np.arange(count))), shape=(len(members), count))
        counts = sparse.csr_array(membership @ sparse.csr_array(targets).astype(np.int64))
    placed = _stratify(counts, group_sizes, parts, sizes, np.random.default_rng(seed))
    _fill_empty_parts(placed, group_sizes, len(sizes))
    part_of = placed[group_of]
    return [np.flatnonzero(part_of == part).astype(np.int64) for part in range(len(sizes))]


def k_folds(
    targets: BoolMatrix,
    k: int,
    seed: int,
    stratified: bool = True,
    groups: Sequence[Hashable] | None = None,
) -> list[Indices]:
    """Split documents into ``k`` equal folds for cross-validation: one is for testing, the rest for training.

    Args:
        targets: (D, L) CSR, the label sets; only their number matters when ``stratified`` is false.
        k: number of folds, 2 or more.
        stratified: whether labels are spread in proportion.
        groups: as in :func:`split_grouped`.

    Raises:
        DataError: ``k`` below 2, or above the number of documents or groups.
    """
    if k < 2:
        raise DataError(f"k is {k}; cross-validation needs at least 2 folds")
    parts = [1.0 / k] * k
    if groups is not None:
        if len(groups) != _documents(targets):
            raise DataError(f"there are {_documents(targets):,} documents and {len(groups):,} groups; give one each")
        return split_grouped(groups, parts, seed, targets if stratified else None)
    if stratified:
        return split_stratified(targets, parts, seed)
    return split_fraction(_documents(targets), parts, seed)


def part_sizes(n: int, parts: Sequence[float]) -> Indices:
    """Return the number of documents of each part: the largest-remainder rounding of ``n`` times its share.

    A part that would be empty takes one document from the largest.

    Raises:
        DataError: no parts, a share that is not positive, shares that are not 1 together, or fewer documents
            than parts.

    >>> part_sizes(5, (0.5, 0.5)).tolist(), part_sizes(3, (0.8, 0.1, 0.1)).tolist()
    ([3, 2], [1, 1, 1])
    """
    shares = [float(part) for part in parts]
    if not shares:
        raise DataError("no parts are given; give their shares, for example (0.8, 0.1, 0.1)")
    for number, share in enumerate(shares, 1):
        if not math.isfinite(share) or share <= 0:
            raise DataError(f"part {number} of the split is {share:g}; the share of a part must be above 0")
    if abs(math.fsum(shares) - 1) > 1e-6:
        raise DataError(f"the parts of the split, {shares}, are {math.fsum(shares):g} together; they must be 1")
    if n < len(shares):
        raise DataError(
            f"{counted(n, 'document')} cannot be split into {len(shares)} parts; use fewer parts or more documents"
        )
    exact = np.asarray(shares) * n
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    remainders = np.round(exact - sizes, 9)  # equal shares must have equal remainders: the first part comes first
    left = n - int(sizes.sum())
    sizes[np.argsort(-remainders, kind="stable")[:left]] += 1
    while (sizes == 0).any():
        sizes[int(np.argmax(sizes))] -= 1
        sizes[int(np.argmin(sizes))] += 1
    return sizes


def _documents(targets: Any) -> int:
    return int(targets.shape[0])


def _stratify(
    counts: sparse.csr_array[Any, tuple[int, int]],
    item_sizes: npt.NDArray[np.int64],
    parts: Sequence[float],
    sizes: Indices,
    rng: np.random.Generator,
) -> Indices:
    """Place items (documents or groups) into parts by iterative stratification.

    Args:
        counts: (I, L) CSR, how many documents of an item have a label.
        item_sizes: (I,) documents of each item.
        parts: the share of each part. The exact one: were it taken from the rounded sizes, labels of one
            document would all go to the part that rounding made larger.
        sizes: (P,) wanted documents of each part; their sum is the sum of ``item_sizes``.
        rng: source of chance.

    Returns:
        (I,) int64, the part of each item.
    """
    item_count, label_count = counts.shape
    # Items without a label are those of one more label, so that they are spread like all others.
    bare = np.flatnonzero(np.diff(counts.indptr) == 0)
    entries = counts.tocoo()
    rows = np.concatenate([entries.row, bare])
    columns = np.concatenate([entries.col, np.full(len(bare), label_count)])
    amounts = np.concatenate([np.asarray(entries.data, dtype=np.int64), item_sizes[bare]])
    full = sparse.csr_array((amounts, (rows, columns)), shape=(item_count, label_count + 1))
    # Items of a label: large ones first (they are hard to fit in later), equal ones in random order.
    rank = np.empty(item_count, dtype=np.int64)
    rank[np.lexsort((rng.permutation(item_count), -item_sizes))] = np.arange(item_count)
    by_label = full.tocsc()
    part_count = len(sizes)
    shares = np.asarray(parts, dtype=np.float64)
    totals = np.asarray(full.sum(axis=0)).reshape(-1)
    items_of = np.diff(by_label.indptr)
    spread = _labels_to_spread(items_of, shares, sizes)

    # Plain lists: single elements of arrays are slow.
    desired = np.outer(totals, shares).tolist()  # (L + 1, P) documents of the label that the part still wants
    room = [float(size) for size in sizes]
    row_ptr, row_labels, row_amounts = full.indptr.tolist(), full.indices.tolist(), full.data.tolist()
    remaining = items_of.tolist()
    tie = rng.permutation(label_count + 1).tolist()
    weight, sizes_ = item_sizes.tolist(), sizes.tolist()
    chance = rng.random((item_count, part_count)).tolist()
    placed = [-1] * item_count
    present = [[False] * part_count if wanted else None for wanted in spread]
    heap = [(count, tie[label], label) for label, count in enumerate(remaining) if count]
    heapq.heapify(heap)
    every = range(part_count)
    while heap:
        count, _, label = heapq.heappop(heap)
        if count != remaining[label]:
            continue  # an outdated entry: the label is in the heap again with fewer documents
        members = by_label.indices[by_label.indptr[label] : by_label.indptr[label + 1]]
        touched: set[int] = set()
        for item in members[np.argsort(rank[members])].tolist():
            if placed[item] >= 0:
                continue
            size = weight[item]
            open_parts = [part for part in every if 2 * room[part] >= size] or [max(every, key=room.__getitem__)]
            here = present[label]
            if here is not None:
                lacking = [part for part in open_parts if not here[part]]
                if lacking and here.count(False) >= remaining[label]:
                    open_parts = lacking
            if len(open_parts) == 1:
                best = open_parts[0]
            else:
                labels = row_labels[row_ptr[item] : row_ptr[item + 1]]
                wants, luck = desired[label], chance[item]
                best = max(
                    (
                        round(wants[part], 6),
                        round((room[part] + sum([desired[other][part] for other in labels])) / sizes_[part], 9),
                        luck[part],
                        part,
                    )
                    for part in open_parts
                )[-1]
            placed[item] = best
            room[best] -= size
            for position in range(row_ptr[item], row_ptr[item + 1]):
                other = row_labels[position]
                desired[other][best] -= row_amounts[position]
                remaining[other] -= 1
                touched.add(other)
                flags = present[other]
                if flags is not None:
                    flags[best] = True
        for other in touched:
            if remaining[other]:
                heapq.heappush(heap, (remaining[other], tie[other], other))
    result = np.asarray(placed, dtype=np.int64)
    _repair_coverage(result, full, np.outer(totals, shares), item_sizes, rng)
    return result


def _repair_coverage(
    placed: Indices,
    counts: sparse.csr_array[Any, tuple[int, int]],
    wanted: npt.NDArray[np.float64],
    item_sizes: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Exchange single items of equal size between parts where a label with enough items misses a part.

    That happens when a small part was full before the label had its turn. The most frequent labels come
    first. An exchange is made only if it takes no label from a part altogether; of those, the one with the
    least deviation from the wanted counts.
    """
    number = np.zeros(wanted.shape, dtype=np.int64)  # items of each label in each part
    entries = counts.tocoo()
    np.add.at(number, (entries.col, placed[entries.row]), 1)
    by_label = counts.tocsc()
    frequency = number.sum(axis=1)
    labels, parts = np.nonzero((number == 0) & (frequency >= wanted.shape[1])[:, None])
    first = np.argsort(-frequency[labels], kind="stable")[:_REPAIRED_PAIRS]
    if not len(first):
        return
    labels_of = [set(counts.indices[counts.indptr[i] : counts.indptr[i + 1]].tolist()) for i in range(counts.shape[0])]
    for label, part in zip(labels[first].tolist(), parts[first].tolist(), strict=True):
        if number[label, part]:
            continue  # an earlier exchange brought it
        members = by_label.indices[by_label.indptr[label] : by_label.indptr[label + 1]]
        donors = rng.permutation(members[number[label, placed[members]] > 1])[:_REPAIR_CANDIDATES]
        others = rng.permutation(np.flatnonzero(placed == part))[:_REPAIR_CANDIDATES]
        best: tuple[float, int, int] | None = None
        for donor in donors.tolist():
            home = int(placed[donor])
            for other in others.tolist():
                if item_sizes[donor] != item_sizes[other]:
                    continue
                moves_in = list(labels_of[donor] - labels_of[other])
                moves_out = list(labels_of[other] - labels_of[donor])
                if (number[moves_in, home] < 2).any() or (number[moves_out, part] < 2).any():
                    continue
                cost = sum(
                    sign * float(((number[moved, place] - wanted[moved, place]) / (wanted[moved, place] + 1)).sum())
                    for moved, place, sign in (
                        (moves_in, part, 1),
                        (moves_in, home, -1),
                        (moves_out, home, 1),
                        (moves_out, part, -1),
                    )
                )
                if best is None or cost < best[0]:
                    best = (cost, donor, other)
        if best is None:
            continue
        _, donor, other = best
        home = int(placed[donor])
        for item, old, new in ((donor, home, part), (other, part, home)):
            number[list(labels_of[item]), old] -= 1
            number[list(labels_of[item]), new] += 1
            placed[item] = new


def _labels_to_spread(items_of: npt.NDArray[Any], shares: npt.NDArray[np.float64], sizes: Indices) -> list[bool]:
    """Choose the labels that are to reach every part although their share of a part is below one document.

    In a corpus with a long tail, doing so for all labels would fill small parts with the rarest labels only.
    So the more frequent ones come first, until the documents placed for that reason (one serves several
    labels) might fill that share of a part.
    """
    spread = items_of >= len(shares)
    candidates = np.flatnonzero(spread)
    order = candidates[np.argsort(-items_of[candidates], kind="stable")]
    for part, share in enumerate(shares):
        excess = np.maximum(0.0, 1.0 - items_of[order] * share)
        spread[order[np.cumsum(excess) > _COVERAGE_BUDGET * sizes[part]]] = False
    chosen: list[bool] = spread.tolist()
    return chosen


def _fill_empty_parts(placed: Indices, group_sizes: npt.NDArray[Any], part_count: int) -> None:
    """Give each part without a group the smallest group of the part that has most groups."""
    for part in range(part_count):
        numbers = np.bincount(placed, minlength=part_count)
        if numbers[part] == 0:
            donors = np.flatnonzero(placed == int(np.argmax(numbers)))
            placed[donors[np.argmin(group_sizes[donors])]] = part
