import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from taxotext.metrics import PropensityMetrics, inverse_propensities

WEIGHTS = np.array([1.0, 2.0, 4.0, 8.0])
GOLD = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], bool)
RANKED = np.array([[0, 2, 1], [3, 2, -1], [0, 1, 2]], np.int32)


def computed(gold, ranked, weights, ks, **options):
    metrics = PropensityMetrics(gold.shape[1], weights, ks)
    metrics.update(csr_array(gold), ranked)
    return metrics.compute(**options)


def test_the_weights_follow_the_formula():
    scale = (math.log(15_511) - 1) * 2.5**0.55
    expected = [1 + scale * (count + 1.5) ** -0.55 for count in (0, 1, 10, 1000)]
    assert inverse_propensities([0, 1, 10, 1000], 15_511) == pytest.approx(expected)
    amazon = inverse_propensities([3], 490_449, a=0.6, b=2.6)
    assert amazon == pytest.approx([1 + (math.log(490_449) - 1) * 3.6**0.6 * 5.6**-0.6])


def test_with_fewer_than_three_documents_all_labels_weigh_the_same():
    assert inverse_propensities([0, 1, 2], 2).tolist() == [1.0, 1.0, 1.0]
    assert inverse_propensities([0], 0).tolist() == [1.0]


@pytest.mark.parametrize(
    ("counts", "documents", "options", "message"),
    [
        ([3], 2, {}, "from 0 to 2"),
        ([-1], 2, {}, "from 0 to 2"),
        ([1], 2, {"a": 0}, "A = 0, B = 1.5"),
        ([1], 2, {"b": float("inf")}, "must be positive"),
    ],
)
def test_impossible_counts_and_constants_are_refused(counts, documents, options, message):
    with pytest.raises(ValueError, match=message):
        inverse_propensities(counts, documents, **options)


def test_hand_computed_values():
    second = 1 / math.log2(3)
    # reached at 3: 1 and 2 at places 1 and 3; 4 at place 2. Best: 2, 1; 4. The third document has no gold labels.
    expected = {
        "psp@1": (1 + 0) / (2 + 4),
        "psp@3": (3 + 4) / (3 + 4),
        "psr@1": (1 / 2 + 0) / (2 / 2 + 4),
        "psr@3": 1.0,
        "psndcg@1": (1 + 0) / (2 + 4),
        "psndcg@3": ((1 + 2 / 2) / (1 + second) + 4 * second) / ((2 + second) / (1 + second) + 4),
        "psndcg_pooled@1": (1 + 0) / (2 + 4),
        "psndcg_pooled@3": (1 + 2 / 2 + 4 * second) / (2 + second + 4),
    }
    assert computed(GOLD, RANKED, WEIGHTS, (1, 3)) == pytest.approx(expected)


def test_without_normalisation_they_are_means_over_all_documents():
    second = 1 / math.log2(3)
    result = computed(GOLD, RANKED, WEIGHTS, (1, 3), normalised=False)
    assert result["psp@1"] == pytest.approx(1 / 3)
    assert result["psp@3"] == pytest.approx((1 + 2 + 4) / 3 / 3)
    assert result["psndcg@3"] == pytest.approx(((1 + 2 / 2) / (1 + second) + 4 * second) / 3)


def test_documents_without_gold_alone_give_zero():
    assert set(computed(GOLD[2:], RANKED[2:], WEIGHTS, (1, 3)).values()) == {0.0}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_a_perfect_ranking_is_one_and_equal_weights_give_plain_hits(seed):
    random = np.random.default_rng(seed)
    labels, documents = int(random.integers(1, 8)), int(random.integers(1, 8))
    gold = random.random((documents, labels)) < 0.4
    weights = 1 + random.random(labels) * 5
    ks = tuple(range(1, labels + 1))
    best = np.argsort(-(gold * weights), axis=1, kind="stable").astype(np.int32)
    perfect = computed(gold, best, weights, ks)
    assert all(value == pytest.approx(1.0 if gold.any() else 0.0) for value in perfect.values())
    ranked = np.stack([random.permutation(labels) for _ in range(documents)]).astype(np.int32)
    equal = computed(gold, ranked, np.ones(labels), ks)
    for k in ks:
        hits = sum(gold[row, ranked[row, :k]].sum() for row in range(documents))
        possible = np.minimum(gold.sum(axis=1), k).sum()
        assert equal[f"psp@{k}"] == pytest.approx(hits / possible if possible else 0.0)


def test_batches_give_the_same_as_one_shot():
    streamed = PropensityMetrics(4, WEIGHTS, (1, 2, 3))
    for row in range(3):
        streamed.update(csr_array(GOLD[row : row + 1]), RANKED[row : row + 1])
    streamed.update(csr_array(GOLD[:0]), RANKED[:0])
    assert streamed.compute() == pytest.approx(computed(GOLD, RANKED, WEIGHTS, (1, 2, 3)))


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match=r"weights has shape \(3,\)"):
        PropensityMetrics(4, WEIGHTS[:3])
    with pytest.raises(ValueError, match="nothing to compute"):
        PropensityMetrics(4, WEIGHTS).compute()
    with pytest.raises(ValueError, match="a label twice"):
        PropensityMetrics(4, WEIGHTS, (2,)).update(csr_array(GOLD[:1]), np.array([[1, 1]]))
