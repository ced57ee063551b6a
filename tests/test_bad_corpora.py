"""Malformed corpora through every command that reads one: a sentence, exit code 2, nothing written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from command import Command, documents
from taxotext import TaxotextError, read_corpus
from taxotext.data import read_documents

GOOD = '{"text": "the printer jams", "labels": ["printing"]}\n'


def line(**fields: object) -> str:
    return json.dumps({"text": "the printer jams", "labels": ["printing"], **fields}) + "\n"


# what is wrong: (file name, content, fragments of the sentence)
TEXTS: dict[str, tuple[str, bytes | str | None, tuple[str, ...]]] = {
    "missing": ("corpus.jsonl", None, ("corpus.jsonl: no such file",)),
    "missing, with one like it": ("godo.jsonl", None, ("no such file", "Did you mean 'good.jsonl'?")),
    "in a missing folder": ("no/corpus.jsonl", None, ("the folder no does not exist",)),
    "a folder": ("folder.jsonl", None, ("this is a folder; name a file in it",)),
    "no suffix": ("corpus", GOOD, ("the file name has no suffix; use jsonl, json, csv or tsv",)),
    "unknown suffix": ("corpus.docx", GOOD, ("the suffix '.docx' is none of a corpus file",)),
    "name too long": ("x" * 300 + ".jsonl", None, ("is not a possible file name",)),
    "empty": ("c.jsonl", "", ("the file is empty; give a file with one JSON object a line",)),
    "empty csv": ("c.csv", "", ("the file is empty; give a file with a header",)),
    "blank lines": ("c.jsonl", "\n\n  \n", ("the file holds only blank lines",)),
    "only a header": ("c.csv", "text,labels\n", ("a header and no documents",)),
    "no JSON": ("c.jsonl", "hello\n", ("c.jsonl:1: this is not valid JSON, at column 1",)),
    "a cut line": ("c.jsonl", GOOD + '{"text": "a', ("c.jsonl:2: this is not valid JSON",)),
    "a list": ("c.jsonl", '["text"]\n', ("each line must be a JSON object, found a list",)),
    "a number": ("c.jsonl", "3\n", ("each line must be a JSON object, found a number",)),
    "no text": ("c.jsonl", '{"labels": ["printing"]}\n', ("c.jsonl:1: there is no field 'text', only 'labels'",)),
    "text misspelt": ("c.jsonl", '{"txt": "a", "labels": []}\n', ("Did you mean 'txt'?",)),
    "text is a number": ("c.jsonl", line(text=3), ("the field 'text' must be a string, found a number: 3",)),
    "text is a list": ("c.jsonl", line(text=["a"]), ("the field 'text' must be a string, found a list",)),
    "NUL in the text": ("c.jsonl", line(text="a\0b"), ("the text holds a NUL character",)),
    "half a character": ("c.jsonl", '{"text": "\\ud800", "labels": []}\n', ("this is not valid JSON",)),
    "id is a list": ("c.jsonl", line(id=[1]), ("the field 'id' must be a string or a whole number, found a list",)),
    "id is true": ("c.jsonl", line(id=True), ("the field 'id' must be a string or a whole number",)),
    "Latin-1": ("c.jsonl", line(text="caf").encode()[:-4] + b"\xe9\n", ("is not UTF-8 (byte 0xE9",)),
    "UTF-16": ("c.jsonl", GOOD.encode("utf-16"), ("the file is UTF-16; save it as UTF-8",)),
    "binary": ("c.jsonl", b"\x00\x01\x02\xff", ("there is a NUL byte at byte 1",)),
    "a zip archive": ("c.csv", b"PK\x03\x04rest", ("this is a zip archive or a spreadsheet",)),
    "gzip without .gz": ("c.jsonl", gzip.compress(GOOD.encode()), ("end its name in .gz",)),
    ".gz without gzip": ("c.jsonl.gz", GOOD, ("this is not a gzip file",)),
    "cut gzip": ("c.jsonl.gz", gzip.compress(GOOD.encode() * 99)[:-9], ("breaks off",)),
    "damaged gzip": ("c.jsonl.gz", gzip.compress(b"x" * 99)[:12] + b"\0" * 30, ("c.jsonl.gz: ",)),
    "csv without text": ("c.csv", "a,labels\nb,printing\n", ("c.csv:1: the header lacks a column", "no field 'text'")),
    "a column twice": ("c.csv", "text,text,labels\na,b,printing\n", ("the column 'text' twice",)),
    "too few cells": ("c.csv", "text,labels,id\na,printing\n", ("c.csv:2: the row has too few cells, 2",)),
    "too many cells": ("c.csv", "text,labels\na,printing,c,d\n", ("the row has too many cells, 4",)),
    "quote left open": ("c.csv", 'text,labels\n"a,printing\n', ("c.csv:2:", "never closed")),
    "stray quote": ("c.csv", 'text,labels\n"a"b,printing\n', ("c.csv:2: this is not valid CSV",)),
}
NO_TEXT: dict[str, tuple[str, bytes | str | None, tuple[str, ...]]] = {
    "text is null": ("c.jsonl", line(text=None), ("the field 'text' must be a string, found null",)),
    "text is empty": ("c.jsonl", line(text=""), ("the text is empty (field 'text')",)),
    "text is blank": ("c.jsonl", line(text=" \t "), ("the text is empty",)),
}
LABELS: dict[str, tuple[str, bytes | str | None, tuple[str, ...]]] = {
    "no labels": ("c.jsonl", '{"text": "a"}\n', ("c.jsonl:1: there is no field 'labels'",)),
    "a label is empty": ("c.jsonl", line(labels=[""]), ("the field 'labels' has an empty label",)),
    "a label is a list": ("c.jsonl", line(labels=[["printing"]]), ("found a list in it",)),
    "a label with a TAB": ("c.jsonl", line(labels=["a\tb"]), ("contains a TAB or a line break",)),
    "csv without labels": ("c.csv", "text,tags\na,printing\n", ("there is no field 'labels'",)),
    "two separators": ("c.csv", "text,labels\na,x;y\nb,x|y\n", ("has ';' and '|' in its cells",)),
    "commas in a cell": ("c.csv", 'text,labels\na,"x,y"\n', ("which may separate labels",)),
    "cut JSON list": ("c.csv", 'text,labels\na,"[""x"""\n', ("begins like a JSON list but is none",)),
}
# What looks malformed and is not: (file name, content, label sets).
READ: dict[str, tuple[str, str, list[list[str]]]] = {
    "json": ("c.json", f"[{GOOD}]", [["printing"]]),
    "csv with semicolons": ("c.csv", "text;labels\na;printing\n", [["printing"]]),
    "tsv named csv": ("c.csv", "text\tlabels\na\tprinting\n", [["printing"]]),
    "labels are text": ("c.jsonl", line(labels="printing"), [["printing"]]),
    "labels are null": ("c.jsonl", line(labels=None), [[]]),
    "labels are an object": ("c.jsonl", line(labels={"printing": 1, "vpn": 0}), [["printing"]]),
    "a label is a number": ("c.jsonl", line(labels=[3]), [["3"]]),
    "a doubled separator": ("c.csv", "text,labels\na,x;;y\n", [["x", "y"]]),
}
COMMANDS = {
    "predict": "predict {model} {file} --output written",
    "evaluate": "evaluate {model} {file} --json --unknown-labels drop",
    "tune": "tune {model} --data {file}",
    "train": "train --model linear --train {file} --output written",
    "validation": "train --model linear --train good.jsonl --validation {file} --output written",
}
Wrong = tuple[str, "bytes | str | None", tuple[str, ...]]


