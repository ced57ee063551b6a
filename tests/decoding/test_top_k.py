import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from taxotext.decoding import ranking, top_k

TIED = st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0, -np.inf, np.inf])


@settings(max_examples=150, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 9)), elements=TIED), st.integers(1, 12))
def test_it_equals_a_stable_sort(scores, k):
    ids, best = top_k(scores, k)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    kept = min(k, scores.shape[1])
    assert ids.dtype == np.int32
    assert best.dtype == np.float32
    assert ids[:, :kept].tolist() == expected.tolist()
    assert (best[:, :kept] == np.take_along_axis(scores, expected, axis=1)).all()
    assert (ids[:, kept:] == -1).all()
    assert np.isneginf(best[:, kept:]).all()


def test_rows_taken_in_portions_give_the_same(monkeypatch):
    scores = np.random.default_rng(0).integers(0, 4, (7, 6)).astype(np.float32)
    whole = top_k(scores, 3)
    monkeypatch.setattr(ranking, "_CELLS_AT_ONCE", 1)
    for part, same in zip(top_k(scores, 3), whole, strict=True):
        assert (part == same).all()


def test_no_labels_give_only_pads():
    ids, best = top_k(np.zeros((2, 0)), 2)
    assert (ids == -1).all()
    assert np.isneginf(best).all()


@pytest.mark.parametrize(
    ("scores", "k", "message"),
    [
        (np.array([[0.1, np.nan]]), 1, "NaN"),
        (np.array([[1, 2]]), 1, "floats"),
        (np.array([0.1, 0.2]), 1, "floats"),
        (np.array([[0.1, 0.2]]), 0, "k is 0"),
    ],
)
def test_impossible_input_is_refused(scores, k, message):
    with pytest.raises(ValueError, match=message):
        top_k(scores, k)


@pytest.mark.parametrize("labels", [ranking._MANY_LABELS, ranking._MANY_LABELS + 77])
@pytest.mark.parametrize("kinds", [2, 7, 40, 10**6])
def test_many_labels_give_those_of_a_stable_sort(labels, kinds):
    random = np.random.default_rng(kinds)
    scores = (random.integers(0, kinds, (5, labels)) / kinds).astype(np.float32)
    scores[0] = 0
    scores[1, -20:] = 2  # behind the last stretch
    for k in (1, 5, ranking._CHUNKS // 4, 100):
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        ids, best = top_k(scores, k)
        assert ids.tolist() == expected.tolist()
        assert (best == np.take_along_axis(scores, expected, axis=1)).all()
