"""The table of corpus formats: what is recognised as what, and that written corpora are read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxotext.data import FORMATS, WRITTEN, Corpus, read_corpus, write_corpus
from taxotext.data.formats.table import TABLE, check_source, parse_format, resolve_format
from taxotext.errors import DataError

CORPUS = Corpus.from_lists(["Cats purr.", "Rain falls."], [["http://e.org/b", "http://e.org/a"], []])


def test_the_names_and_suffixes_of_formats_are_different() -> None:
    assert len(set(FORMATS)) == len(TABLE)
    suffixes = [suffix for format in TABLE for suffix in format.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert [parse_format(name)[0].name for name in FORMATS] == list(FORMATS)


@pytest.mark.parametrize("rows", [[0, 1], [1, 0]], ids=["labels first", "no labels first"])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_corpus_is_recognised_and_read_back(name: str, rows: list[int], tmp_path: Path) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    corpus = CORPUS.subset(rows)
    suffix = {"annif-tsv": "tsv", "libmultilabel": "txt", "fasttext": "txt"}.get(name, name)
    path = tmp_path / f"corpus.{suffix}"
    write_corpus(corpus, path, format=name)
    assert resolve_format(path, None)[0].name == name
    again = read_corpus(path)
    assert (again.texts, again.label_lists()) == (corpus.texts, corpus.label_lists())


@pytest.mark.parametrize(
    ("files", "format"),
    [
        (["a.txt", "a.tsv"], "annif-folder"),
        (["part.parquet", "LICENSE.txt"], "parquet"),
        (["data.arrow", "state.json", "README.txt", "x.parquet"], "dataset"),
    ],
)
def test_a_folder_is_recognised_by_the_files_in_it(files: list[str], format: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    assert resolve_format(tmp_path, None)[0].name == format
    check_source(tmp_path)


def test_a_folder_without_a_corpus_is_taken_only_for_a_format_of_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this is a folder; name a file in it"):
        resolve_format(tmp_path, None)
    with pytest.raises(DataError, match="this is a folder; name a file in it"):
        check_source(tmp_path, "jsonl")
    check_source(tmp_path, "annif-folder")


@pytest.mark.parametrize(
    ("line", "suffix", "format"),
    [
        ("a text\t<http://e.org/a> <http://e.org/b>", "tsv", "annif-tsv"),
        ("text\tlabels", "tsv", "tsv"),
        ('{"text": "t", "subjects": [{"uri": "u"}]}', "jsonl", "annif-jsonl"),
        ('{"text": "t", "target_ind": [1]}', "json", "xc-json"),
        ('{"text": "t", "target_ind": [1], "labels": []}', "jsonl", "jsonl"),
        ("2 5 3", "txt", "svmlight"),
        ("1,2\t0:1.5", "txt", "svmlight"),
        ("a b\tsome text", "txt", "libmultilabel"),
        ("__label__a\tsome text", "txt", "fasttext"),
        (" __label__a some text", "train", "fasttext"),
        ("a text\nanother one\n__label__a a third", "txt", "fasttext"),
        ("a text\nanother one", "txt", "text"),
        ("a text\t\nanother one\t <http://e.org/a>", "tsv", "annif-tsv"),
        ("text\t\nanother one\t", "tsv", "tsv"),
        ('{"text": "t", "labels": []}', "json", "jsonl"),
        ("[", "json", "json"),
        ('{"text": {"0": "t"}, "labels": {"0": []}}', "json", "json"),
        ('{"text": "t", "cats": {"a": 1}}', "jsonl", "spacy"),
    ],
)
def test_a_file_is_recognised_by_its_first_lines(line: str, suffix: str, format: str, tmp_path: Path) -> None:
    path = tmp_path / f"corpus.{suffix}"
    path.write_text(f"\n{line}\n", encoding="utf-8")
    assert resolve_format(path, None)[0].name == format


@pytest.mark.parametrize("name", ["a.xlsx", "A.XLS", "a.ods"])
def test_a_spreadsheet_is_to_be_exported(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="this is a spreadsheet; export the sheet as CSV in UTF-8"):
        read_corpus(tmp_path / name)
