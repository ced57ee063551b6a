"""``taxotext tune``: thresholds from held-out documents, and a sentence for what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from command import SAMPLE, Command, documents
from taxotext import load


def test_thresholds_are_found_and_written(command: Command, model: Path) -> None:
    outcome = command("tune", model).ok()
    assert outcome.out == ""
    assert f"Wrote {model}" in outcome.err
    decoding = load(model).decoding
    assert decoding.tuned_on == "validation file validation.jsonl"
    assert decoding.metric == "micro_f1"
    assert "validation.jsonl" in (model / "README.md").read_text(encoding="utf-8")


def test_the_report_is_one_json_object(command: Command, model: Path) -> None:
    report = json.loads(command("tune", model, "--json", "--metric=macro_f1", "--method=level").ok().out)
    assert (report["metric"], report["method"], report["documents"]) == ("macro_f1", "level", 68)
    assert len(report["level_thresholds"]) == 3
    assert report["after"] >= report["before"]


def test_thresholds_come_from_a_file_when_one_is_named(command: Command, model: Path) -> None:
    command("tune", model, "--data", SAMPLE / "validation.jsonl", "--consistency=up", "--never-empty").ok()
    decoding = load(model).decoding
    assert (decoding.consistency, decoding.never_empty) == ("up", True)
    assert str(decoding.tuned_on).endswith("validation.jsonl")


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
@pytest.mark.parametrize("by", ["all", "label"])
def test_probabilities_are_calibrated_stored_and_used(method: str, by: str, command: Command, model: Path) -> None:
    texts = ["The printer is jammed again", "I cannot log in", "Invoice 12 is wrong"]
    before = load(model).predict_proba(texts)
    outcome = command("tune", model, "--calibration", method, "--calibration-by", by, "--json").ok()
    report = json.loads(outcome.out)["calibration"]
    assert (report["method"], report["by"]) == (method, by)
    assert report["log_loss_after"] < report["log_loss_before"]
    loaded = load(model)
    assert (loaded.decoding.calibration, loaded.decoding.calibration_by) == (method, by)
    assert f"calibrated: {method}, {by}." in (model / "README.md").read_text(encoding="utf-8")
    calibrated = loaded.predict_proba(texts)
    assert not np.allclose(calibrated, before)
    for column in range(before.shape[1]):  # the order of the documents of a label stays
        order = np.argsort(before[:, column], kind="stable")
        assert (np.diff(calibrated[order, column]) >= 0).all()
    first = (model / "decoding.json").read_bytes()
    command("tune", model).ok()  # the kind of calibration is kept, and fitted anew
    assert (model / "decoding.json").read_bytes() == first
    command("tune", model, "--calibration=none", "--calibration-by=all").ok()
    assert np.array_equal(load(model).predict_proba(texts), before)


def test_the_gain_of_a_calibration_is_told(command: Command, model: Path) -> None:
    outcome = command("tune", model, "--calibration=isotonic").ok()
    assert "Calibrated (isotonic, all): log loss 0." in outcome.err


def test_thresholds_lie_above_what_was_not_kept(command: Command, model: Path) -> None:
    """Scores below the floor are corrected too when the model is used: no threshold may lie among them."""
    from taxotext.decoding import Calibration
    from taxotext.decoding.heldout import FLOOR

    command("tune", model, "--calibration=temperature", "--metric=macro_f1", "--shrink=0").ok()
    loaded = load(model)
    lowest = Calibration(loaded.decoding, loaded.taxonomy).highest(FLOOR)
    assert min(loaded.decoding.label_thresholds.values()) > lowest


def test_tuning_twice_gives_the_same(command: Command, model: Path) -> None:
    command("tune", model).ok()
    first = (model / "decoding.json").read_bytes()
    command("tune", model).ok()
    assert (model / "decoding.json").read_bytes() == first


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--metric=f1"], "metric"),
        (["--metric=micro-f1"], "Did you mean 'micro_f1'?"),
        (["--method=labels"], "Did you mean 'label'?"),
        (["--shrink=much"], "--shrink: 'much' is not a number; give one, such as 10, or auto"),
        (["--shrink=-1"], "shrink"),
        (["--shrink=nan"], "shrink"),
        (["--shrink=inf"], "shrink"),
        (["--calibration=platt"], "calibration: 'platt' is not known; choose from 'none', 'temperature' or"),
        (["--calibration-by=labels"], "Did you mean 'label'?"),
        (["--consistency=both"], "consistency: 'both' is not known; choose from 'none', 'up' or 'down'"),
        (["--data=nope.jsonl"], "nope.jsonl: no such file"),
        (["--data=empty.jsonl"], "empty.jsonl: the file is empty"),
        (["--data=unlabelled.jsonl"], "there is no field 'labels'"),
        (["--data=none.jsonl"], "no document has a label; thresholds cannot be tuned on these data"),
        (["--dta=none.jsonl"], "there is no option '--dta'. Did you mean '--data'?"),
        (["--device=gpu"], "'gpu' is not a device"),
    ],
)
def test_mistakes_are_answered_with_a_sentence_and_change_nothing(
    options: list[str], sentence: str, command: Command, model: Path
) -> None:
    Path("empty.jsonl").write_text("", encoding="utf-8")
    Path("unlabelled.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    Path("none.jsonl").write_text('{"text": "a", "labels": []}\n', encoding="utf-8")
    before = {path: path.read_bytes() for path in model.iterdir()}
    command("tune", model, *options).refused(sentence)
    assert {path: path.read_bytes() for path in model.iterdir()} == before


def test_a_file_with_none_of_the_labels_cannot_tune(command: Command, model: Path) -> None:
    Path("other.jsonl").write_text(documents(), encoding="utf-8")
    command("tune", model, "--data=other.jsonl").refused("no document has a label")


def test_a_model_must_be_named(command: Command) -> None:
    command("tune").refused("taxotext tune: missing argument 'model'")
    command("tune", "nope").refused("nope: there is no such model folder")


def test_fields_without_a_file_are_refused(command: Command, model: Path) -> None:
    command("tune", model, "--labels=l", "--label-separator=;").refused(
        "--labels, --label-separator: says more about a validation file; name that with --data FILE"
    )


def test_what_was_found_is_said_by_the_method(command: Command, model: Path) -> None:
    assert "one threshold of 0." in command("tune", model, "--method=global").ok().err
    levels = load(model).taxonomy.depth
    assert f"a threshold for each of {levels} levels" in command("tune", model, "--method=level").ok().err


def test_label_sets_of_greatest_expected_f1_are_decided_stored_and_evaluated(command: Command, model: Path) -> None:
    outcome = command("tune", model, "--for", "hierarchical_f1").ok()
    assert "greatest expected hierarchical F1" in outcome.err
    decoding = load(model).decoding
    assert (decoding.source, decoding.metric) == ("expected_f1", "hierarchical_f1")
    assert (decoding.consistency, decoding.calibration) == ("up", "isotonic")
    assert decoding.tuned_on == "validation file validation.jsonl"
    assert decoding.never_empty  # better on the validation documents, though two of them have no label
    assert "greatest expected hierarchical F1" in (model / "README.md").read_text(encoding="utf-8")
    metrics = json.loads(command("evaluate", model, SAMPLE / "test.jsonl", "--json").ok().out)
    assert metrics["violation_rate"] == 0
    assert 0 < metrics["hierarchical_f1_auc"] <= 1
    command("tune", model).ok()  # thresholds decide again
    assert load(model).decoding.source == "threshold"


def test_options_that_do_not_go_with_expected_f1_are_refused(command: Command, model: Path) -> None:
    outcome = command("tune", model, "--for", "hierarchical_f1", "--shrink", "10")
    outcome.refused("shrink is 10.0: it pulls thresholds, and hierarchical_f1 searches for none; leave it out.")
