"""Progress on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taxotext.cli.output import clock
from taxotext.messages import printable
from taxotext.progress import Reporter, Task

if TYPE_CHECKING:  # rich is imported where a bar is drawn
    from rich.progress import Progress, TaskID

LINE_EVERY = 30.0
"""Seconds between lines where stderr is not a terminal."""


def make_reporter() -> Reporter:
    """A reporter that fits where stderr goes."""
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """Reporter for logs."""

    @contextmanager
    def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Task]:
        """Write a line now and then, and one at the end."""
        task = _LineTask(name, total, done, unit)
        yield task
        task.write(final=True)

    def note(self, sentence: str) -> None:
        """Write the sentence."""
        sys.stderr.write(printable(sentence, lines=True) + "\n")
        sys.stderr.flush()


class _LineTask:
    def __init__(self, name: str, total: int | None, done: int, unit: str) -> None:
        self._name, self._total, self._first, self._done, self._unit = name, total, done, done, unit
        self._fields: dict[str, float | str] = {}
        self._started = self._written = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        if time.monotonic() - self._written > LINE_EVERY:
            self.write()

    def show(self, **fields: float | str) -> None:
        self._fields.update(fields)

    def write(self, *, final: bool = False) -> None:
        """Write where the task is; short tasks say nothing at the end."""
        self._written = time.monotonic()
        seconds = self._written - self._started
        if final and seconds < 2:
            return
        rate = (self._done - self._first) / max(seconds, 1e-9)
        of = f"/{self._total}" if self._total is not None else ""
        left = ""
        if not final and self._total is not None and rate > 0:
            left = f", {clock((self._total - self._done) / rate)} left"
        fields = "".join(f", {name} {_shown(value)}" for name, value in self._fields.items())
        line = f"{self._name}: {self._done}{of} {self._unit}, {_pace(rate)}{fields}{left}\n"
        sys.stderr.write(printable(line, lines=True))
        sys.stderr.flush()


class Bars:
    """Reporter for terminals."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, emoji=False)

    @contextmanager
    def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Task]:
        """Show a bar with speed, metrics and time left."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.fields[all]} {task.fields[unit]}", markup=False),
            TextColumn("{task.fields[rate]}{task.fields[metrics]}", markup=False),  # labels may hold brackets
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            identity = progress.add_task(
                name, total=total, completed=done, unit=unit, rate="", metrics="", all=total or "?"
            )
            task = _BarTask(progress, identity)
            yield task
            task.refresh()

    def note(self, sentence: str) -> None:
        """Show the sentence."""
        self._console.print(printable(sentence, lines=True), markup=False)


class _BarTask:
    def __init__(self, progress: Progress, identity: TaskID) -> None:
        self._progress, self._identity = progress, identity
        self._metrics: dict[str, float | str] = {}
        self._started, self._done, self._refreshed = time.monotonic(), 0, 0.0

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        self._progress.advance(self._identity, amount)
        if time.monotonic() - self._refreshed > 0.2:
            self.refresh()

    def show(self, **fields: float | str) -> None:
        self._metrics.update(fields)

    def refresh(self) -> None:
        self._refreshed = time.monotonic()
        rate = self._done / max(self._refreshed - self._started, 1e-9)
        metrics = "".join(f"  {name} {_shown(value)}" for name, value in self._metrics.items())
        self._progress.update(self._identity, rate=_pace(rate), metrics=metrics)


def _shown(value: float | str) -> str:
    return printable(value) if isinstance(value, str) else f"{value:.4f}"


def _pace(rate: float) -> str:
    """Units a second, or a minute or hour where that says more.

    >>> _pace(7.25), _pace(0.05), _pace(0.001), _pace(0.0)
    ('7.2/s', '3.0/min', '3.6/h', '0.0/s')
    """
    if rate >= 0.1 or rate == 0:
        return f"{rate:.1f}/s"
    return f"{60 * rate:.1f}/min" if 60 * rate >= 1 else f"{3600 * rate:.1f}/h"
