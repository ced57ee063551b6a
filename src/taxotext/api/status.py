"""Where a training is: finished, at work or interrupted, from its files alone and without torch."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taxotext.binary.overview import FitsFollower, FitsStatus, finished_fits
from taxotext.binary.reports import read_fits
from taxotext.binary.systems import FITS
from taxotext.errors import ModelFolderError, TaxonomyError
from taxotext.files import named
from taxotext.files.json_files import read_json
from taxotext.labels import Taxonomy
from taxotext.training.run import SUFFIX, is_taken, run_folder_of

TRAINING, INTERRUPTED, FINISHED = "training", "interrupted", "finished"
"""Of a training: a process is at work; none is, and the model is not finished; the model is there."""
GO_ON = "go on with the command that it was started with, and --resume"


@dataclass(frozen=True)
class TrainingStatus:
    """One training.

    Attributes:
        output: the model folder that it writes.
        state: ``training``, ``interrupted`` or ``finished``.
        system: its name, or None while that is not known.
        sentence: what is known beside the figures, and how to go on.
        seconds: the whole training took; None before its end.
        epochs_done, epochs: of systems trained in one piece by epochs; None of others.
        scores: validation scores of the last of these epochs.
        fits: of a training along the taxonomy; None of others, and before it has planned its fits.
    """

    output: str
    state: str
    system: str | None
    sentence: str
    seconds: float | None = None
    epochs_done: int | None = None
    epochs: int | None = None
    scores: Mapping[str, float] | None = None
    fits: FitsStatus | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the keys of ``fits`` only where there are any."""
        values: dict[str, Any] = {
            "output": self.output,
            "state": self.state,
            "system": self.system,
            "sentence": self.sentence,
            "seconds": self.seconds,
        }
        if self.epochs_done is not None:
            values |= {"epochs": {"done": self.epochs_done, "planned": self.epochs}, "scores": dict(self.scores or {})}
        if self.fits is not None:
            fits = self.fits
            values |= {
                "seconds_left": fits.seconds_left,
                "processes": fits.processes,
                "fits": {"done": fits.fits_done, "at_work": fits.fits_at_work, "planned": fits.fits},
                "epochs": {"done": fits.epochs_done, "spared": fits.epochs_spared, "planned": fits.epochs},
                "fit_seconds": fits.seconds,
                "levels": fits.levels(),
                "labels": [asdict(label) for label in fits.labels],
            }
        return values


