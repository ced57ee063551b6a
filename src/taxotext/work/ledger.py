"""What is done: one JSON file for each node of a graph, there completely or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from taxotext.errors import ModelFolderError
from taxotext.files import write_text_atomically
from taxotext.files.json_files import read_json

ADVICE = "remove it, and it is computed again"
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Ledger:
    """Results of finished nodes.

    Args:
        folder: created when it is missing.
        wrong: says what is wrong with the result of a node, from its key and the result; None: nothing.
    """

    def __init__(self, folder: Path, wrong: Callable[[str, Mapping[str, Any]], str | None] | None = None) -> None:
        self.folder = folder
        self._wrong = wrong
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Results of those among ``keys`` that are done.

        Raises:
            ModelFolderError: a file is there and cannot be read, or holds something else.
        """
        found = {}
        for key in keys:
            path = self._path(key)
            if not path.exists():
                continue
            content = read_json(path, dict, ADVICE)
            wrong = self._wrong(key, content) if self._wrong is not None else None
            if wrong is not None:
                raise ModelFolderError(f"{path}: is damaged ({wrong}); {ADVICE}.")
            found[key] = content
        return found

    def write(self, key: str, result: Mapping[str, Any]) -> None:
        """Record that a node is done."""
        write_text_atomically(self._path(key), json.dumps(result))

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError(f"{key!r} cannot be a key of a node")
        return self.folder / f"{key}.json"
