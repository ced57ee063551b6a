"""A few hundred seeded damages of `tests/torture`, in this process: each ends with a result or one sentence, soon."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

import taxotext
from command import Command
from taxotext import TaxotextError
from torture import material, mutators

SECONDS = 5.0
"""Processor time of one case at most; `tests/torture` measures memory as well."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> material.Material:
    return material.make(tmp_path_factory.mktemp("made"), ("linear", "kim_cnn", "sgm"), small=True)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_model_folders_are_models_or_sentences(seed: int, made: material.Material, tmp_path: Path) -> None:
    for number in range(13):
        rng = random.Random(f"model {seed} {number}")
        model = Path(shutil.copytree(rng.choice(list(made.models.values())), tmp_path / f"model-{number}"))
        damage = mutators.model_folder(rng, model, list(made.models.values()))
        started = time.process_time()
        try:
            taxotext.load(model, threads=1).predict(["a cat purrs", "", "the dog barks today"])
        except TaxotextError as error:
            assert "model" in str(error), damage
        assert time.process_time() - started < SECONDS, damage


@pytest.mark.parametrize("kind", ["corpora", "taxonomies", "configs"])
def test_damaged_files_are_read_or_a_sentence(kind: str, made: material.Material, command: Command) -> None:
    for number in range(40):
        rng = random.Random(f"{kind} {number}")
        source = rng.choice(getattr(made, kind))
        damaged = Path(f"{number}-{source.name}")
        shutil.copy(source, damaged)
        damage = f"{source.name}: {mutators.file(rng, damaged)}"
        arguments = {
            "corpora": ("data", "check", damaged, "--taxonomy", made.taxonomy),
            "taxonomies": ("data", "tree", damaged),
            "configs": ("train", damaged, "--train=nothing.jsonl", "--output=model"),
        }[kind]
        started = time.process_time()
        outcome = command(*arguments)
        assert outcome.code in {0, 1, 2}, (damage, outcome)
        assert "error inside the program" not in outcome.err, (damage, outcome.err)
        assert time.process_time() - started < SECONDS, damage
