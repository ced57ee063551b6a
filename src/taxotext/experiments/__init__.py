"""Experiments: systems x corpora x seeds, each cell in a process of its own, and one table of them all.

``taxotext.experiments.settings`` says what an experiment is, ``cells`` what its parts are and when two of them are the
same, ``folder`` where they are kept. ``worker`` computes one cell, ``cell_process`` starts it, ``runner`` runs all;
``probing`` estimates, ``status`` looks. ``summary`` gathers results, ``tables``, ``charts`` and ``page`` show them, and
``output`` writes the files.

Names are imported when they are first used, so that ``import taxotext.experiments`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taxotext.experiments.cells import Cell, make_cells
    from taxotext.experiments.probing import plan_experiment
    from taxotext.experiments.runner import run_experiment
    from taxotext.experiments.settings import ExperimentSettings, parse_experiment
    from taxotext.experiments.status import experiment_status
    from taxotext.experiments.summary import summarise

_HOMES = {
    "Cell": "cells",
    "make_cells": "cells",
    "plan_experiment": "probing",
    "run_experiment": "runner",
    "ExperimentSettings": "settings",
    "parse_experiment": "settings",
    "experiment_status": "status",
    "summarise": "summary",
}

__all__ = [
    "Cell",
    "ExperimentSettings",
    "experiment_status",
    "make_cells",
    "parse_experiment",
    "plan_experiment",
    "run_experiment",
    "summarise",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
