"""The name under which docs/architecture.md knows :mod:`taxotext.work`, until that page names the room itself."""

from __future__ import annotations

from taxotext.work import Executor

__all__ = ["Executor"]