class Follower:
    """Looks at a training again and again.

    Args:
        output: the model folder that it writes, finished or not; its run folder will do.
    """

    def __init__(self, output: Path) -> None:
        output = named(output)
        if output.name.endswith(SUFFIX) and output.name != SUFFIX and not (output / "config.json").is_file():
            output = output.with_name(output.name.removesuffix(SUFFIX))
        self.output, self.run = output, run_folder_of(output)
        self._fits = FitsFollower(self.run / "checkpoints")

    def look(self) -> TrainingStatus:
        """Where the training is now.

        Raises:
            ModelFolderError: there is none, or its model is damaged.
        """
        # The lock comes first: a training that ends forgets run.json before it gives the lock back.
        working = is_taken(self.run)
        record = _read(self.run / "run.json")
        if record is None and _is_model(self.output):
            return self._finished()
        if record is None and not working:
            raise ModelFolderError(self._absent())
        return self._unfinished(record or {}, working=working)

    def _absent(self) -> str:
        what = "is no model folder" if self.output.exists() else "is not there"
        return f"{self.output}: {what}, and no training to it is at work or interrupted."

    def _unfinished(self, record: Mapping[str, Any], *, working: bool) -> TrainingStatus:
        system = record.get("model")
        system = None if system is None else str(system)
        fits = self._fits.look(working=working)
        history = _history(self.run)
        planned = _planned_epochs(record)
        if working:
            state, sentence = TRAINING, "A process is at work."
            if fits is not None and fits.fits_done == fits.fits:
                sentence = "A process is at work: all fits are done, the validation documents are scored."
            elif fits is None and not history:
                sentence = "A process is at work and prepares the training."
        else:
            state, sentence = INTERRUPTED, f"No process is at work; {GO_ON}."
            if fits is not None:
                sentence = f"No process is at work; {GO_ON}: fits that are done are not computed again."
            elif not any((self.run / "checkpoints").glob("*")):
                sentence += " It starts from the beginning: nothing is saved yet."
        if _is_model(self.output):
            sentence += f" The model in {self.output} is an earlier one, and stays until the new one is finished."
        if fits is not None or planned is None or not history:
            return TrainingStatus(str(self.output), state, system, sentence, fits=fits)
        done, scores = _last(history)
        return TrainingStatus(str(self.output), state, system, sentence, None, done, planned, scores)

    def _finished(self) -> TrainingStatus:
        config = _read(self.output / "config.json") or {}
        metrics = _read(self.output / "metrics.json") or {}
        facts = config.get("facts")
        seconds = facts.get("seconds") if isinstance(facts, dict) else None
        selected = metrics.get("selected")
        sentence = f"Kept {selected}." if selected else "Fitted in one piece."
        history = metrics.get("history")
        done, scores = _last([one for one in history if isinstance(one, dict)] if isinstance(history, list) else [])
        return TrainingStatus(
            str(self.output),
            FINISHED,
            str(config.get("model")),
            sentence,
            float(seconds) if isinstance(seconds, (int, float)) else None,
            done or None,
            _planned_epochs(config) if done else None,
            scores if done else None,
            self._finished_fits(),
        )

    def _finished_fits(self) -> FitsStatus | None:
        path = self.output / FITS
        if not path.is_file():
            return None
        try:
            taxonomy = Taxonomy.from_dict(read_json(self.output / "taxonomy.json", dict))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, TaxonomyError) as error:
            raise ModelFolderError(f"{self.output / 'taxonomy.json'}: is damaged ({error}).") from None
        return finished_fits(taxonomy, read_fits(path, len(taxonomy)))


def training_status(output: Path) -> TrainingStatus:
    """Where the training that writes ``output`` is.

    Raises:
        ModelFolderError: there is none, or its model is damaged.
    """
    return Follower(output).look()


def _is_model(folder: Path) -> bool:
    config = _read(folder / "config.json")
    return config is not None and "format_version" in config and (folder / "taxonomy.json").is_file()


def _planned_epochs(record: Mapping[str, Any]) -> int | None:
    """``training.epochs`` of a record or configuration with ``settings``."""
    settings = record.get("settings")
    training = settings.get("training") if isinstance(settings, dict) else None
    epochs = training.get("epochs") if isinstance(training, dict) else None
    return epochs if isinstance(epochs, int) else None


def _history(run: Path) -> list[dict[str, Any]]:
    """Rows of the logs of all parts of a training, by epoch; not those of another one that was finished here before."""
    found: dict[float, dict[str, Any]] = {}
    try:
        began = (run / "run.json").stat().st_mtime_ns
        paths = [path for path in run.glob("logs/csv/version_*/metrics.csv") if path.stat().st_mtime_ns >= began]
    except OSError:  # just finished
        return []
    for path in sorted(paths, key=lambda path: int((re.findall(r"\d+", path.parent.name) or [0])[-1])):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    figures = {name.removeprefix("validation/"): float(value) for name, value in row.items() if value}
                    found[figures["epoch"]] = figures
        except (OSError, ValueError, KeyError, AttributeError, TypeError, csv.Error):
            continue  # being written at this moment, or none of ours: it is a log
    return [found[epoch] for epoch in sorted(found)]


def _last(history: list[dict[str, Any]]) -> tuple[int, dict[str, float]]:
    """How many epochs are done, and the figures of the last one."""
    if not history:
        return 0, {}
    figures = {
        name: float(value)
        for name, value in history[-1].items()
        if name not in {"epoch", "step"} and isinstance(value, (int, float))
    }
    return int(history[-1].get("epoch", len(history))), figures


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
