import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from taxotext.metrics import HierarchicalMetrics, SetMetrics

# a tree 0 -> 1 -> 2 and 0 -> 3; label 4 alone
CLOSURE = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1]], bool)


def computed(gold, predicted, closure=CLOSURE, **options):
    metrics = HierarchicalMetrics(len(closure), csr_array(closure), **options)
    metrics.update(csr_array(np.array(gold, bool)), csr_array(np.array(predicted, bool)))
    return metrics.compute()


def test_constrained_figures_by_hand():
    # first: 2 is gold and predicted, but 1 is not predicted: wrong, and missed. Right are 0 and, in the second, 4.
    result = computed([[1, 1, 1, 0, 0], [0, 0, 0, 0, 1]], [[1, 0, 1, 0, 0], [0, 0, 0, 1, 1]])
    assert result["constrained_micro_precision"] == pytest.approx(2 / 4)
    assert result["constrained_micro_recall"] == pytest.approx(2 / 4)
    assert result["constrained_micro_f1"] == pytest.approx(2 * 2 / (4 + 4))
    assert result["constrained_macro_f1"] == pytest.approx((1 + 0 + 0 + 0 + 1) / 5)


def test_a_predicted_ancestor_need_not_be_gold():
    assert computed([[0, 1, 0, 0, 0]], [[1, 1, 0, 0, 0]])["constrained_micro_f1"] == pytest.approx(2 / 3)


def test_path_figures_by_hand():
    gold = [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 1, 0]]
    predicted = [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0]]
    # gold ends: {2, 3}, {1}, {4}, {3}; predicted ends: {2}, {2}, {4}, {3 without its ancestor}
    result = computed(gold, predicted)
    assert result["path_micro_precision"] == pytest.approx(2 / 4)
    assert result["path_micro_recall"] == pytest.approx(2 / 5)
    assert result["path_micro_f1"] == pytest.approx(4 / 9)
    # labels that end a gold path: 1 (missed), 2 (one right, one wrong), 3 (two missed, one wrong), 4
    assert result["path_macro_f1"] == pytest.approx((0 + 2 / 3 + 0 + 1) / 4)


def test_in_a_graph_a_path_holds_the_ancestors_of_all_parents():
    closure = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 1]], bool)  # 2 below 0 and below 1
    gold = [[1, 1, 1]]
    assert computed(gold, [[1, 1, 1]], closure)["path_micro_f1"] == 1.0
    assert computed(gold, [[1, 0, 1]], closure)["path_micro_f1"] == 0.0
    assert computed(gold, [[1, 1, 0]], closure)["path_micro_f1"] == 0.0


def test_on_a_flat_label_set_both_equal_the_flat_figures():
    random = np.random.default_rng(0)
    gold, predicted = (csr_array(random.random((20, 6)) < 0.3) for _ in range(2))
    flat = SetMetrics(6)
    flat.update(gold, predicted)
    expected = flat.compute()
    result = computed(gold.toarray(), predicted.toarray(), np.eye(6, dtype=bool))
    for name in ("constrained", "path"):
        for metric in ("precision", "recall", "f1"):
            assert result[f"{name}_micro_{metric}"] == expected[f"micro_{metric}"]
    assert result["constrained_macro_f1"] == expected["macro_f1"]
    assert result["path_macro_f1"] == expected["macro_f1_supported"]


def test_nothing_gold_and_nothing_predicted_is_zero_division():
    empty = np.zeros((2, 5))
    for value in (0.0, 1.0):
        result = computed(empty, empty, zero_division=value)
        assert result["constrained_micro_f1"] == result["path_micro_f1"] == result["path_macro_f1"] == value


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_random_graphs_agree_with_brute_force_in_any_batches(seed):
    random = np.random.default_rng(seed)
    labels, documents = int(random.integers(1, 8)), int(random.integers(1, 8))
    closure = np.eye(labels, dtype=bool)
    for child in range(1, labels):
        for parent in range(child):
            if random.random() < 0.35:
                closure[child] |= closure[parent]
    gold, predicted = (random.random((documents, labels)) < 0.4 for _ in range(2))
    metrics = HierarchicalMetrics(labels, csr_array(closure))
    for row in range(documents):
        metrics.update(csr_array(gold[row : row + 1]), csr_array(predicted[row : row + 1]))
    result = metrics.compute()

    def ends(row):
        return {
            label
            for label in np.flatnonzero(row)
            if not any(row[o] and closure[o, label] for o in range(labels) if o != label)
        }

    pairs = paths = 0
    for wanted, given_ in zip(gold, predicted, strict=True):
        whole = {label for label in np.flatnonzero(given_) if given_[closure[label]].all()}
        pairs += len(whole & set(np.flatnonzero(wanted)))
        paths += len(ends(given_) & ends(wanted) & whole)
    assert result["constrained_micro_f1"] == pytest.approx(2 * pairs / max(gold.sum() + predicted.sum(), 1))
    size = sum(len(ends(row)) for row in (*gold, *predicted))
    assert result["path_micro_f1"] == pytest.approx(2 * paths / max(size, 1))
