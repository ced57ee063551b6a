"""The folder of a search: what is searched and the trials so far, each file whole at any moment.

======================  =============================================================================
``search.json``         what is searched: system, settings, space, metric, fingerprints of the data
``trials.jsonl``        a line for each trial
``best.yaml``           the best configuration so far, for ``taxotext train``
``model``               the model of the best trial, with tuned thresholds
``trials/0007``         logs of a trial; while it runs, its checkpoints and its model
======================  =============================================================================
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import FiniteFloat

from taxotext.composition.space import Space
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.files import (
    check_contents,
    check_target,
    holds_more,
    remove_stale,
    replacing_folder,
    write_text_atomically,
)
from taxotext.files.json_files import checked, json_text, read_json_or_none
from taxotext.messages import parameter
from taxotext.store import check_free, check_outside_models
from taxotext.training.run import LOCK, check_identity, clean_run, take_run

RECORD, TRIALS, BEST, MODEL, RUNS = "search.json", "trials.jsonl", "best.yaml", "model", "trials"
LONGEST_TRIAL = 2**20
"""Characters of a line of the trials, which no settings come near to."""
LOGS = "logs"
"""Folder beside those of the trials, for what processes have to say."""


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        number: from 1 on; trial 1 has the settings that the search starts from, where the space has them.
        state: ``running`` until it ends; ``failed`` with ``reason``.
        settings: what was tried, by key path.
        value: the metric on held-out documents; None unless complete.
        seconds: fitting, scoring and tuning.
        same_as: number of an earlier trial with the same settings, whose metric it took over.
        reason: why it failed.
    """

    number: int
    state: Literal["running", "complete", "failed"]
    settings: dict[str, Any] = field(default_factory=dict)
    value: FiniteFloat | None = None
    seconds: FiniteFloat = 0.0
    same_as: int | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as plain JSON values."""
        return asdict(self)


class SearchFolder:
    """Where a search keeps its state.

    Args:
        folder: created when it is missing.
        identity: JSON-ready description of what is searched.
        resume: go on with the search that is there, if there is one.
        overwrite: remove the search that is there.

    Raises:
        ModelFolderError: there is a search already (without the two), something else, or another process.
        ConfigError: ``resume`` meets a search of something else; the differences are listed.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        self.folder = folder
        record = folder / RECORD
        try:
            check_place(folder, resume=resume, overwrite=overwrite)
            folder.mkdir(parents=True, exist_ok=True)
            take_run(folder)
            try:
                self._enter(record, json.loads(json.dumps(identity)), overwrite)
                self.trials = self._read()
            except BaseException:
                clean_run(folder)
                raise
        except OSError as error:
            raise ModelFolderError(
                f"{folder}: cannot be written ({error.strerror or error}); choose another output folder."
            ) from error

    def _enter(self, record: Path, identity: dict[str, Any], overwrite: bool) -> None:
        folder = self.folder
        if record.is_file() and overwrite:
            check_free(folder / MODEL, overwrite=True)
            for name in (RUNS, MODEL):
                shutil.rmtree(folder / name, ignore_errors=True)
            for name in (TRIALS, BEST, RECORD):  # the record last: without it the rest is not known to be a search
                (folder / name).unlink(missing_ok=True)
        for name in (RECORD, TRIALS, BEST):
            remove_stale(folder / name)
        if record.is_file():
            check_identity(record, identity, "is the search of something else")
        else:
            write_text_atomically(record, json_text(identity))

    def _read(self) -> list[Trial]:
        path = self.folder / TRIALS
        if not path.is_file():
            return []
        try:
            trials: list[Trial] = []
            with path.open(encoding="utf-8") as file:
                while line := file.readline(LONGEST_TRIAL):
                    if len(line) == LONGEST_TRIAL:
                        raise ValueError(f"a line has {LONGEST_TRIAL:,} characters or more")
                    trials.append(checked(Trial, json.loads(line)))
            numbers = [0, *(trial.number for trial in trials)]
            if any(number >= following for number, following in pairwise(numbers)):
                raise ValueError("the numbers of the trials do not grow")
            if any((trial.state == "complete") != (trial.value is not None) for trial in trials):
                raise ValueError("a trial that is complete has a value, and no other one")
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"{path}: is damaged ({error}); start over with {parameter('overwrite', True)}."
            ) from None
        return trials

    def keep(self, trials: Sequence[Trial]) -> None:
        """Write the trials: the old file or the new one is there, never a half one."""
        lines = [json.dumps(trial.to_dict(), ensure_ascii=False) + "\n" for trial in trials]
        write_text_atomically(self.folder / TRIALS, "".join(lines))
        self.trials = list(trials)

    def abandon(self) -> None:
        """Forget a search without any trial."""
        if not self.trials:
            shutil.rmtree(self.folder / RUNS, ignore_errors=True)
            (self.folder / TRIALS).unlink(missing_ok=True)
            (self.folder / RECORD).unlink(missing_ok=True)

    def put(self, trial: Trial) -> None:
        """Write the trials with this one, in the place of that of its number."""
        others = [other for other in self.trials if other.number != trial.number]
        self.keep(sorted([*others, trial], key=lambda one: one.number))

    def run_folder(self, number: int) -> Path:
        """Where a trial keeps its logs and checkpoints."""
        return self.folder / RUNS / f"{number:04d}"

    def take_model(self, number: int) -> None:
        """Replace the model of the search with the one that a trial has saved.

        Raises:
            ModelFolderError: ``model`` contains something other than a model, or cannot be written.
        """
        check_free(self.folder / MODEL, overwrite=True)
        with replacing_folder(self.folder / MODEL) as temporary:
            temporary.rmdir()
            (self.run_folder(number) / MODEL).rename(temporary)  # at once: a trial cannot replace half a model

    def check_trials(self, space: Space) -> None:
        """Compare what was tried with what may be tried.

        Raises:
            ConfigError: a trial has other keys, or a value that its key may not have.
        """
        for trial in self.trials:
            if trial.settings.keys() != space.keys() or not all(
                space[key].holds(value) for key, value in trial.settings.items()
            ):
                raise ConfigError(
                    f"{self.folder / TRIALS}: is damaged (trial {trial.number} has settings that are not searched); "
                    f"start over with {parameter('overwrite', True)}."
                )

    def forget_run(self, number: int) -> None:
        """Remove the checkpoints and the model of a trial, and its folder when it keeps no logs."""
        shutil.rmtree(self.run_folder(number) / MODEL, ignore_errors=True)
        clean_run(self.run_folder(number))
        for folder in (self.run_folder(number), self.folder / RUNS):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    @property
    def logs(self) -> Path:
        """Where processes that compute trials write what they have to say."""
        return self.folder / RUNS / LOGS

    def forget_empty_logs(self) -> None:
        """Remove the logs of processes that had nothing to say."""
        for path in self.logs.glob("*.log"):
            if not path.stat().st_size:
                path.unlink()
        for folder in (self.logs, self.folder / RUNS):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def forget_ended(self) -> None:
        """Remove the checkpoints of trials that ended, where a kill came before that."""
        for trial in self.trials:
            if trial.state != "running" and self.run_folder(trial.number).is_dir():
                self.forget_run(trial.number)

    def model_trial(self) -> int | None:
        """Number of the trial that the saved model is of; None without a model."""
        try:
            return int((read_json_or_none(self.folder / MODEL / "metrics.json") or {})["search"]["trial"])
        except (ValueError, TypeError, KeyError):
            return None


def check_place(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that no search can be kept in; a look at it, before anything is read.

    Raises:
        ModelFolderError: see :class:`SearchFolder`.
    """
    record = folder / RECORD
    check_outside_models(folder)
    check_target(folder, "folder for the search", ModelFolderError)
    check_contents(folder, ModelFolderError)
    if folder.is_dir() and not record.is_file() and holds_more(folder, {LOCK}):
        raise ModelFolderError(f"{folder}: is not empty and holds no search; choose another folder.")
    if record.is_file() and not (resume or overwrite):
        raise ModelFolderError(
            f"{folder}: holds a search already. Continue with {parameter('resume', True)}, or start over with "
            f"{parameter('overwrite', True)}."
        )
