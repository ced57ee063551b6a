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
        """Set figures shown beside the bar, such as the loss."""


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
