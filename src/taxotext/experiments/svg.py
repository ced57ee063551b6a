"""Small charts as SVG text: no library, no script, nothing loaded. Colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 560, 150, 24, 34, 44
ROW = 30
COLOURS = 8
"""How many series the page's style has colours for (``.c0`` and so on); those beyond are hollow and dashed as well."""


@dataclass(frozen=True)
class Bar:
    """One row of :func:`dots`: a mean with its spread, and the single values."""

    name: str
    mean: float
    sd: float | None
    values: Sequence[float]
    colour: int


@dataclass(frozen=True)
class Point:
    """One point of :func:`scatter`."""

    name: str
    x: float
    y: float
    colour: int


@dataclass(frozen=True)
class Line:
    """One line of :func:`lines`: (mean, standard deviation) at each place; None: no figure there."""

    name: str
    places: Sequence[tuple[float, float | None] | None]
    colour: int


def dots(title: str, bars: Sequence[Bar], marks: Mapping[str, float] | None = None, unit: str = "%") -> str:
    """Means as dots with whiskers of one standard deviation, single seeds as small circles; ``marks`` are dashed lines.

    Args:
        title: above the chart.
        bars: from top to bottom, at least one.
        marks: name to value of lines across all rows, such as published figures.
        unit: behind the numbers of the axis.
    """
    marks = marks or {}
    spans = [bar.mean + side * (bar.sd or 0) for bar in bars for side in (-1, 1)]
    low, high = _limits([*spans, *(value for bar in bars for value in bar.values), *marks.values()])
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    height = TOP + ROW * len(bars) + BOTTOM

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    base = TOP + ROW * len(bars)
    parts = [_open(height, title)]
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" y1="{TOP}" x2="{x(tick):.1f}" y2="{base}"/>')
        parts.append(
            f'<text class="tick" x="{x(tick):.1f}" y="{base + 18}" text-anchor="middle">{_number(tick)}</text>'
        )
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{base + 36}" text-anchor="end">{escape(unit)}</text>')
    for name, value in marks.items():
        parts.append(f'<line class="mark" x1="{x(value):.1f}" y1="{TOP}" x2="{x(value):.1f}" y2="{base}">')
        parts.append(f"<title>{escape(name)}: {value:.2f} {escape(unit)}</title></line>")
    for number, bar in enumerate(bars):
        y = TOP + ROW * (number + 0.5)
        parts.append(
            f'<text class="name" x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(_cut(bar.name))}</text>'
        )
        colour = _class(bar.colour)
        if bar.sd is not None:
            ends = f'x1="{x(bar.mean - bar.sd):.1f}" x2="{x(bar.mean + bar.sd):.1f}"'
            parts.append(f'<line class="whisker {colour}" {ends} y1="{y:.1f}" y2="{y:.1f}"/>')
        parts += [f'<circle class="seed {colour}" cx="{x(value):.1f}" cy="{y:.1f}" r="3.5"/>' for value in bar.values]
        spread = "" if bar.sd is None else f" ± {bar.sd:.2f}"
        parts.append(f'<circle class="mean {colour}" cx="{x(bar.mean):.1f}" cy="{y:.1f}" r="5.5">')
        parts.append(f"<title>{escape(bar.name)}: {bar.mean:.2f}{spread} {escape(unit)}</title></circle>")
    return "".join([*parts, "</svg>"])


def scatter(title: str, points: Sequence[Point], x_name: str, y_name: str) -> str:
    """Points with their names; the x axis is logarithmic.

    Args:
        title: above the chart.
        points: at least one; x must be positive.
        x_name, y_name: of the axes.
    """
    height = 340
    base, right = height - BOTTOM - 10, WIDTH - RIGHT - 90
    steps = _log_ticks(min(point.x for point in points), max(point.x for point in points))
    first, last = math.log10(steps[0]), math.log10(steps[-1])
    low, high = _limits([point.y for point in points])
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def x(value: float) -> float:
        return LEFT - 70 + (math.log10(value) - first) / (last - first) * (right - LEFT + 70)

    def y(value: float) -> float:
        return base - (value - low) / (high - low) * (base - TOP)

    parts = [_open(height, title)]
    for step in steps:
        at = x(step)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{base}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{base + 18}" text-anchor="middle">{_number(step)}</text>')
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT - 70}" y1="{y(tick):.1f}" x2="{right}" y2="{y(tick):.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 80}" y="{y(tick) + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        )
    parts.append(f'<text class="tick" x="{right}" y="{base + 38}" text-anchor="end">{escape(x_name)}</text>')
    middle = (TOP + base) / 2
    turned = f'transform="rotate(-90 18 {middle:.1f})" text-anchor="middle"'
    parts.append(f'<text class="tick" x="18" y="{middle:.1f}" {turned}>{escape(y_name)}</text>')
    heights = _apart([y(point.y) for point in points])
    for point, label in zip(points, heights, strict=True):
        parts.append(f'<circle class="mean {_class(point.colour)}" cx="{x(point.x):.1f}" cy="{y(point.y):.1f}" r="6">')
        parts.append(f"<title>{escape(point.name)}: {point.x:.3g}, {point.y:.2f}</title></circle>")
        parts.append(
            f'<text class="name" x="{x(point.x) + 11:.1f}" y="{label + 4:.1f}">{escape(_cut(point.name))}</text>'
        )
    return "".join([*parts, "</svg>"])


