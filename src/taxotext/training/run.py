"""The run folder: checkpoints and logs of one training, beside the model folder and never inside it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taxotext.composition.class_weights import CLASS_WEIGHTS
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.files import FolderLock, check_contents, named, target_fault, write_text_atomically
from taxotext.files.json_files import read_json_or_none
from taxotext.messages import parameter
from taxotext.training.parallel import Parallel
from taxotext.work.executors import Workers

SUFFIX = ".run"
LAST = "last.ckpt"
"""The checkpoint in ``checkpoints`` that a training resumes from."""
REPLACES = "replaces"
LOCK = "lock"
LOOK_SECONDS = 0.15
"""How long a lock is tried: whoever looks whether it is held holds it for a moment."""


class RunFolder:
    """Where an unfinished training keeps its state.

    Args:
        folder: created when it is missing.
        identity: JSON-ready description of what is computed (settings, fingerprints of the data); a run is only
            resumed by the same one.
        resume: go on where an interrupted run stopped, if there is one.
        replaces: whether the finished model may take the place of another one; kept for who resumes.
        states: patterns of files in ``checkpoints`` without any of which there is nothing to continue from.
        parallel: processes that train one network together; those that follow write nothing here and lock nothing.

    Raises:
        ConfigError: when ``resume`` meets a run with another identity; the differing keys are named.
        ModelFolderError: when there is an interrupted run and ``resume`` is False, or another process trains there.
    """

    def __init__(
        self,
        folder: Path,
        identity: dict[str, Any],
        *,
        resume: bool = False,
        replaces: bool = False,
        states: Sequence[str] = ("*",),
        parallel: Parallel | None = None,
    ) -> None:
        self.folder, self._states = folder, states
        self.checkpoints = folder / "checkpoints"
        self.logs = folder / "logs"
        self.workers = Workers()
        """Where the fits of a recipe with many of them are computed."""
        self.parallel = parallel or Parallel()
        """Processes that train one network together."""
        record = folder / "run.json"
        if self.parallel.follows:
            self.resumed = resume
            return
        check_run_place(folder)
        if folder.is_dir():
            take_run(folder)
        self.resumed = record.is_file()
        if self.resumed:
            if not resume:
                raise ModelFolderError(
                    f"{folder}: holds an interrupted training. Continue with {parameter('resume', True)}, or start "
                    f"over with {parameter('overwrite', True)}."
                )
            check_identity(record, identity, "the interrupted training was another one")
        elif self.checkpoints.is_dir():
            shutil.rmtree(self.checkpoints)  # of a run that was removed half: no state to start from
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            take_run(folder)
            if not self.resumed:
                content = {**identity, REPLACES: True} if replaces else identity
                write_text_atomically(record, json.dumps(content, indent=2, sort_keys=True))
        except OSError as error:
            raise ModelFolderError(
                f"{folder}: cannot be written ({error.strerror or error}); checkpoints of a training go there. "
                "Choose another output folder."
            ) from error

    def clean(self) -> None:
        """Remove the checkpoints of a finished training; the logs stay."""
        clean_run(self.folder)

    def abandon(self) -> None:
        """Let others go on; forget a training that ended before its first checkpoint, of which nothing is left."""
        if self.parallel.follows:
            return
        if not any(any(self.checkpoints.glob(state)) for state in self._states):
            clean_run(self.folder)
        release_run(self.folder)


class TemporaryRun(RunFolder):
    """A run folder for a fit that nobody resumes; a context manager that removes it."""

    def __init__(self) -> None:
        self._holder = tempfile.TemporaryDirectory(prefix="taxotext-")
        super().__init__(Path(self._holder.name), {})

    def __enter__(self) -> TemporaryRun:
        return self

    def __exit__(self, *_: object) -> None:
        release_run(self.folder)
        self._holder.cleanup()


_HELD: dict[Path, FolderLock] = {}
"""Locks of the run folders that this process keeps others out of."""


def take_run(folder: Path) -> None:
    """Keep other processes out of a run folder.

    Raises:
        ModelFolderError: one is there already.
    """
    path = folder.resolve() / LOCK
    try:
        if path in _HELD and _HELD[path].holds():
            return
        lock = FolderLock(path)
        taken = lock.acquire(LOOK_SECONDS)
    except OSError:  # a folder that cannot be written, which is found out when it is
        return
    if not taken:
        raise ModelFolderError(
            f"{folder}: another process trains there; wait for its end, or choose another output folder."
        )
    _HELD[path] = lock


def release_run(folder: Path) -> None:
    """Let other processes in again."""
    held = _HELD.pop(folder.resolve() / LOCK, None)
    if held is not None:
        held.release()


def clean_run(folder: Path) -> None:
    """Remove the checkpoints in a run folder; the logs stay."""
    (folder / "run.json").unlink(missing_ok=True)  # first: without it checkpoints count for nothing
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    (folder / CLASS_WEIGHTS).unlink(missing_ok=True)
    (folder / LOCK).unlink(missing_ok=True)
    release_run(folder)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def was_replacing(folder: Path) -> bool:
    """Whether ``folder`` holds an interrupted training whose model was to replace another one."""
    return bool((read_json_or_none(folder / "run.json") or {}).get(REPLACES, False))


def check_identity(record: Path, identity: dict[str, Any], other: str) -> None:
    """Refuse to resume something else than what a record describes.

    Args:
        record: JSON file with the identity of what was begun.
        identity: of what is to be done, JSON-ready.
        other: what to say when they differ.

    Raises:
        ConfigError: they differ, with the keys that do; or the record cannot be read.
    """
    before = read_json_or_none(record)
    if before is None:
        raise ConfigError(f"{record}: is damaged; start over with {parameter('overwrite', True)}.")
    before.pop(REPLACES, None)
    problems = [
        f"{path}: {old!r} then, {new!r} now" for path, old, new in differences(before, json.loads(json.dumps(identity)))
    ]
    if problems:
        raise ConfigError(
            f"{record.parent}: {other}; resume it with the settings and data that it was started with, or start over "
            f"with {parameter('overwrite', True)}.",
            problems,
        )


def check_run_place(folder: Path) -> None:
    """Refuse a run folder that cannot be written to; a look at it, before anything is read.

    Raises:
        ModelFolderError: it is something else than a folder, or a pipe or a link out of it stands in it.
    """
    fault = target_fault(folder, "folder")
    if fault is not None:
        raise ModelFolderError(
            f"{folder}: cannot be written: it {fault.partition(';')[0]}. Checkpoints of a training go there; choose "
            "another output folder."
        )
    check_contents(folder, ModelFolderError)


def run_folder_of(output: Path) -> Path:
    """``models/news`` -> ``models/news.run``."""
    output = named(output)
    return output.with_name(output.name + SUFFIX) if output.name else output / SUFFIX


def differences(before: Any, now: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Key path, old value and new value wherever two JSON values differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        found: list[tuple[str, Any, Any]] = []
        for key in sorted(before.keys() | now.keys()):
            found += differences(before.get(key), now.get(key), f"{path}.{key}" if path else key)
        return found
    return [] if before == now else [(path, before, now)]
