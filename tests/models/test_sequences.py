"""``sgm``, ``encdec``, ``bert_sgm``: the contract of all systems, label orders, label sets of the beam."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taxotext
from command import Command
from hierarchies import write_tiny_data
from models.harness import NETWORK_FILES, WORD_FACTS, check_resume, check_system
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.composition.parts import LabelContext
from taxotext.composition.sequences import SequenceHeadSettings, _build_sequence, label_order
from taxotext.errors import ConfigError, DataError, ModelFolderError
from taxotext.models.registry import find
from tiny import tiny_corpus, tiny_fit, tiny_settings

WORD_SYSTEMS = ("sgm", "encdec")
SEQUENCE_FACTS = ("label_order", "longest_sequence")


def word_settings(head: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    return tiny_settings("sgm", head=head or {}, training={"epochs": 40, "patience": 40, **training})


def bert_settings(folder: Path, head: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    return tiny_settings("bert", folder, head={"beams": 3, **(head or {})}, training=training)


def quick(name: str, corpus: Corpus, head: dict[str, Any] | None = None, **sections: Any) -> Classifier:
    values = {**word_settings(head, epochs=1), **sections}
    return Classifier(name, **values).fit(corpus, validation=corpus)


def sequences(classifier: Classifier) -> Any:
    return classifier.system.network.head  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", WORD_SYSTEMS)
def test_sequences_over_words_keep_the_contract_of_all_systems(name: str, tmp_path: Path) -> None:
    classifier = check_system(
        name,
        word_settings(),
        tmp_path,
        files=NETWORK_FILES,
        facts=(*WORD_FACTS, *SEQUENCE_FACTS),
        few=word_settings(epochs=1),
    )
    block = next(classifier.system.scores(["the cat purrs"]))
    assert block.sets is not None
    ids = [classifier.taxonomy.ids[label] for label in block.sets.indices]
    assert set(ids) == set(classifier.predict(["the cat purrs"])[0]) == {"animals", "cats"}


def test_bert_sgm_keeps_the_contract_of_all_systems(tiny_encoder: Path, tmp_path: Path) -> None:
    check_system(
        "bert_sgm",
        bert_settings(tiny_encoder),
        tmp_path,
        files=NETWORK_FILES,
        facts=("encoder_source", "encoder_sha256", *SEQUENCE_FACTS),
        few=bert_settings(tiny_encoder, epochs=1),
    )


@pytest.mark.parametrize("name", WORD_SYSTEMS)
def test_a_training_resumes(name: str, tmp_path: Path) -> None:
    check_resume(name, word_settings({"sampling": 0.3}, epochs=3), tmp_path)


def test_a_training_of_bert_sgm_resumes(tiny_encoder: Path, tmp_path: Path) -> None:
    check_resume("bert_sgm", bert_settings(tiny_encoder, epochs=3), tmp_path)


def test_a_frozen_encoder_trains_and_long_texts_are_attended_to_in_pieces(tiny_encoder: Path, tmp_path: Path) -> None:
    values = bert_settings(tiny_encoder, epochs=2)
    values["encoder"]["trainable"] = False
    values["text"] = {"max_tokens": 12, "long_text": "chunk_max", "max_chunks": 3}
    corpus = tiny_corpus()
    classifier = Classifier("bert_sgm", **values).fit(corpus, validation=corpus)
    assert not any(parameter.requires_grad for parameter in classifier.system.network.encoder.parameters())  # type: ignore[attr-defined]
    classifier.save(tmp_path / "m")
    loaded = taxotext.load(tmp_path / "m")
    assert loaded.predict(corpus.texts) == classifier.predict(corpus.texts)
    assert sequences(loaded).skip == 1, "[CLS] is not attended to"


def test_an_order_free_training_learns_and_resumes(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    classifier = Classifier("encdec", **word_settings({"objective": "order_free"})).fit(corpus, validation=corpus)
    assert classifier.evaluate(corpus)["micro_f1"] > 0.9
    check_resume("encdec", word_settings({"objective": "order_free"}, epochs=3), tmp_path)


def test_a_self_critical_training_learns_and_resumes(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    classifier = Classifier("encdec", **word_settings({"objective": "self_critical"})).fit(corpus, validation=corpus)
    assert classifier.evaluate(corpus)["micro_f1"] > 0.9
    check_resume("encdec", word_settings({"objective": "self_critical"}, epochs=3), tmp_path)


@pytest.mark.parametrize("order", ["frequency", "rare_first", "top_down", "bottom_up", "given", "random"])
def test_the_order_of_the_labels_is_kept_in_the_folder(order: str, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    classifier = quick("encdec", corpus, {"label_order": order})
    head = sequences(classifier)
    positives = np.asarray(corpus.targets.sum(axis=0)).ravel()
    assert sorted(head.order.tolist()) == list(range(len(corpus.taxonomy)))
    assert head.label_counts.tolist() == positives.tolist()
    assert head.longest == min(int(np.diff(corpus.targets.indptr).max()) + 2, len(corpus.taxonomy))
    classifier.save(tmp_path / "m")
    loaded = sequences(taxotext.load(tmp_path / "m"))
    assert torch.equal(loaded.order, head.order)
    assert torch.equal(loaded.label_counts, head.label_counts)
    assert loaded.longest == head.longest


def test_orders_and_their_ties_by_hand() -> None:
    ids, levels, counts = ("d", "c", "b", "a"), np.array([1, 1, 2, 1], np.int32), np.array([3, 3, 3, 7])

    def of(kind: Any) -> list[str]:
        return [ids[label] for label in label_order(kind, counts, levels, ids)]

    assert of("frequency") == ["a", "c", "d", "b"]
    assert of("rare_first") == ["b", "c", "d", "a"]
    assert of("top_down") == ["a", "c", "d", "b"]
    assert of("bottom_up") == ["b", "c", "d", "a"]
    assert of("given") == ["d", "c", "b", "a"]
    torch.manual_seed(0)
    first = of("random")
    torch.manual_seed(0)
    assert of("random") == first
    assert sorted(first) == sorted(ids)


@pytest.mark.parametrize(("order", "direction"), [("top_down", "top_down"), ("bottom_up", "bottom_up")])
def test_a_constrained_system_never_predicts_a_label_without_its_parents(order: str, direction: str) -> None:
    corpus = tiny_corpus()
    trees = Taxonomy.from_edges([(None, "animals"), (None, "food"), ("animals", "cats"), ("food", "bread")])
    names = corpus.taxonomy.ids
    rows = np.split(corpus.targets.indices, corpus.targets.indptr[1:-1])
    labels = [[names[label] for label in row if names[label] in trees] for row in rows]
    tree = Corpus.from_lists(list(corpus.texts), labels, trees)
    for data in (corpus, tree):
        classifier = quick("encdec", data, {"label_order": order, "constrained": True})
        assert sequences(classifier).taxonomy.direction == direction
        for block in classifier.system.scores(data.texts):
            assert block.sets is not None
            assert not data.taxonomy.violations(block.sets).any()


def test_flat_labels_and_empty_label_sets_train_and_predict() -> None:
    texts = ["cat", "dog", "cat dog", "rain"] * 8
    corpus = Corpus.from_lists(texts, [["c"], ["d"], ["c", "d"], []] * 8)
    values = word_settings({"constrained": True}, epochs=20)
    classifier = Classifier("encdec", **values).fit(corpus, validation=corpus)
    assert [sorted(labels) for labels in classifier.predict(texts[:4])] == [["c"], ["d"], ["c", "d"], []]
    assert sequences(classifier).taxonomy is None


def test_documents_without_any_label_train() -> None:
    corpus = Corpus.from_lists(["rain", "snow"] * 6, [[]] * 12, Taxonomy.from_edges([(None, "c"), ("c", "d")]))
    assert quick("encdec", corpus).predict(["rain"]) == [[]]


@pytest.mark.parametrize("constrained", [False, True])
def test_a_network_of_nan_ends_its_search_and_says_so(constrained: bool) -> None:
    order = {"label_order": "top_down", "constrained": True} if constrained else {}
    classifier: Any = tiny_fit("sgm", head=order)
    with torch.no_grad():
        next(iter(classifier.system.network.head.decoder.parameters())).fill_(float("nan"))
    with pytest.raises(DataError, match="returns NaN instead of probabilities"):
        classifier.predict(list(tiny_corpus().texts))


def test_tuning_goes_over_to_thresholds() -> None:
    corpus = tiny_corpus()
    classifier = quick("encdec", corpus)
    sources = [classifier.decoding.source]
    classifier.tune()
    sources.append(classifier.decoding.source)
    assert sources == ["auto", "threshold"]
    assert classifier.predict(corpus.texts)


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    with pytest.raises(ConfigError, match="beams is 0; give 1 to 64, or exact"):
        quick("sgm", corpus, {"beams": 0})
    with pytest.raises(ConfigError, match="order_free draws all labels"):
        quick("sgm", corpus, {"objective": "order_free", "sampling": 0.1})
    with pytest.raises(ConfigError, match="reward is of objective=self_critical"):
        quick("sgm", corpus, {"reward": 0.5})
    with pytest.raises(ConfigError, match="scale is of attention=dot"):
        quick("sgm", corpus, {"scale": True})
    with pytest.raises(ConfigError, match=r"head\.units: dot products need a decoder as wide .* 32, not 8"):
        quick("sgm", corpus, {"attention": "dot", "units": 8})
    with pytest.raises(ConfigError, match=r"head\.longest: a training document has \d labels, more than 1"):
        quick("sgm", corpus, {"longest": 1})
    with pytest.raises(ConfigError, match="has a loss of its own"):
        quick("sgm", corpus, loss={"name": "bce"})


def test_a_record_without_the_longest_sequence_is_damage(tiny_encoder: Path) -> None:
    from taxotext.data.tokens import TextTokenizer

    tokenizer = TextTokenizer.learn_words(["cat"], size=5, min_count=1, lowercase=True, punctuation=True)
    for record in ({}, {"longest": "4"}, {"longest": True}, {"longest": -1}):
        context = LabelContext(tiny_corpus().taxonomy, 4, 4, tokenizer, None, record)
        with pytest.raises(ModelFolderError, match=r"head\.longest"):
            _build_sequence(SequenceHeadSettings(), context)


@pytest.mark.parametrize("encoder", ["textcnn", "kim_cnn", "gru_att", "dgcnn"])
def test_any_encoder_over_words_does(encoder: str) -> None:
    corpus = tiny_corpus()
    values = {**word_settings(epochs=1), "encoder": {"name": encoder, "vocabulary": {"min_count": 1}}}
    classifier = Classifier("bert_sgm", **values).fit(corpus, validation=corpus)
    head = sequences(classifier)
    assert head.decoder.units == classifier.system.network.encoder.token_width  # type: ignore[attr-defined]
    assert len(classifier.predict(["cat", ""])) == 2


@pytest.mark.parametrize("beams", [1, 9, "exact"])
def test_the_beam_can_be_changed_without_training_again(beams: Any, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    classifier = quick("encdec", corpus, {"beams": 3})
    classifier.save(tmp_path / "m")
    assert sequences(taxotext.load(tmp_path / "m")).beams == 3
    again = taxotext.load(tmp_path / "m", beams=beams)
    trained_so = quick("encdec", corpus, {"beams": beams})  # the search has no part in this training
    assert sequences(again).beams == sequences(trained_so).beams
    assert again.predict(corpus.texts) == trained_so.predict(corpus.texts)
    again.save(tmp_path / "saved")
    assert sequences(taxotext.load(tmp_path / "saved")).beams == sequences(again).beams


def test_beams_that_cannot_be_are_refused(tmp_path: Path) -> None:
    quick("encdec", tiny_corpus()).save(tmp_path / "m")
    with pytest.raises(ConfigError, match="beams is 65; give 1 to 64, or exact"):
        taxotext.load(tmp_path / "m", beams=65)
    tiny_fit("kim_cnn").save(tmp_path / "words")
    with pytest.raises(ConfigError, match="kim_cnn has no beam search"):
        taxotext.load(tmp_path / "words", beams=5)


def test_the_presets_of_the_papers_set_what_the_papers_say() -> None:
    def of(name: str) -> Any:
        return find(name).Settings.model_validate({"preset": "paper"})

    sgm, encdec, bert = of("sgm"), of("encdec"), of("bert_sgm")
    assert (sgm.encoder.layers, sgm.encoder.units, sgm.head.units, sgm.head.global_embedding) == (2, 256, 512, True)
    assert (sgm.text.max_tokens, sgm.head.loss_per, sgm.training.clip) == (500, "token", 10.0)
    assert (encdec.head.cell, encdec.encoder.cell, encdec.head.global_embedding) == ("gru", "gru", False)
    assert (bert.head.attention, bert.head.query, bert.head.scale, bert.encoder.pooling) == (
        *("dot", "previous", False),
        "cls",
    )
    assert (bert.training.learning_rate, bert.training.batch_size) == (2e-5, 16)
    assert {settings.loss for settings in (sgm, encdec, bert)} == {None}


def test_the_command_line_trains_evaluates_and_predicts(command: Command, tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    values = word_settings(epochs=1)
    given = [
        f"{section}.{key}={value}"
        for section in ("encoder", "head", "training", "text", "runtime")
        for key, value in values[section].items()
        if key != "vocabulary"
    ]
    paths = [f"--{name}={path}" for name, path in data.items()]
    command("train", "--model=sgm", *paths, "--output=model", *given, "seed=3").ok()
    metrics = json.loads(command("evaluate", "model", data["validation"], "--json").ok().out)
    assert 0 <= metrics["micro_f1"] <= 1
    assert len(command("predict", "model", data["validation"]).ok().lines) == 20
    greedy = json.loads(command("evaluate", "model", data["validation"], "--json", "--beams", "1").ok().out)
    model = taxotext.load("model", beams=1)
    assert greedy["micro_f1"] == model.evaluate(taxotext.read_corpus(data["validation"], model.taxonomy))["micro_f1"]
    command("evaluate", "model", data["validation"], "--beams", "1", "--record").refused("--record: the model searches")
    assert "label order" in Path("model/README.md").read_text(encoding="utf-8")
