"""``taxotext status``: of every state, as text and as JSON, and of what is not a training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from command import Command, Outcome
from taxotext.api.status import training_status
from taxotext.binary.overview import write_at_work, write_overview
from taxotext.labels import Taxonomy
from taxotext.training.run import RunFolder, release_run
from taxotext.work import Ledger

EPOCHS = {f"{label}.0.0": 4 for label in (0, 2, 3)}

RECORD = '{"settings": {"training": {"epochs": %s}}}'


def htrans_run(output: Path) -> RunFolder:
    """An interrupted training: a is done, b is constant, a fit of c is done, d waits."""
    run = RunFolder(
        output.with_name(f"{output.name}.run"), {"model": "htrans", "settings": {"training": {"epochs": 4}}}
    )
    write_overview(run.checkpoints, list("abcd"), EPOCHS, 2)
    ledger = Ledger(run.checkpoints / "done")
    report = {"weight": 5.0, "f1": 0.75, "epochs": 4, "seconds": 8.0}
    for key in ("0.0.0", "2.0.0"):
        ledger.write(key, report)
    ledger.write("0", {**report, "how": "searched", "parent": None, "epoch": 3})
    ledger.write("1", {"how": "constant", "parent": None, "weight": 1.0, "f1": 0.0, "epoch": 0})
    release_run(run.folder)
    return run


# -- states --------------------------------------------------------------------------------------------------------


def test_an_interrupted_training_of_many_fits(command: Command, tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    assert command("status", "model").ok().out.splitlines() == [
        "model: htrans, interrupted",
        "2 of 4 labels done (0 at work, 2 waiting), 2 of 3 fits, 8 of at most 12 epochs; about 0:08 left with "
        "2 processes.",
        "Class weights: 5 (1 label).",
        "No process is at work; go on with the command that it was started with, and --resume: fits that are done are "
        "not computed again.",
    ]


def test_json_has_the_counts_and_the_class_weight_of_each_label(command: Command, tmp_path: Path) -> None:
    run = htrans_run(tmp_path / "model")
    found = json.loads(command("status", "model", "--json").ok().out)
    assert "--resume" in found.pop("sentence")
    assert found == {
        "output": "model",
        "state": "interrupted",
        "system": "htrans",
        "seconds": None,
        "labels": {"done": 2, "at_work": 0, "planned": 4},
        "fits": {"done": 2, "at_work": 0, "planned": 3},
        "epochs": {"done": 8, "planned": 12},
        "fit_seconds": 16.0,
        "seconds_left": 8.0,
        "processes": 2,
        "class_weights": {"a": 5.0},
    }
    # The run folder itself will do.
    assert json.loads(command("status", str(run.folder), "--json").ok().out)["state"] == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_training_at_work_is_told_by_its_lock(command: Command, tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    run = RunFolder(tmp_path / "model.run", json.loads((tmp_path / "model.run/run.json").read_text()), resume=True)
    write_at_work(run.checkpoints, ["3.0.0"])
    outcome = command("status", "model").ok()
    assert outcome.out.startswith("model: htrans, training\n")
    assert "A process is at work." in outcome.out
    assert "2 of 4 labels done (1 at work, 1 waiting)" in outcome.out
    release_run(run.folder)
    assert "interrupted" in command("status", "model").ok().out


def test_nobody_is_kept_out_by_who_looks(tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    for _ in range(3):
        assert training_status(tmp_path / "model").state == "interrupted"
        run = RunFolder(tmp_path / "model.run", json.loads((tmp_path / "model.run/run.json").read_text()), resume=True)
        assert training_status(tmp_path / "model").state == "training"
        release_run(run.folder)


def test_a_finished_model_of_one_piece(command: Command, model: Path) -> None:
    outcome = command("status", model).ok()
    assert outcome.out.splitlines()[0] == f"{model}: linear, finished"
    assert "The whole training took " in outcome.out
    found = json.loads(command("status", model, "--json").ok().out)
    assert (found["state"], found["system"]) == ("finished", "linear")
    assert found["seconds"] > 0
    assert "labels" not in found


def test_an_earlier_model_stays_until_the_new_one_is_finished(command: Command, model: Path) -> None:
    htrans_run(model)
    out = command("status", model).ok().out
    assert "htrans, interrupted" in out
    assert f"The model in {model} is an earlier one" in out


def gradient_run(output: Path, rows: list[str]) -> RunFolder:
    run = RunFolder(output.with_name(f"{output.name}.run"), {"model": "bert", "settings": {"training": {"epochs": 5}}})
    for version, row in enumerate(rows):
        logs = run.logs / "csv" / f"version_{version}"
        logs.mkdir(parents=True)
        (logs / "metrics.csv").write_text(f"epoch,loss,step,validation/micro_f1\n{row}\n", encoding="utf-8")
    release_run(run.folder)
    return run


def test_a_training_by_epochs_tells_the_last_one_of_all_its_parts(command: Command, tmp_path: Path) -> None:
    gradient_run(tmp_path / "model", ["1,0.9,10,0.1\n2,0.5,20,0.25", "3,0.25,30,0.5"])
    out = command("status", "model").ok().out.splitlines()
    assert out == [
        "model: bert, interrupted",
        "3 of 5 epochs done, loss 0.2500, micro_f1 0.5000.",
        "No process is at work; go on with the command that it was started with, and --resume. It starts from the "
        "beginning: nothing is saved yet.",
    ]
    (tmp_path / "model.run/checkpoints/last.ckpt").write_bytes(b"state")
    assert command("status", "model").ok().out.endswith("and --resume.\n")
    found = json.loads(command("status", "model", "--json").ok().out)
    assert found["epochs"] == {"done": 3, "planned": 5}
    assert found["scores"] == {"loss": 0.25, "micro_f1": 0.5}


def test_before_the_first_epoch_nothing_is_counted(command: Command, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "model.run", {"model": "htrans", "settings": {"training": {"epochs": 3}}})
    out = command("status", "model").ok().out
    assert out == "model: htrans, training\nA process is at work and prepares the training.\n"
    release_run(run.folder)


@pytest.mark.parametrize(
    "content", ["epoch,loss\nx,y\n", "", "loss\n1\n", "epoch\n1,2,3\n", "\0", "epoch\ninf\n", "epoch\nnan\n"]
)
def test_damaged_logs_are_no_traceback(content: str, command: Command, tmp_path: Path) -> None:
    run = gradient_run(tmp_path / "model", ["1,0.9,10,0.1"])
    (run.logs / "csv/version_0/metrics.csv").write_text(content)
    assert "interrupted" in command("status", "model").ok().out


# -- mistakes ------------------------------------------------------------------------------------------------------


def test_what_is_no_training_gets_a_sentence(command: Command, tmp_path: Path) -> None:
    command("status", "nothing").refused("nothing: is not there, and no training to it is at work or interrupted.")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text('{"model_type": "bert"}')
    command("status", "other").refused("other: is not a model folder, and no training")
    (tmp_path / "file").write_text("x")
    command("status", "file").refused("file: is not a model folder")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/experiment.json").write_text("{}")
    command("status", "experiment").refused("look at it with `taxotext experiment status`")


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "null", '{"model": 3}', '{"settings": 4}', '{"settings": {"training": 3}}', RECORD % "1e999"],
)
def test_a_damaged_record_is_no_traceback(content: str, command: Command, tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    (tmp_path / "model.run/run.json").write_text(content)
    check_no_traceback(command("status", "model"))


@pytest.mark.parametrize("damage", [{"processes": 0}, {"processes": 1e999}, {"epochs": {}}])
def test_a_damaged_plan_of_fits_is_no_traceback(damage: dict[str, Any], command: Command, tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    plan = tmp_path / "model.run/checkpoints/overview.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), **damage}))
    check_no_traceback(command("status", "model"))


def check_no_traceback(outcome: Outcome) -> None:
    assert outcome.code in {0, 2}
    assert "Traceback" not in outcome.err
    assert "error inside" not in outcome.err


@pytest.mark.parametrize("seconds", ["1e999", "-1", "9" * 400, '"long"', "NaN"])
def test_a_model_that_took_an_impossible_time_is_shown_without_it(seconds: str, command: Command, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["facts"]["seconds"] = "SECONDS"
    (model / "config.json").write_text(json.dumps(config).replace('"SECONDS"', seconds))
    assert "The whole training took" not in command("status", model).ok().out


def test_damaged_fits_of_a_model_are_named(command: Command, model: Path) -> None:
    labels = len(Taxonomy.from_dict(json.loads((model / "taxonomy.json").read_text())))
    sound = {"how": "searched", "positives": 9, "parent": None, "fits": 3, "seconds": 1.5, "weight": 2.0, "f1": 0.5}
    sound |= {"epoch": 2, "epochs": 9, "table": -1}
    fits = [sound] * labels
    (model / "fits.json").write_text(json.dumps(fits))
    found = json.loads(command("status", model, "--json").ok().out)
    assert found["fits"] == {"done": 3 * labels, "at_work": 0, "planned": 3 * labels}
    assert len(found["class_weights"]) == labels
    out = command("status", model).ok().out.splitlines()
    assert out[1] == f"{labels} labels, {3 * labels} fits, {9 * labels} epochs, 1:09 of fitting."
    assert out[2] == f"Class weights: 2 ({labels} labels)."
    for content, sentence in (
        ("[]", f"tells of 0 labels, the taxonomy of {labels}"),
        ("{", "is damaged"),
        ("3", "must be a JSON list"),
        (json.dumps([1] * labels), "0: must be a JSON object"),
        (json.dumps([*fits[:-1], {**sound, "f1": "x"}]), f"{labels - 1}: f1: should be a valid number"),
        (json.dumps([{**sound, "parent": 99}, *fits[1:]]), "0: parent, table: must be numbers of the"),
        (json.dumps([{**sound, "weight": -1.0}, *fits[1:]]), "0: weight: should be greater than 0"),
        (json.dumps([{**sound, "seconds": float("nan")}, *fits[1:]]), "0: seconds: should be a finite number"),
        (json.dumps([{**sound, "how": "by luck"}, *fits[1:]]), "0: how: should be 'searched'"),
    ):
        (model / "fits.json").write_text(content)
        command("status", model).refused("fits.json: ", sentence, "save the model again")
