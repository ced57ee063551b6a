"""Coding trees: small ones by hand, entropies from the definition, and what must not matter."""

from __future__ import annotations

import random
from itertools import combinations
from math import log2
from typing import Any

import numpy as np
import pytest

from taxotext import Taxonomy
from taxotext.labels.coding_tree import _BinaryTree, coding_tree

TWO_STARS = [("a", "b"), ("a", "c"), ("d", "e"), ("d", "f"), ("d", "g")]
PATH = list(zip("abcde", "bcdef", strict=True))
STAR = [("a", child) for child in "bcde"]
DENSE = {"a": "cdg", "b": "cdfgi", "c": "fhi", "d": "e", "e": "h", "f": "g", "g": "hi", "h": "i"}
# The shape of the 103 topics of RCV1: of each topic what is below it, or the number of topics without children.
RCV1 = [
    [[1, 0], 4, 3, 3, 1, 1, *[0] * 12],
    [1, 2, 3, 2, 3, 1, 3, *[0] * 3],
    [9, *[0] * 22],
    [2, 3, *[0] * 2],
]


def of(edges: list[tuple[str, str]], more: str = "") -> Taxonomy:
    return Taxonomy.from_edges(edges, labels=sorted({*more, *(label for edge in edges for label in edge)}))


def shaped(shape: list[Any]) -> Taxonomy:
    """The tree of a shape such as RCV1."""
    edges: list[tuple[str | None, str]] = []

    def grow(below: int | list[Any], parent: str | None) -> None:
        for number, each in enumerate([0] * below if isinstance(below, int) else below):
            label = f"{parent or ''}{chr(97 + number)}"
            edges.append((parent, label))
            grow(each, label)

    grow(shape, None)
    return Taxonomy.from_edges(edges)


def random_edges(seed: int, count: int) -> list[tuple[str, str]]:
    """A DAG over labels of which some have several parents and some no edge."""
    rng = random.Random(seed)
    ids = [f"l{number}" for number in range(count)]
    return [(one, other) for one, other in combinations(ids, 2) if rng.random() < 2.0 / count]


def definition(taxonomy: Taxonomy, parents: tuple[np.ndarray, ...]) -> float:
    """H(T), node by node, from sets of labels."""
    edges = taxonomy.edge_index.T.tolist()
    sets = [{label} for label in range(len(taxonomy))]
    total = 0.0

    def volume(labels: set[int]) -> int:
        return sum((parent in labels) + (child in labels) for parent, child in edges)

    for layer in parents:
        above: list[set[int]] = [set() for _ in range(int(layer.max()) + 1)]
        for node, parent in enumerate(layer.tolist()):
            above[parent] |= sets[node]
        for node, parent in enumerate(layer.tolist()):
            leaving = sum((a in sets[node]) != (b in sets[node]) for a, b in edges)
            if leaving:
                total -= leaving / (2 * len(edges)) * log2(volume(sets[node]) / volume(above[parent]))
        sets = above
    assert sets == [set(range(len(taxonomy)))]
    return total


@pytest.mark.parametrize(
    ("edges", "clusters", "entropy"),
    [
        (TWO_STARS, ["abc", "defg"], 1.675489),
        (PATH, ["ab", "cd", "ef"], 1.562756),
        (STAR, ["abc", "d", "e"], 1.792481),
    ],
)
def test_two_levels_of_small_graphs(edges: list[tuple[str, str]], clusters: list[str], entropy: float) -> None:
    taxonomy = of(edges)
    tree = coding_tree(taxonomy, 2)
    groups: dict[int, str] = {}
    for label, cluster in zip(taxonomy.ids, tree.parents[0].tolist(), strict=True):
        groups[cluster] = groups.get(cluster, "") + label
    assert [groups[cluster] for cluster in sorted(groups)] == clusters
    assert tree.entropy == pytest.approx(entropy, abs=5e-7)
    assert definition(taxonomy, tree.parents) == pytest.approx(entropy, abs=5e-7)


@pytest.mark.parametrize(
    ("topics", "sizes", "entropy"),
    [
        (103, (103, 5, 1), 3.7746),
        (103, (103, 32, 5, 1), 2.4355),
        (102, (102, 1), 5.8992),
        (102, (102, 5, 1), 3.7732),
        (102, (102, 32, 5, 1), 2.4213),
        (102, (102, 32, 5, 4, 1), 2.4044),
    ],
)
def test_the_topics_of_rcv1_give_the_layers_of_the_published_program(
    topics: int, sizes: tuple[int, ...], entropy: float
) -> None:
    shape = RCV1 if topics == 103 else [*RCV1[:2], RCV1[2][:-1], RCV1[3]]  # 102: without GMIL, a child of GCAT
    tree = coding_tree(shaped(shape), len(sizes) - 1)
    assert tree.sizes == sizes
    assert tree.entropy == pytest.approx(entropy, abs=5e-5)


