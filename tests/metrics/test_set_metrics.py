import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import coo_array, csr_array
from sklearn import metrics as sk

from taxotext.metrics import PER_LABEL, SetMetrics, evaluate, per_level, widen
from taxotext.metrics.sparse import as_sets

GOLD = csr_array(np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=bool))
PREDICTED = csr_array(np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=bool))
# label 0: tp 1; label 1: tp 1, fn 1; label 2: fp 1; label 3: nothing at all


@st.composite
def two_matrices(draw):
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 7))
    matrix = arrays(bool, shape, elements=st.booleans())
    return draw(matrix), draw(matrix)


def computed(gold, predicted, **options):
    metrics = SetMetrics(gold.shape[1], **options)
    metrics.update(csr_array(gold), csr_array(predicted))
    return metrics.compute()


def test_hand_computed_values():
    result = computed(GOLD, PREDICTED)
    expected = {
        "hamming_loss": 2 / 12,
        "hamming_accuracy": 10 / 12,
        "set_accuracy": 2 / 3,  # the second document and the empty third
        "micro_precision": 2 / 3,
        "micro_recall": 2 / 3,
        "micro_f1": 2 / 3,
        "macro_precision": (1 + 1 + 0 + 0) / 4,
        "macro_recall": (1 + 0.5 + 0 + 0) / 4,
        "macro_f1": (1 + 2 / 3 + 0 + 0) / 4,
        "macro_f1_of_means": 2 * 0.5 * 0.375 / 0.875,
        "macro_f1_supported": (1 + 2 / 3) / 2,
        "weighted_precision": (1 * 1 + 2 * 1) / 3,
        "weighted_recall": (1 * 1 + 2 * 0.5) / 3,
        "weighted_f1": (1 * 1 + 2 * 2 / 3) / 3,
        "samples_precision": (0.5 + 1 + 1) / 3,
        "samples_recall": (0.5 + 1 + 1) / 3,
        "samples_f1": (0.5 + 1 + 1) / 3,
    }
    assert result == pytest.approx(expected)


def test_zero_division_counts_labels_without_gold_and_prediction_as_told():
    result = computed(GOLD, PREDICTED, zero_division=1.0)
    assert result["macro_f1"] == pytest.approx((1 + 2 / 3 + 0 + 1) / 4)
    assert result["macro_recall"] == pytest.approx((1 + 0.5 + 1 + 1) / 4)


def test_zero_division_must_be_zero_or_one():
    with pytest.raises(ValueError, match=r"zero_division is 0\.5"):
        SetMetrics(3, zero_division=0.5)


def test_macro_f1_seen_averages_over_the_labels_of_the_mask_and_takes_the_rest_as_unseen():
    metrics = SetMetrics(4)
    metrics.update(GOLD, PREDICTED)
    assert metrics.compute(np.array([True, False, True]))["macro_f1_seen"] == pytest.approx(0.5)
    assert metrics.compute(np.zeros(4, bool))["macro_f1_seen"] == 0.0


def test_a_mask_of_seen_labels_that_is_no_bool_vector_is_refused():
    metrics = SetMetrics(4)
    metrics.update(GOLD, PREDICTED)
    for wrong in (np.zeros(5, bool), np.zeros(4, int), np.zeros((2, 2), bool)):
        with pytest.raises(ValueError, match="seen has shape"):
            metrics.compute(wrong)


def test_without_any_label_every_document_is_right_and_the_ratios_are_zero_division():
    empty = np.zeros((3, 2), bool)
    result = computed(empty, empty)
    assert result["set_accuracy"] == result["samples_f1"] == result["hamming_accuracy"] == 1.0
    assert result["micro_f1"] == result["weighted_f1"] == result["macro_f1_supported"] == 0.0
    assert computed(empty, empty, zero_division=1.0)["micro_f1"] == 1.0


def test_a_document_with_only_gold_or_only_predicted_labels_scores_zero():
    result = computed(np.array([[1, 0], [0, 0]], bool), np.array([[0, 0], [1, 0]], bool))
    assert [result[f"samples_{metric}"] for metric in ("precision", "recall", "f1")] == [0.0, 0.0, 0.0]
    assert result["set_accuracy"] == 0.0


@settings(max_examples=60, deadline=None)
@given(two_matrices(), st.sampled_from([0.0, 1.0]))
def test_all_averages_agree_with_scikit_learn(matrices, zero_division):
    gold, predicted = matrices
    result = computed(gold, predicted, zero_division=zero_division)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if gold.shape[1] > 1:  # one column is a binary problem to scikit-learn
            for average in ("micro", "macro", "weighted") if gold.any() else ("micro", "macro"):
                expected = sk.precision_recall_fscore_support(
                    gold, predicted, average=average, zero_division=zero_division
                )[:3]
                found = [result[f"{average}_{metric}"] for metric in ("precision", "recall", "f1")]
                assert found == pytest.approx(expected)
            some = gold.any(1) | predicted.any(1)
            expected = np.zeros(3)
            if some.any():
                expected = sk.precision_recall_fscore_support(
                    gold[some], predicted[some], average="samples", zero_division=0.0
                )[:3]
            both_empty = (~some).sum()
            for metric, value in zip(("precision", "recall", "f1"), expected, strict=True):
                ours = result[f"samples_{metric}"]
                assert ours == pytest.approx((value * some.sum() + both_empty) / len(gold))
            assert result["set_accuracy"] == pytest.approx(sk.accuracy_score(gold, predicted))
            assert result["hamming_loss"] == pytest.approx(sk.hamming_loss(gold, predicted))


