"""Runs the cells of an experiment: several trainings at a time, then the speed of one cell at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from taxotext import __version__
from taxotext.experiments.cell_process import FIT, LOOK_EVERY, SPEED, CellProcesses, reason_of
from taxotext.experiments.cells import Cell, make_cells
from taxotext.experiments.folder import (
    FAILED,
    FINISHED,
    SOURCE,
    TRAINED,
    CellFolder,
    ExperimentFolder,
    state_of,
    write_json,
)
from taxotext.experiments.records import Speed, read_record
from taxotext.experiments.settings import ExperimentSettings
from taxotext.experiments.source import source_digest
from taxotext.experiments.status import Status, experiment_status
from taxotext.files import write_text_atomically
from taxotext.messages import counted, parameter
from taxotext.training.run import differences
from taxotext.work import Executor, Request, Workers
from taxotext.work import Outcome as Ended

SHOW_EVERY = 1.0
SHOWN_LINES = 3


class Observer(Protocol):
    """Who is told how the experiment goes.

    Attributes:
        live: whether :meth:`show` is wanted while cells are at work; looking costs time that cells could use.
    """

    live: bool

    def note(self, sentence: str) -> None:
        """One sentence to the user."""

    def show(self, status: Status) -> None:
        """Where all cells are; called about once a second."""

    def ended(self, cell: Cell, state: str, sentence: str) -> None:
        """A cell was trained, finished or failed."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    cells: list[Cell]  # all cells
    failed: dict[str, str]  # cell to reason
    reused: int  # cells that were finished before


def run_experiment(
    settings: ExperimentSettings,
    output: Path,
    observer: Observer,
    *,
    where: str = "experiment",
    text: str | None = None,
    resume: bool = False,
    exact_code: bool = False,
    workers: Workers | None = None,
) -> Outcome:
    """Run what is not finished yet. The table is made by :func:`taxotext.experiments.output.write_tables`.

    Args:
        settings: validated.
        output: folder of the experiment.
        observer: where progress goes.
        where: the file, named in errors.
        text: its content, kept in the folder.
        resume: go on in a folder that holds the experiment.
        exact_code: run cells again that another state of the source code has computed.
        workers: where cells are computed; on a cluster at as many places as it has, whatever ``jobs`` says.

    Raises:
        ConfigError, DataError: before anything is run.
        KeyboardInterrupt: the trainings have saved their checkpoints.
    """
    threads = settings.threads_each()
    folder = ExperimentFolder(output)
    folder.check_target()
    cells = make_cells(settings, threads, where)
    before = folder.others(cells) if resume else []
    with folder.start(settings, cells, resume=resume, threads=threads):
        if text is not None:
            write_text_atomically(folder.path / SOURCE, text)
        _take_over(cells, folder, before)
        for sentence in changed_sentences(cells, folder, before):
            observer.note(sentence)
        planned = _PlannedCells(folder, cells, settings)
        if exact_code:
            _forget_other_code(planned, observer)
        _forget_without_model(planned, observer)
        reused = sum(planned.state(cell) == FINISHED for cell in planned.cells)
        if reused:
            observer.note(f"{counted(reused, 'cell')} of {len(planned.cells)} finished before and stay as they are.")
        _note_other_code(planned, observer)
        pool = _Pool(planned, threads, observer)
        workers = workers or Workers()
        local = workers.executor == "processes"
        processes = CellProcesses(settings.jobs, observer.note)
        with processes if local else workers.start(settings.jobs, folder.path, threads=threads) as executor:
            # By seed first: a picture of all systems is there as early as may be.
            order = sorted(planned.cells, key=lambda cell: _place(cell, settings))
            jobs = settings.jobs if local else len(order)
            pool.work(FIT, [cell for cell in order if not planned.fitted(cell)], jobs, executor)
            if settings.speed.enabled:
                # Alone: other trainings would slow it down.
                pool.work(SPEED, [cell for cell in order if planned.state(cell) == TRAINED], 1, executor)
        for cell in planned.cells:
            planned.tidy(cell)
        observer.show(experiment_status(folder))
        return Outcome(cells, planned.failures(), reused)