def check_refused(wrong: Wrong, verb: str, command: Command, model: Path) -> None:
    name, content, fragments = wrong
    Path("good.jsonl").write_text(GOOD, encoding="utf-8")
    Path("folder.jsonl").mkdir()
    if content is not None:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before = sorted(path.name for path in Path().iterdir())
    command(*COMMANDS[verb].format(model=model, file=name).split()).refused(*fragments)
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize("verb", ["predict", "evaluate", "train"])
@pytest.mark.parametrize("wrong", TEXTS.values(), ids=TEXTS)
def test_a_malformed_corpus_is_answered_with_a_sentence(
    wrong: Wrong, verb: str, command: Command, sample_model: Path
) -> None:
    check_refused(wrong, verb, command, sample_model)


@pytest.mark.parametrize("verb", ["evaluate", "train"])  # predict answers such a document with no labels
@pytest.mark.parametrize("wrong", NO_TEXT.values(), ids=NO_TEXT)
def test_a_document_without_text_is_answered_with_a_sentence(
    wrong: Wrong, verb: str, command: Command, sample_model: Path
) -> None:
    check_refused(wrong, verb, command, sample_model)


@pytest.mark.parametrize("verb", ["evaluate", "tune", "train", "validation"])
@pytest.mark.parametrize("wrong", LABELS.values(), ids=LABELS)
def test_malformed_labels_are_answered_with_a_sentence(
    wrong: Wrong, verb: str, command: Command, sample_model: Path
) -> None:
    check_refused(wrong, verb, command, sample_model)


@pytest.mark.parametrize("odd", READ.values(), ids=READ)
def test_odd_forms_of_a_corpus_are_read(odd: tuple[str, str, list[list[str]]], tmp_path: Path) -> None:
    name, content, labels = odd
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_corpus(tmp_path / name).label_lists() == labels


def test_all_bad_lines_are_listed_with_their_numbers(command: Command, sample_model: Path) -> None:
    Path("c.jsonl").write_text(GOOD + "\n" + line(text=3) + GOOD + "[]\n" + line(text=""), encoding="utf-8")
    outcome = command("evaluate", sample_model, "c.jsonl", "--json")
    outcome.refused("c.jsonl: 3 of 5 records cannot be read", "- c.jsonl:3:", "- c.jsonl:5:", "- c.jsonl:6:")


