"""Systems with the taxonomy in network or head: the contract of all systems, on a DAG, a tree and a flat label set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from models.harness import NETWORK_FILES, WORD_FACTS, all_scores, check_resume, check_system
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.composition.conditional_head import conditional_prior
from taxotext.composition.label_texts import names_of_labels, words_of_labels
from taxotext.composition.structures import edge_prior
from taxotext.errors import ConfigError, DataError
from taxotext.labels.branches import LabelGraph
from tiny import EDGES, tiny_corpus, tiny_documents, tiny_settings, tiny_taxonomy

ENCODER = {"name": "kim_cnn", "filters": 16, "embedding_width": 16, "vocabulary": {"min_count": 1}}
RCNN = {
    "name": "rcnn",
    "units": 8,
    "filters": 12,
    "embedding_width": 16,
    "embedding_dropout": 0.1,
    "vocabulary": {"min_count": 1},
}
GCN = {"name": "gcn", "width": 8, "dropout": 0.1}
TREELSTM = {"name": "treelstm", "width": 8, "dropout": 0.1}
CODING_TREE = {"name": "coding_tree", "width": 24, "dropout": 0.0}
LAYERS = {"name": "layers", "dropout": 0.0}
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "hiagm": ("hiagm", {"structure": GCN}),
    "hiagm-treelstm": ("hiagm", {"structure": TREELSTM}),
    "hiagm-gat": ("hiagm", {"structure": {"name": "gat", "width": 8, "heads": 2, "dropout": 0.1}}),
    "hiagm-la": ("hiagm", {"structure": {**GCN, "variant": "la"}}),
    "himatch": ("himatch", {"structure": GCN, "matching": {"hidden": 12, "refresh": 4}}),
    "hitin": ("hitin", {"structure": CODING_TREE, "head": LAYERS}),
    "hmcn": ("hmcn", {"head": {"width": 24, "dropout": 0.1}}),
    "local_global": ("bert", {"loss": None, "head": {"name": "local_global", "width": 24, "dropout": 0.1}}),
    "conditional_softmax": ("conditional_softmax", {"head": {"dropout": 0.0}}),
    "himtl": ("himtl", {"structure": GCN}),
    "himtl-masking": ("himtl", {"structure": TREELSTM, "branches": {"mode": "masking", "reduction": "branch_mean"}}),
    "himtl-himatch": ("himtl", {"structure": GCN, "matching": {"hidden": 12, "refresh": 4}}),
    "himtl-hitin": ("himtl", {"structure": CODING_TREE, "head": LAYERS, "branches": {"split": "level:2"}}),
}
"""Name of the system and sections of its settings, by name of the test."""
MORE_FACTS = {
    "hitin": ("coding_tree",),
    "hmcn": ("levels",),
    "himtl": ("branches", "branch_labels", "branch_parameters", "squared_branches", "squared_labels"),
}


def settings(key: str, **training: Any) -> dict[str, Any]:
    return tiny_settings("c_hmcnn", **SYSTEMS[key][1], training={"epochs": 60, "patience": 60, **training})


def tree_corpus() -> Corpus:
    """The tiny corpus on a tree: fish are animals only."""
    texts, labels = tiny_documents()
    taxonomy = Taxonomy.from_edges([edge for edge in EDGES if edge != ("food", "fish")])
    return Corpus.from_lists(texts, labels, taxonomy, source="tree")


def flat_corpus() -> Corpus:
    texts = ["cat", "dog", "cat dog", "rain"] * 6
    return Corpus.from_lists(texts, [["c"], ["d"], ["c", "d"], []] * 6)


@pytest.mark.parametrize("key", ["conditional_softmax", "hiagm", "himatch", "hitin", "hmcn", "himtl"])
def test_a_structure_system_keeps_the_contract_of_all_systems_on_a_dag(key: str, tmp_path: Path) -> None:
    facts = (*WORD_FACTS, *MORE_FACTS.get(key, ()))
    check_system(key, settings(key), tmp_path, files=NETWORK_FILES, facts=facts, few=settings(key, epochs=1))


@pytest.mark.parametrize(
    "key", ["conditional_softmax", "hiagm", "himatch", "hitin", "hmcn", "himtl-masking", "himtl-himatch"]
)
def test_a_training_of_a_structure_system_resumes(key: str, tmp_path: Path) -> None:
    check_resume(SYSTEMS[key][0], settings(key, epochs=3), tmp_path)


@pytest.mark.parametrize("key", sorted(SYSTEMS))
@pytest.mark.parametrize("corpus", [tree_corpus(), flat_corpus()], ids=["tree", "flat"])
def test_a_structure_system_takes_trees_and_flat_label_sets(key: str, corpus: Corpus, tmp_path: Path) -> None:
    values = settings(key, epochs=2)
    if corpus.taxonomy.is_flat and key == "himtl-hitin":
        values["branches"] = {"split": "root"}
    classifier = Classifier(SYSTEMS[key][0], **values).fit(corpus, validation=corpus)
    classifier.save(tmp_path / "model")
    loaded = taxotext.load(tmp_path / "model")
    scores = all_scores(classifier, corpus.texts)
    assert scores.shape == (len(corpus), len(corpus.taxonomy))
    assert np.array_equal(all_scores(loaded, corpus.texts), scores)
    alone = np.concatenate([all_scores(loaded, [text]) for text in corpus.texts[:5]])
    np.testing.assert_allclose(alone, scores[:5], atol=1e-5)
    history = classifier.manifest.metrics["history"]
    assert history[-1]["loss"] < history[0]["loss"]


@pytest.mark.parametrize("key", ["hiagm", "himatch", "hitin", "himtl"])
@pytest.mark.parametrize("trainable", [True, False], ids=["tuned", "frozen"])
def test_a_structure_stands_on_a_transformer(key: str, trainable: bool, tiny_encoder: Path) -> None:
    encoder = {"name": "transformer", "source": str(tiny_encoder), "trainable": trainable}
    values = {**tiny_settings("bert", tiny_encoder), **SYSTEMS[key][1], "encoder": encoder}
    values["text"] = {"max_tokens": 8, "long_text": "chunk_max"}
    values["training"] = {**values["training"], "epochs": 3}
    corpus = tiny_corpus()
    classifier = Classifier(SYSTEMS[key][0], **values).fit(corpus, validation=corpus)
    history = classifier.manifest.metrics["history"]
    assert history[-1]["loss"] < history[0]["loss"]


@pytest.mark.parametrize("key", ["hiagm", "hiagm-la", "himtl-hitin"])
def test_a_structure_stands_on_the_paper_s_text_encoder(key: str) -> None:
    corpus = tiny_corpus()
    values = {**settings(key, epochs=3), "encoder": RCNN}
    history = Classifier(SYSTEMS[key][0], **values).fit(corpus, validation=corpus).manifest.metrics["history"]
    assert history[-1]["loss"] < history[0]["loss"]


def test_priors_are_counted_on_the_training_documents() -> None:
    taxonomy = tiny_taxonomy()
    labels = [["cats"], ["cats"], ["dogs"], ["fish"], ["rye"], ["animals"]]
    corpus = Corpus.from_lists(["text"] * 6, labels, taxonomy)
    ids = taxonomy.ids

    def priors(graph: LabelGraph, train: Corpus | None) -> dict[tuple[str, str], float]:
        found = edge_prior(graph, train).tolist()
        edges = zip(*graph.labels[graph.edges].tolist(), strict=True)
        return {(ids[parent], ids[child]): value for (parent, child), value in zip(edges, found, strict=True)}

    expected = {
        ("animals", "cats"): 0.5,
        ("animals", "dogs"): 0.25,
        ("animals", "fish"): 0.25,
        ("food", "fish"): 0.5,
        ("food", "bread"): 0.5,
        ("bread", "rye"): 1.0,
    }
    assert priors(LabelGraph.whole(taxonomy), corpus) == expected
    assert priors(LabelGraph.split(taxonomy, "root").masked(), corpus) == expected
    unseen = corpus.subset([0])
    assert priors(LabelGraph.whole(taxonomy), unseen)["food", "fish"] == 0.5
    assert priors(LabelGraph.whole(taxonomy), unseen)["animals", "dogs"] == 0.0
    fitted = Classifier("hiagm", **settings("hiagm", epochs=1, head_learning_rate=1e-9)).fit(corpus, validation=corpus)
    np.testing.assert_allclose(
        fitted.system.network.structure.network.down.detach(), list(expected_in_order(taxonomy, expected)), atol=1e-6
    )


def expected_in_order(taxonomy: Taxonomy, priors: Mapping[tuple[str, str], float]) -> Any:
    for parent, child in taxonomy.edge_index.T.tolist():
        yield priors[taxonomy.ids[parent], taxonomy.ids[child]]


def test_more_than_500_labels_read_their_own_vector_only() -> None:
    corpus = Corpus.from_lists(["one two", "two"] * 4, [["l1"], ["l2"]] * 4, Taxonomy.flat(f"l{n}" for n in range(501)))
    small = Classifier("hiagm", **settings("hiagm", epochs=1)).fit(tiny_corpus(), validation=tiny_corpus())
    large = Classifier("hiagm", **settings("hiagm", epochs=1)).fit(corpus, validation=corpus)
    assert type(small.system.network.head).__name__ == "FlattenedHead"
    assert type(large.system.network.head).__name__ == "LabelDotHead"
    assert large.system.network.structure.nodes.output.weight.shape == (8, 48)


def test_one_large_branch_beside_many_small_ones_does_not_make_large_matrices_for_all() -> None:
    edges = [(None, "top"), *[("top", f"l{n}") for n in range(60)], *[(None, f"m{n}") for n in range(90)]]
    corpus = Corpus.from_lists(["one two", "two"] * 4, [["l1"], ["m2"]] * 4, Taxonomy.from_edges(edges))
    head = Classifier("himtl", **settings("himtl", epochs=1)).fit(corpus, validation=corpus).system.network.head
    # 151 labels, but padded to the largest branch the matrices would be 91 times those of 61 labels.
    assert type(head.inner).__name__ == "LabelDotHead"


def test_the_regulariser_ties_along_edges_of_the_branches() -> None:
    corpus = tiny_corpus()
    classifier = Classifier("himtl", **settings("himtl-masking", epochs=1, recursive=1e-3)).fit(
        corpus, validation=corpus
    )
    inner = classifier.system.network.head.inner
    assert inner.edges.shape == (2, 6)
    (rows,) = inner.tied()
    expected = sum(0.5e-3 * (rows[p] - rows[c]).pow(2).sum().item() for p, c in inner.edges.T.tolist())
    assert inner.penalty().item() == pytest.approx(expected, rel=1e-5)


def test_frequencies_are_counted_where_the_parents_are_gold() -> None:
    taxonomy = tiny_taxonomy()
    labels = [["cats"], ["cats"], ["dogs"], ["fish"], ["rye"], ["animals"], []]
    corpus = Corpus.from_lists(["text"] * 7, labels, taxonomy)
    found = dict(zip(taxonomy.ids, np.exp(conditional_prior(taxonomy, corpus, softmax=False)), strict=True))
    expected = {
        "animals": 6 / 3,  # 5 of 7
        "food": 3 / 6,  # 2 of 7
        "cats": 3 / 4,  # 2 of 5
        "dogs": 2 / 5,
        "fish": 2 / 1,  # 1 of the 1 that has both parents
        "bread": 2 / 2,  # 1 of 2
        "rye": 2 / 1,  # 1 of 1
    }
    assert found == pytest.approx(expected, rel=1e-5)
    tree = tree_corpus()
    shares = np.exp(conditional_prior(tree.taxonomy, tree, softmax=True))
    assert shares[tree.taxonomy.roots].sum() == pytest.approx(1, rel=1e-5)
    assert shares[tree.taxonomy.children(tree.taxonomy.index("animals"))].sum() == pytest.approx(1, rel=1e-5)


def test_softmax_over_siblings_is_for_single_paths() -> None:
    values = {**settings("conditional_softmax", epochs=30), "head": {"conditional": "softmax"}}
    dag = tiny_corpus()
    with pytest.raises(ConfigError, match="softmax is for trees, and 'fish' has several parents; use sigmoid"):
        Classifier("conditional_softmax", **values).fit(dag, validation=dag)
    tree = tree_corpus()
    with pytest.raises(DataError, match=r"tree: \d+ of 60 documents have several labels below one parent"):
        Classifier("conditional_softmax", **values).fit(tree, validation=tree)
    single = Corpus.from_lists(
        ["cat", "dog", "rye", "loaf"] * 6, [["cats"], ["dogs"], ["rye"], ["bread"]] * 6, tree.taxonomy
    )
    classifier = Classifier("conditional_softmax", **values).fit(single, validation=single)
    assert classifier.predict(["dog", "rye"]) == [["animals", "dogs"], ["food", "bread", "rye"]]
    parents, children = tree.taxonomy.edge_index
    scores = all_scores(classifier, single.texts)
    assert (scores[:, parents] >= scores[:, children]).all()


def test_own_losses_are_regularised_along_the_taxonomy() -> None:
    corpus = tiny_corpus()
    for key in ("hmcn", "conditional_softmax"):
        head = (
            Classifier(key, **settings(key, epochs=1, recursive=1e-3))
            .fit(corpus, validation=corpus)
            .system.network.head
        )
        rows = head.output.weight
        expected = sum(
            0.5e-3 * (rows[p] - rows[c]).pow(2).sum().item() for p, c in corpus.taxonomy.edge_index.T.tolist()
        )
        assert head.penalty().item() == pytest.approx(expected, rel=1e-5)


def test_texts_of_labels_are_names_or_telling_words() -> None:
    taxonomy = tiny_taxonomy()
    named = taxonomy.with_names({"cats": "Cats and kittens"}).with_descriptions({"dogs": "They bark."})
    assert names_of_labels(named)[:4] == ["animals", "food", "Cats and kittens", "dogs. They bark."]
    texts = ["the cat purrs", "the cat sleeps", "the dog barks"]
    corpus = Corpus.from_lists(texts, [["cats"], ["cats"], ["dogs"]], taxonomy)
    found = dict(zip(taxonomy.ids, words_of_labels(taxonomy, corpus, 2), strict=True))
    # cats: purrs and sleeps ln 3 each, cat 2 ln 1.5 = 0.81; dogs: barks and dog ln 3; "the" is everywhere
    assert found["cats"] == "purrs sleeps"
    assert found["dogs"] == "barks dog"
    assert found["rye"] == "rye"


def test_labels_are_encoded_on_a_schedule_and_matching_has_an_effect() -> None:
    corpus = tiny_corpus()
    ends = []
    for refresh in (4, 1000):
        values = settings("himatch", epochs=2)
        values["matching"] = {"hidden": 12, "refresh": refresh, "text": "words"}
        head = Classifier("himatch", **values).fit(corpus, validation=corpus).system.network.head
        assert int(head.steps) in {5, 10}  # of the epoch that was kept
        ends.append(head.label_texts)
        assert head.label_texts.abs().sum(1).min() > 0
    assert not np.allclose(ends[0], ends[1]), "the encoder has learned between two encodings"
    with pytest.raises(ConfigError, match="labels go along the edges here; choose gcn, treelstm or gat"):
        Classifier("himatch", structure={"name": "none"}, head={"name": "linear"})


@pytest.mark.parametrize("name", ["hiagm", "himatch", "hitin", "hmcn", "himtl"])
def test_the_papers_settings_are_a_preset(name: str) -> None:
    paper = Classifier(name, preset="paper").settings_()
    default = Classifier(name).settings_()
    assert paper != default
    rate = 2e-5 if name == "himtl" else 1e-3 if name == "hmcn" else 1e-4
    assert paper.training.head_learning_rate == rate
    assert paper.training.patience == (8 if name == "hmcn" else 50)
    width = {"hiagm": 300, "himatch": 300, "hitin": 512, "himtl": 300}
    assert name == "hmcn" or paper.structure.width == width[name]


def test_parts_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"head: linear does not read what the structure gcn makes; choose"):
        Classifier("bert", structure={"name": "gcn"})
    with pytest.raises(ConfigError, match=r"from layers, or structure\.name from gcn, treelstm, gat"):
        Classifier("hitin", head={"name": "label_vectors"})
    with pytest.raises(ConfigError, match="an even number is needed"):
        Classifier("hiagm", structure={"name": "treelstm", "width": 5})
    with pytest.raises(ConfigError, match="a multiple of heads is needed"):
        Classifier("hiagm", structure={"name": "gat", "width": 6})
    with pytest.raises(ConfigError, match=r"branches\.split: 'leaf' is not known"):
        Classifier("himtl", branches={"split": "leaf"})
    with pytest.raises(ConfigError, match=r"structure: with matching, labels go along the edges; choose gcn"):
        Classifier("himtl", matching={}, structure={"name": "coding_tree"}, head={"name": "layers"})
    with pytest.raises(
        ConfigError, match=r"branches\.gradients: routing is about .*; set it to sum, or matching to null"
    ):
        Classifier("himtl", matching={}, branches={"gradients": "routing"})
    with pytest.raises(ConfigError, match=r"loss: the head label_vectors has a loss of its own"):
        Classifier("himtl", loss={"name": "bce"})
    corpus = tiny_corpus()
    with pytest.raises(ConfigError, match=r"branches\.split: the taxonomy has 3 levels, not 5"):
        Classifier("himtl", **{**settings("himtl"), "branches": {"split": "level:5"}}).fit(corpus, validation=corpus)
    with pytest.raises(ConfigError, match="head: hmcn has a loss over all labels and does not work on branches"):
        Classifier("himtl", structure={"name": "none"}, head={"name": "hmcn"})


@pytest.mark.parametrize("gradients", ["routing", "surgery"])
@pytest.mark.parametrize("key", ["himtl", "himtl-hitin"])
def test_branches_with_learned_weights_and_steered_gradients_learn_and_are_saved(
    key: str, gradients: str, tmp_path: Path
) -> None:
    corpus = tiny_corpus()
    values = settings(key, epochs=4)
    values["branches"] = {"weights": "learned", "gradients": gradients, "loss": "asymmetric"}
    classifier = Classifier("himtl", **values).fit(corpus, validation=corpus)
    history = classifier.manifest.metrics["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert classifier.system.network.head.log_variance.detach().abs().min() > 0
    classifier.save(tmp_path / "model")
    loaded = taxotext.load(tmp_path / "model")
    assert np.array_equal(all_scores(loaded, corpus.texts), all_scores(classifier, corpus.texts))


@pytest.mark.parametrize("head", ["linear", "label_attention", "multi_label_attention"])
@pytest.mark.parametrize("mode", ["projection", "masking"])
def test_branches_without_a_structure_have_one_output_a_node(head: str, mode: str, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    values = settings("himtl", epochs=2)
    values |= {"structure": {"name": "none"}, "head": {"name": head}, "branches": {"mode": mode}}
    classifier = Classifier("himtl", **values).fit(corpus, validation=corpus)
    history = classifier.manifest.metrics["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert len(classifier.system.network.head.inner.tied()[0]) == (8 if mode == "projection" else 14)
    classifier.save(tmp_path / "model")
    loaded = taxotext.load(tmp_path / "model")
    assert np.array_equal(all_scores(loaded, corpus.texts), all_scores(classifier, corpus.texts))


def test_parameters_of_branches_are_counted_as_equation_4_does() -> None:
    corpus, found = tiny_corpus(), {}
    for mode in ("projection", "masking"):
        values = {**settings("himtl", epochs=1), "branches": {"mode": mode}}
        facts = Classifier("himtl", **values).fit(corpus, validation=corpus).manifest.facts
        found[mode] = facts
        assert facts["squared_labels"] == 49
        assert facts["branch_parameters"] < facts["parameters"]
    # animals with cats, dogs and fish; food with fish, bread and rye
    assert found["projection"]["squared_branches"] == 4**2 + 4**2
    assert found["masking"]["squared_branches"] == 2 * 7**2
    assert found["projection"]["branch_parameters"] < found["masking"]["branch_parameters"]


def test_steered_gradients_need_an_encoder_that_learns(tiny_encoder: Path) -> None:
    encoder = {"name": "transformer", "source": str(tiny_encoder), "trainable": False}
    with pytest.raises(ConfigError, match=r"branches\.gradients: routing is about what the encoder learns"):
        Classifier("himtl", encoder=encoder, branches={"gradients": "routing"})


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_layers_may_be_pooled_by_mean_or_maximum(pooling: str) -> None:
    corpus = tree_corpus()
    values = settings("hitin", epochs=2)
    values["structure"] = {**values["structure"], "pooling": pooling}
    values["runtime"] = {**values.get("runtime", {}), "check_memory": True}  # which tries the network twice
    classifier = Classifier("hitin", **values).fit(corpus, validation=corpus)
    assert len(classifier.manifest.metrics["history"]) == 2
