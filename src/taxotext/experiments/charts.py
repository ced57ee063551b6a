"""Charts in one style: drawn by matplotlib, embedded in a page as SVG, or files of their own.

Matplotlib is imported when a chart is drawn, and its global settings are left as they are. Colours are roles
(:data:`COLOURS`): in SVG they become CSS variables, so that a chart follows the light or dark scheme of its reader.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from taxotext.experiments.svg import embedded
from taxotext.files import write_atomically, write_text_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "ink": ("#1c2430", "#e6eaf0"),
    "soft": ("#5b6675", "#9aa6b5"),
    "line": ("#d9dee6", "#3a4350"),
    "back": ("#ffffff", "#14181e"),
    "panel": ("#f6f8fa", "#1c222b"),
    "c0": ("#3753b5", "#118aee"),
    "c1": ("#ba450e", "#d36c00"),
    "c2": ("#0d856d", "#00c1a8"),
    "c3": ("#e24fa8", "#ec9dff"),
    "c4": ("#c38300", "#adc72d"),
    "c5": ("#4794df", "#84faff"),
    "c6": ("#8f006d", "#9377a2"),
    "c7": ("#273431", "#f6d7a3"),
}
"""Role to its light and dark colour. Those of series (c0 to c7) stay apart in every common kind of colour blindness."""
SERIES = 8
"""Colours of series; later series repeat them with other marks and dashes, see :data:`LOOKS`."""
LOOKS = (("o", True, "-"), ("o", False, "--"), ("s", True, ":"), ("s", False, "-."))
"""Mark, whether it is filled, and line of the first, second, ... :data:`SERIES` series."""
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 560, 64, 24, 34, 30
ROW, HEIGHT, LABEL = 30, 340, 16
"""Pixels: a row of dots, any other chart, a name beside others."""
LETTER = 7.4
"""Pixels of a letter of a name, about."""
LONGEST = 28
"""Letters of a name that are shown."""
MARK = 7
"""Pixels from the middle of a mark that names keep away."""
TICKS, PNG_SCALE = 6, 2

_TICKS = {"labelsize": 12, "labelcolor": COLOURS["soft"][0], "major.pad": 8}
_STYLE: dict[str, Any] = {
    "text.color": COLOURS["ink"][0],
    "text.parse_math": False,
    "font.size": 13,
    "axes.facecolor": "none",
    "axes.edgecolor": COLOURS["line"][0],
    "axes.labelcolor": COLOURS["soft"][0],
    "axes.labelsize": 12,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.05,
    "axes.ymargin": 0.08,
    **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
    "grid.color": COLOURS["line"][0],
    "grid.linewidth": 1,
    **{f"{axis}tick.{key}": value for axis in "xy" for key, value in _TICKS.items()},
    "xtick.bottom": False,
    "ytick.left": False,
    "lines.solid_capstyle": "butt",
    "svg.fonttype": "none",
}
_Place = tuple[float, float, Literal["left", "center", "right"]]
_Box = tuple[float, float, float, float]
_PLACES: tuple[_Place, ...] = ((11, 0, "left"), (-11, 0, "right"), (0, 15, "center"), (0, -15, "center"))
"""Places of the name of a point: pixels to the right and up, and the end of the name that is there."""


def palette() -> str:
    """The variables that embedded charts take their colours from, as CSS."""
    light, dark = (
        " ".join(f"--{role}: {colours[number]};" for role, colours in COLOURS.items()) for number in range(2)
    )
    return (
        f":root {{ color-scheme: light dark; {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


TEXT_STYLE = "svg text { font-family: system-ui, sans-serif; }\nsvg path { stroke-linejoin: round; }\n"
"""What a page needs beside :func:`palette`."""


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
    """One point of :func:`scatter`."""

    name: str
    x: float
    y: float
    series: int


@dataclass(frozen=True)
class Line:
    """One line of :func:`lines`: (mean, standard deviation) at each place; None: no value there."""

    name: str
    places: Sequence[tuple[float, float | None] | None]
    series: int


class Chart:
    """A chart with a title and empty axes, made and drawn on within :func:`style`.

    Args:
        title: above it; also read aloud.
        height: pixels, of :data:`WIDTH`.
        left, right, below: pixels around the axes.
    """

    def __init__(self, title: str, height: int, left: float, right: float, below: int = BOTTOM) -> None:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        self.title = title
        self.figure: Figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        self.inner = (WIDTH - left - right, height - TOP - below)
        """Width and height of the axes in pixels."""
        self.axes: Axes = self.figure.add_axes(
            (left / WIDTH, below / height, self.inner[0] / WIDTH, self.inner[1] / height)
        )
        for axis in (self.axes.xaxis, self.axes.yaxis):
            axis.set_major_locator(MaxNLocator(TICKS, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(_number)
        self.figure.text(0, 1 - 18 / height, title, fontsize=15, fontweight="bold")
        self._tips: dict[str, str] = {}

    def tip(self, text: str) -> str:
        """An id for what is drawn; the pointer over it shows ``text`` (SVG only)."""
        name = f"tip-{len(self._tips)}"
        self._tips[name] = _printable(text)
        return name

    def mark(self, x: float, y: float, series: int, size: float, **style: Any) -> None:
        """Draw the mark of a series, ``size`` pixels across."""
        shape, filled, _ = LOOKS[series // SERIES % len(LOOKS)]
        colour = _colour(series)
        self.axes.plot(
            [x],
            [y],
            shape,
            markersize=size,
            markerfacecolor=colour if filled else COLOURS["back"][0],
            markeredgecolor=colour,
            markeredgewidth=1 if filled else 2,
            clip_on=False,
            **{"zorder": 4, **style},
        )

    def svg(self) -> str:
        """An SVG element for a page with :func:`palette` and :data:`TEXT_STYLE`; equal charts have equal ones."""
        file = io.BytesIO()
        with style(self.title + "".join(self._tips.values())):  # marks have ids, which a page must not hold twice
            self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        colours = {light: f"var(--{role})" for role, (light, _) in COLOURS.items()}
        return embedded(file.getvalue(), self.title, self._tips, colours)

    def save(self, path: Path) -> None:
        """Write a file of its own, completely or not at all: SVG, or PNG in light colours, by the suffix.

        Raises:
            ValueError: another suffix.
        """
        if path.suffix == ".svg":
            css = f"<style>{palette()}svg {{ background: var(--back); }}\n{TEXT_STYLE}</style>"
            write_text_atomically(path, self.svg().replace(">", f">{css}", 1) + "\n")
        elif path.suffix == ".png":
            options: dict[str, Any] = {"format": "png", "dpi": 72 * PNG_SCALE, "facecolor": COLOURS["back"][0]}
            options |= {"bbox_inches": "tight", "pad_inches": 0.15}
            with style():
                write_atomically(path, lambda temporary: self.figure.savefig(temporary, **options))
        else:
            raise ValueError(f"{path}: a chart is saved as .svg or .png.")


@contextmanager
def style(salt: str = "") -> Iterator[None]:
    """Matplotlib's own defaults with ours, whatever the settings of the user are, which are back afterwards."""
    import matplotlib
    import matplotlib.style

    own: Any = {**_STYLE, "svg.hashsalt": f"taxotext {salt}"}
    with matplotlib.style.context("default"), matplotlib.rc_context(own), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # in SVG the fonts of the reader count
        yield


