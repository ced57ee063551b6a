"""``taxotext config`` and ``taxotext models``: what is printed can be read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, Field

from command import Command, documents
from taxotext.api.runs import DataSettings, default_config, parse_run
from taxotext.models.registry import entries, find
from taxotext.settings import Settings, commented_yaml, read_yaml

SYSTEMS = list(entries())


def descriptions(kind: type[BaseModel]) -> Iterator[str]:
    defaults = kind()
    for name, field in kind.model_fields.items():
        yield field.description or ""
        if isinstance(value := getattr(defaults, name), BaseModel):
            yield from descriptions(type(value))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_printed_configuration_is_read_back_as_the_same_defaults(system: str, command: Command) -> None:
    Path("c.yaml").write_text(command("config", system).ok().out, encoding="utf-8")
    config = parse_run(read_yaml(Path("c.yaml")), "c.yaml")
    assert config.chosen is not None
    assert config.chosen.kind is find(system)
    assert config.chosen.settings == find(system).Settings()
    assert config.data == DataSettings()


@pytest.mark.parametrize("system", SYSTEMS)
def test_other_readers_of_yaml_see_the_same(system: str) -> None:
    values = yaml.safe_load(default_config(system))
    assert values.pop("model") == system
    assert values.pop("data") == DataSettings().model_dump(mode="json")
    assert values == find(system).Settings().model_dump(mode="json")


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_key_has_its_comment(system: str) -> None:
    lines = default_config(system).splitlines()
    assert all("  # " in line for line in lines), [line for line in lines if "  # " not in line]
    comments = [line.partition("  # ")[2] for line in lines]
    for kind in (DataSettings, find(system).Settings):
        wanted = list(descriptions(kind))
        assert all(wanted)
        assert set(wanted) <= set(comments)


@pytest.mark.parametrize("system", SYSTEMS)
def test_models_show_tells_what_a_system_is_and_its_settings(system: str, command: Command) -> None:
    out = command("models", "show", system).ok().out
    assert out.startswith(f"``{system}``")
    assert default_config(system) in out


def test_models_list_names_every_system(command: Command) -> None:
    out = command("models", "list").ok().out
    assert all(system in out for system in SYSTEMS)
    listed = json.loads(command("models", "list", "--json").ok().out)
    assert [entry["name"] for entry in listed] == SYSTEMS


def test_a_preset_is_printed_as_what_it_sets(command: Command) -> None:
    Path("c.yaml").write_text(command("config", "textcnn", "preset=paper", "training.epochs=7").ok().out, "utf-8")
    config = parse_run(read_yaml(Path("c.yaml")), "c.yaml")
    assert config.chosen is not None
    settings: Any = config.chosen.settings
    assert settings == find("textcnn").Settings.model_validate({"preset": "paper", "training": {"epochs": 7}})
    assert (settings.training.epochs, settings.training.schedule, settings.loss.scale) == (7, "constant", "mean")
    assert settings.training.batch_size == find("textcnn").Settings().training.batch_size  # type: ignore[attr-defined]


class Odd(Settings):
    """Values that YAML could take for something else."""

    number: str = "3"
    exponent: str = "1e5"
    octal: str = "0o17"
    agreement: str = "yes"
    truth: str = "True"
    nothing: str = "null"
    none: str = "none"
    tilde: str = "~"
    empty: str = ""
    date: str = "2020-01-01"
    colon: str = "a: b"
    hash: str = "a # b"
    dash: str = "- a"
    tab: str = "\t"
    umlaut: str = "süß"
    quote: str = "'\""
    small: float = 5e-05
    large: float = Field(1e22, le=1e30)
    whole: float = 1.0
    pair: tuple[int, int] = (1, 2)
    table: dict[str, float] = Field({"a: b": 0.5})
    switch: bool = False


def test_values_that_look_like_something_else_are_quoted(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(commented_yaml(Odd()), encoding="utf-8")
    assert Odd.model_validate(read_yaml(tmp_path / "c.yaml")) == Odd()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["config"], "taxotext config: missing argument 'name'"),
        (["config", "bret"], "there is no system 'bret'. Did you mean 'bert'? Known systems: linear, "),
        (["config", "linear", "bert"], "'bert' is not of the form key.path=value"),
        (["config", "textcnn", "preset=papers"], "preset: 'papers' is not known; choose from 'default' or 'paper'"),
        (["models", "show", "liner"], "there is no system 'liner'. Did you mean 'linear'?"),
        (["models", "shwo"], "taxotext models: there is no command 'shwo'. Did you mean 'show'?"),
        (["models", "xyz"], "there is no command 'xyz'. Known: list, show."),
    ],
)
def test_mistakes_are_answered_with_a_sentence(arguments: list[str], sentence: str, command: Command) -> None:
    command(*arguments).refused(sentence)


def test_a_printed_configuration_trains(command: Command) -> None:
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    Path("c.yaml").write_text(command("config", "linear").ok().out, encoding="utf-8")
    command("train", "c.yaml", "data.train=train.jsonl", "--output=m").ok()
    saved: dict[str, Any] = json.loads(Path("m/config.json").read_text(encoding="utf-8"))
    assert saved["settings"] == find("linear").Settings().model_dump(mode="json")
