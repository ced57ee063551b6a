"""Branches: a DAG by hand, a flat label set, masks, and coding trees side by side."""

from __future__ import annotations

import numpy as np
import pytest

from taxotext import Taxonomy
from taxotext.errors import ConfigError
from taxotext.labels.branches import LabelGraph
from taxotext.labels.coding_tree import coding_tree
from tiny import tiny_taxonomy


def branches(graph: LabelGraph) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in range(graph.count)]
    for label, branch in zip(graph.labels.tolist(), graph.branch.tolist(), strict=True):
        found[branch].append(graph.taxonomy.ids[label])
    return found


def edges(graph: LabelGraph) -> list[tuple[int, str, str]]:
    ids = [graph.taxonomy.ids[label] for label in graph.labels]
    assert all(graph.branch[parent] == graph.branch[child] for parent, child in graph.edges.T)
    return sorted((int(graph.branch[parent]), ids[parent], ids[child]) for parent, child in graph.edges.T)


def test_a_dag_is_split_at_its_roots_and_a_label_may_be_in_two_branches() -> None:
    graph = LabelGraph.split(tiny_taxonomy(), "root")
    assert branches(graph) == [["animals", "cats", "dogs", "fish"], ["food", "fish", "bread", "rye"]]
    assert edges(graph) == [
        (0, "animals", "cats"),
        (0, "animals", "dogs"),
        (0, "animals", "fish"),
        (1, "bread", "rye"),
        (1, "food", "bread"),
        (1, "food", "fish"),
    ]
    assert graph.owned.all()
    assert graph.sizes.tolist() == [4, 4]


def test_a_level_gives_a_branch_of_what_is_above_and_one_for_each_of_its_labels() -> None:
    graph = LabelGraph.split(tiny_taxonomy(), "level:2")
    assert branches(graph) == [["animals", "food"], ["cats"], ["dogs"], ["fish"], ["bread", "rye"]]
    assert edges(graph) == [(4, "bread", "rye")]
    assert branches(LabelGraph.split(tiny_taxonomy(), "level:1")) == branches(LabelGraph.split(tiny_taxonomy(), "root"))


def test_clusters_of_the_coding_tree_are_branches() -> None:
    taxonomy = tiny_taxonomy()
    graph = LabelGraph.split(taxonomy, "coding_tree")
    clusters = coding_tree(taxonomy, 2).parents[0]
    found = [sorted(taxonomy.ids[label] for label in np.flatnonzero(clusters == one)) for one in range(graph.count)]
    assert [sorted(branch) for branch in branches(graph)] == found
    assert len(graph) == len(taxonomy)


def test_each_label_of_a_flat_set_is_a_branch() -> None:
    graph = LabelGraph.split(Taxonomy.flat("abc"), "root")
    assert branches(graph) == [["a"], ["b"], ["c"]]
    assert graph.edges.shape == (2, 0)
    assert LabelGraph.whole(Taxonomy.flat("abc")).count == 1


def test_a_mask_gives_each_branch_all_labels() -> None:
    graph = LabelGraph.split(tiny_taxonomy(), "root")
    masked = graph.masked()
    assert len(masked) == 14
    assert edges(masked) == edges(graph)
    taken = masked.owned
    assert np.array_equal(masked.labels[taken], graph.labels)
    assert np.array_equal(masked.branch[taken], graph.branch)


def test_coding_trees_of_branches_stand_side_by_side() -> None:
    graph = LabelGraph.split(tiny_taxonomy(), "root")
    parents, owners = graph.coding_trees(2)
    trees = [coding_tree(graph.branch_taxonomy(branch), 2) for branch in range(2)]
    # Of the star the last merge but one is taken out: ln(6/5) is less than ln(5/4).
    assert [tree.sizes for tree in trees] == [(4, 3, 1), (4, 2, 1)]
    assert parents[0].tolist() == [*trees[0].parents[0], *(trees[1].parents[0] + 3)]
    assert parents[1].tolist() == [0, 0, 0, 1, 1]
    assert [owner.tolist() for owner in owners] == [[0] * 4 + [1] * 4, [0, 0, 0, 1, 1], [0, 1]]


def test_the_coding_trees_of_a_mask_are_those_of_what_the_branches_own() -> None:
    graph = LabelGraph.split(tiny_taxonomy(), "root")
    for mine, masked in zip(graph.coding_trees(2), graph.masked().coding_trees(2), strict=True):
        assert [layer.tolist() for layer in mine] == [layer.tolist() for layer in masked]
    assert graph.masked().branch_taxonomy(1).ids == graph.branch_taxonomy(1).ids


def test_unknown_splits_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"split: 'leaves' is not known; use root, level:K"):
        LabelGraph.split(tiny_taxonomy(), "leaves")
    with pytest.raises(ConfigError, match=r"split: the taxonomy has 3 levels, not 4"):
        LabelGraph.split(tiny_taxonomy(), "level:4")
