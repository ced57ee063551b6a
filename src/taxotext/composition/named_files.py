"""Settings that name a file or a folder, marked where they are defined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxotext.files import public_name
from taxotext.settings import Settings


@dataclass(frozen=True)
class NamesFile:
    """Mark of a setting, ``Annotated[str, NamesFile(...)]``."""

    words: tuple[str, ...] = ()  # values that mean something else, also where there is a file of that name
    # the file or folder that is read, from the value; ConfigError where there must be one and is not
    find: Callable[[str], Path] = Path


def named_files(settings: Settings, prefix: str = "") -> Iterator[tuple[str, str, NamesFile]]:
    """Key path, value and mark of every setting that names a file, of all sections; empty ones left out."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from named_files(value, f"{prefix}{name}.")
        for mark in field.metadata:
            if not isinstance(mark, NamesFile):
                continue
            for key, one in [(name, value)] if not isinstance(value, tuple) else _numbered(name, value):
                if one and one not in mark.words:
                    yield f"{prefix}{key}", one, mark


def public_settings(settings: Settings) -> dict[str, Any]:
    """The settings, JSON-ready, with names in the place of paths of this machine: what a model folder tells others."""
    content: dict[str, Any] = settings.model_dump(mode="json")
    for key, value, _ in named_files(settings):
        *above, last = key.split(".")
        here: Any = content
        for step in above:
            here = here[int(step) if isinstance(here, list) else step]
        here[int(last) if isinstance(here, list) else last] = public_name(value)
    return content


def _numbered(name: str, values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(f"{name}.{number}", value) for number, value in enumerate(values)]
