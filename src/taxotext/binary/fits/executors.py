"""What computes requests: this process, or local processes of one thread each.

An executor takes requests (plain JSON values and names of files that every worker sees) and gives back outcomes. That
is all that a graph asks of it, so that another one, on many machines, can stand beside these two.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, Self

from taxotext.binary.fits.requests import Request
from taxotext.errors import TaxotextError
from taxotext.messages import ended

log = logging.getLogger("taxotext")

TRIES = 3
"""Workers that may die over one request before it counts as failed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    key: str  # as it was submitted
    report: dict[str, Any] | None = None  # of the work, or None when it failed
    failure: str = ""  # then: why, in a sentence


class Executor(Protocol):
    """Computes requests."""

    slots: int
    """Requests that it takes at a time."""

    def submit(self, key: str, request: Request) -> None:
        """Take a request; never called for more than ``slots`` that have no outcome yet."""

    def wait(self) -> list[Outcome]:
        """Wait for outcomes, at least one; called only when a request is without."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give everything back; requests at work are given up, what they have saved stays."""


def make_executor(processes: int, logs: Path) -> Executor:
    """Return what computes with ``processes`` cores; ``logs`` is where workers write what they have to say."""
    return InProcess() if processes == 1 else Processes(processes, logs)


def compute(key: str, request: Request) -> Outcome:
    """Do the work here; a mistake of the user or a full disk becomes a sentence."""
    try:
        return Outcome(key, request.compute())
    except TaxotextError as error:
        return Outcome(key, None, str(error))
    except OSError as error:
        return Outcome(key, None, describe(error))


def describe(error: OSError) -> str:
    """What the operating system says, as a sentence."""
    return ended(f"{error.filename or 'A file'}: {error.strerror or error}")


class InProcess:
    """One request after the other, in this process."""

    slots = 1

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Request]] = deque()

    def submit(self, key: str, request: Request) -> None:
        """Take a request."""
        self._waiting.append((key, request))

    def wait(self) -> list[Outcome]:
        """Compute the next one."""
        return [compute(*self._waiting.popleft())]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._waiting.clear()


class Processes:
    """Local processes with one thread each, started when they are first needed.

    A thread for each process hands it a request and waits for the answer. A process that dies is replaced, and the
    new one continues the request from what was saved. Processes are gone with this one, however it ends.

    Args:
        logs: folder for ``worker-1.log`` and so on.
    """

    def __init__(self, slots: int, logs: Path) -> None:
        self.slots = slots
        self._logs = logs
        self._threads = ThreadPoolExecutor(slots)
        self._running: set[Future[Outcome]] = set()
        self._free = list(range(slots, 0, -1))
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._closed = False
        self._lock = Lock()

    def submit(self, key: str, request: Request) -> None:
        """Give a request to a process that has none."""
        self._running.add(self._threads.submit(self._compute, self._free.pop(), key, request))

    def wait(self) -> list[Outcome]:
        """Wait until a process has answered."""
        done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
        return [future.result() for future in done]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._closed = True
            for worker in self._workers.values():
                worker.kill()
        self._threads.shutdown()
        for worker in self._workers.values():
            worker.communicate()  # closes its pipes
        self._workers.clear()

    def _compute(self, number: int, key: str, request: Request) -> Outcome:
        message = json.dumps({"key": key, "task": request.task, "arguments": dict(request.arguments)})
        path, code = self._logs / f"worker-{number}.log", 0
        try:
            for _ in range(TRIES):
                worker = self._worker(number, path)
                answer = _ask(worker, message)
                if answer.endswith(b"\n"):
                    return Outcome(key, **json.loads(answer))
                code = worker.wait()
            return Outcome(
                key,
                None,
                f"{TRIES} processes have ended over the same fit ({key}); the last one {_end(code)}. Signal 9 often "
                "means that memory ran out: lower runtime.threads (processes at a time) or training.batch_size. "
                f"See {path}.",
            )
        finally:
            self._free.append(number)

    def _worker(self, number: int, path: Path) -> subprocess.Popen[bytes]:
        """The process of a number; another one when it has died."""
        with self._lock:
            if self._closed:
                raise CancelledError
            worker = self._workers.get(number)
            if worker is not None and worker.poll() is not None:
                worker.communicate()  # closes its pipes
                log.warning("Worker %d %s; another one takes its place (%s).", number, _end(worker.returncode), path)
                worker = None
            if worker is None:
                worker = self._workers[number] = _start(path)
            return worker


def _start(own_log: Path) -> subprocess.Popen[bytes]:
    import taxotext

    own_log.parent.mkdir(parents=True, exist_ok=True)
    source = str(Path(taxotext.__file__).resolve().parents[1])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with own_log.open("ab") as file:
        return subprocess.Popen(
            # -P: files of the current folder do not take the place of libraries
            [sys.executable, "-P", "-m", "taxotext.binary.fits.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)},
        )


def _ask(worker: subprocess.Popen[bytes], message: str) -> bytes:
    """The line that a process answers with; without its end when the process dies."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    with suppress(BrokenPipeError):
        worker.stdin.write(message.encode() + b"\n")
        worker.stdin.flush()
    return worker.stdout.readline()


def _end(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
