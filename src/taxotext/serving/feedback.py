"""Corrected labels that other programs send back: JSON lines that ``taxotext train`` reads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from taxotext.errors import DataError
from taxotext.files import check_target, real, write_text_atomically


class Feedback:
    """A file of documents ``{"id", "text", "labels"}``; a document that comes again takes the place of its line.

    Nothing is trained in the server. Safe for several threads, not for several servers.

    Args:
        path: of the file; it may be there already.

    Raises:
        DataError: it cannot be a file, or its folder is not there.
    """

    def __init__(self, path: Path) -> None:
        check_target(path, "file", DataError)
        if not real(path).parent.is_dir():
            raise DataError(f"{path}: the folder {path.parent} does not exist; make it first.")
        self.path = path
        self._lock = threading.Lock()
        self._ids = {row.get("id") for row in self._rows()} - {None}

    def keep(self, documents: Iterable[tuple[str | None, str, Sequence[str]]]) -> None:
        """Write documents: id, text, labels.

        Raises:
            OSError: the file cannot be written.
        """
        rows: list[dict[str, Any]] = [
            {**({} if id is None else {"id": id}), "text": text, "labels": list(labels)}
            for id, text, labels in documents
        ]
        new = {row["id"] for row in rows if "id" in row}
        with self._lock:
            if new & self._ids:
                self._keep_only(lambda row: row.get("id") not in new)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            self._ids |= new

    def remove(self, ids: Iterable[str]) -> int:
        """Remove documents; return how many were there.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            gone = set(ids) & self._ids
            if gone:
                self._keep_only(lambda row: row.get("id") not in gone)
                self._ids -= gone
        return len(gone)

    def _keep_only(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        kept = [json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows() if wanted(row)]
        write_text_atomically(self.path, "".join(kept))

    def _rows(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        rows = []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise DataError(f"{self.path}:{number}: is not a JSON object; name a file of JSON lines.")
            rows.append(row)
        return rows
