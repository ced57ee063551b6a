"""Names of class numbers that stand in a file beside the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxotext.data import Columns, read_corpus
from taxotext.data.reading_notes import form_notes
from taxotext.errors import DataError

INFO = {"features": {"text": {"dtype": "string"}, "label": {"names": ["neg", "pos", "new"], "_type": "ClassLabel"}}}
LISTED = {"features": {"label": {"feature": {"names": ["neg", "pos", "new"], "_type": "ClassLabel"}}}}
CARD = """---
license: mit
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    {kind}:
      class_label:
        names:
          '0': neg
          '1': pos
          '2': new
---
# Reviews
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_info.json", json.dumps(INFO)),
        ("dataset_info.json", json.dumps(LISTED)),
        ("dataset_infos.json", json.dumps({"plain": INFO, "other": {"features": {}}})),
        ("README.md", CARD.format(kind="dtype")),
        ("README.md", CARD.format(kind="sequence")),
    ],
)
@pytest.mark.parametrize("folder", [".", "data"])
@pytest.mark.parametrize(
    ("file", "rows"),
    [("a.csv", "text,label\nx,1\ny,0\n"), ("a.jsonl", '{"text":"x","label":1}\n{"text":"y","label":0}\n')],
)
def test_names_of_class_numbers_are_read_from_beside_the_file(
    tmp_path: Path, name: str, content: str, folder: str, file: str, rows: str
) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / file).write_text(rows)
    corpus = read_corpus(tmp_path / folder / file, columns=Columns(labels="label"))
    assert corpus.label_lists() == [["pos"], ["neg"]]
    assert corpus.taxonomy.ids == ("neg", "pos", "new")
    assert form_notes(corpus.report) == [f"The column 'label' was read as class numbers with the names in {name}."]


def test_labels_that_are_no_numbers_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text(json.dumps(INFO))
    (tmp_path / "a.csv").write_text("text,label\nx,pos\ny,neg\n")
    assert read_corpus(tmp_path / "a.csv", columns=Columns(labels="label")).label_lists() == [["pos"], ["neg"]]


def test_a_number_without_a_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text(json.dumps(INFO))
    (tmp_path / "a.csv").write_text("text,label\nx,3\n")
    with pytest.raises(DataError, match="the column 'label' has the number 3, and its ClassLabel names 0 to 2"):
        read_corpus(tmp_path / "a.csv", columns=Columns(labels="label"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_info.json", "no JSON"),
        ("dataset_info.json", "[1]"),
        ("README.md", "---\nclass_label: [\n---\n"),
        ("README.md", "---\ndataset_info: {features: [{name: label, dtype: {class_label: {names: {'1': a}}}}]}\n---\n"),
        ("README.md", "---\nclass_label: &a {x: *a}\ndataset_info: {features: [&f {name: label, dtype: *f}]}\n---\n"),
        ("README.md", f"---\nclass_label: 0x{'f' * 9000}\n---\n"),
        ("README.md", f"---\nclass_label: {'[' * 3000}\n---\n"),
        ("dataset_infos.json", json.dumps({"a": INFO, "b": {"features": {"label": {"names": ["other"]}}}})),
    ],
)
def test_descriptions_that_cannot_be_read_or_contradict_each_other_give_no_names(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "a.jsonl").write_text('{"text":"x","label":1}\n{"text":"y","label":0}\n')
    corpus = read_corpus(tmp_path / "a.jsonl", columns=Columns(labels="label"))
    assert "neg" not in corpus.taxonomy.ids
