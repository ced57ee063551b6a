"""How far a training is: finished, at work or interrupted, from its files alone and without torch."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any

from taxotext.binary.overview import FitsStatus, finished_fits, read_progress
from taxotext.binary.reports import read_fits
from taxotext.binary.systems import FITS
from taxotext.errors import ModelFolderError
from taxotext.files import is_locked, named
from taxotext.files.json_files import read_json, read_json_or_none
from taxotext.store.manifest import is_model_folder
from taxotext.training.run import LOCK, SUFFIX, run_folder_of

TRAINING, INTERRUPTED, FINISHED = "training", "interrupted", "finished"
"""Of a training: a process is at work; none is, and the model is not finished; the model is there."""
_LONGEST = 1e10
"""Seconds that a training may have taken: more is damage."""
GO_ON = "go on with the command that it was started with, and --resume"


@dataclass(frozen=True)
class TrainingStatus:
    """One training."""

    output: str  # the model folder that it writes
    state: str  # `training`, `interrupted` or `finished`
    system: str | None  # its name, or None while that is not known
    sentence: str  # what is known beside the metrics, and how to go on
    seconds: float | None = None  # the whole training took; None before its end
    # epochs_done, epochs: of an unfinished training by epochs; None of others
    epochs_done: int | None = None
    epochs: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)  # validation scores of the last of these epochs
    # of a training of many fits (htrans, gru_att); None of others, and before it has a plan
    fits: FitsStatus | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; those of the fits only where there are any."""
        values: dict[str, Any] = {
            name: getattr(self, name) for name in ("output", "state", "system", "sentence", "seconds")
        }
        if self.epochs_done is not None:
            values |= {"epochs": {"done": self.epochs_done, "planned": self.epochs}, "scores": dict(self.scores)}
        if self.fits is not None:
            values |= self.fits.to_dict()
        return values


def training_status(output: Path) -> TrainingStatus:
    """How far the training that writes ``output`` is.

    Args:
        output: the model folder, finished or not; its run folder will do.

    Raises:
        ModelFolderError: there is none, or its model is damaged.
    """
    output = named(output)
    if output.name.endswith(SUFFIX) and output.name != SUFFIX and not (output / "config.json").is_file():
        output = output.with_name(output.name.removesuffix(SUFFIX))
    run = run_folder_of(output)
    # The lock comes first: a training that ends removes run.json before it gives the lock back.
    working = is_locked(run / LOCK)
    record = read_json_or_none(run / "run.json")
    if record is None and is_model_folder(output):
        return _finished(output)
    if record is None and not working:
        what = "is not a model folder" if output.exists() else "is not there"
        raise ModelFolderError(f"{output}: {what}, and no training to it is at work or interrupted.")
    return _unfinished(output, run, record or {}, working=working)


def _unfinished(output: Path, run: Path, record: Mapping[str, Any], *, working: bool) -> TrainingStatus:
    system = record.get("model")
    system = None if system is None else str(system)
    fits = read_progress(run / "checkpoints", working=working)
    logs, level = _latest_logs(run)
    epoch = _last_epoch(run, logs)
    if working:
        state, sentence = TRAINING, "A process is at work."
        if fits is not None and fits.fits.done == fits.fits.planned:
            sentence = "A process is at work: all fits are done, the validation documents are scored."
        elif fits is None and not epoch:
            sentence = "A process is at work and prepares the training."
    else:
        state, sentence = INTERRUPTED, f"No process is at work; {GO_ON}."
        if fits is not None:
            sentence = f"No process is at work; {GO_ON}: fits that are done are not computed again."
        elif not any((run / "checkpoints").glob("*")):
            sentence += " It starts from the beginning: nothing is saved yet."
    if level:
        sentence += f" Level {level} of the label tree is reached."
    if is_model_folder(output):
        sentence += f" The model in {output} is an earlier one, and stays until the new one is finished."
    try:
        planned = int(record["settings"]["training"]["epochs"])
    except (KeyError, TypeError, ValueError, OverflowError):
        planned = None
    if fits is not None or planned is None or not epoch:
        return TrainingStatus(str(output), state, system, sentence, fits=fits)
    scores = {name: value for name, value in epoch.items() if name not in {"epoch", "step"}}
    return TrainingStatus(str(output), state, system, sentence, None, int(epoch["epoch"]), planned, scores)


def _finished(output: Path) -> TrainingStatus:
    config = read_json_or_none(output / "config.json") or {}
    facts = config.get("facts")
    seconds = facts.get("seconds") if isinstance(facts, dict) else None
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < _LONGEST:
        seconds = None
    selected = (read_json_or_none(output / "metrics.json") or {}).get("selected")
    return TrainingStatus(
        str(output),
        FINISHED,
        str(config.get("model")),
        f"Kept {selected}." if selected else "Fitted in one piece.",
        None if seconds is None else float(seconds),
        fits=_finished_fits(output),
    )


def _finished_fits(output: Path) -> FitsStatus | None:
    if not (output / FITS).is_file():
        return None
    path = output / "taxonomy.json"
    try:
        ids = [str(label["id"]) for label in read_json(path, dict)["labels"]]
    except (KeyError, TypeError) as error:
        raise ModelFolderError(f"{path}: is damaged ({error}).") from None
    return finished_fits(ids, read_fits(output / FITS, len(ids)))


def _latest_logs(run: Path) -> tuple[Path, int]:
    """Where the logs of the network are that is trained now or was last, and its level from 1; 0: there is only one."""
    levels = [int(path.name.removeprefix("level_")) for path in run.glob("logs/level_*") if path.name[6:].isdecimal()]
    return (run / "logs" / f"level_{max(levels)}", max(levels) + 1) if levels else (run / "logs", 0)


def _last_epoch(run: Path, logs: Path) -> dict[str, float]:
    """Metrics of the last epoch in the logs of a network, without those that an earlier training left there."""
    rows: list[dict[str, float]] = []
    with suppress(OSError):  # it has just finished
        began = (run / "run.json").stat().st_mtime_ns
        for path in logs.glob("csv/version_*/metrics.csv"):
            with suppress(OSError, ValueError, AttributeError, TypeError, csv.Error):  # a row is being written
                if path.stat().st_mtime_ns >= began:
                    with path.open(encoding="utf-8", newline="") as file:
                        for row in csv.DictReader(file):
                            rows.append(
                                {name.removeprefix("validation/"): float(value) for name, value in row.items() if value}
                            )
    epochs = (row for row in rows if isfinite(row.get("epoch", nan)))
    return max(epochs, key=lambda row: row["epoch"], default={})
