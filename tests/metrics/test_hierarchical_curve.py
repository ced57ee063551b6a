import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from decoding_oracle import graphs
from taxotext.labels import Taxonomy
from taxotext.metrics import AveragePrecision, Evaluation, HierarchicalCurve, evaluate


def area(taxonomy, scores, gold):
    """By the book: every threshold, closed sets, steps of recall."""

    def closed(labels):
        return {j for i in labels for j in [i, *taxonomy.ancestors(i).tolist()]}

    wanted, total, recall = closed(gold), 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        predicted = closed(np.flatnonzero(scores >= threshold).tolist())
        hits = len(predicted & wanted)
        total += (hits / len(wanted) - recall) * hits / len(predicted)
        recall = hits / len(wanted)
    return total


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 2**31))
def test_the_area_is_that_of_the_curve_drawn_point_by_point(case, seed):
    taxonomy, scores = case
    gold = np.random.default_rng(seed).random(scores.shape) < 0.4
    curve = HierarchicalCurve(len(taxonomy), taxonomy.closure)
    for row in range(len(scores)):  # batches of one document
        curve.update(csr_array(gold[row : row + 1]), scores[row : row + 1])
    areas = [area(taxonomy, s, np.flatnonzero(g).tolist()) for s, g in zip(scores, gold, strict=True) if g.any()]
    assert curve.compute()["hierarchical_f1_auc"] == pytest.approx(np.mean(areas) if areas else 0.0)


def test_a_hand_computed_area():
    taxonomy = Taxonomy.from_edges([(None, "a"), ("a", "b"), ("a", "c"), (None, "d")])
    gold = csr_array(np.array([[0, 1, 0, 0]], dtype=bool))  # closed: a, b
    scores = np.array([[0.1, 0.4, 0.6, 0.7]], dtype=np.float32)
    # d first: no hit. Then c with a: recall 1/2, precision 1/3. Then b: recall 1, precision 2/4.
    curve = HierarchicalCurve(4, taxonomy.closure)
    curve.update(gold, scores)
    assert curve.compute()["hierarchical_f1_auc"] == pytest.approx(0.5 / 3 + 0.5 / 2)


def test_without_a_taxonomy_it_is_the_average_precision_of_the_documents():
    random = np.random.default_rng(1)
    gold, scores = csr_array(random.random((20, 6)) < 0.3), random.random((20, 6)).astype(np.float32)
    curve, precision = HierarchicalCurve(6, Taxonomy.flat("abcdef").closure), AveragePrecision(6)
    curve.update(gold, scores)
    precision.update(gold, scores)
    assert curve.compute()["hierarchical_f1_auc"] == pytest.approx(precision.compute()["samples_average_precision"])


def test_gold_labels_that_the_model_lacks_are_never_found():
    taxonomy = Taxonomy.from_edges([(None, "a"), ("a", "b")])
    curve = HierarchicalCurve(3, taxonomy.closure)
    curve.update(csr_array(np.array([[1, 1, 1]], dtype=bool)), np.array([[0.2, 0.9]], dtype=np.float32))
    assert curve.compute()["hierarchical_f1_auc"] == pytest.approx(2 / 3)


def test_it_is_there_for_dense_scores_and_missing_for_sparse_ones():
    taxonomy = Taxonomy.from_edges([(None, "a"), ("a", "b")])
    gold, scores = csr_array(np.array([[1, 1]], dtype=bool)), np.array([[0.2, 0.9]], dtype=np.float32)
    assert evaluate(gold, gold, scores=scores, closure=taxonomy.closure)["hierarchical_f1_auc"] == 1.0
    assert "hierarchical_f1_auc" not in evaluate(gold, gold, scores=csr_array(scores), closure=taxonomy.closure)
    assert "hierarchical_f1_auc" not in evaluate(gold, gold, scores=scores)
    parts = Evaluation(2, closure=taxonomy.closure)
    for _ in range(2):
        parts.update(gold, gold, scores=scores)
    assert parts.compute()["hierarchical_f1_auc"] == 1.0
