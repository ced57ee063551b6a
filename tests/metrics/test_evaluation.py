import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, eye_array

from taxotext.metrics import Evaluation, SetMetrics, evaluate, sparse, violations

# a tree 0 -> 1 -> 2 and 0 -> 3; label 4 alone
CLOSURE = csr_array(
    np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1]], dtype=bool)
)
LEVELS = np.array([1, 2, 3, 2, 1])
GOLD = csr_array(np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 1]], dtype=bool))
PREDICTED = csr_array(np.array([[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]], dtype=bool))


def random_closure(random, labels):
    closure = np.eye(labels, dtype=bool)
    for child in range(1, labels):
        for parent in range(child):
            if random.random() < 0.35:
                closure[child] |= closure[parent]
    return closure


def random_case(seed):
    random = np.random.default_rng(seed)
    labels, documents = random.integers(1, 9), random.integers(1, 9)
    shape = (documents, labels)
    return random_closure(random, labels), random.random(shape) < 0.4, random.random(shape) < 0.4


def test_hierarchical_figures_by_hand():
    result = evaluate(GOLD, PREDICTED, closure=CLOSURE)
    # closed: gold {0, 1, 2}, {4}; predicted {0, 3}, {4}: tp 2, fp 1, fn 2
    assert result["hierarchical_micro_precision"] == pytest.approx(2 / 3)
    assert result["hierarchical_micro_recall"] == pytest.approx(2 / 4)
    assert result["hierarchical_micro_f1"] == pytest.approx(4 / 7)
    assert result["hierarchical_macro_f1"] == pytest.approx((1 + 0 + 0 + 0 + 1) / 5)
    assert result["hierarchical_samples_precision"] == pytest.approx((1 / 2 + 1) / 2)
    assert result["hierarchical_samples_recall"] == pytest.approx((1 / 3 + 1) / 2)
    assert result["hierarchical_samples_f1"] == pytest.approx((2 / 5 + 1) / 2)
    assert result["violation_rate"] == pytest.approx(1 / 2)
    assert result["violating_documents"] == pytest.approx(1 / 2)
    assert result["micro_f1"] == pytest.approx(2 * 1 / (2 + 1 + 3))


def test_a_label_counts_as_violation_when_any_ancestor_is_missing_however_far():
    predicted = csr_array(np.array([[0, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 1, 0, 0]], bool))
    assert violations(predicted, CLOSURE).tolist() == [2, 0, 1]


def test_nothing_predicted_is_no_violation():
    result = evaluate(GOLD, csr_array(GOLD.shape, dtype=bool), closure=CLOSURE)
    assert result["violation_rate"] == result["violating_documents"] == 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_hierarchical_figures_are_the_flat_ones_of_closed_sets_on_random_graphs(seed):
    closure, gold, predicted = random_case(seed)
    result = evaluate(csr_array(gold), csr_array(predicted), closure=csr_array(closure))
    closed_gold, closed = (
        (gold[:, :, None] & closure[None]).any(1),
        (predicted[:, :, None] & closure[None]).any(1),
    )
    flat = evaluate(csr_array(closed_gold), csr_array(closed))
    for mean in ("micro", "macro", "samples"):
        for metric in ("precision", "recall", "f1"):
            assert result[f"hierarchical_{mean}_{metric}"] == pytest.approx(flat[f"{mean}_{metric}"])
    bad = [[label for label in np.flatnonzero(row) if not row[closure[label]].all()] for row in predicted]
    pairs = predicted.sum()
    assert result["violation_rate"] == pytest.approx(sum(map(len, bad)) / pairs if pairs else 0.0)
    assert result["violating_documents"] == pytest.approx(np.mean([bool(b) for b in bad]))


def test_violations_are_the_same_when_they_are_counted_in_small_portions(monkeypatch):
    closure, _, predicted = random_case(11)
    whole = violations(csr_array(predicted), csr_array(closure))
    monkeypatch.setattr(sparse, "_EXPANDED_PAIRS", 1)
    assert violations(csr_array(predicted), csr_array(closure)).tolist() == whole.tolist()


