"""How far a training of many fits is, read from its files and without torch.

The recipe writes what it plans and which fits are running; the ledger holds what is done. Every file is written whole,
so they can be read at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from taxotext.binary.plan import CONSTANT, Files, is_fit, owner
from taxotext.files import write_text_atomically
from taxotext.files.json_files import read_json_or_none

OVERVIEW = "overview.json"
"""The plan."""
AT_WORK = "at_work.json"
"""Keys of the running fits."""


@dataclass(frozen=True)
class Counts:
    """How many are done, at work and planned."""

    done: int
    at_work: int
    planned: int


@dataclass(frozen=True)
class FitsStatus:
    """Progress of all fits of a training."""

    labels: Counts  # done when the classifier is chosen, at work while one of their fits is running
    fits: Counts  # of all labels
    # epochs_done, epochs: trained so far and planned at most; the latter is None when the training is finished
    epochs_done: int
    epochs: int | None
    seconds: float  # of the fits that are done, added up
    seconds_left: float | None  # of wall time, an estimate; None while no fit is done
    processes: int | None  # that fit in parallel; None when the training is finished
    weights: Mapping[str, float]  # chosen class weight by label id; labels without a classifier are left out

    def labels_by_weight(self) -> dict[float, int]:
        """How many labels chose each class weight, in order of the weights."""
        weights = list(self.weights.values())
        return {weight: weights.count(weight) for weight in sorted(set(weights))}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "labels": asdict(self.labels),
            "fits": asdict(self.fits),
            "epochs": {"done": self.epochs_done, "planned": self.epochs},
            "fit_seconds": self.seconds,
            "seconds_left": self.seconds_left,
            "processes": self.processes,
            "class_weights": dict(self.weights),
        }


def write_overview(folder: Path, labels: Sequence[str], epochs: Mapping[str, int], processes: int) -> None:
    """Write the plan.

    Args:
        labels: (N,) ids.
        epochs: that each fit trains at most, by key.
        processes: that fit in parallel.
    """
    content = {"labels": list(labels), "epochs": dict(epochs), "processes": processes}
    write_text_atomically(folder / OVERVIEW, json.dumps(content))


def write_at_work(folder: Path, keys: Collection[str]) -> None:
    """Write which fits are running."""
    write_text_atomically(folder / AT_WORK, json.dumps({"fits": list(keys)}))


def read_progress(checkpoints: Path, *, working: bool) -> FitsStatus | None:
    """Progress of an unfinished training; None before it has a plan, or where its files are damaged.

    Args:
        working: whether a process is training there; without one, no fit is running.
    """
    plan = read_json_or_none(checkpoints / OVERVIEW)
    if plan is None:
        return None
    results = {path.stem: read_json_or_none(path) for path in Files(checkpoints).ledger.glob("*.json")}
    running = (read_json_or_none(checkpoints / AT_WORK) or {}).get("fits", []) if working else []
    try:
        return _progress(plan, {key: result for key, result in results.items() if result is not None}, running)
    except (
        ArithmeticError,
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ):  # the training itself reports the damage
        return None


def finished_fits(ids: Sequence[str], fits: Sequence[Mapping[str, Any]]) -> FitsStatus:
    """What a finished model says of its fits.

    Args:
        ids: (N,) of its labels.
        fits: (N,) content of its ``fits.json``.
    """
    count = sum(fit["fits"] for fit in fits)
    return FitsStatus(
        Counts(len(ids), 0, len(ids)),
        Counts(count, 0, count),
        sum(fit["epochs"] for fit in fits),
        None,
        round(sum(fit["seconds"] for fit in fits), 1),
        0.0,
        None,
        {label: fit["weight"] for label, fit in zip(ids, fits, strict=True) if fit["how"] != CONSTANT},
    )


def _progress(plan: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]], running: Sequence[str]) -> FitsStatus:
    ids, planned, processes = list(plan["labels"]), dict(plan["epochs"]), int(plan["processes"])
    done = {key: result for key, result in results.items() if key in planned}
    at_work = {str(key) for key in running if key in planned} - done.keys()
    chosen = {owner(key): result for key, result in results.items() if not is_fit(key)}
    # A report counts the epochs and seconds of the rungs below as well: of each class weight the last one tells all.
    last = {(owner(key), done[key]["weight"]): done[key] for key in sorted(done)}
    seconds = float(sum(report["seconds"] for report in last.values()))
    if not isfinite(seconds):
        raise ValueError("a fit took no finite time")
    # The pace is taken by planned epoch, so that it includes what early stopping spares.
    planned_of_done, of_all = sum(planned[key] for key in done), sum(planned.values())
    left = None
    if len(done) == len(planned):
        left = 0.0
    elif planned_of_done:
        left = seconds / planned_of_done * (of_all - planned_of_done) / min(processes, len(planned) - len(done))
    return FitsStatus(
        Counts(len(chosen), len({owner(key) for key in at_work} - chosen.keys()), len(ids)),
        Counts(len(done), len(at_work), len(planned)),
        sum(int(report["epochs"]) for report in last.values()),
        of_all,
        round(seconds, 1),
        None if left is None else round(left, 1),
        processes,
        {ids[label]: float(result["weight"]) for label, result in sorted(chosen.items()) if result["how"] != CONSTANT},
    )
