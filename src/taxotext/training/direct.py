"""Recipe ``direct``: the system fits itself in one call (scikit-learn underneath)."""

from __future__ import annotations

import time
from typing import Any

from taxotext.data import Corpus
from taxotext.progress import Reporter
from taxotext.training.result import FitResult
from taxotext.training.run import RunFolder

STATES = ()
"""Nothing is kept of an interrupted fit."""


def fit(system: Any, train: Corpus, validation: Corpus | None, run: RunFolder, reporter: Reporter) -> FitResult:
    """Call ``system.fit(train, validation)``; nothing is kept in ``run``: the fit is short and starts again."""
    started = time.monotonic()
    for note in (*system.notes, *system.notes_on(train.texts)):
        reporter.note(note)
    total = system.fits(train, validation is not None)
    with reporter.task(f"Fitting {system.name}", total, unit="classifiers") as task:
        held_out = system.fit(train, validation, task.advance)
    return FitResult(held_out, time.monotonic() - started)
