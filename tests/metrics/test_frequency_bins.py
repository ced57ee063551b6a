import numpy as np
import pytest
from scipy.sparse import csr_array

from taxotext.metrics import FrequencyBins, evaluate

COUNTS = np.array([500, 101, 100, 20, 19, 1, 0])
GOLD = csr_array(np.array([[1, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 1], [0, 1, 0, 0, 0, 0, 0]], bool))
PREDICTED = csr_array(np.array([[1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1, 0]], bool))
RANKED = np.array([[0, 1, 2], [4, 6, 0], [5, 0, -1]], np.int32)


def test_the_limits_belong_to_the_middle():
    bins = FrequencyBins(8, COUNTS)
    # 0 unseen, 1 tail, 2 middle, 3 head; the eighth label is unknown to the model
    assert bins.of_label.tolist() == [3, 3, 2, 2, 1, 1, 0, 0]
    assert FrequencyBins(7, COUNTS, limits=(1, 1)).of_label.tolist() == [3, 3, 3, 3, 3, 2, 0]


def test_figures_by_hand():
    result = evaluate(GOLD, PREDICTED, RANKED, ks=(1, 3), counts=COUNTS)
    # F1: label 0 is 1, label 1 missed; labels 2 and 3: missed, nothing; label 4 is 1, label 5 wrong; label 6 missed
    assert [result[f"{name}_macro_f1"] for name in ("head", "middle", "tail", "unseen")] == [0.5, 0.0, 0.5, 0.0]
    assert [result[f"{name}_labels"] for name in ("head", "middle", "tail", "unseen")] == [2, 2, 2, 1]
    assert [result[f"{name}_p@1"] for name in ("head", "middle", "tail")] == pytest.approx([1 / 3, 0, 1 / 3])
    assert [result[f"{name}_p@3"] for name in ("head", "middle", "tail", "unseen")] == pytest.approx([1 / 9] * 4)


def test_the_bins_add_up_to_the_whole():
    random = np.random.default_rng(0)
    gold, predicted = (csr_array(random.random((40, 7)) < 0.3) for _ in range(2))
    ranked = np.stack([random.permutation(7)[:5] for _ in range(40)]).astype(np.int32)
    result = evaluate(gold, predicted, ranked, counts=COUNTS)
    names = ("head", "middle", "tail", "unseen")
    for k in (1, 3, 5):
        assert sum(result[f"{name}_p@{k}"] for name in names) == pytest.approx(result[f"p@{k}"])
    assert sum(result[f"{name}_labels"] for name in names) == 7
    weighted = sum(result[f"{name}_labels"] * result[f"{name}_macro_f1"] for name in names)
    assert weighted / 7 == pytest.approx(result["macro_f1"])


def test_a_bin_without_labels_has_no_figures():
    result = evaluate(GOLD, PREDICTED, counts=np.full(7, 50))
    assert {key for key in result if key.startswith(("head", "middle", "tail", "unseen"))} == {
        "middle_labels",
        "middle_macro_f1",
    }


@pytest.mark.parametrize(
    ("counts", "limits", "message"),
    [
        (np.zeros(8, int), (20, 100), r"train_counts has shape \(8,\)"),
        (np.zeros(7), (20, 100), "whole numbers"),
        (np.full(7, -1), (20, 100), "whole numbers"),
        (COUNTS, (100, 20), r"limits is \(100, 20\)"),
        (COUNTS, (0, 20), "limits is"),
    ],
)
def test_impossible_arguments_are_refused(counts, limits, message):
    with pytest.raises(ValueError, match=message):
        FrequencyBins(7, counts, limits=limits)
