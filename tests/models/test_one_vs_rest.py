"""Classifiers over active documents against liblinear over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from taxotext.models import one_vs_rest
from taxotext.models.one_vs_rest import NEVER, OneVsRest

SETTINGS: dict[str, Any] = {"loss": "squared_hinge", "c": 0.5, "balance": 0.25, "prune": 0.0}
DOCUMENTS, FEATURES = 600, 200


@pytest.fixture(autouse=True)
def few_active_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first choice is far too small here: several rounds must mend it."""
    monkeypatch.setattr(one_vs_rest, "NEAREST", 5)
    monkeypatch.setattr(one_vs_rest, "NEAREST_PER_DOCUMENT", 1)


def problem(seed: int = 0) -> tuple[csr_array, NDArray[np.bool_]]:
    """Vectors of length 1, and labels of 1 to nearly all documents: (D, V), (D, 8)."""
    rng = np.random.default_rng(seed)
    topics = rng.random((8, FEATURES)) ** 8
    gold = rng.random((DOCUMENTS, 8)) < [0.01, 0.02, 0.05, 0.1, 0.3, 0.6, 0.9, 0.99]
    counts = rng.poisson(0.02 + gold @ topics * 0.3)
    counts[counts.sum(axis=1) == 0, 0] = 1
    return csr_array(counts / np.linalg.norm(counts, axis=1, keepdims=True)), gold


def whole(model: Any, features: csr_array, gold: NDArray[np.bool_], rows: NDArray[np.int64], **more: Any) -> Any:
    """Decision values of one classifier that was fitted on all documents ``rows``, (D,)."""
    share = gold[rows].mean() if "sample_weight" not in more else np.average(gold[rows], weights=more["sample_weight"])
    chosen = model(
        C=SETTINGS["c"], class_weight={True: (1 / share - 1) ** SETTINGS["balance"], False: 1.0}, tol=1e-6, **ITERATIONS
    )
    if model is LogisticRegression:
        chosen.set_params(solver="liblinear")
    return chosen.fit(features[rows], gold[rows], **more).decision_function(features)


ITERATIONS = {"max_iter": 100_000, "random_state": 0}


@pytest.mark.parametrize(("loss", "model"), [("squared_hinge", LinearSVC), ("logistic", LogisticRegression)])
def test_classifiers_equal_those_of_all_documents(loss: str, model: Any) -> None:
    features, gold = problem()
    folds = np.array_split(np.random.default_rng(1).permutation(DOCUMENTS), 3)
    fitted = OneVsRest(features, csr_array(gold), None, **{**SETTINGS, "loss": loss})
    group = fitted.fit(np.arange(8), folds)
    values = features @ group.coefficients.toarray().T + group.intercepts
    everything = np.arange(DOCUMENTS)
    assert group.held_out is not None
    for label in range(8):
        expected = whole(model, features, gold[:, label], everything)
        np.testing.assert_allclose(values[:, label], expected, atol=5e-3)
        for fold in folds:
            rest = np.setdiff1d(everything, fold)
            if gold[rest, label].any() and not gold[rest, label].all():
                expected = whole(model, features, gold[:, label], rest)[fold]
                np.testing.assert_allclose(group.held_out[fold, label], expected, atol=5e-3)


def test_few_documents_are_enough_for_a_rare_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing is gained: documents beyond the margin never get into the solver."""
    sizes: list[int] = []
    call = OneVsRest._call

    def counted(self: OneVsRest, rows: Any, *others: Any) -> Any:
        sizes.append(len(rows))
        return call(self, rows, *others)

    monkeypatch.setattr(OneVsRest, "_call", counted)
    features, gold = problem()
    OneVsRest(features, csr_array(gold), None, **SETTINGS).fit(np.arange(1))
    assert len(sizes) > 1
    assert max(sizes) < DOCUMENTS


def test_weights_of_documents_count_and_those_of_weight_zero_do_not() -> None:
    features, gold = problem(2)
    weights = np.random.default_rng(3).choice([0.0, 0.5, 1.0, 3.0], DOCUMENTS).astype(np.float32)
    group = OneVsRest(features, csr_array(gold), weights, **SETTINGS).fit(np.arange(8))
    values = features @ group.coefficients.toarray().T + group.intercepts
    rows = np.flatnonzero(weights)
    for label in (1, 3, 5, 6):
        expected = whole(LinearSVC, features, gold[:, label], rows, sample_weight=weights[rows])
        np.testing.assert_allclose(values[:, label], expected, atol=5e-3)


def test_labels_of_no_document_and_of_every_document_need_no_classifier() -> None:
    features, gold = problem()
    gold = np.column_stack([np.zeros(DOCUMENTS, bool), np.ones(DOCUMENTS, bool), gold[:, 2], gold[:, 2]])
    gold[:, 3] = np.arange(DOCUMENTS) == 7  # one document: no classifier where it is held out
    folds = [np.arange(300), np.arange(300, DOCUMENTS)]
    group = OneVsRest(features, csr_array(gold), None, **SETTINGS).fit(np.arange(4), folds)
    assert group.coefficients[[0, 1]].nnz == 0
    assert group.intercepts[:2].tolist() == [NEVER, -NEVER]
    assert group.held_out is not None
    assert (group.held_out[:, 0] == NEVER).all()
    assert (group.held_out[:, 1] == -NEVER).all()
    assert (group.held_out[:300, 3] == NEVER).all()
    assert (group.held_out[300:, 3] > NEVER / 2).all()


def test_groups_hold_every_label_once_however_many_features_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    features, gold = problem()
    for limit in (1, 1000, 10**9):
        monkeypatch.setattr(one_vs_rest, "GROUP_COEFFICIENTS", limit)
        groups = OneVsRest(features, csr_array(np.tile(gold, 5)), None, **SETTINGS).groups()
        assert np.concatenate(groups).tolist() == list(range(40))
        assert max(map(len, groups)) <= max(1, limit // (FEATURES + 1))
