"""Requests computed on this machine: by this process, or by others that it starts."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from taxotext.processes import child_environment
from taxotext.work.requests import Outcome, Request, compute

log = logging.getLogger("taxotext")

TRIES = 3
"""Workers that may die over one request before it counts as failed."""


class InProcess:
    """One request after the other, in this process.

    Args:
        beside: arguments that every request gets and that only this process has, such as a progress bar.
    """

    slots = processes = 1

    def __init__(self, **beside: Any) -> None:
        self._waiting: deque[tuple[str, Request]] = deque()
        self._beside = beside

    def submit(self, key: str, request: Request) -> None:
        """Take a request."""
        self._waiting.append((key, request))

    def wait(self, seconds: float | None = None) -> list[Outcome]:
        """Compute the next one, however long it takes."""
        return [compute(*self._waiting.popleft(), **self._beside)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._waiting.clear()


class Processes:
    """Local processes, started when they are first needed.

    A thread for each process hands it a request and waits for the answer. A process that dies is replaced, and the
    new one continues the request from what was saved. Processes are gone with this one, however it ends.

    Args:
        slots: how many.
        logs: folder for ``worker-1.log`` and so on.
        threads: of each process.
        advice: what to do when memory runs out.
    """

    def __init__(self, slots: int, logs: Path, *, threads: int = 1, advice: str = "") -> None:
        self.slots = self.processes = slots
        self._logs, self._process_threads, self._advice = logs, threads, advice
        self._threads = ThreadPoolExecutor(slots)
        self._running: set[Future[Outcome]] = set()
        self._free = list(range(slots, 0, -1))
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._closed = False
        self._lock = Lock()

    def submit(self, key: str, request: Request) -> None:
        """Give a request to a process that has none."""
        self._running.add(self._threads.submit(self._compute, self._free.pop(), key, request))

    def wait(self, seconds: float | None = None) -> list[Outcome]:
        """Wait until a process has answered."""
        done, self._running = wait(self._running, seconds, return_when=FIRST_COMPLETED)
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
                f"{TRIES} processes have ended over the same piece of work ({key}); the last one {_end(code)}. Signal "
                f"9 often means that memory ran out{': ' if self._advice else ''}{self._advice}. See {path}.",
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
                worker = self._workers[number] = _start(path, self._process_threads)
            return worker


def _start(own_log: Path, threads: int) -> subprocess.Popen[bytes]:
    own_log.parent.mkdir(parents=True, exist_ok=True)
    with own_log.open("ab") as file:
        return subprocess.Popen(
            # -P: files of the current folder do not take the place of libraries
            [sys.executable, "-P", "-m", "taxotext.work.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            env=child_environment(threads),
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
