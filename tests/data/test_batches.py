"""Plans cover each document once; batches hold exactly their windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data.batches import POOL, make_batch, shuffled_plan, sorted_plan
from taxotext.data.tokens import Ragged
from taxotext.data.windows import make_windows

COSTS = st.lists(st.integers(1, 50), max_size=80).map(lambda costs: np.asarray(costs, dtype=np.int64))


@settings(max_examples=80, deadline=None)
@given(COSTS, st.integers(1, 20), st.integers(0, 5), st.integers(0, 5))
def test_a_plan_holds_each_document_once_and_depends_on_seed_and_epoch_alone(
    costs: np.ndarray, size: int, seed: int, epoch: int
) -> None:
    plan = shuffled_plan(costs, size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(plan).tolist() if plan else []) == list(range(len(costs)))
    assert len(plan) == -(-len(costs) // size)
    assert sorted(map(len, plan), reverse=True)[: len(costs) // size] == [size] * (len(costs) // size)
    np.random.random()
    again = shuffled_plan(costs, size, seed=seed, epoch=epoch)
    assert all(np.array_equal(one, other) for one, other in zip(plan, again, strict=True))


def test_seeds_and_epochs_have_plans_of_their_own() -> None:
    costs = np.arange(40)
    plans = [
        np.concatenate(shuffled_plan(costs, 4, seed=seed, epoch=epoch)).tolist() for seed in (0, 1) for epoch in (0, 1)
    ]
    assert len({tuple(plan) for plan in plans}) == 4


def test_documents_of_similar_length_are_together() -> None:
    costs = np.random.default_rng(0).integers(1, 100, 8 * POOL)
    plan = shuffled_plan(costs, 8, seed=0, epoch=0)
    padding = sum(int((costs[batch].max() - costs[batch]).sum()) for batch in plan)
    order = np.random.default_rng(0).permutation(len(costs)).reshape(-1, 8)
    at_random = int((costs[order].max(axis=1, keepdims=True) - costs[order]).sum())
    assert padding < 0.1 * at_random
    longest = [int(costs[batch].max()) for batch in plan]
    assert longest != sorted(longest), "batches come by length, not in random order"


@settings(max_examples=50, deadline=None)
@given(COSTS, st.integers(1, 20), st.integers(1, 9))
def test_scoring_takes_the_longest_documents_first(costs: np.ndarray, rows: int, most: int) -> None:
    counts = costs % most + 1
    plan = sorted_plan(costs, counts, rows)
    order = np.concatenate(plan).tolist() if plan else []
    assert sorted(order) == list(range(len(costs)))
    assert costs[order].tolist() == sorted(costs.tolist(), reverse=True)
    assert all(counts[batch].sum() <= rows or len(batch) == 1 for batch in plan)
    for batch, after in pairwise(plan):  # none could have taken the next document too
        assert counts[batch].sum() + counts[after[0]] > rows


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.integers(10, 99), min_size=1, max_size=40), min_size=1, max_size=8),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_a_batch_holds_the_windows_of_its_documents_padded(
    documents: list[list[int]], room: int, random: object
) -> None:
    windows = make_windows(Ragged.from_rows(documents), max_tokens=room, mode="chunk_max", max_chunks=3)
    chosen = np.asarray(random.sample(range(len(documents)), random.randint(1, len(documents))))  # type: ignore[attr-defined]
    batch = make_batch(windows, chosen, pad_id=0)
    rows = [
        (position, windows.tokens[row].tolist())
        for position, document in enumerate(chosen)
        for row in range(windows.first[document], windows.first[document + 1])
    ]
    longest = max(len(ids) for _, ids in rows)
    width = batch.ids.shape[1]
    assert longest <= width < longest + 8
    assert width % 8 == 0 or width == windows.tokens.lengths.max()
    assert batch.ids.tolist() == [ids + [0] * (width - len(ids)) for _, ids in rows]
    assert batch.mask.tolist() == [[True] * len(ids) + [False] * (width - len(ids)) for _, ids in rows]
    assert batch.owner.tolist() == [position for position, _ in rows]
    assert batch.documents.tolist() == chosen.tolist()


@pytest.mark.parametrize("last", [0, 1])
def test_padding_never_reads_behind_the_last_row(last: int) -> None:
    rows = [[5], [6, 7, 8]] if last == 0 else [[6, 7, 8], [5]]
    windows = make_windows(Ragged.from_rows(rows), max_tokens=4)
    batch = make_batch(windows, np.array([0, 1]), 9)
    assert batch.ids.tolist() == [row + [9] * (3 - len(row)) for row in rows]
