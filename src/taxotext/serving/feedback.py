"""Corrected labels that other programs send back: JSON lines that ``taxotext train`` reads."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
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
        self._ids = set(map(_id, self._rows())) - {None}

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
                write_text_atomically(self.path, _lines([*self._without(new), *rows]))
            else:
                self._append(_lines(rows).encode())
            self._ids |= new

    def remove(self, ids: Iterable[str]) -> int:
        """Remove documents; return how many were there.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            gone = set(ids) & self._ids
            if gone:
                write_text_atomically(self.path, _lines(self._without(gone)))
                self._ids -= gone
        return len(gone)

    def _append(self, lines: bytes) -> None:
        """Add lines behind the last one, whether or not that has an end; all of them, or none on a full disk."""
        with self.path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            if file.read(1) not in (b"", b"\n"):
                lines = b"\n" + lines
            if file.write(lines) < len(lines):
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def _without(self, ids: Collection[str]) -> list[dict[str, Any]]:
        return [row for row in self._rows() if _id(row) not in ids]

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
                raise DataError(
                    f"{self.path}:{number}: is not a JSON object; fix or remove the line, or name a file of JSON lines."
                )
            rows.append(row)
        return rows


def _id(row: Mapping[str, Any]) -> str | None:
    """The id of a document; None of one that cannot come again: ours are texts."""
    found = row.get("id")
    return found if isinstance(found, str) else None


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
