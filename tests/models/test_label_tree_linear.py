"""``label_tree_linear``: the contract of all systems, omikuji by hand beside it, and its edges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import taxotext
from command import Command
from models.harness import all_scores, check_system
from sealing import seal
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.errors import ConfigError, DataError, ModelFolderError
from taxotext.models.label_tree_linear import LabelTreeLinear, LabelTreeSettings
from taxotext.models.label_tree_worker import library
from taxotext.settings import parse_settings
from tiny import tiny_corpus, tiny_documents

SETTINGS: dict[str, Any] = {"seed": 3, "features": {"min_documents": 1}, "runtime": {"threads": 1}}
NATIVE = ("settings.json", "tree0.cbor", "tree1.cbor", "tree2.cbor")
LOOSE = {"tree": {"min_branch_size": 2}, "classifier": {"c": 10.0, "prune": 0.0}}


def fitted(texts: list[str], labels: list[list[str]], **settings: Any) -> Classifier:
    return Classifier("label_tree_linear", **{**SETTINGS, **settings}).fit(texts, labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of the tiny corpus."""
    place = tmp_path_factory.mktemp("trees") / "model"
    corpus = tiny_corpus()
    Classifier("label_tree_linear", **SETTINGS, **LOOSE).fit(corpus, validation=corpus).save(place)
    return place


def copy_of(folder: Path, place: Path) -> Path:
    place.mkdir()
    for path in folder.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    return place


def test_label_tree_linear_keeps_the_contract_of_all_systems(tmp_path: Path) -> None:
    classifier = check_system(
        "label_tree_linear",
        {**SETTINGS, **LOOSE},
        tmp_path,
        files=("vocabulary.json", "weights.safetensors", "native.json", *NATIVE),
        facts=("features", "trees", "reproducible"),
        reproducible=False,
    )
    facts = classifier.system.facts()
    assert facts["trees"] == 3
    assert facts["reproducible"] == "no: omikuji takes no seed"
    assert (
        "| reproducible | no: omikuji takes no seed |" in (tmp_path / "label_tree_linear-saved/README.md").read_text()
    )


@pytest.mark.parametrize(("preset", "branches"), [("parabel", 2), ("bonsai", 10), ("wide", 2)])
def test_rankings_are_those_of_omikuji_by_hand_over_the_saved_trees(preset: str, branches: int, tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng(2)
    texts = [
        f"w{row % 150} x{row % 7} " + " ".join(f"n{word}" for word in rng.integers(0, 30, 5)) for row in range(600)
    ]
    labels = [[f"l{row % 150:03d}", f"m{row % 7}"] for row in range(600)]
    fitted(texts, labels, preset=preset, tree={"min_branch_size": 10, "branches": branches}).save(tmp_path / "model")
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\w+")
    loaded = taxotext.load(tmp_path / "model")
    words = json.loads((tmp_path / "model/vocabulary.json").read_text(encoding="utf-8"))
    vectorizer.set_params(vocabulary=words)
    vectorizer.idf_ = loaded.system._features.idf  # type: ignore[attr-defined]
    features = vectorizer.transform(texts)
    model = library().Model.load(str(tmp_path / "model"))
    scores = all_scores(loaded, texts)
    for row in range(len(texts)):
        pairs = [(column, features[row, column]) for column in features[row].indices]
        expected = np.zeros(len(loaded.taxonomy), np.float32)
        for label, score in model.predict(pairs, 10, 100):
            expected[label] = score
        np.testing.assert_array_equal(scores[row], expected)


def test_the_defaults_and_the_names_are_those_of_omikuji() -> None:
    given = library().Model.default_hyper_param()
    expected = {name: getattr(given, name) for name in dir(given)}
    system = LabelTreeLinear(parse_settings(LabelTreeSettings, {}, "test"), Taxonomy.flat(["a"]))
    found = system.settings_of_omikuji()
    assert expected.keys() - found.keys() == {"tree_structure_only"}
    assert {name: pytest.approx(value) for name, value in found.items()} == {name: expected[name] for name in found}


def test_presets_are_laid_under_what_is_given() -> None:
    values = {"preset": "bonsai", "tree": {"max_depth": 2}, "classifier": {"loss": "logistic"}}
    system = LabelTreeLinear(parse_settings(LabelTreeSettings, values, "test"), Taxonomy.flat(["a"]))
    found = system.settings_of_omikuji()
    names = ("cluster_k", "cluster_balanced", "max_depth", "collapse_every_n_layers", "linear_loss_type")
    assert [found[name] for name in names] == [100, False, 2, 0, library().LossType.LOG.value]
    wide = LabelTreeLinear(parse_settings(LabelTreeSettings, {"preset": "wide"}, "test"), Taxonomy.flat(["a"]))
    assert wide.settings_of_omikuji()["collapse_every_n_layers"] == 5


def test_nodes_that_could_not_be_split_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"tree: min_branch_size is 99, .* into 100 branches; raise min_branch_size"):
        parse_settings(LabelTreeSettings, {"preset": "bonsai", "tree": {"min_branch_size": 99}}, "test")


