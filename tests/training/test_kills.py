"""Real ``kill -9`` of the command line at three moments; ``tests/torture`` does it by the dozen."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from taxotext.cli import main
from taxotext.data import write_jsonl
from taxotext.labels import write_taxonomy
from tiny import tiny_corpus
from torture.torture import Workshop, training_settings

EPOCHS = 6


def in_process(arguments: list[str]) -> None:
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, f"{arguments} ended with {end.code}"


@pytest.fixture(scope="module")
def workshop(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The undisturbed models come from this process, the killed ones from processes of their own."""
    folder = tmp_path_factory.mktemp("kills")
    corpus = tiny_corpus()
    write_jsonl(corpus, folder / "train.jsonl")
    write_jsonl(corpus.subset(range(0, len(corpus), 3)), folder / "validation.jsonl")
    write_taxonomy(corpus.taxonomy, folder / "taxonomy.tsv")
    data = [f"--train={folder / 'train.jsonl'}", f"--validation={folder / 'validation.jsonl'}"]
    data += [f"--taxonomy={folder / 'taxonomy.tsv'}"]
    settings = training_settings(tiny_encoder, **{"training.epochs": EPOCHS, "training.batch_size": 12})
    workshop = Workshop(folder, data, settings, EPOCHS * 5, run=in_process)
    workshop.prepare()
    return workshop


def test_a_killed_training_resumes_to_the_same_files(workshop: Workshop) -> None:
    workshop.training_round(random.Random(1), kills=1)
    assert workshop.stage.kills == 1


def test_a_killed_tuning_leaves_a_model_and_can_be_repeated(workshop: Workshop) -> None:
    workshop.tuning_round(random.Random(2))
    assert workshop.stage.kills + workshop.stage.survived == 1


def test_a_killed_replacement_keeps_the_old_model_or_the_new_one(workshop: Workshop) -> None:
    workshop.saving_round(random.Random(3), replace=True)
    assert workshop.stage.kills + workshop.stage.survived == 1
