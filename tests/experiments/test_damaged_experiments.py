"""Folders of experiments that were damaged or changed: a sentence, or the cell counts as not computed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from sealing import Change, change_json
from taxotext.errors import ConfigError
from taxotext.experiments.folder import FINISHED, INTERRUPTED, STATES, TRAINED, WAITING, ExperimentFolder
from taxotext.experiments.output import write_tables
from taxotext.experiments.status import experiment_status
from taxotext.experiments.summary import SIGNIFICANCE_FILE, summarise


@pytest.fixture
def folder(computed: ExperimentFolder, tmp_path: Path) -> ExperimentFolder:
    """A copy of the finished experiment."""
    return ExperimentFolder(Path(shutil.copytree(computed.path, tmp_path / "copy")))


FITS: dict[str, Change] = {
    "cut-offs": lambda fit: fit.update(ks=3),
    "no metrics": lambda fit: fit.pop("metrics"),
    "a metric is a list": lambda fit: fit["metrics"].update(micro_f1=[1]),
    "a metric is not finite": lambda fit: fit["metrics"].update(micro_f1=float("nan")),
    "documents are text": lambda fit: fit["metrics"].update(documents="many"),
    "no machine": lambda fit: fit.update(machine={}),
    "threads are text": lambda fit: fit["machine"].update(threads="two"),
    "memory is text": lambda fit: fit["machine"].update(memory_gb="much"),
    "versions are a list": lambda fit: fit.update(versions=["1.0"]),
    "seconds are text": lambda fit: fit.update(process_seconds="long"),
    "seconds are null": lambda fit: fit.update(process_seconds=None),
    "bytes beyond all": lambda fit: fit.update(model_bytes=10**400),
    "documents of the training": lambda fit: fit.update(training_documents="all"),
    "jobs": lambda fit: fit.update(jobs=[]),
}
SPEEDS: dict[str, Change] = {
    "a batch is a list": lambda speed: speed.update(batch_1=[]),
    "milliseconds are text": lambda speed: speed["batch_32"].update(p95_ms="slow"),
    "no documents": lambda speed: speed.pop("documents_per_second"),
    "load is text": lambda speed: speed.update(load_before="heavy"),
}


@pytest.mark.parametrize("damage", FITS)
def test_a_cell_whose_result_was_changed_counts_as_not_trained(damage: str, folder: ExperimentFolder) -> None:
    change_json(next(folder.cells.glob("linear_*")) / "fit.json", FITS[damage])
    write_tables(folder)
    assert experiment_status(folder).counts == {**dict.fromkeys(STATES, 0), FINISHED: 3, INTERRUPTED: 1}


@pytest.mark.parametrize("damage", SPEEDS)
def test_a_cell_whose_speed_was_changed_counts_as_not_measured(damage: str, folder: ExperimentFolder) -> None:
    change_json(next(folder.cells.glob("linear_*")) / "speed.json", SPEEDS[damage])
    write_tables(folder)
    assert experiment_status(folder).counts[TRAINED] == 1


@pytest.mark.parametrize(
    "progress", [{"done": "x"}, {"total": []}, {"seconds": None}, {"fields": 3}, {"attempts": 1e999}, {"time": "now"}]
)
def test_progress_that_was_changed_is_forgotten(progress: dict[str, Any], folder: ExperimentFolder) -> None:
    cell = next(folder.cells.glob("linear_*"))
    (cell / "fit.json").unlink()
    (cell / "progress.json").write_text(json.dumps(progress), encoding="utf-8")
    found = next(cell for cell in experiment_status(folder).cells if cell.state not in {FINISHED, WAITING})
    assert (found.seconds, found.attempts) == (0.0, 0)


@pytest.mark.parametrize("content", [{"x": 3}, {"x": {"micro_f1": 1}}, [], {"x": {"micro_f1": {"p_value": 7}}}])
def test_comparisons_that_were_changed_are_made_again(content: Any, folder: ExperimentFolder) -> None:
    path = folder.path / SIGNIFICANCE_FILE
    expected = summarise(folder)["corpora"]
    before = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict):
        content = dict.fromkeys(before, content["x"])
    path.write_text(json.dumps(content), encoding="utf-8")
    assert summarise(folder)["corpora"] == expected
    assert json.loads(path.read_text(encoding="utf-8")) == before


RECORDS: dict[str, tuple[Change, str]] = {
    "no settings": (lambda record: record.pop("settings"), "is damaged (settings: the whole: "),
    "settings are a list": (lambda record: record.update(settings=[]), "is damaged (settings: the whole: "),
    "no cells": (lambda record: record.pop("cells"), "is damaged (cells: "),
    "a cell is a number": (lambda record: record["cells"].append(3), "is damaged (cells: 4: "),
    "a cell without a seed": (lambda record: record["cells"][0].pop("seed"), "is damaged (cells: 0.seed: "),
    "values are a list": (lambda record: record["cells"][0].update(values=[]), "is damaged (cells: 0.values: "),
    "another system": (lambda record: record["cells"][0].update(system="../x"), "is not of its systems"),
    "a key that is a path": (lambda record: record["cells"][0].update(key="../../x"), "is not of its systems"),
}


@pytest.mark.parametrize("damage", RECORDS)
def test_a_record_that_was_changed_is_a_sentence(damage: str, folder: ExperimentFolder) -> None:
    what, sentence = RECORDS[damage]
    change_json(folder.record, what)
    for look in (summarise, experiment_status):
        with pytest.raises(ConfigError) as caught:
            look(folder)
        assert str(folder.record) in str(caught.value)
        assert sentence in str(caught.value)


@pytest.mark.parametrize("content", ["{}", "[]", '{"cell": 3}', '{"cell": {"key": 3}}', "{"])
def test_cells_of_which_nothing_is_known_are_passed_over(content: str, folder: ExperimentFolder) -> None:
    _, cells, _ = folder.read()
    (next(folder.cells.glob("linear_*")) / "cell.json").write_text(content, encoding="utf-8")
    assert folder.others(cells) == []


@pytest.mark.parametrize("name", ["fit.json", "speed.json", "progress.json", "cell.json"])
def test_nothing_is_read_through_a_link_or_from_a_pipe(name: str, folder: ExperimentFolder, tmp_path: Path) -> None:
    file = next(folder.cells.glob("linear_*")) / name
    file.unlink(missing_ok=True)
    file.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match=f"{name}: is a link that leads out of the folder"):
        experiment_status(folder.path)
    with pytest.raises(ConfigError, match=f"{name}: is a link that leads out of the folder"):
        summarise(folder)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ConfigError, match=f"{name}: is a device, pipe or socket"):
        experiment_status(folder.path)
