"""``linear``: the contract of all systems, its choices, and its edges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.svm import LinearSVC

import taxotext
from models.harness import all_scores, check_scores, check_system
from taxotext import Classifier, Corpus
from taxotext.api.fitting import fit_system
from taxotext.errors import DataError, ModelFolderError
from taxotext.models import linear
from taxotext.models.linear import NEVER, Linear, LinearSettings
from tiny import Notes, tiny_corpus, tiny_documents

SETTINGS: dict[str, Any] = {"seed": 3, "features": {"min_documents": 1}, "runtime": {"threads": 1}}


def fitted(texts: list[str], labels: list[list[str]], **settings: Any) -> Classifier:
    return Classifier("linear", **{**SETTINGS, **settings}).fit(texts, labels)


@pytest.mark.parametrize("loss", ["squared_hinge", "logistic"])
def test_linear_keeps_the_contract_of_all_systems(loss: str, tmp_path: Path) -> None:
    classifier = check_system(
        "linear",
        {**SETTINGS, "classifier": {"loss": loss, "c": 10.0}},
        tmp_path,
        files=("vocabulary.json", "weights.safetensors"),
        facts=("features",),
        seeded=False,
    )
    words = json.loads((tmp_path / "linear-saved/vocabulary.json").read_text(encoding="utf-8"))
    assert (
        classifier.system.facts()["features"] == len(words) == len({w for t in tiny_corpus().texts for w in t.split()})
    )


@pytest.mark.parametrize(
    "features",
    [
        {"analyzer": "char_wb", "ngrams": [2, 3]},
        {"ngrams": [1, 2], "max_features": 30},
        {"lowercase": False, "sublinear": False},
    ],
)
def test_other_features_score_and_load_alike(features: dict[str, Any], tmp_path: Path) -> None:
    texts, labels = tiny_documents()
    classifier = fitted(texts, labels, features={"min_documents": 1, **features})
    check_scores(classifier, texts)
    classifier.save(tmp_path / "model")
    assert np.array_equal(all_scores(taxotext.load(tmp_path / "model"), texts), all_scores(classifier, texts))


def test_texts_without_spaces_are_learnt_by_character_pieces() -> None:
    texts, labels = ["猫が好きです", "犬が好きです", "猫と犬", "雨が降る"] * 5, [["猫"], ["犬"], ["猫", "犬"], []] * 5
    classifier = fitted(texts, labels, features={"analyzer": "char_wb", "ngrams": (1, 2)})
    assert classifier.predict(["猫です", "犬です"]) == [["猫"], ["犬"]]


def test_a_label_of_no_document_is_never_answered_and_one_of_all_documents_always() -> None:
    texts, _ = tiny_documents(20)
    corpus = Corpus.from_lists(texts, [["all"]] * 20, taxotext.Taxonomy.flat(["all", "none"]))
    scores = all_scores(Classifier("linear", **SETTINGS).fit(corpus), ["cat", "", "something else"])
    assert scores[:, 0].tolist() == [1.0, 1.0, 1.0]
    assert scores[:, 1].tolist() == [0.0, 0.0, 0.0]


def test_pruning_drops_small_coefficients_only() -> None:
    texts, labels = tiny_documents()
    whole = fitted(texts, labels)
    pruned = fitted(texts, labels, classifier={"prune": 0.1})
    kept = np.abs(whole.system._coefficients.toarray()) > 0.1
    expected = np.where(kept, whole.system._coefficients.toarray(), 0)
    np.testing.assert_array_equal(pruned.system._coefficients.toarray(), expected)
    assert pruned.system.facts()["parameters"] == kept.sum() + len(whole.taxonomy)


def test_small_coefficients_are_dropped_by_default_where_there_are_many_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = tiny_documents()
    whole = fitted(texts, labels).system._coefficients
    assert (np.abs(whole.data) <= 0.01).any()
    monkeypatch.setattr(linear, "PRUNED_FROM", 7)
    assert np.abs(fitted(texts, labels).system._coefficients.data).min() > 0.01
    kept = fitted(texts, labels, classifier={"prune": 0.0}).system._coefficients
    np.testing.assert_array_equal(kept.toarray(), whole.toarray())


@pytest.mark.parametrize("crossed", [False, True])
def test_sparse_scores_are_those_of_the_best_labels_and_nothing_else_changes(crossed: bool, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    train, rest = corpus.subset(range(40)), corpus.subset(range(40, 60))
    dense, sparse = (
        Classifier("linear", **SETTINGS, candidates=count).fit(train, validation=None if crossed else rest)
        for count in ("all", 3)
    )
    whole = all_scores(dense, rest.texts)
    block = next(sparse.system.scores(rest.texts))
    assert block.is_sparse
    assert set(np.diff(block.candidates.indptr).tolist()) == {3}
    for row, own in enumerate(whole):
        best = sorted(np.argsort(-own, kind="stable")[:3].tolist())
        assert block.candidates.indices[3 * row : 3 * row + 3].tolist() == best
        assert block.candidates.data[3 * row : 3 * row + 3].tolist() == own[best].tolist()
    held_out, expected = sparse.manifest.held_out, dense.manifest.held_out
    assert held_out is not None
    assert expected is not None
    assert set(np.diff(held_out.scores.indptr).tolist()) == {3}
    found = held_out.scores.tocoo()
    every = expected.scores.toarray() if hasattr(expected.scores, "toarray") else expected.scores
    np.testing.assert_array_equal(found.data, every[found.row, found.col])
    sparse.save(tmp_path / "model")
    again = taxotext.load(tmp_path / "model")
    assert np.array_equal(all_scores(again, rest.texts), all_scores(sparse, rest.texts))


def test_scores_are_sparse_by_default_where_there_are_very_many_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "STREAMED_FROM", 7)
    monkeypatch.setattr(linear, "STREAMED", 2)
    corpus, notes = tiny_corpus(), Notes()
    sparse, _ = fit_system(Linear, LinearSettings(**SETTINGS), corpus, corpus, reporter=notes)
    assert next(sparse.scores(["cat"])).is_sparse
    assert any(
        "7 labels: a document keeps the scores of its best 2 labels (candidates=all" in n for n in notes.sentences
    )
    needs = " ".join(need.what for need in sparse.memory(corpus, corpus))
    assert "the best 2 of 7 decision values of 60 held-out documents" in needs
    dense, _ = fit_system(Linear, LinearSettings(**SETTINGS, candidates="all"), corpus, corpus, reporter=Notes())
    assert not next(dense.scores(["cat"])).is_sparse


@pytest.mark.parametrize(
    ("text", "analyzer", "noted"),
    [("股市今天大幅下跌", "word", True), ("股市今天大幅下跌", "char_wb", False), ("Shares fall", "word", False)],
)
def test_texts_without_spaces_between_words_are_noticed(text: str, analyzer: str, noted: bool) -> None:
    corpus, notes = Corpus.from_lists([text] * 8, [["a"], []] * 4), Notes()
    settings = LinearSettings.model_validate({"features": {"analyzer": analyzer, "ngrams": [1, 2]}})
    fit_system(Linear, settings, corpus, corpus, reporter=notes)
    advice = "set features.analyzer=char_wb and features.ngrams=[2,4]."
    assert any(sentence.endswith(advice) for sentence in notes.sentences) == noted


def test_positives_may_weigh_by_the_inverse_propensity_of_their_label() -> None:
    corpus = tiny_corpus()
    values = {**SETTINGS, "classifier": {"balance": "propensity"}}
    found = Classifier("linear", **values).fit(corpus, validation=corpus).system
    features = found._features.transform(corpus.texts)  # type: ignore[attr-defined]
    for label, count in enumerate(np.asarray(corpus.targets.sum(0)).ravel().tolist()):
        weight = 1 + (np.log(60) - 1) * 2.5**0.55 * (count + 1.5) ** -0.55
        gold = corpus.targets[:, [label]].toarray().ravel()
        model = LinearSVC(C=0.5, dual=True, tol=1e-5, max_iter=10_000)
        model.fit(features, gold, sample_weight=np.where(gold, weight, 1.0))
        coefficients = found._coefficients[:, [label]].toarray().ravel()  # type: ignore[attr-defined]
        np.testing.assert_allclose(coefficients, model.coef_[0], atol=5e-3)


def test_documents_of_weight_zero_teach_the_classifiers_nothing() -> None:
    texts, labels = tiny_documents(40)
    wrong = [["rye"] if position % 2 else found for position, found in enumerate(labels)]
    weights = [0.0 if position % 2 else 1.0 for position in range(40)]
    weighted = Classifier("linear", **SETTINGS).fit(texts, wrong, sample_weight=weights).system
    corpus = tiny_corpus(40)
    features = weighted._features.transform(texts)
    alone = Classifier("linear", **SETTINGS).fit(texts, labels).system
    half = Corpus.from_lists(texts[::2], labels[::2], alone.taxonomy)
    alone._fit_classifiers(features[::2], half, [], None)
    np.testing.assert_allclose(weighted._coefficients.toarray(), alone._coefficients.toarray(), atol=2e-3)
    assert len(corpus) == len(texts)


def test_held_out_scores_come_from_cross_fitting_without_validation_documents() -> None:
    texts, labels = tiny_documents()
    classifier = fitted(texts, labels, classifier={"folds": 4})
    held_out = classifier.manifest.held_out
    assert held_out is not None
    assert held_out.source == "training texts, 4-fold cross-fitting"
    assert held_out.scores.shape == held_out.gold.shape == (60, 7)
    # Scores of documents that the classifiers were fitted on would be higher for the gold labels.
    gold = held_out.gold.toarray()
    assert held_out.scores.toarray()[gold].mean() < all_scores(classifier, texts)[gold].mean()


def test_cells_without_a_classifier_stay_out_of_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label of one document has no classifier in the fold that holds it out: no decision value is there."""
    from sklearn.linear_model import LogisticRegression

    seen: list[np.ndarray] = []
    fit = LogisticRegression.fit

    def recorded(self: Any, values: Any, *rest: Any, **more: Any) -> Any:
        seen.append(np.asarray(values))
        return fit(self, values, *rest, **more)

    monkeypatch.setattr(LogisticRegression, "fit", recorded)
    texts, labels = tiny_documents()
    fitted(texts, [[*labels[0], "once"], *labels[1:]])
    assert len(seen) == 1
    assert np.abs(seen[0]).max() < -NEVER / 2
    assert len(seen[0]) == 60 * 8 - 20  # all documents and labels but the fold of the lone document


