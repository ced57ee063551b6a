"""How long work reports on itself: library code talks to a reporter and never prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Task(Protocol):
    """One stretch of work."""

    def advance(self, amount: int = 1) -> None:
        """``amount`` more units are done."""

    def show(self, **fields: float | str) -> None:
        """Set metrics shown beside the bar, such as the loss."""


class Reporter(Protocol):
    """Where progress and notes go."""

    @contextmanager
    def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Task]:
        """Open a task of ``total`` units, ``done`` of them finished before."""
        raise NotImplementedError
        yield

    def note(self, sentence: str) -> None:
        """Say one sentence to the user."""


class _SilentTask:
    def advance(self, amount: int = 1) -> None:
        pass

    def show(self, **fields: float | str) -> None:
        pass


class Silent:
    """A reporter that says nothing: the default of the Python interface."""

    @contextmanager
    def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Task]:
        """Open a task that nobody sees."""
        yield _SilentTask()

    def note(self, sentence: str) -> None:
        """Drop the sentence."""


class WithoutNotes:
    """A reporter for one piece of work among many: bars that name it, no notes."""

    def __init__(self, reporter: Reporter, prefix: str = "") -> None:
        self._reporter, self._prefix = reporter, prefix

    @contextmanager
    def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Task]:
        """Open a task of the other reporter."""
        with self._reporter.task(self._prefix + name, total, done, unit) as task:
            yield task

    def note(self, sentence: str) -> None:
        """Drop the sentence."""
