"""``taxotext train``: what it needs, what it says, what it leaves."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from command import SAMPLE, Command, Outcome, documents
from interrupted import cut_at
from taxotext import load
from taxotext.api import runs


@pytest.fixture(autouse=True)
def corpus(command: Command) -> None:
    """``train.jsonl``: 8 documents of 2 labels."""
    Path("train.jsonl").write_text(documents(), encoding="utf-8")


def train(command: Command, *arguments: object) -> Outcome:
    return command("train", "--model=linear", "--train=train.jsonl", "--output=model", *arguments)


def write(name: str, *records: tuple[str, list[str]]) -> None:
    lines = [json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in records]
    Path(name).write_text("".join(lines), encoding="utf-8")


def test_a_model_folder_is_written_and_the_next_step_named(command: Command) -> None:
    outcome = train(command).ok()
    assert outcome.out == ""
    assert "Wrote model. Next: taxotext evaluate model TEST_FILE" in outcome.err
    assert {"config.json", "taxonomy.json", "decoding.json", "metrics.json", "README.md"} <= set(os.listdir("model"))
    assert not Path("model.run").exists()
    assert load("model").predict(["plum and pear", "an engine"]) == [["fruit"], ["cars"]]


def test_a_configuration_file_is_changed_by_assignments_and_options(command: Command) -> None:
    Path("c.yaml").write_text("model: bert\nseed: 1\ndata: {train: none.jsonl}\n", encoding="utf-8")
    outcome = command(
        "train", "c.yaml", "features.lowercase=false", "seed=2", "--seed=3", "--model=linear", "--train=train.jsonl",
        "--threads=1", "--output=model",
    )  # fmt: skip
    outcome.ok()
    settings = json.loads(Path("model/config.json").read_text())["settings"]
    assert settings["seed"] == 3
    assert settings["features"]["lowercase"] is False
    assert settings["runtime"]["threads"] == 1


def test_without_a_model_one_is_chosen_and_the_reason_given(command: Command) -> None:
    outcome = command("train", "--train=train.jsonl", "--output=model", "seed=5").ok()
    assert "Chose linear: 8 documents are too few to compare systems on." in outcome.err
    config = json.loads(Path("model/config.json").read_text())
    assert config["model"] == "linear"
    assert config["settings"]["seed"] == 5


def test_an_output_must_be_named(command: Command) -> None:
    command("train", "--train=train.jsonl").refused("Where should the model go? Name a folder with --output DIR")


def test_a_training_file_must_be_named(command: Command) -> None:
    command("train", "--output=model").refused("data.train: a training file is required", "--train FILE")


def test_resume_and_overwrite_exclude_each_other(command: Command) -> None:
    train(command, "--resume", "--overwrite").refused("--resume keeps what is there and --overwrite replaces it")


def test_resume_without_a_run_starts_one(command: Command) -> None:
    train(command, "--resume").ok()


def test_resume_of_a_finished_training_does_nothing(command: Command) -> None:
    train(command).ok()
    before = {path: path.stat().st_mtime_ns for path in Path("model").iterdir()}
    outcome = train(command, "--resume").ok()
    assert "model is finished already; nothing to do" in outcome.err
    assert "Wrote" not in outcome.err
    assert {path: path.stat().st_mtime_ns for path in Path("model").iterdir()} == before


def test_resume_of_a_finished_training_with_other_settings_is_a_mistake(command: Command) -> None:
    train(command).ok()
    train(command, "--resume", "seed=99", "features.lowercase=false").refused(
        "model: is the finished model of another training",
        "- seed: 13 there, 99 now",
        "- features.lowercase: True there",
    )
    command("train", "--model=bert", "--train=train.jsonl", "--output=model", "--resume").refused(
        "- model: 'linear' there, 'bert' now"
    )


def interrupt(command: Command) -> None:
    """Leave the run folder of a killed training."""
    with cut_at(runs, "save_folder"):
        train(command)


def test_an_interrupted_training_is_not_forgotten(command: Command) -> None:
    interrupt(command)
    train(command).refused(
        "model.run: holds an interrupted training. Continue with --resume, or start over with --overwrite"
    )
    assert "Continuing the training in model.run" in train(command, "--resume").ok().err
    assert not Path("model.run").exists()


def test_an_interrupted_training_is_resumed_with_its_own_settings_only(command: Command) -> None:
    interrupt(command)
    train(command, "--resume", "seed=2").refused(
        "model.run: the interrupted training was another one", "settings.seed: 13 then, 2 now"
    )
    write("train.jsonl", ("apple", ["fruit"]), ("apple", ["fruit"]))
    train(command, "--resume").refused("train: ")
    train(command, "--overwrite").ok()


@pytest.mark.parametrize("content", ["", "{", "3", "null", "[]", '"x"'])
def test_a_damaged_run_folder_is_said_so(content: str, command: Command) -> None:
    Path("model.run").mkdir()
    Path("model.run/run.json").write_text(content, encoding="utf-8")
    train(command, "--resume").refused("model.run")
    train(command, "--overwrite").ok()


def test_a_run_folder_that_is_a_file_is_left_alone(command: Command) -> None:
    Path("model.run").write_text("mine", encoding="utf-8")
    train(command).refused("model.run: cannot be written")
    train(command, "--overwrite").refused("model.run: is not a run folder of a training and is not removed")
    assert Path("model.run").read_text() == "mine"


def test_a_mistake_leaves_no_run_folder_behind(command: Command) -> None:
    write("train.jsonl", ("a", ["x"]), ("b", ["y"]))
    train(command).refused("No feature is left of the training texts", "features.min_documents=2")
    assert os.listdir() == ["train.jsonl"]
    train(command, "features.min_documents=1").ok()


def test_no_document_with_a_label_is_refused(command: Command) -> None:
    write("train.jsonl", ("apple pear", []), ("pear apple", []))
    train(command).refused("train.jsonl: no document has a label; there is nothing to learn")


def test_one_document_is_enough_for_linear(command: Command) -> None:
    write("train.jsonl", ("apple", ["fruit"]))
    train(command).ok()
    assert load("model").predict(["apple"]) == [["fruit"]]


def test_a_label_on_every_document_is_always_answered(command: Command) -> None:
    write("train.jsonl", *[(text, ["all", topic]) for text, topic in [("apple", "a"), ("pear", "p")] * 3])
    train(command).ok()
    assert all("all" in labels for labels in load("model").predict(["apple", "something else"]))


def test_labels_without_documents_are_named_and_never_answered(command: Command) -> None:
    Path("t.tsv").write_text("Root\tfruit\nRoot\tcars\nRoot\ttools\ntools\thammer\n", encoding="utf-8")
    outcome = train(command, "--taxonomy=t.tsv").ok()
    assert "2 of 4 labels have no training document, such as 'tools'" in outcome.err
    answered = {label for labels in load("model").predict(["apple", "hammer"]) for label in labels}
    assert answered <= {"fruit", "cars"}


def test_a_label_of_the_validation_file_alone_is_a_mistake_with_a_taxonomy_only(command: Command) -> None:
    write("valid.jsonl", ("apple", ["fruit"]), ("a hammer", ["tools"]))
    said = train(command, "--validation=valid.jsonl").ok().err
    assert "valid.jsonl: 1 label is not among the 2 known labels: 'tools' (in 1 document); it was removed" in said
    assert said.count("tools") == 1
    Path("labels.tsv").write_text("Root\tfruit\nRoot\tcars\n", encoding="utf-8")
    given = ("--validation=valid.jsonl", "--taxonomy=labels.tsv", "--overwrite")
    train(command, *given).refused("valid.jsonl: 1 label is not in the taxonomy of 2 labels", "valid.jsonl:2: 'tools'")
    train(command, *given, "data.unknown_labels=drop").ok()


def test_a_validation_file_without_labels_trains_and_cannot_tune(command: Command) -> None:
    write("valid.jsonl", ("apple", []))
    train(command, "--validation=valid.jsonl").ok()
    command("tune", "model").refused("no document has a label; thresholds cannot be tuned on these data")


def test_validation_on_the_training_file_is_noticed(command: Command) -> None:
    outcome = train(command, "--validation=train.jsonl").ok()
    assert "The validation file holds the training documents: its scores will be far too good" in outcome.err


def test_weights_that_are_all_zero_teach_nothing(command: Command) -> None:
    lines = [json.dumps({"text": "apple pear", "labels": ["fruit"], "w": 0}) + "\n"] * 3
    Path("train.jsonl").write_text("".join(lines), encoding="utf-8")
    train(command, "data.weight=w").ok()


def test_csv_files_need_no_configuration(command: Command) -> None:
    Path("train.csv").write_text(
        "text,labels\napple pear,fruit;food\npear apple,fruit\nhot car,cars\na car,cars\n", encoding="utf-8"
    )
    command("train", "--model=linear", "--train=train.csv", "--output=m").ok()
    assert set(load("m").taxonomy.ids) == {"fruit", "food", "cars"}


def test_the_separator_of_labels_is_found_once_and_kept_with_the_model(command: Command) -> None:
    rows = '"Food, drink;cat",apple pear\ncat,hot car\n"Food, drink",pear apple\ncat,a car\n'
    Path("train.csv").write_text("labels,text\n" + rows, encoding="utf-8")
    Path("test.csv").write_text('labels,text\n"Food, drink",pear apple\n', encoding="utf-8")
    given = ["--train=train.csv", "--validation=test.csv", "--output=m"]
    outcome = command("train", "--model=linear", *given).ok()
    assert "train.csv: Labels were split at ';'; give --label-separator '' if each cell is one label." in outcome.err
    assert "contain" not in outcome.err  # the comma is not taken for another separator
    assert set(load("m").taxonomy.ids) == {"Food, drink", "cat"}
    columns = load("m").manifest.trained_on["columns"]
    assert (columns["label_separator"], columns["found_separator"]) == (None, ";")
    assert json.loads(command("evaluate", "m", "test.csv", "--json").ok().out)["unknown_labels"] == 0
    command("tune", "m", "--data=test.csv", "--shrink=1").ok()
    assert command("data", "check", "train.csv", "--other=test.csv").err.startswith("train.csv: 0 errors")
    command("data", "stats", "train.csv", "--other=test.csv").ok()


def test_one_text_field_needs_no_list(command: Command) -> None:
    Path("train.jsonl").write_text(documents().replace('"text"', '"title"'), encoding="utf-8")
    train(command, "data.text=title").ok()
    Path("new.jsonl").write_text('{"title": "plum"}\n', encoding="utf-8")
    assert command("predict", "model", "new.jsonl").ok().lines[0]["labels"] == ["fruit"]


def test_a_dry_run_writes_nothing(command: Command) -> None:
    outcome = train(command, "--dry-run").ok()
    assert "Dry run of linear: 8 of 8 training documents" in outcome.err
    assert os.listdir() == ["train.jsonl"]


def test_the_sample_corpus_is_learned(command: Command) -> None:
    given = [f"--train={SAMPLE / 'train.jsonl'}", f"--taxonomy={SAMPLE / 'taxonomy.tsv'}"]
    command("train", "--model=linear", *given, f"--names={SAMPLE / 'names.tsv'}", "--output=m").ok()
    answer = command("predict", "m", SAMPLE / "test.jsonl", "--top-k=1").ok().lines[0]
    assert set(answer) == {"id", "labels", "scores", "names"}


def test_an_interrupted_training_says_how_to_go_on(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("taxotext.api.runs.train_run", interrupt)
    outcome = command("train", "--model=linear", "--train=train.jsonl", "--output=model")
    assert outcome.code == 130
    assert "Run the same command with --resume to continue the training." in outcome.err


def test_a_terminated_training_ends_as_an_interrupted_one(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminate(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("taxotext.api.runs.train_run", terminate)
    outcome = command("train", "--model=linear", "--train=train.jsonl", "--output=model")
    assert outcome.code == 143
    assert "Run the same command with --resume to continue the training." in outcome.err
    assert "taxotext: terminated." in outcome.err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_configuration_file_may_have_an_equals_sign_in_its_path(command: Command) -> None:
    Path("seed=3").mkdir()
    Path("seed=3/c.yaml").write_text("model: linear\nsed: 4\n", encoding="utf-8")
    command("train", "seed=3/c.yaml", "--output=model").refused("seed=3/c.yaml: ", "sed: unknown key")


@pytest.mark.parametrize("separator", ["~", "#", "1", "null", "yes"])
def test_a_separator_is_taken_as_it_stands(command: Command, separator: str) -> None:
    rows = [
        f"{text},{topic}{separator}z\n"
        for topic, texts in (("a", ["apple", "pear"]), ("b", ["car", "wheel"]))
        for text in texts
    ]
    Path("train.csv").write_text("text,labels\n" + "".join(rows * 3), encoding="utf-8")
    arguments = ["--model=linear", "--train=train.csv", f"data.label_separator={separator}", "--output=model"]
    command("train", *arguments).ok()
    assert [label["id"] for label in json.loads(Path("model/taxonomy.json").read_text())["labels"]] == ["a", "b", "z"]
