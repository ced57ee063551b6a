"""Lines of fastText."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from taxotext.data import Corpus, read_corpus, read_documents, write_corpus
from taxotext.errors import DataError


def read(content: str, **settings: Any) -> list[tuple[str, tuple[str, ...]]]:
    found = read_documents(io.BytesIO(content.encode()), format="fasttext", **settings)
    return [(document.text, document.labels) for document in found]


def test_words_with_the_prefix_are_labels_wherever_they_stand() -> None:
    lines = (
        "__label__a __label__b-c  Some text, as it  is.\n\nText __label__a first\n\tno label\n__label__é\tx__label__y\n"
    )
    assert read(lines) == [
        ("Some text, as it  is.", ("a", "b-c")),
        ("Text first", ("a",)),
        ("no label", ()),
        ("x__label__y", ("é",)),
    ]
    assert read("__label__a x\n", labelled=False) == [("x", ())]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("__label__ a text", ":1: '__label__' stands alone"),
        ("__label__a", ":1: the text is empty"),
        ("__label__a __label__b\n", ":1: the text is empty"),
    ],
)
def test_bad_lines_get_a_sentence(line: str, sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        read(line)
    assert sentence in str(caught.value)


def test_what_would_be_read_back_otherwise_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    with pytest.raises(DataError, match="the label 'a b' has a blank in it"):
        write_corpus(Corpus.from_lists(["x"], [["a b"]]), path, format="fasttext")
    with pytest.raises(DataError, match="document 2 has a word that begins with '__label__'"):
        write_corpus(Corpus.from_lists(["x", "y __label__z"], [["a"], []]), path, format="fasttext")
    assert not path.exists()
    write_corpus(Corpus.from_lists(["two\nlines", "y"], [["a", "b"], []]), path, format="fasttext")
    assert path.read_text(encoding="utf-8") == "__label__a __label__b two lines\ny\n"
    assert read_corpus(path).label_lists() == [["a", "b"], []]
