"""Files of an unfinished training that cannot be read are named, and what the sentence advises brings them back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierarchies import timeless, tiny_run
from interrupted import cut_at
from taxotext.api.runs import train_run
from taxotext.errors import TaxotextError
from taxotext.progress import Silent
from taxotext.work import local


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def forget(path: Path) -> None:
    path.write_text("{}", encoding="utf-8")


def disguise(path: Path) -> None:
    path.write_text(re.sub(r'"(weight|epoch)": [\d.]+', r'"\1": "x"', path.read_text(encoding="utf-8")))


def exchange(path: Path) -> None:
    """Put the array of the other documents there."""
    other = path.with_name(path.name.replace("validation", "train"))
    path.write_bytes(other.read_bytes())


def beyond(path: Path) -> None:
    """Token ids that no vocabulary has."""
    np.save(path, np.load(path) + 1_000_000)


CASES = [
    *[(files, how) for files in ("chosen/0.safetensors", "chosen/0.table.npy") for how in (cut, empty, remove)],
    *[("fits/1.*.safetensors", how) for how in (cut, empty)],
    *[(f"shared/{name}", how) for name in ("table.npy", "train.values.npy", "facts.json") for how in (cut, empty)],
    *[(f"shared/{name}", remove) for name in ("table.npy", "validation.indices.npy")],
    *[(f"shared/validation.{name}.npy", exchange) for name in ("first", "offsets", "cut", "indices")],
    ("shared/train.values.npy", beyond),
    ("shared/facts.json", forget),
    *[(f"done/{key}.json", how) for key in ("0", "0.0.0", "1.0.1") for how in (cut, forget, disguise)],
]


@pytest.fixture(scope="module")
def unfinished(data: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a training that was killed between the rungs of label 1."""
    folder = tmp_path_factory.mktemp("unfinished")
    with cut_at(local, "compute", when=lambda key, request: key == "1.1.0"):
        train_run(tiny_run(data), folder / "model", reporter=Silent())
    return folder / "model.run"


def follow(advice: str) -> None:
    """Do what a sentence says."""
    folder = re.search(r"Remove the folder (\S+):", advice)
    label = re.search(r"(\S+): cannot be read .*Remove it and (\S+):", advice, re.DOTALL)
    result = re.search(r"(\S+): .*; remove it, and it is computed again", advice, re.DOTALL)
    if folder:
        shutil.rmtree(folder[1])
    elif label:
        Path(label[1]).unlink(missing_ok=True)
        pattern = Path(label[2])
        for path in pattern.parent.glob(pattern.name):
            path.unlink()
    else:
        assert result, advice
        Path(result[1]).unlink()


@pytest.mark.parametrize(("files", "harm"), CASES, ids=[f"{files} {how.__name__}" for files, how in CASES])
def test_a_damaged_file_is_named_and_the_advice_brings_the_training_to_its_end(
    files: str,
    harm: Callable[[Path], None],
    data: dict[str, str],
    undisturbed: dict[str, Any],
    unfinished: Path,
    tmp_path: Path,
) -> None:
    run, output = tmp_path / "model.run", tmp_path / "model"
    shutil.copytree(unfinished, run)
    harmed = sorted((run / "checkpoints").glob(files))
    assert harmed
    for path in harmed:
        harm(path)
    sentences = []
    while not output.exists():
        assert len(sentences) < 5, sentences
        try:
            train_run(tiny_run(data), output, resume=True, reporter=Silent())
        except TaxotextError as error:
            sentences.append(str(error))
            follow(sentences[-1])
    assert sentences
    assert any(str(path) in sentences[0] for path in harmed)
    assert timeless(output) == undisturbed
