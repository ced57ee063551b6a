"""Requests computed by a Ray cluster, whose machines see the same folders under the same names.

Requests that take a moment are sent together, so that a task takes about :data:`TASK_SECONDS`; no more is sent than
keeps the CPUs busy. When a worker or a machine is lost, Ray computes its task again elsewhere, from the states that
the lost one has saved. What several tasks read are files: the system keeps them once in the memory of each machine.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from taxotext import __version__
from taxotext.errors import ConfigError, MissingExtraError
from taxotext.messages import first_line, parameter
from taxotext.work.ray_task import run_requests
from taxotext.work.requests import Outcome, Request

TASK_SECONDS = 5.0
"""What a task should take, so that sending it costs nothing beside it."""
LARGEST_GROUP = 64
AHEAD = 2
"""Tasks that are sent for each that is computed: the next one is there when a CPU gets free."""
TRIES = 3
"""How often a task is computed again after its worker or machine was lost."""
LOOK_EVERY = 5.0
"""Seconds between two looks at how many CPUs the cluster has."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Environment of Ray that nobody asked for otherwise: nothing is reported to its makers."""


class RayCluster:
    """The CPUs of a Ray cluster.

    Args:
        address: see :class:`taxotext.work.executors.Workers`.
        threads: CPUs of a task, and threads of what it computes.
        advice: what to do when memory runs out.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: there is no cluster at the address, or none of its machines has so many CPUs.
    """

    def __init__(self, address: str | None, *, threads: int = 1, advice: str = "") -> None:
        self._threads, self._advice = threads, advice
        self._ray = _library()
        self._began = _connect(self._ray, address)
        self._task = self._ray.remote(run_requests).options(
            num_cpus=threads,
            max_retries=TRIES,
            runtime_env={"env_vars": dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))},
        )
        self._waiting: deque[tuple[str, Request]] = deque()
        self._running: dict[Any, list[str]] = {}  # reference of a task to the keys of its requests
        self._seconds: float | None = None  # of a request, a running mean
        self._lanes, self._looked = 0, -math.inf
        try:
            self._look()
            if not self._lanes:
                raise ConfigError(
                    f"No machine of the Ray cluster has {threads} CPUs, and a task takes as many threads; lower "
                    f"{parameter('threads')}, or add machines."
                )
        except BaseException:
            self.__exit__(None, None, None)
            raise

    @property
    def slots(self) -> int:
        """As many requests as make :data:`AHEAD` tasks for each that may be at work."""
        return self.processes * AHEAD * self._group()

    @property
    def processes(self) -> int:
        """Tasks that the CPUs which are there compute at a time."""
        return max(1, self._lanes)

    def submit(self, key: str, request: Request) -> None:
        """Take a request, which is sent when outcomes are waited for."""
        self._waiting.append((key, request))

    def wait(self, seconds: float | None = None) -> list[Outcome]:
        """Wait until a task is done; its requests are."""
        self._look()
        self._send()
        done, rest = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        if done and rest:
            more, _ = self._ray.wait(rest, num_returns=len(rest), timeout=0)
            done += more
        return [outcome for reference in done for outcome in self._take(reference)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._waiting.clear()
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._began:
            self._ray.shutdown()

    def _group(self) -> int:
        """How many requests make a task."""
        if self._seconds is None:  # nobody knows yet how long one takes
            return 1
        return max(1, min(LARGEST_GROUP, round(TASK_SECONDS / max(self._seconds, 1e-3))))

    def _send(self) -> None:
        """Make tasks of what waits; the last ones are shared out among all CPUs."""
        while self._waiting and len(self._running) < self.processes * AHEAD:
            share = math.ceil(len(self._waiting) / self.processes)
            taken = [self._waiting.popleft() for _ in range(min(self._group(), share))]
            asked = [(key, request.task, dict(request.arguments)) for key, request in taken]
            reference = self._task.remote(asked, self._threads, __version__, str(Path.cwd()))
            self._running[reference] = [key for key, _ in taken]

    def _take(self, reference: Any) -> list[Outcome]:
        keys = self._running.pop(reference)
        try:
            answers = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return [Outcome(key, None, self._reason(key, error)) for key in keys]
        for answer in answers:
            seconds = answer.pop("seconds")
            self._seconds = seconds if self._seconds is None else 0.8 * self._seconds + 0.2 * seconds
        return [Outcome(key, **answer) for key, answer in zip(keys, answers, strict=True)]

    def _reason(self, key: str, error: Exception) -> str:
        said = str(error).strip().splitlines()
        if isinstance(error, self._ray.exceptions.RayTaskError):
            return (
                f"A machine of the Ray cluster cannot compute {key} ({said[-1] if said else type(error).__name__}). Is "
                f"taxotext {__version__} installed on all of them?"
            )
        advice = f" When memory ran out: {self._advice}." if self._advice else ""
        return (
            f"{TRIES + 1} workers or machines of the Ray cluster were lost over the same piece of work ({key}): "
            f"{type(error).__name__}.{advice}"
        )

    def _look(self) -> None:
        """Count how many tasks the machines that are there can compute at a time."""
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        machines = [machine["Resources"].get("CPU", 0.0) for machine in self._ray.nodes() if machine["Alive"]]
        self._lanes = sum(int(cpus // self._threads) for cpus in machines)


def _library() -> Any:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{parameter('executor', 'ray')} needs Ray; install it with `pip install 'taxotext[ray]'`."
        ) from None
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Join a cluster; False where this process has done so before."""
    if ray.is_initialized():
        return False
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
            **({} if address is not None or "RAY_ADDRESS" in os.environ else {"include_dashboard": False}),
        )
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        where = "No Ray cluster can be started here" if address is None else f"There is no Ray cluster at {address!r}"
        raise ConfigError(
            f"{where} ({first_line(error)}); start one with `ray start --head`, and give the "
            f"address that it prints with {parameter('address')}."
        ) from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)  # Ray takes it for the end of the process
    return True
