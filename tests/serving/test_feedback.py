"""The file of corrected labels: whatever it holds before and wherever the server ends, no document is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interrupted import cut_at, full_disk
from taxotext.errors import DataError
from taxotext.serving import feedback
from taxotext.serving.feedback import Feedback


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feedback.jsonl"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_file_whose_last_line_has_no_end_keeps_its_documents(path: Path) -> None:
    path.write_text('{"text": "old", "labels": []}', encoding="utf-8")
    Feedback(path).keep([("1", "new", ["a"])])
    assert [row["text"] for row in rows(path)] == ["old", "new"]
    Feedback(path).keep([(None, "newer", [])])
    assert [row["text"] for row in rows(path)] == ["old", "new", "newer"]


def test_documents_of_other_programs_stay_whatever_their_ids_are(path: Path) -> None:
    path.write_text('{"id": [1], "text": "a"}\n{"id": 2, "text": "b"}\n', encoding="utf-8")
    kept = Feedback(path)
    kept.keep([("3", "c", [])])
    kept.keep([("3", "d", [])])
    assert [row["text"] for row in rows(path)] == ["a", "b", "d"]


def test_a_document_that_comes_again_is_never_lost(path: Path) -> None:
    kept = Feedback(path)
    kept.keep([("1", "first", ["a"]), ("2", "second", ["b"])])
    for name in ("write_text_atomically", "_lines"):
        with cut_at(feedback, name):
            Feedback(path).keep([("1", "first", ["c"])])
        assert {row["id"] for row in rows(path)} == {"1", "2"}
    with cut_at(feedback, "write_text_atomically", after=True):
        Feedback(path).keep([("1", "first", ["c"])])
    assert {row["id"]: row["labels"] for row in rows(path)} == {"1": ["c"], "2": ["b"]}


def test_a_full_disk_leaves_whole_lines(path: Path) -> None:
    kept = Feedback(path)
    kept.keep([("1", "first", [])])
    with full_disk(path.stat().st_size + 10), pytest.raises(OSError, match="feedback"):
        kept.keep([("2", "second", [])])
    assert [row["id"] for row in rows(path)] == ["1"]
    kept.keep([("2", "second", [])])
    assert [row["id"] for row in rows(path)] == ["1", "2"]


def test_a_line_that_is_no_document_is_named_with_what_to_do(path: Path) -> None:
    path.write_text('{"text": "old", "labels": []}\n{"text": "ol', encoding="utf-8")
    with pytest.raises(DataError, match=r"feedback\.jsonl:2: is not a JSON object; fix or remove the line"):
        Feedback(path)
