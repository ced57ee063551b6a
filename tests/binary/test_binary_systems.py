"""``gru_att`` and ``htrans``: the contract of all systems, class weights, inheritance, one model of N classifiers."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taxotext
from models.harness import WORD_FACTS, all_scores, check_folder, check_system
from sealing import seal
from taxotext import Classifier, Corpus
from taxotext.binary.networks import log_odds
from taxotext.data.batches import make_batch
from taxotext.errors import ModelFolderError
from taxotext.labels import Taxonomy
from taxotext.models.registry import find
from tiny import Notes, tiny_corpus, tiny_settings, tiny_taxonomy

SYSTEMS = ("gru_att", "htrans")
FILES = ("encoder.json", "tokenizer.json", "weights.safetensors", "class_weights.json", "fits.json")
FACTS = (*WORD_FACTS, "embedding_tables")
ROOTS = ("animals", "food")
ONE_WEIGHT: dict[str, Any] = {"candidates": [3]}


settings = partial(tiny_settings, "htrans")  # those of gru_att too
quick = partial(settings, training={"epochs": 2})


def fitted(name: str, corpus: Corpus | None = None, **sections: Any) -> Classifier:
    documents = tiny_corpus() if corpus is None else corpus
    return Classifier(name, **quick(**sections)).fit(documents, validation=documents)


@cache
def plain(name: str, **text: Any) -> Classifier:
    """A fitted system for many tests, which leave it as it is."""
    return fitted(name, text=text)


def fits(classifier: Classifier) -> dict[str, dict[str, Any]]:
    return dict(zip(classifier.taxonomy.ids, classifier.system.fits, strict=True))  # type: ignore[attr-defined]


def own(classifier: Classifier, label: str) -> dict[str, torch.Tensor]:
    """Parameters of one classifier, the word vectors left out."""
    networks: Any = classifier.system.network  # type: ignore[attr-defined]
    return {name: values[classifier.taxonomy.index(label)] for name, values in networks.each.items()}


@pytest.mark.parametrize("name", SYSTEMS)
def test_binary_systems_keep_the_contract_of_all_systems(name: str, tmp_path: Path) -> None:
    able = settings(weights={"candidates": [1, 3]}, training={"epochs": 20})
    few = settings(weights=ONE_WEIGHT, training={"epochs": 1})
    classifier = check_system(name, able, tmp_path, files=FILES, facts=FACTS, few=few, overfits=0.95)
    assert classifier.system.facts()["embedding_tables"] == 7


@pytest.mark.parametrize("mode", ["head_tail", "chunk_max", "chunk_mean"])
def test_long_texts_are_read_in_every_mode(mode: str, tmp_path: Path) -> None:
    text = {"max_tokens": 8, "long_text": mode, "max_chunks": 3}
    classifier = fitted("htrans", weights=ONE_WEIGHT, text=text)
    check_folder(classifier, tmp_path, tiny_corpus(), files=FILES)


@pytest.mark.parametrize("name", SYSTEMS)  # labels that share word vectors, and labels with their own
@pytest.mark.parametrize("windows", [1, 3, 8])
def test_all_labels_together_answer_as_one_by_one(name: str, windows: int) -> None:
    classifier = plain(name, max_tokens=8, long_text="chunk_mean")
    system: Any = classifier.system
    texts = [*tiny_corpus().texts[: windows - 1], "", "cat barks trout " * 20][:windows]
    batch = make_batch(system.windows(texts), np.arange(len(texts)), system.tokenizer.pad_id)
    given = [torch.from_numpy(part) for part in (batch.ids, batch.mask, batch.owner)]
    with torch.inference_mode():
        one_by_one = system.network.one_by_one(*given, len(texts))
        stacked = system.network.stacked(*given, len(texts))
    torch.testing.assert_close(stacked, one_by_one, atol=1e-5, rtol=0)
    assert one_by_one.std() > 0


def test_labels_are_computed_together_while_windows_and_units_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier: Any = plain("htrans")
    networks = classifier.system.network
    units = networks.encoder.forwards.hidden_size
    monkeypatch.setattr("taxotext.nn.label_networks.STACKED_SIZE", 2 * units**2)
    ways: list[str] = []
    for way in ("stacked", "one_by_one"):
        monkeypatch.setattr(networks, way, lambda *_, way=way: ways.append(way))
    for windows in (2, 3):
        ids = torch.ones(windows, 4, dtype=torch.int64)
        networks(ids, ids > 0, torch.arange(windows), windows)
    assert ways == ["stacked", "one_by_one"]


def test_few_labels_at_a_time_answer_as_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = plain("gru_att")
    texts = tiny_corpus().texts[:3]
    expected = all_scores(classifier, texts)
    monkeypatch.setattr("taxotext.nn.label_networks.STACKED_NUMBERS", 1)
    np.testing.assert_allclose(all_scores(classifier, texts), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["fits.json", "encoder.json"])
@pytest.mark.parametrize("content", [None, "", "{", "{}", "[]", "[{}]", "3"])
def test_damaged_facts_of_a_model_are_named(name: str, content: str | None, tmp_path: Path) -> None:
    plain("htrans").save(tmp_path / "model")
    path = tmp_path / "model" / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ModelFolderError, match=rf"{name}: .*save the model again"):
        taxotext.load(tmp_path / "model")


# -- inheritance ---------------------------------------------------------------------------------------------------


def test_a_label_inherits_from_a_parent_and_a_root_from_nobody() -> None:
    found = fits(fitted("htrans", transfer={"freeze_embeddings": True}))
    ids = tiny_taxonomy().ids
    parents = {label: None if fit["parent"] is None else ids[fit["parent"]] for label, fit in found.items()}
    assert parents["animals"] is None
    assert parents["food"] is None
    assert parents["cats"] == "animals"
    assert parents["rye"] == "bread"
    best = max(("animals", "food"), key=lambda label: found[label]["f1"])
    assert parents["fish"] == best, "of several parents the one with the best validation F1"
    tables = {label: ids[fit["table"]] for label, fit in found.items()}
    assert set(tables.values()) == set(ROOTS)
    assert tables["rye"] == "food"


def test_without_transfer_no_label_has_a_parent() -> None:
    assert {fit["parent"] for fit in fits(plain("gru_att")).values()} == {None}
    assert {
        fit["parent"] for fit in fits(fitted("htrans", weights=ONE_WEIGHT, transfer={"enabled": False})).values()
    } == {None}


def test_a_fit_starts_from_what_its_parent_ended_with() -> None:
    """With learning rates of next to nothing, what was taken over can be seen in the result."""
    still = {"weights": {"candidates": [1.0]}, "training": {"epochs": 1, "learning_rate": 1e-12}}
    still["transfer"] = {"body_learning_rate": 1e-12, "shrink": 1.0, "perturb": 0.0}
    classifier = Classifier("htrans", **settings(**still)).fit(tiny_corpus(), validation=tiny_corpus())
    parent, child, other = own(classifier, "animals"), own(classifier, "cats"), own(classifier, "food")
    body = [name for name in parent if not name.startswith("head.")]
    assert all(torch.allclose(parent[name], child[name], atol=1e-6) for name in body)
    assert not torch.allclose(parent["head.output.weight"], child["head.output.weight"], atol=1e-3), "a fresh head"
    assert not any(torch.allclose(parent[name], other[name], atol=1e-3) for name in body if "bias" not in name)

    still["transfer"]["fresh_head"] = False  # type: ignore[assignment]
    kept = Classifier("htrans", **settings(**still)).fit(tiny_corpus(), validation=tiny_corpus())
    assert torch.allclose(
        own(kept, "animals")["head.output.weight"], own(kept, "cats")["head.output.weight"], atol=1e-6
    )


def test_word_vectors_below_the_top_are_trained_only_when_not_frozen() -> None:
    frozen = fitted("htrans", weights=ONE_WEIGHT, transfer={"freeze_embeddings": True})
    assert frozen.system.facts()["embedding_tables"] == 2  # those of the roots
    assert fitted("htrans", weights=ONE_WEIGHT).system.facts()["embedding_tables"] == 7
    untrained = fitted("htrans", weights=ONE_WEIGHT, encoder={"train_embeddings": False})
    assert untrained.system.facts()["embedding_tables"] == 1


def test_the_output_starts_at_the_weighted_odds() -> None:
    assert log_odds(9, 29, 1.0) == pytest.approx(np.log(10 / 21))
    assert log_odds(9, 29, 7.0) == pytest.approx(np.log(70 / 21))
    still = settings(weights={"candidates": [5.0]}, training={"epochs": 1, "learning_rate": 1e-12})
    corpus = tiny_corpus()
    classifier = Classifier("gru_att", **still).fit(corpus, validation=corpus)
    positives = int(corpus.known_targets[:, [classifier.taxonomy.index("cats")]].sum())
    assert own(classifier, "cats")["head.output.bias"].item() == pytest.approx(log_odds(positives, 60, 5.0), abs=1e-5)


# -- class weights -------------------------------------------------------------------------------------------------


def test_the_chosen_weights_are_written_and_are_candidates(tmp_path: Path) -> None:
    classifier = plain("gru_att")
    classifier.save(tmp_path / "m")
    content = json.loads((tmp_path / "m" / "class_weights.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    assert list(content["weights"]) == list(classifier.taxonomy.ids)
    assert set(content["weights"].values()) <= {1.0, 3.0, 9.0}
    assert content["weights"] == {label: fit["weight"] for label, fit in fits(classifier).items()}


def test_a_grid_trains_every_weight_to_its_end_and_halving_only_the_best() -> None:
    corpus, weights, training = tiny_corpus(), {"candidates": [1, 3]}, {"epochs": 3, "patience": 9}
    grid, halving = (
        fits(
            Classifier("gru_att", **settings(weights={**weights, "search": search}, training=training)).fit(
                corpus, validation=corpus
            )
        )
        for search in ("grid", "halving")
    )
    assert {fit["epochs"] for fit in grid.values()} == {6}  # 2 weights, 3 epochs each
    assert {fit["epochs"] for fit in halving.values()} == {4}  # 2 weights once, one of them 2 epochs more
    assert {fit["fits"] for fit in halving.values()} == {3}
    # What goes on from a rung is what would have been trained in one go.
    same = [label for label in grid if grid[label]["weight"] == halving[label]["weight"]]
    assert same
    assert all(grid[label]["f1"] == halving[label]["f1"] for label in same)


def test_basic_has_one_weight_and_the_paper_its_grid_and_rules() -> None:
    def of(name: str, **given: Any) -> Any:
        return find(name).Settings.model_validate(given)

    assert of("gru_att", preset="basic").weights.candidates == (1.0,)
    assert of("gru_att").weights.candidates == of("gru_att", preset="weights").weights.candidates
    assert of("htrans").weights.candidates == (1, 2, 3, 5, 10, 30, 50)
    for name in SYSTEMS:
        paper = of(name, preset="paper")
        assert (paper.weights.search, paper.training.split, paper.training.start_at_odds) == ("grid", "own", False)
        assert (paper.training.epochs, paper.training.patience, paper.training.batch_size) == (10, 3, 128)
        assert paper.transfer.enabled == (name == "htrans")
        assert (paper.training.learning_rate, paper.transfer.body_learning_rate) == (1e-3, 5e-4)
        assert (paper.transfer.inherit, paper.transfer.shrink, paper.transfer.perturb) == ("selected", 1, 0)
        assert paper.training.monitor == "f1"
    default = of("htrans", training={"epochs": 3})
    assert (default.transfer.inherit, default.transfer.shrink, default.transfer.perturb) == ("least_loss", 0.5, 0.5)
    assert default.training.monitor == "average_precision"
    assert of("gru_att").training.monitor == "f1"
    with pytest.raises(Exception, match="greater than the one before"):
        of("htrans", weights={"candidates": [3, 1]})


def test_separate_splits_train_and_leave_the_validation_documents_to_the_thresholds() -> None:
    values = settings(weights=ONE_WEIGHT, training={"epochs": 1, "split": "own"})
    classifier = Classifier("htrans", **values).fit(tiny_corpus(), validation=tiny_corpus(20, seed=8))
    assert classifier.manifest.held_out is not None
    assert classifier.manifest.held_out.gold.shape[0] == 20


# -- labels with few documents -------------------------------------------------------------------------------------


def rare_corpus() -> Corpus:
    """``never`` has no document, ``once`` one."""
    taxonomy = Taxonomy.from_edges([(None, "animals"), ("animals", "cats"), ("cats", "once"), ("cats", "never")])
    texts = ["cat purrs", "dog barks", "cat sleeps", "stone falls"] * 6 + ["odd cat"]
    labels = [["cats"], ["animals"], ["cats"], []] * 6 + [["once"]]
    return Corpus.from_lists(texts, labels, taxonomy, source="rare")


def test_labels_without_documents_answer_with_their_odds_and_rare_ones_take_over_from_the_parent(
    tmp_path: Path,
) -> None:
    corpus = rare_corpus()
    validation = corpus.subset(range(12))
    notes = Notes()
    classifier = Classifier("htrans", **quick()).fit(corpus, validation=validation, reporter=notes)
    found = fits(classifier)
    assert {label: fit["how"] for label, fit in found.items()} == {
        **{"animals": "searched", "cats": "searched"},
        **{"once": "fallback", "never": "constant"},
    }
    assert found["once"]["weight"] == found["cats"]["weight"]
    assert found["once"]["epoch"] == found["cats"]["epoch"]
    assert found["never"]["parent"] is None
    assert any(said.endswith("to choose a class weight on: that of the parent (once).") for said in notes.sentences)
    mean = (found["animals"]["f1"] + found["cats"]["f1"]) / 2
    assert classifier.manifest.metrics["selected"].endswith(f"validation F1 (mean {mean:.4f} over 2 labels)")
    Classifier("gru_att", **quick()).fit(corpus, validation=validation, reporter=notes)
    assert notes.sentences[-1].endswith("to choose a class weight on: 1, and all epochs (once).")
    scores = all_scores(classifier, corpus.texts)[:, classifier.taxonomy.index("never")]
    np.testing.assert_allclose(scores, 1 / 27, atol=1e-6)  # one of 25 + 2
    check_folder(classifier, tmp_path, corpus, files=FILES)


@pytest.mark.parametrize(
    ("weights", "epochs", "said"),
    [
        ({"candidates": [1, 3], "rungs": [2, 5]}, 2, True),
        ({"candidates": [1, 3], "rungs": [1, 5]}, 2, False),
        ({"candidates": [1, 3], "search": "grid"}, 2, False),
        ({"candidates": [3]}, 2, False),
    ],
)
def test_a_halving_without_rungs_is_called_a_grid(weights: dict[str, Any], epochs: int, said: bool) -> None:
    notes, able = Notes(), settings(weights=weights, training={"epochs": epochs})
    Classifier("gru_att", **able).fit(tiny_corpus(), validation=tiny_corpus(), reporter=notes)
    told = [sentence for sentence in notes.sentences if "(2, 5) none is below training.epochs (2)" in sentence]
    assert bool(told) == said


# -- the folder ----------------------------------------------------------------------------------------------------


def test_half_precision_halves_the_folder_and_hardly_moves_the_scores(tmp_path: Path) -> None:
    whole, half = plain("htrans"), fitted("htrans", storage="float16")
    whole.save(tmp_path / "whole")
    half.save(tmp_path / "half")
    sizes = [(tmp_path / which / "weights.safetensors").stat().st_size for which in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    texts = tiny_corpus().texts
    np.testing.assert_allclose(all_scores(taxotext.load(tmp_path / "half"), texts), all_scores(whole, texts), atol=2e-3)


def test_weights_of_another_shape_are_refused_with_their_names(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    plain("htrans").save(tmp_path / "m")
    path = tmp_path / "m" / "weights.safetensors"
    stored = load_file(path)
    stored["labels.head.output.bias"] = stored["labels.head.output.bias"][:3]
    stored["table_of"] = stored["table_of"] + 7
    save_file(stored, path)
    seal(tmp_path / "m")
    with pytest.raises(ModelFolderError, match=r"labels.head.output.bias: shape \(3, 1\) instead of \(7, 1\)"):
        taxotext.load(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="word vectors that are not there"):
        taxotext.load(tmp_path / "m")
