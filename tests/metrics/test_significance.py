import math

import numpy as np
import pytest
from scipy import stats
from scipy.sparse import csr_array

from taxotext.metrics import (
    Comparison,
    approximate_randomisation,
    benjamini_hochberg,
    bootstrap_interval,
    evaluate,
    holm,
    paired_bootstrap,
    significance,
)
from taxotext.metrics.significance import METRICS


def sets(array):
    return csr_array(np.asarray(array, dtype=bool))


def case(seed, documents=40, labels=6, runs=3):
    random = np.random.default_rng(seed)
    gold = random.random((documents, labels)) < 0.3
    noisy = [sets(gold ^ (random.random(gold.shape) < 0.15)) for _ in range(2 * runs)]
    return sets(gold), noisy[:runs], noisy[runs:]


def coin(successes, documents):
    """One label, gold everywhere, found in the first documents: set accuracy is a share."""
    found = np.zeros((documents, 1), bool)
    found[:successes] = True
    return sets(np.ones((documents, 1))), sets(found)


@pytest.mark.parametrize("metric", METRICS)
def test_the_figure_is_that_of_evaluate_and_lies_in_its_interval(metric):
    gold, runs, _ = case(1)
    interval = bootstrap_interval(gold, runs[0], metric, samples=200)
    assert interval.value == pytest.approx(evaluate(gold, runs[0])[metric], abs=1e-12)
    assert interval.low < interval.value < interval.high
    mean = bootstrap_interval(gold, runs, metric, samples=200).value
    assert mean == pytest.approx(np.mean([evaluate(gold, run)[metric] for run in runs]), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_drawn_figures_are_those_of_evaluate_on_the_drawn_documents(metric):
    gold, runs, _ = case(2, documents=7)
    (system,) = significance._systems(gold, metric, predicted=runs)
    random = np.random.default_rng(0)
    chosen = random.integers(0, 7, size=(20, 7))
    weights = np.stack([np.bincount(row, minlength=7) for row in chosen], axis=1).astype(float)
    expected = [[evaluate(gold[row], run[row])[metric] for run in runs] for row in chosen]
    np.testing.assert_allclose(system.drawn(weights), expected, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_swapped_figures_are_those_of_evaluate_on_the_swapped_documents(metric):
    gold, first, second = case(3, documents=9, runs=2)
    systems = significance._systems(gold, metric, first=first, second=second)
    swap = (np.random.default_rng(0).random((9, 12)) < 0.5).astype(float)
    expected = []
    for flips in swap.T.astype(bool):
        pair = []
        for one, two in zip(first, second, strict=True):
            a, b = one.toarray(), two.toarray()
            a[flips], b[flips] = two.toarray()[flips], one.toarray()[flips]
            pair.append(evaluate(gold, sets(a))[metric] - evaluate(gold, sets(b))[metric])
        expected.append(np.mean(pair))
    np.testing.assert_allclose(significance._swapped(*systems, 2, swap), expected, atol=1e-12)


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution():
    gold, found = coin(120, 400)
    interval = bootstrap_interval(gold, found, "set_accuracy", samples=4000)
    low, high = stats.binom.ppf([0.025, 0.975], 400, 0.3) / 400
    assert interval.value == 0.3
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.004)
    narrow = bootstrap_interval(gold, found, "set_accuracy", samples=4000, confidence=0.5)
    assert interval.low < narrow.low < narrow.high < interval.high


def test_rare_labels_do_not_push_the_interval_of_macro_f1_below_the_figure():
    gold = sets(np.eye(60))  # each label once: a drawn set lacks a third of them
    one_wrong = gold.toarray()
    one_wrong[0] = False
    interval = bootstrap_interval(gold, sets(one_wrong), "macro_f1")
    assert interval.low < interval.value < interval.high


def test_intervals_hold_the_true_figure_as_often_as_they_say():
    random = np.random.default_rng(5)
    held = 0
    for seed in range(200):
        gold = sets(np.ones((80, 1)))
        found = sets(random.random((80, 1)) < 0.6)
        interval = bootstrap_interval(gold, found, "micro_recall", samples=200, confidence=0.8, seed=seed)
        held += interval.low <= 0.6 <= interval.high
    assert 0.7 < held / 200 < 0.9


def test_runs_that_differ_widen_the_interval():
    gold, good = coin(90, 100)
    poor = coin(50, 100)[1]
    alone = bootstrap_interval(gold, coin(70, 100)[1], "set_accuracy")
    both = bootstrap_interval(gold, [good, poor], "set_accuracy")
    assert both.value == alone.value == pytest.approx(0.7)
    # two of two runs drawn: both good in a quarter of the samples, both poor in another
    assert (both.low, both.high) == pytest.approx((0.41, 0.95), abs=0.04)
    assert alone.high - alone.low == pytest.approx(0.18, abs=0.03)


def test_equal_systems_do_not_differ():
    gold, runs, _ = case(6)
    assert paired_bootstrap(gold, runs[0], runs[0], "macro_f1") == Comparison(0.0, 0.0, 0.0, 1.0)
    assert approximate_randomisation(gold, runs[0], runs[0], "macro_f1").p_value == 1.0


def test_the_difference_is_first_less_second_and_turns_with_the_order():
    gold, better = coin(60, 100)
    worse = coin(50, 100)[1]
    one, other = (paired_bootstrap(gold, *pair, "set_accuracy") for pair in ((better, worse), (worse, better)))
    assert one.difference == pytest.approx(0.1)
    assert (one.low, one.high, one.p_value) == pytest.approx((-other.high, -other.low, other.p_value))
    assert approximate_randomisation(gold, worse, better, "set_accuracy").difference == pytest.approx(-0.1)


def test_p_values_of_a_share_agree_with_the_sign_test():
    gold, better = coin(60, 100)
    worse = coin(48, 100)[1].toarray()
    worse[95:] = True  # found by the second alone: 12 documents less, 5 more
    exact = stats.binomtest(5, 17, 0.5).pvalue
    result = approximate_randomisation(gold, sets(worse), better, "set_accuracy", samples=20_000)
    assert result.p_value == pytest.approx(exact, abs=0.01)
    assert math.isnan(result.low)
    assert paired_bootstrap(gold, sets(worse), better, "set_accuracy").p_value == pytest.approx(0.09, abs=0.05)


def test_without_a_difference_small_p_values_are_as_rare_as_they_say():
    found = {"bootstrap": 0, "randomisation": 0}
    for seed in range(150):
        gold, first, second = case(seed + 100, documents=60, runs=1)
        found["bootstrap"] += paired_bootstrap(gold, first, second, "micro_f1", samples=199).p_value < 0.2
        found["randomisation"] += approximate_randomisation(gold, first, second, "micro_f1", samples=199).p_value < 0.2
    assert 0.1 < found["bootstrap"] / 150 < 0.3
    assert 0.1 < found["randomisation"] / 150 < 0.3


def test_a_difference_no_larger_than_that_of_runs_is_not_significant():
    gold, high = coin(900, 1000)
    low, middle = coin(700, 1000)[1], coin(800, 1000)[1]
    documents_alone = paired_bootstrap(gold, high, low, "set_accuracy")
    assert documents_alone.p_value < 0.01
    for compare in (paired_bootstrap, approximate_randomisation):
        assert compare(gold, [high, low, high], [low, high, middle], "set_accuracy").p_value > 0.2


def test_one_run_may_stand_against_several():
    gold, first, second = case(8)
    for compare in (paired_bootstrap, approximate_randomisation):
        assert 0 < compare(gold, first, second[0], "micro_f1", samples=50).p_value <= 1
    assert 0 < paired_bootstrap(gold, first, second[:2], "micro_f1", samples=50).p_value <= 1
    with pytest.raises(ValueError, match="first has 3 runs and second 2"):
        approximate_randomisation(gold, first, second[:2], "micro_f1")


def test_results_depend_on_the_seed_alone(monkeypatch):
    gold, first, second = case(9)
    one = paired_bootstrap(gold, first, second, "macro_f1", samples=60, seed=4)
    swapped = approximate_randomisation(gold, first, second, "macro_f1", samples=60, seed=4)
    assert paired_bootstrap(gold, first, second, "macro_f1", samples=60, seed=5) != one
    monkeypatch.setattr(significance, "_NUMBERS_AT_ONCE", 300)  # blocks of two or three samples
    again = paired_bootstrap(gold, first, second, "macro_f1", samples=60, seed=4)
    assert again.p_value == one.p_value
    assert (again.low, again.high) == pytest.approx((one.low, one.high))
    assert approximate_randomisation(gold, first, second, "macro_f1", samples=60, seed=4).p_value == swapped.p_value


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04 -> 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert holm([]).size == 0


def test_benjamini_hochberg_by_hand_and_against_scipy():
    # sorted times 4/1, 4/2, 4/3, 4/4: 0.02, 0.02, 0.04, 0.04
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    p_values = np.random.default_rng(0).random(30) ** 3
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))


