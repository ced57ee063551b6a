"""``gru_att`` and ``htrans`` over a pretrained encoder: frozen and shared, with a body or adapters for each label."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import taxotext
from interrupted import check_same_model, cut_at
from models.harness import check_facts, check_folder, check_scores
from sealing import seal
from taxotext import Classifier
from taxotext.data.batches import make_batch
from taxotext.errors import ConfigError, DataError, MissingExtraError, ModelFolderError
from taxotext.models.registry import find
from taxotext.nn.encoders.states import GruStates, PooledStates
from taxotext.nn.label_networks import LabelNetwork, LabelNetworks
from taxotext.training import RunFolder, states
from taxotext.training.states import progress_file, states_file, write_states
from tiny import WIDTH, Notes, make_encoder, overlaid, tiny_corpus, tiny_settings, tiny_taxonomy, tiny_words

FILES = ("encoder.json", "tokenizer.json", "weights.safetensors", "class_weights.json", "fits.json")
FACTS = ("body", "parameters_of_a_label", "encoder_source", "encoder_sha256")
BODIES: dict[str, dict[str, Any]] = {
    "gru": {"name": "gru", "units": 8, "dropout": 0.1},
    "pooling": {"name": "pooling", "units": 8},
    "lora": {"name": "lora", "rank": 4},
}


def settings(folder: Path | str, body: str | None, /, **sections: Any) -> dict[str, Any]:
    values = tiny_settings(
        "htrans", folder, weights={"candidates": [1.0]}, training={"epochs": 2, "learning_rate": 1e-2}
    )
    if body is not None:
        values["body"] = BODIES[body]
    return overlaid(values, **sections)


@pytest.fixture(scope="module", params=list(BODIES))
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, Any]:
    """A classifier whose encoder is gone, and the state that this had."""
    from transformers import AutoModel

    source = make_encoder(tmp_path_factory.mktemp("source") / "encoder", tiny_words())
    pretrained = AutoModel.from_pretrained(source).state_dict()
    corpus = tiny_corpus()
    values = settings(source, request.param, weights={"candidates": [1.0, 3.0], "rungs": [1]})
    classifier = Classifier("htrans", **values).fit(corpus, validation=corpus)
    shutil.rmtree(source)
    return classifier, {name: values for name, values in pretrained.items() if not name.startswith("pooler.")}


def own(classifier: Classifier, label: str) -> dict[str, torch.Tensor]:
    networks: Any = classifier.system.network  # type: ignore[attr-defined]
    return {name: values[classifier.taxonomy.index(label)] for name, values in networks.each.items()}


# -- a model -------------------------------------------------------------------------------------------------------


def test_scores_facts_and_folder_are_those_of_every_system(fitted: tuple[Classifier, Any], tmp_path: Path) -> None:
    classifier, _ = fitted
    check_scores(classifier, tiny_corpus().texts)
    check_facts(classifier, FACTS)
    check_folder(classifier, tmp_path, tiny_corpus(), files=FILES)


def test_the_encoder_is_unchanged_and_stored_once(fitted: tuple[Classifier, Any], tmp_path: Path) -> None:
    classifier, pretrained = fitted
    classifier.save(tmp_path / "m")
    stored = load_file(tmp_path / "m" / "weights.safetensors")
    base = {name.removeprefix("base.model."): values for name, values in stored.items() if name.startswith("base.")}
    assert base.keys() == pretrained.keys()
    assert all(np.array_equal(base[name], pretrained[name].numpy()) for name in base)
    rest = {name: values for name, values in stored.items() if not name.startswith("base.")}
    assert all(len(values) == len(classifier.taxonomy) for values in rest.values())
    facts = classifier.system.facts()
    of_labels = sum(values.size for name, values in rest.items() if name != "table_of")
    assert facts["parameters"] == of_labels + sum(values.size for values in base.values())
    assert facts["parameters_of_a_label"] == of_labels / 7


def test_every_label_has_weights_of_its_own(fitted: tuple[Classifier, Any]) -> None:
    classifier, _ = fitted
    each = classifier.system.network.each  # type: ignore[attr-defined]
    if classifier.settings_().body.name == "lora":
        assert {name.rpartition(".lora_")[2] for name in each if "lora" in name} == {
            "A.default.weight",
            "B.default.weight",
        }
        assert all("lora" in name or name.startswith("head.") for name in each)
    for name, values in each.items():
        for label in range(1, 7):
            assert not torch.equal(values[0], values[label]), name


def test_damaged_weights_of_the_encoder_are_named(fitted: tuple[Classifier, Any], tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    fitted[0].save(tmp_path / "m")
    path = tmp_path / "m" / "weights.safetensors"
    stored = load_file(path)
    name = next(name for name in stored if name.startswith("base."))
    del stored[name]
    save_file(stored, path)
    seal(tmp_path / "m")
    with pytest.raises(ModelFolderError, match=f"{name}: missing"):
        taxotext.load(tmp_path / "m")


def test_thresholds_calibration_and_consistency_work_on_top(fitted: tuple[Classifier, Any], tmp_path: Path) -> None:
    fitted[0].save(tmp_path / "m")
    classifier, corpus = taxotext.load(tmp_path / "m"), tiny_corpus()
    before = classifier.evaluate(corpus)["macro_f1"]
    classifier.tune(metric="macro_f1", method="label", shrink=0.0, calibration="temperature")
    assert classifier.evaluate(corpus)["macro_f1"] >= before
    classifier.decoding = classifier.decoding.model_copy(update={"consistency": "up"})
    taxonomy = classifier.taxonomy
    scores = classifier.predict_proba(corpus.texts)
    for label in range(len(taxonomy)):
        for parent in taxonomy.parents(label):
            assert (scores[:, parent] >= scores[:, label] - 1e-6).all()


# -- many labels at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["gru", "pooling"])
@pytest.mark.parametrize("windows", [1, 5])
def test_all_labels_together_answer_as_one_by_one(body: str, windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = GruStates(6, 4, 0.3) if body == "gru" else PooledStates(6, 4, 0.3)
    one = LabelNetwork(module, "mean", frozenset())
    each = {name: torch.randn(5, *values.shape) for name, values in one.own_state().items()}

    class Base(torch.nn.Module):
        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> Any:
            return type("Features", (), {"tokens": torch.sin(ids.unsqueeze(-1) * torch.arange(1, 7))})

    networks = LabelNetworks(one, [], torch.zeros(5, dtype=torch.int64), each, Base())
    ids = torch.randint(0, 9, (windows, 7))
    mask = torch.arange(7) < torch.randint(1, 8, (windows, 1))
    owner = torch.tensor([0, 0, 1, 2, 2])[:windows]
    documents = int(owner[-1]) + 1
    inputs = networks.read(ids, mask)
    assert not inputs[~mask].any()
    assert torch.equal(inputs, inputs.half().float()), "what is computed at use has 16 bits, as in training"
    with torch.inference_mode():
        one_by_one = networks.one_by_one(inputs, mask, owner, documents)
        stacked = networks.stacked(inputs, mask, owner, documents)
        monkeypatch.setattr("taxotext.nn.label_networks.STACKED_NUMBERS", 1)
        some = networks.stacked(inputs, mask, owner, documents)
        answer = networks(ids, mask, owner, documents)
    torch.testing.assert_close(stacked, one_by_one, atol=1e-5, rtol=0)
    torch.testing.assert_close(some, one_by_one, atol=1e-5, rtol=0)
    torch.testing.assert_close(answer, one_by_one, atol=1e-5, rtol=0)
    assert one_by_one.std() > 0


# -- inheritance ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", list(BODIES))
@pytest.mark.parametrize("fresh_head", [True, False])
def test_a_label_starts_from_body_or_adapters_of_its_parent(body: str, fresh_head: bool, tiny_encoder: Path) -> None:
    """With learning rates of next to nothing, what was taken over can be seen in the result."""
    still = settings(
        tiny_encoder,
        body,
        training={"epochs": 1, "learning_rate": 1e-12},
        transfer={"body_learning_rate": 1e-12, "fresh_head": fresh_head, "shrink": 1.0, "perturb": 0.0},
    )
    classifier = Classifier("htrans", **still).fit(tiny_corpus(), validation=tiny_corpus())
    parent, child, other = own(classifier, "animals"), own(classifier, "cats"), own(classifier, "food")
    taken = [name for name in parent if not name.startswith("head.")]
    assert taken
    assert all(torch.allclose(parent[name], child[name], atol=1e-6) for name in taken)
    drawn = [name for name in taken if "bias" not in name and ".lora_B." not in name]
    assert not any(torch.allclose(parent[name], other[name], atol=1e-3) for name in drawn)
    same = torch.allclose(parent["head.output.weight"], child["head.output.weight"], atol=1e-6)
    assert same != fresh_head


# -- states --------------------------------------------------------------------------------------------------------


@pytest.fixture
def system(tiny_encoder: Path) -> Any:
    kind = find("htrans")
    found: Any = kind(kind.Settings.model_validate(settings(tiny_encoder, "pooling")), tiny_taxonomy())
    found.build(tiny_corpus())
    return found


def test_states_are_those_of_the_encoder_and_are_computed_once(
    system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "BLOCK", 7)
    texts = tiny_corpus().texts[:20]
    windows = system.windows(texts)
    reporter = Notes()
    write_states(system, {"train": windows}, tmp_path, reporter)
    assert any("States of the encoder" in note for note in reporter.sentences)
    found = np.load(states_file(tmp_path, "train"), mmap_mode="r")
    assert found.dtype == np.float16
    assert found.shape == (windows.tokens.offsets[-1], WIDTH)
    for document in range(len(texts)):
        ids = torch.from_numpy(windows.tokens[document].astype(np.int64)).unsqueeze(0)
        with torch.inference_mode():
            expected = system.built.module(ids, torch.ones_like(ids, dtype=torch.bool)).tokens[0].numpy()
        first, last = windows.tokens.offsets[document : document + 2]
        np.testing.assert_allclose(found[first:last], expected, atol=2e-3)
    monkeypatch.setattr(states, "_encode", None)
    write_states(system, {"train": windows}, tmp_path, reporter)


def watched_starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """First documents of the blocks that are encoded from now on."""
    encode, starts = states._encode, []

    def watched(system: Any, windows: Any, start: int, stop: int) -> Any:
        starts.append(start)
        return encode(system, windows, start, stop)

    monkeypatch.setattr(states, "_encode", watched)
    return starts


@pytest.mark.parametrize("damage", ["none", "more", "less", "other encoder", "other header", "windows"])
def test_states_go_on_from_what_is_sure_and_from_nothing_else(
    damage: str, system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "BLOCK", 10)
    windows = {"train": system.windows(tiny_corpus().texts)}
    write_states(system, windows, tmp_path / "whole", Notes())
    with cut_at(states, "_encode", when=lambda system, windows, start, stop: start == 30):
        write_states(system, windows, tmp_path / "cut", Notes())
    path = states_file(tmp_path / "cut", "train")
    part = path.with_suffix(".part")
    assert not path.exists(), "a half file must not look like a whole one"
    if damage == "more":
        with part.open("ab") as file:
            file.write(b"half a block")
    elif damage == "less":
        part.write_bytes(part.read_bytes()[:-100])
    elif damage == "other header":
        part.write_bytes(b"\x93NUMPY\x01\x00" + bytes(60) + part.read_bytes()[68:])
    elif damage == "windows":
        note = progress_file(tmp_path / "cut", "train")
        note.write_text(json.dumps({**json.loads(note.read_text()), "windows": -7}))
    elif damage == "other encoder":
        system.built.record["sha256"] = "another"
    starts = watched_starts(monkeypatch)
    write_states(system, windows, tmp_path / "cut", Notes())
    assert starts == ([30, 40, 50] if damage in {"none", "more"} else [0, 10, 20, 30, 40, 50])
    assert path.read_bytes() == states_file(tmp_path / "whole", "train").read_bytes()


def test_a_training_that_is_cut_while_states_are_computed_goes_on_to_the_same_model(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "BLOCK", 25)
    values, corpus = settings(tiny_encoder, "pooling", training={"epochs": 1}), tiny_corpus()
    whole = Classifier("htrans", **values).fit(corpus, validation=corpus)
    starts = watched_starts(monkeypatch)
    with cut_at(states, "_encode", 3):
        Classifier("htrans", **values).fit(corpus, validation=corpus, run=RunFolder(tmp_path / "m.run", {}))
    run = RunFolder(tmp_path / "m.run", {}, resume=True)
    assert run.resumed
    resumed = Classifier("htrans", **values).fit(corpus, validation=corpus, run=run)
    assert starts == [0, 25, 50, 0, 25, 50]  # training documents, then validation documents
    check_same_model(resumed, whole)


def test_an_encoder_that_changes_during_a_training_is_refused(tmp_path: Path) -> None:
    source = make_encoder(tmp_path / "encoder", tiny_words())
    values, corpus = settings(source, "pooling", training={"epochs": 1}), tiny_corpus()
    run = RunFolder(tmp_path / "m.run", {})
    Classifier("htrans", **values).fit(corpus, validation=corpus, run=run)
    make_encoder(source, tiny_words(), seed=1)
    with pytest.raises(ConfigError, match=r"encoder.source.*has changed since the training began"):
        Classifier("htrans", **values).fit(
            corpus, validation=corpus, run=RunFolder(tmp_path / "m.run", {}, resume=True)
        )


def test_a_disk_without_room_is_found_out_before(system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(ConfigError, match=r"need 0 MiB in .*body.name=lora"):
        write_states(system, {"train": system.windows(tiny_corpus().texts)}, tmp_path, Notes())


def test_an_encoder_that_answers_with_nan_is_named(system: Any, tmp_path: Path) -> None:
    with torch.no_grad():
        next(system.built.module.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match="returns NaN"):
        write_states(system, {"train": system.windows(tiny_corpus().texts)}, tmp_path, Notes())


@pytest.mark.parametrize("mode", ["head_tail", "chunk_mean"])
def test_long_texts_are_read_in_pieces(mode: str, tiny_encoder: Path, tmp_path: Path) -> None:
    values = settings(tiny_encoder, "pooling", text={"max_tokens": 8, "long_text": mode, "max_chunks": 3})
    values["training"]["epochs"] = 1
    classifier = Classifier("gru_att", **values).fit(tiny_corpus(), validation=tiny_corpus())
    system: Any = classifier.system
    texts = [*tiny_corpus().texts[:3], "cat barks trout " * 20]
    batch = make_batch(system.windows(texts), np.arange(len(texts)), system.tokenizer.pad_id)
    assert (len(batch.ids) > len(texts)) == (mode == "chunk_mean")
    check_folder(classifier, tmp_path, tiny_corpus(), files=FILES)


# -- adapters ------------------------------------------------------------------------------------------------------


def test_fits_read_the_shared_encoder_from_its_file_and_leave_it_alone(tiny_encoder: Path, tmp_path: Path) -> None:
    from taxotext.binary.shared import fit_network, save_base

    kind = find("htrans")
    system: Any = kind(kind.Settings.model_validate(settings(tiny_encoder, "lora")), tiny_taxonomy())
    system.build(tiny_corpus())
    save_base(system.built.module, tmp_path)
    network = fit_network(system.settings, system.built.record, system.tokenizer, tmp_path)
    trained = {name for name, values in network.named_parameters() if values.requires_grad}
    assert trained == network.own_state().keys()
    expected = system.built.module.state_dict()
    for name in network.shared:
        plain = name.removeprefix("encoder.").replace(".base_layer.", ".")
        assert torch.equal(network.state_dict()[name], expected[plain])
    ids = torch.randint(4, 20, (2, 6))
    mask = torch.ones_like(ids, dtype=torch.bool)
    network.eval()
    with torch.inference_mode():
        found, known = network.encoder(ids, mask).pooled, system.built.module.eval()(ids, mask).pooled
    torch.testing.assert_close(found, known, msg="new adapters change nothing")


@pytest.mark.parametrize("fitted", ["lora"], indirect=True)
def test_without_peft_the_extra_is_named(
    fitted: tuple[Classifier, Any], tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted[0].save(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "peft", None)
    sentence = r"need peft; install it with `pip install 'taxotext\[peft\]'`"
    with pytest.raises(MissingExtraError, match=sentence):
        Classifier("htrans", **settings(tiny_encoder, "lora")).fit(tiny_corpus(), validation=tiny_corpus())
    with pytest.raises(MissingExtraError, match=sentence):
        taxotext.load(tmp_path / "m")


def test_layers_that_are_not_there_are_named(tiny_encoder: Path) -> None:
    values = settings(tiny_encoder, "lora", body={"name": "lora", "modules": ["q_proj"]})
    with pytest.raises(ConfigError, match=r"body.modules: .*q_proj"):
        Classifier("htrans", **values).fit(tiny_corpus(), validation=tiny_corpus())


# -- settings ------------------------------------------------------------------------------------------------------


def test_the_body_is_recorded_and_is_none_over_words(tiny_encoder: Path) -> None:
    def of(**given: Any) -> Any:
        return Classifier("htrans", **given).settings_()

    assert of().body is None
    assert of(encoder={"name": "transformer"}).body.name == "gru"
    assert of(encoder={"name": "transformer"}, body={"units": 8}).body.units == 8
    assert of(encoder={"name": "transformer"}, body={"name": "lora"}).body.rank == 8
    with pytest.raises(ConfigError, match="gru_att is an encoder over words and needs no body"):
        of(body={"name": "pooling"})
    with pytest.raises(ConfigError, match=r"body.rank: unknown key"):
        of(encoder={"name": "transformer"}, body={"name": "gru", "rank": 3})


def test_more_tokens_than_the_encoder_takes_are_refused(tiny_encoder: Path) -> None:
    with pytest.raises(ConfigError, match=r"text.max_tokens: the encoder takes 64 tokens at most, not 100"):
        Classifier("htrans", **settings(tiny_encoder, "gru", text={"max_tokens": 100})).fit(
            tiny_corpus(), validation=tiny_corpus()
        )


def test_memory_counts_what_the_model_holds(fitted: tuple[Classifier, Any]) -> None:
    system: Any = fitted[0].system
    classifiers, _ = system.memory(tiny_corpus(), None)
    held = sum(values.nbytes for values in system.network.state_dict().values())
    assert classifiers.size == pytest.approx(held, rel=0.1)  # the encoder once, not once a label


def test_a_training_that_cannot_fit_is_refused(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxotext.cost.memory.available", lambda: 10**5)
    with pytest.raises(ConfigError, match=r"runtime.threads"):
        Classifier("htrans", **settings(tiny_encoder, "pooling")).fit(tiny_corpus(), validation=tiny_corpus())


def test_the_model_folder_says_what_it_is(fitted: tuple[Classifier, Any], tmp_path: Path) -> None:
    classifier, _ = fitted
    classifier.save(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text(encoding="utf-8"))
    assert config["settings"]["body"]["name"] == classifier.settings_().body.name
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert classifier.system.facts()["encoder_sha256"] in card


def test_a_shared_encoder_is_frozen_without_being_asked() -> None:
    with pytest.raises(ConfigError, match=r"encoder\.trainable: the labels share the encoder, which is frozen"):
        Classifier("htrans", encoder={"name": "transformer", "trainable": False}).settings_()
