"""``taxotext status``: of every state, as text and as JSON, live, and of what is no training."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from command import Command
from taxotext.api.status import Follower, TrainingStatus
from taxotext.binary.fits import Ledger
from taxotext.binary.overview import FitsStatus, LabelStatus, write_at_work, write_overview
from taxotext.cli import status_view
from taxotext.cli.status_view import _drawn, label_rows, print_status, watch_status
from taxotext.labels import Taxonomy
from taxotext.training.run import RunFolder, release_run

EDGES = [(None, "a"), (None, "b"), ("a", "c"), ("b", "c"), ("c", "d")]
EPOCHS = {f"{label}.0.0": 4 for label in (0, 2, 3)}


def htrans_run(output: Path) -> RunFolder:
    """An interrupted training: a is done, b is constant, a fit of c is done, d waits."""
    run = RunFolder(
        output.with_name(f"{output.name}.run"), {"model": "htrans", "settings": {"training": {"epochs": 4}}}
    )
    taxonomy = Taxonomy.from_edges(EDGES, names={"c": "Cee"})
    write_overview(
        run.checkpoints, taxonomy, ["searched", "constant", "searched", "fallback"], EPOCHS, 2, inherits=True
    )
    ledger = Ledger(run.checkpoints / "done")
    report = {"weight": 5.0, "f1": 0.75, "epochs": 4, "seconds": 8.0}
    for key in ("0.0.0", "2.0.0"):
        ledger.write(key, report)
    ledger.write("0", {**report, "how": "searched", "parent": None, "epoch": 3})
    ledger.write("1", {"how": "constant", "parent": None, "weight": 1.0, "f1": 0.0, "epoch": 0})
    release_run(run.folder)
    return run


# -- states --------------------------------------------------------------------------------------------------------


def test_an_interrupted_training_along_the_taxonomy(command: Command, tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    assert command("status", "model").ok().out.splitlines() == [
        "model: htrans, interrupted",
        "label                    state     weight      F1  from  epochs  time",
        "a                        done           5  0.7500           4/4  0:08",
        "└── c  Cee               begun                              4/4  0:08",
        "    └── d                waiting                            0/4",
        "b                        constant",
        "└── c  Cee  (see above)  begun",
        "2 of 4 labels done, 2 of 3 fits, 8 of at most 12 epochs; at most 0:08 left with 2 processes once it goes on.",
        "No process is at work; go on with the command that it was started with, and --resume: fits that are done are "
        "not computed again.",
    ]


def test_depth_cuts_the_tree_off(command: Command, tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    out = command("status", "model", "--depth", 1).ok().out
    assert "a  (+2 below)" in out
    assert "Cee" not in out


def test_json_has_all_labels_once(command: Command, tmp_path: Path) -> None:
    run = htrans_run(tmp_path / "model")
    found = json.loads(command("status", "model", "--json").ok().out)
    assert found["output"] == "model"
    assert (found["state"], found["system"], found["processes"]) == ("interrupted", "htrans", 2)
    assert found["fits"] == {"done": 2, "at_work": 0, "planned": 3}
    assert found["epochs"] == {"done": 8, "spared": 0, "planned": 12}
    assert found["seconds_left"] == 8.0
    assert "--resume" in found["sentence"]
    assert [label["label"] for label in found["labels"]] == list("abcd")
    c = next(label for label in found["labels"] if label["label"] == "c")
    assert c["parents"] == ["a", "b"]
    assert (c["state"], c["weight"], c["epochs_done"], c["fits_done"]) == ("begun", None, 4, 1)
    assert [level["labels"] for level in found["levels"]] == [2, 1, 1]
    # The run folder itself will do.
    assert json.loads(command("status", str(run.folder), "--json").ok().out)["state"] == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_training_at_work_is_told_by_its_lock(command: Command, tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    run = RunFolder(tmp_path / "model.run", json.loads((tmp_path / "model.run/run.json").read_text()), resume=True)
    write_at_work(run.checkpoints, {"3.0.0": 0.0})
    outcome = command("status", "model").ok()
    assert outcome.out.startswith("model: htrans, training\n")
    assert "A process is at work." in outcome.out
    assert "at work" in next(line for line in outcome.out.splitlines() if "└── d" in line)
    release_run(run.folder)
    assert "interrupted" in command("status", "model").ok().out


def test_nobody_is_kept_out_by_who_looks(tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    for _ in range(3):
        assert Follower(tmp_path / "model").look().state == "interrupted"
        run = RunFolder(tmp_path / "model.run", json.loads((tmp_path / "model.run/run.json").read_text()), resume=True)
        assert Follower(tmp_path / "model").look().state == "training"
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


@pytest.mark.parametrize("content", ["epoch,loss\nx,y\n", "", "loss\n1\n", "epoch\n1,2,3\n", "\0"])
def test_damaged_logs_are_no_traceback(content: str, command: Command, tmp_path: Path) -> None:
    run = gradient_run(tmp_path / "model", ["1,0.9,10,0.1"])
    (run.logs / "csv/version_0/metrics.csv").write_text(content)
    assert "interrupted" in command("status", "model").ok().out


# -- mistakes ------------------------------------------------------------------------------------------------------


def test_what_is_no_training_gets_a_sentence(command: Command, tmp_path: Path) -> None:
    command("status", "nothing").refused("nothing: is not there, and no training to it is at work or interrupted.")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text('{"model_type": "bert"}')
    command("status", "other").refused("other: is no model folder, and no training")
    (tmp_path / "file").write_text("x")
    command("status", "file").refused("file: is no model folder")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/experiment.json").write_text("{}")
    command("status", "experiment").refused("look at it with `taxotext experiment status`")
    command("status", "other", "--watch", "--json").refused("--watch draws for people")


@pytest.mark.parametrize(
    "content", ["{", "[]", "null", '{"model": 3}', '{"settings": 4}', '{"settings": {"training": 3}}']
)
def test_a_damaged_record_is_no_traceback(content: str, command: Command, tmp_path: Path) -> None:
    htrans_run(tmp_path / "model")
    (tmp_path / "model.run/run.json").write_text(content)
    outcome = command("status", "model")
    assert outcome.code in {0, 2}
    assert "Traceback" not in outcome.err
    assert "error inside" not in outcome.err


def test_damaged_fits_of_a_model_are_named(command: Command, model: Path) -> None:
    labels = len(Taxonomy.from_dict(json.loads((model / "taxonomy.json").read_text())))
    sound = {"how": "searched", "positives": 9, "parent": None, "fits": 3, "seconds": 1.5, "weight": 2.0, "f1": 0.5}
    sound |= {"epoch": 2, "epochs": 9, "table": -1}
    fits = [sound] * labels
    (model / "fits.json").write_text(json.dumps(fits))
    assert json.loads(command("status", model, "--json").ok().out)["fits"]["done"] == 3 * labels
    for content, sentence in (
        ("[]", f"tells of 0 labels, the taxonomy of {labels}"),
        ("{", "is damaged"),
        ("3", "must be a JSON list"),
        (json.dumps([1] * labels), "0: must be a JSON object"),
        (json.dumps([*fits[:-1], {**sound, "f1": "x"}]), f"{labels - 1}: f1: should be a valid number"),
        (json.dumps([{**sound, "parent": 99}, *fits[1:]]), "0: parent, table: must be numbers of the"),
        (json.dumps([{**sound, "weight": -1.0}, *fits[1:]]), "0: weight: should be greater than 0"),
        (json.dumps([{**sound, "how": "by luck"}, *fits[1:]]), "0: how: should be 'searched'"),
    ):
        (model / "fits.json").write_text(content)
        command("status", model).refused("fits.json: ", sentence, "save the model again")


# -- live ----------------------------------------------------------------------------------------------------------


def label(name: str, state: str, **more: Any) -> LabelStatus:
    values = dict.fromkeys(LabelStatus.__dataclass_fields__)
    values |= {"label": name, "parents": (), "level": 1, "state": state, "how": "searched", "fits_done": 0, "fits": 2}
    values |= {"epochs_done": 0, "epochs": 8, "seconds": 0.0, **more}
    return LabelStatus(**values)  # type: ignore[arg-type]


def many(count: int, at_work: int, state: str = "training") -> TrainingStatus:
    """A training of as many labels below one, of which one is at work."""
    taxonomy = Taxonomy.from_edges([(None, "top"), *(("top", f"l{number}") for number in range(count))])
    labels = [label("top", "done", weight=2.0, f1=0.5)]
    labels += [label(f"l{number}", "at work" if number == at_work else "waiting", level=2) for number in range(count)]
    fits = FitsStatus(taxonomy, labels, 2, 2, 1, 2 * count + 2, 8, 2, 8 * count + 8, 60.0, 90.0)
    return TrainingStatus("model", state, "htrans", "A process is at work.", fits=fits)


class Steps:
    """A follower that sees one status after the other."""

    def __init__(self, *steps: TrainingStatus | type[BaseException]) -> None:
        self.steps = list(steps)

    def look(self) -> TrainingStatus:
        step = self.steps.pop(0)
        if isinstance(step, TrainingStatus):
            return step
        raise step


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_view, "EVERY", 0.0)


@pytest.mark.usefixtures("impatient")
def test_watching_into_a_file_writes_a_line_for_each_step_and_ends_with_the_training(
    capsys: pytest.CaptureFixture[str],
) -> None:
    step, end = many(2, 0), replace(many(2, 9), state="finished", sentence="Kept it.")
    watch_status(Steps(step, step, step, end))  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "model: htrans, training: 1 of 3 labels done, 2 of 6 fits (1 at work), 8 of at most 24 epochs; at most 1:30 "
        "left with 2 processes, less by early stopping, which spared 20% of the epochs so far"
    )
    assert lines[1] == "model: htrans, finished"
    assert lines[-1] == "Kept it."


@pytest.mark.usefixtures("impatient")
def test_ctrl_c_leaves_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    watch_status(Steps(many(2, 0), KeyboardInterrupt))  # type: ignore[arg-type]
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.usefixtures("impatient")
def test_watching_on_a_terminal_draws_and_leaves_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "dumb")
    watch_status(Steps(many(2, 0), many(2, 1), replace(many(2, 9), state="interrupted", sentence="Go on.")))  # type: ignore[arg-type]
    assert capsys.readouterr().out.rstrip().endswith("Go on.")


def drawn(status: TrainingStatus, height: int, depth: int | None = None) -> str:
    console = Console(width=140, height=height, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(_drawn(status, depth, height))
    return console.export_text()


def test_all_labels_are_drawn_where_they_fit() -> None:
    text = drawn(many(5, 3), height=40)
    assert [f"l{number}" in text for number in range(5)] == [True] * 5
    assert "mean F1" not in text
    assert "0.5000" in text


def test_where_they_do_not_fit_levels_and_what_is_at_work_are_drawn() -> None:
    text = drawn(many(3000, 1234), height=24)
    lines = text.rstrip().splitlines()
    assert len(lines) <= 24
    assert "mean F1" in text
    assert "3000" in text
    assert "l1234" in text
    assert "l77 " not in text
    below = lines[-2:] if lines[-2].startswith("1 of 3,001 labels") else lines[-3:]
    assert below[0].startswith("1 of 3,001 labels done, 2 of 6,002 fits (1 at work)")  # behind the bar, not beside it
    assert text.rstrip().endswith("A process is at work.")
    assert "l1234" not in drawn(many(3000, 1234), height=24, depth=1)


def test_the_end_of_a_large_training_is_told_by_levels(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(many(100, 0), height=20)
    out = capsys.readouterr().out
    assert "All labels: taxotext status model" in out
    assert "l77" not in out
    print_status(many(100, 0))
    assert "l77" in capsys.readouterr().out


def test_a_label_below_two_parents_has_its_figures_once() -> None:
    taxonomy = Taxonomy.from_edges(EDGES[:4])
    labels = [label(name, "done", weight=3.0, f1=0.25, epochs_done=4, seconds=9.0) for name in taxonomy.ids]
    fits = FitsStatus(taxonomy, labels, 2, 6, 0, 6, 12, 0, 24, 27.0, 0.0)
    rows = [row for row in label_rows(fits) if "c" in row[0]]
    assert [row[0].split("c")[1] for row in rows] == ["", "  (see above)"]
    assert [row[2:4] for row in rows] == [("3", "0.2500"), ("", "")]