def lines(title: str, places: Sequence[str], drawn: Sequence[Line], unit: str = "%") -> str:
    """Means along an axis of names, whiskers of one standard deviation; at the right ends of the lines dots and names.

    Args:
        title: above the chart.
        places: names of the axis, at least one.
        drawn: at least one, each with a figure at one place or more.
        unit: of the figures.
    """
    height, left = 340, 56
    base, right = height - BOTTOM, WIDTH - RIGHT - 163
    known = [(mean, sd or 0.0) for line in drawn for mean, sd in filter(None, line.places)]
    low, high = _limits([mean + side * sd for mean, sd in known for side in (-1, 1)])
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def x(place: int) -> float:
        return left + (place + 0.5) / len(places) * (right - left)

    def y(value: float) -> float:
        return base - (value - low) / (high - low) * (base - TOP)

    parts = [_open(height, title)]
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{left}" y1="{y(tick):.1f}" x2="{right}" y2="{y(tick):.1f}"/>')
        parts.append(
            f'<text class="tick" x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        )
    for number, name in enumerate(places):
        parts.append(
            f'<text class="tick" x="{x(number):.1f}" y="{base + 20}" text-anchor="middle">{escape(name)}</text>'
        )
    ends = []
    for line in drawn:
        colour = _class(line.colour)
        found = [(x(number), *point) for number, point in enumerate(line.places) if point is not None]
        path = " ".join(f"{at:.1f},{y(mean):.1f}" for at, mean, _ in found)
        parts.append(f'<polyline class="path {colour}" points="{path}"/>')
        for at, mean, sd in found:
            if sd is not None:
                span = f'y1="{y(mean - sd):.1f}" y2="{y(mean + sd):.1f}"'
                parts.append(f'<line class="whisker {colour}" x1="{at:.1f}" x2="{at:.1f}" {span}/>')
            spread = "" if sd is None else f" ± {sd:.2f}"
            parts.append(f'<circle class="mean {colour}" cx="{at:.1f}" cy="{y(mean):.1f}" r="4.5">')
            parts.append(f"<title>{escape(line.name)}: {mean:.2f}{spread} {escape(unit)}</title></circle>")
        ends.append(y(found[-1][1]))
    for line, end in zip(drawn, _apart(ends), strict=True):
        parts.append(f'<circle class="mean {_class(line.colour)}" cx="{right + 14}" cy="{end:.1f}" r="4"/>')
        place = f'x="{right + 23}" y="{end + 4:.1f}"'
        parts.append(f'<text class="name n{line.colour % COLOURS}" {place}>{escape(_cut(line.name, 24))}</text>')
    return "".join([*parts, "</svg>"])


def _open(height: int, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg"><text class="title" x="0" y="18">{escape(title)}</text>'
    )


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The range of an axis, with some room on both sides."""
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or max(abs(high) * 0.05, 0.5)
    return low - room, high + room


def _ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Round numbers within a range.

    >>> _ticks(81.2, 89.9)
    [82.0, 84.0, 86.0, 88.0]
    """
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    count = math.floor((high + step * 1e-9) / step) - math.ceil((low - step * 1e-9) / step) + 1
    return [round(step * (math.ceil((low - step * 1e-9) / step) + number), 10) for number in range(count)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Numbers 1, 2 and 5 times a power of ten, from the last one up to ``low`` to the first one from ``high``.

    Powers of ten alone where there would be many.

    >>> _log_ticks(3.0, 40.0), _log_ticks(2.0, 2.0)
    ([2.0, 5.0, 10.0, 20.0, 50.0], [2.0, 5.0])
    """
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    factors = (1, 2, 5) if len(powers) < 7 else (1,)
    all_of_them = [round(factor * 10.0**power, 12) for power in powers for factor in factors]
    first = max(number for number, tick in enumerate(all_of_them) if tick <= low * (1 + 1e-9))
    last = min(number for number, tick in enumerate(all_of_them) if tick >= high * (1 - 1e-9))
    return all_of_them[first : max(last, first + 1) + 1]


def _apart(places: Sequence[float], least: float = 14.0) -> list[float]:
    """Heights of labels, moved down where two would lie on each other."""
    result = list(places)
    order = sorted(range(len(places)), key=places.__getitem__)
    for before, here in pairwise(order):
        result[here] = max(result[here], result[before] + least)
    return result


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:g}"


def _cut(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _class(colour: int) -> str:
    """Classes of what has a colour.

    >>> _class(1), _class(COLOURS + 1)
    ('c1', 'c1 again')
    """
    return f"c{colour % COLOURS}" + (" again" if colour >= COLOURS else "")
