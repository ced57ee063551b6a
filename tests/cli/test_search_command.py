"""``taxotext search`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import Command, documents

pytest.importorskip("optuna")


@pytest.fixture
def train(tmp_path: Path) -> str:
    (tmp_path / "train.jsonl").write_text(documents() * 3)
    return "--train=train.jsonl"


FIXED = ("runtime.threads=1", "features.min_documents=1", "classifier.folds=2")
SPACE = ("--search=classifier.c=0.1..10:log", "--search=features.ngrams=[[1,1],[1,2]]")


def test_a_search_ends_with_a_table_a_configuration_and_a_model(command: Command, train: str) -> None:
    done = command("search", "--model=linear", train, "--output=found", "--trials=3", *FIXED, *SPACE).ok()
    head, *rows = done.out.splitlines()
    assert head.split()[:3] == ["trial", "micro_f1", "seconds"]
    assert "features.ngrams" in head
    assert "classifier.loss" in head  # --search adds to the space of the system
    assert "features.min_documents" not in head
    assert len(rows) == 3
    assert "Trial 3 of 3: micro_f1 " in done.err
    assert "Next: taxotext evaluate found/model TEST" in done.err
    command("train", "found/best.yaml", "--output=again").ok()
    command("evaluate", "found/model", "train.jsonl").ok()


def test_a_space_file_replaces_the_space_and_json_goes_to_stdout(command: Command, train: str, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("classifier:\n  c: 0.1..10:log\nclassifier.loss: [squared_hinge, logistic]\n")
    arguments = ("search", "--model=linear", train, "--output=found", "--space=space.yaml", "--json", *FIXED)
    result = json.loads(command(*arguments, "--trials=2").ok().out)
    assert result["space"] == {"classifier.c": "0.1..10:log", "classifier.loss": "[squared_hinge, logistic]"}
    assert [trial["state"] for trial in result["trials"]] == ["complete", "complete"]
    assert result["best"]["value"] == max(trial["value"] for trial in result["trials"])
    command(*arguments, "--trials=2").refused("found: holds a search already. Continue with --resume")
    more = json.loads(command(*arguments, "--trials=3", "--resume").ok().out)
    assert more["trials"][:2] == result["trials"]
    assert len(more["trials"]) == 3


def test_mistakes_are_sentences(command: Command, train: str) -> None:
    base = ("search", "--model=linear", train)
    command(*base).refused("Where should the search go? Name a folder with --output DIR.")
    command(*base, "--output=x", "--search=classifier.cc=1..2", "--search=classifier.c=-1..2").refused(
        "2 problems in the search space", "classifier.cc: unknown key. Did you mean 'classifier.c'?", "classifier.c: "
    )
    command(*base, "--output=x", "--search=classifier.c").refused("is not of the form key.path=value")
    command(*base, "--output=x", "--space=nothing.yaml").refused("nothing.yaml: no such configuration file")
    command(*base, "--output=x", "--metric=f1").refused("metric: 'f1' is not known")
    command("search", "--model=linear", "--output=x").refused("data.train: a training file is required")
    command(*base, "--output=x", "--minutes=0").refused("minutes: must be more than 0")


def test_linear_is_searched_when_no_system_is_named(command: Command, train: str) -> None:
    done = command("search", train, "--output=found", "--trials=1", "runtime.threads=1").ok()
    assert "settings of linear are searched" in done.err
