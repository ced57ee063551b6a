"""The table of an experiment as one HTML file: no script, nothing loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from taxotext.charts.chart import Chart
from taxotext.charts.html import document, table
from taxotext.charts.kinds import Dot, Line, Point, dots, lines, scatter
from taxotext.experiments.tables import facts_of, notes_of, tables_of

LEVEL = re.compile(r"level_(\d+)_(micro|macro)_f1")


def page(summary: Mapping[str, Any]) -> str:
    """Return the page of a summary."""
    body = [f"<h1>{escape(summary['name'])}</h1>"]
    if summary["description"]:
        body.append(f"<p>{escape(summary['description'])}</p>")
    for corpus in summary["corpora"]:
        body.append(f"<h2>{escape(corpus['name'])}</h2>")
        body.append(f'<p class="soft">{escape(facts_of(corpus))}</p>')
        tables = list(tables_of(corpus, summary))
        body += [table(found.head, found.rows, found.title) for found in tables[:1]]
        for charts in (_metric_charts(corpus, summary), _cost_charts(corpus, summary)):
            inside = "".join(f"<div>{chart.svg()}</div>" for chart in charts)
            body.append(f'<div class="charts">{inside}</div>' if inside else "")
        body += [table(found.head, found.rows, found.title) for found in tables[1:]]
    body.append("<h2>How it was measured</h2>")
    body.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes_of(summary)) + "</ul>")
    made = f'<p class="soft">Written by Taxotext {escape(summary["taxotext_version"])}.</p>'
    return document(summary["name"], [*body, made])


def _metric_charts(corpus: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[Chart]:
    rows, colours = _drawn(corpus)
    together = {name for names in _levels(summary).values() for name in names.values()}
    for name in summary["metrics"]:
        if name in together:
            continue
        drawn = [
            Dot(
                row["system"],
                100 * found["mean"],
                None if found["sd"] is None else 100 * found["sd"],
                [100 * value for value in found["values"]],
                colours[row["system"]],
            )
            for row in rows
            if (found := row["metrics"].get(name)) is not None
        ]
        marks = {
            f"{one['system']} ({one['source']})": 100 * one["metrics"][name]
            for one in corpus["published"]
            if name in one["metrics"]
        }
        if drawn:
            title = f"{name}, %" + (" (dashed: published)" if marks else "")
            yield dots(title, drawn, marks)
    yield from level_charts(corpus, summary).values()


def level_charts(corpus: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Chart]:
    """Average ("micro", "macro") -> chart of the F1 by level, where the experiment asks for two levels or more.

    Published metrics are lines like others.
    """
    rows, colours = _drawn(corpus)
    published = [one for one in corpus["published"] if one["metrics"]]
    charts = {}
    for average, names in _levels(summary).items():
        drawn = []
        for row in rows:
            spreads = [row["metrics"].get(name) for name in names.values()]
            drawn.append(Line(row["system"], [found and _percent(found) for found in spreads], colours[row["system"]]))
        for number, one in enumerate(published, len(colours)):
            metrics = [one["metrics"].get(name) for name in names.values()]
            places = [None if metric is None else (100 * metric, None) for metric in metrics]
            drawn.append(Line(f"{one['system']} ({one['source']})", places, number))
        drawn = [line for line in drawn if any(line.places)]
        if drawn:
            levels = [f"level {level}" for level in names]
            charts[average] = lines(f"{average}-F1 of the labels of each level, %", levels, drawn)
    return charts


def _percent(spread: Mapping[str, Any]) -> tuple[float, float | None]:
    """Mean and standard deviation."""
    return 100 * spread["mean"], None if spread["sd"] is None else 100 * spread["sd"]


def _levels(summary: Mapping[str, Any]) -> dict[str, dict[int, str]]:
    """Average -> level -> metric, from the top; without those of a single level."""
    found: dict[str, dict[int, str]] = {}
    for name in summary["metrics"]:
        if match := LEVEL.fullmatch(name):
            found.setdefault(match[2], {})[int(match[1])] = name
    return {average: dict(sorted(names.items())) for average, names in found.items() if len(names) > 1}


def _cost_charts(corpus: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[Chart]:
    rows, colours = _drawn(corpus)
    first = summary["metrics"][0]
    for cost, heading in (("train_seconds", "training, s"), ("batch_1_p50_ms", "ms/document at batch 1")):
        points = [
            Point(row["system"], spread["mean"], 100 * row["metrics"][first]["mean"], colours[row["system"]])
            for row in rows
            if (spread := row["costs"].get(cost)) is not None and spread["mean"] > 0 and row["metrics"].get(first)
        ]
        if len(points) > 1:
            yield scatter(f"{first} and {heading}", points, f"{heading} (logarithmic)", f"{first}, %")


def _drawn(corpus: Mapping[str, Any]) -> tuple[list[Any], dict[str, int]]:
    """The rows that have metrics, and a colour for each system."""
    colours = {row["system"]: number for number, row in enumerate(corpus["rows"])}
    return [row for row in corpus["rows"] if row["seeds"]], colours
