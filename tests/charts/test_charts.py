"""Charts: values where they belong, names that can be read, files that are equal wherever they are drawn."""

from __future__ import annotations

import subprocess
import sys
import warnings
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from taxotext.charts.chart import COLOURS, HEIGHT, LOOKS, SERIES, TOP, WIDTH, Chart
from taxotext.charts.kinds import Dot, Line, Point, dots, lines, scatter

SVG = "{http://www.w3.org/2000/svg}"


def tree(chart: Chart) -> Any:
    return ElementTree.fromstring(chart.svg())


def marks(chart: Chart) -> dict[str, tuple[float, float]]:
    """What the pointer shows over a mark -> its x and y."""
    found = {}
    for group in tree(chart).iter(f"{SVG}g"):
        title, use = group.find(f"{SVG}title"), group.find(f"{SVG}use")
        if title is not None and use is not None:
            found[title.text] = (float(use.get("x")), float(use.get("y")))
    return found


def strokes(chart: Chart, colour: str) -> list[list[float]]:
    """Numbers of the paths drawn in a colour."""
    return [
        [float(word) for word in path.get("d").split() if word not in {"M", "L", "z"}]
        for path in tree(chart).iter(f"{SVG}path")
        if f"stroke: var(--{colour})" in path.get("style", "") and path.get("id") is None
    ]


def texts(chart: Chart) -> dict[str, Any]:
    return {text.text: text for text in tree(chart).iter(f"{SVG}text")}


def test_dots_and_whiskers_and_published_values_are_on_one_scale() -> None:
    chart = dots("t", [Dot("a", 80.0, 1.0, [79.0, 81.0], 0), Dot("b", 90.0, None, [90.0], 1)], {"theirs": 85.0})
    found = marks(chart)
    first, second = found["a: 80.00 ± 1.00 %"], found["b: 90.00 %"]
    point = (second[0] - first[0]) / 10
    assert point > 0
    assert first[1] < second[1], "from top to bottom"
    (mark,) = strokes(chart, "soft")
    assert [mark[0], mark[2]] == pytest.approx([first[0] + 5 * point] * 2, abs=0.1)
    (whisker,) = strokes(chart, "c0")
    assert whisker == pytest.approx([first[0] - point, first[1], first[0] + point, first[1]], abs=0.1)
    assert strokes(chart, "c1") == [], "one value has no spread"
    seeds = [use for use in tree(chart).iter(f"{SVG}use") if "fill-opacity: 0.35" in use.get("style")]
    assert [float(use.get("x")) for use in seeds] == pytest.approx(
        [first[0] - point, first[0] + point, second[0]], abs=0.1
    )


def test_the_x_axis_of_a_scatter_is_logarithmic() -> None:
    points = [Point(name, x, y, 0) for name, x, y in (("a", 1, 5), ("b", 10, 6), ("c", 100, 8))]
    found = list(marks(scatter("t", points, "x", "y")).values())
    assert found[1][0] - found[0][0] == pytest.approx(found[2][0] - found[1][0], abs=0.1)
    assert 2 * (found[0][1] - found[1][1]) == pytest.approx(found[1][1] - found[2][1], abs=0.1)


def test_lines_leave_out_what_is_missing_and_end_in_a_mark_with_their_name() -> None:
    first, second = Line("a", [(60.0, 2.0), None, (40.0, 1.0)], 0), Line("b", [(50.0, None), None, None], SERIES + 1)
    chart = lines("t", ["one", "two", "<3>"], [first, second])
    found = marks(chart)
    assert len(found) == 3
    left, right, other = (found[tip] for tip in ("a: 60.00 ± 2.00 %", "a: 40.00 ± 1.00 %", "b: 50.00 %"))
    assert other == pytest.approx([left[0], (left[1] + right[1]) / 2], abs=0.1)
    point = (right[1] - left[1]) / 20
    path, *whiskers = strokes(chart, "c0")
    assert path == pytest.approx([*left, *right], abs=0.1), "across the gap"
    for whisker, end, size in zip(whiskers, (left, right), (2 * point, point), strict=True):
        assert whisker == pytest.approx([end[0], end[1] + size, end[0], end[1] - size], abs=0.1)
    ends = [(float(use.get("x")), float(use.get("y"))) for use in tree(chart).iter(f"{SVG}use")][-2:]
    assert ends[0][0] == ends[1][0] > right[0]
    assert [end[1] for end in ends] == pytest.approx([right[1], other[1]], abs=0.1)
    for name, end in zip("ab", ends, strict=True):
        assert float(texts(chart)[name].get("y")) == pytest.approx(end[1], abs=6)
    assert {"one", "two", "<3>"} <= texts(chart).keys()


def test_series_of_one_colour_have_other_marks_and_dashes() -> None:
    count = SERIES * len(LOOKS)
    chart = lines("t", ["one", "two"], [Line(str(n), [(n, None), (n, None)], n) for n in range(count)])
    outlines = {path.get("id"): path.get("d") for path in tree(chart).iter(f"{SVG}path")}
    looks = [(outlines[use.get("href")[1:]], use.get("style")) for use in tree(chart).iter(f"{SVG}use")][:-count:2]
    assert len(set(looks)) == count
    dashes = {path.get("style") for path in tree(chart).iter(f"{SVG}path") if "var(--c0)" in path.get("style", "")}
    assert len(dashes) == len(LOOKS)


