"""The learned fusion: its equation by hand, its minimum, calibration, sparse as dense, labels without documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.fusion import Fusion, cross_fit


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def sigmoid(value: Any) -> Any:
    return 1 / (1 + np.exp(-value))


def drawn(documents: int, labels: int, seed: int = 0) -> tuple[list[Any], csr_array, Any, Any]:
    """Scores of a good member and of one that is sure too often, gold labels, their frequencies, and the true p."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1.5, 2.0, (documents, labels))
    gold = rng.random((documents, labels)) < sigmoid(truth)
    good = sigmoid(truth + rng.normal(0, 0.5, truth.shape)).astype(np.float32)
    sure = sigmoid(3 * truth + rng.normal(0, 3, truth.shape)).astype(np.float32)
    sure[rng.random(truth.shape) < 0.3] = 0.0  # no candidates
    counts = rng.integers(0, 200, labels)
    scores = [csr_array(np.where(values >= 0.001, values, 0)) for values in (good, sure)]
    return scores, csr_array(gold), counts, sigmoid(truth)


def test_a_pair_by_hand() -> None:
    fusion = Fusion(np.array([0.5, 0.25, 1.0, 2.0, 0.1, 0.2, -3.0, 4.0]))
    frequency = np.log(1 + 9)
    one = 0.5 + 0.25 * frequency + (1 + 0.1 * frequency) * logit(0.8) + (2 + 0.2 * frequency) * logit(0.3)
    absent = 0.5 + 0.25 * frequency + (1 + 0.1 * frequency) * logit(0.8) + (2 + 0.2 * frequency) * logit(0.001) + 4
    found = fusion.of_pairs(np.array([[0.8, 0.8, 0.0004], [0.3, 0.0, 0.0]]), np.array([9, 9, 9]))
    np.testing.assert_allclose(found, [sigmoid(one), sigmoid(absent), 0.0004], rtol=1e-12)


def test_a_fit_is_the_minimum_that_a_general_optimiser_finds() -> None:
    scores, gold, counts, _ = drawn(40, 6)
    values = np.stack([matrix.toarray().ravel() for matrix in scores]).astype(np.float64)
    kept = values.max(0) >= 0.001
    values, right = values[:, kept], gold.toarray().ravel()[kept]
    frequency = np.tile(counts, 40)[kept]
    fitted = Fusion.fit(values, right, frequency)
    start = Fusion.of_mean(2).coefficients
    clipped = np.clip(values, 0.001, 1 - 1e-6)
    f = np.log1p(frequency)
    x = np.log(clipped / (1 - clipped))
    features = np.stack([np.ones(len(f)), f, *x, *(x * f), *(values < 0.001).astype(float)], 1)

    def loss(coefficients: Any) -> float:
        z = features @ coefficients
        return float(np.log1p(np.exp(-np.where(right, z, -z))).sum() + ((coefficients - start) ** 2).sum() / 2)

    expected = minimize(loss, start, method="BFGS", options={"gtol": 1e-6}).x
    np.testing.assert_allclose(fitted.coefficients, expected, atol=1e-3)


def test_it_is_calibrated_and_better_than_each_member_on_other_documents() -> None:
    scores, gold, counts, _ = drawn(400, 8)
    fusion, folds = cross_fit(scores, gold, counts, seed=1)
    others, truth, _, p = drawn(400, 8, seed=9)
    found = fusion.mix([ScoreBlock(np.asarray(one.toarray())) for one in others], counts).dense

    def log_loss(q: Any, right: Any) -> float:
        q = np.clip(q, 1e-3, 1 - 1e-6)
        return float(-np.where(right, np.log(q), np.log1p(-q)).mean())

    right = truth.toarray()
    assert log_loss(found, right) < min(log_loss(one.toarray(), right) for one in others)
    assert log_loss(found, right) < 1.1 * log_loss(p, right)
    assert abs(found.mean() - right.mean()) < 0.02
    # Scores of folds are no better than those of other documents: none was fitted on its own document.
    assert log_loss(folds.candidates.toarray(), gold.toarray()) == pytest.approx(log_loss(found, right), rel=0.15)


def test_scores_of_folds_do_not_depend_on_their_own_gold_labels() -> None:
    scores, gold, counts, _ = drawn(10, 4)
    turned = gold.toarray()
    turned[3] = ~turned[3]
    fusion, folds = cross_fit(scores, gold, counts, seed=2)
    other, again = cross_fit(scores, csr_array(turned), counts, seed=2)
    first, second = folds.candidates.toarray(), again.candidates.toarray()
    assert np.array_equal(first[3], second[3])
    assert not np.array_equal(first, second)
    assert not np.array_equal(fusion.coefficients, other.coefficients)


@pytest.mark.parametrize(("first", "second"), [(False, True), (True, False), (True, True)])
def test_sparse_members_are_fused_as_dense_ones(first: bool, second: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, gold, counts, _ = drawn(30, 5)
    fusion, _ = cross_fit(scores, gold, counts, seed=0)
    dense = fusion.mix([ScoreBlock(np.asarray(one.toarray())) for one in scores], counts).dense
    blocks = [
        ScoreBlock(one if sparse else np.asarray(one.toarray()))
        for one, sparse in zip(scores, (first, second), strict=True)
    ]
    monkeypatch.setattr("taxotext.decoding.fusion.TOGETHER", 7)
    found = fusion.mix(blocks, counts)
    assert found.is_sparse == (first and second)
    np.testing.assert_array_equal(found.candidates.toarray() if found.is_sparse else found.dense, dense)


def test_without_documents_it_is_the_mean_of_the_logits_and_labels_without_documents_are_served() -> None:
    empty = Fusion.fit(np.zeros((2, 0)), np.zeros(0, np.bool_), np.zeros(0, np.int64))
    found = empty.of_pairs(np.array([[0.9], [0.6]]), np.array([0]))
    np.testing.assert_allclose(found, sigmoid((logit(0.9) + logit(0.6)) / 2))
    scores, gold, counts, _ = drawn(200, 6)
    fusion, _ = cross_fit(scores, gold, counts, seed=0)
    high, low = fusion.of_pairs(np.array([[0.95, 0.01], [0.99, 0.01]]), np.array([0, 0]))
    assert high > 0.8
    assert low < 0.1


def test_members_that_part_the_labels_without_a_mistake_stay_finite() -> None:
    perfect = csr_array(np.eye(6, dtype=np.float32) * 0.999 + 0.0005)
    fusion, folds = cross_fit([perfect, perfect], csr_array(np.eye(6, dtype=np.bool_)), np.full(6, 10**9), seed=0)
    assert np.isfinite(fusion.coefficients).all()
    assert folds.candidates.toarray().max() <= 1
