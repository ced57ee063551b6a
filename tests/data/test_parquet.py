"""Corpora as Parquet."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data import Columns, Corpus, ReadReport, read_corpus, read_documents, write_corpus
from taxotext.data.formats import parquet as ours
from taxotext.data.formats import parquet_rows
from taxotext.errors import DataError, MissingExtraError

pa = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
pq = pytest.importorskip("pyarrow.parquet")


def written(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def problem_of(source: Path, columns: Columns | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read_corpus(source, columns=columns or Columns())
    return str(caught.value)


def test_labels_are_lists_and_null_is_no_label(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", text=["x", "y", "z"], labels=[["b", "a"], None, []], id=["1", None, "3"])
    corpus = read_corpus(path)
    assert corpus.texts == ("x", "y", "z")
    assert corpus.label_lists() == [["a", "b"], [], []]
    assert corpus.ids == ("1", None, "3")


def test_labels_are_strings_with_separators_as_in_csv(tmp_path: Path) -> None:
    report = ReadReport()
    path = written(tmp_path / "a.parquet", text=["x", "y", "z"], labels=["b; a", None, "c"])
    assert [document.labels for document in read_documents(path, report=report)] == [("b", "a"), (), ("c",)]
    assert report.label_separator == ";"
    whole = [document.labels for document in read_documents(path, Columns(label_separator=""))]
    assert whole == [("b; a",), (), ("c",)]


def test_categories_large_strings_and_all_nulls_are_read(tmp_path: Path) -> None:
    labels = pa.array([["a"], ["b", "a"]], pa.large_list(pa.large_string()))
    text = pa.array(["x", "y"]).dictionary_encode()
    assert read_corpus(written(tmp_path / "a.parquet", text=text, labels=labels)).label_lists() == [["a"], ["a", "b"]]
    assert read_corpus(written(tmp_path / "b.parquet", text=text, labels=pa.nulls(2))).label_lists() == [[], []]


def test_other_columns_are_metadata_and_that_of_pandas_is_not(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.parquet", title=["T"], body=["B"], labels=[["a"]], w=[2], n=[{"k": 1}], __index_level_0__=[7]
    )
    columns = Columns(text=("title", "body"), weight="w")
    [document] = read_documents(path, columns)
    assert (document.text, document.weight, document.metadata) == ("T\nB", 2.0, {"n": {"k": 1}})
    assert document.where == f"{path}: row 1"


def test_bad_rows_are_listed_by_their_number(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", text=["x", None, " ", "y"], labels=[["a"], ["b"], ["c"], ["d", None]])
    message = problem_of(path)
    assert f"{path}: 3 of 4 records cannot be read" in message
    assert f"{path}: row 2: the field 'text' must be a string, found null" in message
    assert f"{path}: row 3: the text is empty" in message
    assert f"{path}: row 4: the field 'labels' must be a list of strings, found null in it" in message
    assert len(read_corpus(path, on_bad_line="skip")) == 1


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", text=["x"], labels=[b"a"])
    assert "the column 'labels' must hold lists of strings, strings with separators, or numbers" in problem_of(path)
    message = problem_of(path, Columns(text="txt", weight="w"))
    assert "there is no field 'txt', only 'text', 'labels'. Did you mean 'text'?" in message
    assert "there is no field 'w'" in message
    assert "found a number in it: 1.5" in problem_of(written(tmp_path / "b.parquet", text=["x"], labels=[[1.5]]))
    (tmp_path / "c.parquet").write_bytes(b"text,labels\n")
    assert "c.parquet: this is not a Parquet file, or a damaged one" in problem_of(tmp_path / "c.parquet")
    content = bytearray(written(tmp_path / "d.parquet", text=["x"], labels=[["a"]]).read_bytes())
    content[4:40] = bytes(36)  # the pages, not the footer
    (tmp_path / "d.parquet").write_bytes(content)
    assert "d.parquet: reading stopped after row 0" in problem_of(tmp_path / "d.parquet")
    assert "the file holds no documents" in problem_of(
        written(tmp_path / "e.parquet", text=pa.array([], pa.string()), labels=pa.array([], pa.list_(pa.string())))
    )
    table = pa.table([["x"], [["a"]], [["b"]]], names=["text", "labels", "labels"])
    pq.write_table(table, tmp_path / "f.parquet")
    assert "f.parquet: several columns are called 'labels'; rename all but one" in problem_of(tmp_path / "f.parquet")
    with pytest.raises(DataError, match=r"take \.gz off its name"):
        read_corpus(tmp_path / "a.parquet.gz")


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.time64("us"), pa.date64(), pa.duration("s")], ids=str)
def test_times_beyond_those_of_python_are_a_sentence(kind: pa.DataType, tmp_path: Path) -> None:
    beyond = pa.array([2**62], pa.int64()).view(kind)
    path = written(tmp_path / "a.parquet", text=["x"], labels=[["a"]], when=beyond)
    assert f"{path}: one of the 1,024 rows behind row 0 holds a date, time or duration" in problem_of(path)


def test_a_folder_of_parts_is_one_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    written(folder / "train-1.parquet", text=["z"], labels=[["b"]])
    written(folder / "train-0.parquet", text=["x", "y"], labels=[["a"], ["b"]])
    assert read_corpus(folder).texts == ("x", "y", "z")
    assert [document.where for document in read_documents(folder)][2] == f"{folder / 'train-1.parquet'}: row 1"
    written(folder / "train-2.parquet", text=["x"], labels=["a"])  # a string is a cell, as in a table
    assert read_corpus(folder).label_lists() == [["a"], ["b"], ["b"], ["a"]]


def test_class_numbers_have_the_names_that_datasets_stores_in_the_file(tmp_path: Path) -> None:
    feature = {"names": ["joy", "anger", "fear"], "_type": "ClassLabel"}
    features = {"text": {"dtype": "string", "_type": "Value"}, "labels": {"feature": feature, "_type": "Sequence"}}
    features |= {"topic": {"names": ["x", "y"], "_type": "ClassLabel"}}
    table = pa.table({"text": ["a", "b", "c"], "labels": [[0], [2, 0], []], "topic": [1, -1, 0]})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    corpus = read_corpus(tmp_path / "a.parquet")
    assert corpus.taxonomy.ids == ("joy", "anger", "fear")
    assert corpus.label_lists() == [["joy"], ["joy", "fear"], []]
    corpus = read_corpus(tmp_path / "a.parquet", columns=Columns(labels="topic"))
    assert (corpus.taxonomy.ids, corpus.label_lists()) == (("x", "y"), [["y"], [], ["x"]])
    plain = written(tmp_path / "b.parquet", text=["a", "b"], labels=[[0, 2], None])
    assert read_corpus(plain).label_lists() == [["0", "2"], []]


def test_a_stream_is_read_and_rows_come_a_batch_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "ROWS", 2)
    path = written(tmp_path / "a.parquet", text=list("vwxyz"), labels=[["a"]] * 5)
    documents = read_documents(io.BytesIO(path.read_bytes()), format="parquet")
    assert [document.where for document in documents] == [f"<stream>: row {i}" for i in range(1, 6)]


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.parquet", text=["x"], labels=[["a"]])
    corpus = read_corpus(path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for call in (lambda: read_corpus(path), lambda: write_corpus(corpus, tmp_path / "b.parquet")):
        with pytest.raises(MissingExtraError, match=r"pip install 'taxotext\[parquet\]'"):
            call()
    assert not (tmp_path / "b.parquet").exists()


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip)
LABELS = st.lists(st.text(st.characters(categories=["L", "P"]), min_size=1), max_size=3, unique=True)
FIELDS = st.fixed_dictionaries({}, optional={"n": st.integers(-5, 5) | st.none(), "s": st.lists(TEXTS, max_size=2)})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS, LABELS, FIELDS), min_size=1, max_size=8))
def test_any_corpus_is_written_and_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, list[str], dict[str, Any]]]
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    texts, labels, metadata = zip(*rows, strict=True)
    corpus = Corpus.from_lists(texts, labels, metadata=metadata, weights=[0.5] * len(rows), ids=range(len(rows)))
    write_corpus(corpus, path)
    read = read_corpus(path, columns=Columns(weight="weight"))
    assert read.fingerprint() == corpus.fingerprint()
    assert read.weights is not None
    assert read.weights.tolist() == [0.5] * len(rows)
    wanted = [{name: value for name, value in fields.items() if value is not None} for fields in metadata]
    found = [{k: v for k, v in fields.items() if v is not None} for fields in read.metadata or [{}] * len(rows)]
    assert found == wanted


def test_types_of_metadata_are_found_over_all_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "ROWS", 1)
    corpus = Corpus.from_lists(["x", "y", "z"], [["a"]] * 3, metadata=[{"n": None}, {"n": 1}, {"n": 0.5}])
    write_corpus(corpus, tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet")["n"].to_pylist() == [None, 1.0, 0.5]
    corpus = Corpus.from_lists(["x", "y"], [["a"]] * 2, metadata=[{"n": 1}, {"n": "one"}])
    with pytest.raises(DataError, match="the values of the field 'n' have no common type"):
        write_corpus(corpus, tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()


def dictionary(entry: str, places: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * places, pa.int32()), pa.array([entry]))


def shared(path: Path, **columns: Any) -> Path:
    """A file whose rows share entries of dictionaries, without the types of Arrow."""
    pq.write_table(pa.table(columns), path, store_schema=False)
    return path


def test_what_decodes_to_far_more_than_the_file_is_refused_and_the_limit_can_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, places = "x" * 2**20, pa.array(range(101), pa.int32())
    many = pa.array([2**20 * place for place in range(11)], pa.int32())
    texts, lists = dictionary(long, 100), pa.ListArray.from_arrays(places, dictionary(long, 100))
    sound = {"text": ["y"] * 100, "labels": [["a"]] * 100}
    files = {
        "text": {**sound, "text": texts},
        "labels": {**sound, "labels": lists},
        "places": {"text": ["y"] * 10, "labels": pa.ListArray.from_arrays(many, dictionary("a", 10 * 2**20))},
        "field": {**sound, "fields": pa.StructArray.from_arrays([texts, lists], ["a", "b"])},
        "bytes": {**sound, "bytes": pa.array([bytes(2**20)] * 100, pa.binary(2**20))},
    }
    for name, columns in files.items():
        path = shared(tmp_path / f"{name}.parquet", **columns)
        assert path.stat().st_size < 100_000
        message = problem_of(path)
        assert "takes more than 1,000 times the bytes of the file and more than 64 MiB" in message, name
        assert "TAXOTEXT_LONGEST_LINE sets another limit" in message
    monkeypatch.setenv("TAXOTEXT_LONGEST_LINE", "200")
    corpus = read_corpus(tmp_path / "text.parquet")
    assert [len(text) for text in corpus.texts] == [2**20] * 100
    assert len({id(text) for text in corpus.texts}) == 1, "rows share in memory what they share in the file"


def test_rows_that_share_entries_take_the_memory_of_the_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = pa.array(range(2001), pa.int32())
    columns = {"text": dictionary("x" * 2**19, 2000), "labels": pa.array([["a", "b"]] * 2000)}
    path = shared(
        tmp_path / "a.parquet", **columns, more=pa.ListArray.from_arrays(places, dictionary("z" * 2**19, 2000))
    )
    monkeypatch.setenv("TAXOTEXT_LONGEST_LINE", "4000")
    before = pa.default_memory_pool().max_memory()
    tracemalloc.start()
    try:
        assert sum(len(document.text) for document in read_documents(path)) == 2000 * 2**19
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 64 * 2**20
    assert pa.default_memory_pool().max_memory() - before < 64 * 2**20


TYPES = {
    "string": (pa.string(), ["a", "b", None, "a"]),
    "large_string": (pa.large_string(), ["a", "b", None, "a"]),
    "binary": (pa.binary(), [b"a", b"b", None, b"a"]),
    "lists": (pa.list_(pa.string()), [["a", None], None, [], ["a", "b"]]),
    "large_lists": (pa.large_list(pa.large_string()), [["a", None], None, [], ["a", "b"]]),
    "lists_of_lists": (pa.list_(pa.list_(pa.string())), [[["a"], None], None, [], [["b", "a"], []]]),
    "fixed_lists": (pa.list_(pa.string(), 2), [["a", "b"], ["a", None], ["b", "b"], ["c", "a"]]),
    "structs": (pa.struct([("x", pa.string()), ("y", pa.list_(pa.string()))]), [{"x": "a", "y": ["a"]}, None] * 2),
    "lists_of_structs": (pa.list_(pa.struct([("x", pa.string())])), [[{"x": "a"}, None], None, [], [{"x": "b"}]]),
    "map": (pa.map_(pa.string(), pa.string()), [[("a", "b")], None, [], [("c", None), ("a", "b")]]),
    "numbers": (pa.list_(pa.float64()), [[0.5, None], None, [], [1.0]]),
    "category": (pa.dictionary(pa.int8(), pa.string()), ["a", "b", None, "a"]),
}


@pytest.mark.parametrize("dense", [False, True])
def test_values_of_all_types_are_read_as_they_were_written(
    dense: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dense:  # as columns of large row groups are read
        monkeypatch.setattr(parquet_rows, "LARGEST_DICTIONARY", 0)
    monkeypatch.setattr(parquet_rows, "ROWS", 3)
    columns = {name: pa.array(values, kind) for name, (kind, values) in TYPES.items()}
    table = pa.table({"text": list("wxyz"), "labels": [["a"]] * 4, **columns})
    pq.write_table(table, tmp_path / "a.parquet")
    found = [document.metadata for document in read_documents(tmp_path / "a.parquet")]
    for name, (_, values) in TYPES.items():
        assert [fields[name] for fields in found if fields is not None] == values, name
