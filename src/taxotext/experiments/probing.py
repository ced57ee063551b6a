"""What an experiment will take: each system on each corpus is tried on few documents, in a process of its own."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taxotext.cost.memory import available
from taxotext.experiments.cell_process import PROBE, run_cell
from taxotext.experiments.cells import Cell, make_cells
from taxotext.experiments.folder import FINISHED, CellFolder, ExperimentFolder, state_of
from taxotext.experiments.measuring import machine_load
from taxotext.experiments.settings import ExperimentSettings
from taxotext.files.json_files import read_json_or_none
from taxotext.processes import usable_cores
from taxotext.progress import Reporter


@dataclass(frozen=True)
class Estimate:
    """One system on one corpus."""

    # system, corpus: which
    system: str
    corpus: str
    cells: int  # how many are to be run (finished ones are not)
    seconds: float | None  # of one cell, training and evaluation; None when the trial failed
    memory: int | None  # peak of one process in bytes; None when the trial failed
    tried: int  # training documents of the trial
    documents: int  # training documents in all
    epochs: float  # how often they are gone through; of classifiers for one label each: that times labels, a process
    reason: str  # why the trial failed
    scoring: float = 0.0  # seconds for the validation and test documents, once


@dataclass(frozen=True)
class ExperimentPlan:
    """The whole experiment."""

    estimates: list[Estimate]  # one for each system on each corpus
    cells: int  # to be run
    finished: int  # cells that are there already
    # jobs, threads: as they will be run
    jobs: int
    threads: int
    seconds: float  # of all trainings and evaluations with these jobs; those whose trial failed are not counted
    speed_seconds: float  # at most, for measuring speed afterwards
    memory: int  # of the largest processes that can run at a time, in bytes
    free_memory: int | None  # of this machine now, in bytes; None when it does not say
    load: float | None  # running processes before the trials, mean of a minute; None when the machine does not say

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def advice(self) -> list[str]:
        """What to change before it is started."""
        found = []
        if self.free_memory is not None and self.memory > self.free_memory:
            found.append(
                f"{self.jobs} jobs may need {self.memory / 1e9:.1f} GB together and {self.free_memory / 1e9:.1f} GB "
                "are free: lower jobs, or the batch size of the largest system."
            )
        if self.load is not None and self.load > usable_cores() / 2:
            found.append(
                f"The machine is busy ({self.load:g} running processes on {usable_cores()} cores): the times hold "
                "for a machine as busy as that."
            )
        if self.jobs * self.threads > usable_cores():
            found.append(
                f"jobs x threads is {self.jobs * self.threads} and there are {usable_cores()} cores: the times will be "
                "longer and not comparable; lower one of them."
            )
        found += [f"{one.system} on {one.corpus} will fail: {one.reason}" for one in self.estimates if one.reason]
        return found


def plan_experiment(
    settings: ExperimentSettings, reporter: Reporter, *, where: str = "experiment", output: Path | None = None
) -> ExperimentPlan:
    """Try every system on every corpus, and add up.

    What is made of other systems of the experiment cannot be tried before they are trained: it takes the time of their
    scoring.

    Args:
        output: folder of the experiment, if it was begun: what is finished there is not counted.

    Raises:
        ConfigError, DataError: as a run would.
    """
    threads = settings.threads_each()
    cells = list({cell.key: cell for cell in make_cells(settings, threads, where)}.values())
    finished: set[str] = set()
    if output is not None and ExperimentFolder(output).cells.is_dir():
        folders = ExperimentFolder(output).folders(cells)
        speed = settings.speed.enabled
        finished = {cell.key for cell in cells if state_of(folders[cell.key], cell, speed=speed) == FINISHED}
    needed, groups = _needed(cells, finished)
    tried: dict[tuple[str, str], Estimate] = {}
    load = machine_load()
    with reporter.task("Trying", len(groups), unit="systems") as task:
        for (system, corpus), same in groups.items():
            task.show(now=f"{system} on {corpus}")
            count = sum(cell.key not in finished for cell in same)
            if same[0].members:
                parts = [tried[needed[key].system, corpus] for key in same[0].members]
                tried[system, corpus] = _of_members(system, corpus, count, parts)
            else:
                tried[system, corpus] = _estimate(system, corpus, count, same[0], threads)
            task.advance(1)
    estimates = [one for one in tried.values() if one.cells]
    each = [one.seconds for one in estimates for _ in range(one.cells) if one.seconds is not None]
    sizes = sorted((one.memory for one in estimates for _ in range(one.cells) if one.memory), reverse=True)
    left = len(cells) - len(finished)
    return ExperimentPlan(
        estimates,
        left,
        len(finished),
        settings.jobs,
        threads,
        makespan(each, settings.jobs),
        3 * settings.speed.seconds * left if settings.speed.enabled else 0.0,
        sum(sizes[: settings.jobs]),
        available(),
        load,
    )


def makespan(seconds: Sequence[float], jobs: int) -> float:
    """Time until all are done when each is started, in this order, as soon as one of ``jobs`` places is free.

    >>> makespan([3, 3, 2], jobs=2)
    5.0
    """
    places = [0.0] * jobs
    for one in seconds:
        heapq.heapreplace(places, places[0] + one)
    return float(max(places))


def _needed(
    cells: Sequence[Cell], finished: Collection[str]
) -> tuple[dict[str, Cell], dict[tuple[str, str], list[Cell]]]:
    """Cells that are not finished and those that they are made of, by key; and by system and corpus, members first."""
    by_key = {cell.key: cell for cell in cells}
    found: dict[str, Cell] = {}

    def add(cell: Cell) -> None:
        for key in cell.members:
            add(by_key[key])
        found.setdefault(cell.key, cell)

    for cell in cells:
        if cell.key not in finished:
            add(cell)
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in found.values():
        groups.setdefault((cell.system, cell.corpus), []).append(cell)
    return found, groups


def _of_members(system: str, corpus: str, count: int, members: Sequence[Estimate]) -> Estimate:
    for member in members:
        if member.reason:
            reason = f"its member {member.system} fails: {member.reason}"
            return Estimate(system, corpus, count, None, None, 0, 0, 0, reason)
    scoring = sum(member.scoring for member in members)
    memory = sum(member.memory or 0 for member in members)
    return Estimate(system, corpus, count, scoring, memory, 0, 0, 0, "", scoring)


def _estimate(system: str, corpus: str, count: int, cell: Cell, threads: int) -> Estimate:
    with tempfile.TemporaryDirectory(prefix="taxotext-plan-") as name:
        folder = CellFolder(Path(name) / "cell")
        folder.prepare(cell, {})
        reason = run_cell(folder=str(folder.path), stage=PROBE, threads=threads)["failure"]
        found = read_json_or_none(folder.probe)
    if found is None:
        return Estimate(system, corpus, count, None, None, 0, 0, 0, reason or "its process wrote no estimate.")
    return Estimate(system, corpus, count, reason="", **found)
