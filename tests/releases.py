"""Small releases of public corpora, written by hand, and what comes out of them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from taxotext.data.catalogue import prepare_dataset
from tiny import Notes


class Release:
    """A folder RAW beside a folder OUTPUT."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.output = folder / "raw", folder / "output"
        self.raw.mkdir()
        self.notes: list[str] = []
        self.facts: dict[str, Any] = {}

    def put(self, files: Mapping[str, str | bytes], folder: str = "") -> None:
        """Write files into RAW; those that end in ``.gz`` are packed."""
        for name, content in files.items():
            path = self.raw / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    def prepare(self, name: Any, *options: str, raw: Path | None = None, **settings: Any) -> dict[str, Any]:
        """Prepare it; what is written is then read with :meth:`rows` and :meth:`text`."""
        reporter = Notes()
        self.facts = prepare_dataset(name, raw or self.raw, self.output, options, reporter=reporter, **settings)
        self.notes = reporter.sentences
        assert json.loads((self.output / "prepared.json").read_bytes()) == self.facts
        return self.facts

    def rows(self, split: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.output / f"{split}.jsonl").read_bytes().splitlines()]

    def text(self, name: str) -> str:
        return (self.output / name).read_text(encoding="utf-8")

    def labels(self, split: str) -> dict[str, list[str]]:
        return {row["id"]: row["labels"] for row in self.rows(split)}

    def check(self, what: str) -> tuple[Any, Any]:
        """(expected, found) of a check."""
        return next((c["expected"], c["found"]) for c in self.facts["checks"] if c["what"] == what)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path)


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
