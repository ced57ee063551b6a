"""How systems are fitted: recipes by name, imported when they are used."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, cast

from taxotext.errors import ConfigError, nearest
from taxotext.progress import Reporter, Silent
from taxotext.training.run import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taxotext.composition.base import System
    from taxotext.data import Corpus
    from taxotext.training.result import FitResult

RECIPES = {
    "direct": "taxotext.training.direct",
    "gradient": "taxotext.training.gradient",
    "levels": "taxotext.training.levels",
    "hierarchy": "taxotext.binary.recipe",
}
"""Recipe to module; packages add theirs under the entry-point group ``taxotext.recipes``."""
ENTRY_POINTS = "taxotext.recipes"


class Recipe(Protocol):
    """A module that fits systems.

    Attributes:
        STATES: patterns of files in ``RunFolder.checkpoints`` without any of which there is nothing to resume from.
    """

    STATES: Sequence[str]

    def fit(
        self, system: System, train: Corpus, validation: Corpus | None, run: RunFolder, reporter: Reporter
    ) -> FitResult:
        """Fit ``system``; ``validation`` is None only for systems that cross-fit."""


def recipe_of(system: System | type[System]) -> Recipe:
    """Import the recipe of a system.

    Raises:
        ConfigError: there is none of that name, or it cannot be imported.
    """
    name = system.recipe
    found = {point.name: point.module for point in entry_points(group=ENTRY_POINTS)} | RECIPES
    if name not in found:
        raise ConfigError(f"{system.name}: there is no recipe {name!r}.{nearest(name, found)}")
    try:
        return cast(Recipe, import_module(found[name]))
    except ImportError as error:
        raise ConfigError(f"{system.name}: the recipe {name!r} cannot be imported ({error}).") from error


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
    """
    return recipe_of(system).fit(system, train, validation, run, reporter or Silent())


__all__ = ["RECIPES", "Recipe", "RunFolder", "fit", "recipe_of"]
