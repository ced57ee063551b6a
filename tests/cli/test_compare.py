"""``taxotext compare``: two models or two files of predictions, matched and counted right; a sentence for a mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command import SAMPLE, Command, documents

GOLD = [["a"], ["b"], ["a", "b"], []] * 10


def write(name: str, labels: list[list[str]], ids: list[Any] | None = None, **more: Any) -> Path:
    lines = [{"labels": row, **more} for row in labels]
    for line, name_of_document in zip(lines, ids or [], strict=False):
        line["id"] = name_of_document
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return Path(name)


@pytest.fixture
def files(command: Command) -> None:
    """``gold.jsonl`` of 40 documents, ``good.jsonl`` with 4 mistakes, ``poor.jsonl`` with 20."""
    write("gold.jsonl", GOLD, text="x")
    write("good.jsonl", [["b"] if row < 4 else labels for row, labels in enumerate(GOLD)])
    write("poor.jsonl", [["c"] if row % 2 else labels for row, labels in enumerate(GOLD)])


def compared(command: Command, *arguments: object) -> dict[str, Any]:
    result = json.loads(command("compare", *arguments, "--json").ok().out)
    assert isinstance(result, dict)
    return result


def test_files_are_compared_by_order(command: Command, files: None) -> None:
    result = compared(command, "good.jsonl", "poor.jsonl", "--gold=gold.jsonl")
    assert (result["documents"], result["labels"], result["matched_by"]) == (40, 3, "order")
    rows = {row["metric"]: row for row in result["comparisons"]}
    assert list(rows) == ["micro_f1", "macro_f1", "samples_f1", "set_accuracy"]
    accuracy = rows["set_accuracy"]
    # the second of the four documents that get b has it: 3 mistakes
    assert (accuracy["first"]["value"], accuracy["second"]["value"]) == (37 / 40, 20 / 40)
    assert accuracy["difference"] == pytest.approx(17 / 40)
    assert 0 < accuracy["low"] < 17 / 40 < accuracy["high"]
    assert accuracy["p_value"] < accuracy["p_adjusted"] < 0.05


def test_the_same_by_id_in_another_order(command: Command, files: None) -> None:
    by_order = compared(command, "good.jsonl", "poor.jsonl", "--gold=gold.jsonl")
    names = [f"d{row}" for row in range(40)]
    write("gold.jsonl", GOLD, names, text="x")
    good = [json.loads(line)["labels"] for line in Path("good.jsonl").read_text().splitlines()]
    write("good.jsonl", good[::-1], names[::-1])
    poor = [json.loads(line)["labels"] for line in Path("poor.jsonl").read_text().splitlines()]
    write("poor.jsonl", poor, names)
    result = compared(command, "good.jsonl", "poor.jsonl", "--gold=gold.jsonl")
    assert result["matched_by"] == "id"
    assert result["comparisons"] == by_order["comparisons"]


def test_several_runs_metrics_tests_and_corrections(command: Command, files: None) -> None:
    arguments = ["good.jsonl", "poor.jsonl", "--gold=gold.jsonl", "--first-run=poor.jsonl", "--second-run=poor.jsonl"]
    arguments += ["--metric=set_accuracy", "--metric=micro_recall", "--samples=200", "--correction=none"]
    result = compared(command, *arguments, "--test=randomisation")
    assert result["first"] == ["good.jsonl", "poor.jsonl"]
    accuracy, recall = result["comparisons"]
    assert accuracy["difference"] == pytest.approx(17 / 80)
    assert accuracy["low"] <= 0.05
    assert accuracy["p_value"] > 0.05  # one good run of two is chance
    assert recall["p_value"] == recall["p_adjusted"]


def test_a_taxonomy_closes_the_gold_labels_and_counts_all_its_labels(command: Command, files: None) -> None:
    Path("taxonomy.tsv").write_text("Root\ta\na\tb\na\td\n", encoding="utf-8")
    write("closed.jsonl", [sorted({"a", *row}) if row else [] for row in GOLD])
    result = compared(command, "closed.jsonl", "good.jsonl", "--gold=gold.jsonl", "--taxonomy=taxonomy.tsv")
    rows = {row["metric"]: row["first"]["value"] for row in result["comparisons"]}
    assert result["labels"] == 3
    assert (rows["set_accuracy"], rows["macro_f1"]) == (1.0, pytest.approx(2 / 3))


def test_models_are_compared_on_data(command: Command, sample_model: Path) -> None:
    test = SAMPLE / "test.jsonl"
    command("predict", sample_model, test, "--output=first.jsonl").ok()
    command("predict", sample_model, test, "--output=second.jsonl", "--threshold=0.9").ok()
    same = compared(command, sample_model, sample_model, f"--data={test}", "--metric=micro_f1")
    assert same["comparisons"][0]["difference"] == 0
    assert same["comparisons"][0]["p_value"] == 1
    metrics = json.loads(command("evaluate", sample_model, test, "--json").ok().out)
    mixed = compared(command, sample_model, "second.jsonl", f"--data={test}")
    of_files = compared(
        command, "first.jsonl", "second.jsonl", f"--gold={test}", f"--taxonomy={SAMPLE / 'taxonomy.tsv'}"
    )
    assert mixed["comparisons"] == of_files["comparisons"]
    for row in mixed["comparisons"]:
        assert row["first"]["value"] == pytest.approx(metrics[row["metric"]])
        assert row["difference"] == pytest.approx(row["first"]["value"] - row["second"]["value"])
    assert mixed["comparisons"][0]["p_adjusted"] < 0.05


def test_people_get_a_table(command: Command, files: None) -> None:
    out = command("compare", "good.jsonl", "poor.jsonl", "--gold=gold.jsonl").ok().out
    assert "40 documents of gold.jsonl matched by order" in out
    assert "set_accuracy" in out
    assert "0.4250" in out


def test_models_of_different_closures_are_not_compared(command: Command) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    Path("taxonomy.tsv").write_text("Root\tthings\nthings\tfruit\nthings\tcars\n", encoding="utf-8")
    command("train", "--model=linear", "--train=train.jsonl", "--output=flat").ok()
    command("train", "--model=linear", "--train=train.jsonl", "--taxonomy=taxonomy.tsv", "--output=closed").ok()
    command("compare", "flat", "closed", "--data=train.jsonl").refused("flat and closed read different gold labels")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["good.jsonl", "poor.jsonl"], "missing option '--gold' / '--data'"),
        (["good.jsonl", "por.jsonl", "--gold=gold.jsonl"], "por.jsonl: no such file. Did you mean 'poor.jsonl'?"),
        (["good.jsonl", "poor.jsonl", "--gold=gld.jsonl"], "Did you mean 'gold.jsonl'?"),
        (["good.jsonl", "short.jsonl", "--gold=gold.jsonl"], "short.jsonl: has 3 documents, and gold.jsonl has 40"),
        (["good.jsonl", "gold.jsonl", "--gold=gold.jsonl", "--metric=mirco_f1"], "Did you mean 'micro_f1'?"),
        (["good.jsonl", "poor.jsonl", "--gold=gold.jsonl", "--test=x"], "test is 'x'. Choose from bootstrap"),
        (["good.jsonl", "poor.jsonl", "--gold=gold.jsonl", "--correction=hol"], "Did you mean 'holm'?"),
        (["good.jsonl", "poor.jsonl", "--gold=gold.jsonl", "--confidence=95"], "confidence is 95.0"),
        (["good.jsonl", "poor.jsonl", "--gold=gold.jsonl", "--samples=0"], "invalid value for '--samples'"),
        (["good.jsonl", "broken.jsonl", "--gold=gold.jsonl"], "broken.jsonl:2: 'labels' must be a list of label ids"),
        (["good.jsonl", "broken.jsonl", "--gold=gold.jsonl"], "broken.jsonl:3: this is not valid JSON"),
        (["good.jsonl", "empty.jsonl", "--gold=gold.jsonl"], "empty.jsonl: holds no predictions"),
        (["good.jsonl", "half.jsonl", "--gold=gold.jsonl"], "half.jsonl: 1 of 2 lines have an id"),
        (["good.jsonl", ".", "--gold=gold.jsonl"], ".: is not a model folder"),
        (["good.jsonl", "other.jsonl", "--gold=named.jsonl"], "1 are missing and 1 are not there"),
        (["good.jsonl", "other.jsonl", "--gold=named.jsonl"], "'d1': no prediction in other.jsonl"),
        (["twice.jsonl", "other.jsonl", "--gold=named.jsonl"], "twice.jsonl: the id 'd0' names 2 documents"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(
    arguments: list[str], sentence: str, command: Command, files: None
) -> None:
    write("short.jsonl", GOLD[:3])
    write("named.jsonl", GOLD[:2], ["d0", "d1"], text="x")
    write("other.jsonl", GOLD[:2], ["d2", "d0"])
    write("twice.jsonl", GOLD[:2], ["d0", "d0"])
    write("half.jsonl", GOLD[:2], ["d0"])
    Path("empty.jsonl").write_text("\n", encoding="utf-8")
    Path("broken.jsonl").write_text('{"labels": []}\n{"labels": "a"}\n{"labels"\n', encoding="utf-8")
    if "named.jsonl" in arguments[-1]:
        write("good.jsonl", GOLD[:2])
    command("compare", *arguments).refused(sentence)