@settings(max_examples=40, deadline=None)
@given(two_matrices())
def test_the_table_of_labels_agrees_with_scikit_learn(matrices):
    gold, predicted = matrices
    metrics = SetMetrics(gold.shape[1])
    metrics.update(csr_array(gold), csr_array(predicted))
    table = metrics.per_label()
    assert table.dtype == PER_LABEL
    for column in range(gold.shape[1]):
        expected = sk.precision_recall_fscore_support(
            gold[:, column], predicted[:, column], average="binary", zero_division=0.0
        )[:3]
        assert [table[name][column] for name in ("precision", "recall", "f1")] == pytest.approx(expected)
    assert table["support"].tolist() == gold.sum(0).tolist()
    assert table["predicted"].tolist() == predicted.sum(0).tolist()
    assert table["label"].tolist() == list(range(gold.shape[1]))


@settings(max_examples=30, deadline=None)
@given(two_matrices(), st.data())
def test_batches_give_the_same_as_one_shot(matrices, data):
    gold, predicted = (csr_array(m) for m in matrices)
    cut = data.draw(st.integers(0, gold.shape[0]))
    streamed = SetMetrics(gold.shape[1])
    streamed.update(gold[:cut], predicted[:cut])
    streamed.update(gold[cut:], predicted[cut:])
    assert streamed.compute() == pytest.approx(computed(gold, predicted), abs=1e-12)


def test_stored_zeros_duplicates_and_unsorted_entries_do_not_count():
    messy = coo_array(([1, 1, 1], ([0, 0, 0], [2, 0, 2])), shape=(1, 3))
    with_zero = csr_array((np.array([True, False]), np.array([0, 1]), np.array([0, 2])), shape=(1, 3))
    before = with_zero.data.copy()
    result = computed(messy, with_zero)
    assert result["micro_precision"] == 1.0
    assert result["micro_recall"] == 0.5
    assert (with_zero.data == before).all()


def test_numbers_are_taken_as_truth_values():
    assert as_sets(csr_array(np.array([[2, 0]]))).dtype == np.bool_


def test_an_array_is_refused():
    with pytest.raises(ValueError, match="gold is a ndarray"):
        SetMetrics(2).update(np.zeros((1, 2), bool), csr_array(np.zeros((1, 2), bool)))


def test_shapes_must_fit():
    metrics = SetMetrics(4)
    with pytest.raises(ValueError, match="predicted has 3 label columns, not 4"):
        metrics.update(GOLD, PREDICTED[:, :3])
    with pytest.raises(ValueError, match="gold has 3 documents but predicted has 2"):
        metrics.update(GOLD, PREDICTED[:2])
    with pytest.raises(ValueError, match="at least one label"):
        SetMetrics(0)


def test_nothing_added_is_nothing_to_compute():
    with pytest.raises(ValueError, match="nothing to compute"):
        SetMetrics(2).compute()


def test_levels_are_pooled_and_labels_outside_the_taxonomy_are_level_zero():
    metrics = SetMetrics(4)
    metrics.update(GOLD, PREDICTED)
    table = metrics.per_level([1, 2, 2])
    assert table["level"].tolist() == [0, 1, 2]
    assert table["labels"].tolist() == [1, 1, 2]
    assert table["micro_f1"] == pytest.approx([0, 1, 0.5])
    assert table["macro_f1"] == pytest.approx([0, 1, 1 / 3])
    assert table["micro_precision"] == pytest.approx([0, 1, 0.5])
    assert table["support"].tolist() == [0, 1, 2]
    assert table["predicted"].tolist() == [0, 1, 2]


def test_levels_must_be_integers_from_one():
    counts = np.zeros(2, np.int64)
    for wrong in ([0, 1], [1.5, 2.0], [1, 1, 1], [[1, 1]]):
        with pytest.raises(ValueError, match="level"):
            per_level(counts, counts, counts, wrong)


def test_widened_predictions_meet_gold_labels_that_the_model_lacks():
    gold = csr_array(np.array([[1, 0, 1]], bool))
    predicted = widen(csr_array(np.array([[1, 0]], bool)), 3)
    assert evaluate(gold, predicted)["micro_recall"] == 0.5
    with pytest.raises(ValueError, match="that is fewer"):
        widen(gold, 2)
