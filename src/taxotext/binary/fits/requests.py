"""What a process is asked to compute, in plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

TASKS = {"binary": "taxotext.binary.fit:advance"}
"""What can be asked for, as ``module:function``; the function takes the arguments and returns plain JSON values."""


@dataclass(frozen=True)
class Request:
    """One small piece of work; any process that sees the same files can do it."""

    task: str  # a key of `TASKS`
    arguments: Mapping[str, Any]  # JSON-ready arguments of its function

    def compute(self) -> dict[str, Any]:
        """Do the work here and return its report."""
        module, _, function = TASKS[self.task].partition(":")
        report: dict[str, Any] = getattr(import_module(module), function)(**self.arguments)
        return report
