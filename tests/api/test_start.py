"""Trainings that start from a saved model: further documents, other labels, another system over its encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taxotext
from command import Command
from models.harness import all_scores
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.api.fitting import held_out_part
from taxotext.api.runs import parse_run
from taxotext.composition.starting import LabelRows
from taxotext.errors import ConfigError
from tiny import EDGES, Notes, tiny_corpus, tiny_documents, tiny_settings, tiny_taxonomy

CNN = {"name": "kim_cnn", "filters": 16, "embedding_width": 16, "vocabulary": {"min_count": 1}}
STILL = {"epochs": 1, "learning_rate": 1e-30, "head_learning_rate": 1e-30, "weight_decay": 0.0}
"""Training that changes nothing, so that what it started from can be seen afterwards."""
MORE = Taxonomy.from_edges([*EDGES[:4], ("food", "apples"), *EDGES[4:], (None, "weather")])
"""Two more labels, one of them in the middle of the order."""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("bert", tmp_path_factory.mktemp("start") / "old")


def settings(**sections: Any) -> dict[str, Any]:
    return tiny_settings("c_hmcnn", encoder=CNN, **sections)


def saved(system: str, folder: Path, **sections: Any) -> Path:
    model = Classifier(system, **settings(**{"training": {"epochs": 8}, **sections})).fit(tiny_corpus())
    model.save(folder)
    return folder


def more_documents() -> Corpus:
    texts, labels = tiny_documents(40, seed=9)
    texts += [f"apple pie {number}" for number in range(5)] + [f"rain and wind {number}" for number in range(5)]
    return Corpus.from_lists(texts, labels + [["apples"]] * 5 + [["weather"]] * 5, MORE, source="more")


def weights(model: Classifier) -> dict[str, torch.Tensor]:
    network: Any = model.system
    return dict(network.network.state_dict())


def test_the_same_labels_take_all_weights_and_keep_the_vocabulary(earlier: Path) -> None:
    notes = Notes()
    model = Classifier("bert", training={"start": str(earlier), **STILL}).fit(tiny_corpus(seed=8), reporter=notes)
    before, after = weights(taxotext.load(earlier)), weights(model)
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-6)
    assert f"Starting from {earlier}, with all its weights." in notes.sentences
    texts = tiny_documents(20, seed=77)[0]
    np.testing.assert_allclose(model.predict_proba(texts), taxotext.load(earlier).predict_proba(texts), atol=1e-5)


def test_shared_labels_keep_their_rows_and_new_ones_start_anew(earlier: Path) -> None:
    notes = Notes()
    model = Classifier("bert", training={"start": str(earlier), **STILL}).fit(more_documents(), reporter=notes)
    old = taxotext.load(earlier)
    texts = tiny_documents(20, seed=77)[0]
    shared = [MORE.index(label) for label in tiny_taxonomy().ids]
    np.testing.assert_allclose(model.predict_proba(texts)[:, shared], old.predict_proba(texts), atol=1e-5)
    (note,) = [sentence for sentence in notes.sentences if "Starting from" in sentence]
    assert note == f"Starting from {earlier}: its encoder, and its head for 7 of 9 labels (new: apples, weather)."


def test_a_start_learns_new_labels_from_few_documents(earlier: Path) -> None:
    model = Classifier("bert", training={"start": str(earlier), "epochs": 60, "patience": 60}).fit(more_documents())
    assert model.predict(["apple pie 3", "rain and wind 2"]) == [["food", "apples"], ["weather"]]


@pytest.mark.parametrize("system", ["hiagm", "himtl", "light_attention", "sgm"])
def test_every_kind_of_head_starts_from_its_own_model(system: str, tmp_path: Path) -> None:
    structure = {"structure": {"name": "gcn", "width": 8}} if system in ("hiagm", "himtl") else {}
    values = settings(training={"epochs": 2}, **structure)
    if system == "sgm":
        values["encoder"] = {"name": "recurrent", "units": 8, "embedding_width": 16}
    old = Classifier(system, **values).fit(tiny_corpus())
    old.save(tmp_path / "old")
    still = {"training": {"start": str(tmp_path / "old"), **STILL}}
    notes = Notes()
    same = Classifier(system, **still).fit(tiny_corpus(seed=8), reporter=notes)
    assert f"Starting from {tmp_path / 'old'}, with all its weights." in notes.sentences
    texts = tiny_documents(20, seed=77)[0]
    np.testing.assert_allclose(all_scores(same, texts), all_scores(old, texts), atol=1e-5)
    other = Classifier(system, **still).fit(more_documents(), reporter=notes)
    (note,) = [sentence for sentence in notes.sentences if "its encoder" in sentence]
    assert ("7 of 9 labels" in note) == (system == "sgm"), note
    other.save(tmp_path / "new")
    np.testing.assert_array_equal(all_scores(taxotext.load(tmp_path / "new"), texts), all_scores(other, texts))


def test_another_system_takes_the_encoder_alone(earlier: Path) -> None:
    notes = Notes()
    model = Classifier("hiagm", training={"start": str(earlier), **STILL}, structure={"width": 8})
    model.fit(tiny_corpus(seed=8), reporter=notes)
    before, after = weights(taxotext.load(earlier)), weights(model)
    encoder = [name for name in after if name.startswith("encoder.")]
    assert encoder
    for name in encoder:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-6)
    (note,) = [sentence for sentence in notes.sentences if "Starting from" in sentence]
    assert "its encoder; the structure encoder and the head start anew" in note


def test_class_weights_of_the_loss_are_those_of_the_new_documents(tmp_path: Path) -> None:
    balanced = {"loss": {"positive_weight": "balanced"}}
    old = saved("bert", tmp_path / "old", **balanced)
    few = tiny_corpus(20, seed=8)
    model = Classifier("bert", training={"start": str(old), **STILL}).fit(few, validation=tiny_corpus(10, seed=4))
    anew = Classifier("bert", **settings(**balanced, training=STILL)).fit(few, validation=tiny_corpus(10, seed=4))
    criterion = [name for name in weights(model) if ".criterion." in name]
    assert criterion
    for name in criterion:
        torch.testing.assert_close(weights(model)[name], weights(anew)[name])
        assert not torch.equal(weights(model)[name], weights(taxotext.load(old))[name])


def test_documents_that_the_model_was_trained_on_are_not_held_out(earlier: Path) -> None:
    new = tiny_documents(20, seed=9)
    old = tiny_documents()
    both = Corpus.from_lists(new[0] + old[0], new[1] + old[1], tiny_taxonomy(), source="both")
    held = taxotext.load(earlier).manifest.held_out
    assert held is not None
    fresh = ~held.was_trained_on(both.texts)
    assert fresh.sum() == 26  # the new ones, and those that were held out before
    train, validation = held_out_part(both, 0.1, 3, fresh)
    assert len(validation) == 8
    assert not held.was_trained_on(validation.texts).any()
    assert sorted(train.texts + validation.texts) == sorted(both.texts)
    train, validation = held_out_part(both, 0.6, 3, fresh)
    assert len(validation) == 13  # half of them
    notes = Notes()
    Classifier("bert", training={"start": str(earlier), **STILL}).fit(both, validation=tiny_corpus(30), reporter=notes)
    (note,) = [sentence for sentence in notes.sentences if "was trained on" in sentence]
    known = int(held.was_trained_on(tiny_documents(30)[0]).sum())
    assert f"{known} of 30 validation documents" in note


def test_a_group_with_a_known_document_is_not_held_out() -> None:
    texts, labels = tiny_documents(12)
    corpus = Corpus.from_lists(texts, labels, tiny_taxonomy(), source="groups")
    object.__setattr__(corpus, "groups", tuple("aabbccddeeff"))
    fresh = np.arange(12) >= 5  # the fourth pair and those behind it, and one of the third
    _, validation = held_out_part(corpus, 0.3, 3, fresh)
    assert set(validation.texts) <= set(texts[6:])


def test_the_command_takes_system_and_settings_from_the_model(command: Command, earlier: Path, tmp_path: Path) -> None:
    texts, labels = tiny_documents(30, seed=8)
    rows = [json.dumps({"text": text, "labels": found}) for text, found in zip(texts, labels, strict=True)]
    (tmp_path / "more.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    edges = [f"{parent or 'Root'}\t{child}" for parent, child in EDGES]
    (tmp_path / "topics.tsv").write_text("\n".join(edges) + "\n", encoding="utf-8")
    data = ("--train", "more.jsonl", "--taxonomy", "topics.tsv")
    done = command("train", "--start", earlier, *data, "-o", "new", "training.epochs=1")
    assert done.code == 0, done.err
    assert f"Starting from {earlier}, with all its weights." in done.out + done.err
    config = json.loads((tmp_path / "new" / "config.json").read_text(encoding="utf-8"))
    assert config["model"] == "bert"
    assert config["settings"]["encoder"]["filters"] == 16
    assert config["settings"]["training"]["start"] == "old"  # not the path
    assert command("predict", "new", "more.jsonl").code == 0  # where the earlier model is not needed
    assert command("train", "--start", earlier, *data, "-o", "tried", "--dry-run").code == 0
    overwritten = command("train", "--start", "new", *data, "-o", "new", "--overwrite")
    overwritten.refused("training.start: new lies in the output folder new")


def test_what_cannot_be_started_from_is_refused(earlier: Path, tmp_path: Path) -> None:
    Classifier("linear").fit(tiny_corpus()).save(tmp_path / "linear")
    with pytest.raises(ConfigError, match="is a model of linear, whose training always starts anew"):
        Classifier("bert", training={"start": str(tmp_path / "linear")}).fit(tiny_corpus())
    with pytest.raises(ConfigError, match="the system is linear, whose training always starts anew"):
        parse_run({"model": "linear", "training": {"start": str(earlier)}}, "test")
    with pytest.raises(ConfigError, match="no such model folder"):
        Classifier("bert", training={"start": str(tmp_path / "nothing")}).fit(tiny_corpus())
    with pytest.raises(ConfigError, match=r"the encoder of that model is kim_cnn, not textcnn; leave the section"):
        Classifier("bert", encoder={"name": "textcnn"}, training={"start": str(earlier)}).fit(tiny_corpus())
    with pytest.raises(ConfigError, match="has another shape; leave the section encoder out"):
        Classifier("bert", encoder={**CNN, "filters": 17}, training={"start": str(earlier)}).fit(tiny_corpus())


def test_labels_are_compared_by_their_ids() -> None:
    rows = LabelRows.of(tiny_taxonomy(), MORE)
    assert [tiny_taxonomy().ids[row] for row in rows.old] == [MORE.ids[row] for row in rows.new]
    assert rows.added == ["apples", "weather"]
    assert not rows.equal
    assert LabelRows.of(tiny_taxonomy(), tiny_taxonomy()).equal
