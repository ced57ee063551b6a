import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from taxotext.metrics import CalibrationMetrics
from taxotext.metrics.scores import fine_bin, fine_bins


def computed(gold, scores, **options):
    metrics = CalibrationMetrics(gold.shape[1], **options)
    metrics.update(csr_array(gold), np.asarray(scores))
    return metrics.compute()


def case(seed, documents=50, labels=6):
    random = np.random.default_rng(seed)
    return random.random((documents, labels)) < 0.3, random.random((documents, labels)).astype(np.float32)


def binned_error(probability, outcome, place):
    """The definition, bin by bin."""
    probability, outcome, place = (np.ravel(part) for part in (probability, outcome, place))
    gaps = [abs(probability[place == b].sum() - outcome[place == b].sum()) for b in np.unique(place)]
    return sum(gaps) / probability.size


def test_hand_computed_values():
    gold = np.array([[1, 0], [0, 1]], bool)
    scores = np.array([[0.75, 0.25], [0.5, 0.125]])
    result = computed(gold, scores, bins=2)  # below 0.5: 0.25 no, 0.125 yes; from 0.5: 0.75 yes, 0.5 no
    assert result["brier"] == pytest.approx((0.25**2 + 0.25**2 + 0.5**2 + 0.875**2) / 4)
    assert result["ece"] == pytest.approx((abs(0.375 - 1) + abs(1.25 - 1)) / 4)
    assert result["ece_equal_mass"] == pytest.approx(
        (abs(0.375 - 1) + abs(1.25 - 1)) / 4, abs=2e-4
    )  # middles of fine bins
    assert result["ece_top"] == pytest.approx(abs(1.25 - 1) / 2)


def test_brier_score_agrees_with_scikit_learn():
    gold, scores = case(1)
    assert computed(gold, scores)["brier"] == pytest.approx(brier_score_loss(gold.ravel(), scores.ravel()), abs=1e-7)


def test_the_reliability_diagram_agrees_with_scikit_learn():
    gold, scores = case(2, documents=200)
    metrics = CalibrationMetrics(6, bins=10)
    metrics.update(csr_array(gold), scores)
    table = metrics.reliability()
    share, mean = calibration_curve(gold.ravel(), scores.ravel(), n_bins=10)
    assert table["gold"] == pytest.approx(share)
    assert table["probability"] == pytest.approx(mean, abs=1e-6)
    assert table["pairs"].sum() == 1200


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 20))
def test_equal_width_follows_its_definition_in_any_batches(seed, bins):
    gold, scores = case(seed)
    metrics = CalibrationMetrics(6, bins=bins)
    for start in range(0, 50, 7):
        metrics.update(csr_array(gold[start : start + 7]), scores[start : start + 7])
    result = metrics.compute()
    exact = scores.astype(float)
    place = np.minimum((exact * bins).astype(int), bins - 1)
    assert result["ece"] == pytest.approx(binned_error(exact, gold, place), abs=1e-6)
    best = scores.argmax(1)
    row = np.arange(50)
    expected = binned_error(exact[row, best], gold[row, best], place[row, best])
    assert result["ece_top"] == pytest.approx(expected, abs=1e-6)


def test_bins_of_equal_mass_hold_as_many_pairs_each():
    gold, scores = case(3, documents=500)
    scores = scores**4  # most are small
    order = np.argsort(scores.ravel(), kind="stable")
    place = np.empty(3000, int)
    place[order] = np.arange(3000) * 15 // 3000
    expected = binned_error(scores.astype(float), gold, place)
    assert computed(gold, scores)["ece_equal_mass"] == pytest.approx(expected, abs=0.003)


def test_forecasts_drawn_from_their_own_probabilities_are_calibrated_and_shifted_ones_are_not():
    random = np.random.default_rng(4)
    scores = random.random((20_000, 5)).astype(np.float32)
    gold = random.random(scores.shape) < scores
    good, bad = computed(gold, scores), computed(gold, np.clip(scores + 0.1, 0, 1))
    for name in ("ece", "ece_equal_mass"):
        assert good[name] < 0.01
        assert bad[name] == pytest.approx(0.095, abs=0.01)


def test_gold_labels_that_the_model_does_not_know_are_forecasts_of_zero():
    gold, scores = case(5)
    wide = np.concatenate([gold, gold[:, :1]], axis=1)
    assert computed(wide, scores) == pytest.approx(
        computed(wide, np.concatenate([scores, np.zeros((50, 1), np.float32)], axis=1))
    )


def test_certain_and_right_forecasts_cost_nothing():
    gold = case(6)[0]
    gold[:, 0] |= ~gold.any(1)
    assert set(computed(gold, gold.astype(np.float32)).values()) == {0.0}


def test_fine_bins_keep_the_order_and_their_number():
    scores = np.sort(np.concatenate([np.random.default_rng(0).random(1000), [0, 1e-30, 1e-6, 1]])).astype(np.float32)
    for bits in (3, 7, 15):
        places = fine_bin(scores, bits)
        assert (np.diff(places) >= 0).all()
        assert (places[0], places[-1]) == (0, fine_bins(bits) - 1)
        same = (np.diff(places) == 0) & (scores[:-1] > 2**-20)
        assert (scores[1:][same] <= scores[:-1][same] * (1 + 2.0**-bits)).all()


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="bins 0"):
        CalibrationMetrics(3, bins=0)
    with pytest.raises(ValueError, match="nothing to compute"):
        CalibrationMetrics(3).compute()
