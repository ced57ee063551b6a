"""Sections of which only some keys are given, parts that are told apart by name, and presets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from taxotext.composition import parts
from taxotext.composition.base import SystemSettings
from taxotext.composition.neural_settings import NeuralSettings, TrainingSettings
from taxotext.errors import ConfigError
from taxotext.settings import Settings, overlaid, parse_settings


class Own(NeuralSettings):
    """A system with defaults of its own."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"training": {"epochs": 40, "clip": 1.0}, "loss": {"name": "focal", "gamma": 3.0}}
    }
    preset: Literal["default", "paper"] = Field("default", description="preset")
    encoder: parts.choice("encoder") = Field(parts.TransformerSettings(pooling="cls"), description="encoder")  # type: ignore[valid-type]
    training: TrainingSettings = Field(TrainingSettings(epochs=3, batch_size=7), description="training")


def of(**values: Any) -> Any:
    return parse_settings(Own, values)


def test_a_section_keeps_the_defaults_of_its_system() -> None:
    assert (of().encoder.pooling, of().encoder.source) == ("cls", "default")
    changed = of(encoder={"source": "x"}, training={"clip": 2.0})
    assert (changed.encoder.pooling, changed.encoder.source) == ("cls", "x")
    assert (changed.training.epochs, changed.training.batch_size, changed.training.clip) == (3, 7, 2.0)


def test_another_part_starts_from_its_own_defaults() -> None:
    changed = of(encoder={"name": "kim_cnn", "filters": 3})
    assert (changed.encoder.name, changed.encoder.filters, changed.encoder.kernels) == ("kim_cnn", 3, (3, 4, 5))
    assert of(encoder={"name": "kim_cnn", "vocabulary": {"size": 9}}).encoder.vocabulary.min_count == 2


def test_what_is_given_is_laid_over_the_preset_and_that_over_the_defaults() -> None:
    paper = of(preset="paper", training={"clip": 2.0}, loss={"alpha": 0.25})
    assert (paper.training.epochs, paper.training.clip, paper.training.batch_size) == (40, 2.0, 7)
    assert (paper.loss.name, paper.loss.gamma, paper.loss.alpha) == ("focal", 3.0, 0.25)
    assert of(preset="paper", loss={"name": "bce"}).loss.scale == "sum"
    again = Own.model_validate(paper.model_dump(mode="json"))
    assert again == paper


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"encoder": {"pool": "cls"}}, "encoder.pool: unknown key. Did you mean 'pooling'?"),
        ({"encoder": {"filters": 3}}, "encoder.filters: unknown key."),
        ({"encoder": {"name": "kim_cnn", "filter": 3}}, "encoder.filter: unknown key. Did you mean 'filters'?"),
        ({"encoder": {"name": "kim_cnn", "pooling": "cls"}}, "encoder.pooling: unknown key."),
        ({"encoder": {"name": "kim"}}, "encoder.name: 'kim' is not known; choose from 'transformer', 'textcnn'"),
        ({"encoder": {"name": 3}}, "encoder.name: '3' is not known"),
        ({"encoder": {"name": None}}, "encoder.name: "),
        ({"encoder": {"name": ["kim_cnn"]}}, "encoder.name: "),
        ({"encoder": 3}, "encoder: must be a mapping of keys to values (got 3)"),
        ({"encoder": None}, "encoder: must be a mapping of keys to values"),
        ({"encoder": {"name": "kim_cnn", "kernels": []}}, "encoder.kernels: "),
        (
            {"encoder": {"name": "kim_cnn", "kernels": [0]}},
            "encoder.kernels.0: input should be greater than or equal to 1",
        ),
        ({"encoder": {"name": "textcnn", "kernel": 4}}, "encoder.kernel: an odd number is needed"),
        ({"encoder": {"name": "textcnn", "embeddings": ""}}, "encoder.embeddings: "),
        (
            {"encoder": {"name": "textcnn", "vocabulary": {"sise": 3}}},
            "sise: unknown key. Did you mean 'size'?",
        ),
        (
            {"preset": "papers"},
            "preset: 'papers' is not known; choose from 'default' or 'paper'.",
        ),
        ({"preset": ["paper"]}, "preset: "),
        ({"preset": "paper", "training": 3}, "training: must be a mapping of keys to values (got 3)"),
        ({"training": {"averaging": "ema"}}, "training.averaging: 'ema' is not known; choose from 'none' or 'swa'"),
        ({"training": {"averaging_start": 1}}, "training.averaging_start: input should be less than 1"),
    ],
)
def test_mistakes_are_named_by_their_key(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of(**values)
    assert sentence in str(caught.value)


def test_several_problems_of_several_parts_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        of(encoder={"name": "kim_cnn", "filters": 0}, loss={"name": "focal", "gamma": -1}, seed="x")
    for key in ("encoder.filters", "loss.gamma", "seed"):
        assert f"- {key}: " in str(caught.value)


def test_systems_without_presets_know_no_preset() -> None:
    with pytest.raises(ConfigError, match="preset: unknown key"):
        parse_settings(SystemSettings, {"preset": "paper"})


def test_sections_are_overlaid_key_by_key() -> None:
    class Inner(Settings):
        a: int = 1
        b: int = 2

    base = {"x": {"y": 1, "z": 2}, "inner": Inner(a=5), "list": [1]}
    found = overlaid(base, {"x": {"y": 3}, "inner": {"b": 7}, "list": [2], "new": 1})
    assert found == {"x": {"y": 3, "z": 2}, "inner": {"a": 5, "b": 7}, "list": [2], "new": 1}
    assert base["x"] == {"y": 1, "z": 2}, "the base was changed"


def test_thousands_of_problems_are_gathered_in_no_time() -> None:
    class Example(Settings):
        numbers: tuple[float, ...] = ()
        other: int = 1

    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        parse_settings(Example, {"numbers": [None] * 50_000, "other": "x"})
    assert len(caught.value.problems) == 50_001
    assert time.process_time() - started < 5
