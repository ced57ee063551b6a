"""Metrics of scores that only some candidates have."""

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array

from taxotext.metrics import CandidateRecall, Evaluation, evaluate

PROBABILITY_METRICS = {"micro_average_precision", "macro_average_precision", "samples_average_precision", "brier"} | {
    "ece",
    "ece_equal_mass",
    "ece_top",
    "aurc",
    "excess_aurc",
    "risk@80%",
    "hierarchical_f1_auc",
}


def case(documents=40, labels=9, seed=0):
    random = np.random.default_rng(seed)
    gold = random.random((documents, labels)) < 0.3
    mask = random.random((documents, labels - 1)) < 0.6  # the last label is one that the model does not know
    rows, columns = np.nonzero(mask)
    scores = csr_array((random.random(rows.size, dtype=np.float32), (rows, columns)), shape=mask.shape)
    scores.data[::7] = 0.0  # stored: a candidate all the same
    ranked = np.full((documents, 5), -1, dtype=np.int32)
    for row in range(documents):
        own = slice(scores.indptr[row], scores.indptr[row + 1])
        best = scores.indices[own][np.argsort(-scores.data[own], kind="stable")][:5]
        ranked[row, : best.size] = best
    predicted = csr_array((scores.toarray() > 0.5) @ np.eye(labels - 1, labels, dtype=bool))
    return csr_array(gold), predicted, ranked, scores, mask


def test_candidate_recall_is_the_share_of_gold_labels_that_are_candidates():
    gold, _, _, scores, mask = case()
    metrics = CandidateRecall(9)
    for part in (slice(0, 13), slice(13, 40)):
        metrics.update(gold[part], scores[part])
    pairs = list(zip(*gold.nonzero(), strict=True))
    found = sum(label < 8 and bool(mask[row, label]) for row, label in pairs)
    assert 0 < found < len(pairs)
    assert metrics.compute() == {"candidate_recall": found / len(pairs)}


def test_without_gold_labels_the_recall_of_candidates_is_0():
    metrics = CandidateRecall(2)
    metrics.update(csr_array((1, 2), dtype=bool), csr_array(np.ones((1, 2), np.float32)))
    assert metrics.compute() == {"candidate_recall": 0.0}


def test_sparse_scores_leave_out_exactly_what_needs_every_probability():
    gold, predicted, ranked, scores, _ = case()
    options = {"closure": eye_array(9, dtype=bool), "counts": np.arange(9), "train_documents": 100}
    few = evaluate(gold, predicted, ranked, scores, **options)
    every = evaluate(gold, predicted, ranked, scores.toarray(), **options)
    assert every.keys() - few.keys() == PROBABILITY_METRICS
    assert few.keys() - every.keys() == {"candidate_recall"}
    assert {key: few[key] for key in few.keys() & every.keys()} == {
        key: every[key] for key in few.keys() & every.keys()
    }


def test_sparse_and_dense_batches_are_not_mixed():
    gold, predicted, ranked, scores, _ = case()
    for first, then in ((scores, scores.toarray()), (scores.toarray(), scores)):
        evaluation = Evaluation(9)
        evaluation.update(gold, predicted, ranked, first)
        with pytest.raises(ValueError, match="dense in every batch, or sparse in every batch"):
            evaluation.update(gold, predicted, ranked, then)
        with pytest.raises(ValueError, match="scores must come with every batch or with none"):
            evaluation.update(gold, predicted, ranked)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (csr_array((1, 3), dtype=np.float32), r"\(2, at most 2\)"),
        (csr_array(np.array([[2.0, 0], [0, 0]], np.float32)), "probabilities from 0 to 1"),
        (csr_array(np.array([[np.nan, 0], [0, 0]], np.float32)), "probabilities from 0 to 1"),
    ],
)
def test_candidates_that_do_not_fit_are_refused(scores, message):
    gold = csr_array(np.eye(2, dtype=bool))
    with pytest.raises(ValueError, match=message):
        Evaluation(2).update(gold, gold, None, scores)
