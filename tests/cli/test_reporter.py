"""Progress bars on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from taxotext.cli.reporter import Bars


def test_labels_and_sentences_are_shown_as_they_are() -> None:
    """Square brackets and colons mean nothing to a label."""
    screen = io.StringIO()
    bars = Bars()
    console = Console(file=screen, force_terminal=True, width=200, highlight=False, emoji=bars._console._emoji)
    bars._console = console
    with bars.task("Fitting [red]", 2, unit="epochs") as task:
        task.show(label="a[/b] [red]x :bug:", f1=0.5)
        task.advance(2)
    bars.note("kept [/b] and :bug:")
    shown = screen.getvalue()
    assert "label a[/b] [red]x :bug:  f1 0.5000" in shown
    assert "Fitting [red]" in shown
    assert "kept [/b] and :bug:" in shown