def test_on_a_flat_label_set_hierarchical_figures_equal_the_flat_ones():
    result = evaluate(GOLD, PREDICTED, closure=eye_array(5, dtype=bool))
    for mean in ("micro", "macro", "samples"):
        assert result[f"hierarchical_{mean}_f1"] == result[f"{mean}_f1"]
    assert result["violation_rate"] == 0.0


def test_keys_appear_only_when_asked_for():
    flat = evaluate(GOLD, PREDICTED)
    assert not any("hierarchical" in k or "@" in k or k.startswith("level_") or "seen" in k for k in flat)
    ranked = np.array([[3, 0, 1], [4, 0, -1]], np.int32)
    seen = np.array([True, True, False, True, True])
    full = evaluate(GOLD, PREDICTED, ranked, closure=CLOSURE, levels=LEVELS, seen=seen, ks=(1, 3))
    added = {"hierarchical_micro_f1", "hierarchical_macro_f1", "violation_rate", "violating_documents", "p@1"}
    added |= {"r@3", "ndcg@3", "level_1_micro_f1", "level_3_macro_f1", "macro_f1_seen"}
    assert added <= set(full)
    assert {key: full[key] for key in flat} == flat
    assert all(type(value) is float for value in full.values())
    assert full["level_1_micro_f1"] == pytest.approx(2 / 3)


def test_closure_levels_and_seen_may_leave_out_gold_labels_that_the_taxonomy_lacks():
    gold = csr_array(np.array([[1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0]], dtype=bool))
    predicted = csr_array(np.array([[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]], dtype=bool))
    evaluation = Evaluation(6, closure=CLOSURE, levels=LEVELS, seen=np.ones(5, bool))
    evaluation.update(gold, predicted)
    result = evaluation.compute()
    assert result["hierarchical_micro_recall"] == pytest.approx(2 / 5)
    assert result["macro_f1_seen"] == pytest.approx(1 / 5)
    assert result["macro_f1"] == pytest.approx(1 / 6)
    assert "level_0_micro_f1" not in result
    table = evaluation.per_level()
    assert table["level"].tolist() == [0, 1, 2, 3]
    assert table["support"].tolist() == [1, 2, 1, 1]
    assert len(evaluation.per_label()) == 6


def test_streaming_gives_the_same_as_one_shot():
    closure, gold, predicted = random_case(5)
    gold, predicted = csr_array(gold), csr_array(predicted)
    documents, labels = gold.shape
    ranked = np.tile(np.arange(labels, dtype=np.int32), (documents, 1))
    options = {"closure": csr_array(closure), "levels": np.ones(labels, int), "ks": (1, labels)}
    evaluation = Evaluation(labels, **options)
    for row in range(documents):
        part = slice(row, row + 1)
        evaluation.update(gold[part], predicted[part], ranked[part])
    assert evaluation.documents == documents
    assert evaluation.compute() == pytest.approx(evaluate(gold, predicted, ranked, **options))


def test_many_documents_are_handed_over_in_portions(monkeypatch):
    from taxotext.metrics import evaluation

    closure, gold, predicted = random_case(8)
    whole = evaluate(csr_array(gold), csr_array(predicted), closure=csr_array(closure))
    monkeypatch.setattr(evaluation, "_DOCUMENTS_AT_ONCE", 2)
    assert evaluate(csr_array(gold), csr_array(predicted), closure=csr_array(closure)) == pytest.approx(whole)


def test_rankings_come_with_every_batch_or_with_none():
    ranked = np.array([[0], [1]], np.int32)
    for first, second in ((ranked, None), (None, ranked)):
        evaluation = Evaluation(5, ks=(1,))
        evaluation.update(GOLD, PREDICTED, first)
        with pytest.raises(ValueError, match="every batch or with none"):
            evaluation.update(GOLD, PREDICTED, second)


def test_a_refused_ranking_leaves_nothing_half_added():
    evaluation = Evaluation(5, ks=(1,))
    with pytest.raises(ValueError, match="outside"):
        evaluation.update(GOLD, PREDICTED, np.array([[9], [0]], np.int32))
    assert evaluation.documents == 0


