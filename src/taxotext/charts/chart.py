"""A chart in our style: drawn by matplotlib, embedded in a page as SVG, or a file of its own.

Matplotlib is imported when a chart is drawn, and its global settings are left as they are. Colours are roles
(:data:`COLOURS`): in SVG they become CSS variables, so that a chart follows the light or dark scheme of its reader.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxotext.charts.svg import embedded
from taxotext.files import write_atomically

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
            axis.set_major_formatter(short_number)
        self.figure.text(0, 1 - 18 / height, title, fontsize=15, fontweight="bold")
        self._tips: dict[str, str] = {}

    def tip(self, text: str) -> str:
        """An id for what is drawn; the pointer over it shows ``text`` (SVG only)."""
        name = f"tip-{len(self._tips)}"
        self._tips[name] = printable(text)
        return name

    def mark(self, x: float, y: float, series: int, size: float, **style: Any) -> None:
        """Draw the mark of a series, ``size`` pixels across."""
        shape, filled, _ = LOOKS[series // SERIES % len(LOOKS)]
        colour = colour_of(series)
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
        content = self.content(path.suffix)

        def write(temporary: Path) -> None:
            temporary.write_bytes(content)

        write_atomically(path, write)

    def content(self, suffix: str) -> bytes:
        """What :meth:`save` writes.

        Raises:
            ValueError: another suffix than ``.svg`` and ``.png``.
        """
        if suffix == ".svg":
            css = f"<style>{palette()}svg {{ background: var(--back); }}\n{TEXT_STYLE}</style>"
            return (self.svg().replace(">", f">{css}", 1) + "\n").encode()
        if suffix != ".png":
            raise ValueError(f"{suffix}: a chart is saved as .svg or .png.")
        options: dict[str, Any] = {"format": "png", "dpi": 72 * PNG_SCALE, "facecolor": COLOURS["back"][0]}
        file = io.BytesIO()
        with style():
            self.figure.savefig(file, bbox_inches="tight", pad_inches=0.15, **options)
        return file.getvalue()


@contextmanager
def style(salt: str = "") -> Iterator[None]:
    """Matplotlib's own defaults with ours, whatever the settings of the user are, which are back afterwards."""
    import matplotlib
    import matplotlib.style

    own: Any = {**_STYLE, "svg.hashsalt": f"taxotext {salt}"}
    with matplotlib.style.context("default"), matplotlib.rc_context(own), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # in SVG the fonts of the reader count
        yield


def colour_of(series: int) -> str:
    """The light colour of a series."""
    return COLOURS[f"c{series % SERIES}"][0]


def short_number(value: float, _: object = None) -> str:
    """A number on an axis."""
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:g}"


def cut(name: str) -> str:
    """A name in one line, not too long."""
    name = printable(name)
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def printable(text: str) -> str:
    r"""Blanks in the place of what XML does not take, or what ends a line.

    >>> printable("a\nb\x01")
    'a b '
    """
    return "".join(letter if letter.isprintable() else " " for letter in text)
