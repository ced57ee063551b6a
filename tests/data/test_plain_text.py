"""Lines of plain text, for prediction."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from taxotext.data import read_corpus, read_documents
from taxotext.errors import DataError


def test_each_line_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("One text, with {signs}.\n\n  Another: 1,2 \n", encoding="utf-8")
    assert [document.text for document in read_documents(path, labelled=False)] == [
        "One text, with {signs}.",
        "Another: 1,2",
    ]
    with pytest.raises(DataError, match="lines of plain text have no labels; use jsonl"):
        read_corpus(path)


def test_lines_that_were_taken_for_json_may_be_texts() -> None:
    with pytest.raises(DataError, match="or give format='text' if each line is a text"):
        list(read_documents(io.BytesIO(b"no json\n"), format="jsonl", labelled=False))
