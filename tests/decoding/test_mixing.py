"""Mixtures: the mean and the maximum by hand, sparse as dense, weights by brute force, ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from taxotext import Taxonomy
from taxotext.decoding import Decoder, Decoding
from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.mixing import _best, mix, simplex, sweep
from taxotext.metrics import Evaluation

A = np.array([[0.9, 0.0, 0.2], [0.1, 0.5, 0.0]], np.float32)
B = np.array([[0.1, 0.6, 0.0], [0.0, 0.7, 1.0]], np.float32)
FLAT = Taxonomy.from_edges([(None, "a"), (None, "b"), (None, "c")])


def block(scores: Any, sparse: bool) -> ScoreBlock:
    return ScoreBlock(csr_array(scores) if sparse else scores)


@pytest.mark.parametrize(("first", "second"), [(False, False), (False, True), (True, False), (True, True)])
def test_a_mixture_is_the_mean_or_the_maximum_of_sparse_and_dense_scores(first: bool, second: bool) -> None:
    blocks, weights = [block(A, first), block(B, second)], np.array([0.25, 0.75])
    for combine, expected in (("mean", 0.25 * A + 0.75 * B), ("max", np.maximum(A, B))):
        found = mix(blocks, weights, combine)  # type: ignore[arg-type]
        assert found.is_sparse == (first and second)
        scores = found.candidates.toarray() if found.is_sparse else found.dense
        np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_mean_never_exceeds_one() -> None:
    ones = np.ones((1, 3), np.float32)
    for sparse in (False, True):
        found = mix([block(ones, sparse)] * 3, np.array([0.1, 0.2, 0.7]), "mean")
        assert (found.candidates.data if sparse else found.dense).max() <= 1


def test_weights_cover_the_simplex() -> None:
    assert simplex(2, 4).tolist() == [[1, 0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0, 1]]
    three = simplex(3, 2)
    assert sorted(three.tolist()) == sorted(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    )


@pytest.mark.parametrize("metric", ["micro_f1", "macro_f1", "set_accuracy"])
@pytest.mark.parametrize("members", [2, 3])
def test_the_best_weights_are_those_of_brute_force(metric: str, members: int) -> None:
    rng = np.random.default_rng(members)
    gold = rng.random((40, 3)) < 0.4
    scores = [np.clip(gold * 0.4 + rng.random((40, 3)) * 0.7, 0, 1).astype(np.float32) for _ in range(members)]
    decoder = Decoder(Decoding(), FLAT)
    found = sweep([csr_array(matrix) for matrix in scores], csr_array(gold), decoder, metric)
    values = []
    for weights in found.tried:
        mixed = sum(weight * matrix.astype(np.float64) for weight, matrix in zip(weights, scores, strict=True))
        evaluation = Evaluation(3)
        evaluation.update(csr_array(gold), csr_array(np.asarray(mixed).astype(np.float32) > 0.5))
        values.append(evaluation.compute()[metric])
    np.testing.assert_allclose(found.values, values, atol=1e-9)
    assert found.values[found.chosen] == max(values) > max(values[0], values[-1])
    assert found.weights.sum() == pytest.approx(1)


def test_of_equal_values_the_middle_of_the_longest_run_is_taken() -> None:
    two = simplex(2, 9)
    assert _best(two, np.array([5, 1, 5, 5, 5, 1, 5, 5, 1, 0.0])) == 3
    assert _best(two, np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1.0])) == 9
    assert _best(two, np.ones(10)) == 4
    three = simplex(3, 3)
    assert three[_best(three, np.ones(len(three)))].tolist() == pytest.approx([1 / 3] * 3)
