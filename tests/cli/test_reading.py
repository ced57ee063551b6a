"""What users' files and options are like, through the commands: read, told, or refused with advice that works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import Command, documents
from taxotext import load
from taxotext.data import read_corpus

FRUIT = ["apple pear plum", "plum apple", "pear and plum", "ripe apple"]
CARS = ["car engine wheel", "engine and wheel", "a car wheel", "wheel car"]


def table(name: str, header: str, fruit: str, cars: str, sign: str = ",") -> None:
    """A file of four documents about fruit and four about cars, with these cells behind the text."""
    rows = [f"{text}{sign}{fruit}" for text in FRUIT] + [f"{text}{sign}{cars}" for text in CARS]
    Path(name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("header", "fruit", "cars", "expected"),
    [
        ("text,fruit,cars,none", "1,0,0", "0,1,0", [["fruit"], ["cars"]]),
        ("text,fruit,cars", "True,False", "False,True", [["fruit"], ["cars"]]),
        ("text,l1,l2", "food,apple", "thing,car", [["food", "apple"], ["thing", "car"]]),
        ("text,l1,l2,l3", "food,,x y", "thing,car,", [["food", "x y"], ["thing", "car"]]),
    ],
)
def test_several_label_columns_work_in_every_command(
    command: Command, header: str, fruit: str, cars: str, expected: list[list[str]]
) -> None:
    table("a.csv", header, fruit, cars)
    columns = [f"--labels={name}" for name in header.split(",")[1:]]
    assert "0 errors" in command("data", "check", "a.csv", *columns).ok().err
    metrics = json.loads(command("data", "stats", "a.csv", *columns, "--json").ok().out)
    assert metrics["documents_without_labels"] == 0
    assert metrics["labels_used"] == len({label for labels in expected for label in labels})
    command("data", "convert", "a.csv", "a.jsonl", *columns).ok()
    assert [set(labels) for labels in read_corpus("a.jsonl").label_lists()][::4] == [set(labels) for labels in expected]
    command("data", "split", "a.csv", "-o", "parts", "--parts", "a=0.5,b=0.5", *columns).ok()
    assert sum(len(read_corpus(f"parts/{part}.jsonl")) for part in "ab") == 8
    command(
        "train", "--model=linear", "--train=a.csv", "--validation=a.csv", "--output=m", *columns, "--threads=1"
    ).ok()
    assert json.loads(command("evaluate", "m", "a.csv", "--json").ok().out)["unknown_labels"] == 0
    command("tune", "m", "--data=a.csv", "--shrink=1").ok()
    assert set(command("predict", "m", "a.csv").ok().lines[0]["labels"]) == set(expected[0])  # type: ignore[call-overload]


def test_a_label_without_documents_is_kept_in_training_and_named_where_files_lose_it(command: Command) -> None:
    table("a.csv", "text,fruit,cars,none", "1,0,0", "0,1,0")
    columns = ["--labels=fruit", "--labels=cars", "--labels=none"]
    told = command("data", "convert", "a.csv", "a.jsonl", *columns).ok().err
    assert "1 label that no document has is not in what was written: none." in told
    command("train", "--model=linear", "--train=a.csv", "--output=m", *columns, "--threads=1").ok()
    assert load("m").taxonomy.ids == ("fruit", "cars", "none")


@pytest.mark.parametrize("cells", [("[1, 0]", "[0, 1]"), ("[1 0]", "[0 1]"), ("1 0", "0 1")])
def test_vectors_are_no_labels_0_and_1(command: Command, cells: tuple[str, str]) -> None:
    table("a.tsv", "text\tlabels", *cells, sign="\t")
    told = command("data", "check", "a.tsv").ok().out
    assert "vectors with a place for each of 2 labels, named by their number from 0" in told
    command("train", "--model=linear", "--train=a.tsv", "--output=m", "--threads=1").ok()
    assert [line["labels"] for line in command("predict", "m", "a.tsv", "--top-k=1").ok().lines] == [["0"]] * 4 + [
        ["1"]
    ] * 4


def test_signs_that_split_labels_are_told_by_check_and_train_and_the_advice_works(command: Command) -> None:
    lines = ["text,labels", *(f"{text},food#fruit" for text in FRUIT), "pear,fruit", "bread,food", "car,thing"]
    Path("a.csv").write_text("\n".join(lines) + "\n")
    advice = "'#' splits 1 label into labels that are there by themselves, too: 'food#fruit' into 'food' and 'fruit'"
    checked = command("data", "check", "a.csv").ok()
    assert advice in checked.out
    assert "Each cell of 'labels' is one label." in checked.out
    trained = command("train", "--model=linear", "--train=a.csv", "--output=m", "--threads=1").ok().err
    assert advice in trained
    assert "give --label-separator '#'" in trained
    given = ("--label-separator", "#")
    assert "splits" not in command("data", "check", "a.csv", *given).ok().out
    told = command("train", "--model=linear", "--train=a.csv", "--output=n", "--threads=1", *given).ok().err
    assert "splits" not in told
    assert set(load("n").taxonomy.ids) == {"food", "fruit", "thing"}
    Path("topics.txt").write_text("food\nfruit\nthing\n")
    refused = command("train", "--model=linear", "--train=a.csv", "--taxonomy=topics.txt", "--output=o")
    refused.refused("'food#fruit' into 'food' and 'fruit'", "give --label-separator '#'")


def test_the_comma_is_refused_and_either_advice_works(command: Command) -> None:
    table("a.tsv", "text\tlabels", "food, fruit", "car", sign="\t")
    for verb in (["check", "a.tsv"], ["convert", "a.tsv", "b.jsonl"]):
        command("data", *verb).refused("give --label-separator , to split there, or --label-separator ''")
    command("data", "convert", "a.tsv", "b.jsonl", "--label-separator", ",").ok()
    command("data", "convert", "a.tsv", "c.jsonl", "--label-separator", "").ok()
    assert read_corpus("b.jsonl").label_lists()[0] == ["food", "fruit"]
    assert read_corpus("c.jsonl").label_lists()[0] == ["food, fruit"]


def test_quotes_that_mean_nothing_are_an_option_that_is_kept_with_the_model(command: Command) -> None:
    table("a.tsv", "text\tlabels", "fruit", "cars", sign="\t")
    Path("a.tsv").write_text(Path("a.tsv").read_text().replace("plum apple", '"plum apple'))
    command("data", "convert", "a.tsv", "a.jsonl").refused("or give --no-quotes where a quote")
    command("data", "convert", "a.tsv", "a.jsonl", "--no-quotes").ok()
    assert read_corpus("a.jsonl").texts[1] == '"plum apple'
    command("train", "--model=linear", "--train=a.tsv", "--output=m", "--no-quotes", "--threads=1").ok()
    assert len(command("predict", "m", "a.tsv").ok().lines) == 8
    assert json.loads(command("evaluate", "m", "a.tsv", "--json").ok().out)["documents"] == 8
    command("train", "--model=linear", "--train=a.jsonl", "--output=n", "--threads=1").ok()
    outcome = command("predict", "n", "a.tsv")  # which has no such option: files are read as that of the training
    outcome.refused("opens a quote")
    assert "quotes" not in outcome.err


def test_an_option_that_is_given_twice_and_keeps_one_value_is_an_error(command: Command) -> None:
    table("a.csv", "text,labels", "fruit", "cars")
    command("data", "check", "a.csv", "--id=a", "--id=b").refused(
        "--id is given twice and takes one value; give it once."
    )
    command("train", "--train=a.csv", "--train=b.csv", "-o", "m").refused("--train is given twice")
    command("train", "--train=a.csv", "-o", "m", "--output", "n").refused("--output is given twice")
    command("train", "--train=a.csv", "seed=1", "seed=2", "-o", "m").refused("seed is set twice on the command line")
    command("data", "check", "a.csv", "--text=text", "--labels=labels", "--json", "--json").ok()


def test_what_has_no_effect_is_said(command: Command) -> None:
    table("a.csv", "text,labels", "fruit", "cars")
    assert "Not used: --label-separator; it is in none of 8 cells of 'labels'." in (
        command("data", "convert", "a.csv", "a.jsonl", "--label-separator=;").ok().err
    )
    assert "Not used: --label-separator; 'labels' holds lists of labels." in (
        command("data", "convert", "a.jsonl", "b.jsonl", "--label-separator=;").ok().err
    )
    assert "Not used: --no-quotes; jsonl has no cells in quotes." in (
        command("data", "check", "a.jsonl", "--no-quotes").ok().out
    )
    command("data", "convert", "a.jsonl", "a.txt", "--to=libmultilabel").ok()
    assert "Not used: --labels; libmultilabel has no names of fields." in (
        command("data", "check", "a.txt", "--labels=topics").ok().out
    )
    Path("t.tsv").write_text("Root\tfruit\nRoot\tcars\n")
    assert "not used: the language of a taxonomy ('de') is for skos" in (
        command("data", "check", "a.csv", "--taxonomy=t.tsv", "--taxonomy-language=de").ok().err
    )
    command("data", "check", "a.csv", "--path-separator=>").refused("--path-separator says more about a taxonomy")
    assert "Not used: --taxonomy; labels in csv are ids" in (
        command("data", "convert", "a.csv", "c.jsonl", "--taxonomy=t.tsv").ok().err
    )
    Path("names.tsv").write_text("a\tA\nb\tB\n")
    given = ("--model=linear", "--train=a.csv", "--threads=1")
    told = command("train", *given, "--names=names.tsv", "--output=m", "data.taxonomy_language=de").ok().err
    assert "Not used: --names; 0 of 2 names match a label." in told
    assert "Not used: data.taxonomy_language; no taxonomy is named (data.taxonomy)." in told


def test_one_label_that_some_documents_have_is_a_task(command: Command) -> None:
    table("a.csv", "text,fruit", "1", "0")
    assert "0 errors" in command("data", "check", "a.csv", "--labels=fruit").ok().err
    command("train", "--model=linear", "--train=a.csv", "--labels=fruit", "--output=m", "--threads=1").ok()
    assert json.loads(command("evaluate", "m", "a.csv", "--json").ok().out)["labels"] == 1


def test_a_field_that_every_record_lacks_is_told_once(command: Command) -> None:
    Path("a.jsonl").write_text('{"text": "x", "tags": ["a"]}\n' * 40)
    for verb in ("check", "stats"):
        outcome = command("data", verb, "a.jsonl")
        outcome.refused("in all of its 40 records there is no field 'labels', only 'text', 'tags'", "--labels")
        assert outcome.err.count("\n") == 1
    command("data", "stats", "a.jsonl", "--labels=tags").ok()


def test_exports_of_annotation_tools_are_converted(command: Command) -> None:
    region = {"from_name": "mood", "value": {"choices": ["good"]}}
    tasks = [
        {"id": 1, "data": {"body": "x"}, "annotations": [{"result": [region]}]},
        {"id": 2, "data": {"body": "y"}, "annotations": [{"result": [], "was_cancelled": True}]},
    ]
    Path("a.json").write_text(json.dumps(tasks))
    told = command("data", "convert", "a.json", "a.jsonl", "--text=body", "--labels=mood").ok().err
    assert "1 record was left out: no annotation, or only skipped ones." in told
    assert json.loads(Path("a.jsonl").read_text()) == {"id": 1, "body": "x", "mood": ["good"]}


def test_a_tree_is_made_of_the_paths_that_label_a_corpus(command: Command) -> None:
    table("a.csv", "text,topics", "food/fruit;food", "things > cars")
    given = ("data", "convert-taxonomy", "a.csv", "t.tsv")
    command(*given, "--from-corpus", "--labels=topics").ok()
    assert Path("t.tsv").read_text() == "Root\tfood\nfood\tfood/fruit\nRoot\tthings > cars\n"
    command("data", "check", "a.csv", "--labels=topics", "--taxonomy=t.tsv").ok()
    command(*given, "--labels=topics", "--overwrite").refused("add --from-corpus if a.csv is one")
    command(*given, "--from-corpus", "--labels=topics", "--path-separator=--", "--overwrite").refused(
        "none of its 3 labels has '--' in it", "--path-separator"
    )


@pytest.mark.parametrize("verb", [["evaluate", "m"], ["tune", "m", "--data"]], ids=["evaluate", "tune"])
def test_the_fields_of_a_file_may_have_other_names_than_in_training(verb: list[str], command: Command) -> None:
    rows = [json.loads(line) for line in documents().splitlines()]
    train = [{"body": row["text"], "topics": row["labels"], "ticket": number} for number, row in enumerate(rows)]
    Path("other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in train), encoding="utf-8")
    fields = ["data.text=body", "data.labels=topics", "data.id=ticket"]
    command("train", "--model=linear", "--train=other.jsonl", "--output=m", *fields).ok()
    Path("new.csv").write_text("title,t,l,n\nripe,plum,fruit#cars,1\nred,car,cars,2\n", encoding="utf-8")
    labels = ["--labels=l", "--label-separator=#"]
    found = command(*verb, "new.csv", "--json", "--text=title", "--text=t", *labels).ok()
    assert json.loads(found.out)["documents"] == 2
    command(*verb, "new.csv", "--json", "--text=t", *labels, "--id=n").ok()
    command(*verb, "new.csv", "--json", "--text=t", *labels, "--id=missing").refused("missing")


def test_broken_json_is_told_with_the_option_of_the_command(command: Command) -> None:
    Path("bad.json").write_text('[{"text": "a", "labels": ["x"]},\n{"text"', encoding="utf-8")
    command("data", "check", "bad.json").refused("at line 2", "give --input-format jsonl if each line")
    command("train", "--train", "bad.json", "--output", "w").refused("give data.format=jsonl if each line")
