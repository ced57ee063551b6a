"""One trial of a search: settings fitted and scored, in this process or in another one that sees the same files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from taxotext.api.fitting import fit_system
from taxotext.api.identity import Chosen, fingerprints_of, identity
from taxotext.api.objective import held_out_score
from taxotext.api.runs import parse_run, read_data
from taxotext.api.search_folder import MODEL
from taxotext.composition.space import with_values
from taxotext.data import Columns, Corpus
from taxotext.errors import DataError
from taxotext.progress import Reporter, Silent, WithoutNotes
from taxotext.settings import parse_settings
from taxotext.store import save_folder
from taxotext.training import RunFolder, recipe_of
from taxotext.training.run import release_run


@dataclass(frozen=True)
class Searched:
    """What all trials of a search have in common."""

    base: Chosen  # with the settings of all trials
    given: Mapping[str, Any]  # the same settings, as a configuration has them
    columns: Columns
    train: Corpus
    validation: Corpus | None
    fingerprints: Mapping[str, str | None]  # of the two, computed once: each takes a pass over all texts


def run_trial(
    *,
    model: str,
    given: Mapping[str, Any],
    data: Mapping[str, Any],
    fingerprints: Mapping[str, str | None],
    metric: str,
    number: int,
    settings: Mapping[str, Any],
    threads: int | None,
    best: Sequence[float] | None,
    folder: str,
    searched: Searched | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Fit and score one trial; save its model where it is better than all trials that ended before it began.

    Args:
        model: name of the system.
        given: settings of all trials.
        data: section of a configuration: what is read.
        fingerprints: of the documents that the other trials are fitted on.
        metric: see :func:`taxotext.api.objective.held_out_score`.
        number: of the trial.
        settings: by key path, over ``given``.
        threads: None: as the settings say.
        best: metric of the best trial so far, and its number; None: there is none.
        folder: for logs and checkpoints, from which a trial that was cut off goes on, and for ``model``.
        searched: what this process has already read; None: it is read, once a process.
        reporter: shows bars; None: nobody is told.

    Returns:
        ``value`` of the metric, and ``seconds``, those before a resumption included.

    Raises:
        DataError: the documents have changed since the search began.
        TaxotextError: see :func:`taxotext.api.fitting.fit_system`.
    """
    if searched is None:
        searched = _searched(json.dumps([model, given, data]))
    began = time.monotonic()
    bars = Silent() if reporter is None else WithoutNotes(reporter, f"Trial {number}: ")
    train, validation = searched.train, searched.validation
    if searched.fingerprints != fingerprints:
        raise DataError("The documents have changed since the search began; bring them back, or start a new search.")
    kind = searched.base.kind
    chosen = Chosen(kind, parse_settings(kind.Settings, with_values(given, settings), f"trial {number}"))
    run = RunFolder(
        Path(folder), identity(chosen, train, validation), resume=True, states=recipe_of(chosen.kind).STATES
    )
    own = chosen.settings.runtime
    runtime = own if threads is None else own.model_copy(update={"threads": threads})
    fitted = chosen.settings.model_copy(update={"runtime": runtime})
    try:
        system, manifest = fit_system(kind, fitted, train, validation, run=run, columns=searched.columns, reporter=bars)
    finally:
        release_run(Path(folder))
    system.settings = system.settings.model_copy(update={"runtime": own})  # the threads are those of this machine
    value = held_out_score(system, manifest, metric)
    if best is None or (value, -number) > (best[0], -best[1]):
        manifest.metrics["search"] = {"trial": number, "metric": metric, "value": value}
        save_folder(Path(folder) / MODEL, system, manifest, overwrite=True)
    seconds = max(time.monotonic() - began, float(manifest.facts["seconds"]))
    return {"value": value, "seconds": round(seconds, 3)}


@lru_cache(maxsize=1)
def _searched(what: str) -> Searched:
    """Read what a search works on, once a process."""
    model, given, data = json.loads(what)
    config = parse_run({"model": model, "data": data, **given}, "settings")
    assert config.chosen is not None
    train, validation = read_data(config.data, "settings")
    fingerprints = fingerprints_of(train, validation)
    return Searched(config.chosen, given, config.data.columns(), train, validation, fingerprints)
