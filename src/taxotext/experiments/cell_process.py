"""The process of one cell as seen from the one that starts it; :mod:`taxotext.experiments.worker` is what it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import taxotext
from taxotext.experiments.folder import CellFolder, write_json
from taxotext.experiments.measuring import THREAD_VARIABLES
from taxotext.files.json_files import read_json_or_none

FIT, SPEED, PROBE = STAGES = ("fit", "speed", "probe")


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


def reason_of(folder: CellFolder) -> str:
    """Why a cell failed, in a sentence."""
    return str((read_json_or_none(folder.failure) or {}).get("reason", "no reason was written"))


def _environment(threads: int) -> dict[str, str]:
    """The environment of a cell: its threads, and this very package."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    environment.setdefault("TOKENIZERS_PARALLELISM", "false" if threads == 1 else "true")
    source = Path(taxotext.__path__[0]).resolve().parent
    if source.name not in {"site-packages", "dist-packages"}:
        paths = [str(source), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment
