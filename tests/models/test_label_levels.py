"""``attention_xml`` level by level: the contract of all systems, resumption, encoders, candidates between levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.sparse import csr_array

import taxotext
from interrupted import check_same_model, cut_at
from models.harness import NETWORK_FILES, WORD_FACTS, all_scores, check_resume, check_system
from models.test_label_attention_systems import flat_corpus
from taxotext import Classifier
from taxotext.api.status import training_status
from taxotext.composition.parts import propensity_weights
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.models.registry import find
from taxotext.training import RunFolder, levels
from taxotext.training.module import TextModule
from tiny import tiny_corpus, tiny_settings


def settings(head: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    values = tiny_settings("light_attention", training={"epochs": 30, "patience": 30, **training})
    return {**values, "head": {"name": "label_levels", **values["head"], **(head or {})}}


def test_attention_xml_along_a_tree_keeps_the_contract_of_all_systems(tmp_path: Path) -> None:
    classifier = check_system(
        "attention_xml",
        settings(),
        tmp_path,
        files=NETWORK_FILES,
        facts=(*WORD_FACTS, "label_tree"),
        few=settings(epochs=1),
    )
    facts = classifier.manifest.facts
    assert facts["label_tree"] == "4 > 7"
    assert facts["levels"].startswith("4 nodes: epoch ")
    block = next(classifier.system.scores(["cat", "the trout"]))
    assert block.is_sparse
    assert (np.diff(block.candidates.indptr) < 7).all(), "three of four clusters"
    assert 0.9 < classifier.manifest.metrics["history"][-1]["candidate_recall"] <= 1


def test_a_training_along_a_tree_with_averaged_weights_resumes_within_a_level(tmp_path: Path) -> None:
    check_resume("attention_xml", settings(epochs=3, averaging="swa"), tmp_path)


def test_a_training_resumes_between_its_levels_and_within_a_lower_one(tmp_path: Path) -> None:
    corpus, values = (
        tiny_corpus(),
        settings({"tree": {"cluster_size": 2, "branching": 2, "levels": 2}}, epochs=2, checkpoint_minutes=0),
    )
    validation = corpus.subset(range(0, 60, 3))

    def fit(run: RunFolder | None = None) -> Classifier:
        return Classifier("attention_xml", **values).fit(corpus, validation=validation, run=run)

    whole = fit()
    assert whole.manifest.facts["label_tree"] == "2 > 4 > 7"
    for call in (1, 2):
        with cut_at(levels.Ranked, "save", call):
            fit(RunFolder(tmp_path / "m.run", {}, resume=True))
    with cut_at(TextModule, "training_step", 7):  # of the second level
        fit(RunFolder(tmp_path / "m.run", {}, resume=True))
    assert training_status(tmp_path / "m").sentence.endswith("Level 2 of the label tree is reached.")
    with cut_at(levels, "train_network", 3):
        fit(RunFolder(tmp_path / "m.run", {}, resume=True))
    found = {path.name for path in (tmp_path / "m.run" / "checkpoints").iterdir()}
    assert found >= {"level_0", "level_1"}
    with cut_at(levels.Ranked, "save", 1, may_end=True) as moment:
        resumed = fit(RunFolder(tmp_path / "m.run", {}, resume=True))
    assert not moment.came, "nodes are ranked once"
    check_same_model(resumed, whole)


@pytest.mark.parametrize("trainable", [True, False])
def test_a_transformer_reads_for_all_levels_tuned_or_frozen(
    tiny_encoder: Path, trainable: bool, tmp_path: Path
) -> None:
    corpus, values = tiny_corpus(), tiny_settings("bert", tiny_encoder, training={"epochs": 1})
    values["encoder"] = {"name": "transformer", "source": str(tiny_encoder), "trainable": trainable}
    values["head"] = {"name": "label_levels", "beam": 2, "tree": {"cluster_size": 2}}
    classifier = Classifier("attention_xml", **values).fit(corpus, validation=corpus)
    assert len(classifier.system.network.above) == (1 if trainable else 0)  # type: ignore[attr-defined]
    classifier.save(tmp_path / "model")
    again = taxotext.load(tmp_path / "model")
    assert np.array_equal(all_scores(again, corpus.texts), all_scores(classifier, corpus.texts))


def test_a_flat_label_set_is_learned_with_an_asymmetric_loss_and_inverse_propensities() -> None:
    loss = {"name": "asymmetric", "gamma_negative": 1.0, "positive_weight": "propensity"}
    corpus = flat_corpus()
    values = settings({"beam": 1, "score": "leaf", "loss": loss, "scorer": "dot", "bottleneck": 8})
    classifier = Classifier("attention_xml", **values).fit(corpus, validation=corpus)
    assert classifier.evaluate(corpus)["p@1"] > 0.8
    head = classifier.system.network.head  # type: ignore[attr-defined]
    counts = np.asarray(corpus.targets.sum(0)).ravel()
    weights = propensity_weights(counts, len(corpus))
    assert np.allclose(head.level(1).cell_loss.positive_weight.numpy(), weights)
    assert head.level(0).cell_loss.positive_weight is None
    expected = 1 + (np.log(len(corpus)) - 1) * 2.5**0.55 * (counts + 1.5) ** -0.55
    assert np.allclose(weights, expected)


def test_gold_nodes_come_first_among_the_parents_and_the_best_others_fill_up() -> None:
    ranked = np.asarray([[3, 1, 0, -1], [2, 4, 5, 0], [0, 1, 2, 3]], np.int32)
    gold = csr_array(np.asarray([[0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [1, 1, 1, 1, 1, 0]], bool))
    found = levels.parents_of(np.asarray([1, 0, 2]), ranked, gold)["parents"].tolist()
    assert found == [[0, 1, 5, 2, -1], [1, 3, 0, -1, -1], [0, 1, 2, 3, 4]]


def test_the_levels_share_the_time_that_is_given() -> None:
    corpus = tiny_corpus()
    values = settings(epochs=200, patience=200, max_minutes=0.05)
    classifier = Classifier("attention_xml", **values).fit(corpus, validation=corpus)
    assert classifier.manifest.facts["seconds"] < 30
    assert len(classifier.manifest.metrics["history"]) < 200


def test_only_attention_xml_trains_level_by_level() -> None:
    with pytest.raises(ConfigError, match="trained level by level, which only attention_xml does"):
        Classifier("kim_cnn", head={"name": "label_levels"})


def test_the_presets_along_a_tree_are_the_published_ones() -> None:
    found = Classifier("attention_xml", preset="paper_tree").settings_()
    assert (found.head.name, found.head.beam, found.head.tree.cluster_size, found.head.tree.levels) == (
        "label_levels",
        160,
        8,
        3,
    )
    assert (found.encoder.units, found.head.hidden, found.training.batch_size) == (512, (512, 256), 200)
    assert Classifier("attention_xml", preset="tree").settings_().training.averaging == "none"
    assert find("attention_xml").recipe == "levels"


@pytest.mark.parametrize(
    "odd",
    [
        {"nodes": np.array([[9, 1]], np.int32)},
        {"nodes": np.array([[-2, 1]], np.int32)},
        {"nodes": np.array([[0, 1]], np.int64)},
        {"nodes": np.array([[0]], np.int32)},
        {"path": np.array([[0.0, np.nan]], np.float32)},
        {"path": np.array([[0.0, 1.0]], np.float16)},
        {"more": np.zeros(1)},
    ],
    ids=str,
)
def test_a_damaged_file_of_candidates_is_named(odd: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "train.ranked.safetensors"
    sound = {"nodes": np.array([[2, -1]], np.int32), "path": np.array([[-0.5, -np.inf]], np.float32)}
    save_file(sound, path)
    assert levels.Ranked.read(path, (1, 2), 3).nodes.tolist() == [[2, -1]]
    with pytest.raises(ModelFolderError, match="of other documents"):
        levels.Ranked.read(path, (2, 2), 3)
    save_file(sound | odd, path)
    with pytest.raises(ModelFolderError, match="is damaged"):
        levels.Ranked.read(path, (1, 2), 3)
