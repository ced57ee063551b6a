"""Where the cells of an experiment are; works while it runs, from the files alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from taxotext.experiments.cells import Cell
from taxotext.experiments.folder import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    LOCK,
    MEASURING,
    STATES,
    TRAINED,
    TRAINING,
    WAITING,
    CellFolder,
    ExperimentFolder,
    state_of,
)
from taxotext.experiments.records import Progress, read_record
from taxotext.files import is_locked
from taxotext.files.json_files import read_json_or_none

TO_TRAIN = {WAITING, INTERRUPTED, TRAINING, FAILED}


@dataclass(frozen=True)
class CellStatus:
    """One cell."""

    # system, corpus, seed: which one
    system: str
    corpus: str
    seed: int
    state: str  # one of `taxotext.experiments.folder.STATES`
    task: str  # what it is at, in words; empty when it is not running
    share: float | None  # how much of the task is done, 0..1; None when that is not known
    fields: dict[str, Any]  # metrics of the task, such as the loss
    seconds: float  # spent on training and evaluation so far, all attempts together
    peak_memory: int  # bytes so far
    seconds_left: float | None  # of the training, estimated; None when nothing is known
    attempts: int  # processes that were started for it
    reason: str  # why it failed
    folder: str  # its name below `cells`


@dataclass(frozen=True)
class Status:
    """All cells."""

    name: str  # of the experiment
    running: bool  # whether a run is at work
    counts: dict[str, int]  # state to number of cells
    cells: list[CellStatus]  # in the order of the table
    # of all trainings together at this number of jobs, estimated; None when nothing is known yet
    seconds_left: float | None
    share: float  # finished part of the whole, 0..1, by cells

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def experiment_status(folder: ExperimentFolder | Path) -> Status:
    """Look at the folder of an experiment.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(folder, Path):
        folder = ExperimentFolder(folder)
    settings, cells, _ = folder.read()
    folders = folder.folders(cells)
    speed = settings.speed.enabled
    states = {cell.key: state_of(folders[cell.key], cell, speed=speed) for cell in cells}
    took = _taken(cells, folders)
    found = [_cell_status(cell, folders[cell.key], states[cell.key], took) for cell in cells]
    left = _seconds_left(found, settings.jobs)
    done = sum(map(_share, found))
    return Status(
        settings.name,
        is_locked(folder.path / LOCK),
        {state: sum(status.state == state for status in found) for state in STATES},
        found,
        left,
        done / max(len(found), 1),
    )


def _cell_status(
    cell: Cell, folder: CellFolder, state: str, took: Mapping[tuple[str, str], Sequence[float]]
) -> CellStatus:
    progress = read_record(folder.progress, Progress) or {}
    running = state in {TRAINING, MEASURING}
    total, done = progress.get("total"), progress.get("done", 0)
    share = min(done / total, 1.0) if running and total else None
    failure = read_json_or_none(folder.failure) or {}
    return CellStatus(
        cell.system,
        cell.corpus,
        cell.seed,
        state,
        str(progress.get("task", "Starting")) if running else "",
        share,
        dict(progress.get("fields", {})) if running else {},
        float(progress.get("seconds", 0.0)),
        int(progress.get("peak_memory", 0)),
        _cell_left(cell, state, progress, share, took),
        int(progress.get("attempts", 0)),
        str(failure.get("reason", "")) if state == FAILED else "",
        folder.path.name,
    )


def _taken(cells: Sequence[Cell], folders: Mapping[str, CellFolder]) -> dict[tuple[str, str], list[float]]:
    """Seconds of the cells that are trained, by system and corpus."""
    taken: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        fitted = folders[cell.key].fitted()
        if fitted is not None:
            taken.setdefault((cell.system, cell.corpus), []).append(float(fitted["process_seconds"]))
    return taken


def _cell_left(
    cell: Cell,
    state: str,
    progress: Mapping[str, Any],
    share: float | None,
    took: Mapping[tuple[str, str], Sequence[float]],
) -> float | None:
    """Seconds of training that a cell still needs: from other seeds, or from its own pace."""
    if state in {FINISHED, TRAINED, MEASURING, FAILED}:
        return 0.0
    known = took.get((cell.system, cell.corpus))
    spent = float(progress.get("seconds", 0.0))
    if known:
        return max(mean(known) - spent, 1.0)
    if state != TRAINING or not share:
        return None
    # The rest of the task at the pace that it had; what comes behind it is not known.
    first, done = float(progress.get("first", 0)), float(progress["done"])
    seconds = float(progress.get("time", time.time())) - float(progress.get("began", time.time()))
    pace = (done - first) / seconds if seconds > 0 else 0.0
    return (float(progress["total"]) - done) / pace if pace > 0 else None


def _seconds_left(cells: Sequence[CellStatus], jobs: int) -> float | None:
    """Time until all are trained; cells of which nothing is known take as long as the longest known."""
    open_cells = [cell for cell in cells if cell.state in TO_TRAIN - {FAILED}]
    known = [cell.seconds_left for cell in open_cells if cell.seconds_left is not None]
    if not open_cells:
        return 0.0
    if not known:
        return None
    each = [max(known) if cell.seconds_left is None else cell.seconds_left for cell in open_cells]
    return max(max(each), sum(each) / jobs)


def _share(status: CellStatus) -> float:
    if status.state in {FINISHED, FAILED}:
        return 1.0
    if status.state in {TRAINED, MEASURING}:
        return 0.95
    if status.state == TRAINING and status.task == "Training" and status.share is not None:
        return 0.9 * status.share
    return 0.0
