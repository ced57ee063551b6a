"""The process of one cell as seen from the one that starts it; :mod:`taxotext.experiments.worker` is what it runs."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from taxotext.experiments.folder import CellFolder, write_json
from taxotext.files.json_files import read_json_or_none
from taxotext.messages import counted
from taxotext.processes import child_environment
from taxotext.work import Outcome, Request

FIT, SPEED, PROBE = STAGES = ("fit", "speed", "probe")
LOOK_EVERY = 0.1
GRACE = 60.0
"""Seconds that an interrupted training has for the checkpoint behind its batch."""


class CellProcess:
    """One stage of one cell in a process of its own, which ends at the latest with this process.

    Args:
        stage: one of :data:`STAGES`.
    """

    def __init__(self, folder: CellFolder, stage: str, threads: int) -> None:
        self.folder, self.stage = folder, stage
        self._log = folder.log.open("ab")
        self._log.write(f"\n== {stage}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        self._log.flush()
        # -P: files of the current folder do not take the place of libraries.
        program = [sys.executable, "-P", "-m", "taxotext.experiments.worker"]
        # A session of its own: Ctrl-C in the terminal reaches this process alone. The child ends when its stdin closes.
        self._process = subprocess.Popen(
            [*program, str(folder.path), stage, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env=_environment(threads),
            start_new_session=True,
        )

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()

    def interrupt(self) -> None:
        """Send Ctrl-C; a training saves a checkpoint first."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End it, and all that it has started, if it still runs."""
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()
        self._process.wait()
        self._log.close()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def failure(self) -> str | None:
        """Why it failed, which is in ``failure.json`` from now on; None when it did what it was to do.

        It must have ended by itself.
        """
        code = self._process.returncode
        if not code:
            return None
        if not self.folder.failure.is_file():
            write_json(self.folder.failure, {"stage": self.stage, "reason": self._reason(code), "kind": "process"})
        return reason_of(self.folder)

    def _reason(self, code: int) -> str:
        """Why it ended, where it could not say so itself."""
        log = self.folder.log
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            memory = "; the system does so when memory runs out: lower jobs" if -code == signal.SIGKILL else ""
            return f"its process was ended by signal {name}{memory}. See {log}."
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return f"its process ended with code {code}: {lines[-1] if lines else 'it wrote nothing'}"


class CellProcesses:
    """An executor for cells on this machine.

    Args:
        slots: processes at a time.
        note: told when processes are stopped.
    """

    def __init__(self, slots: int, note: Callable[[str], None]) -> None:
        self.slots = self.processes = slots
        self._note = note
        self._running: dict[str, CellProcess] = {}

    def submit(self, key: str, request: Request) -> None:
        """Start the process of a cell."""
        self._running[key] = _process(**request.arguments)

    def wait(self, seconds: float | None = None) -> list[Outcome]:
        """Wait until a process has ended."""
        until = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            ended = [key for key, process in self._running.items() if process.has_ended()]
            if ended or time.monotonic() >= until:
                return [Outcome(key, _report(self._running.pop(key))) for key in ended]
            time.sleep(min(LOOK_EVERY, max(0.0, until - time.monotonic())))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End what still runs: after Ctrl-C trainings may save a checkpoint, a second Ctrl-C cuts that short."""
        if not self._running:
            return
        self._note(f"Stopping {counted(len(self._running), 'cell')}; trainings save a checkpoint first.")
        processes = list(self._running.values())
        for process in processes:
            process.interrupt()
        try:
            until = time.monotonic() + GRACE
            while not all(process.has_ended() for process in processes) and time.monotonic() < until:
                time.sleep(LOOK_EVERY)
        finally:
            for process in processes:
                process.close()
            self._running.clear()


def run_cell(*, folder: str, stage: str, threads: int) -> dict[str, Any]:
    """Compute one stage of one cell and wait for its end.

    Returns:
        ``failure``: why it failed, or None; the cell's folder has the rest.
    """
    process = _process(folder=folder, stage=stage, threads=threads)
    try:
        process.wait()
    finally:  # this task may be given up
        process.close()
    return {"failure": process.failure()}


def _process(*, folder: str, stage: str, threads: int) -> CellProcess:
    return CellProcess(CellFolder(Path(folder)), stage, threads)


def _report(process: CellProcess) -> dict[str, Any]:
    process.close()
    return {"failure": process.failure()}


def reason_of(folder: CellFolder) -> str:
    """Why a cell failed, in a sentence."""
    return str((read_json_or_none(folder.failure) or {}).get("reason", "no reason was written"))


def _environment(threads: int) -> dict[str, str]:
    return {"TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true", **child_environment(threads)}
