import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import f1_score, ndcg_score

from taxotext.metrics import RankingMetrics

GOLD = csr_array(np.array([[1, 0, 1, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=bool))
RANKED = np.array([[0, 1, 2], [3, 1, -1], [2, 3, 4]], dtype=np.int32)


def computed(gold, ranked, ks):
    metrics = RankingMetrics(gold.shape[1], ks)
    metrics.update(csr_array(gold), ranked)
    return metrics.compute()


def brute_force(gold, ranked, ks):
    result = {}
    for k in ks:
        precision, recall, r_precision, f1, ndcg = [], [], [], [], []
        for row, labels in zip(gold, ranked.tolist(), strict=True):
            hits = [bool(label >= 0 and row[label]) for label in labels[:k]]
            precision.append(sum(hits) / k)
            size = int(row.sum())
            together = sum(label >= 0 for label in labels[:k]) + size
            f1.append(2 * sum(hits) / together if together else 0.0)
            if size:
                recall.append(sum(hits) / size)
                r_precision.append(sum(hits) / min(k, size))
                gain = sum(hit / np.log2(i + 2) for i, hit in enumerate(hits))
                ndcg.append(gain / sum(1 / np.log2(i + 2) for i in range(min(k, size))))
        result[f"p@{k}"] = np.mean(precision)
        result[f"r@{k}"] = np.mean(recall) if recall else 0.0
        result[f"rp@{k}"] = np.mean(r_precision) if r_precision else 0.0
        result[f"f1@{k}"] = np.mean(f1)
        result[f"ndcg@{k}"] = np.mean(ndcg) if ndcg else 0.0
    return result


@st.composite
def ranked_documents(draw):
    labels, documents = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    depth = draw(st.integers(1, 9))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    ranked = np.full((documents, depth), -1, dtype=np.int32)
    for row in ranked:
        length = random.integers(0, min(depth, labels) + 1)
        row[:length] = random.permutation(labels)[:length]
    return random.random((documents, labels)) < random.random(), ranked


def test_hand_computed_values():
    second = 1 / np.log2(3)
    expected = {
        "p@1": (1 + 0 + 0) / 3,
        "p@3": (2 / 3 + 1 / 3 + 0) / 3,
        "r@1": (1 / 3 + 0) / 2,  # the third document has no gold labels and is left out
        "r@3": (2 / 3 + 1) / 2,
        "rp@1": (1 + 0) / 2,
        "rp@3": (2 / 3 + 1) / 2,
        "f1@1": (2 / 4 + 0 + 0) / 3,
        "f1@3": (4 / 6 + 2 / 3 + 0) / 3,  # the second document has two labels
        "ndcg@1": (1 + 0) / 2,
        "ndcg@3": ((1 + 0.5) / (1 + second + 0.5) + second) / 2,
    }
    assert computed(GOLD, RANKED, (1, 3)) == pytest.approx(expected)


def test_precision_is_divided_by_k_even_when_fewer_labels_are_returned():
    assert computed(GOLD[1:2], np.array([[1, -1, -1]]), (3,))["p@3"] == pytest.approx(1 / 3)


def test_documents_without_gold_alone_give_zero():
    assert set(computed(GOLD[2:], RANKED[2:], (1, 3)).values()) == {0.0}


@settings(max_examples=80, deadline=None)
@given(ranked_documents())
def test_random_rankings_agree_with_brute_force(documents):
    gold, ranked = documents
    ks = tuple(range(1, ranked.shape[1] + 1))
    assert computed(gold, ranked, ks) == pytest.approx(brute_force(gold, ranked, ks))


def test_ndcg_agrees_with_scikit_learn_on_full_rankings():
    random = np.random.default_rng(3)
    gold = random.random((30, 9)) < 0.3
    gold[:, 0] |= ~gold.any(1)  # scikit-learn counts documents without gold as 0
    scores = random.permuted(np.tile(np.linspace(0.1, 0.9, 9), (30, 1)), axis=1)
    ranked = np.argsort(-scores, axis=1).astype(np.int32)
    result = computed(gold, ranked, (1, 3, 5, 9))
    for k in (1, 3, 5, 9):
        assert result[f"ndcg@{k}"] == pytest.approx(ndcg_score(gold, scores, k=k))


def test_f1_at_k_is_that_of_scikit_learn_for_the_first_k_labels():
    random = np.random.default_rng(4)
    gold = random.random((30, 9)) < 0.2  # some documents have no gold labels
    ranked = np.array([random.permutation(9) for _ in range(30)], dtype=np.int32)
    ranked[::3, 2:] = -1
    result = computed(gold, ranked, (1, 3, 5))
    for k in (1, 3, 5):
        first = np.array([[label in row[:k] for label in range(9)] for row in ranked.tolist()])
        assert result[f"f1@{k}"] == pytest.approx(f1_score(gold, first, average="samples", zero_division=0))


def test_batches_give_the_same_as_one_shot():
    streamed = RankingMetrics(5, (1, 2, 3))
    for row in range(3):
        streamed.update(GOLD[row : row + 1], RANKED[row : row + 1])
    streamed.update(GOLD[:0], RANKED[:0])
    assert streamed.compute() == pytest.approx(computed(GOLD, RANKED, (1, 2, 3)))


@pytest.mark.parametrize(
    ("ranked", "message"),
    [
        (np.array([[0, 1]]), "fewer than the largest k, 3"),
        (np.array([[0, -1, 1]]), "pads must be at the end"),
        (np.array([[0, 1, 0]]), "a label twice"),
        (np.array([[0, 1, 5]]), r"outside 0\.\.4"),
        (np.array([[0, -2, -1]]), r"outside 0\.\.4"),
        (np.array([[0.0, 1.0, 2.0]]), "integers"),
        (np.array([0, 1, 2]), "integers"),
        (np.array([[0, 1, 2], [0, 1, 2]]), "gold has 1 documents but ranked has 2"),
    ],
)
def test_impossible_rankings_are_refused(ranked, message):
    with pytest.raises(ValueError, match=message):
        RankingMetrics(5, (1, 3)).update(GOLD[:1], ranked)


@pytest.mark.parametrize("ks", [(), (0, 1), (1, 1)])
def test_cut_offs_must_be_distinct_and_positive(ks):
    with pytest.raises(ValueError, match="ks is"):
        RankingMetrics(5, ks)


def test_nothing_added_is_nothing_to_compute():
    with pytest.raises(ValueError, match="nothing to compute"):
        RankingMetrics(5).compute()
