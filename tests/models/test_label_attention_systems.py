"""``light_attention`` and ``attention_xml``: the contract of all systems, kinds of label sets, negatives, encoders."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taxotext
from models.harness import all_scores, check_resume, check_system
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.composition import weights
from taxotext.decoding import Decoding
from taxotext.errors import ConfigError
from taxotext.models.registry import find
from taxotext.training.gradient import EXPONENTS, judge
from tiny import tiny_corpus, tiny_settings

FILES = ("encoder.json", "parts.json", "tokenizer.json", "weights.safetensors")
FACTS = (
    "vocabulary",
    "embedding_width",
    "embeddings_trained",
    "embeddings",
    "embeddings_sha256",
    "embeddings_coverage",
)
TREE = {"cluster_size": 2}


def settings(head: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    return tiny_settings("light_attention", head=head or {}, training={"epochs": 40, "patience": 40, **training})


def test_light_attention_keeps_the_contract_of_all_systems_on_a_dag(tmp_path: Path) -> None:
    classifier = check_system(
        "light_attention",
        settings(),
        tmp_path,
        files=FILES,
        facts=(*FACTS, "label_tree"),
        few=settings(epochs=1),
    )
    assert classifier.manifest.facts["label_tree"] == "4 > 7"
    block = next(classifier.system.scores(["cat", "the trout"]))
    assert block.is_sparse
    assert (np.diff(block.candidates.indptr) < 7).all(), "three of four clusters"
    last = classifier.manifest.metrics["history"][-1]
    assert 0.9 < last["candidate_recall"] <= 1
    assert last["loss"] == pytest.approx(last["cluster_loss"] + last["label_loss"], rel=1e-4)


def test_a_training_of_light_attention_resumes(tmp_path: Path) -> None:
    check_resume("light_attention", settings(epochs=3), tmp_path)


@pytest.mark.parametrize(
    "head",
    [
        {"negatives": "static", "sparse_updates": True},
        {"negatives": "none", "scale": "mean", "table_precision": "bfloat16"},
        {"scorer": "dot", "bottleneck": 8, "sparse_updates": True, "search": "threshold", "least": 0.2},
        {"score": "leaf", "own_output": False, "start_at_odds": False},
        {"tree": {"source": "taxonomy"}},
        {"tree": {"source": "names", **TREE}},
        {"tree": {"source": "both", **TREE}, "score": "mixed", "search": "exact", "count": 3},
        {"tree": {"source": "random", "cluster_size": 1, "branching": 2, "levels": 2}, "beam": 2},
    ],
    ids=str,
)
def test_other_heads_learn_and_are_read_again(head: dict[str, Any], tmp_path: Path) -> None:
    corpus = tiny_corpus()
    classifier = Classifier("light_attention", **settings(head, epochs=8)).fit(corpus, validation=corpus)
    history = classifier.manifest.metrics["history"]
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    system: Any = classifier.system
    assert system.network.head.search.kind == head.get("search", "beam")
    classifier.save(tmp_path / "model")
    again = taxotext.load(tmp_path / "model")
    assert np.array_equal(all_scores(again, corpus.texts), all_scores(classifier, corpus.texts))


def test_the_power_of_the_paths_is_the_best_one_for_the_validation_documents() -> None:
    corpus, held = tiny_corpus(), tiny_corpus(seed=9)
    values = settings({"score": "mixed"}, epochs=4, monitor="ndcg@5")
    classifier = Classifier("light_attention", **values).fit(corpus, validation=held)
    system: Any = classifier.system
    found = {}
    for exponent in EXPONENTS:
        system.network.head.search.exponent.fill_(exponent)
        blocks = system.score_windows(system.windows(held.texts), system.runtime())
        found[exponent] = judge(blocks, held.known_targets, held.taxonomy, Decoding())["ndcg@5"]
    best = max(exponent for exponent, score in found.items() if score == max(found.values()))
    assert classifier.manifest.facts["path_exponent"] == best


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory map of the process")
@pytest.mark.parametrize("head", [{"scorer": "attention"}, {"scorer": "dot", "table_precision": "bfloat16"}], ids=str)
def test_large_tables_of_labels_stay_in_the_file_of_a_loaded_model(
    head: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, folder = tiny_corpus(), tmp_path / "model"
    classifier = Classifier("light_attention", **settings(head, epochs=1)).fit(corpus, validation=corpus)
    classifier.save(folder)
    monkeypatch.setattr(weights, "MAPPED_FROM", len(corpus.taxonomy))
    again = taxotext.load(folder)
    system: Any = again.system
    mapped = [
        tuple(int(end, 16) for end in line.split()[0].split("-"))
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        if line.endswith(str(folder / "weights.safetensors"))
    ]
    of_clusters, of_labels = system.network.head.scorers
    for own, expected in ((of_clusters, False), (of_labels, True)):
        for name, table in own.tables().items():
            assert table.dtype == getattr(torch, head.get("table_precision", "float32"))
            assert any(start <= table.data_ptr() < end for start, end in mapped) == expected, name
    scores = all_scores(classifier, corpus.texts)
    assert np.array_equal(all_scores(again, corpus.texts), scores)
    again.save(folder, overwrite=True)
    assert np.array_equal(all_scores(again, corpus.texts), scores), "the file that is mapped is still there"
    assert np.array_equal(all_scores(taxotext.load(folder), corpus.texts), scores)


def test_a_trained_model_searches_with_another_beam_or_exactly(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    Classifier("light_attention", **settings(epochs=2)).fit(corpus, validation=corpus).save(tmp_path / "model")
    texts = ["cat", "the trout"]

    def found(beams: Any) -> np.ndarray:
        return all_scores(taxotext.load(tmp_path / "model", beams=beams), texts)

    everything = found(1000)
    assert (everything > 0).all()
    assert ((found(1) > 0).sum(1) < 7).all()
    np.testing.assert_allclose(found("exact"), everything, rtol=1e-5)
    with pytest.raises(ConfigError, match="beam"):
        found("many")


def flat_corpus() -> Corpus:
    texts = ["cat", "dog", "cat dog", "rain", "snow wind", "wind"] * 6
    labels = [["c"], ["d"], ["c", "d"], [], ["s", "w"], ["w"]] * 6
    return Corpus.from_lists(texts, labels)


def test_a_flat_label_set_is_learned() -> None:
    corpus = flat_corpus()
    classifier = Classifier("light_attention", **settings({"beam": 1})).fit(corpus, validation=corpus)
    assert classifier.manifest.facts["label_tree"] == "2 > 4"
    assert classifier.evaluate(corpus)["p@1"] > 0.8


def test_a_flat_label_set_has_no_taxonomy_to_be_the_tree() -> None:
    corpus = flat_corpus()
    with pytest.raises(ConfigError, match=r"head\.tree\.source: the taxonomy has no edges"):
        Classifier("light_attention", **settings({"tree": {"source": "taxonomy"}})).fit(corpus, validation=corpus)


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("preset", ["default", "light_xml"])
def test_a_transformer_does_as_encoder_tuned_or_frozen(tiny_encoder: Path, trainable: bool, preset: str) -> None:
    values = {**tiny_settings("bert", tiny_encoder, training={"epochs": 2}), "preset": preset, "head": {"beam": 1}}
    values["encoder"] = {"name": "transformer", "source": str(tiny_encoder), "trainable": trainable}
    values["head"] = {"beam": 1, "tree": TREE}
    corpus = tiny_corpus()
    classifier = Classifier("light_attention", **values).fit(corpus, validation=corpus)
    assert classifier.system.settings.head.scorer == ("dot" if preset == "light_xml" else "attention")
    assert np.isfinite(all_scores(classifier, corpus.texts)).all()


def test_a_beam_of_all_clusters_is_said_to_sample_nothing(caplog: pytest.LogCaptureFixture) -> None:
    corpus = tiny_corpus()
    with caplog.at_level(logging.WARNING, logger="taxotext"):
        Classifier("light_attention", **settings({"beam": 64}, epochs=1)).fit(corpus, validation=corpus)
    assert "All 4 clusters of the label tree are candidates of each document (head.beam=64)" in caplog.text


def test_the_estimate_of_memory_counts_candidates_and_not_labels() -> None:
    corpus = Corpus.from_lists(["a"] * 40, [["0"]] * 40, Taxonomy.flat(map(str, range(20_000))))
    sizes = {}
    for name in ("light_attention", "attention_xml"):
        kind = find(name)
        needs = kind(kind.Settings(training={"batch_size": 10}), corpus.taxonomy).memory(corpus, corpus)
        sizes[name] = {need.phase: need.size for need in needs}
    # 512 nodes of the first level, and 64 clusters of 8 labels
    assert sizes["light_attention"] == {"training": 5 * 4 * 10 * 1024, "scoring": 4 * 40 * 1024}
    assert sizes["attention_xml"] == {"training": 5 * 4 * 10 * 20_000, "scoring": 4 * 40 * 20_000}


def test_the_head_has_its_own_loss() -> None:
    with pytest.raises(ConfigError, match="has a loss of its own"):
        Classifier("light_attention", loss={"name": "bce"})


def test_the_paper_preset_scores_all_clusters_for_each_document() -> None:
    found = Classifier("light_attention", preset="paper").settings_()
    assert (found.head.tree.levels, found.head.hidden, found.text.max_tokens) == (1, (256, 256, 256), 500)
    assert not found.head.own_output


def flat_settings(**training: Any) -> dict[str, Any]:
    values = settings(**training)
    return {**values, "head": {"name": "multi_label_attention", "hidden": (32,)}}


def test_attention_xml_keeps_the_contract_of_all_systems_on_a_dag(tmp_path: Path) -> None:
    check_system(
        "attention_xml",
        flat_settings(),
        tmp_path,
        files=FILES,
        facts=FACTS,
        few=flat_settings(epochs=1),
    )


def test_a_training_of_attention_xml_with_averaged_weights_resumes(tmp_path: Path) -> None:
    check_resume("attention_xml", flat_settings(epochs=3, averaging="swa"), tmp_path)


@pytest.mark.parametrize("own_output", [True, False])
def test_attention_xml_learns_a_flat_label_set_and_starts_from_the_shares_of_the_labels(own_output: bool) -> None:
    corpus, values = flat_corpus(), flat_settings()
    values["head"]["own_output"] = own_output
    classifier = Classifier("attention_xml", **values).fit(corpus, validation=corpus)
    history = classifier.manifest.metrics["history"]
    # texts of one word look the same to all labels where only layers that they share tell them apart
    assert history[-1]["p@1"] == pytest.approx(5 / 6) if own_output else history[-1]["p@1"] < 0.8
    values["training"] = {**values["training"], "learning_rate": 1e-9, "head_learning_rate": 1e-9, "epochs": 1}
    fresh = Classifier("attention_xml", **values).fit(corpus, validation=corpus)
    assert all_scores(fresh, corpus.texts).mean() == pytest.approx(corpus.targets.mean(), abs=0.1)


def test_a_transformer_does_for_attention_xml(tiny_encoder: Path) -> None:
    corpus, values = tiny_corpus(), tiny_settings("bert", tiny_encoder, training={"epochs": 1})
    values["encoder"]["name"] = "transformer"
    classifier = Classifier("attention_xml", **values, loss={"name": "asymmetric"}).fit(corpus, validation=corpus)
    assert np.isfinite(all_scores(classifier, corpus.texts)).all()


def test_names_of_labels_are_part_of_their_scores(tmp_path: Path) -> None:
    words = ["oak", "elm", "ash", "fir", "yew", "pine"]
    names = {f"l{row}": word for row, word in enumerate(words)}
    texts = [f"{one} near {other}" for one in words for other in words if one != other] * 3
    labels = [[label for label, name in names.items() if name in text.split()] for text in texts]
    corpus = Corpus.from_lists(
        texts, labels, Taxonomy.flat(names, names).with_alternative_names({"l0": ["elm", "ivy"]})
    )
    values = settings({"names": True, "tree": {"source": "names", "cluster_size": 2}}, epochs=3)
    classifier = Classifier("light_attention", **values).fit(corpus, validation=corpus)
    scorer = classifier.system.network.head.scorers[-1]  # type: ignore[attr-defined]
    assert scorer.names.shape == (6, 32)
    np.testing.assert_allclose(scorer.names.norm(dim=1).numpy(), 1, rtol=1e-5)
    assert float(scorer.names[0] @ scorer.names[1]) == pytest.approx(0.5**0.5, abs=0.2), "elm is a name of both"
    classifier.save(tmp_path / "model")
    again = taxotext.load(tmp_path / "model")
    before = all_scores(classifier, texts)
    assert np.array_equal(all_scores(again, texts), before)
    scorer.names.zero_()
    assert not np.allclose(all_scores(classifier, texts), before, atol=1e-4)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"names": True}, r"head\.names: no label has a name"),
        ({"names": True, "scorer": "dot"}, r"only head\.scorer=attention uses names"),
    ],
)
def test_names_that_cannot_be_used_are_refused(head: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Classifier("light_attention", **settings(head)).fit(tiny_corpus(), validation=tiny_corpus())
