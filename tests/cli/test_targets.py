"""Every command that writes refuses what is neither the file nor the folder that it may replace, before it reads."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from command import Command

WRITERS = {
    "train": ["train", "--model=linear", "--train=missing.jsonl", "--output={}"],
    "search": ["search", "--model=linear", "--train=missing.jsonl", "--output={}"],
    "experiment": ["experiment", "run", "experiment.yaml", "--output={}"],
    "predict": ["predict", "missing-model", "missing.jsonl", "--output={}"],
    "convert": ["data", "convert", "missing.jsonl", "{}", "--to=jsonl"],
    "convert-taxonomy": ["data", "convert-taxonomy", "missing.tsv", "{}", "--to=edges"],
    "output-names": ["data", "convert-taxonomy", "missing.tsv", "new.tsv", "--output-names={}"],
    "split": ["data", "split", "missing.jsonl", "--output={}"],
    "prepare": ["data", "prepare", "reuters-21578", "--from=missing", "--output={}"],
    "pull": ["pull", "nobody/nothing", "--output={}"],
}
EXPERIMENT = """\
name: small
systems: {linear: {model: linear}}
corpora: {c: {train: missing.jsonl, test: missing.jsonl}}
"""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    os.symlink("/dev/null", "device")
    os.symlink("pipe", "to-pipe")
    Path("experiment.yaml").write_text(EXPERIMENT, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])
@pytest.mark.parametrize("target", ["pipe", "socket", "device", "to-pipe"])
@pytest.mark.parametrize("writer", WRITERS)
def test_devices_pipes_and_sockets_are_refused_first(
    odd: Path, command: Command, writer: str, target: str, overwrite: bool
) -> None:
    if overwrite and writer == "experiment":
        pytest.skip("has no --overwrite")
    before = {entry.name: entry.stat(follow_symlinks=False) for entry in os.scandir(odd)}
    arguments = [argument.format(target) for argument in WRITERS[writer]]
    command(*arguments, *(["--overwrite"] if overwrite else [])).refused(f"{target}", "device, pipe or socket, which")
    after = {entry.name: entry.stat(follow_symlinks=False) for entry in os.scandir(odd)}
    assert {name: found.st_ino for name, found in after.items()} == {n: found.st_ino for n, found in before.items()}


def test_a_run_folder_that_is_a_pipe_is_refused_before_the_corpus_is_read(odd: Path, command: Command) -> None:
    os.mkfifo("model.run")
    command("train", "--model=linear", "--train=missing.jsonl", "--output=model").refused(
        "model.run: cannot be written: it is a device, pipe or socket"
    )


def test_a_name_below_a_file_is_refused_before_the_corpus_is_read(odd: Path, command: Command) -> None:
    for arguments in WRITERS.values():
        command(*(argument.format("experiment.yaml/new") for argument in arguments)).refused(
            "cannot be written (Not a directory"
        )


@pytest.mark.parametrize("name", ["README.md", "metrics.json", "decoding.json", "config.json"])
@pytest.mark.parametrize("verb", ["tune", "evaluate", "predict"])
def test_a_model_folder_with_a_pipe_in_it_is_refused(command: Command, model: Path, name: str, verb: str) -> None:
    Path("one.jsonl").write_text('{"text": "no network", "labels": ["wifi"]}\n', encoding="utf-8")
    (model / name).unlink()
    os.mkfifo(model / name)
    arguments = {"tune": [], "evaluate": ["one.jsonl", "--record"], "predict": ["one.jsonl"]}[verb]
    command(verb, model, *arguments).refused(f"{name}: is a device, pipe or socket")


@pytest.mark.parametrize("verb", ["tune", "evaluate"])
def test_nothing_is_written_through_a_link_in_a_model_folder(command: Command, model: Path, verb: str) -> None:
    Path("one.jsonl").write_text('{"text": "no network", "labels": ["wifi"]}\n', encoding="utf-8")
    Path("private.txt").write_text("mine", encoding="utf-8")
    (model / "README.md").unlink()
    os.symlink(Path("private.txt").resolve(), model / "README.md")
    arguments = {"tune": [], "evaluate": ["one.jsonl", "--record"]}[verb]
    command(verb, model, *arguments).refused("README.md: is a link that leads out of the folder")
    assert Path("private.txt").read_text(encoding="utf-8") == "mine"


def test_a_hub_snapshot_is_read_and_its_blobs_are_never_written_to(command: Command, model: Path) -> None:
    blobs, snapshot = Path("models--a--b/blobs"), Path("models--a--b/snapshots/c0ffee")
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for path in model.iterdir():
        shutil.copy(path, blobs / f"hash-{path.name}")
        os.symlink(f"../../blobs/hash-{path.name}", snapshot / path.name)
    before = {path.name: path.read_bytes() for path in blobs.iterdir()}
    command("tune", snapshot, "--method=global").ok()
    assert {path.name: path.read_bytes() for path in blobs.iterdir()} == before
    assert not (snapshot / "decoding.json").is_symlink()


def test_a_search_or_training_that_is_resumed_follows_no_link_out_of_its_folder(command: Command) -> None:
    Path("mine").mkdir()
    for folder, verb in (("found", "search"), ("model.run", "train")):
        Path(folder).mkdir()
        os.symlink("../mine", f"{folder}/checkpoints")
        output = "found" if verb == "search" else "model"
        command(verb, "--model=linear", "--train=missing.jsonl", f"--output={output}", "--resume").refused("link")
    assert os.listdir("mine") == []
