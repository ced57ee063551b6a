"""Calibration: temperatures and isotonic steps, found again where they are known, and rankings that stay."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from taxotext.decoding import Calibration, Decoder, Decoding, fit_calibration, sparse_scores, top_k
from taxotext.errors import ConfigError, DataError, LabelError
from taxotext.labels import Taxonomy

FLAT = Taxonomy.flat(["a", "b", "c"])


def cooled(p: float, temperature: float) -> float:
    return 1 / (1 + math.exp(-math.log(p / (1 - p)) / temperature))


def drawn(temperatures: list[float], documents: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose logits are ``temperature`` times too large, and gold labels drawn from the true probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-0.5, 1.0, (documents, len(temperatures)))
    gold = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return (1 / (1 + np.exp(-logits * np.asarray(temperatures)))).astype(np.float32), gold


def fitted(scores: np.ndarray, gold: np.ndarray, taxonomy: Taxonomy = FLAT, **options: object):
    return fit_calibration(sparse_scores(scores, 0.001), csr_array(gold), taxonomy, **options)  # type: ignore[arg-type]


def test_the_temperature_divides_logits_before_everything_else() -> None:
    decoding = Decoding(calibration="temperature", temperature=2.0, label_temperatures={"b": 0.5}, threshold=0.7)
    block = np.array([[0.8, 0.8, 0.2], [0.0, 1.0, 0.5]], dtype=np.float32)
    sets, scores = Decoder(decoding, FLAT).decode(block)
    expected = [[cooled(0.8, 2), cooled(0.8, 0.5), cooled(0.2, 2)], [0.0, 1.0, 0.5]]
    np.testing.assert_allclose(scores.dense, expected, rtol=1e-6)
    assert sets.toarray().tolist() == [[False, True, False], [False, True, False]]
    assert block[0, 0] == np.float32(0.8), "the given block was changed"


def test_isotonic_breakpoints_are_joined_by_straight_lines() -> None:
    points = ((0.0, 0.0), (0.5, 0.2), (1.0, 1.0))
    decoding = Decoding(calibration="isotonic", breakpoints=points, label_breakpoints={"c": ((0.0, 0.1), (1.0, 0.3))})
    scores = Decoder(decoding, FLAT).scores(np.array([[0.25, 0.75, 0.5]], dtype=np.float32)).dense
    np.testing.assert_allclose(scores, [[0.1, 0.6, 0.2]], rtol=1e-6)


def test_calibration_comes_before_consistency() -> None:
    taxonomy = Taxonomy.from_edges([("a", "b")], labels=["a"])
    decoding = Decoding(calibration="temperature", label_temperatures={"a": 4.0}, consistency="up")
    scores = Decoder(decoding, taxonomy).scores(np.array([[0.9, 0.8]], dtype=np.float32)).dense
    np.testing.assert_allclose(scores, [[0.8, 0.8]], rtol=1e-6)  # a is 0.63 alone, b carries it up


def test_what_was_not_fitted_changes_nothing() -> None:
    block = np.array([[0.3, 0.0, 1.0]], dtype=np.float32)
    for method in ("none", "temperature", "isotonic"):
        assert np.array_equal(Decoder(Decoding(calibration=method), FLAT).scores(block).dense, block)  # type: ignore[arg-type]
    hidden = Decoding(calibration="none", temperature=3.0, breakpoints=((0.0, 0.0), (1.0, 0.5)))
    assert np.array_equal(Decoder(hidden, FLAT).scores(block).dense, block)


def test_a_known_temperature_is_found_again() -> None:
    scores, gold = drawn([2.5, 2.5, 2.5], 6000)
    decoding, report = fitted(scores, gold, method="temperature")
    assert decoding.temperature == pytest.approx(2.5, rel=0.06)
    assert decoding.label_temperatures == {}
    assert report is not None
    assert report.log_loss_after < report.log_loss_before
    assert report.error_after < 0.02 < report.error_before
    assert report.to_dict() == json.loads(json.dumps(report.to_dict()))


def test_the_temperature_is_the_one_of_smallest_log_loss() -> None:
    scores, gold = drawn([1.2, 0.8, 1.0], 300)
    decoding, report = fitted(scores, gold, method="temperature")
    assert report is not None

    def loss(temperature: float) -> float:
        logits = np.log(scores.astype(float) / (1 - scores.astype(float))) / temperature
        return float(np.logaddexp(0, np.where(gold, -logits, logits)).mean())

    best = min(np.exp(np.linspace(-1, 1, 4001)), key=loss)
    assert decoding.temperature == pytest.approx(best, rel=1e-3)
    assert report.log_loss_after == pytest.approx(loss(decoding.temperature), rel=1e-4)
    assert report.log_loss_before == pytest.approx(loss(1.0), rel=1e-4)


def test_labels_have_their_own_temperature_when_asked_and_rare_ones_stay_near_the_common_one() -> None:
    scores, gold = drawn([0.5, 2.0, 4.0], 6000)
    gold[3:, 2] = False  # three documents say what c is worth: little
    scores[3:, 2] = 0.0
    decoding, report = fitted(scores, gold, method="temperature", by="label")
    assert decoding.label_temperatures["a"] == pytest.approx(0.5, rel=0.1)
    assert decoding.label_temperatures["b"] == pytest.approx(2.0, rel=0.1)
    if "c" in decoding.label_temperatures:
        assert abs(math.log(decoding.label_temperatures["c"] / decoding.temperature)) < 0.5
    assert report is not None
    assert report.own_labels == len(decoding.label_temperatures)


def test_isotonic_regression_pools_what_falls_by_hand() -> None:
    # Scores 0.2 (no), 0.4 (yes), 0.6 (no), 0.8 (yes): 0.4 and 0.6 are pooled to 1/2 at 0.5. The ends are drawn in from
    # 0 and 1 by one more document of each kind: 1/3 would fall behind 1/2, so half way: 1/4; and 2/3 stays below 3/4.
    scores = np.array([[0.2], [0.4], [0.6], [0.8]], dtype=np.float32)
    gold = np.array([[0], [1], [0], [1]], dtype=bool)
    decoding, _ = fitted(scores, gold, Taxonomy.flat(["a"]), method="isotonic")
    np.testing.assert_allclose(decoding.breakpoints, [(0, 0), (0.2, 0.25), (0.5, 0.5), (0.8, 0.75), (1, 1)], atol=1e-6)


def test_isotonic_regression_makes_probabilities_right_on_other_documents() -> None:
    scores, gold = drawn([3.0, 3.0, 3.0], 8000)
    decoding, _ = fitted(scores[:6000], gold[:6000], method="isotonic")
    corrected = Decoder(decoding, FLAT).scores(scores[6000:]).dense
    truth = gold[6000:]
    for low, high in ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        chosen = (corrected > low) & (corrected <= high)
        assert abs(corrected[chosen].mean() - truth[chosen].mean()) < 0.05
    before = scores[6000:]
    assert np.square(corrected - truth).mean() < np.square(before - truth).mean()


def test_labels_with_enough_documents_have_their_own_steps() -> None:
    scores, gold = drawn([1.0, 4.0, 1.0], 3000)
    gold[20:, 2] = False
    decoding, report = fitted(scores, gold, method="isotonic", by="label")
    assert set(decoding.label_breakpoints) == {"a", "b"}
    assert report is not None
    assert report.own_labels == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.01, 0.2, 0.35, 0.5, 0.9, 1.0]), st.booleans()), min_size=2, max_size=40),
    st.sampled_from(["temperature", "isotonic"]),
)
def test_the_order_of_scores_never_changes(pairs: list[tuple[float, bool]], method: str) -> None:
    scores = np.array([[score] for score, _ in pairs], dtype=np.float32)
    gold = np.array([[hit] for _, hit in pairs])
    taxonomy = Taxonomy.flat(["a"])
    if gold.all() or not gold.any():
        with pytest.raises(DataError, match="nothing to calibrate with"):
            fitted(scores, gold, taxonomy, method=method)
        return
    decoding, _ = fitted(scores, gold, taxonomy, method=method)
    again = Decoding.from_dict(json.loads(json.dumps(decoding.to_dict())))
    assert again == decoding
    grid = np.linspace(0, 1, 101, dtype=np.float32)[:, None]
    corrected = Decoder(decoding, taxonomy).scores(grid).dense[:, 0]
    assert ((corrected >= 0) & (corrected <= 1)).all()
    rises = np.diff(corrected) > 0 if method == "isotonic" else np.diff(corrected) >= 0  # which may round to 0 and 1
    assert rises.all(), "scores that differed are equal now"
    found = Calibration(decoding, taxonomy)
    assert found.highest(0.3) == pytest.approx(float(corrected[30]), abs=1e-5)


def test_rankings_over_labels_stay_with_one_correction_for_all() -> None:
    scores, gold = drawn([2.0, 3.0, 1.0], 500)
    for method in ("temperature", "isotonic"):
        decoding, _ = fitted(scores, gold, method=method)
        assert np.array_equal(top_k(Decoder(decoding, FLAT).scores(scores).dense, 3)[0], top_k(scores, 3)[0])


def test_none_takes_an_earlier_calibration_away() -> None:
    scores, gold = drawn([2.0, 2.0, 2.0], 200)
    calibrated, _ = fitted(scores, gold, method="temperature", by="label", base=Decoding(threshold=0.3))
    plain, report = fitted(scores, gold, method="none", base=calibrated)
    assert plain == Decoding(threshold=0.3)
    assert report is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"calibration": "platt"},
            "calibration: 'platt' is not known; choose from 'none', 'temperature' or 'isotonic'",
        ),
        ({"calibration": "isotone"}, "Did you mean 'isotonic'?"),
        ({"calibration_by": "labels"}, "Did you mean 'label'?"),
        ({"temperature": 0}, "temperature: "),
        ({"label_temperatures": {"a": -1}}, "label_temperatures.a: "),
        ({"breakpoints": [[0, 0]]}, "breakpoints: the first score must be 0 and the last one 1"),
        ({"breakpoints": [[0, 0.5], [1, 0.4]]}, "scores must rise, probabilities must not fall"),
        ({"breakpoints": [[0, 0], [0, 0.5], [1, 1]]}, "scores must rise, probabilities must not fall"),
        ({"breakpoints": [[0, -1], [1, 1]]}, "a probability lies outside 0 to 1"),
        ({"label_breakpoints": {"a": [[0, 0], [1, 2]]}}, "a probability lies outside 0 to 1"),
        ({"breakpoints": [[0, True], [1, 1]]}, "a number is needed, not true or false"),
    ],
)
def test_wrong_settings_are_answered_with_a_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Decoding.from_dict(values)
    assert sentence in str(caught.value)


def test_labels_of_a_correction_must_exist() -> None:
    with pytest.raises(LabelError, match=r"label_temperatures: .*'d'"):
        Decoder(Decoding(calibration="temperature", label_temperatures={"d": 2.0}), FLAT)
    with pytest.raises(LabelError, match=r"label_breakpoints: .*'d'"):
        Decoder(Decoding(label_breakpoints={"d": ((0.0, 0.0), (1.0, 1.0))}), FLAT)
