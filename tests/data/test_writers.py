"""Writing corpora and reading them back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data import Columns, Corpus, read_corpus, write_corpus, write_csv, write_jsonl
from taxotext.errors import DataError

ALL = Columns(weight="weight", group="group")


def same(left: Corpus, right: Corpus) -> bool:
    weights = [None if corpus.weights is None else corpus.weights.tolist() for corpus in (left, right)]
    return (
        left.fingerprint() == right.fingerprint()
        and weights[0] == weights[1]
        and left.groups == right.groups
        and left.metadata == right.metadata
        and left.taxonomy == right.taxonomy
    )


@pytest.fixture
def corpus() -> Corpus:
    return Corpus.from_lists(
        ['Москва, "quoted"\n', "東京\ttower\r", "e\u0301\u2028x"],
        [["a;b", "c|d"], [], ["[x]", 'q"']],
        ids=["1", None, "3"],
        weights=[0.1, 1, 2.5],
        groups=["g", None, "h"],
        metadata=[{"source": "web"}, {"source": "print, old"}, {"source": ""}],
    )


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.csv", "c.csv.gz", "c.tsv", "c.tsv.gz"])
def test_nothing_is_lost_in_any_format(tmp_path: Path, corpus: Corpus, name: str) -> None:
    write_corpus(corpus, tmp_path / name)
    assert same(read_corpus(tmp_path / name, columns=ALL), corpus)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_nested_metadata_survive_json(tmp_path: Path) -> None:
    corpus = Corpus.from_lists(["a", "b"], metadata=[{"n": [1, {"m": None}]}, {}])
    write_jsonl(corpus, tmp_path / "c.jsonl")
    assert read_corpus(tmp_path / "c.jsonl").metadata == corpus.metadata
    write_csv(corpus, tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text() == 'text,labels,n\na,,"[1,{""m"":null}]"\nb,,\n'


def test_the_lines_are_what_a_person_would_write(tmp_path: Path) -> None:
    corpus = Corpus.from_lists(["x"], [["b", "a"]], ids=["7"], weights=[0.1])
    write_jsonl(corpus, tmp_path / "c.jsonl")
    assert json.loads((tmp_path / "c.jsonl").read_text()) == {
        "id": "7",
        "text": "x",
        "labels": ["a", "b"],
        "weight": 0.1,
    }
    write_csv(corpus, tmp_path / "c.tsv", Columns(text="body", labels="tags", label_separator="|"))
    assert (tmp_path / "c.tsv").read_text() == "id\tbody\ttags\tweight\n7\tx\ta|b\t0.1\n"


def test_the_same_corpus_gives_the_same_compressed_bytes(tmp_path: Path, corpus: Corpus) -> None:
    write_jsonl(corpus, tmp_path / "a.jsonl.gz")
    write_jsonl(corpus, tmp_path / "b.jsonl.gz")
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).count(b"\n") == 3


def test_a_file_is_only_replaced_when_told(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("precious")
    with pytest.raises(DataError, match="the file exists already; give another name, or overwrite=True"):
        write_jsonl(corpus, path)
    assert path.read_text() == "precious"
    write_jsonl(corpus, path, overwrite=True)
    assert len(read_corpus(path)) == 3


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("precious")
    corpus = Corpus.from_lists(["a", "b"], metadata=[{}, {"what": object()}])
    with pytest.raises(DataError, match="the document 'b' cannot be written as JSON"):
        write_jsonl(corpus, path, overwrite=True)
    assert path.read_text() == "precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.jsonl"]


@pytest.mark.parametrize(
    ("name", "columns", "metadata", "sentence"),
    [
        ("c.xml", {}, {}, "the suffix '.xml' is none of a corpus file"),
        ("no/c.csv", {}, {}, "does not exist; make it first"),
        (".", {}, {}, "no suffix|this is a folder"),
        ("c.csv", {"label_separator": ";"}, {}, "the label 'a;b' contains the separator ';'"),
        ("c.csv", {"label_separator": ""}, {}, "a document has 2 labels"),
        (
            "c.csv",
            {},
            {"text": "x"},
            "document 1 has 'text' among its metadata, where the text is to be written",
        ),
        ("c.csv", {}, {"x": "\0"}, "holds a NUL character"),
        ("c.csv", {"text": "weight"}, {}, "the field 'weight' would hold text and weight"),
    ],
)
def test_what_cannot_be_written_gets_a_sentence(
    tmp_path: Path, name: str, columns: dict[str, Any], metadata: dict[str, str], sentence: str
) -> None:
    corpus = Corpus.from_lists(["x"], [["a;b", "c"]], weights=[2], metadata=[metadata])
    with pytest.raises(DataError, match=sentence.replace("(", r"\(")):
        write_corpus(corpus, tmp_path / name, Columns(**columns))
    assert list(tmp_path.iterdir()) == []


def test_whole_numbers_as_ids_stay_what_they_are(tmp_path: Path) -> None:
    corpus = Corpus.from_lists(["a", "b"], ids=[7, "8"])
    write_jsonl(corpus, tmp_path / "c.jsonl")
    assert [json.loads(line)["id"] for line in (tmp_path / "c.jsonl").read_text().splitlines()] == [7, "8"]
    assert read_corpus(tmp_path / "c.jsonl").ids == (7, "8")
    write_csv(corpus, tmp_path / "c.csv")
    assert read_corpus(tmp_path / "c.csv").ids == ("7", "8")
    assert read_corpus(tmp_path / "c.csv").fingerprint() == corpus.fingerprint()


def test_a_text_that_looks_like_rows_is_not_written_as_tsv(tmp_path: Path) -> None:
    corpus = Corpus.from_lists(["one\ta\ntwo"], [["b"]])
    with pytest.raises(
        DataError, match="has tabs and line breaks that look like rows of a TSV file; write JSONL or CSV"
    ):
        write_csv(corpus, tmp_path / "c.tsv")
    assert list(tmp_path.iterdir()) == []
    write_csv(corpus, tmp_path / "c.csv")
    assert same(read_corpus(tmp_path / "c.csv"), corpus)


def test_ids_and_a_text_in_the_field_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the field 'id' would hold id and text"):
        write_jsonl(Corpus.from_lists(["a"], ids=["1"]), tmp_path / "c.jsonl", Columns(text="id"))
    write_jsonl(Corpus.from_lists(["a"]), tmp_path / "c.jsonl", Columns(text="id"))
    assert read_corpus(tmp_path / "c.jsonl", columns=Columns(text="id")).texts == ("a",)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
LABEL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)


@given(texts=st.lists(TEXT, min_size=1, max_size=4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_text_and_label_survive_any_format(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("round")
    labels = data.draw(st.lists(st.lists(LABEL, max_size=3), min_size=len(texts), max_size=len(texts)))
    fields = data.draw(st.lists(TEXT, min_size=len(texts), max_size=len(texts)))
    corpus = Corpus.from_lists(texts, labels, metadata=[{"field": field} for field in fields])
    for name in ("c.jsonl", "c.csv", "c.tsv"):
        try:
            write_corpus(corpus, folder / name)
        except DataError as error:
            assert name == "c.tsv" and "look like rows" in str(error)  # noqa: PT018
            continue
        assert same(read_corpus(folder / name), corpus)
