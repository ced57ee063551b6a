"""The ``taxotext data`` commands that write files: ``split``, ``convert``, ``convert-taxonomy``."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from data_commands import Run, cells, document, rows_of, write_jsonl
from taxotext.data import read_corpus
from taxotext.labels import read_names, read_taxonomy

# -- split -----------------------------------------------------------------------------------------------------


def test_split_writes_every_document_once_with_labels_as_they_stand(run_data: Run, small_data: Path) -> None:
    result = run_data("split", "small.jsonl", "--output", "parts", "--parts", "train=0.7,dev=0.2,test=0.1")
    assert result.code == 0
    assert [cells(result.out, name)[0] for name in ("train", "dev", "test")] == ["14", "4", "2"]
    parts = [rows_of(small_data / "parts" / f"{name}.jsonl") for name in ("train", "dev", "test")]
    together = {row["id"]: row for part in parts for row in part}
    assert sum(map(len, parts)) == 20
    assert together["d1"]["labels"] == ["physics"]
    assert {"music", "physics"} <= {label for row in parts[2] for label in row["labels"]}  # stratified


def test_split_has_usual_parts_and_a_seed(run_data: Run, small_data: Path) -> None:
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run_data("split", "small.jsonl", "-o", folder, "--seed", seed, "--random").code == 0
    first, again, other = ([*map(Path.read_bytes, sorted((small_data / folder).iterdir()))] for folder in "abc")
    assert sorted(path.name for path in (small_data / "a").iterdir()) == [
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]
    assert first == again != other


def test_split_keeps_groups_and_equal_texts_together(run_data: Run, tmp_path: Path) -> None:
    rows = [document(i, ["a"], author=f"author {i % 7}") for i in range(40)]
    write_jsonl(tmp_path / "groups.jsonl", rows)
    run_data("split", "groups.jsonl", "-o", "parts", "--parts", "train=0.5,test=0.5", "--group", "author")
    train, test = (rows_of(tmp_path / "parts" / f"{name}.jsonl") for name in ("train", "test"))
    assert len(train) + len(test) == 40
    assert not {row["author"] for row in train} & {row["author"] for row in test}
    twice = [{**document(i % 10, ["a"]), "id": str(i)} for i in range(40)]
    write_jsonl(tmp_path / "twice.jsonl", twice)
    apart = run_data("split", "twice.jsonl", "-o", "apart", "--parts", "train=0.5,test=0.5", "--random")
    assert "texts stand in more than one part" in apart.err
    joined = run_data("split", "twice.jsonl", "-o", "joined", "--parts", "train=0.5,test=0.5", "--equal-texts-together")
    assert joined.err == ""


def test_split_into_folds_tests_on_each_document_once(run_data: Run, small_data: Path) -> None:
    result = run_data("split", "small.jsonl", "-o", "folds", "--folds", "4", "--json")
    values = json.loads(result.out)
    assert [part["documents"] for part in values["parts"]] == [15, 5] * 4
    tested = []
    for number in range(1, 5):
        folder = small_data / "folds" / f"fold-{number}"
        train, test = ({row["id"] for row in rows_of(folder / f"{name}.jsonl")} for name in ("train", "test"))
        assert not train & test
        assert len(train | test) == 20
        tested += sorted(test)
    assert len(set(tested)) == len(tested) == 20


def test_split_of_a_table_keeps_its_columns_and_separator(run_data: Run, tmp_path: Path) -> None:
    body = "".join(f"{i},text number {i},a|b,{2000 + i}\n" for i in range(10))
    (tmp_path / "table.csv").write_text("nr,body,topics,year\n" + body)
    options = ("--text", "body", "--labels", "topics", "--id", "nr")
    result = run_data("split", "table.csv", "-o", "parts", "--format", "csv.gz", *options)
    assert result.code == 0
    with gzip.open(tmp_path / "parts" / "train.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert set(rows[0]) == {"nr", "body", "topics", "year"}
    assert rows[0]["topics"] == "a|b"
    assert int(rows[0]["year"]) == 2000 + int(rows[0]["nr"])
    assert "Labels were split at '|'; give --label-separator '' if" in result.err


def test_split_tells_how_many_labels_reach_each_part(run_data: Run, small_data: Path) -> None:
    write_jsonl(small_data / "rare.jsonl", [document(i, ["a", "rare"] if i == 0 else ["a"]) for i in range(20)])
    result = run_data("split", "rare.jsonl", "-o", "parts", "--json")
    parts = json.loads(result.out)["parts"]
    assert sorted((part["labels"], part["labels_missing"]) for part in parts) == [(1, 1), (1, 1), (2, 0)]
    assert result.err == "1 label has fewer documents than there are parts and cannot reach all of them.\n"


def test_split_replaces_nothing_unless_told_to(run_data: Run, small_data: Path) -> None:
    (small_data / "parts").mkdir()
    (small_data / "parts" / "test.jsonl").write_text("precious\n")
    result = run_data("split", "small.jsonl", "-o", "parts")
    assert (result.code, result.out) == (2, "")
    expected = "parts/test.jsonl: already exists. Choose another name, or replace it with --overwrite."
    assert expected in result.err.replace("\\", "/")
    assert [path.name for path in (small_data / "parts").iterdir()] == ["test.jsonl"]
    assert (small_data / "parts" / "test.jsonl").read_text() == "precious\n"
    assert run_data("split", "small.jsonl", "-o", "parts", "--overwrite").code == 0
    assert len(rows_of(small_data / "parts" / "test.jsonl")) == 2


def test_split_never_replaces_the_file_that_it_reads(run_data: Run, small_data: Path) -> None:
    (small_data / "small.jsonl").rename(small_data / "train.jsonl")
    before = (small_data / "train.jsonl").read_bytes()
    result = run_data("split", "train.jsonl", "-o", ".", "--overwrite")
    assert result.code == 2
    assert "train.jsonl: is the file that is read; write to another name." in result.err
    assert (small_data / "train.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--parts", "train=0.8"), "are 0.8 together; they must be 1"),
        (("--parts", "train,test"), "--parts: 'train' is not name=share; write names and shares such as train=0.8"),
        (("--parts", "train=0.5,train=0.5"), "--parts: 'train' is named twice"),
        (("--parts", "a/b=0.5,c=0.5"), "--parts: 'a/b' cannot be the name of a file"),
        (("--parts", "train=most,test=0.1"), "--parts: the share of 'train' is 'most', not a number"),
        (("--parts", "train=1.5,test=-0.5"), "the share of a part must be above 0"),
        (("--parts", "a=0.5,b=0.5", "--folds", "2"), "--parts and --folds are two ways to split"),
        (("--folds", "21"), "20 documents cannot be split into 21 parts"),
        (("--group", "author"), "there is no field 'author'"),
        (("--group", "id", "--equal-texts-together"), "give one of them."),
        (("--format", "xlsx"), "unknown corpus format 'xlsx'"),
    ],
)
def test_split_answers_mistakes_with_a_sentence(
    run_data: Run, small_data: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run_data("split", "small.jsonl", "-o", "parts", *arguments)
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err
    assert not (small_data / "parts").exists()


# -- convert ---------------------------------------------------------------------------------------------------


def test_convert_there_and_back_loses_nothing(run_data: Run, tmp_path: Path) -> None:
    rows = [
        {"id": "1", "text": 'Line\nbreak, "quotes" and\ttab é 漢 \u2028', "labels": ["a;b", "c"], "year": "2019"},
        {"id": "2", "text": "No labels", "labels": [], "year": "2020"},
        {"id": "3", "text": " outer space ", "labels": ["["], "year": ""},
    ]
    write_jsonl(tmp_path / "in.jsonl", rows)
    for source, target in (("in.jsonl", "b.csv.gz"), ("b.csv.gz", "c.tsv"), ("c.tsv", "out.jsonl")):
        result = run_data("convert", source, target)
        assert (result.code, result.out) == (0, "")
        assert f"Wrote {target}: 3 documents." in result.err
    assert rows_of(tmp_path / "out.jsonl") == rows


def test_convert_writes_the_separator_that_is_asked_for(run_data: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,labels\nhello there,b/a\n")
    result = run_data("convert", "in.csv", "out.tsv", "--label-separator", "/", "--output-label-separator", ";")
    assert result.code == 0
    assert (tmp_path / "out.tsv").read_text() == "text\tlabels\nhello there\ta;b\n"


def test_convert_joins_several_text_fields(run_data: Run, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"title": "T", "body": "B", "labels": ["a"]}])
    run_data("convert", "in.jsonl", "joined.jsonl", "--text", "title", "--text", "body")
    assert rows_of(tmp_path / "joined.jsonl") == [{"text": "T\nB", "labels": ["a"]}]
    run_data("convert", "in.jsonl", "apart.jsonl", "--text", "title")
    assert rows_of(tmp_path / "apart.jsonl") == [{"title": "T", "body": "B", "labels": ["a"]}]


def test_convert_tells_what_it_left_out(run_data: Run, tmp_path: Path) -> None:
    rows = [document(1, ["a", "a", " b"]), document(2, ["a"])]
    write_jsonl(tmp_path / "in.jsonl", rows)
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write("{\n")
    result = run_data("convert", "in.jsonl", "out.csv", "--on-bad-line", "skip")
    assert result.code == 0
    assert "1 bad line was left out; the first one: in.jsonl:3: " in result.err
    assert "1 label occurred twice in one document and counted once." in result.err
    assert "White space around 1 label was dropped." in result.err
    assert len(read_corpus(tmp_path / "out.csv")) == 2


def test_convert_replaces_nothing_unless_told_to(run_data: Run, small_data: Path) -> None:
    (small_data / "out.csv").write_text("precious")
    result = run_data("convert", "small.jsonl", "out.csv")
    assert result.code == 2
    assert "out.csv: already exists. Choose another name, or replace it with --overwrite." in result.err
    assert (small_data / "out.csv").read_text() == "precious"
    assert run_data("convert", "small.jsonl", "out.csv", "--overwrite").code == 0
    assert "is the file that is read" in run_data("convert", "out.csv", "out.csv", "--overwrite").err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("small.jsonl", "out.xlsx"), "out.xlsx: the suffix '.xlsx' is none of a corpus file"),
        (
            ("small.jsonl", "out.jsonl", "--output-label-separator", ";"),
            "labels are lists in JSONL; leave --output-label-separator out.",
        ),
        (("small.jsonl", "none/out.csv"), "the folder none does not exist; make it first"),
        (("small.jsonl", "out.csv", "--output-label-separator", "s"), "the label 'arts' contains the separator 's'"),
        (("none.jsonl", "out.csv"), "none.jsonl: no such file."),
    ],
)
def test_convert_answers_mistakes_with_a_sentence(
    run_data: Run, small_data: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run_data("convert", *arguments)
    assert result.code == 2
    assert sentence in result.err
    assert not (small_data / "out.csv").exists()


# -- convert-taxonomy ------------------------------------------------------------------------------------------


def test_convert_taxonomy_there_and_back_loses_nothing(run_data: Run, tmp_path: Path) -> None:
    (tmp_path / "topics.paths").write_text("arts/music/theory\nscience/theory\n")
    first = run_data("convert-taxonomy", "topics.paths", "topics.yaml")
    assert (first.code, first.err) == (0, "Wrote topics.yaml: 5 labels, 3 edges, 3 levels.\n")
    second = run_data("convert-taxonomy", "topics.yaml", "topics.tsv", "--output-names", "names.tsv")
    assert second.code == 0
    expected = read_taxonomy(tmp_path / "topics.paths")
    assert read_taxonomy(tmp_path / "topics.tsv", names=tmp_path / "names.tsv") == expected
    assert read_names(tmp_path / "names.tsv")["science/theory"] == "theory"
    third = run_data("convert-taxonomy", "topics.tsv", "again", "--to", "paths")
    assert third.code == 0
    assert read_taxonomy(tmp_path / "again", "paths") == expected


def test_convert_taxonomy_warns_of_names_that_are_lost(run_data: Run, tmp_path: Path) -> None:
    (tmp_path / "topics.json").write_text('[{"id": "9", "name": "Science"}]')
    result = run_data("convert-taxonomy", "topics.json", "topics.tsv")
    assert "topics.tsv has no place for the display names; keep them with --output-names FILE." in result.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("topics.tsv", "small.jsonl"), "small.jsonl: already exists."),
        (("topics.tsv", "topics.tsv", "--overwrite"), "topics.tsv: is the file that is read; write to another name."),
        (("topics.tsv", "out"), "The name of out does not say which format to write"),
        (("topics.tsv", "out.paths"), "The taxonomy cannot be written to out.paths as paths"),
        (("topics.tsv", "out.tsv", "--output-names", "out.tsv"), "would hold the taxonomy and the names"),
        (("none.tsv", "out.tsv"), "The file none.tsv does not exist; check the path."),
    ],
)
def test_convert_taxonomy_answers_mistakes_with_a_sentence(
    run_data: Run, small_data: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run_data("convert-taxonomy", *arguments)
    assert result.code == 2
    assert sentence in result.err
