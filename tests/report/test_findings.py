"""Curves, confusion and worst documents against counts by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from taxotext.labels import Taxonomy
from taxotext.report.findings import Confusion, sibling_confusion, threshold_curves, worst_documents


def sets(rows: list[list[int]]) -> csr_array:
    return csr_array(np.asarray(rows, dtype=bool))


def test_thresholds_count_what_lies_above_them() -> None:
    random = np.random.default_rng(3)
    scores = np.round(random.random((30, 4)), 2).astype(np.float32)
    scores[scores < 0.2] = 0.0
    gold = random.random((30, 5)) < 0.4  # the fifth label is unknown to the model
    found = threshold_curves(csr_array(scores), csr_array(gold))
    wide = np.concatenate([scores, np.zeros((30, 1), np.float32)], 1)
    for place in (0, 24, 49, 98):
        above = wide > found.thresholds[place]
        hits = (above & gold).sum(0)
        sizes = above.sum(0) + gold.sum(0)
        assert found.precision[place] == pytest.approx(hits.sum() / above.sum() if above.any() else 0.0)
        assert found.recall[place] == pytest.approx(hits.sum() / gold.sum())
        assert found.micro_f1[place] == pytest.approx(2 * hits.sum() / sizes.sum())
        assert found.macro_f1[place] == pytest.approx((2 * hits / np.maximum(sizes, 1)).mean())


def test_precision_and_recall_pass_ties_together() -> None:
    scores = csr_array(np.asarray([[0.9, 0.5], [0.5, 0.2]], dtype=np.float32))
    found = threshold_curves(scores, sets([[1, 0], [1, 1]]))
    assert found.recalls.tolist() == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert found.precisions.tolist() == pytest.approx([1.0, 2 / 3, 3 / 4])


def test_without_scores_curves_are_empty() -> None:
    found = threshold_curves(csr_array((2, 2), dtype=np.float32), sets([[1, 0], [0, 0]]))
    assert found.recalls.size == 0
    assert found.micro_f1.tolist() == [0.0] * 99


TREE = Taxonomy.from_edges(((None, "a"), (None, "b"), ("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("a", "b1")))


def test_what_was_missed_and_what_came_in_its_place_by_parent() -> None:
    ids = {label: TREE.index(label) for label in TREE.ids}

    def rows(*documents: str) -> csr_array:
        found = np.zeros((len(documents), 7), dtype=bool)  # one more column: a label unknown to the model
        for row, labels in enumerate(documents):
            found[row, [ids[label] for label in labels.split()]] = True
        return csr_array(found)

    gold = rows("a a1", "a a1", "a a1 a2", "b", "a b1")
    predicted = rows("a a2", "a a2 a3", "a a2", "a", "a b a3")
    found = sibling_confusion(gold, predicted, TREE)
    expected = [
        Confusion(ids["a"], ids["a1"], 3, 3, ((ids["a2"], 2), (ids["a3"], 1)), 1),
        Confusion(None, ids["b"], 1, 1, ((ids["a"], 1),), 0),
        Confusion(ids["a"], ids["b1"], 1, 1, ((ids["a3"], 1),), 0),
        Confusion(ids["b"], ids["b1"], 1, 1, (), 1),
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert found[0].missed == ids["a1"]


def test_labels_of_a_flat_set_are_siblings() -> None:
    flat = Taxonomy.flat(["x", "y", "z"])
    found = sibling_confusion(sets([[1, 0, 0], [1, 0, 0]]), sets([[0, 1, 1], [0, 1, 0]]), flat)
    assert found == [Confusion(None, 0, 2, 2, ((1, 2), (2, 1)), 0)]
    assert sibling_confusion(sets([[1, 0, 0]]), sets([[1, 0, 0]]), flat) == []


def test_the_worst_document_is_the_one_that_the_model_is_most_sure_about() -> None:
    scores = csr_array(np.asarray([[0.9, 0.1], [0.6, 0.4], [0.9, 0.8], [0.55, 0.0]], dtype=np.float32))
    gold = sets([[0, 1, 0], [0, 1, 0], [1, 1, 0], [1, 0, 1]])
    predicted = sets([[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0]])
    first, second, third = worst_documents(scores, gold, predicted, 10)
    assert (first.row, first.right, first.missed, first.wrong) == (0, (), (1,), (0,))
    assert first.error == pytest.approx(0.9 + 0.9)
    assert (second.row, second.error) == (1, pytest.approx(0.6 + 0.6))
    assert (third.row, third.missed, third.error) == (3, (2,), pytest.approx(1.0))  # an unknown label has no score
    assert [found.row for found in worst_documents(scores, gold, predicted, 1)] == [0]
