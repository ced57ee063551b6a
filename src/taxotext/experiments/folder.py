"""The folder of an experiment: what it is, and a folder for each cell.

=========================  ========================================================================================
``experiment.json``        settings, cells in the order of the table, jobs and threads
``experiment.yaml``        the file that it was started with
``cells/NAME_KEY/``        one cell; ``KEY`` is a hash of all that its metrics depend on
``  cell.json``            what is computed
``  model/, model.run/``   the model; checkpoints of an unfinished training
``  progress.json``        what the process is at, written every second
``  fit.json``             metrics, parameters, times: trained and evaluated
``  answers.safetensors``  gold and predicted labels of the test documents, sparse
``  speed.json``           speed of prediction: finished
``  failure.json``         why it failed
``  log.txt``              all that the processes of the cell have written
``table.*``                the table: Markdown, CSV, JSON, HTML
=========================  ========================================================================================
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxotext import __version__
from taxotext.errors import ConfigError, DataError
from taxotext.experiments.cells import Cell
from taxotext.experiments.records import Fit, Speed, read_record
from taxotext.experiments.settings import ExperimentSettings, parse_experiment
from taxotext.files import (
    FolderLock,
    check_contents,
    check_target,
    holds_more,
    is_locked,
    named,
    temporary_of,
    write_text_atomically,
)
from taxotext.files.json_files import checked, json_text, read_json_or_none
from taxotext.messages import parameter
from taxotext.store import check_outside_models

FORMAT_VERSION = 1
RECORD, SOURCE, LOCK = "experiment.json", "experiment.yaml", "lock"

WAITING, INTERRUPTED, TRAINING, TRAINED, MEASURING, FINISHED, FAILED = STATES = (
    "waiting",
    "interrupted",
    "training",
    "trained",
    "measuring",
    "finished",
    "failed",
)
"""``trained``: evaluated, and the speed is still to be measured. ``interrupted``: started, and its process is gone."""


class CellFolder:
    """Files of one cell."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cell, self.progress, self.fit = path / "cell.json", path / "progress.json", path / "fit.json"
        self.speed, self.failure, self.log = path / "speed.json", path / "failure.json", path / "log.txt"
        self.model, self.predictions, self.lock = path / "model", path / "answers.safetensors", path / LOCK
        self.probe = path / "probe.json"

    def prepare(self, cell: Cell, speed: Mapping[str, Any], jobs: int = 1) -> None:
        """Write what the process of the cell needs to know."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.cell, {"cell": cell.to_dict(), "speed": dict(speed), "jobs": jobs})

    def values_of(self, cell: Cell) -> dict[str, Any]:
        """The configuration of the training, with the models of the cells that it is made of.

        Raises:
            DataError: one of these is not there.
        """
        if not cell.members:
            return cell.values
        beside = {path.name.rpartition("_")[2]: CellFolder(path) for path in sorted(self.path.parent.iterdir())}
        folders = [beside[key].model if key in beside else None for key in cell.members]
        for key, model in zip(cell.members, folders, strict=True):
            if model is None or not model.is_dir():
                raise DataError(
                    f"{cell.title}: the model of its member {key} is missing in {self.path.parent}; resume the "
                    "experiment."
                )
        return {**cell.values, "members": [str(model) for model in folders]}

    def fitted(self, ks: Sequence[int] = ()) -> dict[str, Any] | None:
        """What the evaluation found, if it has all these cut-offs."""
        found = read_record(self.fit, Fit)
        return found if found is not None and set(ks) <= set(found["ks"]) else None

    def forget_model(self) -> None:
        """Remove the model, and what is left of its training."""
        shutil.rmtree(self.model, ignore_errors=True)
        shutil.rmtree(self.path / "model.run", ignore_errors=True)


class ExperimentFolder:
    """Where the cells and the table of an experiment are.

    Args:
        path: need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = named(Path(path))
        self.record, self.cells = self.path / RECORD, self.path / "cells"

    def check_target(self) -> None:
        """Refuse a path that no folder can be written to; a look at it, before anything is read.

        Raises:
            ConfigError: it is a file, a device, or lies in one.
        """
        check_target(self.path, "folder for the experiment", ConfigError)

    def start(self, settings: ExperimentSettings, cells: Sequence[Cell], *, resume: bool, threads: int) -> FolderLock:
        """Make the folder, or enter it again, and keep others out as long as the lock is held.

        Raises:
            ConfigError: it holds an experiment (without ``resume``) or other things, or somebody is at work in it.
            ModelFolderError: it lies in a model.
        """
        check_outside_models(self.path)
        self.check_target()
        check_contents(self.path, ConfigError)
        try:
            there = self.record.is_file()
            if there and not resume:
                raise ConfigError(
                    f"{self.path}: holds an experiment already. Continue with {parameter('resume', True)} (finished "
                    "cells are kept), or name another folder."
                )
            if not there and self.path.is_dir() and holds_more(self.path, _OWN):
                raise ConfigError(f"{self.path}: is not empty and holds no experiment; name a new or an empty folder.")
            self.cells.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(self.path / LOCK)
            if not lock.acquire(wait=2.0):  # the one that was just killed may take a moment
                raise ConfigError(
                    f"{self.path}: another `taxotext experiment run` is at work there; wait for it, or stop it."
                )
            write_json(self.record, _record(settings, cells, threads))
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error.strerror or error}).") from error
        return lock

    def read(self) -> tuple[ExperimentSettings, list[Cell], dict[str, Any]]:
        """Settings, cells and the whole record of the experiment.

        Raises:
            ConfigError: the folder is not an experiment, is damaged, or of a newer version.
        """
        if not self.record.is_file():
            what = (
                "there is no such folder" if not self.path.is_dir() else f"is not an experiment ({RECORD} is missing)"
            )
            raise ConfigError(f"{self.path}: {what}; `taxotext experiment run` makes one.")
        check_contents(self.path, ConfigError)
        record = read_json_or_none(self.record)
        if record is None or record.get("format_version") != FORMAT_VERSION:
            raise ConfigError(f"{self.record}: is damaged, or was written by another version of Taxotext; {_again()}.")
        settings = parse_experiment(self._part(record, "settings", dict[str, Any]), str(self.record))
        cells = self._part(record, "cells", list[Cell])
        for cell in cells:
            if not _is_of(cell, settings):
                raise ConfigError(f"{self.record}: is damaged ({cell.title} is not of its systems); {_again()}.")
        return settings, cells, record

    def _part(self, record: dict[str, Any], key: str, kind: Any) -> Any:
        try:
            return checked(kind, record.get(key))
        except ValueError as error:
            raise ConfigError(f"{self.record}: is damaged ({key}: {error}); {_again()}.") from None

    def folder_of(self, cell: Cell) -> CellFolder:
        """The folder of a cell; a system or corpus that was renamed keeps the folder of its old name."""
        return self.folders([cell])[cell.key]

    def folders(self, cells: Sequence[Cell]) -> dict[str, CellFolder]:
        """Key to folder, with one look at the disk."""
        there: dict[str, Path] = {}
        if self.cells.is_dir():
            for found in sorted(self.cells.iterdir()):
                there.setdefault(found.name.rpartition("_")[2], found)
        return {cell.key: CellFolder(there.get(cell.key, self.cells / cell.folder_name)) for cell in cells}

    def others(self, cells: Sequence[Cell]) -> list[Cell]:
        """Cells of the folder that are not among these: of settings or data before a change."""
        wanted = {cell.key for cell in cells}
        found = []
        for path in sorted(self.cells.iterdir()) if self.cells.is_dir() else []:
            try:
                cell = Cell.from_dict((read_json_or_none(path / "cell.json") or {}).get("cell"))
            except ValueError:  # of no use; the folder of a cell that is wanted is written again
                continue
            if cell.key not in wanted:
                found.append(cell)
        return found


