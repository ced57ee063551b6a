"""The examples run, and print what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import taxotext

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

SAYS = {
    "long_texts": "chunk_max   windows [3, 3, 1]",
    "own_data": "the same after loading: True",
    "scikit_learn": "predict gives: (2, 46)",
    "streaming": "wrote 10000 lines",
    "taxonomy": "consistency up    labels without their ancestors: 0.000",
    "thresholds": "tuned on: validation.jsonl",
}


def run(name: str, folder: Path, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(taxotext.__path__[0]).resolve().parent)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*SAYS, "demo"}


@pytest.mark.parametrize("name", sorted(SAYS))
def test_an_example_runs_and_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    assert SAYS[name] in run(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_demonstration_runs_twice_without_the_long_part(tmp_path: Path) -> None:
    for _ in range(2):  # the second run replaces what the first has written
        said = run("demo", tmp_path, "--model", "linear")
    assert said.count("“") == 5
    assert (tmp_path / "demo-output/model/config.json").is_file()
