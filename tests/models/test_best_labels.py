"""The best labels of documents, collected some labels at a time, against sorting all values."""

from __future__ import annotations

import numpy as np
import pytest

from taxotext.models import best_labels as module
from taxotext.models.best_labels import BestLabels, best_labels

DOCUMENTS, LABELS = 17, 40


def values(seed: int) -> np.ndarray:
    """Many are equal, some are below the floor."""
    rng = np.random.default_rng(seed)
    found = rng.integers(-3, 6, (DOCUMENTS, LABELS)).astype(np.float32)
    found[rng.random(found.shape) < 0.2] = -1e4
    found[3] = -1e4
    return found


def expected(scores: np.ndarray, count: int) -> np.ndarray:
    result = np.zeros_like(scores)
    for row, own in enumerate(scores):
        best = sorted((-value, label) for label, value in enumerate(own.tolist()) if value > -5e3)[:count]
        for value, label in best:
            result[row, label] = -value + 100  # so that a kept 0 shows
    return result


@pytest.mark.parametrize("count", [1, 5, 39, 40, 100])
def test_the_best_labels_are_those_of_a_full_sort(count: int) -> None:
    scores = values(1)
    found = best_labels(scores, count, -5e3)
    found.data += 100
    np.testing.assert_array_equal(found.toarray(), expected(scores, count))
    assert found.has_sorted_indices


@pytest.mark.parametrize("cells", [1, 60, 2**22])
def test_labels_that_come_in_groups_are_merged_into_the_same(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", cells)
    scores = values(2)
    collected = BestLabels(DOCUMENTS, LABELS, 5, np.asarray([2, 9]), -5e3)
    for labels in np.array_split(np.random.default_rng(3).permutation(LABELS), 7):
        collected.add(labels, scores[:, labels])
    found = collected.matrix()
    found.data += 100
    np.testing.assert_array_equal(found.toarray(), expected(scores, 5))
    np.testing.assert_array_equal(collected.sampled, scores[[2, 9]])
