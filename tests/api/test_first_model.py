"""The model of a user who names no system: what is trained, compared, kept, said, and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from interrupted import cut_at
from taxotext import Classifier
from taxotext.api import choice, first_model
from taxotext.api.choice import Plan
from taxotext.api.first_model import compare
from taxotext.api.runs import train_run
from taxotext.data import write_jsonl
from taxotext.decoding import Decoder
from taxotext.decoding.heldout import HeldOut
from taxotext.labels import write_taxonomy
from taxotext.metrics.significance import paired_bootstrap
from taxotext.progress import Silent
from taxotext.store import Manifest
from taxotext.training import network
from tiny import Notes, tiny_corpus, tiny_settings


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    corpus = tiny_corpus()
    write_jsonl(corpus, tmp_path / "train.jsonl")
    write_taxonomy(corpus.taxonomy, tmp_path / "taxonomy.tsv")
    data = {"train": str(tmp_path / "train.jsonl"), "taxonomy": str(tmp_path / "taxonomy.tsv")}
    return {"data": data, "seed": 3, "validation": {"fraction": 0.25}, "runtime": {"threads": 1, "device": "cpu"}}


@pytest.fixture
def planned(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """``bert`` is a tiny one; the budgets that it was planned for."""
    tiny = tiny_settings("bert", tiny_encoder, training={"epochs": 2, "checkpoint_minutes": 0})
    settings = {key: value for key, value in tiny.items() if key in {"text", "encoder", "training", "head"}}
    budgets: list[float] = []

    def plan(train: Any, validation: int, given: Any, budget: float) -> Plan:
        budgets.append(budget)
        return Plan(settings, (0.1, 0.2), "bert would take less than a minute.")

    monkeypatch.setattr(choice, "_encoder_at_hand", lambda: True)
    monkeypatch.setattr(first_model, "plan", plan)
    return budgets


def test_both_are_trained_compared_on_the_same_documents_and_said(
    values: dict[str, Any], planned: list[float], tmp_path: Path
) -> None:
    notes = Notes()
    model = train_run(values, tmp_path / "model", budget=7, reporter=notes)
    assert planned == [7]
    made = model.manifest.metrics["choice"]
    assert made["documents"] == 15
    assert made["model"] == model.model == "linear"  # two epochs of a tiny encoder learn nothing
    assert any(
        sentence.startswith("Kept linear: micro-F1 on 15 held-out documents")
        and f"bert {made['micro_f1']['bert']:.4f}, linear {made['micro_f1']['linear']:.4f}" in sentence
        for sentence in notes.sentences
    )
    assert model.manifest.trained_on["training_documents"] == 60  # the linear model that is kept has seen all of them
    assert model.decoding.tuned_on is not None
    assert sorted(path.name for path in (tmp_path / "model.run").iterdir()) == ["logs"]


def test_bert_is_kept_with_its_plan_and_is_known_as_finished(
    values: dict[str, Any], planned: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_model, "compare", lambda *_: {"model": "bert", "reason": "Kept bert."})
    model = train_run(values, tmp_path / "model", reporter=Silent())
    assert model.model == "bert"
    assert model.manifest.metrics["choice"]["settings"]["training"]["epochs"] == 2
    notes = Notes()
    again = train_run(values, tmp_path / "model", resume=True, reporter=notes)
    assert again.model == "bert"
    assert "finished already" in notes.sentences[-1]


def test_an_interrupted_choice_goes_on_where_it_was(
    values: dict[str, Any], planned: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cut_at(network, "load_weights"):
        train_run(values, tmp_path / "model", reporter=Silent())
    assert (tmp_path / "model.run/checkpoints/linear/config.json").is_file()
    assert json.loads((tmp_path / "model.run/checkpoints/plan.json").read_text())["minutes"] == [0.1, 0.2]
    fitted: list[str] = []
    original = first_model.fit_system

    def noted(kind: Any, *arguments: Any, **named: Any) -> Any:
        fitted.append(kind.name)
        return original(kind, *arguments, **named)

    monkeypatch.setattr(first_model, "fit_system", noted)
    notes = Notes()
    model = train_run(values, tmp_path / "model", resume=True, reporter=notes)
    assert fitted == ["bert"]
    assert len(planned) == 1
    assert any("Continuing the training" in sentence for sentence in notes.sentences)
    undisturbed = train_run(values, tmp_path / "undisturbed", reporter=Silent())
    assert model.manifest.metrics["choice"] == undisturbed.manifest.metrics["choice"]


def test_without_an_encoder_linear_is_all(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_encoder_at_hand", lambda: False)
    notes = Notes()
    model = train_run(values, tmp_path / "model", reporter=notes)
    assert model.model == "linear"
    assert any("no encoder is installed" in sentence for sentence in notes.sentences)
    assert "no encoder" in model.manifest.metrics["choice"]["reason"]


def test_a_hopeless_quick_look_saves_the_training(
    values: dict[str, Any], planned: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_model, "LOOK_FROM", 0.0)
    monkeypatch.setattr(first_model, "HOPELESS", 2.0)  # whatever it sees
    tiny = first_model.plan(None, 0, {}, 1).settings  # type: ignore[arg-type]  # of the fixture
    assert tiny is not None
    quick = {**tiny, "training": {"epochs": 1}, "encoder": {**tiny["encoder"], "trainable": False}}
    monkeypatch.setattr(first_model, "frozen", lambda *_: quick)
    notes = Notes()
    model = train_run(values, tmp_path / "model", reporter=notes)
    assert model.model == "linear"
    assert any(sentence.startswith("Quick look at 45 documents: micro-F1 ") for sentence in notes.sentences)
    assert "bert is not worth" in model.manifest.metrics["choice"]["reason"]
    assert not list((tmp_path / "model.run").glob("logs/csv/*")) if (tmp_path / "model.run").exists() else True


def held(scores: Any, gold: Any) -> tuple[Any, Manifest]:
    """A model with these held-out scores."""
    model = Classifier("linear", features__min_documents=1).fit(["a b", "b c", "c a"], [["x"], ["y"], []], tune=False)
    model.manifest.held_out = HeldOut(csr_array(scores.astype(np.float32)), csr_array(gold), "held-out documents")
    return model.system, model.manifest


def test_bert_is_kept_only_where_its_gain_is_beyond_chance() -> None:
    random = np.random.default_rng(0)
    gold = random.random((200, 2)) < 0.4

    def noisy(amount: float, rows: int = 200) -> tuple[Any, Manifest]:
        scores = np.clip(np.where(gold, 0.8, 0.2) + random.normal(0, amount, gold.shape), 0.01, 0.99)
        return held(scores[:rows], gold[:rows])

    better = compare(noisy(0.15), noisy(0.5))
    assert better["model"] == "bert"
    assert better["interval"][0] > 0
    assert better["micro_f1"]["bert"] > better["micro_f1"]["linear"]
    alike = compare(noisy(0.3), noisy(0.3))
    assert alike["model"] == "linear"
    assert alike["interval"][0] < 0 < alike["interval"][1]
    assert compare(noisy(0.28, 12), noisy(0.33, 12))["model"] == "linear"  # too few documents to know
    assert compare(noisy(0.1, 1), noisy(0.5, 1))["reason"].startswith("Kept linear: there are too few held-out")


def test_the_interval_is_that_of_sets_tuned_on_other_documents() -> None:
    random = np.random.default_rng(1)
    gold = random.random((60, 2)) < 0.4
    models = [
        held(np.clip(np.where(gold, 0.7, 0.3) + random.normal(0, amount, gold.shape), 0.01, 0.99), gold)
        for amount in (0.2, 0.4)
    ]
    found = compare(*models)
    before = [manifest.decoding for _, manifest in models]
    sets = []
    for system, manifest in models:
        model = Classifier._restored(system, manifest)
        report = model.tune()
        sets.append(report.cross_validated_sets)
        assert report.cross_validated in found["micro_f1"].values()
    by_hand = paired_bootstrap(csr_array(gold), sets[0], sets[1], "micro_f1")  # type: ignore[arg-type]  # there are sets
    assert found["interval"] == [by_hand.low, by_hand.high]
    assert all(Decoder(one, models[0][0].taxonomy).thresholds.tolist() == [0.5, 0.5] for one in before)
