"""Systems that score a few candidates, or decide on label sets themselves, through the whole front door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

import taxotext
from taxotext import Classifier
from taxotext.api import classifier as module
from taxotext.api.objective import held_out_score
from taxotext.decoding import Decoding
from taxotext.decoding.heldout import FLOOR, fingerprints
from taxotext.errors import ConfigError, DataError
from tiny import tiny_corpus, tiny_taxonomy

pytestmark = pytest.mark.usefixtures("sparse_systems")
CORPUS, TEST = tiny_corpus(), tiny_corpus(seed=6)


def fitted(name: str = "few_candidates", **settings: object) -> Classifier:
    return Classifier(name, **settings).fit(CORPUS)


def candidates(model: Classifier, text: str) -> dict[str, float]:
    """Label ids and scores, as the system itself gives them."""
    block = csr_array(next(iter(model.system.scores([text]))))  # type: ignore[call-overload]
    return {model.taxonomy.ids[label]: float(score) for label, score in zip(block.indices, block.data, strict=True)}


def test_labels_are_predicted_from_candidates_and_a_text_without_any_has_none() -> None:
    model = fitted(decoding={"never_empty": True})
    limit = {**dict.fromkeys(model.taxonomy.ids, model.decoding.threshold), **model.decoding.label_thresholds}
    found = model.predict([*TEST.texts, "unheard", ""])
    for text, labels in zip(TEST.texts, found, strict=False):
        own = candidates(model, text)
        passing = {label for label, score in own.items() if score > limit[label]} or {max(own, key=lambda x: own[x])}
        assert set(labels) == passing
    assert found[-2:] == [[], []]


def test_evaluation_leaves_out_what_needs_every_probability() -> None:
    model = fitted()
    result = model.evaluate(TEST)
    assert "brier" not in result
    assert "micro_average_precision" not in result
    wanted = found = 0
    for text, labels in zip(TEST.texts, TEST.label_lists(), strict=True):
        wanted += len(labels)
        found += len(set(labels) & set(candidates(model, text)))
    assert result["candidate_recall"] == pytest.approx(found / wanted)
    assert result["micro_f1"] > 0.5
    assert result["p@1"] > 0.5


def test_suggestions_are_the_best_candidates_after_consistency_and_filters() -> None:
    model = fitted(decoding={"consistency": "up", "exclude": ["food"]})
    for text, found in zip(TEST.texts, model.suggest(TEST.texts, k=3), strict=True):
        own = candidates(model, text)
        taxonomy = model.taxonomy
        up = {
            label: max(own.get(taxonomy.ids[j], -1.0) for j in [i, *taxonomy.descendants(i)])
            for i, label in enumerate(taxonomy.ids)
        }
        best = [label for label in taxonomy.ids if up[label] >= 0 and label != "food"]
        best.sort(key=lambda label: (-up[label], taxonomy.levels[taxonomy.index(label)], taxonomy.index(label)))
        assert [label for label, _ in found] == best[:3]
        assert [score for _, score in found] == pytest.approx([up[label] for label in best[:3]])
    assert model.suggest(["unheard"], k=3) == [[]]


def test_suggestions_of_a_dense_system_are_its_best_probabilities() -> None:
    model = Classifier("linear", features__min_documents=1).fit(CORPUS)
    probabilities = model.predict_proba(TEST.texts)
    for row, found in zip(probabilities, model.suggest(TEST.texts, k=4), strict=True):
        order = np.argsort(-row, kind="stable")[:4]
        assert found == [(model.taxonomy.ids[i], float(row[i])) for i in order]
    assert len(model.suggest(["cat"], k=100)[0]) == len(model.taxonomy)
    assert model.suggest([]) == []


@pytest.mark.parametrize("k", [0, -1, 2.0, True])
def test_a_number_of_suggestions_that_is_none_is_refused(k: object) -> None:
    with pytest.raises(ConfigError, match=f"suggest: k is {k!r}; give a whole number from 1"):
        fitted().suggest(["cat"], k=k)  # type: ignore[arg-type]


def test_probabilities_of_all_labels_are_refused_and_suggest_is_named() -> None:
    with pytest.raises(ConfigError, match=r"few_candidates scores only some candidates .* suggest\(texts, k=10\)"):
        fitted().predict_proba(["cat"])


def test_matrices_that_are_too_large_are_refused_before_anything_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = CORPUS.known_targets.toarray()
    model = Classifier("linear", features__min_documents=1).fit(CORPUS.texts, matrix, taxonomy=tiny_taxonomy())
    monkeypatch.setattr(module, "MOST_CELLS", 2 * len(model.taxonomy))
    assert model.predict_proba(["cat", "dog"]).shape == (2, len(model.taxonomy))
    assert model.predict(["cat", "dog"]).shape == (2, len(model.taxonomy))
    monkeypatch.setattr(model.system, "scores", None)
    with pytest.raises(
        DataError, match=r"predict_proba: 3 texts and 7 labels .* 14 cells; ask .* suggest\(texts, k=10\)"
    ):
        model.predict_proba(["cat", "dog", "fish"])
    with pytest.raises(DataError, match=r"predict: 3 texts and 7 labels .* decode_stream\(texts\)"):
        model.predict(["cat", "dog", "fish"])


def test_held_out_scores_are_the_candidates_and_tuning_improves_on_them() -> None:
    model = fitted()
    held_out = model.manifest.held_out
    assert held_out is not None
    for row, text in enumerate(CORPUS.texts):
        own = {label: score for label, score in candidates(model, text).items() if score > FLOOR}
        part = slice(held_out.scores.indptr[row], held_out.scores.indptr[row + 1])
        assert {model.taxonomy.ids[i] for i in held_out.scores.indices[part]} == set(own)
    report = model.tune(metric="macro_f1", calibration="isotonic")
    assert report.after >= report.before
    assert model.decoding.tuned_on == CORPUS.source
    assert model.decoding.calibration == "isotonic"


@pytest.mark.parametrize("consistency", ["none", "up", "down"])
def test_tuned_thresholds_reach_in_prediction_what_the_tuning_reports(consistency: str) -> None:
    model = fitted(decoding={"consistency": consistency})
    report = model.tune(TEST, shrink=0.0)
    # Thresholds alone count in the report: with `up` or `down` sets are made consistent in prediction besides.
    if consistency == "none":
        assert model.evaluate(TEST)["micro_f1"] == pytest.approx(report.after)
    assert report.after >= report.before


@pytest.mark.parametrize("metric", ["micro_f1", "p@1", "ndcg@5"])
def test_a_search_can_compare_sparse_systems(metric: str) -> None:
    model = fitted()
    assert 0.5 < held_out_score(model.system, model.manifest, metric) <= 1


def test_fingerprints_of_training_and_held_out_documents_are_kept_and_loaded(tmp_path: Path) -> None:
    model = Classifier("few_candidates").fit(CORPUS, validation=TEST)
    model.save(tmp_path / "model")
    manifest = taxotext.load(tmp_path / "model").manifest
    salt, held_out = manifest.trained_on["fingerprint_salt"], manifest.held_out
    assert held_out is not None
    assert held_out.fingerprints is not None
    assert held_out.trained is not None
    assert held_out.salt == salt
    assert held_out.fingerprints.tolist() == fingerprints(TEST.texts, salt).tolist()
    assert held_out.trained.tolist() == sorted(fingerprints(CORPUS.texts, salt).tolist())


# -- systems that decide on label sets ------------------------------------------------------------------------------


def test_a_system_that_decides_is_taken_at_its_word_until_thresholds_are_tuned(tmp_path: Path) -> None:
    model = fitted("decides_itself")
    decided = [
        [label for label, score in candidates_of_block(model, text).items() if score >= 0.05] for text in TEST.texts
    ]
    assert [set(found) for found in model.predict(TEST.texts)] == [set(labels) for labels in decided]
    model.save(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "The system decides the label sets itself." in card
    again = taxotext.load(tmp_path / "model")
    assert again.predict(TEST.texts) == model.predict(TEST.texts)
    again.tune()
    assert again.decoding.source == "threshold"
    assert again.predict(TEST.texts) != model.predict(TEST.texts)
    again.update(tmp_path / "model")
    assert "Tuned for micro_f1" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert taxotext.load(tmp_path / "model").predict(TEST.texts) == again.predict(TEST.texts)


def candidates_of_block(model: Classifier, text: str) -> dict[str, float]:
    labels, scores = next(iter(model.system.scores([text]))).row(0)
    return {model.taxonomy.ids[label]: score for label, score in zip(labels, scores.tolist(), strict=True)}


def test_a_search_compares_the_sets_of_a_system_that_decides_and_tunes_nothing(tmp_path: Path) -> None:
    model = fitted("decides_itself")
    model.save(tmp_path / "model")
    again = taxotext.load(tmp_path / "model")
    value = held_out_score(again.system, again.manifest, "micro_f1")
    assert value == pytest.approx(model.evaluate(CORPUS)["micro_f1"])
    assert again.decoding == model.decoding
    again.decoding = Decoding(source="threshold")
    assert held_out_score(again.system, again.manifest, "micro_f1") > value
    assert again.decoding.tuned_on is not None


def test_the_decoder_of_the_models_own_rules_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, made = fitted(), []

    class Counted(module.Decoder):
        def __init__(self, *given: object) -> None:
            made.append(given)
            super().__init__(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "Decoder", Counted)
    before = model.predict(TEST.texts)
    model.suggest(TEST.texts)
    assert model.predict(TEST.texts) == before
    assert len(made) == 1
    model.decoding = Decoding(threshold=0.01)
    assert model.predict(TEST.texts) != before
    model.tune()
    model.predict(TEST.texts)
    assert len(made) == 4  # one checked the assigned rules


def test_rules_apply_to_the_sets_of_the_system() -> None:
    model = fitted("decides_itself")
    model.decoding = Decoding(top_k=1, never_empty=True)
    assert [len(labels) for labels in model.predict(TEST.texts)] == [1] * len(TEST)
    before = sum(map(len, fitted("decides_itself").predict(TEST.texts)))
    model.decoding = Decoding(source="threshold", threshold=0.5)
    assert len(TEST) < sum(map(len, model.predict(TEST.texts))) < before


@pytest.mark.parametrize("name", ["linear", "few_candidates"])
def test_the_sets_of_a_system_that_decides_none_are_refused_before_it_is_fitted(name: str) -> None:
    sentence = "decoding.source is system, but the system decides no label sets itself; set it to threshold"
    with pytest.raises(ConfigError, match=sentence):
        fitted(name, decoding={"source": "system"})
    model = fitted(name)
    with pytest.raises(ConfigError, match=sentence):
        model.decoding = Decoding(source="system")
