"""``c_hmcnn``: the contract of all systems, coherent scores, a DAG and a flat label set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.harness import NETWORK_FILES, WORD_FACTS, all_scores, check_resume, check_system
from taxotext import Classifier, Corpus
from tiny import tiny_corpus, tiny_settings


def test_c_hmcnn_keeps_the_contract_of_all_systems_on_a_dag(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    assert (np.asarray(corpus.taxonomy.edge_index[1].tolist()) == corpus.taxonomy.index("fish")).sum() == 2
    classifier = check_system(
        "c_hmcnn",
        tiny_settings("c_hmcnn"),
        tmp_path,
        files=NETWORK_FILES,
        facts=WORD_FACTS,
        few=tiny_settings("c_hmcnn", training={"epochs": 1}),
    )
    parents, children = classifier.taxonomy.edge_index
    scores = classifier.predict_proba(corpus.texts)
    assert (scores[:, parents] >= scores[:, children]).all(), "a label scores below a label under it"
    raw = all_scores(classifier, corpus.texts)
    assert not (raw[:, parents] >= raw[:, children]).all(), "the constraint is one of decoding"
    for threshold in (0.1, 0.5, 0.9):
        decoding = classifier.decoding.model_copy(update={"threshold": threshold})
        classifier.decoding = decoding
        for labels in classifier.predict(corpus.texts):
            for label in labels:
                above = classifier.taxonomy.ancestors(classifier.taxonomy.index(label))
                assert {classifier.taxonomy.ids[one] for one in above} <= set(labels)


def test_a_training_of_c_hmcnn_resumes(tmp_path: Path) -> None:
    check_resume("c_hmcnn", tiny_settings("c_hmcnn", training={"epochs": 3}), tmp_path)


def test_any_encoder_does(tiny_encoder: Path) -> None:
    values = {**tiny_settings("c_hmcnn", tiny_encoder), "training": {"epochs": 1}}
    corpus = tiny_corpus()
    classifier = Classifier("c_hmcnn", **values).fit(corpus, validation=corpus)
    assert classifier.system.settings.loss.name == "max_constraint"
    assert classifier.decoding.consistency == "up"


def test_a_flat_label_set_trains_as_with_binary_cross_entropy() -> None:
    texts = ["cat", "dog", "cat dog", "rain"] * 6
    corpus = Corpus.from_lists(texts, [["c"], ["d"], ["c", "d"], []] * 6)
    losses = [
        Classifier("c_hmcnn", **tiny_settings("c_hmcnn", training={"epochs": 2}, loss={"name": name}))
        .fit(corpus, validation=corpus)
        .manifest.metrics["history"][-1]["loss"]
        for name in ("max_constraint", "bce")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