def test_only_candidates_have_scores() -> None:
    texts, labels = tiny_documents()
    system = fitted(texts, labels, prediction={"candidates": 2}, **LOOSE).system
    blocks = list(system.scores(texts))
    assert [block.is_sparse for block in blocks] == [True]
    assert np.diff(blocks[0].scores.indptr).tolist() == [2] * len(texts)


def test_a_label_without_training_documents_is_never_a_candidate() -> None:
    texts, labels = tiny_documents(20)
    corpus = Corpus.from_lists(texts, labels, Taxonomy.flat(["none", *sorted({x for row in labels for x in row})]))
    classifier = Classifier("label_tree_linear", **SETTINGS).fit(corpus, validation=corpus)
    block = next(iter(classifier.system.scores(texts)))
    assert 0 not in block.scores.indices
    assert set(block.scores.indices) == set(range(1, len(corpus.taxonomy)))


def test_validation_documents_are_held_out_where_none_are_given() -> None:
    classifier = fitted(*tiny_documents(), validation={"fraction": 0.25})
    held_out = classifier.manifest.held_out
    assert held_out is not None
    assert held_out.source.startswith("25% of")
    assert held_out.gold.shape[0] + classifier.manifest.trained_on["training_documents"] == 60


def test_given_vectors_are_read_and_vectors_of_zeros_do_no_harm() -> None:
    """omikuji divides by the length of a vector, and would end the process."""
    texts = [f"{row % 3}:1.0 {3 + row % 5}:0.5" for row in range(30)]
    labels = [[f"l{row % 3}"] for row in range(30)]
    classifier = fitted([*texts, "1:0"], [*labels, ["l1"]], features={"analyzer": "given", "min_documents": 1}, **LOOSE)
    assert classifier.predict(["0:2", "1:1", "2:9"]) == [["l0"], ["l1"], ["l2"]]
    assert np.isfinite(all_scores(classifier, ["0:0", "77:1"])).all()


def test_corpora_that_omikuji_cannot_learn_from_are_refused() -> None:
    corpus = tiny_corpus(weights=[2.0] * 60)
    with pytest.raises(DataError, match=r"tiny: the documents have weights, which omikuji does not take"):
        Classifier("label_tree_linear", **SETTINGS).fit(corpus, validation=corpus)
    empty = replace(tiny_corpus(), targets=csr_array(tiny_corpus().targets.shape, dtype=bool))
    with pytest.raises(DataError, match="no document has a label"):
        Classifier("label_tree_linear", **SETTINGS).fit(empty, validation=empty)


@pytest.mark.parametrize("name", ["tree1.cbor", "settings.json"])
def test_damaged_trees_are_named_before_omikuji_reads_them(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = copy_of(folder, tmp_path / "model")
    content = bytearray((place / name).read_bytes())
    content[len(content) // 2] ^= 1
    (place / name).write_bytes(content)
    monkeypatch.setattr("taxotext.models.label_tree_linear.Forest", None)
    with pytest.raises(ModelFolderError, match=rf"{name}: is damaged .*native\.json.*save the model again"):
        taxotext.load(place)


def test_trees_of_another_vocabulary_are_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    place = copy_of(folder, tmp_path / "model")
    words = json.loads((place / "vocabulary.json").read_text(encoding="utf-8"))
    (place / "vocabulary.json").write_text(json.dumps(words[:-1]), encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"weights.safetensors: does not fit vocabulary.json"):
        taxotext.load(place)
    save_file({"idf": np.ones(len(words) - 1)}, place / "weights.safetensors")
    seal(place)
    with pytest.raises(ModelFolderError, match=rf"the trees read {len(words)} features, vocabulary.json has"):
        taxotext.load(place)


def test_the_commands_train_tune_evaluate_and_predict(command: Command, tmp_path: Path) -> None:
    texts, labels = tiny_documents(90)
    rows = [json.dumps({"text": text, "labels": found}) for text, found in zip(texts, labels, strict=True)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows[:60]) + "\n")
    (tmp_path / "test.jsonl").write_text("\n".join(rows[60:]) + "\n")
    own = ["features.min_documents=1", "runtime.threads=1", "tree.min_branch_size=2", "classifier.c=10"]
    command("train", "--model", "label_tree_linear", "--train", "train.jsonl", "--output", "model", *own).ok()
    command("tune", "model").ok()
    assert json.loads(command("evaluate", "model", "test.jsonl", "--json").ok().out)["micro_f1"] > 0.8
    assert len(command("predict", "model", "test.jsonl").ok().lines) == 30


def test_scores_before_fit_are_a_mistake_of_the_program() -> None:
    system = LabelTreeLinear(parse_settings(LabelTreeSettings, SETTINGS, "test"), Taxonomy.flat(["a"]))
    with pytest.raises(RuntimeError, match="not fitted yet"):
        next(iter(system.scores(["text"])))
