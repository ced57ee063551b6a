"""Datasets of Hugging Face: in memory, streamed, saved to disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from taxotext.data import Columns, Corpus, read_corpus, read_documents
from taxotext.errors import DataError, MissingExtraError
from taxotext.labels import Taxonomy

datasets = pytest.importorskip("datasets", reason="the extra 'datasets' is not installed")
datasets.disable_progress_bars()

NAMES = ["joy", "anger", "fear", "none"]


def emotions(labels: list[Any] | None = None) -> Any:
    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.Sequence(datasets.ClassLabel(names=NAMES))}
    )
    rows = {"text": ["a", "b", "c"], "labels": labels or [[0], [2, 1], []]}
    return datasets.Dataset.from_dict(rows, features=features)


def problem_of(call: Any) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


def test_class_labels_become_their_names_and_all_of_them_are_labels() -> None:
    corpus = Corpus.from_dataset(emotions())
    assert corpus.taxonomy.ids == tuple(NAMES)
    assert corpus.label_lists() == [["joy"], ["anger", "fear"], []]
    assert Corpus.from_dataset(emotions().to_iterable_dataset()).fingerprint() == corpus.fingerprint()


def test_one_class_label_a_document_is_a_set_of_one(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "topic": datasets.ClassLabel(names=["x", "y"]), "n": datasets.Value("int8")}
    )
    dataset = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "topic": [1, -1, None], "n": [1, 2, 3]}, features)
    corpus = Corpus.from_dataset(dataset, columns=Columns(labels="topic"))
    assert corpus.label_lists() == [["y"], [], []]
    assert corpus.metadata == ({"n": 1}, {"n": 2}, {"n": 3})
    [first, *_] = read_documents_of(dataset, tmp_path / "d", labelled=False)
    assert first.metadata == {"topic": "y", "n": 1}


def read_documents_of(dataset: Any, folder: Path, **settings: Any) -> Any:
    dataset.save_to_disk(str(folder))
    return read_documents(folder, **settings)


def test_strings_are_labels_in_lists_or_with_separators() -> None:
    dataset = datasets.Dataset.from_dict({"text": ["a", "b"], "labels": [["y", "x"], []], "l": ["x|y", None]})
    assert Corpus.from_dataset(dataset).label_lists() == [["x", "y"], []]
    assert Corpus.from_dataset(dataset, columns=Columns(labels="l")).label_lists() == [["x", "y"], []]
    taxonomy = Taxonomy.from_edges([(None, "x"), ("x", "y")])
    only = datasets.Dataset.from_dict({"text": ["a"], "labels": [["y"]]})
    assert Corpus.from_dataset(only, taxonomy).label_lists() == [["x", "y"]]


def test_a_saved_dataset_is_a_corpus_and_a_split_must_be_named(tmp_path: Path) -> None:
    datasets.DatasetDict(train=emotions(), test=emotions()).save_to_disk(str(tmp_path / "e"))
    corpus = read_corpus(tmp_path / "e" / "train")
    assert corpus.taxonomy.ids == tuple(NAMES)
    assert corpus.label_lists() == [["joy"], ["anger", "fear"], []]
    message = problem_of(lambda: read_corpus(tmp_path / "e"))
    assert f"holds several splits (test, train); name one of them, such as {tmp_path / 'e' / 'test'}" in message
    assert "name one of them" in problem_of(lambda: Corpus.from_dataset(datasets.DatasetDict(train=emotions())))


def test_mistakes_get_sentences(tmp_path: Path) -> None:
    renamed = emotions().rename_column("labels", "label")
    assert "there is no field 'labels', only 'text', 'label'" in problem_of(lambda: Corpus.from_dataset(renamed))
    assert "this is not a dataset of Hugging Face but a list" in problem_of(lambda: Corpus.from_dataset([]))
    empty = datasets.Dataset.from_dict({"text": ["a", ""], "labels": [["x"], ["y"]]})
    assert "dataset: row 2: the text is empty" in problem_of(lambda: Corpus.from_dataset(empty))
    assert len(Corpus.from_dataset(empty, on_bad_line="skip")) == 1
    emotions().save_to_disk(str(tmp_path / "e"))
    for file in (tmp_path / "e").glob("*.arrow"):
        file.write_bytes(b"nonsense")
    assert "or a damaged one" in problem_of(lambda: read_corpus(tmp_path / "e"))


def test_columns_of_images_are_left_out() -> None:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "labels": datasets.Sequence(datasets.Value("string")),
            "picture": datasets.Image(),
        }
    )
    rows = {"text": ["a"], "labels": [["x"]], "picture": [{"bytes": b"no picture", "path": None}]}
    assert Corpus.from_dataset(datasets.Dataset.from_dict(rows, features=features)).metadata is None


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emotions().save_to_disk(str(tmp_path / "e"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'taxotext\[datasets\]'"):
        read_corpus(tmp_path / "e")