@pytest.mark.parametrize(
    ("closure", "message"),
    [
        (csr_array(np.ones((2, 3), bool)), "closure has shape"),
        (eye_array(6, dtype=bool), "closure has shape"),
        (csr_array(np.array([[1, 0], [1, 0]], bool)), "lacks its diagonal"),
        (np.eye(5, dtype=bool), "closure is a ndarray"),
    ],
)
def test_impossible_closures_are_refused(closure, message):
    with pytest.raises(ValueError, match=message):
        Evaluation(5, closure=closure)


def test_shapes_of_one_call_must_fit():
    with pytest.raises(ValueError, match="gold has shape"):
        evaluate(GOLD, PREDICTED[:, :4])
    with pytest.raises(ValueError, match="ranked has 1"):
        evaluate(GOLD, PREDICTED, np.zeros((1, 5), np.int32))
    with pytest.raises(ValueError, match="nothing to compute"):
        evaluate(GOLD[:0], PREDICTED[:0])
    with pytest.raises(ValueError, match="no levels were given"):
        Evaluation(5).per_level()


def test_half_a_million_labels_stay_sparse():
    labels, documents = 500_000, 200
    random = np.random.default_rng(0)
    ids = random.integers(0, labels, size=(documents, 20))
    indptr = np.arange(0, documents * 20 + 1, 20)
    gold = csr_array((np.ones(ids.size, bool), ids.ravel(), indptr), shape=(documents, labels))
    metrics = SetMetrics(labels)
    metrics.update(gold, gold)
    assert metrics.compute()["set_accuracy"] == 1.0


def test_importing_the_room_loads_no_heavy_library():
    heavy = "{'torch', 'transformers', 'sklearn', 'tokenizers', 'pandas'}"
    code = f"import sys, taxotext.metrics, taxotext.decoding; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def full_case(documents=30, labels=6):
    random = np.random.default_rng(12)
    gold = random.random((documents, labels)) < 0.4
    scores = np.clip(random.random(gold.shape) * 0.6 + gold * 0.3, 0, 1).astype(np.float32)
    ranked = np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
    options = {"counts": np.arange(labels) * 30, "train_documents": 500}
    return csr_array(gold), csr_array(scores > 0.5), ranked, scores, options


def test_probabilities_and_training_counts_add_their_figures():
    gold, predicted, ranked, scores, options = full_case()
    without = evaluate(gold, predicted, ranked)
    result = evaluate(gold, predicted, ranked, scores, **options)
    added = {"micro_average_precision", "macro_average_precision", "samples_average_precision", "brier", "ece"}
    added |= {"ece_equal_mass", "ece_top", "aurc", "excess_aurc", "risk@80%", "psp@1", "psr@3", "psndcg@5"}
    added |= {"psndcg_pooled@5", "head_macro_f1", "middle_labels", "unseen_p@3"}
    assert added <= set(result) - set(without)
    assert {key: result[key] for key in without} == without
    assert all(type(value) is float and value == value for value in result.values())
    amazon = evaluate(gold, predicted, ranked, scores, propensity=(0.6, 2.6), **options)
    assert {key for key in result if result[key] != amazon[key]} == {
        key for key in result if key.startswith("ps") and result[key] != 1
    }


def test_everything_streams():
    gold, predicted, ranked, scores, options = full_case()
    evaluation = Evaluation(6, closure=eye_array(6, dtype=bool), **options)
    for start in range(0, 30, 7):
        part = slice(start, start + 7)
        evaluation.update(gold[part], predicted[part], ranked[part], scores[part])
    whole = evaluate(gold, predicted, ranked, scores, closure=eye_array(6, dtype=bool), **options)
    assert evaluation.compute() == pytest.approx(whole)


def test_refused_scores_leave_nothing_half_added():
    gold, predicted, ranked, scores, options = full_case()
    evaluation = Evaluation(6, **options)
    with pytest.raises(ValueError, match="probabilities"):
        evaluation.update(gold, predicted, ranked, scores + 1)
    assert evaluation.documents == 0
    evaluation.update(gold, predicted, ranked, scores)
    with pytest.raises(ValueError, match="scores must come with every batch"):
        evaluation.update(gold, predicted, ranked)
    assert evaluation.documents == 30