def test_calibration_makes_probabilities_of_decision_values() -> None:
    """Among scores near p about p of the labels are right."""
    rng = np.random.default_rng(1)
    words = [f"w{i}" for i in range(12)]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(400)]
    labels = [["yes"] if rng.random() < (0.9 if "w1" in text.split() else 0.2) else [] for text in texts]
    classifier = fitted(texts, [*labels[:-1], ["yes"]])
    scores = all_scores(classifier, texts)[:, 0]
    assert abs(scores.mean() - np.mean([bool(found) for found in labels])) < 0.05


def test_one_document_is_enough_to_fit() -> None:
    classifier = fitted(["the cat"], [["cats"]])
    assert classifier.predict(["the cat"]) == [["cats"]]


def test_texts_without_any_feature_are_refused_with_advice() -> None:
    with pytest.raises(DataError, match=r"No feature is left.*features.min_documents=1.*char_wb"):
        fitted(["!!!", "..."], [["a"], ["b"]])


@pytest.mark.parametrize("name", ["vocabulary.json", "weights.safetensors"])
def test_missing_and_damaged_files_are_named(name: str, tmp_path: Path) -> None:
    texts, labels = tiny_documents()
    fitted(texts, labels).save(tmp_path / "model")
    path = tmp_path / "model" / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFolderError, match=f"{name}: is .*save the model again"):
        taxotext.load(tmp_path / "model")
    path.unlink()
    with pytest.raises(ModelFolderError, match=f"{name}: is missing; save the model again"):
        taxotext.load(tmp_path / "model")


