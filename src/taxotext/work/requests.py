"""What a process is asked to compute, in plain JSON values, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from taxotext.errors import TaxotextError
from taxotext.messages import ended

TASKS = {
    "binary": "taxotext.binary.fit:advance",
    "cell": "taxotext.experiments.cell_process:run_cell",
    "shard": "taxotext.api.shard_worker:predict_shard",
    "trial": "taxotext.api.search_trial:run_trial",
}
"""What can be asked for, as ``module:function``; the function takes the arguments and returns plain JSON values."""


@dataclass(frozen=True)
class Request:
    """One piece of work; any process that sees the same files can do it."""

    task: str  # a key of `TASKS`
    arguments: Mapping[str, Any]  # JSON-ready arguments of its function

    def compute(self, **beside: Any) -> dict[str, Any]:
        """Do the work here and return its report; ``beside`` are arguments that only this process has."""
        module, _, function = TASKS[self.task].partition(":")
        report: dict[str, Any] = getattr(import_module(module), function)(**self.arguments, **beside)
        return report


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    key: str  # as it was submitted
    report: dict[str, Any] | None = None  # of the work, or None when it failed
    failure: str = ""  # then: why, in a sentence
    error: TaxotextError | None = field(default=None, compare=False)  # the mistake itself, where this process made it


def compute(key: str, request: Request, **beside: Any) -> Outcome:
    """Do the work here; a mistake of the user or a full disk becomes a sentence."""
    try:
        return Outcome(key, request.compute(**beside))
    except TaxotextError as error:
        return Outcome(key, None, str(error), error)
    except OSError as error:
        return Outcome(key, None, describe(error))


def describe(error: OSError) -> str:
    """What the operating system says, as a sentence."""
    return ended(f"{error.filename or 'A file'}: {error.strerror or error}")


def bug(error: Exception) -> str:
    """What to say of an error that is not the user's."""
    return f"an error inside the program: {type(error).__name__}: {error}."
