"""Plans cover each document once; batches hold exactly their windows."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data.batches import ENOUGH_POOLS, POOL, SPREAD, make_batch, shuffled_plan, sorted_plan
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


LENGTHS = np.random.default_rng(0).lognormal(4.5, 0.8, 8 * POOL * ENOUGH_POOLS).astype(np.int64) + 1
"""Lengths like those of newswire, for as many batches of 8 as need no noise."""


def met_again(costs: np.ndarray, size: int) -> float:
    """Share of the pairs of documents in one batch that are in one batch in the next epoch too."""
    met = pairs = 0
    for epoch in range(5):
        here, after = (
            {
                pair
                for batch in shuffled_plan(costs, size, seed=0, epoch=number)
                for pair in combinations(sorted(batch.tolist()), 2)
            }
            for number in (epoch, epoch + 1)
        )
        met, pairs = met + len(here & after), pairs + len(here)
    return met / pairs


def padding(costs: np.ndarray, plan: list[np.ndarray]) -> float:
    """Padding of a plan, as a share of the tokens."""
    return sum(int(costs[batch].max()) * len(batch) for batch in plan) / int(costs.sum()) - 1


@pytest.mark.parametrize(
    ("documents", "bound"), [(200, 0.35), (800, 0.1), (len(LENGTHS) - 1, 0.1), (len(LENGTHS), 0.15)]
)
def test_few_documents_that_share_a_batch_share_one_again_in_the_next_epoch(documents: int, bound: float) -> None:
    """Sorted by exact lengths, 0.93 and 0.28 of the pairs of the two smallest corpora would meet again."""
    assert met_again(LENGTHS[:documents], 8) < bound


def test_documents_of_one_length_have_other_partners_in_each_epoch() -> None:
    assert met_again(np.full(200, 128), 8) < 0.1  # by chance: 7 / 199


@pytest.mark.parametrize("documents", [200, 800, len(LENGTHS)])
def test_documents_of_similar_length_are_together(documents: int) -> None:
    costs = LENGTHS[:documents]
    plan = shuffled_plan(costs, 8, seed=0, epoch=0)
    at_random = np.array_split(np.random.default_rng(0).permutation(documents), documents // 8)
    assert padding(costs, plan) < 0.2 * padding(costs, at_random)
    longest = [int(costs[batch].max()) for batch in plan]
    assert longest != sorted(longest), "batches come by length, not in random order"


@settings(max_examples=80, deadline=None)
@given(COSTS.filter(len), st.integers(1, 20))
def test_noise_never_separates_documents_by_more_than_its_spread(costs: np.ndarray, size: int) -> None:
    """Of two batches one comes first: no document of it is longer than one of the other by more than the noise."""
    for one, other in combinations(shuffled_plan(costs, size, seed=0, epoch=0), 2):
        most = (1 + SPREAD) / (1 - SPREAD) + 1e-9
        assert costs[one].max() <= most * costs[other].min() or costs[other].max() <= most * costs[one].min()


def test_a_corpus_of_many_pools_is_sorted_by_exact_length() -> None:
    """The plan that such a corpus has always had."""
    rng = np.random.default_rng([3, 1])
    pools = rng.permutation(len(LENGTHS)).reshape(ENOUGH_POOLS, 8 * POOL)
    batches = [batch for pool in pools for batch in pool[np.argsort(LENGTHS[pool], kind="stable")].reshape(-1, 8)]
    expected = [batches[at].tolist() for at in rng.permutation(len(batches))]
    assert [batch.tolist() for batch in shuffled_plan(LENGTHS, 8, seed=3, epoch=1)] == expected


@settings(max_examples=50, deadline=None)
@given(COSTS, st.integers(1, 20), st.integers(1, 9), st.none() | st.integers(1, 3000))
def test_scoring_takes_the_longest_documents_first(costs: np.ndarray, rows: int, most: int, tokens: int | None) -> None:
    counts = costs % most + 1
    plan = sorted_plan(costs, counts, rows, tokens)
    order = np.concatenate(plan).tolist() if plan else []
    assert sorted(order) == list(range(len(costs)))
    assert costs[order].tolist() == sorted(costs.tolist(), reverse=True)
    limits = [min(rows, 10**9 if tokens is None else tokens // max(1, costs[batch[0]])) for batch in plan]
    assert all(counts[batch].sum() <= limit or len(batch) == 1 for batch, limit in zip(plan, limits, strict=True))
    for (batch, after), limit in zip(pairwise(plan), limits, strict=False):  # none could have taken the next one too
        assert counts[batch].sum() + counts[after[0]] > limit


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


def test_batches_look_at_all_windows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the batches of an epoch would take time in proportion to the square of the documents."""
    looks: list[int] = []

    def lengths(self: Ragged) -> np.ndarray:
        looks.append(len(self))
        return np.diff(self.offsets)

    windows = make_windows(Ragged.from_rows([[5], [6, 7, 8], [5, 5]]), max_tokens=4)
    monkeypatch.setattr(Ragged, "lengths", property(lengths))
    shapes = [make_batch(windows, np.array([document]), 0).ids.shape for document in (0, 1, 2)]
    assert shapes == [(1, 3)] * 3  # none is wider than the longest window
    assert looks == [3]
