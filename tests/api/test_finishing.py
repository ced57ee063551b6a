"""What follows a fit: thresholds where they decide, and sentences that say what a tuning brought."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from taxotext import Classifier
from taxotext.api.finishing import Finished, explain, finish, summary, why_untuned
from taxotext.api.runs import train_run
from taxotext.data import write_jsonl
from taxotext.decoding import Decoder, Decoding
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import ConfigError
from taxotext.labels import Taxonomy
from taxotext.metrics import SetMetrics
from taxotext.models.registry import find
from taxotext.settings import parse_settings
from taxotext.store import Manifest
from tiny import Notes, tiny_corpus

SETTINGS: dict[str, Any] = {"features__min_documents": 1, "runtime__threads": 1}


def fitted(tune: bool = True, **settings: Any) -> Classifier:
    return Classifier("linear", **SETTINGS, **settings).fit(tiny_corpus(), tune=tune)


def test_a_fit_ends_with_the_thresholds_that_tune_finds() -> None:
    model, by_hand = fitted(), fitted(tune=False)
    assert by_hand.decoding == Decoding()
    by_hand.tune()
    assert model.decoding == by_hand.decoding
    assert model.decoding.tuned_on == "tiny, 3-fold cross-fitting"


@pytest.mark.parametrize(
    "decoding",
    [{"threshold": 0.3}, {"label_thresholds": {"cats": 0.9}}, {"threshold": None, "top_k": 2}],
)
def test_thresholds_of_the_settings_are_kept(decoding: dict[str, Any]) -> None:
    model = fitted(decoding=decoding)
    assert model.decoding == Decoding.from_dict(decoding)
    assert why_untuned(model.system, model.manifest) == "the settings name thresholds"


def test_a_rule_of_the_settings_is_kept_and_tuned_with() -> None:
    model = fitted(decoding={"consistency": "up", "never_empty": True})
    assert (model.decoding.consistency, model.decoding.never_empty) == ("up", True)
    assert model.decoding.tuned_on is not None


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("sgm", {}, "sgm decides on label sets itself"),
        ("sgm", {"head": {"name": "linear"}}, ""),
        ("kim_cnn", {"head": {"name": "sequence"}}, "kim_cnn decides on label sets itself"),
        ("hitin", {"preset": "paper"}, "the preset of a paper keeps its threshold"),
        ("hitin", {}, ""),
    ],
)
def test_systems_that_decide_and_presets_of_papers_are_left_alone(
    name: str, settings: dict[str, Any], reason: str
) -> None:
    kind, some = find(name), tiny_corpus()
    system = kind(parse_settings(kind.Settings, settings, "test"), some.taxonomy)
    gold = some.known_targets
    manifest = Manifest(system.settings.decoding, held_out=HeldOut(gold.astype(np.float32), gold, "some"))
    assert why_untuned(system, manifest) == reason


def test_without_held_out_labels_nothing_is_tuned_and_that_is_said(tmp_path: Path) -> None:
    model = fitted(tune=False)
    held_out = model.manifest.held_out
    assert held_out is not None
    model.manifest.held_out = replace(held_out, gold=csr_array(held_out.gold.shape, dtype=bool))
    finished = finish(model.system, model.manifest, tune=True)
    assert finished.untuned == "no held-out document has a label"
    text = summary(tmp_path / "m", model.system, model.manifest, finished)
    assert "thresholds  not tuned: no held-out document has a label" in text


@pytest.mark.parametrize(
    ("name", "untuned", "after", "advice"),
    [
        ("linear", "", 0.0, "120 documents: add documents, or check them with taxotext data check."),
        ("kim_cnn", "", 0.0, "120 documents: train linear, which needs fewer (--model linear), or longer (training.ep"),
        ("linear", "as asked for", None, "its thresholds may be too high, find others with taxotext tune m."),
        ("linear", "", 0.1, None),
    ],
)
def test_a_model_that_finds_nothing_says_what_to_do(
    name: str, untuned: str, after: float | None, advice: str | None
) -> None:
    model = fitted()
    model.manifest.trained_on["training_documents"] = 120
    model.system.settings = find(name).Settings()
    found = Finished(untuned, {"micro_f1": 0.0}, {} if after is None else {"micro_f1": after})
    text = summary(Path("m"), model.system, model.manifest, found)
    assert ("The model finds no label of the" in text) == (advice is not None)
    assert (advice or "") in text


def test_the_summary_has_documents_labels_metrics_before_and_after_and_the_next_step(tmp_path: Path) -> None:
    write_jsonl(tiny_corpus(), tmp_path / "train.jsonl")
    values = {
        "model": "linear",
        "data": {"train": str(tmp_path / "train.jsonl")},
        "features": {"min_documents": 1},
        "classifier": {"c": 0.02},  # far from 0.5
        "runtime": {"threads": 1},
    }
    notes = Notes()
    model = train_run(values, tmp_path / "model", reporter=notes)
    text = notes.sentences[-1]
    assert re.search(r"model +linear, 7 labels\n", text)
    assert re.search(r"documents +60, \d+\.\d s\n", text)
    assert "held out    all 60 in turn (train.jsonl, 3-fold cross-fitting)" in text
    assert text.endswith(f"Wrote {tmp_path / 'model'}. Next: taxotext evaluate {tmp_path / 'model'} TEST_FILE")
    found = re.search(r"micro_f1 +(0\.\d{4})   (0\.\d{4})", text)
    assert found is not None
    before, after = map(float, found.groups())
    held_out, report = model.manifest.held_out, model.manifest.metrics["tuning"]
    assert held_out is not None
    by_hand = SetMetrics(7)
    by_hand.update(held_out.gold, Decoder(Decoding(), model.taxonomy).sets(held_out.scores))
    assert before == pytest.approx(by_hand.compute()["micro_f1"], abs=1e-4)
    assert after == pytest.approx(report["cross_validated"], abs=1e-4)
    assert before < after <= report["after"] + 1e-4

    untuned = Notes()
    again = train_run(values, tmp_path / "untuned", tune=False, reporter=untuned)
    assert again.decoding == Decoding()
    assert "not tuned: as asked for" in untuned.sentences[-1]


def two_levels(rule: str) -> Classifier:
    """A model of two labels whose held-out scores ``up`` spoils: the child is often there without its parent."""
    taxonomy = Taxonomy.from_edges([("science", "physics")], labels=["science"])
    random = np.random.default_rng(2)
    gold = np.stack([random.random(300) < 0.2, random.random(300) < 0.5], 1)
    raw = np.where(gold, [0.9, 0.8], [0.3, 0.2]) + random.normal(0, 0.05, gold.shape)
    model = Classifier("linear", **SETTINGS).fit(
        ["a b", "b c", "c d", "d a"], [["science"], ["physics"], ["science"], []], taxonomy=taxonomy, tune=False
    )
    scores = csr_array(np.clip(raw, 0.01, 0.99).astype(np.float32))
    model.manifest.held_out = HeldOut(scores, csr_array(gold), "hard documents")
    model.decoding = Decoding.from_dict({"consistency": rule})
    return model


def test_a_fall_is_never_told_without_its_reason() -> None:
    model = two_levels("none")
    report = model.tune(consistency="up")
    assert report.cross_validated is not None
    assert report.cross_validated < report.before
    first, reason = explain(report)
    assert f"micro_f1: {report.before:.4f} before; {report.after:.4f} after, {report.cross_validated:.4f} in" in first
    assert reason.startswith("The fall comes from consistency up: without it cross-validation gives ")
    assert f"{report.by_consistency['none']:.4f}" in reason


def test_auto_takes_the_rule_that_does_best_in_cross_validation() -> None:
    model = two_levels("up")
    report = model.tune(consistency="auto")
    assert set(report.by_consistency) == {"up", "down", "none"}
    assert report.consistency == model.decoding.consistency == "none"
    assert report.cross_validated == max(report.by_consistency.values())
    alone = {rule: two_levels("none").tune(consistency=rule).cross_validated for rule in ("up", "down", "none")}  # type: ignore[arg-type]  # a literal
    assert alone == report.by_consistency
    flat = Classifier("linear", **SETTINGS).fit(["a b", "b c", "c a"] * 4, [["x"], ["y"], []] * 4)
    assert flat.tune(consistency="auto").by_consistency.keys() == {"none"}


def test_the_metric_before_is_called_optimistic_where_it_is() -> None:
    model = fitted()
    report = model.tune()
    assert report.before_tuned_here
    assert "before, with thresholds that were tuned on these documents;" in explain(report)[0]
    assert len(explain(report)) == 1


def test_label_sets_of_a_head_that_decides_are_what_is_predicted() -> None:
    corpus = tiny_corpus()
    encoder = {"embedding_width": 8, "filters": 4, "vocabulary": {"min_count": 1}}
    model = Classifier(
        "kim_cnn",
        encoder=encoder,
        head={"name": "sequence"},
        training={"epochs": 1},
        decoding={"source": "system"},
        runtime={"device": "cpu"},
    ).fit(corpus, validation=corpus)
    sets = [block.sets.toarray() for block in model.system.scores(corpus.texts) if block.sets is not None]
    found = np.concatenate([predicted.toarray() for predicted, _ in model.decode_stream(corpus.texts)])
    assert (found == np.concatenate(sets)).all()
    with pytest.raises(ConfigError, match=r"decoding.source is system, but the system decides no label sets itself"):
        Classifier("sgm", head={"name": "linear"}, decoding={"source": "system"}).fit(corpus, validation=corpus)
