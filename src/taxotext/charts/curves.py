"""Curves: y over x, several in one chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taxotext.charts.chart import (
    COLOURS,
    HEIGHT,
    LABEL,
    LEFT,
    LETTER,
    LOOKS,
    RIGHT,
    SERIES,
    WIDTH,
    Chart,
    colour_of,
    cut,
    style,
)

BELOW = 52
MARKED = 40
"""Points of a curve up to which each has a mark, with its values under the pointer."""


@dataclass(frozen=True)
class Curve:
    """One curve: its name, places and values, and the number of its colour."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    series: int


def curves(
    title: str,
    drawn: Sequence[Curve],
    x_name: str,
    y_name: str,
    *,
    whole: bool = True,
    diagonal: bool = False,
    at: float | None = None,
) -> Chart:
    """Draw curves over a common axis; their names stand below, in rows.

    Args:
        drawn: at least one, each with a point or more.
        whole: whether both axes go from 0 to 1.
        diagonal: draw y = x, dashed.
        at: a place on the x axis that is marked by a dashed line.
    """
    names = [cut(one.name) for one in drawn]
    rows = _rows(names) if len(drawn) > 1 else []
    below = BELOW + LABEL * len(rows)
    with style():
        chart = Chart(title, HEIGHT + LABEL * len(rows), LEFT, RIGHT, below=below)
        axes = chart.axes
        axes.set_xlabel(x_name, loc="right")
        axes.set_ylabel(y_name)
        dashed: dict[str, Any] = {"color": COLOURS["soft"][0], "linestyle": (0, (4, 4)), "linewidth": 1.5}
        if diagonal:
            axes.plot([0, 1], [0, 1], **dashed)
        if at is not None:
            axes.axvline(at, gid=chart.tip(f"{x_name} {at:.3g}"), **dashed)
        for one in drawn:
            dashes = LOOKS[one.series // SERIES % len(LOOKS)][2]
            axes.plot(one.x, one.y, dashes, color=colour_of(one.series), linewidth=2)
            if len(one.x) <= MARKED:
                for x, y in zip(one.x, one.y, strict=True):
                    chart.mark(x, y, one.series, 6, gid=chart.tip(f"{one.name}: {x:.3g}, {y:.3g}"))
        if whole:
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.02)
        for number, row in enumerate(rows):
            left = 0.0
            for place in row:
                y = -(BELOW + (number - 0.3) * LABEL) / chart.inner[1]
                chart.mark(left + 0.01, y, drawn[place].series, 7, transform=axes.transAxes)
                axes.text(left + 0.03, y, names[place], va="center_baseline", fontsize=11, transform=axes.transAxes)
                left += _width(names[place])
    return chart


def _width(name: str) -> float:
    """Of a name with its mark, as a share of the axes."""
    return (LETTER * len(name) + 30) / (WIDTH - LEFT - RIGHT)


def _rows(names: Sequence[str]) -> list[list[int]]:
    """Names in rows that are no wider than the axes."""
    rows: list[list[int]] = [[]]
    left = 0.0
    for place, name in enumerate(names):
        if rows[-1] and left + _width(name) > 1:
            rows.append([])
            left = 0.0
        rows[-1].append(place)
        left += _width(name)
    return rows