def test_of_many_bad_lines_the_first_twenty_are_listed(command: Command, sample_model: Path) -> None:
    Path("c.jsonl").write_text(GOOD + "oops\n" * 1000, encoding="utf-8")
    outcome = command("evaluate", sample_model, "c.jsonl")
    outcome.refused("1,000 of 1,001 records cannot be read (the first 20 are listed)", "c.jsonl:21:")
    assert "c.jsonl:22:" not in outcome.err


def test_predictions_of_a_file_with_a_bad_line_are_not_written(command: Command, sample_model: Path) -> None:
    Path("c.jsonl").write_text(line(id="1") + line(id="2") + "oops\n" + line(id="4"), encoding="utf-8")
    command("predict", sample_model, "c.jsonl").refused("c.jsonl:3: this is not valid JSON")
    command("predict", sample_model, "c.jsonl", "--output", "answers.jsonl").refused("c.jsonl:3:")
    assert not Path("answers.jsonl").exists()


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_skipped_lines_are_counted_and_the_first_is_named(verb: str, command: Command, sample_model: Path) -> None:
    Path("c.jsonl").write_text(GOOD + line(text=3) + "oops\n" + GOOD, encoding="utf-8")
    outcome = command(verb, sample_model, "c.jsonl", "--on-bad-line", "skip").ok()
    assert "skipped 2 of 4 records; the first one: c.jsonl:2: the field 'text' must be a string" in outcome.err
    command(verb, sample_model, "c.jsonl", "--on-bad-line", "skp").refused("choose 'error' or 'skip'")


def test_a_file_of_bad_lines_only_cannot_be_skipped(command: Command, sample_model: Path) -> None:
    Path("c.jsonl").write_text("oops\n" * 3, encoding="utf-8")
    command("predict", sample_model, "c.jsonl", "--on-bad-line", "skip").refused("3 of 3 records cannot be read")


def test_skipped_training_lines_are_counted(command: Command) -> None:
    Path("c.jsonl").write_text(documents() + "oops\n", encoding="utf-8")
    outcome = command("train", "--model=linear", "--train=c.jsonl", "data.on_bad_line=skip", "--output=m").ok()
    assert "skipped 1 of 9 records" in outcome.err
    assert json.loads(Path("m/config.json").read_text())["trained_on"]["training_documents"] == 8


@pytest.mark.parametrize(
    ("fields", "settings", "sentence"),
    [
        ({"w": -1}, ["data.weight=w"], "the weight (field 'w') must be a finite number, 0 or more, found -1"),
        ({"w": "heavy"}, ["data.weight=w"], "the weight (field 'w') must be a number, found 'heavy'"),
        ({"w": True}, ["data.weight=w"], "the weight (field 'w') must be a number, found True"),
        ({}, ["data.weight=w"], "there is no field 'w'"),
        ({"g": [1]}, ["data.group=g"], "the field 'g' must be a string or a whole number, found a list"),
        ({}, ["data.group=g"], "there is no field 'g'"),
        ({}, ["data.text=title"], "there is no field 'title'"),
        ({}, ["data.text=[text, body]"], "there is no field 'body'"),
        ({}, ["data.id=key"], "there is no field 'key'"),
    ],
)
def test_fields_of_the_configuration_are_checked(
    fields: dict[str, object], settings: list[str], sentence: str, command: Command
) -> None:
    Path("c.jsonl").write_text(line(**fields) * 3, encoding="utf-8")
    command("train", "--model=linear", "--train=c.jsonl", *settings, "--output=m").refused(sentence)
    assert not Path("m.run").exists()


FUZZ = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Bytes that mean something to the readers are more likely than others.
BYTES = st.lists(
    st.sampled_from(
        [b'{"text": "a"', b'"labels": ["x"]', b"}", b"[", b'"', b",", b"\n", b"\r", b"text,labels\n", b"\xff"]
    )
    | st.binary(max_size=6)
).map(b"".join)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "jsonl.gz"])
@FUZZ
@given(content=BYTES)
def test_any_bytes_are_a_corpus_or_a_sentence(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"corpus.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") and b"[" in content else content)
    try:
        corpus = read_corpus(path)
    except TaxotextError as error:
        assert str(path) in str(error)
        return
    assert len(corpus) >= 1


RECORDS = st.dictionaries(
    st.sampled_from(["text", "labels", "id", "weight", "txt"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    ),
)


@FUZZ
@given(records=st.lists(RECORDS, min_size=1, max_size=6))
def test_every_record_is_read_or_reported(records: list[dict[str, object]], tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    try:
        read = list(read_documents(path))
    except TaxotextError as error:
        assert len(error.problems) >= 1 or f"in all of its {len(records)} records there is no field" in str(error)
    else:
        assert len(read) == len(records)
