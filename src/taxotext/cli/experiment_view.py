"""An experiment at work on stderr: a line for each cell and a bar on a terminal, elsewhere a line when one ends."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from taxotext.cli import reporter
from taxotext.cli.output import Number, clock
from taxotext.messages import printable

if TYPE_CHECKING:
    from taxotext.experiments.cells import Cell
    from taxotext.experiments.status import CellStatus, Status

RESERVED = 6
"""Lines of the terminal that are not for cells."""


def make_view() -> Lines:
    """A view that fits where stderr goes."""
    return Live() if sys.stderr.isatty() else Lines()


class Lines(reporter.Lines):
    """For logs: says what ends, and nothing in between."""

    live = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def show(self, status: Status) -> None:
        """Nothing."""

    def ended(self, cell: Cell, state: str, sentence: str) -> None:
        """Write a line."""
        self.note(f"{cell.title}: {state}{f': {sentence}' if sentence else ''}")


class Live(Lines):
    """For terminals."""

    live = True

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console(stderr=True, highlight=False, emoji=False)
        self._live = RichLive(console=self._console, transient=False, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def note(self, sentence: str) -> None:
        """Show the sentence above the lines of the cells."""
        self._console.print(printable(sentence, lines=True), markup=False)

    def show(self, status: Status) -> None:
        """Redraw the cells."""
        self._live.update(self._drawn(status))

    def ended(self, cell: Cell, state: str, sentence: str) -> None:
        """The line of a failed cell stays; the others can be seen."""
        if state == "failed":
            super().ended(cell, state, sentence)

    def _drawn(self, status: Status) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        room = max(self._console.height - RESERVED, 3)
        rows = cell_rows(status)
        shown = _chosen(status, room)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, name in enumerate(("system", "corpus", "seed", "state", "at", "time", "left", "MB")):
            table.add_column(name, justify="right" if number in {2, 5, 6, 7} else "left", no_wrap=True)
        for position in shown:
            table.add_row(*(Text(printable(str(value))) for value in rows[position]))
        hidden = len(rows) - len(shown)
        below = Text(f"{headline(status)}{f' ({hidden} cells not shown)' if hidden else ''}")
        bar = Table.grid()  # a bar ends no line of its own
        bar.add_row(ProgressBar(total=1.0, completed=status.share, width=40))
        return Group(table, bar, below)


def headline(status: Status) -> str:
    """How many cells are in which state, and the time left."""
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    parts = [f"{status.name}: {counts}"]
    if all(cell.state == "finished" for cell in status.cells):
        return parts[0]
    if status.running:
        parts.append("running" if not status.seconds_left else f"about {clock(status.seconds_left)} of training left")
    else:
        parts.append("not running; --resume goes on")
    return "; ".join(parts)


def cell_rows(status: Status) -> list[tuple[Any, ...]]:
    """A row for each cell: names, state, what it is at, time, time left, memory."""
    return [
        (
            cell.system,
            cell.corpus,
            cell.seed,
            cell.state,
            _at(cell),
            Number(clock(cell.seconds)) if cell.seconds else Number(""),
            Number(clock(cell.seconds_left)) if cell.seconds_left else Number(""),
            Number(f"{cell.peak_memory / 1e6:,.0f}") if cell.peak_memory else Number(""),
        )
        for cell in status.cells
    ]


def _at(cell: CellStatus) -> str:
    if not cell.task:
        return cell.reason.splitlines()[0][:60] if cell.reason else ""
    share = "" if cell.share is None else f" {100 * cell.share:.0f} %"
    metrics = (
        f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in cell.fields.items()
    )
    return ", ".join([f"{cell.task}{share}", *metrics])


def _chosen(status: Status, room: int) -> list[int]:
    """The rows for which there is room: those at work first, then what failed, waits, is finished; in table order."""
    urgency = {"training": 0, "measuring": 0, "failed": 1, "interrupted": 2, "waiting": 3, "trained": 4, "finished": 5}
    order = sorted(range(len(status.cells)), key=lambda number: urgency[status.cells[number].state])
    return sorted(order[:room])
