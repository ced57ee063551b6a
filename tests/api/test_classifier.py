"""The estimator: fitting, prediction, evaluation, tuning, streaming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import taxotext
from taxotext import Classifier, Corpus
from taxotext.api import scoring
from taxotext.decoding import Decoding
from taxotext.errors import ConfigError, DataError, LabelError
from tiny import tiny_corpus, tiny_documents, tiny_taxonomy

SETTINGS: dict[str, Any] = {"features__min_documents": 1, "runtime__threads": 1}
TEXTS = ["cat", "dog", "cat dog", "rain"] * 3
LABELS = [["c"], ["d"], ["c", "d"], []] * 3


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    return Classifier("linear", **SETTINGS).fit(TEXTS, LABELS)


# -- settings ------------------------------------------------------------------------------------------------------


def test_nested_and_flat_settings_say_the_same() -> None:
    flat = Classifier("linear", classifier__c=2.0, classifier__folds=4, seed=5)
    nested = Classifier("linear", classifier={"c": 2.0, "folds": 4}, seed=5)
    mixed = Classifier("linear", classifier={"c": 2.0}, classifier__folds=4, seed=5)
    assert flat.settings_() == nested.settings_() == mixed.settings_()
    assert flat.get_params() == {"model": "linear", "classifier__c": 2.0, "classifier__folds": 4, "seed": 5}
    assert repr(flat) == "Classifier('linear', classifier__c=2.0, classifier__folds=4, seed=5)"


def test_all_wrong_settings_are_reported_together() -> None:
    with pytest.raises(ConfigError) as error:
        Classifier("linear", classifier__cc=2.0, features={"analyser": "word"}, seed=-1)
    text = str(error.value)
    assert text.startswith("Classifier('linear'): 3 problems in the configuration.")
    assert "classifier.cc: unknown key." in text
    assert "features.analyser: unknown key. Did you mean 'analyzer'?" in text
    assert "seed: input should be greater than or equal to 0 (got -1)." in text


def test_an_unknown_system_is_named_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"there is no system 'lineer'. Did you mean 'linear'\? Known systems: linear"
    ):
        Classifier("lineer")


def test_set_params_changes_the_next_fit_and_leaves_everything_after_a_mistake() -> None:
    classifier = Classifier("linear", **SETTINGS)
    assert classifier.set_params(classifier__c=3.0) is classifier
    assert classifier.get_params()["classifier__c"] == 3.0
    with pytest.raises(ConfigError, match=r"classifier.d: unknown key"):
        classifier.set_params(classifier__c=4.0, classifier__d=1)
    assert classifier.get_params() == {"model": "linear", **SETTINGS, "classifier__c": 3.0}


def test_a_classifier_that_is_not_fitted_says_so() -> None:
    classifier = Classifier("linear")
    for use in (lambda: classifier.predict(["a"]), lambda: classifier.taxonomy, lambda: classifier.save("x")):
        with pytest.raises(ConfigError, match=r"not fitted yet; call fit, or taxotext.load\(folder\)"):
            use()


# -- prediction ----------------------------------------------------------------------------------------------------


def test_lists_of_ids_in_give_lists_of_ids_out(fitted: Classifier) -> None:
    assert fitted.predict(["cat", "dog", "cat dog", "rain"]) == [["c"], ["d"], ["c", "d"], []]
    assert fitted.predict([]) == []
    assert fitted.classes_.tolist() == ["c", "d"]


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_indicator_matrices_in_give_indicator_matrices_out(form: Any) -> None:
    matrix = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 3)
    classifier = Classifier("linear", **SETTINGS).fit(TEXTS, form(matrix))
    found = classifier.predict(TEXTS[:4])
    assert found.dtype == np.int64
    assert found.tolist() == matrix[:4].tolist()
    assert classifier.predict([]).shape == (0, 2)
    assert classifier.taxonomy.ids == ("0", "1")
    assert classifier.score(TEXTS, form(matrix)) == 1.0


def test_columns_of_a_matrix_can_be_named() -> None:
    matrix = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 3)
    named = Classifier("linear", **SETTINGS).fit(TEXTS, matrix, label_ids=["cats", "dogs"])
    assert named.taxonomy.ids == ("cats", "dogs")
    taxonomy = taxotext.Taxonomy.from_edges([(None, "x"), ("x", "y")])
    tree = Classifier("linear", **SETTINGS).fit(TEXTS, matrix, taxonomy=taxonomy)
    assert tree.taxonomy == taxonomy
    # Gold labels are closed under ancestors: who has y has x.
    assert tree.manifest.seen == [9, 6]


def test_probabilities_have_a_row_for_each_text_and_a_column_for_each_label(fitted: Classifier) -> None:
    scores = fitted.predict_proba(["cat", "dog", "rain"])
    assert scores.shape == (3, 2)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[0, 0] > 0.5 > scores[1, 0]
    assert fitted.predict_proba([]).shape == (0, 2)


def test_one_text_instead_of_a_list_and_other_things_are_refused(fitted: Classifier) -> None:
    with pytest.raises(DataError, match=r"One text was given where a list of texts is needed; write \[text\]"):
        fitted.predict("cat")
    with pytest.raises(DataError, match="Text 1 is a number, not a string: 5"):
        fitted.predict(["cat", 5])  # type: ignore[list-item]
    broken = ["cat", "\ud800 dog"]
    for act in (fitted.predict, fitted.predict_proba, lambda texts: list(fitted.decode_stream(iter(texts)))):
        with pytest.raises(DataError, match="Text 1 has half a character"):
            act(broken)


def test_empty_texts_have_their_place_in_every_output(
    fitted: Classifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["", "cat", " \n", "", "dog", "cat dog", "\u3000", "\t", ""]
    expected = [[], ["c"], [], [], ["d"], ["c", "d"], [], [], []]
    readable = [i for i, text in enumerate(texts) if text.strip()]
    for size in (1, 2, 3, 2048):
        monkeypatch.setattr(scoring, "SCORED_TOGETHER", size)
        caplog.clear()
        assert fitted.predict(texts) == expected
        assert [record.getMessage() for record in caplog.records] == [
            "6 of 9 documents have no text, the first is number 1; they get no labels."
        ]
        scores = fitted.predict_proba(texts)
        np.testing.assert_array_equal(scores[readable], fitted.predict_proba([texts[i] for i in readable]))
        assert not np.delete(scores, readable, axis=0).any()
        suggested = fitted.suggest(texts, 2)
        assert [len(pairs) for pairs in suggested] == [2 if i in readable else 0 for i in range(len(texts))]
        assert suggested[1] == fitted.suggest(["cat"], 2)[0]
    assert fitted.predict(["", " "]) == [[], []]


def test_no_rule_gives_labels_to_an_empty_text(fitted: Classifier) -> None:
    for rules in ({"never_empty": True}, {"threshold": None, "top_k": 2}, {"threshold": 1e-6}):
        decoding = Decoding(**{"threshold": 0.5, **rules})
        (sets, _), *_ = fitted.decode_stream(["", "cat"], decoding=decoding)
        assert np.diff(sets.indptr)[0] == 0 < np.diff(sets.indptr)[1]


def test_an_indicator_matrix_has_a_row_of_zeros_for_an_empty_text() -> None:
    matrix = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 3)
    classifier = Classifier("linear", **SETTINGS).fit(TEXTS, matrix)
    assert classifier.predict(["cat", "", "dog"]).tolist() == [[1, 0], [0, 0], [0, 1]]


def test_other_rules_can_be_assigned_and_are_checked(fitted: Classifier) -> None:
    before = fitted.decoding
    try:
        fitted.decoding = Decoding(threshold=None, top_k=1)
        assert [len(found) for found in fitted.predict(["cat dog", "rain"])] == [1, 1]
        with pytest.raises(LabelError, match="include: The taxonomy has no label 'e'"):
            fitted.decoding = Decoding(include=("e",))
    finally:
        fitted.decoding = before


def test_streams_are_read_only_as_far_as_is_needed(fitted: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SCORED_TOGETHER", 10)
    drawn = [0]

    def endless() -> Iterator[str]:
        while True:
            drawn[0] += 1
            yield "cat" if drawn[0] % 2 else "dog"

    stream = fitted.decode_stream(endless())
    assert drawn[0] == 0
    rows = 0
    for number, (sets, scores) in enumerate(stream, start=1):
        rows += len(scores)
        assert sets.shape == scores.shape == (10, 2)
        assert sets.toarray()[:, 0].tolist() == [True, False] * 5
        assert drawn[0] == rows == 10 * number
        if number == 4:
            break


def test_a_stream_ends_with_a_short_block(fitted: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SCORED_TOGETHER", 10)
    assert [len(scores) for _, scores in fitted.decode_stream(iter(["cat"] * 23))] == [10, 10, 3]
    assert fitted.predict(["cat", "rain"] * 12) == [["c"], []] * 12


# -- evaluation ----------------------------------------------------------------------------------------------------


def test_labels_that_the_model_does_not_know_count_as_misses(fitted: Classifier) -> None:
    # Answers: {c}, {d}, {c, d}; gold: {c}, {d, new}, {c, d, new, other}. 4 hits, 4 answered, 7 gold.
    found = fitted.evaluate(
        ["cat", "dog", "cat dog"], [["c"], ["d", "new"], ["c", "d", "new", "other"]], per_label=True
    )
    assert found["micro_precision"] == pytest.approx(1.0)
    assert found["micro_recall"] == pytest.approx(4 / 7)
    assert found["micro_f1"] == pytest.approx(2 * 4 / (4 + 7))
    assert found["unknown_labels"] == 2
    assert found["set_accuracy"] == pytest.approx(1 / 3)
    assert [row["id"] for row in found["per_label"]] == ["c", "d", "new", "other"]
    assert found["documents"] == 3
    assert found["labels"] == 2


def test_evaluation_of_blocks_is_that_of_the_whole(fitted: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted.evaluate(TEXTS, LABELS)
    monkeypatch.setattr("taxotext.models.linear.SCORED_TOGETHER", 5)
    blocks = fitted.evaluate(TEXTS, LABELS)
    for name, value in whole.items():
        if name not in {"seconds", "documents_per_second"}:
            assert blocks[name] == pytest.approx(value), name


def test_cut_offs_beyond_the_number_of_labels_are_computed(fitted: Classifier) -> None:
    found = fitted.evaluate(["cat dog"], [["c", "d"]], ks=(1, 2, 10))
    assert (found["p@1"], found["p@2"]) == (1.0, 1.0)
    assert found["p@10"] == pytest.approx(0.2)


def test_score_is_micro_f1_and_takes_no_weights(fitted: Classifier) -> None:
    assert fitted.score(TEXTS, LABELS) == fitted.evaluate(TEXTS, LABELS)["micro_f1"]
    with pytest.raises(ConfigError, match="score takes no sample_weight; leave it out"):
        fitted.score(TEXTS, LABELS, sample_weight=[1.0] * 12)


# -- tuning --------------------------------------------------------------------------------------------------------


def test_tuning_writes_thresholds_and_where_they_come_from() -> None:
    classifier = Classifier("linear", **SETTINGS).fit(tiny_corpus(), tune=False)
    assert classifier.decoding.tuned_on is None
    report = classifier.tune(method="label", shrink=0.0)
    assert classifier.decoding.tuned_on == report.tuned_on == "tiny, 3-fold cross-fitting"
    assert len(classifier.decoding.label_thresholds) == report.tuned_labels > 0
    assert report.after >= report.before
    assert classifier.manifest.metrics["tuning"] == report.to_dict()
    thresholds = np.full(7, classifier.decoding.threshold)
    for label, value in classifier.decoding.label_thresholds.items():
        thresholds[classifier.taxonomy.index(label)] = value
    texts = tiny_documents(20, seed=9)[0]
    expected = classifier.predict_proba(texts) >= thresholds
    found = classifier.predict(texts)
    assert [set(row) for row in found] == [
        {classifier.taxonomy.ids[i] for i in np.flatnonzero(row)} for row in expected
    ]


def test_tuning_on_own_documents_keeps_the_other_rules() -> None:
    classifier = Classifier("linear", decoding={"consistency": "up", "never_empty": True}, **SETTINGS)
    classifier.fit(tiny_corpus())
    texts, labels = tiny_documents(30, seed=8)
    report = classifier.tune(texts, labels, method="global", shrink=0.0)
    assert report.tuned_on == "tuning texts"
    assert report.documents == 30
    assert (classifier.decoding.consistency, classifier.decoding.never_empty) == ("up", True)
    again = classifier.tune(texts, labels, method="global", shrink=0.0)
    assert again.threshold == report.threshold


def test_tuning_without_held_out_documents_is_refused() -> None:
    classifier = Classifier("linear", **SETTINGS).fit(TEXTS, LABELS)
    classifier.manifest.held_out = None
    with pytest.raises(DataError, match="keeps no scores of held-out documents; name validation documents"):
        classifier.tune()


# -- fitting -------------------------------------------------------------------------------------------------------


def test_documents_without_any_label_teach_nothing_and_that_is_said() -> None:
    with pytest.raises(DataError, match="no document has a label; there is nothing to learn"):
        Classifier("linear", **SETTINGS).fit(["a", "b"], [[], []])


def test_a_part_is_held_out_where_the_system_needs_one(tiny_encoder: Path) -> None:
    from tiny import tiny_settings

    settings = tiny_settings("bert", tiny_encoder, training={"epochs": 1}, validation={"fraction": 0.25})
    classifier = Classifier("bert", **settings).fit(tiny_corpus())
    trained_on = classifier.manifest.trained_on
    assert (trained_on["training_documents"], trained_on["validation_documents"]) == (45, 15)
    assert trained_on["validation_data"] == "25% of tiny, stratified, seed 3"
    with pytest.raises(DataError, match="has 1 document; at least 2 are needed to hold one out"):
        Classifier("bert", **settings).fit(["cat"], [["c"]])


def test_what_was_trained_on_is_kept() -> None:
    corpus = tiny_corpus()
    classifier = Classifier("linear", **SETTINGS).fit(corpus)
    trained_on = classifier.manifest.trained_on
    assert trained_on["training_fingerprint"] == corpus.fingerprint()
    assert trained_on["closure"] == "ancestors"
    assert classifier.manifest.seen == corpus.targets.toarray().sum(axis=0).tolist()


def test_gold_labels_are_closed_as_in_training() -> None:
    texts, labels = tiny_documents()
    classifier = Classifier("linear", classifier__c=10.0, **SETTINGS).fit(texts, labels, taxonomy=tiny_taxonomy())
    assert classifier.evaluate(texts, labels)["micro_f1"] > 0.97
    flat = Corpus.from_lists(texts, labels, tiny_taxonomy(), closure="as_given")
    assert Classifier("linear", classifier__c=10.0, **SETTINGS).fit(flat).evaluate(texts, labels)["micro_f1"] > 0.9


def test_progress_goes_to_the_reporter() -> None:
    from contextlib import contextmanager

    seen: dict[str, int] = {}

    class Reporter:
        @contextmanager
        def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Any]:
            seen[name] = done
            reporter = self

            class Task:
                def advance(self, amount: int = 1) -> None:
                    seen[name] += amount

                def show(self, **fields: float | str) -> None:
                    pass

            yield Task()
            assert total is None or seen[name] == total, f"{name}: {seen[name]} of {total} in {reporter}"

        def note(self, sentence: str) -> None:
            pass

    reporter = Reporter()
    classifier = Classifier("linear", **SETTINGS).fit(TEXTS, LABELS, reporter=reporter)
    classifier.evaluate(TEXTS, LABELS, reporter=reporter)
    classifier.tune(TEXTS, LABELS, reporter=reporter)
    list(classifier.decode_stream(TEXTS, reporter=reporter))
    assert seen == {"Fitting linear": 2 * 4, "Evaluating": 12, "Scoring": 12, "Predicting": 12}


def test_a_second_tuning_starts_from_the_thresholds_of_the_first() -> None:
    classifier = Classifier("linear", **SETTINGS).fit(TEXTS, LABELS)
    after = classifier.tune(shrink=0.0).after
    assert classifier.tune(shrink=0.0).before == pytest.approx(after)


# -- labels of validation documents ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["lists", "corpus"])
def test_validation_labels_that_training_lacks_are_left_out_and_named(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    texts, labels = ["cat", "dog"], [["c", "rare"], ["d"]]
    train: tuple[Any, ...] = (TEXTS, LABELS) if form == "lists" else (Corpus.from_lists(TEXTS, LABELS),)
    validation: Any = (texts, labels) if form == "lists" else Corpus.from_lists(texts, labels)
    fitted = Classifier("linear", **SETTINGS).fit(*train, validation=validation)
    assert fitted.taxonomy.ids == ("c", "d")
    assert fitted.manifest.held_out is not None
    assert fitted.manifest.held_out.gold.sum() == 2
    assert "1 label is not among the 2 known labels: 'rare' (in 1 document); it was removed" in caplog.text


def test_declared_labels_stay_and_others_are_errors() -> None:
    tree = taxotext.Taxonomy.from_edges([(None, "x"), ("x", "c"), ("x", "d"), ("x", "rare")])
    fitted = Classifier("linear", **SETTINGS).fit(TEXTS, LABELS, taxonomy=tree, validation=(["cat"], [["rare"]]))
    assert fitted.manifest.held_out is not None
    assert fitted.manifest.held_out.gold.sum() == 2  # rare and its parent
    for declared in ({"taxonomy": tree}, {"label_ids": ["c", "d"]}):
        with pytest.raises(DataError, match="1 label is not in the taxonomy"):
            Classifier("linear", **SETTINGS).fit(TEXTS, LABELS, validation=(["cat"], [["other"]]), **declared)
    named = Classifier("linear", **SETTINGS).fit(
        TEXTS, LABELS, label_ids=["c", "d", "rare"], validation=(["cat"], [["rare"]])
    )
    assert named.manifest.held_out is not None
    assert named.manifest.held_out.gold.sum() == 1
