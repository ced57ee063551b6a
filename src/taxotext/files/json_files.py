"""Texts and readers of JSON files."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from taxotext.errors import ModelFolderError
from taxotext.files.targets import check_no_device

Content = TypeVar("Content", dict, list)  # type: ignore[type-arg]  # whatever they hold


def json_text(content: Any) -> str:
    """JSON for people: indented, and with a line break at its end."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_json(path: Path, kind: type[Content], advice: str = "save the model again") -> Content:
    """Read a JSON object (``dict``) or array (``list``); ``advice`` says what to do where that fails.

    Raises:
        ModelFolderError: the file is missing, damaged, or holds something else.
    """
    try:
        check_no_device(path, pipes=False)
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
        check_no_device(path, pipes=False)
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def checked(kind: Any, content: Any) -> Any:
    """Look whether what JSON held is what a model of pydantic, a dataclass or a generic type describes.

    Returns:
        The content as it is; of a dataclass or a list of them, the instances.

    Raises:
        ValueError: naming the first place that is something else.
    """
    from pydantic import ValidationError

    try:
        found = _adapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place or 'the whole'}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
    return found if any(map(is_dataclass, (kind, *get_args(kind)))) else content


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
