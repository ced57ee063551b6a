"""JSON files that are one value, and exports of annotation tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taxotext.data import Columns, Corpus, ReadReport, read_corpus
from taxotext.data.formats.table import resolve_format
from taxotext.errors import DataError

ROWS = [{"text": "x", "labels": ["a", "b"]}, {"text": "y", "labels": []}]


def pairs(corpus: Corpus) -> list[tuple[str, list[str]]]:
    return list(zip(corpus.texts, corpus.label_lists(), strict=True))


def read(folder: Path, content: str, name: str = "a.json", **columns: Any) -> tuple[Corpus, str]:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return read_corpus(path, columns=Columns(**columns)), resolve_format(path, None)[0].name


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (json.dumps(ROWS), "json"),
        (json.dumps(ROWS, indent=2), "json"),
        ("\ufeff" + json.dumps({"data": ROWS}), "json"),
        (json.dumps({"version": "1", "rows": ROWS}, indent=1), "json"),
        (json.dumps({"text": {"0": "x", "1": "y"}, "labels": {"0": ["a", "b"], "1": []}}), "json"),
        (json.dumps({"text": ["x", "y"], "labels": [["a", "b"], []]}), "json"),
        (json.dumps({"columns": ["text", "labels"], "index": [0, 1], "data": [["x", ["a", "b"]], ["y", []]]}), "json"),
        (json.dumps({"0": ROWS[0], "1": ROWS[1]}), "json"),
        ("".join(json.dumps(row) + "\n" for row in ROWS), "jsonl"),
        ("\n" + "\n".join(map(json.dumps, ROWS)), "jsonl"),
    ],
)
def test_a_json_file_is_read_however_its_documents_stand_in_it(content: str, format: str, tmp_path: Path) -> None:
    corpus, found = read(tmp_path, content)
    assert pairs(corpus) == [("x", ["a", "b"]), ("y", [])]
    assert found == format


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[\n{]", "a.json: this is not valid JSON, at line 2, column 2"),
        ('"text"', "a.json: holds a string, not a list of objects"),
        ('[1, {"text": "x", "labels": []}]', "a.json: record 1: each record must be a JSON object, found a number: 1"),
        ("[]", "a.json: the file holds an empty list"),
        (json.dumps({"train": ROWS, "test": ROWS}), "a.json: holds 2 lists of documents ('train', 'test'); write each"),
        ('{"text": "x", "labels": [], "n": NaN}\n', "a.json:1: NaN and Infinity are not valid JSON, though Python"),
        ('[{"text": "x", "labels": [["a", "b"]]}]', 'write a path as one label, "a/b"'),
    ],
)
def test_other_json_is_refused_with_a_sentence(content: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert sentence in str(caught.value)


def task(number: int, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "data": {"text": f"text {number}"}, "annotations": list(annotations), "predictions": []}


def annotation(*choices: str, control: str = "topic", **fields: Any) -> dict[str, Any]:
    region = {"type": "choices", "from_name": control, "to_name": "text", "value": {"choices": list(choices)}}
    return {"result": [region], "was_cancelled": False, "ground_truth": False, **fields}


def test_label_studio_gives_the_choices_that_annotators_agree_on(tmp_path: Path) -> None:
    tree = {"type": "taxonomy", "from_name": "tree", "value": {"taxonomy": [["A", "A1"], ["B"]]}}
    tasks = [
        task(1, annotation("a", "b")),
        task(2, annotation("a"), annotation("a", "c"), annotation("c")),
        task(3, annotation("a"), annotation("b", ground_truth=True)),
        task(4, {**annotation("a"), "was_cancelled": True}),
        task(5),
        task(6, {**annotation(), "result": [tree]}),
    ]
    corpus, format = read(tmp_path, json.dumps(tasks, indent=1))
    assert format == "json"  # its exports are recognised by what is in the list
    assert pairs(corpus) == [
        ("text 1", ["a", "b"]),
        ("text 2", ["a", "c"]),
        ("text 3", ["b"]),
        ("text 6", ["A/A1", "B"]),
    ]
    assert corpus.ids == (1, 2, 3, 6)
    assert corpus.report.ignored == {"no annotation, or only skipped ones": 2}
    assert corpus.report.differing_annotations == 1


def test_controls_of_label_studio_can_be_named(tmp_path: Path) -> None:
    both = {"result": [*annotation("a")["result"], *annotation("good", control="mood")["result"]]}
    content = json.dumps([task(1, both)])
    assert read(tmp_path, content)[0].label_lists() == [["a", "good"]]
    assert read(tmp_path, content, labels="mood")[0].label_lists() == [["good"]]
    assert read(tmp_path, content, labels=("topic", "mood"))[0].label_lists() == [["a", "good"]]


def test_the_short_json_of_label_studio_is_read(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "text": "x", "topic": "a", "tree": [{"taxonomy": [["A", "A1"]]}]},
        {"id": 2, "text": "y", "topic": {"choices": ["a", "b"]}, "tree": []},
    ]
    assert read(tmp_path, json.dumps(rows), labels="topic")[0].label_lists() == [["a"], ["a", "b"]]
    assert read(tmp_path, json.dumps(rows), labels="tree")[0].label_lists() == [["A/A1"], []]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_doccano_and_spacy_are_recognised(name: str, tmp_path: Path) -> None:
    doccano = [{"id": 1, "text": "x", "label": ["a"], "Comments": []}, {"id": 2, "text": "y", "label": []}]
    corpus, format = read(tmp_path, "".join(json.dumps(row) + "\n" for row in doccano), name)
    assert (pairs(corpus), corpus.ids, format) == ([("x", ["a"]), ("y", [])], (1, 2), "doccano")
    cats = [{"text": "x", "cats": {"a": 1.0, "b": 0.0}}, {"text": "y", "cats": {"a": 0.0, "b": 0.0}}]
    corpus, format = read(tmp_path, "".join(json.dumps(row) + "\n" for row in cats), name)
    assert (pairs(corpus), corpus.taxonomy.ids, format) == ([("x", ["a"]), ("y", [])], ("a", "b"), "spacy")


def test_training_data_of_spacy_as_pairs_is_read(tmp_path: Path) -> None:
    content = json.dumps([["x", {"cats": {"a": True, "b": False}}], ["y", {"cats": {"a": 0, "b": 1}}]])
    assert pairs(read(tmp_path, content)[0]) == [("x", ["a"]), ("y", ["b"])]
    with pytest.raises(DataError, match=r"found an object whose 'a' is 0\.3"):
        read(tmp_path, json.dumps([["x", {"cats": {"a": 0.3}}]]))


def test_prodigy_choices_that_were_ignored_or_rejected_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        {"text": "x", "accept": ["a", "b"], "answer": "accept", "options": [], "_input_hash": 1},
        {"text": "y", "accept": [], "answer": "accept", "_input_hash": 2},
        {"text": "z", "accept": ["a"], "answer": "ignore", "_input_hash": 3},
        {"text": "w", "accept": ["b"], "answer": "reject", "_input_hash": 4},
    ]
    corpus, format = read(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "a.jsonl")
    assert (pairs(corpus), format) == ([("x", ["a", "b"]), ("y", [])], "prodigy")
    assert corpus.report.ignored == {"'answer' is 'ignore'": 1, "'answer' is 'reject'": 1}
    assert corpus.metadata is None


def test_prodigy_answers_about_single_labels_are_joined_by_text(tmp_path: Path) -> None:
    rows = [
        {"text": "x", "label": "a", "answer": "accept"},
        {"text": "y", "label": "a", "answer": "reject"},
        {"text": "x", "label": "b", "answer": "accept"},
        {"text": "z", "label": "a", "answer": "ignore"},
    ]
    corpus, _ = read(tmp_path, json.dumps(rows))
    assert pairs(corpus) == [("x", ["a", "b"]), ("y", [])]
    assert corpus.report.ignored == {"'answer' is 'ignore'": 1}


def test_an_export_can_be_named_by_its_tool(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_text(json.dumps([task(1, annotation("a"))]), encoding="utf-8")
    report = ReadReport()
    corpus = read_corpus(path, format="label-studio")
    assert (pairs(corpus), report.ignored) == ([("text 1", ["a"])], {})


SPACY2 = [
    {
        "id": 4,
        "paragraphs": [
            {
                "raw": "A pear.",
                "sentences": [],
                "cats": [{"label": "fruit", "value": 1.0}, {"label": "car", "value": 0}],
            },
            {"sentences": [{"tokens": [{"orth": "A"}, {"orth": "car"}]}], "cats": {"fruit": 0.0, "car": 1.0}},
        ],
    },
    {"id": 5, "paragraphs": [{"raw": "Nothing.", "cats": []}]},
]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (json.dumps(SPACY2), "a.json"),
        (json.dumps(SPACY2, indent=1), "a.json"),
        ("".join(json.dumps(each) + "\n" for each in SPACY2), "a.jsonl"),
        ("".join(json.dumps(each) + "\n" for each in SPACY2), "a.json"),
    ],
)
def test_each_paragraph_of_spacy_2_is_a_document(content: str, name: str, tmp_path: Path) -> None:
    corpus, _ = read(tmp_path, content, name)
    assert pairs(corpus) == [("A pear.", ["fruit"]), ("A car", ["car"]), ("Nothing.", [])]
    assert corpus.ids == ("4.1", "4.2", 5)
    assert read(tmp_path, content, name, text="raw", labels="cats")[0].report.unused == {}


def test_a_single_document_of_spacy_2_is_read_and_a_paragraph_without_categories_is_not(tmp_path: Path) -> None:
    assert pairs(read(tmp_path, json.dumps(SPACY2[0], indent=2))[0]) == [("A pear.", ["fruit"]), ("A car", ["car"])]
    with pytest.raises(DataError, match="a paragraph has no 'cats'"):
        read(tmp_path, json.dumps([{"paragraphs": [{"raw": "x", "cats": []}, {"raw": "y"}]}]))


EXPORTS = {
    "prodigy": {"text": "A pear.", "accept": ["fruit"], "answer": "accept", "topic": "food"},
    "doccano": {"text": "A pear.", "label": ["fruit"], "Comments": [], "topic": "food"},
    "spacy": {"text": "A pear.", "cats": {"fruit": 1, "car": 0}, "topic": "food"},
}
OWN = {"prodigy": "accept", "doccano": "label", "spacy": "cats"}


@pytest.mark.parametrize("tool", EXPORTS)
def test_a_label_field_of_an_export_is_taken_or_said_not_to_be_used(tool: str, tmp_path: Path) -> None:
    content = json.dumps(EXPORTS[tool]) + "\n"
    for field, labels in (("labels", ["fruit"]), (OWN[tool], ["fruit"]), ("topic", ["food"])):
        corpus, format = read(tmp_path, content, "a.jsonl", labels=field)
        assert (format, corpus.label_lists(), corpus.report.unused) == (tool, [labels], {})
    corpus, _ = read(tmp_path, content, "a.jsonl", labels="tags")
    assert corpus.label_lists() == [["fruit"]]
    assert f"in the field {OWN[tool]!r}" in corpus.report.unused["labels"]
    with pytest.raises(DataError, match=f"in the field {OWN[tool]!r}; leave columns.labels out"):
        read(tmp_path, content, "a.jsonl", labels=("tags", "topics"))


def test_a_control_that_no_annotation_of_label_studio_has_is_an_error(tmp_path: Path) -> None:
    region = {"from_name": "mood", "type": "choices", "value": {"choices": ["good"]}}
    content = json.dumps([{"id": 1, "data": {"text": "x"}, "annotations": [{"result": [region]}]}])
    assert read(tmp_path, content, labels="mood")[0].label_lists() == [["good"]]
    with pytest.raises(DataError, match=r"no annotation is of the control 'mod', only of 'mood'. Did you mean 'mood'"):
        read(tmp_path, content, labels="mod")


@pytest.mark.parametrize(
    ("name", "content", "given", "sentence"),
    [
        ("a.jsonl", '{"text": "x", "subjects": [{"uri": "http://e.org/a"}]}\n', {"labels": "topics"},
         "documents of Annif have their labels in the field 'subjects'"),
        ("a.json", '{"uid": "1", "title": "x", "content": "y", "target_ind": [0]}\n', {"labels": "topics"},
         "documents of xc-json have their labels in the field 'target_ind'"),
        ("a.json", '{"uid": "1", "title": "x", "content": "y", "target_ind": [0]}\n', {"id": "number"},
         "documents of xc-json have their id in the field 'uid'"),
        ("a.jsonl", '{"text": "x", "labels": ["a"]}\n', {"label_separator": ""}, "'labels' holds lists of labels"),
    ],
)  # fmt: skip
def test_fields_that_a_format_has_no_use_for_are_said_not_to_be_used(
    name: str, content: str, given: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    corpus, _ = read(tmp_path, content, name, **given)
    assert corpus.report.unused == {next(iter(given)): sentence}
    trained = read(tmp_path, content, name, **given, id_optional=True)[0]
    assert trained.label_lists() == corpus.label_lists()


def test_a_field_of_an_annif_document_comes_before_its_subjects_if_it_is_named(tmp_path: Path) -> None:
    content = json.dumps({"text": "x", "subjects": [{"uri": "http://e.org/a"}], "metadata": {"topics": ["b"]}})
    assert read(tmp_path, content + "\n", "a.jsonl", labels="topics")[0].label_lists() == [["b"]]
