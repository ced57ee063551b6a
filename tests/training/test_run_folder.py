"""The run folder: whose training it holds, and what may go on there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taxotext.api.runs import _remove_run
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.files import is_locked
from taxotext.training import RunFolder, gradient
from taxotext.training.run import _HELD, TemporaryRun, clean_run, run_folder_of, was_replacing

IDENTITY: dict[str, Any] = {"model": "bert", "settings": {"seed": 1, "training": {"epochs": 3}}, "train": "abc"}


def test_an_interrupted_training_is_not_touched_without_resume(tmp_path: Path) -> None:
    RunFolder(tmp_path / "m.run", IDENTITY)
    with pytest.raises(ModelFolderError, match=r"holds an interrupted training. Continue with resume=True, or start"):
        RunFolder(tmp_path / "m.run", IDENTITY)


def test_the_same_training_goes_on(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "m.run", IDENTITY)
    assert not first.resumed
    (first.checkpoints / "last.ckpt").write_text("state")
    again = RunFolder(tmp_path / "m.run", IDENTITY, resume=True)
    assert again.resumed
    assert (again.checkpoints / "last.ckpt").read_text() == "state"


def test_another_training_does_not_go_on_and_every_difference_is_named(tmp_path: Path) -> None:
    RunFolder(tmp_path / "m.run", IDENTITY)
    other = {"model": "bert", "settings": {"seed": 2, "training": {"epochs": 5}}, "train": "abc", "more": 1}
    with pytest.raises(ConfigError) as error:
        RunFolder(tmp_path / "m.run", other, resume=True)
    assert "the interrupted training was another one" in str(error.value)
    assert error.value.problems == (
        "more: None then, 1 now",
        "settings.seed: 1 then, 2 now",
        "settings.training.epochs: 3 then, 5 now",
    )


def test_resume_without_a_run_starts_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "m.run", IDENTITY, resume=True)
    assert not run.resumed
    assert json.loads((tmp_path / "m.run/run.json").read_text()) == IDENTITY


@pytest.mark.parametrize("content", ["{cut", "[1, 2]", ""])
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    RunFolder(tmp_path / "m.run", IDENTITY)
    (tmp_path / "m.run/run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"run.json: .*start over with overwrite=True"):
        RunFolder(tmp_path / "m.run", IDENTITY, resume=True)


def test_checkpoints_without_a_record_are_of_no_training(tmp_path: Path) -> None:
    """A removal that was cut off must not lend its state to the next training."""
    (tmp_path / "m.run/checkpoints").mkdir(parents=True)
    (tmp_path / "m.run/checkpoints/last.ckpt").write_text("state of another")
    run = RunFolder(tmp_path / "m.run", IDENTITY)
    assert list(run.checkpoints.iterdir()) == []


def test_cleaning_keeps_the_logs_and_removes_what_is_empty(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "m.run", IDENTITY)
    run.logs.mkdir()
    (run.logs / "metrics.csv").write_text("epoch,loss\n")
    run.clean()
    assert sorted(path.name for path in run.folder.iterdir()) == ["logs"]
    empty = RunFolder(tmp_path / "n.run", IDENTITY)
    (empty.folder / "class_weights.json").write_text("{}")  # of what was chosen so far
    empty.clean()
    assert not empty.folder.exists()
    clean_run(tmp_path / "never-there.run")


def test_that_a_model_is_to_be_replaced_is_kept_and_makes_no_other_training(tmp_path: Path) -> None:
    folder = tmp_path / "m.run"
    assert not was_replacing(folder)
    RunFolder(folder, IDENTITY, replaces=True)
    assert was_replacing(folder)
    assert RunFolder(folder, IDENTITY, resume=True).resumed
    clean_run(folder)
    RunFolder(folder, IDENTITY)
    assert not was_replacing(folder)


def test_a_temporary_run_leaves_nothing() -> None:
    with TemporaryRun() as run:
        assert run.checkpoints.is_dir()
    assert not run.folder.exists()


def test_an_ended_run_gives_its_lock_back(tmp_path: Path) -> None:
    with TemporaryRun() as run:
        folder = run.folder
        assert is_locked(folder / "lock") == (sys.platform != "win32")
    assert folder.resolve() / "lock" not in _HELD  # else each fit would leave an open file
    failed = RunFolder(tmp_path / "m.run", IDENTITY)
    (failed.checkpoints / "last.ckpt").write_text("state")
    failed.abandon()
    assert not is_locked(tmp_path / "m.run" / "lock")
    assert RunFolder(tmp_path / "m.run", IDENTITY, resume=True).resumed


def test_states_of_fits_are_something_to_resume_from(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "m.run", IDENTITY)
    (run.checkpoints / "fits").mkdir()
    (run.checkpoints / "fits/0.0.safetensors").write_bytes(b"state")
    run.abandon()
    assert (run.checkpoints / "fits/0.0.safetensors").is_file()


def test_the_run_folder_stands_beside_the_model() -> None:
    assert run_folder_of(Path("models/news.v2")) == Path("models/news.v2.run")


def test_weights_of_a_first_epoch_are_nothing_to_resume_from(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "model.run", {"seed": 1}, states=gradient.STATES)
    (run.checkpoints / "best.safetensors").write_bytes(b"weights")
    run.abandon()
    assert not (tmp_path / "model.run").exists()
    run.abandon()  # whoever removed it has the last word


def test_a_run_with_a_checkpoint_is_kept(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "model.run", {"seed": 1})
    (run.checkpoints / "last.ckpt").write_bytes(b"state")
    run.abandon()
    assert (run.checkpoints / "last.ckpt").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from taxotext.training.run import RunFolder
run = RunFolder(Path(sys.argv[1]), {"seed": 1}, resume=True)
print("ready", flush=True)
sys.stdin.read()
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "model.run")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        for resume in (False, True):
            with pytest.raises(ModelFolderError, match="another process trains there"):
                RunFolder(tmp_path / "model.run", {"seed": 1}, resume=resume)
        with pytest.raises(ModelFolderError, match="another process trains there"):
            _remove_run(tmp_path / "model.run")
        other.kill()
    run = RunFolder(tmp_path / "model.run", {"seed": 1}, resume=True)
    run.clean()
    assert not (tmp_path / "model.run").exists()
