"""A training for people: the tree of its labels with their figures, once or drawn anew each second."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from taxotext.cli.experiment_view import clock
from taxotext.cli.output import Figure, print_table
from taxotext.wording import counted

if TYPE_CHECKING:
    from taxotext.api.status import Follower, TrainingStatus
    from taxotext.binary.overview import FitsStatus, LabelStatus

EVERY = 1.0
"""Seconds between two looks."""
RESERVED = 8
"""Lines of the terminal that are not for labels."""
COLUMNS = ("label", "state", "weight", "F1", "from", "epochs", "time")
LEVEL_COLUMNS = ("level", "labels", "waiting", "begun", "at work", "done", "mean F1")

Row = tuple[Any, ...]


def print_status(status: TrainingStatus, depth: int | None = None, height: int | None = None) -> None:
    """Write a training to stdout; levels in the place of labels when there are more of these than ``height``."""
    sys.stdout.write(title(status) + "\n")
    if status.fits is not None:
        rows = label_rows(status.fits, depth)
        if height is not None and len(rows) > height:
            print_table(LEVEL_COLUMNS, level_rows(status.fits))
            sys.stdout.write(f"All labels: taxotext status {status.output}\n")
        else:
            print_table(COLUMNS, rows)
    for line in footer(status):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def watch_status(follower: Follower, depth: int | None = None) -> None:
    """Show a training until it ends, or until Ctrl-C.

    On a terminal it is drawn anew each second; elsewhere a line is written whenever a label or an epoch is done.
    """
    try:
        if sys.stdout.isatty():
            _draw(follower, depth)
        else:
            _tell(follower)
    except KeyboardInterrupt:
        return


def _tell(follower: Follower) -> None:
    before = ""
    while True:
        status = follower.look()
        done = progress(status)
        if status.state != "training":
            break
        if done != before:
            before = done
            sys.stdout.write(f"{title(status)}: {done}{_left(status)}\n")
            sys.stdout.flush()
        time.sleep(EVERY)
    print_status(status)


def _draw(follower: Follower, depth: int | None) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    status = follower.look()
    if status.state == "training":
        with Live(console=console, transient=True, auto_refresh=False) as live:
            while status.state == "training":
                live.update(_drawn(status, depth, console.height), refresh=True)
                time.sleep(EVERY)
                status = follower.look()
    print_status(status, depth, console.height - RESERVED)


def _drawn(status: TrainingStatus, depth: int | None, height: int) -> Any:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def table(columns: tuple[str, ...], rows: list[Row], left: int) -> Table:
        made = Table(box=None, pad_edge=False, header_style="bold")
        for number, name in enumerate(columns):
            made.add_column(name, justify="left" if number < left or name == "from" else "right", no_wrap=True)
        for row in rows:
            made.add_row(*(Text(_shown(value)) for value in row))
        return made

    parts: list[Any] = [Text(title(status), style="bold")]
    if status.fits is not None:
        room = max(height - RESERVED, 3)
        rows = label_rows(status.fits, depth)
        if len(rows) > room:
            levels = level_rows(status.fits)
            parts += [table(LEVEL_COLUMNS, levels, 0), Text("")]
            at_work = {number for number, one in enumerate(status.fits.labels) if one.state == "at work"}
            rows = label_rows(status.fits, depth, at_work) if at_work else []
            rows = rows[: max(room - len(levels) - 2, 1)]
        parts.append(table(COLUMNS, rows, 2))
        bar = Table.grid()  # a bar ends no line of its own
        bar.add_row(ProgressBar(total=1.0, completed=status.fits.fits_done / max(status.fits.fits, 1), width=40))
        parts.append(bar)
    return Group(*parts, *map(Text, footer(status)))


def title(status: TrainingStatus) -> str:
    """Which training, and whether it is at work."""
    return f"{status.output}: {status.system + ', ' if status.system else ''}{status.state}"


def footer(status: TrainingStatus) -> list[str]:
    """What is said below the tree."""
    lines = []
    done = progress(status)
    if done:
        lines.append(f"{done}{_left(status)}.")
    if status.seconds is not None:
        lines.append(f"The whole training took {clock(status.seconds)}.")
    return [*lines, status.sentence]


def progress(status: TrainingStatus) -> str:
    """How much is done."""
    fits = status.fits
    if fits is None:
        if status.epochs_done is None:
            return ""
        scores = "".join(f", {name} {value:.4f}" for name, value in list((status.scores or {}).items())[:3])
        return f"{status.epochs_done} of {counted(status.epochs or 0, 'epoch')} done{scores}"
    labels = sum(one.state == "done" for one in fits.labels)
    of = f"{labels:,} of {counted(len(fits.labels), 'label')} done"
    if fits.epochs is None:
        return f"{counted(fits.fits, 'fit')}, {counted(fits.epochs_done, 'epoch')}, {clock(fits.seconds)} of fitting"
    at_work = f" ({fits.fits_at_work} at work)" if fits.fits_at_work else ""
    return (
        f"{of}, {fits.fits_done:,} of {counted(fits.fits, 'fit')}{at_work}, {fits.epochs_done:,} of at most "
        f"{counted(fits.epochs, 'epoch')}"
    )


def _left(status: TrainingStatus) -> str:
    """Time left, and what makes it shorter."""
    fits = status.fits
    if fits is None or fits.epochs is None or not fits.seconds_left:
        return ""
    text = f"; at most {clock(fits.seconds_left)} left with {counted(fits.processes or 1, 'process', 'processes')}"
    if status.state != "training":
        text += " once it goes on"
    if fits.epochs_spared:
        planned = fits.epochs_done + fits.epochs_spared
        text += f", less by early stopping, which spared {fits.epochs_spared / planned:.0%} of the epochs so far"
    return text


def label_rows(fits: FitsStatus, depth: int | None = None, only: Collection[int] | None = None) -> list[Row]:
    """A row for each line of the tree; of a label that comes again only its name and state."""
    from taxotext.labels import tree_rows

    rows: list[Row] = []
    for row in tree_rows(fits.taxonomy, only, depth):
        one = fits.labels[row.label]
        if row.again:
            empty = Figure("")
            text = f"{row.text}  {row.remark or '(see above)'}"
            rows.append((text, state_of(one), empty, empty, "", empty, empty))
            continue
        text = f"{row.text}  {row.remark}" if row.remark else row.text
        rows.append((text, state_of(one), *_figures(one)))
    return rows


def level_rows(fits: FitsStatus) -> list[Row]:
    """A row for each level."""
    return [tuple(level[name.replace("mean F1", "mean_f1")] for name in LEVEL_COLUMNS) for level in fits.levels()]


def state_of(one: LabelStatus) -> str:
    """The state, or how a label that is done came to its classifier without a search."""
    if one.state == "done" and one.how in {"fallback", "constant"}:
        return one.how
    if one.state == "at work" and one.since is not None:
        return f"at work {clock(max(time.time() - one.since, 0))}"
    return one.state


def _figures(one: LabelStatus) -> Row:
    epochs = f"{one.epochs_done}" if one.epochs is None else f"{one.epochs_done}/{one.epochs}"
    return (
        Figure("" if one.weight is None else f"{one.weight:g}"),
        Figure("" if one.f1 is None else f"{one.f1:.4f}"),
        one.inherits_from or "",
        Figure(epochs if one.epochs or one.epochs_done else ""),
        Figure(clock(one.seconds) if one.epochs_done else ""),
    )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else str(value)
