"""Writing corpora for others."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxotext.data import Corpus, read_corpus, write_corpus


@pytest.mark.parametrize(
    ("ids", "read"),
    [((7, 2), (7, 2)), (("a", 7), ("a", "7")), ((None, 7), (None, 7)), ((2**63, 7), (str(2**63), "7")), (None, None)],
)
def test_ids_in_parquet_are_numbers_where_all_are(
    ids: tuple[str | int | None, ...] | None, read: tuple[str | int | None, ...] | None, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    corpus = Corpus.from_lists(["One.", "Two."], [["a"], ["b"]], ids=ids)
    write_corpus(corpus, tmp_path / "corpus.parquet")
    again = read_corpus(tmp_path / "corpus.parquet")
    assert again.ids == read
    assert again.fingerprint() == corpus.fingerprint()


def test_ids_of_libmultilabel_may_be_numbers(tmp_path: Path) -> None:
    corpus = Corpus.from_lists(["One.", "Two."], [["a"], ["b"]], ids=[7, None])
    write_corpus(corpus, tmp_path / "corpus.txt", format="libmultilabel")
    assert (tmp_path / "corpus.txt").read_text() == "7\ta\tOne.\n2\tb\tTwo.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.txt"]
