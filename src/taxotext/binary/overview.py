"""Where a training along the taxonomy is: what it notes for onlookers, and what they make of it, without torch.

What was planned and what is at work stand in two files beside the ledger; what is done stands in the ledger. All of
them are written whole, so that anybody may look at any moment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxotext.binary.plan import CONSTANT, Files, owner
from taxotext.errors import TaxotextError
from taxotext.files import write_text_atomically
from taxotext.labels import Taxonomy

OVERVIEW = "overview.json"
"""What was planned."""
AT_WORK = "at_work.json"
"""Fits at work, by key: since when."""
WAITING, BEGUN, WORKING, DONE = "waiting", "begun", "at work", "done"
STATES = (WAITING, BEGUN, WORKING, DONE)
"""Of a label: nothing done yet; some fits done, none at work; a fit at work; its classifier is chosen."""


@dataclass(frozen=True)
class LabelStatus:
    """One label.

    Attributes:
        label, name: id, and display name or None.
        parents: ids.
        level: 1 at the top.
        state: one of :data:`STATES`.
        how: how its class weight is found: ``searched``, ``fallback`` or ``constant``.
        weight, f1, epoch: of the chosen classifier; None before it is chosen, and for constant ones.
        inherits_from: id of the parent whose classifier it started from, or None.
        fits_done, fits: how many of its fits are done, of how many.
        epochs_done, epochs: trained so far, and planned at most.
        seconds: of these epochs.
        since: when the oldest of its fits at work began (seconds of the epoch), or None.
    """

    label: str
    name: str | None
    parents: tuple[str, ...]
    level: int
    state: str
    how: str
    weight: float | None
    f1: float | None
    epoch: int | None
    inherits_from: str | None
    fits_done: int
    fits: int
    epochs_done: int
    epochs: int | None
    seconds: float
    since: float | None


@dataclass(frozen=True)
class FitsStatus:
    """All labels.

    Attributes:
        taxonomy: of N labels.
        labels: (N,) in the order of the taxonomy.
        processes: that fit side by side; None when the training is finished.
        fits_done, fits_at_work, fits: how many.
        epochs_done: trained so far.
        epochs_spared: planned for fits that are done, and not trained because the score had stopped rising.
        epochs: planned at most; None when the training is finished.
        seconds: of all fits, added up.
        seconds_left: until the last fit is done, at most; None while nothing is known.
    """

    taxonomy: Taxonomy
    labels: Sequence[LabelStatus]
    processes: int | None
    fits_done: int
    fits_at_work: int
    fits: int
    epochs_done: int
    epochs_spared: int
    epochs: int | None
    seconds: float
    seconds_left: float | None

    def levels(self) -> list[dict[str, Any]]:
        """For each level: how many labels are in which state, and the mean F1 of those that were trained."""
        found = []
        for level in sorted({one.level for one in self.labels}):
            here = [one for one in self.labels if one.level == level]
            scores = [one.f1 for one in here if one.f1 is not None]
            found.append(
                {
                    "level": level,
                    "labels": len(here),
                    **{state: sum(one.state == state for one in here) for state in STATES},
                    "mean_f1": sum(scores) / len(scores) if scores else None,
                }
            )
        return found


def write_overview(
    folder: Path,
    taxonomy: Taxonomy,
    how: Sequence[str],
    epochs: Mapping[str, int],
    processes: int,
    *,
    inherits: bool,
) -> None:
    """Note what is planned.

    Args:
        folder: of the checkpoints.
        taxonomy: of N labels.
        how: (N,) how the class weight of each label is found.
        epochs: that each fit trains at most, by key.
        processes: that fit side by side.
        inherits: whether a label waits for its parents.
    """
    content = {
        "taxonomy": taxonomy.to_dict(),
        "how": list(how),
        "epochs": dict(epochs),
        "processes": processes,
        "inherits": inherits,
    }
    write_text_atomically(folder / OVERVIEW, json.dumps(content))


def write_at_work(folder: Path, since: Mapping[str, float]) -> None:
    """Note which fits are at work since when, by key."""
    write_text_atomically(folder / AT_WORK, json.dumps(dict(since)))


class FitsFollower:
    """Looks at a training along the taxonomy again and again; what is done is read once.

    Args:
        checkpoints: of its run folder.
    """

    def __init__(self, checkpoints: Path) -> None:
        self._folder = checkpoints
        self._planned: tuple[int, _Planned] | None = None
        self._results: dict[str, dict[str, Any]] = {}

    def look(self, *, working: bool) -> FitsStatus | None:
        """What there is to see; None when nothing is planned yet, or nothing is left.

        Args:
            working: whether a process is at work there; else what was at work has ended with it.
        """
        planned = self._read_planned()
        if planned is None:
            return None
        self._read_results()
        since = _read_json(self._folder / AT_WORK) if working else None
        try:
            at_work = {key: float(value) for key, value in (since or {}).items() if key not in self._results}
            return planned.status(self._results, at_work, time.time())
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # damaged, of which the training tells
            return None

    def _read_planned(self) -> _Planned | None:
        path = self._folder / OVERVIEW
        try:
            stamp = path.stat().st_mtime_ns
        except OSError:
            return None
        if self._planned is None or self._planned[0] != stamp:
            content = _read_json(path)
            if content is None:
                return None
            try:
                self._planned = (stamp, _Planned(content))
            except (TaxotextError, KeyError, TypeError, ValueError, IndexError):  # not what write_overview writes
                return None
        return self._planned[1]

    def _read_results(self) -> None:
        try:
            names = {path.name for path in Files(self._folder).ledger.iterdir()}
        except OSError:
            names = set()
        known = {f"{key}.json" for key in self._results}
        if known - names:  # another training has begun in the same place
            self._results = {}
            known = set()
        for name in names - known:
            content = _read_json(Files(self._folder).ledger / name) if name.endswith(".json") else None
            if content is not None:
                self._results[name.removesuffix(".json")] = content


class _Planned:
    """What :func:`write_overview` wrote."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.taxonomy = Taxonomy.from_dict(content["taxonomy"])
        self.how = [str(how) for how in content["how"]]
        self.epochs = {str(key): int(epochs) for key, epochs in content["epochs"].items()}
        self.processes = max(int(content["processes"]), 1)
        self.inherits = bool(content["inherits"])
        self.fits: list[list[str]] = [[] for _ in range(len(self.taxonomy))]
        for key in self.epochs:
            self.fits[owner(key)].append(key)
        if len(self.how) != len(self.fits):
            raise ValueError("one entry for each label is needed")

    def status(self, results: Mapping[str, Mapping[str, Any]], at_work: Mapping[str, float], now: float) -> FitsStatus:
        """Where the labels are."""
        done = {key: result for key, result in results.items() if key in self.epochs}
        labels = [self._label(label, results, at_work) for label in range(len(self.taxonomy))]
        planned_of_done = sum(self.epochs[key] for key in done)
        trained = sum(one.epochs_done for one in labels)
        return FitsStatus(
            self.taxonomy,
            labels,
            self.processes,
            len(done),
            sum(key in self.epochs for key in at_work),
            len(self.epochs),
            trained,
            max(planned_of_done - trained, 0),
            sum(self.epochs.values()),
            round(sum(one.seconds for one in labels), 1),
            self._seconds_left(labels, done, at_work, now),
        )

    def _label(self, label: int, results: Mapping[str, Mapping[str, Any]], at_work: Mapping[str, float]) -> LabelStatus:
        keys = self.fits[label]
        reports = [results[key] for key in keys if key in results]
        begun = [at_work[key] for key in keys if key in at_work]
        chosen = results.get(str(label))
        state = DONE if chosen else WORKING if begun else BEGUN if reports else WAITING
        # Of each class weight the last report counts: it tells of all epochs before as well.
        last = {report.get("weight"): report for report in reports}
        return _label_status(
            self.taxonomy,
            label,
            state,
            self.how[label],
            chosen or {},
            fits=(len(reports), len(keys)),
            epochs=(
                sum(int(report.get("epochs", 0)) for report in last.values()),
                sum(self.epochs[key] for key in keys),
            ),
            seconds=sum(float(report.get("seconds", 0.0)) for report in last.values()),
            since=min(begun, default=None),
        )

    def _seconds_left(
        self,
        labels: Sequence[LabelStatus],
        done: Mapping[str, Mapping[str, Any]],
        at_work: Mapping[str, float],
        now: float,
    ) -> float | None:
        """Time until all planned epochs are trained: what is left, shared among the processes, or its longest chain."""
        # Labels at the top train their word vectors as well, which takes longer.
        groups = [[one for one in labels if (one.level == 1) == top] for top in (False, True)]
        known = [_pace(labels)]
        if known[0] is None:
            return 0.0 if len(done) == len(self.epochs) else None
        paces = [_pace(group) or known[0] for group in groups]
        work, longest = 0.0, 0.0
        chains: dict[int, float] = {}
        for label in self.taxonomy.order.tolist():
            pace = paces[labels[label].level == 1]
            rungs: dict[str, float] = {}
            for key in self.fits[label]:
                if key in done:
                    continue
                seconds = self.epochs[key] * pace
                if key in at_work:
                    seconds = max(seconds - max(now - at_work[key], 0.0), 0.0)
                work += seconds
                rung = key.split(".")[1]
                rungs[rung] = max(rungs.get(rung, 0.0), seconds)
            above = self.taxonomy.parents(label).tolist() if self.inherits else []
            chains[label] = sum(rungs.values()) + max((chains[parent] for parent in above), default=0.0)
            longest = max(longest, chains[label])
        return round(max(work / self.processes, longest), 1)


