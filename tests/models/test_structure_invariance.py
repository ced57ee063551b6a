"""What must not matter to systems with a label structure: the order of labels, edges and batches, odd label sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from models.harness import all_scores
from models.test_structure_systems import SYSTEMS, settings
from taxotext import Classifier, Corpus, Taxonomy

EDGES = [("a", "a1"), ("a", "a2"), ("a1", "a11"), ("b", "b1"), ("a", "ab"), ("b", "ab"), ("ab", "ab1")]
ALONE = ["lone", "single"]
IDS = ["a", "b", "a1", "a2", "a11", "b1", "ab", "ab1", *ALONE]
TEXTS = ["one two", "two three", "three four five", "six", "seven one", "eight six", "nine four", "ten"]
LABELS = [["a11"], ["a2", "b1"], ["ab1"], ["lone"], ["single", "a"], ["ab"], ["b1"], []]
"""A graph with labels below two roots, two labels without edges, and every kind of document."""


def corpus(ids: list[str], *, backwards: bool = False) -> Corpus:
    step = -1 if backwards else 1
    taxonomy = Taxonomy.from_edges(EDGES[::step], labels=ids)
    return Corpus.from_lists(TEXTS, [labels[::step] for labels in LABELS], taxonomy)


def fitted(key: str, documents: Corpus, **training: Any) -> Classifier:
    values = settings(key, **{"epochs": 1, "batch_size": 8, **training})
    if "matching" in values:
        values["matching"]["text"] = "names"
    return Classifier(SYSTEMS[key][0], **values).fit(documents, validation=documents)


@pytest.mark.parametrize("key", sorted(SYSTEMS))
def test_the_order_of_edges_and_of_the_labels_of_a_document_does_not_matter(key: str) -> None:
    first = all_scores(fitted(key, corpus(IDS)), TEXTS)
    assert np.array_equal(all_scores(fitted(key, corpus(IDS, backwards=True)), TEXTS), first)


@pytest.mark.parametrize("key", sorted(SYSTEMS))
def test_one_batch_is_learned_by_heart_with_children_before_their_parents(key: str, tmp_path: Path) -> None:
    documents = corpus(IDS[::-1])
    classifier = fitted(key, documents, epochs=80, patience=80)
    expected = [set(documents.taxonomy.close(documents.targets)[[row]].indices) for row in range(len(TEXTS))]
    found = [{documents.taxonomy.index(label) for label in labels} for labels in classifier.predict(TEXTS)]
    assert found == expected
    scores = all_scores(classifier, TEXTS)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    np.testing.assert_allclose(all_scores(classifier, [TEXTS[row] for row in order]), scores[order], atol=1e-5)
    alone = np.concatenate([all_scores(classifier, [text]) for text in TEXTS])
    np.testing.assert_allclose(alone, scores, atol=1e-5)
    classifier.save(tmp_path / "model")
    assert np.array_equal(all_scores(taxotext.load(tmp_path / "model"), TEXTS), scores)


@pytest.mark.parametrize("key", sorted(SYSTEMS))
def test_batches_of_one_document_and_labels_without_edges_are_learned(key: str) -> None:
    documents = corpus(IDS)
    history = fitted(key, documents, epochs=4, batch_size=1).manifest.metrics["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    if key == "himtl-hitin":  # split at level 2, which a set without edges does not have
        return
    lists = [[label for label in labels if label in ALONE] for labels in LABELS]
    flat = Corpus.from_lists(TEXTS, lists, Taxonomy.flat(ALONE))
    history = fitted(key, flat, epochs=4, batch_size=1).manifest.metrics["history"]
    assert history[-1]["loss"] < history[0]["loss"]
