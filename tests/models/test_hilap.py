"""``hilap``: the contract of all systems, closed label sets, resuming, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.harness import NETWORK_FILES, check_resume, check_system
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.errors import ConfigError
from tiny import tiny_corpus, tiny_settings

RUNTIME = {"device": "cpu", "precision": "float32", "threads": 1}


def settings(folder: Path, head: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    return tiny_settings("bert", folder, head=head or {}, training=training)


def test_hilap_keeps_the_contract_of_all_systems_and_predicts_closed_sets(tiny_encoder: Path, tmp_path: Path) -> None:
    classifier = check_system(
        "hilap",
        settings(tiny_encoder, {"objective": "supervised", "dropout": 0.0}, epochs=35, patience=35, learning_rate=3e-3),
        tmp_path,
        files=NETWORK_FILES,
        facts=("encoder_source", "encoder_sha256", "longest_sequence"),
        few=settings(tiny_encoder, epochs=1),
        overfits=0.93,
    )
    texts = [*tiny_corpus().texts, "", "unheard of"]
    for block in classifier.system.scores(texts):
        assert block.sets is not None
        assert not classifier.taxonomy.violations(block.sets).any()


@pytest.mark.parametrize("head", [{"objective": "supervised", "beams": 3}, {"reward": 2.0}])
def test_a_training_resumes(head: dict[str, Any], tiny_encoder: Path, tmp_path: Path) -> None:
    check_resume("hilap", settings(tiny_encoder, head, epochs=3), tmp_path)


def test_training_sets_without_their_parents_are_refused(tiny_encoder: Path) -> None:
    taxonomy = Taxonomy.from_edges([(None, "animals"), ("animals", "cats")])
    texts, labels = ["cat", "dog", "rain"] * 4, [["cats"], ["animals"], []] * 4
    corpus = Corpus.from_lists(texts, labels, taxonomy)
    if not np.asarray(taxonomy.violations(corpus.targets)).any():
        corpus = Corpus.from_lists(texts, labels, taxonomy, closure="as_given")
    with pytest.raises(ConfigError, match=r"data\.closure: 4 of 12 training documents have a label without its"):
        Classifier("hilap", **settings(tiny_encoder, epochs=1)).fit(corpus, validation=corpus)


def test_the_preset_of_the_paper_trains_over_words() -> None:
    corpus = tiny_corpus()
    values = {"training": {"epochs": 1}, "encoder": {"vocabulary": {"min_count": 1}}, "runtime": RUNTIME}
    classifier = Classifier("hilap", preset="paper", **values).fit(corpus, validation=corpus)
    settings = classifier.system.settings
    assert (settings.encoder.name, settings.head.hidden, settings.head.label_width) == ("kim_cnn", 500, 50)
    assert (settings.training.batch_size, settings.training.schedule) == (32, "constant")
    assert len(classifier.predict(["cat"])) == 1


def test_settings_that_do_not_fit_are_refused(tiny_encoder: Path) -> None:
    with pytest.raises(ConfigError, match="beams is 65; give 1 to 64, or exact"):
        Classifier("hilap", head={"beams": 65}).fit(tiny_corpus())
