"""``taxotext data prepare``, run as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

from command import Command

AAPD = {"train": ("one\ntwo\n", "a b\na\n"), "val": ("three\n", "a\n"), "test": ("\nfour\n", "b\nb\n")}


def put(folder: Path) -> None:
    folder.mkdir()
    for split, (text, labels) in AAPD.items():
        (folder / f"text_{split}").write_text(text)
        (folder / f"label_{split}").write_text(labels)


def test_a_corpus_is_prepared_and_can_be_trained_on(command: Command, tmp_path: Path) -> None:
    put(tmp_path / "raw")
    done = command("data", "prepare", "aapd", "--from", "raw", "--output", "aapd").ok()
    assert done.out == ""
    assert "Wrote aapd: 2 train, 1 validation, 1 test documents with 2 labels." in done.err
    assert "0 of 5 counts as published" in done.err
    assert "Warning: not as published: labels: 2 here, 54 published" in done.err
    assert "1 document without text left out." in done.err
    command("data", "check", "aapd/train.jsonl", "--other", "aapd/test.jsonl")
    command("data", "prepare", "aapd", "--from", "raw", "--output", "aapd").refused(
        "aapd: already exists", "--overwrite"
    )
    again = command("data", "prepare", "aapd", "--from", "raw", "-o", "aapd", "--overwrite", "--gzip", "--json").ok()
    assert json.loads(again.out)["splits"]["train"]["file"] == "train.jsonl.gz"
    assert sorted(path.name for path in (tmp_path / "aapd").iterdir()) == [
        "prepared.json",
        "test.jsonl.gz",
        "train.jsonl.gz",
        "validation.jsonl.gz",
    ]


def test_strict_writes_nothing_when_counts_differ(command: Command, tmp_path: Path) -> None:
    put(tmp_path / "raw")
    failed = command("data", "prepare", "aapd", "--from", "raw", "--output", "aapd", "--strict")
    failed.refused("nothing is written because of --strict", "train documents: 2 here, 53,840 published")
    assert not (tmp_path / "aapd").exists()


def test_the_catalogue_is_shown(command: Command) -> None:
    table = command("data", "prepare", "--list").ok().out
    assert len(table.splitlines()) == 12
    assert "1,186,239" in table
    entries = json.loads(command("data", "prepare", "--list", "--json").ok().out)
    assert [entry["name"] for entry in entries][:2] == ["reuters-21578", "rcv1-v2"]
    assert command("data", "prepare").ok().out == table
    one = command("data", "prepare", "rcv1-v2", "--list").ok().out
    assert "rcv1.topics.hier.orig" in one
    assert "4/55/43/1" in one
    assert json.loads(command("data", "prepare", "bgc", "--list", "--json").ok().out)[0]["counts"][0]["value"] == 58715


def test_mistakes_are_answered_with_a_sentence(command: Command, tmp_path: Path) -> None:
    put(tmp_path / "raw")
    command("data", "prepare", "aapt", "--from", "raw", "--output", "x").refused("no corpus 'aapt'", "mean 'aapd'")
    command("data", "prepare", "aapd", "--from", "raw").refused("--output DIR is missing", "aapd --list")
    command("data", "prepare", "--from", "raw", "--output", "x").refused("NAME is missing")
    command("data", "prepare", "aapd", "a=b", "--from", "raw", "--output", "x").refused("a: is not an option of aapd")
    command("data", "prepare", "wos", "--from", "raw", "--output", "x").refused("X.txt is missing", "Found: label_test")
    command("data", "prepare", "wos", "--from", "none", "--output", "x").refused("no such folder or archive")
