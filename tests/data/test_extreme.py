"""svmlight vectors, LibMultiLabel's lines, JSON of the Extreme Classification Repository."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxotext.data import Columns, ReadReport, read_corpus, read_documents, write_libmultilabel
from taxotext.errors import DataError

VECTORS = "3 6 5\n0,3 0:0.5 5:1e-3\n 1:2 2:-.5 # a remark\n2 3:1\n"


def read(content: str, format: str, columns: Columns | None = None, **settings: object) -> list[tuple[str, ...]]:
    documents = read_documents(io.BytesIO(content.encode()), columns or Columns(), format=format, **settings)  # type: ignore[arg-type]
    return [(document.text, *document.labels) for document in documents]


def problem_of(content: str, format: str) -> str:
    with pytest.raises(DataError) as caught:
        read(content, format)
    return str(caught.value)


def test_vectors_stay_as_they_stand_and_are_marked_as_such() -> None:
    report = ReadReport()
    assert read(VECTORS, "svmlight", report=report) == [("0:0.5 5:1e-3", "0", "3"), ("1:2 2:-.5",), ("3:1", "2")]
    assert report.feature_vectors
    assert read(VECTORS.partition("\n")[2], "svmlight")[0] == ("0:0.5 5:1e-3", "0", "3")


@pytest.mark.parametrize("name", ["train.txt", "train.svm", "train.txt.gz"])
def test_a_header_declares_the_labels(tmp_path: Path, name: str) -> None:
    with gzip.open(tmp_path / name, "wt") if name.endswith("gz") else (tmp_path / name).open("w") as file:
        file.write(VECTORS)
    corpus = read_corpus(tmp_path / name)
    assert corpus.taxonomy.ids == ("0", "1", "2", "3", "4")
    assert corpus.label_lists() == [["0", "3"], [], ["2"]]


def test_bad_vectors_are_listed_together() -> None:
    message = problem_of(
        "9 5 4\n0,4 1:1\n1 9:1\n1 3:x\n1\n2 3:1 3:2\n0 1:inf\n,1 2:1\n\n1:1\n0 2:1\n",
        "svmlight",
    )
    for fragment in (
        "9 of 11 records cannot be read",
        ":2: the label '4' is none of the 4 labels of the header, which are numbered from 0",
        ":3: the feature 9 is beyond the 5 features of the header",
        ":4: '3:x' is not a feature; write index:value",
        ":5: there are no features",
        ":6: the feature 3 is there twice",
        ":7: '1:inf' is not a feature",
        ":8: the label '' is none of",
        ":9: there are no features",
        ":1: the header says 9 documents, and the file has 10",
    ):
        assert fragment in message
    assert ":10:" not in message


def test_a_file_that_is_cut_short_is_noticed() -> None:
    assert "the header says 3 documents, and the file has 2" in problem_of(
        VECTORS.rsplit("\n", 2)[0] + "\n", "svmlight"
    )
    assert len(read(VECTORS + "\n\n", "svmlight")) == 3  # blank lines at the end are none


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 99), max_size=4, unique=True),
            st.dictionaries(st.integers(0, 10**6), st.floats(allow_nan=False, allow_infinity=False), min_size=1),
        ),
        min_size=1,
    )
)
def test_any_vectors_are_read(rows: list[tuple[list[int], dict[int, float]]]) -> None:
    lines = [
        ",".join(map(str, labels)) + " " + " ".join(f"{index}:{value!r}" for index, value in vector.items())
        for labels, vector in rows
    ]
    read_back = read("\n".join(lines), "svmlight")
    for (labels, vector), (text, *found) in zip(rows, read_back, strict=True):
        assert found == [str(label) for label in labels]
        pairs = dict(pair.split(":") for pair in text.split())
        assert {int(index): float(value) for index, value in pairs.items()} == vector


# LibMultiLabel


def test_lines_have_two_or_three_columns(tmp_path: Path) -> None:
    assert read("1\ta b\tSome text\n\n2\t\tOther", "libmultilabel") == [("Some text", "a", "b"), ("Other",)]
    assert read("a b\tSome text\n", "libmultilabel") == [("Some text", "a", "b")]
    (tmp_path / "train.txt").write_text("1\ta b\tSome text\n")
    corpus = read_corpus(tmp_path / "train.txt")
    assert (corpus.ids, corpus.label_lists()) == (("1",), [["a", "b"]])


def test_other_numbers_of_columns_are_refused() -> None:
    assert ":2: the line has 2 columns, not 3 as in the first line" in problem_of("1\ta\tx\na\tx\n", "libmultilabel")
    assert ":1: the line has 1 columns, not 2 or 3" in problem_of("text\n", "libmultilabel")


def test_it_is_written_and_read_back(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "two\\nlines", "labels": ["b", "a"]}\n{"text": "x", "labels": []}\n')
    write_libmultilabel(read_corpus(tmp_path / "a.jsonl"), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "1\ta b\ttwo lines\n2\t\tx\n"
    assert read_corpus(tmp_path / "a.txt").label_lists() == [["a", "b"], []]


def test_labels_with_blanks_have_no_place_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x", "labels": ["a b"]}\n')
    with pytest.raises(DataError, match="the label 'a b' has a blank in it"):
        write_libmultilabel(read_corpus(tmp_path / "a.jsonl"), tmp_path / "a.txt")


# JSON of the repository


def line(**fields: object) -> str:
    value = {"uid": "B1", "title": "T", "content": "C", "target_ind": [3, 1], "target_rel": [1.0, 1.0], **fields}
    return json.dumps(value) + "\n"


def test_title_and_content_are_the_text_and_numbers_the_labels(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "trn.json.gz", "wt") as file:
        file.write(line() + line(content=""))
    corpus = read_corpus(tmp_path / "trn.json.gz")
    assert (corpus.texts, corpus.ids) == (("T\nC", "T"), ("B1", "B1"))
    assert corpus.label_lists() == [["1", "3"], ["1", "3"]]
    assert corpus.metadata is None


def test_another_choice_of_fields_is_kept() -> None:
    assert read(line(), "xc-json", Columns(text="title")) == [("T", "3", "1")]
    assert read('{"title": "T"}', "xc-json", labelled=False) == [("T",)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (line(target_ind=["a"]), "the field 'target_ind' must be a list of label numbers, found ['a']"),
        (line(target_ind=[True]), "the field 'target_ind' must be a list of label numbers, found [True]"),
        (line(title=None, content=" "), "the text is empty"),
        ('{"title": "T"}', "there is no field 'target_ind'"),
        ("3", "a document must be a JSON object, found a number"),
    ],
)
def test_bad_json_gets_a_sentence(content: str, sentence: str) -> None:
    assert f"<stream>:1: {sentence}" in problem_of(content, "xc-json")


def test_a_text_file_of_no_known_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("just words\n")
    with pytest.raises(DataError, match="or give the format"):
        read_corpus(tmp_path / "a.txt")


def test_vectors_reach_linear_with_their_values() -> None:
    from taxotext.models.given import GivenFeatures

    reader = GivenFeatures(min_documents=2)
    matrix = reader.fit_transform(["0:3 5:4 9:1", "5:2", "0:1 7:5"])
    assert reader.vocabulary_ == {"0": 0, "5": 1}
    np.testing.assert_allclose(matrix.toarray(), [[0.6, 0.8], [0, 1], [1, 0]])
    np.testing.assert_allclose(reader.transform(["7:1 5:-2", "7:1"]).toarray(), [[0, -1], [0, 0]])
    assert GivenFeatures(max_features=1).fit_transform(["0:3 5:4", "5:2"]).shape == (2, 1)
    for text in ("cats", "1:2 3", "1:2:3", "1.5:2", "1:nan", "-1:2", ":", "1 :2"):
        with pytest.raises(DataError, match="is not a feature vector"):
            reader.transform([text])