def _take_over(cells: Sequence[Cell], folder: ExperimentFolder, before: Sequence[Cell]) -> None:
    """Results from before an optional setting was added (null now) are those of the cells that have it."""
    names = {(cell.system, cell.corpus, cell.seed): cell for cell in cells}
    keys: dict[str, str] = {}  # before -> now
    for old in sorted(before, key=lambda cell: len(cell.members)):  # mixtures behind what they are made of
        now = names.get((old.system, old.corpus, old.seed))
        identity = {**old.identity, "members": [keys.get(key, key) for key in old.members] or None}
        if now is None or differences(identity, now.identity):
            continue
        keys[old.key] = now.key
        place = folder.folder_of(now).path
        if not place.exists():
            folder.folder_of(old).path.rename(place)


def changed_sentences(cells: Sequence[Cell], folder: ExperimentFolder, before: Sequence[Cell]) -> list[str]:
    """What became of cells whose settings, data or version changed since they were run."""
    names = {(cell.system, cell.corpus, cell.seed): cell for cell in cells}
    there = {cell.key for cell in cells if folder.folder_of(cell).path.is_dir()}
    changed: dict[str, dict[str, str]] = {}  # what -> titles -> folders of the latest results
    gone = 0
    for old in before:
        now = names.get((old.system, old.corpus, old.seed))
        if now is None:
            gone += 1
        elif now.key not in there:
            changed.setdefault(_change(old, now), {})[now.title] = folder.folder_of(old).path.name
    sentences = []
    for what, cells_of in changed.items():
        if len(cells_of) == 1:
            ((title, earlier),) = cells_of.items()
            sentences.append(
                f"{title}: changed since it was run ({what}). It is run again; the earlier result stays in "
                f"cells/{earlier}."
            )
        else:
            sentences.append(
                f"{counted(len(cells_of), 'cell')} changed since they were run ({what}): {'; '.join(cells_of)}. They "
                "are run again; the earlier results stay in cells/."
            )
    if gone:
        sentences.append(f"{counted(gone, 'cell')} of the folder no longer part of the experiment: kept, not shown.")
    return sentences


def _change(old: Cell, now: Cell) -> str:
    what = differences(old.identity, now.identity)
    shown = "; ".join(f"{path}: {_short(then)} then, {_short(new)} now" for path, then, new in what[:SHOWN_LINES])
    return shown + (f"; and {len(what) - SHOWN_LINES} more" if len(what) > SHOWN_LINES else "")


class _PlannedCells:
    """The cells that there are to run, each once, and what is known of them."""

    def __init__(self, folder: ExperimentFolder, cells: Sequence[Cell], settings: ExperimentSettings) -> None:
        self.folder, self.settings = folder, settings
        self.cells = list({cell.key: cell for cell in cells}.values())
        self.folders = folder.folders(self.cells)
        for cell in self.cells:
            self.folders[cell.key].prepare(cell, settings.speed.model_dump(mode="json"), settings.jobs)
            self.folders[cell.key].failure.unlink(missing_ok=True)  # it is tried again

    def state(self, cell: Cell) -> str:
        return state_of(self.folders[cell.key], cell, speed=self.settings.speed.enabled)

    def fitted(self, cell: Cell) -> bool:
        return self.folders[cell.key].fitted(cell.ks) is not None

    def users(self, cell: Cell) -> list[Cell]:
        """Cells that are made of this one and not fitted yet."""
        return [other for other in self.cells if cell.key in other.members and not self.fitted(other)]

    def failed_member(self, cell: Cell) -> Cell | None:
        """A member that is not fitted: the first one."""
        by_key = {other.key: other for other in self.cells}
        return next((by_key[key] for key in cell.members if not self.fitted(by_key[key])), None)

    def tidy(self, cell: Cell) -> None:
        """Remove the model of a finished cell where models are not kept and no other cell waits for it."""
        if not self.settings.keep_models and self.state(cell) == FINISHED and not self.users(cell):
            self.folders[cell.key].forget_model()

    def failures(self) -> dict[str, str]:
        found = {}
        for cell in self.cells:
            if self.state(cell) == FAILED:
                found[cell.title] = reason_of(self.folders[cell.key])
        return found


