"""The estimator among scikit-learn's tools."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.validation import check_is_fitted

from taxotext import Classifier
from tiny import tiny_corpus

SETTINGS = {"features__min_documents": 1, "runtime__threads": 1}


@pytest.fixture(scope="module")
def data() -> tuple[list[str], np.ndarray]:
    corpus = tiny_corpus()
    return list(corpus.texts), corpus.targets.toarray().astype(int)


def test_a_clone_has_the_same_parameters_and_is_not_fitted(data: tuple[list[str], np.ndarray]) -> None:
    classifier = Classifier("linear", classifier={"c": 2.0}, **SETTINGS).fit(*data)
    copy = clone(classifier)
    assert copy.get_params() == classifier.get_params()
    check_is_fitted(classifier)
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)
    assert is_classifier(classifier)


def test_set_params_takes_what_get_params_gives() -> None:
    classifier = Classifier("linear", classifier__c=2.0)
    other = Classifier("linear").set_params(**classifier.get_params())
    assert other.settings_() == classifier.settings_()


def test_cross_validation_scores_by_micro_f1(data: tuple[list[str], np.ndarray]) -> None:
    texts, matrix = data
    classifier = Classifier("linear", classifier__c=10.0, **SETTINGS)
    scores = cross_val_score(classifier, texts, matrix, cv=3)
    assert scores.shape == (3,)
    assert (scores > 0.5).all()
    half = len(texts) // 2
    fitted = clone(classifier).fit(texts[:half], matrix[:half])
    expected = f1_score(matrix[half:], fitted.predict(texts[half:]), average="micro", zero_division=0)
    assert fitted.score(texts[half:], matrix[half:]) == pytest.approx(expected)


def test_grid_search_finds_the_better_setting(data: tuple[list[str], np.ndarray]) -> None:
    texts, matrix = data
    search = GridSearchCV(
        Classifier("linear", **SETTINGS), {"classifier__c": [1e-6, 10.0], "features__lowercase": [True]}, cv=2
    )
    search.fit(texts, matrix)
    assert search.best_params_ == {"classifier__c": 10.0, "features__lowercase": True}
    assert search.best_estimator_.predict(texts[:2]).shape == (2, 7)
    assert search.cv_results_["mean_test_score"].shape == (2,)