def test_the_names_of_lines_that_end_together_are_apart_and_within_the_chart() -> None:
    drawn = [Line(f"name {n}", [(50.0 + n / 100, None)], n) for n in range(12)]
    drawn += [Line("low", [(0.0, None)], 12), Line("high", [(100.0, None)], 13)]
    heights = sorted(float(text.get("y")) for name, text in texts(lines("t", ["p"], drawn)).items() if name[0] in "nlh")
    assert len(heights) == 14
    assert min(np.diff(heights)) > 15
    assert TOP < heights[0] < heights[-1] < HEIGHT


def test_names_of_near_points_do_not_lie_on_each_other() -> None:
    points = [
        Point(f"system {n}", x, y, n) for n, (x, y) in enumerate(((1, 0), (5, 5), (5.4, 5.3), (100, 9), (90, 8.9)))
    ]
    chart = scatter("t", points, "x", "y")
    boxes = []
    for name, text in texts(chart).items():
        if name.startswith("system"):
            assert "text-anchor: middle" not in text.get("style")
            width = 7 * len(name) * (-1 if "text-anchor: end" in text.get("style") else 1)
            x, y = float(text.get("x")), float(text.get("y"))
            boxes.append((min(x, x + width), max(x, x + width), y))
    assert len(boxes) == 5
    assert all(0 < left < right < WIDTH for left, right, _ in boxes)
    for one, other in combinations(boxes, 2):
        assert one[1] < other[0] or other[1] < one[0] or abs(one[2] - other[2]) > 12


@pytest.mark.parametrize("name", ["<b>&", "$x_1$", "a\nb\x01", "文書分類", "n" * 99])
def test_every_name_can_be_drawn_and_read(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        charts = [
            dots("t", [Dot(name, 0.0, 0.0, [0.0], 0)]),
            lines("t", ["p"], [Line(name, [(0.0, None)], 0)]),
            scatter("t", [Point(name, 3.0, 50.0, 0), Point(name, 3.0, 50.0, 1)], "x", "y"),
        ]
        for chart in charts:
            shown = [text for text in texts(chart) if text[:2] == name[:2].replace("\n", " ")]
            assert len(shown) == 1
            assert len(shown[0]) <= 28


def test_settings_of_the_user_change_nothing_and_stay() -> None:
    def draw() -> str:
        return dots("t", [Dot("a", 1.0, 0.5, [1.0], 0)]).svg()

    given = {"font.size": 30, "svg.fonttype": "path", "axes.grid": False, "lines.linewidth": 9, "text.usetex": False}
    before = draw()
    with matplotlib.rc_context(given):
        assert draw() == before
        assert {name: matplotlib.rcParams[name] for name in given} == given


def test_two_charts_share_no_id() -> None:
    first, second = (
        {one.get("id") for one in tree(dots(title, [Dot("a", 1.0, None, [1.0], 0)])).iter()} for title in "tu"
    )
    assert first & second == {None}


def test_matplotlib_is_imported_when_something_is_drawn_and_pyplot_never() -> None:
    code = (
        "import sys; from taxotext.experiments.page import dots; from taxotext.charts.kinds import Dot\n"
        "assert 'matplotlib' not in sys.modules\n"
        "dots('t', [Dot('a', 1.0, None, [1.0], 0)]).svg()\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_chart_is_a_file_of_its_own(tmp_path: Path) -> None:
    chart = dots("t", [Dot("a", 1.0, 0.5, [1.0], 0)])
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        chart.save(tmp_path / name)
    for suffix in ("svg", "png"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    style = root[0].text or ""
    used = set("".join(one.get("style", "") for one in root.iter()).replace(")", "(").split("(")) & {
        f"--{c}" for c in COLOURS
    }
    assert used == {"--ink", "--soft", "--line", "--c0"}
    for variable in used:
        assert style.count(f"{variable}:") == 2, "light and dark"
    width, height = np.frombuffer((tmp_path / "a.png").read_bytes()[16:24], ">u4")
    assert 2 * WIDTH * 0.8 < width <= 2 * WIDTH + 50
    assert height < width
    with pytest.raises(ValueError, match=r"\.gif: a chart is saved as \.svg or \.png"):
        chart.save(tmp_path / "a.gif")


# -- colours ---------------------------------------------------------------------------------------------------------

SIMULATIONS = {  # linear RGB as others see it (Machado, Oliveira & Fernandes 2009, severity 1)
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> np.ndarray[Any, Any]:
    value = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def oklab(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where equal distances look equal (Ottosson 2020)."""
    cones = [[0.4122215, 0.5363325, 0.0514460], [0.2119035, 0.6806995, 0.1073970], [0.0883025, 0.2817188, 0.6299787]]
    axes = [[0.2104543, 0.7936178, -0.0040720], [1.9779985, -2.4285922, 0.4505937], [0.0259040, 0.7827718, -0.8086758]]
    return np.asarray(np.array(axes) @ np.cbrt(np.array(cones) @ np.clip(value, 0, 1)))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_of_series_stand_out_and_stay_apart_whatever_one_sees(scheme: int) -> None:
    series = [linear(COLOURS[f"c{number}"][scheme]) for number in range(SERIES)]
    weights = np.array([0.2126, 0.7152, 0.0722])
    back = weights @ linear(COLOURS["panel"][scheme])
    for colour in series:
        bright, dark = max(weights @ colour, back), min(weights @ colour, back)
        assert (bright + 0.05) / (dark + 0.05) >= 2.95, "contrast of 3 to 1"
    for matrix in SIMULATIONS.values():
        seen = [oklab(np.array(matrix) @ colour) for colour in series]
        assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 0.08
