"""Closed streams, terminals of few characters, and what would change a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import taxotext
from command import Command, documents

ODD = "red\x1b[31m\u202etxt\x9b"
SHOWN = r"red\x1b[31m\u202etxt\x9b"


def run(place: Path, arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that a shell starts in ``place``."""
    done = subprocess.run(
        f"{sys.executable} -m taxotext {arguments}",
        shell=True,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(taxotext.__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("redirection", "code", "sentence"),
    [
        (">&-", 2, "taxotext: stdout is closed, and the result goes there"),
        ("2>&-", 0, ""),
        ("<&-", 0, "2 labels, 1 edge, 2 levels."),
        (">&- 2>&- <&-", 2, ""),
        (">/dev/full", 2, "taxotext: No space left on device"),
    ],
)
def test_closed_and_full_streams_are_no_traceback(redirection: str, code: int, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("Root\ta\na\tb\n")
    found, _, err = run(tmp_path, f"data tree x.tsv {redirection}")
    assert found == code
    assert "Traceback" not in err
    assert err.startswith(sentence)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_of_few_characters_get_escapes(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(documents({"fruit": ["obst-日本"], "cars": ["auto-ü"]}), encoding="utf-8")
    (tmp_path / "x.tsv").write_text("Root\tobst-日本\nobst-日本\tauto-ü\n", encoding="utf-8")
    for arguments in ("data stats x.jsonl", "data check x.jsonl --taxonomy x.tsv", "data tree x.tsv"):
        code, out, err = run(tmp_path, arguments, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert code == 0, err
        assert "obst-\\u65e5\\u672c" in out or "check" in arguments


def test_nothing_that_is_printed_changes_a_terminal(command: Command, tmp_path: Path) -> None:
    labels = {"fruit": [ODD], "cars": ["cars"]}
    Path("train.jsonl").write_text(documents(labels), encoding="utf-8")
    Path("topics.json").write_text(json.dumps([{"id": ODD, "children": [{"id": "cars", "name": "\u2066c"}]}]))
    Path("odd.jsonl").write_text(json.dumps({"text": f"apple {ODD}", "labels": [f"{ODD}?"], ODD: 1}) + "\n")
    command("train", "--model=linear", "--train=train.jsonl", "--output=model").ok()
    shown = ""
    for arguments in (
        ("data", "tree", "topics.json"),
        ("data", "tree", "topics.json", "--json"),
        ("data", "stats", "train.jsonl"),
        ("data", "check", "odd.jsonl", "--taxonomy", "topics.json"),
        ("predict", "model", "odd.jsonl", "--tree"),
        ("predict", "model", "odd.jsonl"),
        ("explain", "model", "odd.jsonl"),
        ("evaluate", "model", "odd.jsonl", "--per-label"),
        ("labels", "model"),
        ("data", "check", f"{ODD}.jsonl"),
        ("train", "--model=linear", f"{ODD}=1", "--train=train.jsonl", "--output=other"),
        ("data", "stats", "train.jsonl", "--text", ODD),
    ):
        outcome = command(*arguments)
        assert "error inside the program" not in outcome.err
        for text in (outcome.out, outcome.err):
            assert not set(text) & set("\x1b\u202e\u2066\x9b"), arguments
        shown += outcome.out
    assert f"{SHOWN}\n" in shown
    assert r"cars  \u2066c" in shown
    (line,) = command("predict", "model", "odd.jsonl").lines
    assert line["labels"] == [ODD]
