import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from taxotext.metrics import AveragePrecision, average_precision


def computed(gold, scores, sizes=(1000,)):
    metrics = AveragePrecision(gold.shape[1])
    start = 0
    for size in sizes:
        metrics.update(csr_array(gold[start : start + size]), scores[start : start + size])
        start += size
    return metrics.compute()


def case(seed, documents=60, labels=7, steps=None):
    random = np.random.default_rng(seed)
    gold = random.random((documents, labels)) < 0.3
    gold[0] = True  # every label has a gold document
    gold[:, 0] |= ~gold.any(1)  # and every document a gold label
    scores = np.clip(random.random(gold.shape) * 0.7 + gold * 0.3, 0, 1)
    if steps:
        scores = np.round(scores * steps) / steps  # ties
    return gold, scores.astype(np.float32)


def test_hand_computed_values():
    gold = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
    scores = np.array([[0.9, 0.5, 0.1], [0.8, 0.5, 0.2], [0.3, 0.7, 0.05]], np.float32)
    result = computed(gold, scores)
    # all pairs: 0.9+ 0.8 0.7 0.5+ 0.5 0.3 0.2 0.1+ 0.05; the two of 0.5 count together
    assert result["micro_average_precision"] == pytest.approx((1 / 1 + 2 / 5 + 3 / 8) / 3)
    # label 0: first; label 1: 0.7, then two of 0.5 of which one is gold; label 2: 0.2, 0.1+
    assert result["macro_average_precision"] == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    # first document: places 1 and 3; second: place 2; third: no gold label
    assert result["samples_average_precision"] == pytest.approx(((1 / 1 + 2 / 3) / 2 + 1 / 2) / 2)


@pytest.mark.parametrize("steps", [None, 20, 4, 1])
def test_they_agree_with_scikit_learn_with_and_without_ties(steps):
    gold, scores = case(1, steps=steps)
    result = computed(gold, scores)
    for average in ("micro", "macro", "samples"):
        expected = average_precision_score(gold, scores, average=average)
        assert result[f"{average}_average_precision"] == pytest.approx(expected, abs=1e-12)
    assert result["samples_average_precision"] == pytest.approx(label_ranking_average_precision_score(gold, scores))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 60))
def test_batches_give_the_same_as_one_shot(seed, size):
    gold, scores = case(seed, steps=30)
    assert computed(gold, scores, [size, 0, 60]) == pytest.approx(computed(gold, scores))


def test_labels_and_documents_without_gold_are_left_out_of_the_means():
    gold, scores = case(2)
    more = np.pad(gold, ((0, 1), (0, 1)))
    result, expected = computed(more, np.pad(scores, ((0, 1), (0, 1)))), computed(gold, scores)
    assert result == pytest.approx(expected)
    assert set(computed(gold & False, scores).values()) == {0.0}


def test_gold_labels_that_the_model_does_not_know_are_never_found():
    gold, scores = case(3)
    more = np.concatenate([gold, np.zeros((60, 1), bool)], axis=1)
    more[0, -1] = True
    result, known = computed(more, scores), computed(gold, scores)
    pairs = gold.sum()
    assert result["micro_average_precision"] == pytest.approx(known["micro_average_precision"] * pairs / (pairs + 1))
    assert result["macro_average_precision"] == pytest.approx(known["macro_average_precision"] * 7 / 8)
    lost = known["samples_average_precision"] * 60 - 1 * (1 - 7 / 8)  # the first document has all labels
    assert result["samples_average_precision"] == pytest.approx(lost / 60)


def test_above_the_limit_scores_are_counted_in_bins_and_hardly_differ(monkeypatch):
    gold, scores = case(4, documents=2000)
    exact = computed(gold, scores, [500] * 4)
    monkeypatch.setattr(average_precision, "_KEPT_PAIRS", 5000)
    binned = computed(gold, scores, [500] * 4)
    assert binned != exact
    assert binned == pytest.approx(exact, abs=1e-3)


def test_scores_on_the_grid_of_the_bins_stay_exact_in_bins(monkeypatch):
    gold, scores = case(5, documents=200, steps=64)
    exact = computed(gold, scores, [50] * 4)
    for counters in (1 << 24, 20_000):
        monkeypatch.setattr(average_precision, "_KEPT_PAIRS", 300)
        monkeypatch.setattr(average_precision, "_COUNTERS", counters)
        assert computed(gold, scores, [50] * 4) == pytest.approx(exact)


def test_with_too_many_labels_for_bins_there_is_no_macro_figure(monkeypatch):
    monkeypatch.setattr(average_precision, "_KEPT_PAIRS", 0)
    monkeypatch.setattr(average_precision, "_COUNTERS", 100)
    assert set(computed(*case(6))) == {"micro_average_precision", "samples_average_precision"}


def test_figures_per_label_are_nan_without_gold():
    gold, scores = case(7)
    gold[:, 3] = False
    metrics = AveragePrecision(7)
    metrics.update(csr_array(gold), scores)
    table = metrics.per_label()
    assert np.flatnonzero(np.isnan(table)).tolist() == [3]
    assert table[1] == pytest.approx(average_precision_score(gold[:, 1], scores[:, 1]))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros((60, 8)), "scores has shape"),
        (np.zeros((59, 7)), "scores has shape"),
        (np.full((60, 7), np.nan), "probabilities from 0 to 1"),
        (np.full((60, 7), 1.5), "probabilities from 0 to 1"),
        (np.full((60, 7), -3.0), "probabilities from 0 to 1"),
    ],
)
def test_impossible_scores_are_refused(scores, message):
    metrics = AveragePrecision(7)
    with pytest.raises(ValueError, match=message):
        metrics.update(csr_array(case(8)[0]), scores)
    assert metrics.documents == 0


def test_the_number_of_scored_labels_may_not_change():
    gold, scores = case(9)
    metrics = AveragePrecision(7)
    metrics.update(csr_array(gold), scores[:, :5])
    with pytest.raises(ValueError, match="scores has 7 labels, and 5"):
        metrics.update(csr_array(gold), scores)
    with pytest.raises(ValueError, match="nothing to compute"):
        AveragePrecision(7).compute()


@pytest.mark.parametrize("compared", [0, 40])
def test_few_and_many_gold_labels_are_counted_alike(compared, monkeypatch):
    monkeypatch.setattr("taxotext.metrics.average_precision.COMPARED", compared)
    gold, scores = case(4, documents=30, labels=50, steps=8)  # many scores are equal
    expected = label_ranking_average_precision_score(gold, scores)
    assert computed(gold, scores, (7, 23))["samples_average_precision"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("steps", [None, 4])
def test_the_average_precision_of_one_list_is_that_of_scikit_learn_in_any_order(steps):
    gold, scores = (rows[:, 0] for rows in case(3, steps=steps))
    expected = pytest.approx(average_precision_score(gold, scores))
    for order in (slice(None), np.argsort(gold), np.argsort(~gold)):
        assert average_precision.average_precision(scores[order], gold[order]) == expected
    assert average_precision.average_precision(scores, np.zeros(len(gold), bool)) == 0.0
