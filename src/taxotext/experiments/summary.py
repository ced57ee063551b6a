"""The table of an experiment as plain values: means over seeds, costs, differences, published metrics."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

from taxotext import __version__
from taxotext.errors import DataError
from taxotext.experiments.cells import Cell, key_of
from taxotext.experiments.folder import (
    FAILED,
    FINISHED,
    CellFolder,
    ExperimentFolder,
    state_of,
    write_json,
)
from taxotext.experiments.predictions import CellPredictions
from taxotext.experiments.records import Comparisons, Speed, read_record
from taxotext.experiments.settings import ExperimentSettings
from taxotext.files import sha256
from taxotext.files.json_files import read_json_or_none

COSTS: dict[str, tuple[str, int]] = {
    "parameters": ("parameters", 0),
    "train_seconds": ("training s", 1),
    "documents_per_second": ("documents/s", 1),
    "batch_1_p50_ms": ("batch 1, p50 ms", 2),
    "batch_1_p95_ms": ("batch 1, p95 ms", 2),
    "batch_32_p50_ms": ("batch 32, p50 ms", 3),
    "batch_32_p95_ms": ("batch 32, p95 ms", 3),
    "train_memory_mb": ("peak RSS MB, training", 0),
    "predict_memory_mb": ("peak RSS MB, prediction", 0),
    "model_mb": ("model MB", 1),
}
"""Cost to its heading and decimals."""
SIGNIFICANCE_FILE = "significance.json"


def summarise(folder: ExperimentFolder) -> dict[str, Any]:
    """Gather what the finished cells of an experiment found.

    Metrics are fractions, times are seconds (``_ms``: milliseconds), memory and model size are 10^6 bytes. Standard
    deviations are those of a sample (n - 1); with one seed there is none.

    Returns:
        JSON-ready: ``name``, ``description``, ``metrics``, ``baseline``, ``significance``, ``tune``, ``corpora`` (each
        with ``rows`` and ``published``), ``incomplete`` (cells that are missing, with state and reason), ``machines``,
        ``versions``, ``sources``, ``measured`` (trainings at a time, threads, load), ``taxotext_version``.

    Raises:
        ConfigError: the folder is not an experiment.
        DataError: a file of a finished cell is damaged.
    """
    settings, cells, _ = folder.read()
    folders = folder.folders(cells)
    known = {cell.key: _metrics(folders[cell.key], cell) for cell in cells}
    found = {key: metrics for key, metrics in known.items() if metrics is not None}
    done = [cell for cell in cells if cell.key in found]
    states = [(cell, _state(cell, folders[cell.key], settings)) for cell in cells]
    comparisons = _Comparisons(folder, settings, folders)
    corpora = []
    for corpus in settings.corpora:
        of_corpus = [cell for cell in done if cell.corpus == corpus]
        planned = [cell for cell in cells if cell.corpus == corpus]
        corpora.append(_corpus(corpus, settings, planned, of_corpus, found, comparisons))
    comparisons.save()
    untuned = [system for system in settings.systems if not settings.is_tuned(system)]
    return {
        "name": settings.name,
        "description": settings.description,
        "metrics": list(settings.metrics),
        "baseline": settings.baseline,
        "significance": settings.significance.model_dump(mode="json"),
        "tune": {**settings.tune.model_dump(mode="json"), "untuned": untuned},
        "corpora": corpora,
        "incomplete": [
            {"system": cell.system, "corpus": cell.corpus, "seed": cell.seed, **state}
            for cell, state in states
            if state["state"] != FINISHED
        ],
        "machines": _different(
            {key: value for key, value in found[cell.key]["fit"]["machine"].items() if key != "threads"}
            for cell in done
        ),
        "versions": _different(found[cell.key]["fit"]["versions"] for cell in done),
        "sources": _different({"digest": found[cell.key]["fit"].get("source")} for cell in done),
        "measured": {
            "jobs": sorted({found[cell.key]["fit"]["jobs"] for cell in done}),
            "threads": sorted({found[cell.key]["fit"]["machine"]["threads"] for cell in done}),
            "speed": settings.speed.model_dump(mode="json"),
            "loads": [found[cell.key]["speed"]["load_before"] for cell in done if found[cell.key]["speed"] is not None],
        },
        "taxotext_version": __version__,
    }


def _state(cell: Cell, folder: CellFolder, settings: ExperimentSettings) -> dict[str, str]:
    state = state_of(folder, cell, speed=settings.speed.enabled)
    reason = str((read_json_or_none(folder.failure) or {}).get("reason", "")) if state == FAILED else ""
    return {"state": state, "reason": reason}


def _metrics(folder: CellFolder, cell: Cell) -> dict[str, Any] | None:
    fitted = folder.fitted(cell.ks)
    if fitted is None:
        return None
    return {"fit": fitted, "speed": read_record(folder.speed, Speed)}


def _corpus(
    name: str,
    settings: ExperimentSettings,
    planned: Sequence[Cell],
    done: Sequence[Cell],
    found: Mapping[str, Any],
    comparisons: _Comparisons,
) -> dict[str, Any]:
    rows = []
    for system in settings.systems:
        cells = [cell for cell in done if cell.system == system]
        if any(cell.system == system for cell in planned):
            rows.append(_row(system, settings, cells, [found[cell.key] for cell in cells]))
    by_name = {row["system"]: row for row in rows}
    baseline = [cell for cell in done if cell.system == settings.baseline]
    for system, row in by_name.items():
        if system != settings.baseline and baseline and row["seeds"]:
            row["against_baseline"] = comparisons.compare([cell for cell in done if cell.system == system], baseline)
    _adjust(rows, 1 - settings.significance.confidence)
    first = found[done[0].key]["fit"] if done else {}
    return {
        "name": name,
        "split": settings.corpora[name].split,
        "test_documents": first.get("metrics", {}).get("documents"),
        "labels": first.get("metrics", {}).get("labels"),
        "unknown_labels": first.get("metrics", {}).get("unknown_labels"),
        "rows": rows,
        "published": _published(name, settings, by_name),
    }


def _row(
    system: str, settings: ExperimentSettings, cells: Sequence[Cell], found: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    metrics = {}
    for name in settings.metrics:
        values = [float(value) for one in found if isinstance(value := one["fit"]["metrics"].get(name), int | float)]
        metrics[name] = spread_of(values)
    costs = [_costs(one["fit"], one["speed"]) for one in found]
    fits = [one["fit"] for one in found]
    return {
        "system": system,
        "model": settings.systems[system].model,
        "seeds": [cell.seed for cell in cells],
        "metrics": metrics,
        "costs": {name: spread_of([v for one in costs if (v := one.get(name)) is not None]) for name in COSTS},
        "training_documents": _range(fit["training_documents"] for fit in fits),
        "validation": sorted({str(fit["validation_data"]) for fit in fits}),
        "selected": [fit["selected"] for fit in fits if fit.get("selected")],
        "against_baseline": None,
    }


def _costs(fit: Mapping[str, Any], speed: Mapping[str, Any] | None) -> dict[str, float | None]:
    """Costs of one cell under the keys of :data:`COSTS`."""
    costs: dict[str, float | None] = {
        "parameters": fit["parameters"],
        "train_seconds": fit["train_seconds"],
        "train_memory_mb": fit["peak_memory"] / 1e6,
        "model_mb": fit["model_bytes"] / 1e6,
    }
    if speed is not None:
        costs["documents_per_second"] = speed["documents_per_second"]
        costs["predict_memory_mb"] = speed["peak_memory"] / 1e6
        for size in (1, 32):
            for part in ("p50", "p95"):
                costs[f"batch_{size}_{part}_ms"] = speed[f"batch_{size}"][f"{part}_ms"]
    return costs


def spread_of(values: Sequence[float]) -> dict[str, Any] | None:
    """Mean, standard deviation (n - 1) and the values; None without any.

    >>> spread_of([0.5, 0.7])["mean"], round(spread_of([0.5, 0.7])["sd"], 4), spread_of([0.5])["sd"]
    (0.6, 0.1414, None)
    """
    if not values:
        return None
    return {"mean": mean(values), "sd": stdev(values) if len(values) > 1 else None, "values": list(values)}


def _published(corpus: str, settings: ExperimentSettings, rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Published metrics on a corpus; those of our systems with our own beside them."""
    found = []
    for system, entry in settings.systems.items():
        for one in entry.published:
            if one.corpus == corpus:
                ours = rows.get(system, {}).get("metrics", {})
                found.append({"system": system, "ours": {name: ours.get(name) for name in one.metrics}, **_of(one)})
    for other in settings.published:
        if other.corpus == corpus:
            found.append({"system": other.system, "ours": None, **_of(other)})
    return found