def test_a_vocabulary_of_another_size_is_refused(tmp_path: Path) -> None:
    texts, labels = tiny_documents()
    fitted(texts, labels).save(tmp_path / "model")
    path = tmp_path / "model/vocabulary.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), "more"]))
    with pytest.raises(ModelFolderError, match=r"does not fit vocabulary.json.*save the model again"):
        taxotext.load(tmp_path / "model")


def test_scores_before_fit_are_a_mistake_of_the_program() -> None:
    from taxotext.models.registry import find
    from taxotext.settings import parse_settings

    kind = find("linear")
    system = kind(parse_settings(kind.Settings, SETTINGS), taxotext.Taxonomy.flat(["a"]))
    with pytest.raises(RuntimeError, match="not fitted yet"):
        next(iter(system.scores(["text"])))


def test_cross_fitting_keeps_groups_together(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tiny_corpus()
    groups = tuple(f"group {row % 4}" for row in range(len(corpus)))
    seen: list[Any] = []
    real = linear.k_folds

    def spy(*arguments: Any, **options: Any) -> Any:
        seen.extend(real(*arguments, **options))
        return seen

    monkeypatch.setattr(linear, "k_folds", spy)
    Classifier("linear", features__min_documents=1, runtime__threads=1).fit(replace(corpus, groups=groups))
    assert len(seen) == 3
    parts = [{groups[row] for row in fold} for fold in seen]
    assert sum(len(part) for part in parts) == 4


def test_one_group_cannot_be_cross_fitted_and_the_scores_say_so() -> None:
    corpus = replace(tiny_corpus(), groups=("one",) * len(tiny_corpus()))
    model = Classifier("linear", features__min_documents=1, runtime__threads=1).fit(corpus)
    assert model.manifest.held_out is not None
    assert model.manifest.held_out.source.endswith("scores of the training documents themselves")


def test_the_model_is_the_same_with_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(400)]
    labels = [[f"l{at}" for at in np.flatnonzero(rng.random(64) < 0.08)] for _ in range(400)]
    texts = [
        " ".join([*rng.choice(words, 20), *(word for word in words[: len(words) // 2] if word[1:] in "".join(of))])
        for of in labels
    ]
    one, *others = (
        fitted(texts, labels, seed=seed, runtime={"threads": threads}).system
        for threads, seed in [(1, 0), (4, 0), (4, 0), (4, 1)]
    )
    for other in others:
        assert np.array_equal(one._coefficients.toarray(), other._coefficients.toarray())
        assert np.array_equal(one._intercepts, other._intercepts)
