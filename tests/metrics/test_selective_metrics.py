import numpy as np
import pytest
from scipy.sparse import csr_array

from taxotext.metrics import SelectiveMetrics, risk_coverage


def test_the_curve_by_hand():
    coverage, risk = risk_coverage([0.2, 1.0, 0.0], [0.5, 0.1, 0.9])
    assert coverage == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk == pytest.approx([0.0, 0.1, 0.4])


def test_documents_of_equal_confidence_count_with_their_mean():
    _, risk = risk_coverage([0.0, 1.0, 0.5], [0.7, 0.7, 0.2])
    assert risk == pytest.approx([0.5, 0.5, 0.5])
    assert risk_coverage([1.0, 0.0, 0.5], [0.7, 0.7, 0.2])[1] == pytest.approx(risk)


def test_figures_by_hand():
    gold = csr_array(np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool))
    predicted = csr_array(np.array([[1, 0], [1, 0], [0, 0], [1, 0]], bool))
    scores = np.array([[0.75, 0.25], [0.875, 0.375], [0.125, 0.125], [0.5, 0.25]])
    metrics = SelectiveMetrics(2)
    metrics.update(gold[:2], predicted[:2], scores[:2])
    metrics.update(gold[2:], predicted[2:], scores[2:])
    # losses 0, 1/3, 0 (both empty), 1; expected wrong labels 0.5, 0.5, 0.25, 0.75
    risk = [0, 1 / 12, 1 / 9, 1 / 3]  # third, then first and second with their mean 1/6, then fourth
    result = metrics.compute()
    assert metrics.curve()[1] == pytest.approx(risk)
    assert result["aurc"] == pytest.approx(np.mean(risk))
    assert result["excess_aurc"] == pytest.approx(np.mean(risk) - np.mean([0, 0, 1 / 9, 1 / 3]))
    assert result["risk@80%"] == pytest.approx(1 / 3)


def test_an_order_by_loss_has_no_excess_and_a_random_one_risks_the_mean():
    random = np.random.default_rng(0)
    losses = random.random(5000)
    risk = risk_coverage(losses, random.random(5000))[1]
    assert risk[1000:] == pytest.approx(losses.mean(), abs=0.05)
    best = risk_coverage(losses, -losses)[1]
    assert (np.diff(best) >= 0).all()
    assert best.mean() < risk.mean()


def test_a_predicted_label_without_a_score_counts_as_wrong():
    gold = csr_array(np.array([[1, 0, 1]], bool))
    metrics = SelectiveMetrics(3)
    metrics.update(gold, gold, np.array([[0.75, 0.25]]))
    assert metrics._confidences[0] == pytest.approx([-(0.25 + 0.25 + 1.0)])


@pytest.mark.parametrize(
    ("losses", "confidences", "message"),
    [([0.1], [0.1, 0.2], "one of each"), ([], [], "one of each"), ([0.1], [float("nan")], "finite")],
)
def test_impossible_arguments_are_refused(losses, confidences, message):
    with pytest.raises(ValueError, match=message):
        risk_coverage(losses, confidences)
    with pytest.raises(ValueError, match="nothing to compute"):
        SelectiveMetrics(2).compute()