def _of(published: Any) -> dict[str, Any]:
    return {"metrics": dict(published.metrics), "source": published.source, "split": published.split}


def _different(values: Any) -> list[dict[str, Any]]:
    """The different ones among some mappings, with how many cells have each."""
    counts: dict[str, int] = {}
    for value in values:
        text = json.dumps(value, sort_keys=True)
        counts[text] = counts.get(text, 0) + 1
    return [{**json.loads(text), "cells": count} for text, count in counts.items()]


def _range(values: Any) -> list[int] | None:
    known = sorted({int(value) for value in values if value is not None})
    return [known[0], known[-1]] if known else None


# -- significance ----------------------------------------------------------------------------------------------------


class _Comparisons:
    """Paired comparisons with the baseline; those made before are read from a file."""

    def __init__(
        self, folder: ExperimentFolder, settings: ExperimentSettings, folders: Mapping[str, CellFolder]
    ) -> None:
        self._path = folder.path / SIGNIFICANCE_FILE
        self._before, self._folders = read_record(self._path, Comparisons) or {}, folders
        self._settings = settings.significance
        self._metrics = comparable(settings)
        self._made: dict[str, Any] = {}

    def compare(self, cells: Sequence[Cell], baseline: Sequence[Cell]) -> dict[str, Any]:
        """System less baseline for each metric: difference, interval, p-value; or why there is none."""
        drawn = self._settings.model_dump(mode="json", exclude={"metrics"})
        answers = {"first": self._digests(cells), "second": self._digests(baseline)}
        key = key_of({**answers, **drawn, "metrics": self._metrics})
        before = self._before.get(key, {})
        self._made[key] = before if set(before) == set(self._metrics) else self._compute(cells, baseline)
        return {metric: dict(found) for metric, found in self._made[key].items()}

    def _digests(self, cells: Sequence[Cell]) -> list[str]:
        """What the cells predicted; those that were computed again keep their keys and may have other answers."""
        paths = [self._folders[cell.key].predictions for cell in cells]
        return [sha256(path) if path.is_file() else "" for path in paths]

    def save(self) -> None:
        """Keep them for the next time, where the folder can be written."""
        if self._made.keys() - self._before.keys():
            with contextlib.suppress(OSError):
                write_json(self._path, self._made)

    def _compute(self, cells: Sequence[Cell], baseline: Sequence[Cell]) -> dict[str, Any]:
        from taxotext.metrics.significance import paired_bootstrap

        first = [CellPredictions.load(self._folders[cell.key].predictions) for cell in cells]
        second = [CellPredictions.load(self._folders[cell.key].predictions) for cell in baseline]
        gold, labels = second[0].gold, second[0].labels
        for one in (*first, *second):
            if one.labels != labels or _differ(one.gold, gold):
                raise DataError(
                    f"{cells[0].system} and {baseline[0].system} on {cells[0].corpus} were not evaluated on the same "
                    "gold labels; they cannot be compared. Remove the cells of one of them and resume."
                )
        result = {}
        for metric in self._metrics:
            found = paired_bootstrap(
                gold,
                [one.predicted for one in first],
                [one.predicted for one in second],
                metric,
                samples=self._settings.samples,
                confidence=self._settings.confidence,
                seed=self._settings.seed,
            )
            names = ("difference", "low", "high", "p_value")
            result[metric] = {name: float(getattr(found, name)) for name in names}
        return result


def _differ(first: Any, second: Any) -> bool:
    return first.shape != second.shape or bool((first != second).nnz)


def comparable(settings: ExperimentSettings) -> list[str]:
    """The metrics that are compared with the baseline."""
    from taxotext.metrics.significance import METRICS

    if settings.significance.metrics is not None:
        return list(settings.significance.metrics)
    return [name for name in settings.metrics if name in METRICS]


def _adjust(rows: Sequence[dict[str, Any]], level: float) -> None:
    """Add p-values adjusted by Holm over all comparisons on the corpus, and whether they lie below ``level``."""
    from taxotext.metrics.significance import holm

    found = [one for row in rows if row["against_baseline"] for one in row["against_baseline"].values()]
    if found:
        for one, adjusted in zip(found, np.asarray(holm([one["p_value"] for one in found])).tolist(), strict=True):
            one["p_adjusted"], one["significant"] = adjusted, adjusted < level
