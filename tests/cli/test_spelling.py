"""Messages name the options of the command, keys in a training, and parameters in Python."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer

from command import Command
from taxotext import read_corpus
from taxotext.cli.app import app
from taxotext.cli.spelling import spelling_of
from taxotext.data import Columns
from taxotext.errors import DataError
from taxotext.messages import NO_VALUE, parameter, spelled


def test_python_names_its_parameters() -> None:
    assert parameter("label_separator", ";") == "label_separator=';'"
    assert parameter("unknown_labels", "drop") == "unknown='drop'"
    assert parameter("labels") == "columns.labels"


@pytest.mark.parametrize(
    ("arguments", "name", "value", "written"),
    [
        (["data", "check", "c.csv"], "label_separator", ";", "--label-separator ';'"),
        (["data", "check", "c.csv"], "label_separator", "", "--label-separator ''"),
        (["data", "split", "c.csv"], "overwrite", True, "--overwrite"),
        (["evaluate", "m", "c.csv"], "unknown_labels", "drop", "--unknown-labels drop"),
        (["predict", "m", "c.csv"], "on_bad_line", "skip", "--on-bad-line skip"),
        (["train", "--train", "c.csv"], "label_separator", ",", "--label-separator ,"),
        (["train", "--train", "c.csv"], "label_separator", ";", "--label-separator ';'"),
        (["train", "--train", "c.csv"], "label_separator", "", "--label-separator ''"),
        (["train", "--train", "c.csv"], "unknown_labels", "drop", "data.unknown_labels=drop"),
        (["train", "--train", "c.csv"], "input_format", "tsv", "data.format=tsv"),
        (["train", "--train", "c.csv"], "resume", True, "--resume"),
        (["search", "--train", "c.csv"], "on_bad_line", "skip", "data.on_bad_line=skip"),
        (["data", "check", "c.csv"], "no_quotes", NO_VALUE, "--no-quotes"),
        (["train", "--train", "c.csv"], "no_quotes", NO_VALUE, "--no-quotes"),
        (["search", "--train", "c.csv"], "no_quotes", NO_VALUE, "data.quotes=false"),
        (["compare", "a", "b"], "test", "bootstrap", "--test bootstrap"),
    ],
)
def test_a_command_names_its_options_or_keys(arguments: list[str], name: str, value: object, written: str) -> None:
    with spelled(spelling_of(typer.main.get_command(app), arguments)):
        assert parameter(name, value) == written
    assert parameter("overwrite", True) == "overwrite=True"


ROWS = (("ripe plum", '"a, b"'), ("red car", '"b, c"')) * 3
TABLE = "text,labels\n" + "".join(f"{text},{cell}\n" for text, cell in ROWS)


def advised(sentence: str, start: str) -> list[str]:
    """What a sentence says to give, as a shell reads it, from ``start`` on."""
    rest = sentence[sentence.index(start) :]
    return shlex.split(rest.partition(" to split")[0])


def test_the_advice_about_a_comma_works_where_it_is_given(command: Command) -> None:
    Path("c.csv").write_text(TABLE, encoding="utf-8")
    train = ["train", "--model=linear", "--train=c.csv", "--output=m"]
    outcome = command(*train)
    outcome.refused("give --label-separator , to split there, or --label-separator '' if each cell is one")
    command(*train, *advised(outcome.err, "--label-separator")).ok()
    command("evaluate", "m", "c.csv", "--label-separator=,").ok()
    stats = command("data", "stats", "c.csv")
    stats.refused("give --label-separator , to split there, or --label-separator '' if each cell is one label")
    command("data", "stats", "c.csv", "--label-separator", ",").ok()
    with pytest.raises(DataError, match=r"give label_separator=',' to split there, or label_separator=''"):
        read_corpus("c.csv")
    assert read_corpus("c.csv", columns=Columns(label_separator=",")).taxonomy.ids == ("a", "b", "c")


def test_a_missing_column_is_answered_with_what_names_it(command: Command, sample_model: Path) -> None:
    Path("c.csv").write_text("body,topics\nripe plum,a\n", encoding="utf-8")
    command("train", "--model=linear", "--train=c.csv", "--output=m").refused(
        "say with --text, --labels and --id which one is what"
    )
    command("evaluate", sample_model, "c.csv").refused("say with --text, --labels and --id which one is what")
    command("predict", sample_model, "c.csv").refused("say with --text and --id which one is what")
    report = ["report", sample_model, "--corpus=c.csv", "--output=r.html"]
    command(*report).refused("say with --text, --labels and --id which one is what")
    command(*report, "--text=body", "--labels=topics").ok()
    command("report", sample_model, "--output=r2.html", "--text=body").refused("name fields of --corpus; give it, too")
    command("explain", sample_model, "c.csv").refused("say with --text-field which one is what")
    command("explain", sample_model, "c.csv", "--text-field=body").ok()
    command("data", "stats", "c.csv").refused("say with --text, --labels and --id which one is what")
    with pytest.raises(DataError, match=r"say with columns\.text, columns\.labels and columns\.id which one is what"):
        read_corpus("c.csv")


def test_bad_lines_and_existing_files_name_the_option(command: Command) -> None:
    Path("c.jsonl").write_text('{"text": "a", "labels": ["x"]}\noops\n', encoding="utf-8")
    command("data", "convert", "c.jsonl", "d.jsonl").refused("leave bad lines out (--on-bad-line skip)")
    command("train", "--model=linear", "--train=c.jsonl", "--output=m").refused("(data.on_bad_line=skip)")
    with pytest.raises(DataError, match=r"leave bad lines out \(on_bad_line='skip'\)"):
        read_corpus("c.jsonl")
