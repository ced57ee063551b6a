"""Labels are matched by id, in whatever order and form they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.errors import ConfigError, DataError

SETTINGS: dict[str, Any] = {"features__min_documents": 1, "runtime__threads": 1}
TEXTS = ["cat", "dog", "cat dog", "rain", "bird", "bird cat"] * 3
LABELS = [["cat"], ["dog"], ["cat", "dog"], [], ["bird"], ["bird", "cat"]] * 3
ANIMALS = Taxonomy.from_edges([(None, "animal"), ("animal", "dog"), ("animal", "cat"), ("animal", "bird")])


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    return Classifier("linear", **SETTINGS).fit(TEXTS, LABELS)


def _matrix(columns: list[str]) -> np.ndarray[Any, Any]:
    return np.asarray([[label in labels for label in columns] for labels in LABELS], dtype=np.int64)


def test_a_corpus_of_fewer_labels_in_another_order_is_scored_like_lists(fitted: Classifier) -> None:
    texts, labels = ["dog", "zebra cat", "cat"], [["dog"], ["zebra"], ["cat"]]
    lists = fitted.evaluate(texts, labels)
    corpus = fitted.evaluate(Corpus.from_lists(texts, labels))
    assert (corpus["micro_f1"], corpus["unknown_labels"]) == (lists["micro_f1"], 1)


def test_tuning_on_a_corpus_matches_labels_by_id() -> None:
    tuned = [Classifier("linear", **SETTINGS).fit(TEXTS, LABELS) for _ in range(2)]
    tuned[0].tune(TEXTS[:6], LABELS[:6])
    tuned[1].tune(Corpus.from_lists(TEXTS[:6], LABELS[:6], Taxonomy.flat(["dog", "cat", "bird"])))
    assert tuned[0].decoding.label_thresholds == tuned[1].decoding.label_thresholds


def test_validation_is_matched_and_closed_like_the_training_texts() -> None:
    train = Corpus.from_lists(TEXTS, LABELS, ANIMALS, closure="as_given")
    validations: list[Any] = [(TEXTS[:6], LABELS[:6]), Corpus.from_lists(TEXTS[:6], LABELS[:6])]
    for validation in validations:
        held_out = Classifier("linear", **SETTINGS).fit(train, validation=validation).manifest.held_out
        assert held_out is not None
        assert held_out.gold.sum(axis=0).tolist() == [0, 2, 3, 2]  # animal, dog, cat, bird


def test_the_closure_of_validation_is_not_that_of_the_fit_before() -> None:
    model = Classifier("linear", **SETTINGS).fit(TEXTS, LABELS)
    model.fit(TEXTS, LABELS, taxonomy=ANIMALS, validation=(TEXTS[:6], LABELS[:6]))
    assert model.manifest.held_out is not None
    assert model.manifest.held_out.gold.sum(axis=0).tolist() == [5, 2, 3, 2]


def test_columns_of_a_matrix_keep_their_order_with_a_taxonomy(tmp_path: Path) -> None:
    columns = ["dog", "bird", "cat", "animal"]
    y = _matrix(columns)
    y[:, 3] = y[:, :3].any(axis=1)
    model = Classifier("linear", **SETTINGS).fit(
        TEXTS, y, taxonomy=ANIMALS, label_ids=columns, validation=(TEXTS[:6], y[:6])
    )
    assert model.classes_.tolist() == columns
    assert model.score(TEXTS, y) == 1.0
    assert (model.predict(TEXTS) == y).all()
    assert (model.predict_proba(TEXTS).argmax(axis=1)[4::6] == 1).all()
    assert model.manifest.held_out is not None
    assert model.manifest.held_out.gold.sum(axis=0).tolist() == [5, 2, 3, 2]
    model.save(tmp_path / "model")
    again = taxotext.load(tmp_path / "model")
    assert again.classes_.tolist() == columns
    assert (again.predict(TEXTS) == y).all()


def test_gold_labels_that_are_missing_are_asked_for(fitted: Classifier) -> None:
    for use in (fitted.evaluate, fitted.score, fitted.tune):
        with pytest.raises(DataError, match=r"gold labels of the .* texts are missing"):
            use(["cat"])


def test_nothing_stands_beside_a_corpus(fitted: Classifier) -> None:
    corpus = Corpus.from_lists(TEXTS, LABELS)
    with pytest.raises(ConfigError, match="y, sample_weight: the corpus 'memory' has its own; leave it out"):
        Classifier("linear").fit(corpus, LABELS, sample_weight=[1.0] * len(TEXTS))
    for use in (fitted.evaluate, fitted.tune):
        with pytest.raises(ConfigError, match="y: the corpus"):
            use(corpus, LABELS)


def test_a_new_mapping_replaces_flat_settings_that_were_given_before() -> None:
    model = Classifier("linear", classifier={"c": 5.0}).set_params(classifier__c=3.0)
    assert model.settings_().classifier.c == 3.0  # type: ignore[attr-defined]
    model.set_params(classifier={"folds": 4})
    assert model.settings_().classifier.c == 0.5  # type: ignore[attr-defined]


def test_what_the_caller_gave_stays_as_it_is() -> None:
    decoding = {"label_thresholds": {"a": 0.2}}
    model = Classifier("linear", decoding=decoding, decoding__label_thresholds__b=0.3)
    assert model.settings_().decoding.label_thresholds == {"a": 0.2, "b": 0.3}
    assert decoding == {"label_thresholds": {"a": 0.2}}


def test_settings_may_be_given_as_objects() -> None:
    decoding = Classifier("linear", decoding={"threshold": 0.4}).settings_().decoding
    settings = Classifier("linear", decoding=decoding, decoding__top_k=3).settings_()
    assert (settings.decoding.threshold, settings.decoding.top_k) == (0.4, 3)


def test_a_number_and_its_keys_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="classifier__c: classifier is 5 already; give one of the two"):
        Classifier("linear", classifier=5, classifier__c=3)
    with pytest.raises(ConfigError, match="there is no system '5'"):
        Classifier(5)  # type: ignore[arg-type]