@pytest.mark.parametrize("p_values", [[0.1, 1.2], [-0.1], [float("nan")], [[0.1]]])
@pytest.mark.parametrize("correction", [holm, benjamini_hochberg])
def test_impossible_p_values_are_refused(correction, p_values):
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        correction(p_values)


def test_impossible_arguments_are_refused_by_name():
    gold, runs, _ = case(10)
    with pytest.raises(ValueError, match=r"metric is 'micro_f2'\. Did you mean 'micro_f1'"):
        bootstrap_interval(gold, runs, "micro_f2")
    with pytest.raises(ValueError, match="samples is 0"):
        bootstrap_interval(gold, runs, "micro_f1", samples=0)
    with pytest.raises(ValueError, match="confidence is 95"):
        paired_bootstrap(gold, runs, runs, "micro_f1", confidence=95)
    with pytest.raises(ValueError, match=r"gold has shape \(40, 6\) but second\[1\] has \(39, 6\)"):
        paired_bootstrap(gold, runs, [runs[0], runs[1][:39]], "micro_f1")
    with pytest.raises(ValueError, match="predicted is empty"):
        bootstrap_interval(gold, [], "micro_f1")
    with pytest.raises(ValueError, match="nothing can be drawn"):
        bootstrap_interval(gold[:0], runs[0][:0], "micro_f1")
