"""Files for the ``taxotext data`` commands, and the command itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import Command, Outcome

TAXONOMY = "Root\tscience\nRoot\tarts\nscience\tphysics\narts\tmusic\n"
Run = Callable[..., Outcome]


@pytest.fixture
def run_data(command: Command) -> Run:
    """Run ``taxotext data ...`` in the temporary folder; the files of a test have short names there."""

    def data(*arguments: object) -> Outcome:
        outcome = command("data", *arguments)
        assert "Traceback" not in outcome.err
        return outcome

    return data


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def document(number: int, labels: list[str], **fields: Any) -> dict[str, Any]:
    return {"id": f"d{number}", "text": f"This is the text of document {number}.", "labels": labels, **fields}


def cells(table: str, start: str) -> list[str]:
    """The columns behind the first one of the line that begins with ``start``."""
    line = next(line for line in table.splitlines() if line.strip().startswith(start))
    return line.strip()[len(start) :].split()


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    """Twenty documents; half physics (one without its ancestor), half music; and a taxonomy."""
    rows = [document(i, ["science", "physics"] if i % 2 else ["arts", "music"]) for i in range(20)]
    rows[1]["labels"] = ["physics"]
    write_jsonl(tmp_path / "small.jsonl", rows)
    (tmp_path / "topics.tsv").write_text(TAXONOMY)
    return tmp_path
