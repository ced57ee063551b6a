"""What computes requests: this process, local processes, or the machines of a Ray cluster.

An executor takes requests (plain JSON values and names of files that every worker sees) and gives back outcomes. That
is all that a graph asks of it. What is done is known from files alone, so that an executor keeps nothing of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from taxotext.errors import ConfigError, nearest
from taxotext.messages import parameter
from taxotext.work.requests import Outcome, Request

EXECUTORS = ("processes", "ray")


class Executor(Protocol):
    """Computes requests."""

    @property
    def slots(self) -> int:
        """Requests that it takes at a time; it may change while requests are computed."""

    @property
    def processes(self) -> int:
        """Requests that are computed side by side."""

    def submit(self, key: str, request: Request) -> None:
        """Take a request; never called for more than ``slots`` that have no outcome yet."""

    def wait(self, seconds: float | None = None) -> list[Outcome]:
        """Wait for outcomes, at least one; called only when a request is without.

        Args:
            seconds: give back nothing when there is none after about this time; None: wait as long as it takes.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give everything back; requests at work are given up, what they have saved stays."""


@dataclass(frozen=True)
class Workers:
    """Where requests are computed, as the user says it.

    Args:
        executor: one of :data:`EXECUTORS`.
        address: of a Ray cluster; None: the one that ``RAY_ADDRESS`` names, that runs on this machine, or a new one on
            this machine alone.

    Raises:
        ConfigError: there is no such executor, or an address for local processes.
    """

    executor: str = "processes"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ConfigError(
                f"{parameter('executor')} is {self.executor!r}; choose processes or ray."
                f"{nearest(self.executor, EXECUTORS)}"
            )
        if self.address is not None and self.executor != "ray":
            raise ConfigError(
                f"{parameter('address')} names a Ray cluster; give {parameter('executor', 'ray')} as well."
            )

    def start(
        self,
        processes: int,
        logs: Path,
        *,
        threads: int = 1,
        advice: str = "",
        here: bool = False,
        beside: Mapping[str, Any] | None = None,
    ) -> Executor:
        """Return what computes.

        Args:
            processes: local ones at a time; on a cluster as many as its CPUs give.
            logs: folder where local processes write what they have to say.
            threads: of each process.
            advice: what to do when memory runs out.
            here: let this process compute where one local process is enough.
            beside: then, arguments that every request gets in this process.

        Raises:
            MissingExtraError: Ray is not installed.
            ConfigError: there is no cluster at the address.
        """
        from taxotext.work.local import InProcess, Processes

        if self.executor == "ray":
            from taxotext.work.ray_cluster import RayCluster

            return RayCluster(self.address, threads=threads, advice=advice)
        if here and processes == 1:
            return InProcess(**(beside or {}))
        return Processes(processes, logs, threads=threads, advice=advice)
