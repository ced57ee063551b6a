"""Splits: every index once, exact sizes, equal label proportions, groups kept whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from taxotext.data import k_folds, read_corpus, split_fraction, split_grouped, split_stratified
from taxotext.data.splits import part_sizes
from taxotext.errors import DataError

THREE = (0.8, 0.1, 0.1)


def random_targets(documents: int, labels: int, seed: int, density: float = 0.3) -> Any:
    rng = np.random.default_rng(seed)
    return sparse.csr_array(rng.random((documents, labels)) < (0.1 + 0.9 * rng.random(labels)) * density)


def counts(targets: Any, parts: Sequence[Any]) -> Any:
    """(P, L) documents of each label in each part."""
    return np.stack([np.asarray(targets[part].sum(axis=0)).reshape(-1) for part in parts])


def check_partition(parts: Sequence[Any], documents: int) -> None:
    assert sorted(np.concatenate(parts).tolist()) == list(range(documents))
    assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize(
    ("documents", "shares", "sizes"),
    [
        (10, (0.8, 0.1, 0.1), [8, 1, 1]),
        (10, (0.7, 0.3), [7, 3]),
        (11, (0.5, 0.5), [6, 5]),
        (7, (1 / 3, 1 / 3, 1 / 3), [3, 2, 2]),
        (3, (0.8, 0.1, 0.1), [1, 1, 1]),
        (5, (1.0,), [5]),
        (2, (0.98, 0.02), [1, 1]),
    ],
)
def test_part_sizes_are_rounded_shares_and_never_zero(
    documents: int, shares: tuple[float, ...], sizes: list[int]
) -> None:
    assert part_sizes(documents, shares).tolist() == sizes


@given(
    documents=st.integers(3, 60),
    seed=st.integers(0, 1000),
    shares=st.sampled_from([THREE, (0.5, 0.5), (1.0,)]),
)
@settings(max_examples=60, deadline=None)
def test_all_splits_have_every_index_once_and_exact_sizes(documents: int, seed: int, shares: tuple[float, ...]) -> None:
    targets = random_targets(documents, 5, seed)
    for parts in (split_fraction(documents, shares, seed), split_stratified(targets, shares, seed)):
        check_partition(parts, documents)
        assert [len(part) for part in parts] == part_sizes(documents, shares).tolist()
    groups = np.random.default_rng(seed).integers(0, documents, documents).tolist()
    if len(set(groups)) >= len(shares):
        for given_targets in (None, targets):
            parts = split_grouped(groups, shares, seed, given_targets)
            check_partition(parts, documents)
            assert all(len(part) for part in parts)
            where = [{groups[i] for i in part.tolist()} for part in parts]
            assert sum(map(len, where)) == len(set(groups))


def test_the_same_seed_gives_the_same_parts_and_another_seed_others() -> None:
    targets = random_targets(200, 10, 0)
    groups = [i // 3 for i in range(200)]
    for split in (
        lambda seed: split_fraction(200, THREE, seed),
        lambda seed: split_stratified(targets, THREE, seed),
        lambda seed: split_grouped(groups, THREE, seed, targets),
        lambda seed: k_folds(targets, 4, seed),
    ):
        first, again, other = split(1), split(1), split(2)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shares", [THREE, (0.5, 0.5), (0.6, 0.2, 0.2)])
def test_every_label_with_enough_documents_reaches_every_part(seed: int, shares: tuple[float, ...]) -> None:
    targets = random_targets(300, 12, seed, density=0.2)
    # three rare labels, with as many documents as there are parts
    rare = np.zeros((300, 3), dtype=bool)
    for label in range(3):
        rare[np.random.default_rng(seed + label).choice(300, len(shares), replace=False), label] = True
    targets = sparse.csr_array(sparse.hstack([targets, sparse.csr_array(rare)]))
    found = counts(targets, split_stratified(targets, shares, seed))
    assert (found[:, targets.sum(axis=0) >= len(shares)] > 0).all()


def test_a_label_with_one_document_in_each_part_by_hand() -> None:
    targets = sparse.csr_array(np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0]], dtype=bool))
    for seed in range(10):
        first, second = split_stratified(targets, (0.5, 0.5), seed)
        assert counts(targets, [first, second]).tolist() == [[1, 1], [1, 1]]
        assert len(first) == len(second) == 3


def test_label_proportions_are_closer_than_those_of_random_parts() -> None:
    for seed in range(5):
        targets = random_targets(600, 25, seed, density=0.15)
        shares = np.asarray(THREE)[:, None]
        total = np.asarray(targets.sum(axis=0))
        errors = [
            np.abs(counts(targets, parts) / total - shares).mean()
            for parts in (split_stratified(targets, THREE, seed), split_fraction(600, THREE, seed))
        ]
        assert errors[0] < errors[1] / 2


def test_rare_labels_do_not_gather_in_the_part_that_rounding_made_larger() -> None:
    # 501 documents, each with a label of its own and half of them with one more: both halves get their part
    # of it.
    both = np.arange(501) < 250
    targets = sparse.csr_array(sparse.hstack([sparse.eye_array(501, dtype=bool), sparse.csr_array(both[:, None])]))
    parts = split_stratified(targets, (0.5, 0.5), 0)
    assert abs(int(both[parts[0]].sum()) - 125) <= 1


def test_documents_without_labels_are_spread_evenly() -> None:
    targets = sparse.csr_array(np.arange(100)[:, None] < np.array([[50]]))
    for part, size in zip(split_stratified(targets, THREE, 3), (80, 10, 10), strict=True):
        assert (part >= 50).sum() == size / 2


def test_no_labels_at_all_is_an_ordinary_split() -> None:
    parts = split_stratified(sparse.csr_array((20, 0), dtype=bool), THREE, 0)
    check_partition(parts, 20)
    assert [len(part) for part in parts] == [16, 2, 2]


def test_groups_stay_whole_and_labels_are_spread() -> None:
    targets = random_targets(600, 8, 4)
    groups = (np.arange(600) // 4).tolist()
    parts = split_stratified(targets, THREE, 0, groups=groups)
    check_partition(parts, 600)
    assert sum(len({groups[i] for i in part.tolist()}) for part in parts) == 150
    assert [abs(len(part) - size) <= 4 for part, size in zip(parts, (480, 60, 60), strict=True)] == [True] * 3
    found = counts(targets, parts) / np.asarray(targets.sum(axis=0))
    assert np.abs(found - np.asarray(THREE)[:, None]).mean() < 0.03


def test_a_document_without_a_group_is_a_group_of_its_own() -> None:
    parts = split_grouped([None] * 10, (0.5, 0.5), 0)
    assert [len(part) for part in parts] == [5, 5]


def test_a_giant_group_does_not_leave_a_part_empty() -> None:
    for seed in range(10):
        parts = split_grouped(["big"] * 97 + ["x", "y", "z"], THREE, seed)
        check_partition(parts, 100)
        assert all(len(part) for part in parts)


@pytest.mark.parametrize("settings", [{}, {"stratified": False}, {"groups": [i // 2 for i in range(50)]}])
def test_folds_are_a_partition_of_equal_size(settings: dict[str, Any]) -> None:
    folds = k_folds(random_targets(50, 4, 1), 5, 7, **settings)
    check_partition(folds, 50)
    assert [len(fold) for fold in folds] == [10] * 5


@pytest.mark.parametrize(
    ("documents", "shares", "sentence"),
    [
        (10, (), "no parts are given"),
        (10, (0.5, 0.6), "are 1.1 together; they must be 1"),
        (10, (1.2, -0.2), "part 2 of the split is -0.2; the share of a part must be above 0"),
        (10, (1.0, 0.0), "part 2 of the split is 0;"),
        (10, (float("nan"), 1.0), "part 1 of the split is nan"),
        (2, THREE, "2 documents cannot be split into 3 parts"),
        (0, (1.0,), "0 documents cannot be split into 1 parts"),
    ],
)
def test_impossible_parts_get_a_sentence(documents: int, shares: tuple[float, ...], sentence: str) -> None:
    targets = sparse.csr_array((documents, 2), dtype=bool)
    for split in (
        lambda: split_fraction(documents, shares, 0),
        lambda: split_stratified(targets, shares, 0),
        lambda: split_grouped(list(range(documents)), shares, 0),
    ):
        with pytest.raises(DataError) as caught:
            split()
        assert sentence in str(caught.value)


def test_impossible_folds_and_groups_get_a_sentence() -> None:
    targets = random_targets(6, 2, 0)
    with pytest.raises(DataError, match="k is 1; cross-validation needs at least 2 folds"):
        k_folds(targets, 1, 0)
    with pytest.raises(DataError, match="6 documents cannot be split into 7 parts"):
        k_folds(targets, 7, 0)
    with pytest.raises(DataError, match="1 group cannot be split into 2 parts"):
        split_grouped(["a", "a"], (0.5, 0.5), 0)
    with pytest.raises(DataError, match="2 groups cannot be split into 3 parts"):
        k_folds(targets, 3, 0, groups=[0, 0, 0, 1, 1, 1])
    with pytest.raises(DataError, match="6 documents and 2 groups"):
        k_folds(targets, 2, 0, groups=[0, 1])
    with pytest.raises(DataError, match="6 documents and 2 groups"):
        split_grouped([0, 1], (0.5, 0.5), 0, targets)


@pytest.mark.parametrize("name", ["reuters21578-apte90", "tibkat-gnd-en"])
def test_real_corpora_are_stratified(name: str, real_data: Callable[[str], Path]) -> None:
    corpus = read_corpus(real_data(name) / "train.jsonl.gz")
    parts = split_stratified(corpus.targets, THREE, 0)
    check_partition(parts, len(corpus))
    total = np.asarray(corpus.targets.sum(axis=0))
    frequent = total >= 20
    shares = np.asarray(THREE)[:, None]
    ours, random = (
        np.abs(counts(corpus.targets, split) / total - shares)[:, frequent].mean()
        for split in (parts, split_fraction(len(corpus), THREE, 0))
    )
    assert ours < random / 2
    if name.startswith("reuters"):
        assert (counts(corpus.targets, parts)[:, total >= 3] > 0).all()
