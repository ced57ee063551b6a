"""Charts of single kinds: dots with whiskers, lines between places, points with names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from taxotext.charts.chart import (
    BOTTOM,
    COLOURS,
    HEIGHT,
    LABEL,
    LEFT,
    LETTER,
    LOOKS,
    MARK,
    RIGHT,
    ROW,
    SERIES,
    TOP,
    WIDTH,
    Chart,
    colour_of,
    cut,
    short_number,
    style,
)

_Place = tuple[float, float, Literal["left", "center", "right"]]
_Box = tuple[float, float, float, float]
_PLACES: tuple[_Place, ...] = ((11, 0, "left"), (-11, 0, "right"), (0, 15, "center"), (0, -15, "center"))
"""Places of the name of a point: pixels to the right and up, and the end of the name that is there."""

_NEAR: tuple[_Place, ...] = ((7, 0, "left"), (-7, 0, "right"), (0, 12, "center"), (0, -12, "center"))
SMALL_LETTER = 5.8
"""Pixels of a letter of a small name, about."""
GROUPS = 4
"""Names of series beside each other."""


@dataclass(frozen=True)
class Dot:
    """One row of :func:`dots`: a mean with its spread, and the single values."""

    name: str
    mean: float
    sd: float | None
    values: Sequence[float]
    series: int


@dataclass(frozen=True)
class Point:
    """One point of :func:`scatter` or :func:`label_map`; ``whole`` is its name under the pointer, if longer."""

    name: str
    x: float
    y: float
    series: int
    whole: str = ""


@dataclass(frozen=True)
class Line:
    """One line of :func:`lines`: (mean, standard deviation) at each place; None: no value there."""

    name: str
    places: Sequence[tuple[float, float | None] | None]
    series: int


def dots(title: str, rows: Sequence[Dot], marks: Mapping[str, float] | None = None) -> Chart:
    """Means as dots with whiskers of one standard deviation, single seeds as small circles; ``marks`` are dashed lines.

    Args:
        title: above the chart; names the unit, which is %.
        rows: from top to bottom, at least one.
        marks: name to value of lines across all rows, such as published metrics.
    """
    names = [cut(row.name) for row in rows]
    left = 24 + LETTER * max(len(name) for name in names)
    with style():
        chart = Chart(title, TOP + ROW * len(rows) + BOTTOM, left, RIGHT)
        axes = chart.axes
        axes.grid(visible=False, axis="y")
        for name, value in (marks or {}).items():
            tip = chart.tip(f"{name}: {value:.2f} %")
            axes.axvline(value, color=COLOURS["soft"][0], linestyle=(0, (4, 4)), linewidth=1.5, gid=tip)
        for number, row in enumerate(rows):
            colour = colour_of(row.series)
            if row.sd is not None:
                axes.plot([row.mean - row.sd, row.mean + row.sd], [number] * 2, color=colour, linewidth=2)
            seeds: dict[str, Any] = {"color": colour, "markersize": 7, "markerfacecolor": (colour, 0.35)}
            axes.plot(row.values, [number] * len(row.values), "o", **seeds)
            chart.mark(row.mean, number, row.series, 11, gid=chart.tip(_tip(row.name, row.mean, row.sd)))
        axes.set_yticks(range(len(rows)), names, color=COLOURS["ink"][0], fontsize=13)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    return chart


def lines(title: str, places: Sequence[str], drawn: Sequence[Line]) -> Chart:
    """Means along an axis of names, whiskers of one standard deviation; at the right ends of the lines marks and names.

    Args:
        title: above the chart; names the unit, which is %.
        places: names of the axis, at least one.
        drawn: at least one, each with a value at one place or more.
    """
    names = [cut(line.name) for line in drawn]
    right = 36 + LETTER * max(len(name) for name in names)
    with style():
        chart = Chart(title, max(HEIGHT, TOP + LABEL * len(drawn) + BOTTOM), LEFT - 16, right)
        axes = chart.axes
        axes.grid(visible=False, axis="x")
        ends = []
        for line in drawn:
            colour = colour_of(line.series)
            found = [(number, *place) for number, place in enumerate(line.places) if place is not None]
            dashes = LOOKS[line.series // SERIES % len(LOOKS)][2]
            axes.plot([x for x, _, _ in found], [y for _, y, _ in found], dashes, color=colour, linewidth=1.5)
            for x, mean, sd in found:
                if sd is not None:
                    axes.plot([x, x], [mean - sd, mean + sd], color=colour, linewidth=2)
                chart.mark(x, mean, line.series, 9, gid=chart.tip(_tip(line.name, mean, sd)))
            ends.append(found[-1])
        axes.set_xticks(range(len(places)), list(places))
        axes.set_xlim(-0.5, len(places) - 0.5)
        low, high = axes.get_ylim()
        heights = _apart([(y - low) / (high - low) for _, y, _ in ends], LABEL / chart.inner[1])
        for line, name, end, y in zip(drawn, names, ends, heights, strict=True):
            last, pixel = (end[0] + 0.5) / len(places), 1 / chart.inner[0]
            thread = ([last + 7 * pixel, 1 + 8 * pixel], [(end[1] - low) / (high - low), y])
            axes.plot(*thread, color=COLOURS["line"][0], clip_on=False, transform=axes.transAxes, zorder=1)
            chart.mark(1 + 14 * pixel, y, line.series, 8, transform=axes.transAxes)
            axes.text(1 + 24 * pixel, y, name, va="center_baseline", transform=axes.transAxes)
    return chart


def scatter(title: str, points: Sequence[Point], x_name: str, y_name: str) -> Chart:
    """Points with their names; the x axis is logarithmic.

    Args:
        points: at least one; x must be positive.
    """
    with style():
        chart = Chart(title, HEIGHT, LEFT, RIGHT, below=52)
        axes = chart.axes
        axes.set_xscale("log")
        axes.set_xlabel(x_name, loc="right")
        axes.set_ylabel(y_name)
        for point in points:
            tip = chart.tip(f"{point.name}: {point.x:.3g}, {point.y:.2f}")
            chart.mark(point.x, point.y, point.series, 12, gid=tip)
        ticks = _log_ticks(min(point.x for point in points), max(point.x for point in points))
        axes.set_xticks(ticks, [short_number(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(ticks[0], ticks[-1])
        names = [cut(point.name) for point in points]
        spots = axes.transData.transform([(point.x, point.y) for point in points]).tolist()
        for point, name, (x, y, side) in zip(points, names, _beside(spots, names), strict=True):
            axes.annotate(name, (point.x, point.y), (x, y), textcoords="offset points", ha=side, va="center_baseline")
    return chart


def label_map(title: str, points: Sequence[Point], groups: Sequence[str] = ()) -> Chart:
    """Points without scales, on which only what is near counts; names where there is room, the first points first.

    Args:
        points: at least one; all names are under the pointer.
        groups: names of the series, shown below; empty: there is one.
    """
    shown = list(groups[:SERIES])
    rows = math.ceil(len(shown) / GROUPS)
    with style():
        chart = Chart(title, WIDTH + LABEL * rows, 8, 8, below=8 + LABEL * rows)
        axes = chart.axes
        axes.set_xticks([])
        axes.set_yticks([])
        for point in reversed(points):
            chart.mark(point.x, point.y, point.series, 7, gid=chart.tip(point.whole or point.name))
        axes.autoscale_view()  # places in pixels need the limits, which are found when they are asked for
        names = [cut(point.name) for point in points]
        spots = axes.transData.transform([(point.x, point.y) for point in points]).tolist()
        taken = [(x - MARK / 2, y - MARK / 2, x + MARK / 2, y + MARK / 2) for x, y in spots]
        for point, name, spot in zip(points, names, spots, strict=True):
            width = SMALL_LETTER * len(name)
            place = next((one for one in _NEAR if _covered(_box(spot, width, one), taken, 8) <= 0), None)
            if place is None:
                continue
            taken.append(_box(spot, width, place))
            x, y, side = place
            axes.annotate(
                name,
                (point.x, point.y),
                (x, y),
                textcoords="offset points",
                ha=side,
                va="center_baseline",
                fontsize=10,
            )
        step, line = 1 / GROUPS, LABEL / chart.inner[1]
        for group, name in enumerate(shown):
            x, y = group % GROUPS * step, -(group // GROUPS + 0.7) * line
            chart.mark(x + 0.01, y, group, 7, transform=axes.transAxes)
            axes.text(x + 0.025, y, cut(name), va="center_baseline", fontsize=10, transform=axes.transAxes)
    return chart


def _tip(name: str, mean: float, sd: float | None) -> str:
    return f"{name}: {mean:.2f}{'' if sd is None else f' ± {sd:.2f}'} %"


def _log_ticks(low: float, high: float) -> list[float]:
    """Numbers 1, 2 and 5 times a power of ten, from the last one below ``low`` to the first one above ``high``.

    Powers of ten alone where there would be many.

    >>> _log_ticks(3.0, 40.0), _log_ticks(2.0, 2.0)
    ([2.0, 5.0, 10.0, 20.0, 50.0], [1.0, 2.0, 5.0])
    """
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    factors = (1, 2, 5) if len(powers) < 7 else (1,)
    ticks = [round(factor * 10.0**power, 12) for power in powers for factor in factors]
    below = [tick for tick in ticks if tick < low]
    above = [tick for tick in ticks if tick > high]
    return [below[-1], *(tick for tick in ticks if low <= tick <= high), above[0]]


def _apart(places: Sequence[float], least: float) -> list[float]:
    """Heights of names, in 0..1, moved where two would lie on each other: up from the lowest, then down from 1.

    >>> _apart([0.0, 0.5, 0.0], 0.25), _apart([1.0, 0.9], 0.25)
    ([0.0, 0.5, 0.25], [1.0, 0.75])
    """
    result = list(places)
    order = sorted(range(len(places)), key=places.__getitem__)
    for before, here in pairwise(order):
        result[here] = max(result[here], result[before] + least)
    limit = 1.0
    for here in reversed(order):
        result[here] = min(result[here], limit)
        limit = result[here] - least
    return result


def _beside(spots: Sequence[tuple[float, float]], names: Sequence[str]) -> list[_Place]:
    """Where the names of points go: each takes the place, of :data:`_PLACES`, where it covers least.

    Args:
        spots: pixels from the left and from below.
        names: of the points.
    """
    taken = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in spots]
    found = []
    for spot, name in zip(spots, names, strict=True):
        boxes = {place: _box(spot, LETTER * len(name), place) for place in _PLACES}
        best = min(_PLACES, key=lambda place: _covered(boxes[place], taken))  # used at once
        taken.append(boxes[best])
        found.append(best)
    return found


def _box(spot: tuple[float, float], width: float, place: _Place) -> _Box:
    right, up, side = place
    left = spot[0] + right - {"left": 0.0, "center": 0.5, "right": 1.0}[side] * width
    middle = spot[1] + up
    return left, middle - LABEL / 2, left + width, middle + LABEL / 2


def _covered(box: _Box, taken: Sequence[_Box], left: float = LEFT) -> float:
    """Square pixels of a box that lie on others, or outside the chart, which begins at ``left``."""
    outside = max(0.0, left - box[0]) + max(0.0, box[2] - WIDTH)
    return outside * LABEL + sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )
