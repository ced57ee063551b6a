"""What computes requests: this process, or local processes of one thread each.

An executor takes requests (plain JSON values and names of files that every worker sees) and gives back outcomes. That
is all that a graph asks of it, so that another one, on many machines, can stand beside these two.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from taxotext.binary.fits.requests import Request
from taxotext.errors import TaxotextError
from taxotext.wording import ended

log = logging.getLogger("taxotext")

TRIES = 3
"""Workers that may die over one request before it counts as failed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        key: as it was submitted.
        report: of the work, or None when it failed.
        failure: then: why, in a sentence.
    """

    key: str
    report: dict[str, Any] | None
    failure: str = ""


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
        return Outcome(key, None, told(error))


def told(error: OSError) -> str:
    """What the system says, as a sentence."""
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


@dataclass
class _Worker:
    """A process, what it is at, and how often that was tried."""

    number: int
    process: subprocess.Popen[bytes]
    key: str | None = None
    request: Request | None = None
    tries: int = field(default=0)

    def end(self) -> int:
        """Wait for a process that is ending, close its pipe, and return its exit code."""
        code = self.process.wait()
        assert self.process.stdin is not None
        with suppress(OSError):  # what it was to read last is still there, and nobody reads it any more
            self.process.stdin.close()
        return code


class Processes:
    """Local processes with one thread each, started when they are first needed.

    A worker that dies is replaced and its request given to the new one, which goes on from what was saved. Workers are
    gone with this process, however it ends.

    Args:
        slots: processes.
        logs: folder for ``worker-1.log`` and so on.
    """

    def __init__(self, slots: int, logs: Path) -> None:
        self.slots = slots
        self._logs = logs
        self._workers: dict[int, _Worker] = {}
        self._messages: queue.Queue[tuple[_Worker, bytes]] = queue.Queue()

    def submit(self, key: str, request: Request) -> None:
        """Give a request to a worker that has none."""
        free = next((worker for worker in self._workers.values() if worker.key is None), None)
        if free is None:
            free = self._start(min(set(range(1, self.slots + 1)) - self._workers.keys()))
        self._give(free, key, request, 1)

    def wait(self) -> list[Outcome]:
        """Wait until a worker has answered."""
        while True:
            worker, line = self._messages.get()
            if worker is not self._workers.get(worker.number):
                continue  # of a process that was replaced
            if line.endswith(b"\n"):
                key, worker.key = worker.key or "", None
                answer = json.loads(line)
                return [Outcome(key, answer.get("report"), answer.get("failure", ""))]
            outcome = self._replace(worker)
            if outcome is not None:
                return [outcome]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.end()

    def _start(self, number: int) -> _Worker:
        import taxotext

        self._logs.mkdir(parents=True, exist_ok=True)
        source = str(Path(taxotext.__file__).resolve().parents[1])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with (self._logs / f"worker-{number}.log").open("ab") as own_log:
            process = subprocess.Popen(
                # -P: files of the current folder do not take the place of libraries
                [sys.executable, "-P", "-m", "taxotext.binary.fits.worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=own_log,
                env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)},
            )
        worker = _Worker(number, process)
        self._workers[number] = worker
        assert process.stdout is not None
        threading.Thread(target=self._listen, args=(worker, process.stdout), daemon=True).start()
        return worker

    def _listen(self, worker: _Worker, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._messages.put((worker, line))
        self._messages.put((worker, b""))  # the process has ended

    def _give(self, worker: _Worker, key: str, request: Request, tries: int) -> None:
        worker.key, worker.request, worker.tries = key, request, tries
        message = json.dumps({"key": key, "task": request.task, "arguments": dict(request.arguments)})
        assert worker.process.stdin is not None
        try:
            worker.process.stdin.write(message.encode() + b"\n")
            worker.process.stdin.flush()
        except OSError:  # it is dead: its listener says so next
            log.info("Worker %d takes no request.", worker.number)

    def _replace(self, worker: _Worker) -> Outcome | None:
        """Start another process in the place of a dead one, and give it the request; an outcome if in vain."""
        code = worker.end()
        key, request, tries = worker.key, worker.request, worker.tries
        del self._workers[worker.number]
        if key is None or request is None:
            return None  # it died with nothing to do: another one is started when it is needed
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        path = self._logs / f"worker-{worker.number}.log"
        if tries >= TRIES:
            return Outcome(
                key,
                None,
                f"{TRIES} processes have ended over the same fit ({key}); the last one {how}. Signal 9 often means "
                f"that memory ran out: lower runtime.threads (processes at a time) or training.batch_size. See {path}.",
            )
        log.warning("Worker %d %s; another one goes on with its fit (%s).", worker.number, how, path)
        self._give(self._start(worker.number), key, request, tries + 1)
        return None
