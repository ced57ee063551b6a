"""Train, tune, evaluate and predict from the command line with systems that score a few candidates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from command import SAMPLE, Command
from taxotext import load

pytestmark = pytest.mark.usefixtures("sparse_systems")
DATA = [f"--{name}={SAMPLE / f'{name}.jsonl'}" for name in ("train", "validation")]


def train(command: Command, name: str) -> None:
    command(
        "train", f"--model={name}", *DATA, f"--taxonomy={SAMPLE / 'taxonomy.tsv'}", "--output=model", "--no-tune"
    ).ok()


def test_a_sparse_system_is_trained_tuned_evaluated_and_predicts(command: Command) -> None:
    train(command, "few_candidates")
    before = json.loads(command("evaluate", "model", SAMPLE / "test.jsonl", "--json").ok().out)
    assert before["thresholds_tuned_on"] is None
    assert 0 < before["candidate_recall"] <= 1
    assert "brier" not in before
    command("tune", "model", "--consistency=up").ok()
    command("evaluate", "model", SAMPLE / "test.jsonl", "--record").ok()
    assert "candidate_recall" in command("evaluate", "model", SAMPLE / "test.jsonl", "--all").ok().out
    lines = command("predict", "model", SAMPLE / "test.jsonl").ok().lines
    model = load("model")
    texts = [json.loads(line)["text"] for line in (SAMPLE / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [set(line["labels"]) for line in lines] == [set(labels) for labels in model.predict(texts)]
    best = command("predict", "model", SAMPLE / "test.jsonl", "--top-k=5").ok().lines
    assert [list(line["scores"]) for line in best] == [
        [label for label, _ in found] for found in model.suggest(texts, k=5)
    ]


def test_all_scores_are_those_of_all_candidates_and_trees_show_ancestors(command: Command) -> None:
    train(command, "few_candidates")
    Path("one.jsonl").write_text('{"text": "password"}\n{"text": "unheard-of"}\n', encoding="utf-8")
    one, none = command("predict", "model", "one.jsonl", "--all-scores").ok().lines
    model = load("model")
    block = next(iter(model.system.scores(["password"])))
    assert len(one["scores"]) == block.nnz  # type: ignore[arg-type]
    assert list(one["scores"].values()) == sorted(one["scores"].values(), reverse=True)  # type: ignore[attr-defined]
    assert none == {"labels": [], "scores": {}}
    # What is above an answered label is shown in brackets.
    leaf = next(label for label in one["scores"] if model.taxonomy.parents(model.taxonomy.index(label)).size)  # type: ignore[attr-defined]
    tree = command("predict", "model", "one.jsonl", "--tree", f"--include={leaf}", "--top-k=1").ok().out
    parent = model.taxonomy.ids[model.taxonomy.parents(model.taxonomy.index(leaf))[0]]
    assert re.search(rf"{parent} +\({one['scores'][parent]:.2f}\)", tree), tree  # type: ignore[index]
    assert re.search(rf"{leaf} +{one['scores'][leaf]:.2f}", tree), tree  # type: ignore[index]
    assert tree.count("(no label)") == 1


def test_a_system_that_decides_itself_is_asked_unless_a_threshold_is_given(command: Command) -> None:
    train(command, "decides_itself")

    def answers(*options: str) -> list[object]:
        return [line["labels"] for line in command("predict", "model", SAMPLE / "test.jsonl", *options).ok().lines]

    own = answers()
    assert own == answers("--threshold=0.049999")  # what this system decides by
    assert own != answers("--threshold=0.3")
    assert {len(labels) for labels in answers("--top-k=2")} == {2}  # type: ignore[arg-type]
    assert json.loads(Path("model/decoding.json").read_text())["source"] == "auto"
    command("tune", "model").ok()
    assert json.loads(Path("model/decoding.json").read_text())["source"] == "threshold"
    assert own != answers()


def test_asking_a_system_that_decides_nothing_is_one_sentence(command: Command) -> None:
    command("train", "--model=few_candidates", *DATA, "--output=other", "decoding.source=system").refused(
        "decoding.source is system, but the system decides no label sets itself; set it to threshold"
    )
