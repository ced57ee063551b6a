"""The pages: their Python runs, their commands, settings, names and links exist, the reference is up to date.

```python blocks of a page run one after the other in one namespace, in a folder with the files of the sample;
```python no-run blocks do not. ```sh run blocks are executed, the ``taxotext`` lines of all shell blocks are checked.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import typer

import taxotext
from taxotext import read_corpus
from taxotext.api.runs import parse_run
from taxotext.cli.app import app
from taxotext.composition import parts
from taxotext.data import write_corpus
from taxotext.settings import set_key

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
SHELLS = {"sh", "bash", "console"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *kinds: str) -> list[str]:
    """Contents of the blocks whose info string is one of ``kinds``."""
    return [body for _, kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind.strip() in kinds]


def having(*kinds: str) -> list[Any]:
    return [pytest.param(page, id=name_of(page)) for page in PAGES if blocks(page, *kinds)]


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a page: the sample's files, and a part of them as somebody's own CSV files."""
    shutil.copytree(str(files("taxotext") / "sample"), tmp_path, dirs_exist_ok=True)
    (tmp_path / "README.md").unlink()
    write_corpus(read_corpus(tmp_path / "train.jsonl"), tmp_path / "tickets.csv")
    write_corpus(read_corpus(tmp_path / "test.jsonl"), tmp_path / "new.csv")
    shutil.copy(tmp_path / "taxonomy.tsv", tmp_path / "topics.tsv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", having("python"))
def test_the_python_of_a_page_runs(page: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.members("head")  # all are registered; what a page registers is gone behind it
    monkeypatch.setattr(parts, "_PARTS", {kind: dict(found) for kind, found in parts._PARTS.items()})
    namespace: dict[str, Any] = {"__name__": "page"}
    for body in blocks(page, "python"):
        exec(compile(body, name_of(page), "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("page", having("sh run"))
def test_the_commands_of_a_page_run(page: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    programs = tmp_path_factory.mktemp("bin")
    for name, call in (("taxotext", "-m taxotext "), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call}"$@"\n', encoding="utf-8")
        program.chmod(0o755)
    script = "set -e\n" + "\n".join(blocks(page, "sh run"))
    source = str(Path(taxotext.__path__[0]).resolve().parent)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": source}
    done = subprocess.run(["bash", "-c", script], cwd=sample, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# -- commands ------------------------------------------------------------------------------------------------------


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each ``taxotext ...`` of the shell blocks of a page."""
    for _, kind, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind.split()[:1] and kind.split()[0] in SHELLS:
            for line in body.replace("\\\n", " ").splitlines():
                lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|;&<>()")
                lexer.whitespace_split, lexer.commenters = True, "#"
                words = list(lexer) if "taxotext" in line else []
                for start in (at for at, word in enumerate(words) if word == "taxotext"):
                    ends = (at for at in range(start, len(words)) if set(words[at]) <= set("|;&<>()"))
                    yield words[start + 1 : next(ends, len(words))]


@cache
def program() -> Any:
    return typer.main.get_command(app)


def faults(words: list[str]) -> Iterator[str]:
    """What is wrong with the words of one call."""
    command: Any = program()
    words = list(words)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            yield f"no command {name}"
            return
        command = command.commands[name]
    known = {spelling: entry for entry in command.params for spelling in (*entry.opts, *entry.secondary_opts)}
    plain: list[str] = []
    given: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            plain.append(word)
        elif word not in {"--help", "-h", "--debug"}:
            if word not in known:
                yield f"no option {word}"
            elif not getattr(known[word], "is_flag", False):
                given[known[word].name] = words.pop(0) if words else ""
    if command.name == "train":
        yield from settings_faults([word for word in plain if "=" in word], given.get("model") or "bert")


def settings_faults(assignments: list[str], model: str) -> Iterator[str]:
    values: dict[str, Any] = {"model": model}
    for assignment in assignments:
        set_key(values, assignment)
    try:
        parse_run(values, "page")
    except Exception as error:
        yield str(error)


@pytest.mark.parametrize("page", having(*(f"{shell}{run}" for shell in SHELLS for run in ("", " run"))))
def test_the_commands_and_options_of_a_page_exist(page: Path) -> None:
    found = [f"taxotext {' '.join(words)}: {fault}" for words in commands(page) for fault in faults(words)]
    assert not found, "\n".join(found)


def test_wrong_commands_are_found() -> None:
    assert list(faults(["trian"])) == ["no command trian"]
    assert list(faults(["data", "check", "x.csv", "--taxnomy", "t"])) == ["no option --taxnomy"]
    assert len(list(faults(["train", "--model", "linear", "training.epochs=3"]))) == 1
    assert list(faults(["train", "--model", "linear", "classifier.c=2", "-o", "model", "--resume"])) == []


# -- links and names -----------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as they are made on the usual platforms."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{name_of(page)}: {target}"
        assert not anchor or anchor in anchors(place), f"{name_of(page)}: {target} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_names_of_the_package_on_a_page_exist(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for dotted in set(re.findall(r"`(taxotext(?:\.[A-Za-z_]\w*)+)(?:\(.*?\))?`", text)):
        if dotted in {"taxotext.systems", "taxotext.parts", "taxotext.recipes"}:  # groups of entry points
            continue
        assert exists(dotted), f"{name_of(page)}: {dotted}"


def exists(dotted: str) -> bool:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_every_page_is_in_the_table_of_contents() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / path).resolve() for path in re.findall(r"\]\(([^)#\s]+)", index.read_text("utf-8"))}
    missing = {page for page in PAGES if page.is_relative_to(index.parent)} - linked - {index}
    results = ROOT / "docs" / "results"
    assert not {name_of(page) for page in missing if not page.is_relative_to(results)}


def test_the_written_reference_is_up_to_date() -> None:
    script = ROOT / "docs" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for path, text in module.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{name_of(path)}: run `python docs/make_reference.py`"