def _again() -> str:
    return f"run the experiment again with {parameter('resume', True)}"


def _is_of(cell: Cell, settings: ExperimentSettings) -> bool:
    """Whether a cell may be one of an experiment: names of folders are made of what it holds."""
    return cell.system in settings.systems and cell.corpus in settings.corpora and cell.key.isalnum()


_OWN = {LOCK, "cells"}
"""What a run that was killed right at its start leaves."""


def state_of(folder: CellFolder, cell: Cell, *, speed: bool) -> str:
    """One of :data:`STATES`."""
    fitted = folder.fitted(cell.ks) is not None
    if fitted and (not speed or read_record(folder.speed, Speed) is not None):
        return FINISHED
    if is_locked(folder.lock):
        return MEASURING if fitted else TRAINING
    if folder.failure.is_file():
        return FAILED
    if fitted:
        return TRAINED
    return INTERRUPTED if folder.progress.is_file() else WAITING


def need_json(path: Path) -> dict[str, Any]:
    """A JSON object that must be there.

    Raises:
        DataError: it is not, or damaged.
    """
    value = read_json_or_none(path)
    if value is None:
        raise DataError(f"{path}: is missing or damaged; resume the experiment.")
    return value


def write_json(path: Path, value: Any) -> None:
    """Write JSON completely or not at all."""
    write_text_atomically(path, json_text(value))


def write_passing(path: Path, value: Any) -> None:
    """Write JSON that is soon replaced: whole for every reader, not safe from a power cut."""
    temporary = temporary_of(path)
    temporary.write_text(json.dumps(value), encoding="utf-8")
    os.replace(temporary, path)


def _record(settings: ExperimentSettings, cells: Sequence[Cell], threads: int) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "taxotext_version": __version__,
        "threads": threads,
        "settings": settings.model_dump(mode="json"),
        "cells": [cell.to_dict() for cell in cells],
    }