def dots(title: str, rows: Sequence[Dot], marks: Mapping[str, float] | None = None, unit: str = "%") -> Chart:
    """Means as dots with whiskers of one standard deviation, single seeds as small circles; ``marks`` are dashed lines.

    Args:
        title: above the chart; names the unit.
        rows: from top to bottom, at least one.
        marks: name to value of lines across all rows, such as published figures.
        unit: of the values, shown under the pointer.
    """
    names = [_cut(row.name) for row in rows]
    left = 24 + LETTER * max(len(name) for name in names)
    with style():
        chart = Chart(title, TOP + ROW * len(rows) + BOTTOM, left, RIGHT)
        axes = chart.axes
        axes.grid(visible=False, axis="y")
        for name, value in (marks or {}).items():
            tip = chart.tip(f"{name}: {value:.2f} {unit}")
            axes.axvline(value, color=COLOURS["soft"][0], linestyle=(0, (4, 4)), linewidth=1.5, gid=tip)
        for number, row in enumerate(rows):
            colour = _colour(row.series)
            if row.sd is not None:
                axes.plot([row.mean - row.sd, row.mean + row.sd], [number] * 2, color=colour, linewidth=2)
            seeds: dict[str, Any] = {"color": colour, "markersize": 7, "markerfacecolor": (colour, 0.35)}
            axes.plot(row.values, [number] * len(row.values), "o", **seeds)
            chart.mark(row.mean, number, row.series, 11, gid=chart.tip(_told(row.name, row.mean, row.sd, unit)))
        axes.set_yticks(range(len(rows)), names, color=COLOURS["ink"][0], fontsize=13)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    return chart


