"""Label trees: features of labels, balanced clusters, wide levels, the taxonomy as the tree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from taxotext.errors import TaxonomyError
from taxotext.labels import Taxonomy
from taxotext.labels.clustering import (
    GAIN,
    ITERATIONS,
    _picks,
    balanced_clusters,
    depth_of,
    label_features,
    unit_rows,
)
from taxotext.labels.label_tree import LabelTree, clusters_in_order, tree_of_clusters, tree_of_taxonomy
from tiny import tiny_taxonomy

M = 8


def random_features(labels: int, seed: int = 0, width: int = 40, empty: float = 0.0) -> csr_array:
    rng = np.random.default_rng(seed)
    dense = rng.random((labels, width)) * (rng.random((labels, width)) < 0.2)
    dense[:, 0] += 0.1
    dense[rng.random(labels) < empty] = 0
    return unit_rows(csr_array(dense))


def by_hand(rows: np.ndarray, members: np.ndarray, depth: int, level: int, node: int, seed: int) -> list[np.ndarray]:
    """Balanced 2-means of one node and those below it, a node at a time, in 64 bits."""
    if depth == level:
        return [members]
    if len(members) < 2:
        left, right = members[:0], members
    else:
        sizes = np.zeros(2**level, np.int64)
        sizes[node] = len(members)
        first, second = _picks(sizes, level, seed)[:, node]
        assert first != second
        centroids = [rows[members[first]], rows[members[second]]]
        before = -np.inf
        left = right = members
        for _ in range(ITERATIONS):
            difference = rows[members] @ centroids[1] - rows[members] @ centroids[0]
            order = np.lexsort((members, difference))
            half = len(members) // 2
            left, right = np.sort(members[order[:half]]), np.sort(members[order[half:]])
            sums = [rows[side].sum(0) for side in (left, right)]
            centroids = [total / np.linalg.norm(total) for total in sums]
            similarity = sum(np.linalg.norm(total) for total in sums) / len(members)
            if similarity - before < GAIN:
                break
            before = similarity
    return [
        *by_hand(rows, left, depth, level + 1, 2 * node, seed),
        *by_hand(rows, right, depth, level + 1, 2 * node + 1, seed),
    ]


def test_label_features_are_the_normalised_sums_of_the_documents() -> None:
    targets = csr_array(np.array([[1, 0, 1], [1, 0, 0]], bool))
    documents = csr_array(np.array([[1.0, 0.0], [0.6, 0.8]]))
    found = label_features(targets, documents)
    np.testing.assert_allclose(found.toarray(), [[1.6 / 3.2**0.5, 0.8 / 3.2**0.5], [0, 0], [1, 0]], rtol=1e-6)
    assert found.indptr.tolist() == [0, 2, 2, 3]
    names = csr_array(np.array([[0, 0], [0, 1.0], [0, 0]]))
    assert label_features(targets, documents, names).toarray()[1].tolist() == [0, 1], "a name stands for documents"


@pytest.mark.parametrize("labels", [1, 2, M, M + 1, 67, 103, 1030, 4271])
def test_every_label_has_one_cluster_and_clusters_are_of_equal_size(labels: int) -> None:
    found = balanced_clusters(random_features(labels), M, seed=3)
    sizes = np.bincount(found)
    assert found.shape == (labels,)
    assert len(sizes) == 2 ** depth_of(labels, M)
    assert sizes.max() <= M
    assert sizes.max() - sizes.min() <= 1
    for tree in (tree_of_clusters(found), tree_of_clusters(found, branching=3, levels=4)):
        for level in range(len(tree.nodes)):
            assert np.array_equal(np.asarray(tree.members(level).sum(0)).ravel(), np.ones(labels)), "each label once"
        assert tree.nodes[0] <= 512 or tree.nodes[0] == len(sizes)


@given(st.integers(1, 200), st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_labels_without_documents_are_dealt_out_and_none_is_lost(
    labels: int, size: int, seed: int, empty: float
) -> None:
    features = random_features(labels, seed % 1000, empty=empty)
    found = balanced_clusters(features, size, seed=seed)
    clusters = labels if size == 1 else 2 ** depth_of(labels, size)
    sizes = np.bincount(found, minlength=clusters)
    assert len(found) == labels
    assert len(sizes) == clusters
    assert sizes.max() <= size
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(("labels", "seed"), [(67, 0), (103, 1), (1030, 2)])
def test_clusters_are_those_of_a_node_at_a_time(labels: int, seed: int) -> None:
    features = random_features(labels, seed)
    expected = by_hand(features.toarray().astype(np.float64), np.arange(labels), depth_of(labels, M), 0, 0, seed)
    found = balanced_clusters(features, M, seed=seed)
    assert [np.flatnonzero(found == node).tolist() for node in range(len(expected))] == [
        part.tolist() for part in expected
    ]


def test_clusters_bring_together_what_is_alike_and_the_seed_decides_over_the_rest() -> None:
    topics = np.repeat(np.eye(4), 8, axis=0) + 0.01 * np.random.default_rng(0).random((32, 4))
    features = unit_rows(csr_array(topics[np.argsort(np.arange(32) % 8, kind="stable")]))
    assert (np.argmax(features.toarray(), 1).reshape(8, 4) == np.arange(4)).all()
    found = balanced_clusters(features, 8, seed=1)
    assert all(len(set(found[topic::4])) == 1 for topic in range(4))
    some = random_features(300)
    assert np.array_equal(balanced_clusters(some, M, seed=5), balanced_clusters(some, M, seed=5))
    assert not np.array_equal(balanced_clusters(some, M, seed=5), balanced_clusters(some, M, seed=6))


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("levels", [1, 2, 3, 9])
def test_a_deep_tree_that_is_cut_is_the_tree_of_shifted_numbers(steps: int, levels: int) -> None:
    clusters = balanced_clusters(random_features(1030), M)
    deep = tree_of_clusters(clusters, branching=2, levels=99)
    assert deep.nodes == tuple(2**depth for depth in range(1, 9))
    cut = deep.keep(range(7, -1, -steps)[:levels][::-1])  # the clusters, and every c-th level above them
    shifted = tree_of_clusters(clusters, branching=2**steps, levels=levels)
    assert cut.nodes == shifted.nodes
    assert len(cut.nodes) <= levels
    for one, other in zip(cut.links, shifted.links, strict=True):
        assert (one != other).nnz == 0
    for link in cut.links[:-1]:
        assert set(np.diff(link.indptr)) == {2**steps}, "all nodes below the first level have K children"


def test_no_level_scores_more_than_512_nodes_unconditionally() -> None:
    clusters = np.arange(40_000) // 4
    assert tree_of_clusters(clusters).nodes == (157, 1250, 10_000)
    assert tree_of_clusters(clusters, levels=1).nodes == (10_000,)


def test_neighbours_of_an_order_are_a_cluster() -> None:
    assert clusters_in_order(np.array([4, 0, 3, 1, 2]), 2).tolist() == [0, 1, 2, 1, 0]


def test_the_taxonomy_is_the_tree_and_a_label_is_under_each_of_its_parents() -> None:
    taxonomy = tiny_taxonomy()
    whole = tree_of_taxonomy(taxonomy, levels=9)
    names = sorted(sorted(taxonomy.ids[label] for label in row.nonzero()[0]) for row in whole.members(0).toarray())
    assert names == [["animals", "cats", "dogs", "fish"], ["bread", "fish", "food", "rye"]]
    clusters = sorted(sorted(taxonomy.ids[label] for label in row.nonzero()[0]) for row in whole.links[-1].toarray())
    # "fish" lies under two labels, and has one node; a label with children has a node, and is handed down beside them
    assert clusters == [["animals"], ["bread", "rye"], ["cats"], ["dogs"], ["fish"], ["food"]]
    assert np.asarray(whole.links[0].sum(0)).ravel().tolist().count(2) == 1
    assert tree_of_taxonomy(taxonomy).nodes == whole.nodes[-1:], "few clusters: nothing is needed above them"


def test_a_taxonomy_of_two_levels_has_a_cluster_for_each_label_at_the_top() -> None:
    taxonomy = Taxonomy.from_edges([*((None, top) for top in "ade"), ("a", "b"), ("a", "c"), ("d", "c")])
    tree = tree_of_taxonomy(taxonomy)
    found = sorted([taxonomy.ids[label] for label in row.nonzero()[0]] for row in tree.links[0].toarray())
    assert [sorted(names) for names in found] == [["a", "b", "c"], ["c", "d"], ["e"]]


def test_many_labels_at_the_top_of_a_taxonomy_are_put_under_wider_nodes() -> None:
    tops = [(None, f"top {row}") for row in range(700)]
    edges = [*tops, *((f"top {row}", f"leaf {row} {leaf}") for row in range(700) for leaf in "ab")]
    tree = tree_of_taxonomy(Taxonomy.from_edges(edges))
    assert tree.nodes == (88, 700)
    assert np.diff(tree.links[0].indptr).tolist() == [8] * 87 + [4]
    assert np.asarray(tree.members(0).sum(0)).ravel().tolist() == [1] * 2100
    assert tree_of_taxonomy(Taxonomy.from_edges(edges), levels=1).nodes == (700,)
    below_one = [(None, "all"), *(("all", label) if parent is None else (parent, label) for parent, label in edges)]
    under = tree_of_taxonomy(Taxonomy.from_edges(below_one), branching=100)
    assert under.nodes == (8, 701), "all has every node below it, and as a label a cluster of its own"
    assert np.asarray(under.members(0).sum(0)).ravel().tolist() == [1] * 2101


def test_a_flat_label_set_is_no_tree() -> None:
    with pytest.raises(TaxonomyError, match="has no edges"):
        tree_of_taxonomy(Taxonomy.flat(["a", "b"]))


def test_arrays_make_the_tree_again_and_damaged_ones_do_not() -> None:
    tree = tree_of_clusters(np.arange(40_000) // 4)
    again = LabelTree.from_arrays(tree.arrays(), tree.labels)
    assert all((one != other).nnz == 0 for one, other in zip(tree.links, again.links, strict=True))
    for name, place, value in (
        ("children_2", 3, 40_000),
        ("children_1", 0, 5),
        ("offsets_0", 0, 1),
        ("offsets_2", 1, 0),
    ):
        arrays = {key: array.copy() for key, array in tree.arrays().items()}
        arrays[name][place] = value
        with pytest.raises(TaxonomyError, match="damaged at level"):
            LabelTree.from_arrays(arrays, tree.labels)


def test_levels_that_lack_the_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="with the last one"):
        tree_of_clusters(np.arange(40_000) // 4).keep([0, 1])
