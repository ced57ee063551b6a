"""Runs in real processes: reuse, failure, kills; and what the folder says meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import Lab, Notes
from taxotext.errors import ConfigError
from taxotext.experiments.cell_process import FIT, PROBE, SPEED, CellProcess
from taxotext.experiments.cells import Cell, key_of
from taxotext.experiments.folder import CellFolder, ExperimentFolder, state_of, write_json
from taxotext.experiments.runner import run_experiment
from taxotext.experiments.status import Status, experiment_status
from taxotext.experiments.worker import DONE, FAILED, Heartbeat, run_stage, spelling_in
from taxotext.files import FolderLock, is_locked
from taxotext.files.json_files import read_json_or_none
from torture.experiment_torture import Disturbed


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.json") if path.name != "cell.json"}


def bad_test_file(folder: Path) -> Path:
    path = folder / "bad.jsonl"
    path.write_text('{"text": "the cat", "labels": ["cats"]}\nno JSON\n', encoding="utf-8")
    return path


# -- whole runs ------------------------------------------------------------------------------------------------------


def test_a_run_fills_all_cells_and_is_reused_when_systems_are_added_and_one_fails(lab: Lab, output: Path) -> None:
    systems = lab.values()["systems"]
    one = lab.settings(systems={"linear": systems["linear"]}, jobs=2)
    seen = Notes()
    outcome = run_experiment(one, output, seen, resume=True)
    assert (outcome.failed, outcome.reused, len(outcome.cells)) == ({}, 0, 2)
    assert sorted(state for _, state, _ in seen.ends) == ["finished", "finished", "trained", "trained"]
    # All trainings first: speed is measured when nothing else runs.
    assert [state for _, state, _ in seen.ends][:2] == ["trained", "trained"]
    assert any("ms/document at batch 1" in sentence for _, _, sentence in seen.ends)
    assert seen.shown[-1].counts["finished"] == 2
    fit = read_json_or_none(ExperimentFolder(output).folder_of(outcome.cells[0]).fit)
    assert fit is not None
    assert (fit["jobs"], fit["machine"]["threads"], fit["attempts"]) == (2, 1, 1)
    assert 20e6 < fit["peak_memory"] < 4e9
    assert fit["model_bytes"] > 1000
    before = stamps(output / "cells")

    bad = {"tiny": lab.values()["corpora"]["tiny"], "bad": {"train": "train.jsonl", "test": str(bad_test_file(output))}}
    more = lab.settings(
        systems=systems, corpora=bad, seeds=[1], exclude=[{"system": "loose", "corpus": "tiny"}], speed=False
    )
    with pytest.raises(ConfigError, match="Continue with resume=True"):
        run_experiment(more, output, Notes())
    seen = Notes()
    outcome = run_experiment(more, output, seen, resume=True)
    assert outcome.reused == 1
    assert any("1 cell of 3 finished before" in note for note in seen.notes)
    assert any("1 cell of the folder no longer part of the experiment" in note for note in seen.notes)
    assert set(outcome.failed) == {"linear, bad, seed 1", "loose, bad, seed 1"}
    assert all("bad.jsonl" in reason and "2" in reason for reason in outcome.failed.values())
    after = stamps(output / "cells")
    assert {path: after[path] for path in before} == before
    status = experiment_status(output)
    assert [cell.state for cell in status.cells] == ["finished", "failed", "failed"]
    assert "bad.jsonl" in status.cells[1].reason
    assert not status.running


def test_a_changed_cell_is_run_anew_with_a_sentence_and_the_old_result_stays(lab: Lab, output: Path) -> None:
    systems = {"linear": lab.values()["systems"]["linear"]}
    lab.compute(output, [FIT], systems=systems, seeds=[1], speed=False)
    changed = {"linear": {"model": "linear", "settings": {"features": {"min_documents": 1}, "classifier": {"c": 3}}}}
    seen = Notes()
    outcome = run_experiment(lab.settings(systems=changed, seeds=[1], speed=False), output, seen, resume=True)
    assert outcome.reused == 0
    (note,) = [note for note in seen.notes if "changed since it was run" in note]
    assert "settings.classifier.c: 0.5 then, 3.0 now" in note
    assert len(list((output / "cells").iterdir())) == 2
    # Changed back, the first result is taken again.
    seen = Notes()
    outcome = run_experiment(lab.settings(systems=systems, seeds=[1], speed=False), output, seen, resume=True)
    assert outcome.reused == 1
    assert seen.ends == []


def test_results_from_before_an_optional_setting_existed_are_kept(lab: Lab, output: Path) -> None:
    linear = lab.values()["systems"]["linear"]
    mixed = {"model": "mixed", "members": ["linear", "loose"]}
    systems = {"linear": linear, "loose": lab.values()["systems"]["loose"], "mixed": mixed}
    given: dict[str, Any] = {"systems": systems, "seeds": [1], "speed": False}
    folder = lab.compute(output, [FIT], **given)
    cells = lab.cells(**given)
    keys: dict[str, str] = {}
    for cell in cells:  # as an earlier version would have left them
        earlier = deepcopy(cell.identity)
        for section in earlier["settings"].values():
            for key in [key for key, value in section.items() if value is None] if isinstance(section, dict) else []:
                del section[key]
        members = tuple(keys[key] for key in cell.members)
        earlier |= {"members": list(members)} if members else {}
        old = replace(cell, identity=earlier, key=key_of(earlier), members=members)
        keys[cell.key] = old.key
        assert old.key != cell.key
        folder.folder_of(cell).path.rename(output / "cells" / old.folder_name)
        write_json(folder.folder_of(old).cell, {"cell": old.to_dict(), "speed": {}, "jobs": 1})
    seen = Notes()
    assert run_experiment(lab.settings(**given), output, seen, resume=True).reused == 3
    assert not any("changed" in note for note in seen.notes)
    assert {path.name for path in (output / "cells").iterdir()} == {cell.folder_name for cell in cells}
    for cell in cells:
        assert (read_json_or_none(folder.folder_of(cell).cell) or {})["cell"]["key"] == cell.key


def test_cells_with_one_change_are_named_in_one_sentence(lab: Lab, output: Path) -> None:
    systems = {"linear": lab.values()["systems"]["linear"]}
    lab.compute(output, [FIT], systems=systems, seeds=[1, 2], speed=False)
    changed = {"linear": {"model": "linear", "settings": {"features": {"min_documents": 1}, "classifier": {"c": 3}}}}
    seen = Notes()
    run_experiment(lab.settings(systems=changed, seeds=[1, 2], speed=False), output, seen, resume=True)
    (note,) = [note for note in seen.notes if "changed since" in note]
    assert note.startswith("2 cells changed since they were run (settings.classifier.c: 0.5 then, 3.0 now): linear, ")
    assert note.count("seed 1") == note.count("seed 2") == 1


def test_cells_of_another_state_of_the_source_stay_and_are_named(lab: Lab, output: Path) -> None:
    given: dict[str, Any] = {"systems": {"linear": lab.values()["systems"]["linear"]}, "seeds": [1], "speed": False}
    folder = lab.compute(output, [FIT], **given)
    path = folder.folder_of(lab.cells(**given)[0]).fit
    fit = read_json_or_none(path)
    assert fit is not None
    write_json(path, {**fit, "source": "0123456789abcdef"})
    seen = Notes()
    assert run_experiment(lab.settings(**given), output, seen, resume=True).reused == 1
    assert any("another state of the source" in note and "exact_code=True" in note for note in seen.notes)
    assert run_experiment(lab.settings(**given), output, Notes(), resume=True, exact_code=True).reused == 0
    assert (read_json_or_none(path) or {})["source"] == fit["source"]


def test_models_are_removed_where_they_are_not_kept(lab: Lab, output: Path) -> None:
    given: dict[str, Any] = {"systems": {"linear": lab.values()["systems"]["linear"]}, "seeds": [1]}
    folder = lab.compute(output, [FIT, SPEED], **given)
    place = folder.folder_of(lab.cells(**given)[0])
    assert place.model.is_dir()
    run_experiment(lab.settings(**given, keep_models=False), output, Notes(), resume=True)
    assert not place.model.exists()
    assert experiment_status(output).counts["finished"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_an_experiment_killed_three_times_ends_with_the_same_table(lab: Lab, tmp_path: Path) -> None:
    values = lab.values(systems={"linear": lab.values()["systems"]["linear"]}, jobs=2, baseline=None)
    values["speed"] = False
    disturbed = Disturbed(tmp_path, yaml.safe_dump(values), stages=2, delay=3.0)
    disturbed.run_reference()
    disturbed.disturb(random.Random(4), kills=3)
    assert len(disturbed.record.kills) + disturbed.record.survived == 3
    assert disturbed.record.cells == 2


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_cell_whose_process_is_killed_fails_with_the_signal_and_the_others_go_on(lab: Lab, output: Path) -> None:
    given: dict[str, Any] = {"systems": {"linear": lab.values()["systems"]["linear"]}, "speed": False}

    class Killer(Notes):
        def show(self, status: Status) -> None:
            super().show(status)
            path = ExperimentFolder(output).folder_of(lab.cells(**given)[0]).progress
            process = (read_json_or_none(path) or {}).get("process")
            if process and not self.ends:
                os.kill(process, signal.SIGKILL)

    seen = Killer()
    outcome = run_experiment(lab.settings(**given), output, seen)
    assert list(outcome.failed) == ["linear, tiny, seed 1"]
    assert "ended by signal SIGKILL" in outcome.failed["linear, tiny, seed 1"]
    assert [cell.state for cell in experiment_status(output).cells] == ["failed", "finished"]


# -- one stage in this process ---------------------------------------------------------------------------------------


def prepared(lab: Lab, output: Path, **changes: Any) -> tuple[CellFolder, Cell]:
    cell = lab.cells(**changes)[0]
    place = CellFolder(output / cell.folder_name)
    place.prepare(cell, {"documents": 4, "seconds": 0.01})
    return place, cell


def test_states_follow_from_files_and_locks(lab: Lab, output: Path) -> None:
    place, cell = prepared(lab, output)
    states = [state_of(place, cell, speed=True)]
    with Heartbeat(place, FIT):
        pass
    states.append(state_of(place, cell, speed=True))
    with FolderLock(place.lock) as lock:
        assert lock.acquire()
        states.append(state_of(place, cell, speed=True))
        assert run_stage(place, FIT) == DONE
        states.append(state_of(place, cell, speed=True))
        assert state_of(place, cell, speed=False) == "finished"
    states.append(state_of(place, cell, speed=True))
    assert run_stage(place, SPEED) == DONE
    states.append(state_of(place, cell, speed=True))
    assert states == ["waiting", "interrupted", "training", "measuring", "trained", "finished"]
    assert (read_json_or_none(place.fit) or {})["attempts"] == 2  # the one that did nothing counts


def test_a_loss_that_is_no_number_does_not_hide_what_a_cell_has_taken(lab: Lab, output: Path) -> None:
    place, _ = prepared(lab, output)
    with Heartbeat(place, FIT) as heartbeat, heartbeat.task("Training", 9) as task:
        task.show(loss=float("nan"))
    with Heartbeat(place, FIT) as again:
        assert again.resources()["attempts"] == 2
        assert again.resources()["seconds"] > 0


def test_a_failure_is_kept_with_its_sentence_and_forgotten_by_the_next_attempt(
    lab: Lab, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, cell = prepared(lab, output)

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by chance")

    with monkeypatch.context() as patch:
        patch.setattr("taxotext.api.runs.train_run", broken)
        assert run_stage(place, FIT) == FAILED
    assert state_of(place, cell, speed=True) == "failed"
    assert (read_json_or_none(place.failure) or {})[
        "reason"
    ] == "an error inside the program: ZeroDivisionError: by chance"
    assert run_stage(place, FIT) == DONE
    assert not place.failure.exists()


def test_a_failure_names_keys_as_the_file_of_the_experiment_has_them(lab: Lab, output: Path) -> None:
    bad = {"bad": {**lab.values()["corpora"]["tiny"], "labels": "topics"}}
    place = CellFolder(output)
    place.prepare(lab.cells(corpora=bad)[0], {})
    assert run_stage(place, PROBE) == FAILED
    reason = (read_json_or_none(place.failure) or {})["reason"]
    assert "Say with corpora.bad.text, corpora.bad.labels and corpora.bad.id which one is what" in reason
    assert spelling_in("bad", "beams", 3) is None


def test_new_cut_offs_are_evaluated_without_a_new_training(lab: Lab, output: Path) -> None:
    place, _ = prepared(lab, output)
    assert run_stage(place, FIT) == DONE
    weights = (place.model / "weights.safetensors").stat().st_mtime_ns
    wider = lab.cells(metrics=["p@2"])[0]
    assert state_of(place, wider, speed=False) != "finished"
    place.prepare(wider, {"documents": 4, "seconds": 0.01})
    assert run_stage(place, FIT) == DONE
    assert "p@2" in (read_json_or_none(place.fit) or {})["metrics"]
    assert (place.model / "weights.safetensors").stat().st_mtime_ns == weights


def test_time_and_memory_of_all_attempts_are_added_up(tmp_path: Path) -> None:
    place = CellFolder(tmp_path)
    write_json(place.progress, {"seconds": 100.0, "attempts": 2, "peak_memory": 10**15})
    with Heartbeat(place, FIT) as heartbeat:
        spent = heartbeat.resources()
    assert spent["seconds"] >= 100
    assert (spent["attempts"], spent["peak_memory"]) == (3, 10**15)
    with Heartbeat(place, SPEED) as heartbeat:  # measuring is not part of the training
        assert heartbeat.resources()["attempts"] == 3
        assert heartbeat.resources()["seconds"] < 110


def test_progress_is_written_while_the_work_goes_on(tmp_path: Path) -> None:
    place = CellFolder(tmp_path)
    with Heartbeat(place, FIT) as heartbeat, heartbeat.task("Training", 10) as task:
        task.advance(4)
        task.show(loss=0.5)
        until = time.monotonic() + 20
        while (read_json_or_none(place.progress) or {}).get("done") != 4 and time.monotonic() < until:
            time.sleep(0.05)
    found = read_json_or_none(place.progress) or {}
    assert (found["task"], found["done"], found["total"], found["fields"]) == ("Training", 4, 10, {"loss": 0.5})


def test_a_process_that_its_runner_ends_has_not_failed_and_one_that_dies_says_of_what(lab: Lab, output: Path) -> None:
    place, cell = prepared(lab, output)
    process = CellProcess(place, FIT, 1)
    assert not process.has_ended()
    process.close()
    assert process.has_ended()
    assert not is_locked(place.lock)
    assert not place.failure.exists()
    assert state_of(place, cell, speed=False) in {"waiting", "interrupted"}
    if sys.platform != "win32":
        assert "was ended by signal SIGKILL; the system does so when memory runs out" in (process.failure() or "")
        assert state_of(place, cell, speed=False) == "failed"


# -- locks, folders --------------------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one_and_taken_back_from_the_dead(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from taxotext.files import FolderLock\n"
        f"assert FolderLock(Path({str(path)!r})).acquire()\n"
    )
    holder = "lock = FolderLock(Path(sys.argv[1])); assert lock.acquire(); print('held', flush=True); time.sleep(600)"
    program = code.splitlines()[0] + "\n" + holder
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert is_locked(path)
    assert not FolderLock(path).acquire()
    process.kill()
    process.wait()
    process.stdout.close()
    assert not is_locked(path)
    with FolderLock(path) as lock:
        assert lock.acquire(1.0)
        assert is_locked(path)
    assert not is_locked(path)


def test_a_second_run_in_the_same_folder_is_refused(lab: Lab, output: Path) -> None:
    folder, settings, cells = ExperimentFolder(output), lab.settings(), lab.cells()
    with (
        folder.start(settings, cells, resume=True, threads=1),
        pytest.raises(ConfigError, match="another `taxotext experiment run` is at work there"),
    ):
        folder.start(settings, cells, resume=True, threads=1)


def test_a_folder_that_holds_other_things_is_left_alone(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    for path in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ConfigError, match=r"holds no experiment|is a file"):
            ExperimentFolder(path).start(lab.settings(), lab.cells(), resume=True, threads=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_record_and_a_foreign_folder_are_sentences(lab: Lab, output: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such folder"):
        experiment_status(output)
    with pytest.raises(ConfigError, match=r"is not an experiment \(experiment.json is missing\)"):
        experiment_status(tmp_path)
    folder = lab.compute(output, [])
    for content in ("{", "[]", json.dumps({"format_version": 99})):
        folder.record.write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match="is damaged, or was written by another version"):
            experiment_status(output)


FITTED: dict[str, Any] = {
    "ks": [1, 3, 5],
    "metrics": {"micro_f1": 0.5},
    "parameters": 9,
    "train_seconds": 30.0,
    "peak_memory": 1,
    "model_bytes": 1,
    "training_documents": 4,
    "validation_data": None,
    "jobs": 1,
    "machine": {"processor": "any", "cores": 1, "threads": 1, "system": "any"},
    "versions": {},
}
"""The record of a cell that is fitted."""


def test_the_time_left_follows_from_other_seeds(lab: Lab, output: Path) -> None:
    given: dict[str, Any] = {"systems": {"linear": lab.values()["systems"]["linear"]}, "seeds": [1, 2, 3], "jobs": 2}
    folder = lab.compute(output, [], **given)
    assert experiment_status(output).seconds_left is None
    first = folder.folder_of(lab.cells(**given)[0])
    write_json(first.fit, {**FITTED, "process_seconds": 40.0})
    status = experiment_status(output)
    assert [cell.seconds_left for cell in status.cells] == [0.0, 40.0, 40.0]
    assert status.seconds_left == 40.0  # two at a time
    second = folder.folder_of(lab.cells(**given)[1])
    write_json(second.progress, {"seconds": 30.0})
    assert [cell.seconds_left for cell in experiment_status(output).cells] == [0.0, 10.0, 40.0]
    assert experiment_status(output).seconds_left == 40.0