class _Pool:
    """Gives cells to what computes them, each when those that it is made of are done."""

    def __init__(self, planned: _PlannedCells, threads: int, observer: Observer) -> None:
        self._planned, self._threads, self._observer = planned, threads, observer
        self._running: dict[str, Cell] = {}
        self._shown = 0.0

    def work(self, stage: str, cells: Sequence[Cell], jobs: int, executor: Executor) -> None:
        """Run one stage of some cells, at most ``jobs`` at a time; a cell waits for those that it is made of."""
        waiting = list(cells)
        while waiting or self._running:
            while len(self._running) < min(jobs, executor.slots) and (cell := self._next(waiting)) is not None:
                arguments = {"folder": str(self._planned.folders[cell.key].path), "stage": stage}
                executor.submit(cell.key, Request("cell", {**arguments, "threads": self._threads}))
                self._running[cell.key] = cell
            if self._running:
                for outcome in executor.wait(LOOK_EVERY):
                    self._end(self._running.pop(outcome.key), stage, outcome)
            self._show()

    def _next(self, waiting: list[Cell]) -> Cell | None:
        """Take a cell whose members are done out of those that wait; cells whose members failed end here."""
        while True:
            busy = {cell.key for cell in waiting} | self._running.keys()
            cell = next((cell for cell in waiting if not busy & set(cell.members)), None)
            if cell is None:
                return None
            waiting.remove(cell)
            member = self._planned.failed_member(cell)
            if member is None:
                return cell
            reason = f"its member failed: {member.title}: {reason_of(self._planned.folders[member.key])}"
            self._fail(cell, FIT, reason, "member")

    def _fail(self, cell: Cell, stage: str, reason: str, kind: str) -> None:
        write_json(self._planned.folders[cell.key].failure, {"stage": stage, "reason": reason, "kind": kind})
        self._observer.ended(cell, FAILED, reason)

    def _end(self, cell: Cell, stage: str, outcome: Ended) -> None:
        if outcome.report is None:  # nobody could even run its process
            self._fail(cell, stage, outcome.failure, "executor")
            return
        reason = outcome.report["failure"]
        if reason is not None:
            self._observer.ended(cell, FAILED, reason)
            return
        settings, folder = self._planned.settings, self._planned.folders[cell.key]
        sentence = _speed(folder) if stage == SPEED else _metrics(folder, settings)
        self._observer.ended(cell, self._planned.state(cell), sentence)
        self._planned.tidy(cell)

    def _show(self) -> None:
        if self._observer.live and time.monotonic() - self._shown >= SHOW_EVERY:
            self._shown = time.monotonic()
            self._observer.show(experiment_status(self._planned.folder))


def _metrics(folder: CellFolder, settings: ExperimentSettings) -> str:
    metrics = (folder.fitted() or {}).get("metrics", {})
    return ", ".join(f"{name} {100 * metrics[name]:.2f} %" for name in settings.metrics if name in metrics)


def _speed(folder: CellFolder) -> str:
    found = read_record(folder.speed, Speed)
    if found is None:
        return ""
    return f"{found['batch_1']['p50_ms']:.2f} ms/document at batch 1, {found['documents_per_second']:,.0f} documents/s"


def _place(cell: Cell, settings: ExperimentSettings) -> int:
    return list(settings.systems[cell.system].seeds or settings.seeds).index(cell.seed)


def _note_other_code(planned: _PlannedCells, observer: Observer) -> None:
    other = [cell for cell in planned.cells if planned.fitted(cell) and _is_of_other_code(planned.folders[cell.key])]
    if other:
        observer.note(
            f"{counted(len(other), 'finished cell')} computed by another state of the source of version "
            f"{__version__}; the table says so. {parameter('exact_code', True)} runs them again."
        )


def _forget_other_code(planned: _PlannedCells, observer: Observer) -> None:
    for cell in planned.cells:
        folder = planned.folders[cell.key]
        if planned.fitted(cell) and _is_of_other_code(folder):
            observer.note(f"{cell.title}: computed by another state of the source code; it is run again.")
            folder.fit.unlink()  # first: without it the rest counts for nothing
            folder.speed.unlink(missing_ok=True)
            folder.forget_model()


def _forget_without_model(planned: _PlannedCells, observer: Observer) -> None:
    """Cells whose model was removed are run again where another cell needs it."""
    while True:
        needed = [cell for cell in planned.cells if planned.users(cell) and planned.fitted(cell)]
        gone = [cell for cell in needed if not planned.folders[cell.key].model.is_dir()]
        if not gone:
            return
        for cell in gone:
            user = planned.users(cell)[0]
            observer.note(f"{cell.title}: its model was not kept, and {user.title} needs it; it is run again.")
            planned.folders[cell.key].fit.unlink()


def _is_of_other_code(folder: CellFolder) -> bool:
    return (folder.fitted() or {}).get("source") != source_digest()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:12] + "..."