def test_a_cluster_is_split_as_the_graph_of_its_labels_alone() -> None:
    # The published program splits {a, c, d, e, h, i} and {b, f, g} so; by the volume of the whole cluster instead of
    # that of its inner edges it would be {a, d, e}, {c, h, i}.
    taxonomy = of([(one, other) for one, others in DENSE.items() for other in others])
    tree = coding_tree(taxonomy, 3)
    groups = ["", "", "", "", ""]
    for label, cluster in zip(taxonomy.ids, tree.parents[0].tolist(), strict=True):
        groups[cluster] += label
    assert groups == ["ad", "bf", "ci", "eh", "g"]
    assert tree.sizes == (9, 5, 2, 1)
    assert tree.entropy == pytest.approx(2.257379, abs=5e-7)


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_entropy_is_that_of_the_definition(seed: int, height: int) -> None:
    taxonomy = of(random_edges(seed, 24), more="xyz")
    tree = coding_tree(taxonomy, height)
    assert len(tree.parents) == height
    assert tree.sizes[0] == len(taxonomy)
    assert all(
        sorted(set(layer.tolist())) == list(range(size))
        for layer, size in zip(tree.parents, tree.sizes[1:], strict=True)
    )
    assert tree.entropy == pytest.approx(definition(taxonomy, tree.parents), abs=1e-9)


def test_more_levels_have_less_entropy() -> None:
    taxonomy = of(random_edges(7, 60))
    entropies = [coding_tree(taxonomy, height).entropy for height in (1, 2, 3, 4)]
    assert entropies[0] > entropies[1] > entropies[2] >= entropies[3] - 1e-12


@pytest.mark.parametrize("height", [2, 3, 4])
def test_the_order_of_the_labels_does_not_matter(height: int) -> None:
    edges = [*random_edges(1, 40), *[(f"s{star}", f"s{star}.{leaf}") for star in range(5) for leaf in range(4)]]
    ids = sorted({label for edge in edges for label in edge})
    whole = coding_tree(Taxonomy.from_edges(edges, labels=ids), height)
    for seed in range(4):
        mixed = list(ids)
        random.Random(seed).shuffle(mixed)
        tree = coding_tree(Taxonomy.from_edges(edges, labels=mixed), height)
        assert tree.sizes == whole.sizes
        place = [mixed.index(label) for label in ids]
        assert np.array_equal(tree.parents[0][place], whole.parents[0])
        assert all(np.array_equal(one, other) for one, other in zip(tree.parents[1:], whole.parents[1:], strict=True))


def test_labels_without_edges_are_clusters_of_their_own() -> None:
    assert coding_tree(Taxonomy.flat("abcde"), 3).sizes == (5, 5, 5, 1)
    assert coding_tree(Taxonomy.flat("a"), 3).sizes == (1, 1, 1, 1)
    assert coding_tree(Taxonomy.flat("abcde"), 3).entropy == 0
    assert coding_tree(of([("a", "b")]), 2).sizes == (2, 2, 1)
    mixed = coding_tree(of(TWO_STARS, more="h"), 2)
    assert mixed.parents[0].tolist() == [0, 0, 0, 1, 1, 1, 1, 2]


def test_a_label_with_many_children_is_not_compared_with_all_of_them_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gains: list[float] = []
    own = _BinaryTree._gain

    def gain(self: _BinaryTree, i: int, j: int, edges: int) -> float:
        gains.append(own(self, i, j, edges))
        return gains[-1]

    monkeypatch.setattr(_BinaryTree, "_gain", gain)
    star = Taxonomy.from_edges([(None, "a"), *[("a", f"b{leaf}") for leaf in range(400)]])
    tree = coding_tree(star, 2)
    assert tree.entropy == pytest.approx(definition(star, tree.parents), abs=1e-9)
    assert len(gains) == 400 + 399  # an edge each, and one for each merge but the last


def test_impossible_trees_are_refused() -> None:
    with pytest.raises(ValueError, match="height 0"):
        coding_tree(of(STAR), 0)
    with pytest.raises(ValueError, match="0 labels"):
        coding_tree(Taxonomy.flat([]), 2)