def lines(title: str, places: Sequence[str], drawn: Sequence[Line], unit: str = "%") -> Chart:
    """Means along an axis of names, whiskers of one standard deviation; at the right ends of the lines marks and names.

    Args:
        title: above the chart; names the unit.
        places: names of the axis, at least one.
        drawn: at least one, each with a value at one place or more.
        unit: of the values, shown under the pointer.
    """
    names = [_cut(line.name) for line in drawn]
    right = 36 + LETTER * max(len(name) for name in names)
    with style():
        chart = Chart(title, max(HEIGHT, TOP + LABEL * len(drawn) + BOTTOM), LEFT - 16, right)
        axes = chart.axes
        axes.grid(visible=False, axis="x")
        ends = []
        for line in drawn:
            colour = _colour(line.series)
            found = [(number, *place) for number, place in enumerate(line.places) if place is not None]
            dashes = LOOKS[line.series // SERIES % len(LOOKS)][2]
            axes.plot([x for x, _, _ in found], [y for _, y, _ in found], dashes, color=colour, linewidth=1.5)
            for x, mean, sd in found:
                if sd is not None:
                    axes.plot([x, x], [mean - sd, mean + sd], color=colour, linewidth=2)
                chart.mark(x, mean, line.series, 9, gid=chart.tip(_told(line.name, mean, sd, unit)))
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
        title: above the chart.
        points: at least one; x must be positive.
        x_name, y_name: of the axes.
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
        axes.set_xticks(ticks, [_number(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(ticks[0], ticks[-1])
        names = [_cut(point.name) for point in points]
        spots = axes.transData.transform([(point.x, point.y) for point in points]).tolist()
        for point, name, (x, y, side) in zip(points, names, _beside(spots, names), strict=True):
            axes.annotate(name, (point.x, point.y), (x, y), textcoords="offset points", ha=side, va="center_baseline")
    return chart


def _colour(series: int) -> str:
    return COLOURS[f"c{series % SERIES}"][0]


def _told(name: str, mean: float, sd: float | None, unit: str) -> str:
    return f"{name}: {mean:.2f}{'' if sd is None else f' ± {sd:.2f}'} {unit}"


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


def _covered(box: _Box, taken: Sequence[_Box]) -> float:
    """Square pixels of a box that lie on others, or outside the chart."""
    outside = max(0.0, LEFT - box[0]) + max(0.0, box[2] - WIDTH)
    return outside * LABEL + sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    )


def _number(value: float, _: object = None) -> str:
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:g}"


def _cut(name: str) -> str:
    """A name in one line, not too long."""
    name = _printable(name)
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _printable(text: str) -> str:
    r"""Blanks in the place of what XML does not take, or what ends a line.

    >>> _printable("a\nb\x01")
    'a b '
    """
    return "".join(letter if letter.isprintable() else " " for letter in text)
