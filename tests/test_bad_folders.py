"""Damaged model folders and impossible outputs: a sentence with the file, exit code 2, nothing lost."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import taxotext
from command import SAMPLE, Command, documents
from sealing import Change, change_json, seal
from taxotext import TaxotextError

FILES = ("config.json", "taxonomy.json", "decoding.json", "metrics.json", "vocabulary.json")
TENSORS = ("weights.safetensors", "heldout.safetensors")
TEXT = '{"text": "the printer jams"}\n'


class Trap:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("trapped",)


def check_refused(command: Command, model: Path, *fragments: str) -> None:
    """predict and evaluate answer with the sentence; the folder stays as it is."""
    Path("one.jsonl").write_text(TEXT, encoding="utf-8")
    before = {path.name: path.read_bytes() for path in model.glob("*.*") if path.is_file()}
    command("predict", model, "one.jsonl").refused(*fragments)
    command("evaluate", model, SAMPLE / "test.jsonl", "--json").refused(*fragments)
    command("tune", model).refused(*fragments)
    assert {path.name: path.read_bytes() for path in model.glob("*.*") if path.is_file()} == before


def change_tensors(path: Path, change: Change) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"source": "documents"})
    seal(path.parent)


@pytest.mark.parametrize("name", [name for name in (*FILES, *TENSORS) if name not in {"metrics.json", TENSORS[1]}])
def test_a_missing_file_is_named(name: str, model: Path, command: Command) -> None:
    (model / name).unlink()
    missing = "config.json is missing" if name == "config.json" else f"{name}: is missing; save the model again"
    check_refused(command, model, missing)


def test_figures_and_held_out_scores_may_be_missing(model: Path, command: Command) -> None:
    (model / "metrics.json").unlink()
    (model / "heldout.safetensors").unlink()
    Path("one.jsonl").write_text(TEXT, encoding="utf-8")
    command("predict", model, "one.jsonl").ok()
    command("tune", model).refused("keeps no scores of held-out documents; name validation documents to tune on")
    command("tune", model, "--data", SAMPLE / "validation.jsonl").ok()


@pytest.mark.parametrize("name", [*FILES, *TENSORS])
@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "pickle", "half overwritten"])
def test_a_damaged_file_is_named(damage: str, name: str, model: Path, command: Command) -> None:
    path = model / name
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "garbage": b"\xff\x00{garbage",
            "pickle": pickle.dumps(Trap()),
            "half overwritten": b"\x00" * (len(whole) // 2) + whole[len(whole) // 2 :],
        }[damage]
    )
    check_refused(command, model, name)
    assert not Path("trapped").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", ["3", "null", '"text"', "[]", "NaN", "[" * 100_000], ids=lambda text: text[:4])
def test_json_of_another_shape_is_refused(content: str, name: str, model: Path, command: Command) -> None:
    (model / name).write_text(content, encoding="utf-8")
    check_refused(command, model, name)


@pytest.mark.parametrize("name", ["taxonomy.json", "decoding.json", "weights.safetensors", "vocabulary.json"])
def test_a_folder_in_the_place_of_a_file_is_refused(name: str, model: Path, command: Command) -> None:
    (model / name).unlink()
    (model / name).mkdir()
    check_refused(command, model, name)


CONFIG: dict[str, tuple[Change, str]] = {
    "newer format": (lambda c: c.update(format_version=99), "has format version 99; this Taxotext"),
    "no format": (lambda c: c.pop("format_version"), "format_version is null, not a number from 1 on"),
    "text as format": (lambda c: c.update(format_version="1"), 'format_version is "1", not a number'),
    "true as format": (lambda c: c.update(format_version=True), "format_version is true, not a number"),
    "format 0": (lambda c: c.update(format_version=0), "format_version is 0, not a number from 1 on"),
    "unknown system": (lambda c: c.update(model="lineer"), "there is no system 'lineer'. Did you mean 'linear'?"),
    "system is a number": (lambda c: c.update(model=3), "model: must be text"),
    "another system": (lambda c: c.update(model="bert"), "features: unknown key"),
    "no system": (lambda c: c.pop("model"), "model: is missing"),
    "no settings": (lambda c: c.pop("settings"), "settings: is missing"),
    "settings are a list": (lambda c: c.update(settings=[]), "settings: must be a JSON object"),
    "unknown setting": (lambda c: c["settings"].update(sed=3), "sed: unknown key. Did you mean 'seed'?"),
    "impossible setting": (lambda c: c["settings"].update(seed=-1), "seed: input should be greater than or equal to 0"),
    "runtime is a number": (lambda c: c["settings"].update(runtime=3), "runtime: must be a mapping"),
    "no facts": (lambda c: c.update(trained_on=None), "trained_on: must be a JSON object"),
    "facts are a list": (lambda c: c.update(facts=[]), "facts: must be a JSON object"),
    "closure": (lambda c: c["trained_on"].update(closure="up"), "trained_on.closure: 'up' is not known"),
    "columns are a number": (lambda c: c["trained_on"].update(columns=3), "trained_on.columns: must name the fields"),
    "unknown column": (
        lambda c: c["trained_on"]["columns"].update(txt="a"),
        "trained_on.columns: must name the fields",
    ),
    "no text field": (lambda c: c["trained_on"]["columns"].update(text=[]), "columns.text names no field"),
    "text field 3": (lambda c: c["trained_on"]["columns"].update(text=3), "trained_on.columns: "),
    "counts are text": (lambda c: c.update(seen=["a"] * len(c["seen"])), "seen: must be a list of whole numbers"),
    "fewer documents than of a label": (
        lambda c: c["trained_on"].update(training_documents=1),
        "trained_on.training_documents: must be a whole number, no smaller than those in seen",
    ),
    "matrix columns": (lambda c: c["trained_on"].update(matrix_columns=1.5), "matrix_columns: must be a list of label"),
    "seconds beyond all": (lambda c: c["facts"].update(seconds=10**400), "facts.seconds: must be a number"),
    "documents beyond all": (lambda c: c["trained_on"].update(training_documents=10**30), "must be a whole number"),
    "counts are missing": (lambda c: c.pop("seen"), "seen: is missing"),
    "counts of another": (lambda c: c["seen"].pop(), "config.json and taxonomy.json do not hold the same labels"),
}
OTHERS: dict[str, tuple[str, Change, str]] = {
    "label dropped": ("taxonomy.json", lambda c: c["labels"].pop(), "do not hold the same labels"),
    "label renamed": ("taxonomy.json", lambda c: c["labels"][-1].update(id="x"), "mixed from two models"),
    "label is a number": ("taxonomy.json", lambda c: c["labels"][-1].update(id=3), "the label 3 is not text"),
    "label twice": ("taxonomy.json", lambda c: c["labels"].append(c["labels"][0]), "is listed twice"),
    "cycle": ("taxonomy.json", lambda c: c["labels"][0].update(parents=["sign-in"]), "the labels form a cycle"),
    "unknown parent": ("taxonomy.json", lambda c: c["labels"][0].update(parents=["x"]), "never declared"),
    "threshold 2": ("decoding.json", lambda c: c.update(threshold=2), "threshold: input should be less than 1"),
    "no threshold": ("decoding.json", lambda c: c.update(threshold=None), "nothing decides what is predicted"),
    "unknown rule": ("decoding.json", lambda c: c.update(treshold=0.5), "Did you mean 'threshold'?"),
    "thresholds of another": ("decoding.json", lambda c: c.update(label_thresholds={"x": 0.5}), "no label 'x'"),
    "too many levels": ("decoding.json", lambda c: c.update(level_thresholds=[0.5] * 9), "has 9 entries"),
    "evaluations are a list": ("metrics.json", lambda c: c.update(evaluations=[]), "metrics.json: is damaged"),
    "a metric is text": ("metrics.json", lambda c: c.update(evaluations={"x": {"p@1": "a"}}), "x.p@1 must be a number"),
    "a metric is huge": ("metrics.json", lambda c: c.update(evaluations={"x": {"p@1": 10**400}}), "must be a number"),
    "history is text": ("metrics.json", lambda c: c.update(history="red"), "history must be a list of JSON objects"),
    "an epoch is text": ("metrics.json", lambda c: c.update(history=[{"epoch": "x"}]), "history.0.epoch must be a num"),
    "a loss is a list": (
        "metrics.json",
        lambda c: c.update(history=[{"loss": [1]}]),
        "history.0.loss must be a number",
    ),
    "a choice is text": ("metrics.json", lambda c: c.update(choice="x"), "must be a JSON object"),
    "a word twice": ("vocabulary.json", lambda c: c.append(c[0]), "holds a word twice"),
    "a word is a number": ("vocabulary.json", lambda c: c.append(3), "must be a JSON list of words"),
    "a word less": ("vocabulary.json", lambda c: c.pop(), "does not fit vocabulary.json and taxonomy.json"),
}


@pytest.mark.parametrize("wrong", CONFIG)
def test_a_wrong_fact_in_the_configuration_is_named(wrong: str, model: Path, command: Command) -> None:
    change, sentence = CONFIG[wrong]
    change_json(model / "config.json", change)
    check_refused(command, model, str(model), sentence)


@pytest.mark.parametrize("wrong", OTHERS)
def test_a_wrong_fact_in_the_other_files_is_named(wrong: str, model: Path, command: Command) -> None:
    name, change, sentence = OTHERS[wrong]
    change_json(model / name, change)
    check_refused(command, model, str(model), sentence)


ARRAYS = {
    "weights.safetensors": (
        "idf",
        "coefficients.indptr",
        "coefficients.indices",
        "coefficients.data",
        "intercepts",
        "calibration",
    ),
    "heldout.safetensors": ("scores.indptr", "scores.indices", "scores.data", "gold.indptr", "gold.indices", "labels"),
}
DAMAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "shorter": lambda array: array[:-1],
    "empty": lambda array: array[:0],
    "two-dimensional": lambda array: array[None],
    "not finite": lambda array: np.full(array.shape, np.nan, dtype=np.float32),
    "truth values": lambda array: array.astype(bool),
}


@pytest.mark.parametrize("damage", [*DAMAGES, "missing"])
@pytest.mark.parametrize(("name", "array"), [(name, array) for name, arrays in ARRAYS.items() for array in arrays])
def test_arrays_are_checked_before_they_are_used(
    name: str, array: str, damage: str, model: Path, command: Command
) -> None:
    def change(tensors: dict[str, np.ndarray]) -> None:
        kept = tensors.pop(array)
        if damage != "missing":
            tensors[array] = np.ascontiguousarray(DAMAGES[damage](kept))

    change_tensors(model / name, change)
    check_refused(command, model, name, "save the model again")


@pytest.mark.parametrize("value", [-1, 2**30])
@pytest.mark.parametrize("name", ["weights.safetensors", "heldout.safetensors"])
def test_indices_out_of_range_never_reach_foreign_memory(name: str, value: int, model: Path, command: Command) -> None:
    array = "coefficients.indices" if name.startswith("weights") else "scores.indices"
    change_tensors(model / name, lambda tensors: tensors[array].__setitem__(5, value))
    check_refused(command, model, name, "indices must be")


@pytest.mark.parametrize("name", ["config.json", "taxonomy.json"])
def test_a_pipe_among_the_files_of_a_member_is_not_waited_for(name: str, model: Path) -> None:
    from taxotext.models.saved import load_system

    (model / name).unlink()
    os.mkfifo(model / name)
    with pytest.raises(TaxotextError, match=r"it is a device, pipe or socket|config\.json is missing"):
        load_system(model)


def test_weights_of_another_model_are_refused(model: Path, command: Command) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    command("train", "--model=linear", "--train=train.jsonl", "--output=other").ok()
    for name in ("weights.safetensors", "vocabulary.json", "heldout.safetensors", "decoding.json", "taxonomy.json"):
        shutil.copy(model / name, "kept")
        shutil.copy(Path("other") / name, model / name)
        seal(model)
        if name != "decoding.json":  # the default rules fit every model
            check_refused(command, model, "save the model again")
        shutil.copy("kept", model / name)
        seal(model)
    command("predict", model, SAMPLE / "test.jsonl").ok()


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("nope", "nope: there is no such model folder"),
        ("one.jsonl", "one.jsonl: is not a model folder"),
        ("empty", "empty: is not a model folder (config.json is missing)"),
        (".", ".: is not a model folder"),
        ("/", "/: is the top of the file system"),
        ("loop", "loop"),
        ("nothing", "nothing: there is no such model folder"),
        ("x" * 300, "File name too long"),
        ("a\0b", "embedded null byte"),
        ("", "is not a model folder"),
    ],
)
def test_what_is_no_model_folder_is_said_so(folder: str, sentence: str, command: Command) -> None:
    Path("one.jsonl").write_text(TEXT, encoding="utf-8")
    Path("empty").mkdir()
    os.symlink("loop", "loop")
    os.symlink("nowhere", "nothing")
    for arguments in (("predict", folder, "one.jsonl"), ("evaluate", folder, "one.jsonl"), ("tune", folder)):
        command(*arguments).refused(sentence)


def test_a_link_to_a_model_folder_is_a_model_folder(model: Path, command: Command) -> None:
    os.symlink(model, "link")
    command("predict", "link", SAMPLE / "test.jsonl").ok()
    os.chdir("link")
    command("predict", ".", SAMPLE / "test.jsonl").ok()


# -- outputs of train ------------------------------------------------------------------------------------------------


def train(command: Command, *arguments: str) -> Any:
    if not Path("train.jsonl").exists():
        Path("train.jsonl").write_text(documents(), encoding="utf-8")
    return command("train", "--model=linear", "--train=train.jsonl", *arguments)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("train.jsonl", "train.jsonl: is a file; name a folder for the model"),
        ("train.jsonl/model", "Not a directory"),
        ("full", "full: already exists. Choose another folder, or replace it with --overwrite"),
        (".", ".: already exists"),
        ("..", "..: already exists"),
        ("", ".: already exists"),
        ("/", "/: is the top of the file system"),
        ("/proc/nothing/model", "cannot be written"),
        ("x" * 300, "cannot be a model folder (File name too long)"),
        ("loop", "loop"),
    ],
)
def test_an_output_that_cannot_be_a_folder_is_refused_before_training(
    output: str, sentence: str, command: Command
) -> None:
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("years of work", encoding="utf-8")
    os.symlink("loop", "loop")
    outcome = train(command, f"--output={output}")
    outcome.refused(sentence)
    assert "Fitting" not in outcome.err
    assert sorted(os.listdir()) == ["full", "loop", "train.jsonl"]


def test_overwrite_replaces_a_model_and_nothing_else(command: Command) -> None:
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("years of work", encoding="utf-8")
    train(command, "--output=full", "--overwrite").refused("full: is not a model of Taxotext and is not replaced")
    assert Path("full/thesis.txt").read_text() == "years of work"
    train(command, "--output=model").ok()
    train(command, "--output=model", "seed=2").refused("model: already exists")
    train(command, "--output=model", "seed=2", "--overwrite").ok()
    assert json.loads(Path("model/config.json").read_text())["settings"]["seed"] == 2


def test_overwrite_keeps_the_old_model_when_the_new_one_fails(command: Command) -> None:
    train(command, "--output=model").ok()
    Path("train.jsonl").write_text('{"text": "a", "labels": []}\n', encoding="utf-8")
    train(command, "--output=model", "--overwrite").refused("no document has a label")
    command("predict", "model", SAMPLE / "test.jsonl").ok()
    assert sorted(os.listdir()) == ["model", "train.jsonl"]


def test_overwrite_never_deletes_the_training_data(command: Command) -> None:
    train(command, "--output=model").ok()
    shutil.copy("train.jsonl", "model/train.jsonl")
    outcome = command("train", "--model=linear", "--train=model/train.jsonl", "--output=model", "--overwrite")
    outcome.refused("data.train: model/train.jsonl lies in the output folder model")
    assert Path("model/train.jsonl").exists()


def test_a_run_folder_with_other_things_is_not_removed(command: Command) -> None:
    Path("model.run").mkdir()
    Path("model.run/thesis.txt").write_text("years of work", encoding="utf-8")
    train(command, "--output=model", "--overwrite").refused("model.run: is not a run folder of a training")
    train(command, "--output=model").ok()
    assert Path("model.run/thesis.txt").exists()


def test_an_output_behind_a_link_is_written_there(command: Command) -> None:
    os.symlink("behind", "link")
    train(command, "--output=link").ok()
    train(command, "--output=link", "--overwrite").ok()
    assert Path("link").is_symlink()
    assert Path("behind/config.json").is_file()
    assert sorted(os.listdir()) == ["behind", "link", "train.jsonl"]


def test_the_current_folder_can_be_the_output_when_it_is_empty(command: Command, tmp_path: Path) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    Path("new").mkdir()
    os.chdir("new")
    command("train", "--model=linear", "--train=../train.jsonl", "--output=.").ok()
    assert (tmp_path / "new" / "config.json").is_file()
    assert sorted(os.listdir(tmp_path)) == ["new", "train.jsonl"]


# -- any bytes -------------------------------------------------------------------------------------------------------

FUZZ = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", [*FILES, *TENSORS])
@FUZZ
@given(data=st.data())
def test_a_file_with_some_bytes_changed_is_a_model_or_a_sentence(
    name: str, data: st.DataObject, sample_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "model"
    shutil.copytree(sample_model, folder)
    content = bytearray((folder / name).read_bytes())
    near = st.integers(0, min(len(content), 3000) - 1) | st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(near, min_size=1, max_size=5)):
        content[place] = data.draw(st.integers(0, 255) | st.sampled_from(b'0123456789{}[]",:-'))
    (folder / name).write_bytes(content)
    try:
        model = taxotext.load(folder)
        scores = model.predict_proba(["the printer jams", "a password"])
    except TaxotextError as error:
        assert "model" in str(error)
    else:
        assert np.isfinite(scores).all()
