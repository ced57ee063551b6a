"""The estimator among scikit-learn's tools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils.validation import check_is_fitted

from taxotext import Classifier
from taxotext.errors import DataError
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


# -- data frames ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame(data: tuple[list[str], np.ndarray]) -> Any:
    pandas = pytest.importorskip("pandas")
    texts, matrix = data
    labels = pandas.DataFrame(matrix, columns=list(tiny_corpus().taxonomy.ids))
    return pandas.concat([pandas.Series(texts, name="text"), labels], axis=1).set_index(labels.index[::-1] + 100)


def test_a_frame_names_the_labels_and_predicts_as_its_matrix(data: tuple[list[str], np.ndarray], frame: Any) -> None:
    texts, matrix = data
    ids = [name for name in frame.columns if name != "text"]
    expected = Classifier("linear", **SETTINGS).fit(texts, matrix, label_ids=ids)
    fitted = Classifier("linear", **SETTINGS).fit(frame["text"], frame[ids])
    assert fitted.classes_.tolist() == ids == list(fitted.taxonomy.ids)
    for form in (frame["text"], frame[["text"]], texts):
        assert fitted.predict(form).tolist() == expected.predict(texts).tolist()
        assert np.array_equal(fitted.predict_proba(form), expected.predict_proba(texts))
    assert len(fitted.suggest(frame[["text"]], 2)) == len(texts)
    assert sum(sets.shape[0] for sets, _ in fitted.decode_stream(frame[["text"]])) == len(texts)


def test_columns_of_gold_labels_are_matched_by_name(frame: Any) -> None:
    ids = [name for name in frame.columns if name != "text"]
    fitted = Classifier("linear", classifier__c=10.0, **SETTINGS).fit(frame["text"], frame[ids])
    assert fitted.score(frame["text"], frame[ids[::-1]]) == fitted.score(frame["text"], frame[ids])
    more = frame[ids].assign(other=1)
    assert fitted.evaluate(frame["text"], more)["unknown_labels"] == 1
    report = fitted.tune(frame["text"], frame[ids[::-1]])
    assert report.documents == len(frame)


def test_cross_validation_takes_a_series_and_a_frame(data: tuple[list[str], np.ndarray], frame: Any) -> None:
    ids = [name for name in frame.columns if name != "text"]
    classifier = Classifier("linear", classifier__c=10.0, **SETTINGS)
    expected = cross_val_score(classifier, *data, cv=3)
    assert cross_val_score(classifier, frame["text"], frame[ids], cv=3).tolist() == expected.tolist()
    assert cross_val_score(classifier, frame[["text"]], frame[ids], cv=3).tolist() == expected.tolist()


def test_the_whole_frame_as_texts_is_refused_everywhere(frame: Any) -> None:
    ids = [name for name in frame.columns if name != "text"]
    fitted = Classifier("linear", **SETTINGS).fit(frame["text"], frame[ids])
    for act in (
        lambda X: Classifier("linear", **SETTINGS).fit(X, frame[ids]),
        fitted.predict,
        fitted.predict_proba,
        fitted.suggest,
        lambda X: fitted.score(X, frame[ids]),
        lambda X: list(fitted.decode_stream(X)),
    ):
        for given in (frame, dict(frame)):
            with pytest.raises(DataError, match=r"give the one with the texts, such as df\['text'\]"):
                act(given)


def test_integer_classes_of_a_binarizer_name_the_labels(data: tuple[list[str], np.ndarray]) -> None:
    texts, matrix = data
    binarizer = MultiLabelBinarizer().fit([[10 * label for label in range(matrix.shape[1])]])
    fitted = Classifier("linear", **SETTINGS).fit(texts, matrix, label_ids=binarizer.classes_)
    assert fitted.classes_.tolist() == [str(10 * label) for label in range(matrix.shape[1])]
    assert fitted.predict(texts[:3]).shape == (3, matrix.shape[1])
    assert fitted.score(texts, matrix) > 0.5


def test_a_missing_text_is_answered_with_what_to_do(frame: Any) -> None:
    ids = [name for name in frame.columns if name != "text"]
    fitted = Classifier("linear", **SETTINGS).fit(frame["text"], frame[ids])
    texts = frame["text"].copy()
    texts.iloc[2] = None
    with pytest.raises(DataError, match=r"Text 2 is missing \(.*\); put an empty text in its place, as with fillna"):
        fitted.predict(texts)
    assert fitted.predict(texts.fillna("")).shape == (len(texts), len(ids))