def finished_fits(taxonomy: Taxonomy, fits: Sequence[Mapping[str, Any]]) -> FitsStatus:
    """What a finished model says of its fits.

    Args:
        taxonomy: of N labels.
        fits: (N,) content of its ``fits.json``.
    """
    labels = []
    for label, fit in enumerate(fits):
        count, epochs, seconds = int(fit.get("fits", 0)), int(fit.get("epochs", 0)), float(fit.get("seconds", 0.0))
        labels.append(
            _label_status(
                taxonomy,
                label,
                DONE,
                str(fit.get("how", "")),
                fit,
                fits=(count, count),
                epochs=(epochs, None),
                seconds=seconds,
                since=None,
            )
        )
    count = sum(one.fits for one in labels)
    trained = sum(one.epochs_done for one in labels)
    seconds = round(sum(one.seconds for one in labels), 1)
    return FitsStatus(taxonomy, labels, None, count, 0, count, trained, 0, None, seconds, 0.0)


def _label_status(
    taxonomy: Taxonomy,
    label: int,
    state: str,
    how: str,
    chosen: Mapping[str, Any],
    *,
    fits: tuple[int, int],
    epochs: tuple[int, int | None],
    seconds: float,
    since: float | None,
) -> LabelStatus:
    parent = chosen.get("parent")
    figures = {} if how == CONSTANT else chosen
    return LabelStatus(
        taxonomy.ids[label],
        taxonomy.names[label],
        tuple(taxonomy.ids[parent] for parent in taxonomy.parents(label)),
        int(taxonomy.levels[label]),
        state,
        how,
        figures.get("weight"),
        figures.get("f1"),
        figures.get("epoch"),
        None if parent is None else taxonomy.ids[int(parent)],
        *fits,
        *epochs,
        round(seconds, 1),
        since,
    )


def _pace(labels: Iterable[LabelStatus]) -> float | None:
    """Seconds of an epoch."""
    found = list(labels)
    epochs = sum(one.epochs_done for one in found)
    return sum(one.seconds for one in found) / epochs if epochs else None


def _read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None: what a training has just removed, or what is damaged, of which the training tells."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
