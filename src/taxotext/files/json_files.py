"""Readers of JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from taxotext.errors import ModelFolderError

Content = TypeVar("Content", dict, list)  # type: ignore[type-arg]  # whatever they hold


def read_json(path: Path, kind: type[Content], advice: str = "save the model again") -> Content:
    """Read a JSON object (``dict``) or array (``list``); ``advice`` says what to do where that fails.

    Raises:
        ModelFolderError: the file is missing, damaged, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFolderError(f"{path}: is missing; {advice}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path}: is damaged ({error}); {advice}.") from None
    if not isinstance(content, kind):
        raise ModelFolderError(f"{path}: must be a JSON {'object' if kind is dict else 'list'}; {advice}.")
    return content


def read_json_or_none(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where the file is missing, damaged, or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
