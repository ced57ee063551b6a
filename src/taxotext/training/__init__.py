"""How systems are fitted: recipes by name, imported when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from taxotext.progress import Reporter, Silent
from taxotext.training.run import RunFolder

if TYPE_CHECKING:
    from taxotext.composition.base import System
    from taxotext.data import Corpus
    from taxotext.training.result import FitResult

RECIPES = {
    "direct": "taxotext.training.direct",
    "gradient": "taxotext.training.gradient",
    "hierarchy": "taxotext.binary.recipe",
}
"""Recipe to module; each module has ``fit(system, train, validation, run, reporter) -> FitResult``."""


def fit(
    system: System,
    train: Corpus,
    validation: Corpus | None,
    run: RunFolder,
    reporter: Reporter | None = None,
) -> FitResult:
    """Fit ``system`` by its recipe.

    Args:
        system: not fitted yet.
        train: training documents.
        validation: documents that select epochs and thresholds; None only for systems that cross-fit.
        run: where checkpoints and logs go; a run that was interrupted there goes on.
        reporter: where progress goes.
    """
    recipe = import_module(RECIPES[system.recipe])
    result: FitResult = recipe.fit(system, train, validation, run, reporter or Silent())
    return result


__all__ = ["RECIPES", "RunFolder", "fit"]
