"""The command line run inside the test process, and a small trained model folder."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

import taxotext
from taxotext.cli import main

SAMPLE = Path(taxotext.__file__).parent / "sample"
TOPICS = {
    "fruit": ["apple pear plum", "plum apple", "pear and plum", "ripe apple"],
    "cars": ["car engine wheel", "engine and wheel", "a car wheel", "wheel car"],
}


@dataclass(frozen=True)
class Outcome:
    """What one command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    def refused(self, *fragments: str) -> None:
        """It was a mistake of the user: a sentence on stderr, exit code 2, nothing on stdout, no traceback."""
        assert self.code == 2, self
        assert self.out == ""
        assert "Traceback" not in self.err
        assert "error inside the program" not in self.err
        assert "taxotext" in self.err
        for fragment in fragments:
            assert fragment in self.err

    def ok(self) -> Outcome:
        """It went well."""
        assert self.code == 0, self
        return self

    @property
    def lines(self) -> list[dict[str, object]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Outcome]


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``command("predict", folder, file, stdin=b"...")`` runs ``taxotext`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Outcome(int(end.value.code or 0), out.decode(), err.decode())

    return run


def documents(labels_of: dict[str, list[str]] | None = None) -> str:
    """JSON lines of a corpus that ``linear`` learns without mistakes; each topic with the labels given for it."""
    lines = []
    for topic, texts in TOPICS.items():
        labels = [topic] if labels_of is None else labels_of[topic]
        lines += [json.dumps({"text": text, "labels": labels}) + "\n" for text in texts]
    return "".join(lines)


@pytest.fixture(scope="session")
def sample_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``linear`` model of the sample corpus (46 labels, 3 levels); only to be read, see ``model``."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    given = [f"--{name}={SAMPLE / f'{name}.jsonl'}" for name in ("train", "validation")]
    with pytest.raises(SystemExit) as end:
        main(["train", "--model=linear", *given, f"--taxonomy={SAMPLE / 'taxonomy.tsv'}", f"--output={folder}"])
    assert end.value.code == 0
    return folder


@pytest.fixture
def model(sample_model: Path, tmp_path: Path) -> Path:
    """A copy of ``sample_model`` to be damaged."""
    return Path(shutil.copytree(sample_model, tmp_path / "model"))
