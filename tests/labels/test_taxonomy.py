"""The taxonomy's arrays: hand-computed values, real hierarchies, and brute force over random graphs."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from taxotext.errors import ConfigError, LabelError, TaxonomyError
from taxotext.labels import CLOSURE_POLICIES, Taxonomy, read_taxonomy

# a     d      a and d are roots; x lies below b and d (so on levels 3 and 2), y below x
# ├─b   │      c is a leaf below a
# │ └─x─┘
# └─c ├─y
EDGES = [(None, "a"), ("a", "b"), ("a", "c"), (None, "d"), ("b", "x"), ("d", "x"), ("x", "y")]


@pytest.fixture
def diamond() -> Taxonomy:
    return Taxonomy.from_edges(EDGES)


def ids(taxonomy: Taxonomy, indexes: np.ndarray) -> str:
    return "".join(taxonomy.ids[i] for i in indexes)


def sets(taxonomy: Taxonomy, *documents: str) -> sparse.csr_array:
    dense = np.zeros((len(documents), len(taxonomy)), dtype=bool)
    for row, labels in enumerate(documents):
        dense[row, taxonomy.indices(labels)] = True
    return sparse.csr_array(dense)


def shown(taxonomy: Taxonomy, targets: sparse.csr_array) -> list[str]:
    assert targets.dtype == np.bool_
    assert targets.data.all()
    assert targets.has_sorted_indices
    return [ids(taxonomy, np.flatnonzero(row)) for row in targets.toarray()]


def problems(*edges: tuple[str | None, str], **arguments: object) -> tuple[str, ...]:
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_edges(edges, **arguments)
    return caught.value.problems


def test_labels_are_numbered_in_the_order_of_first_appearance(diamond):
    assert diamond.ids == ("a", "b", "c", "d", "x", "y")
    assert len(diamond) == 6
    assert diamond.index("x") == 4
    assert "x" in diamond
    assert "z" not in diamond
    assert diamond.indices(["y", "a", "y"]).tolist() == [5, 0, 5]
    assert diamond.indices([]).dtype == np.int32


def test_declared_labels_come_first_and_need_no_edge():
    taxonomy = Taxonomy.from_edges([("z", "a")], labels=["q", "z"])
    assert taxonomy.ids == ("q", "z", "a")
    assert taxonomy.roots.tolist() == [0, 1]


def test_structure_of_a_small_graph_with_two_parents(diamond):
    assert diamond.levels.tolist() == [1, 2, 2, 1, 3, 4]
    assert diamond.shortest_levels.tolist() == [1, 2, 2, 1, 2, 3]
    assert diamond.depth == 4
    assert ids(diamond, diamond.order) == "adbcxy"
    assert ids(diamond, diamond.roots) == "ad"
    assert ids(diamond, diamond.leaves) == "cy"
    assert ids(diamond, diamond.parents(4)) == "bd"
    assert ids(diamond, diamond.children(0)) == "bc"
    assert ids(diamond, diamond.ancestors(5)) == "abdx"
    assert ids(diamond, diamond.descendants(3)) == "xy"
    assert ids(diamond, diamond.siblings(1)) == "c"
    assert ids(diamond, diamond.siblings(0)) == "d"
    assert ids(diamond, diamond.siblings(4)) == ""
    assert [ids(diamond, branch) for branch in diamond.branches()] == ["abcxy", "dxy"]
    assert diamond.edge_index.tolist() == [[0, 0, 1, 3, 4], [1, 2, 4, 4, 5]]
    assert not diamond.is_flat


def test_arrays_have_the_promised_types(diamond):
    int32 = [diamond.order, diamond.levels, diamond.shortest_levels, diamond.roots, diamond.leaves]
    int32 += [f(0) for f in (diamond.parents, diamond.children, diamond.ancestors, diamond.descendants)]
    int32 += [diamond.siblings(0), diamond.siblings(4), diamond.indices(["a"]), *diamond.branches()]
    assert {array.dtype for array in int32} == {np.dtype(np.int32)}
    assert diamond.edge_index.dtype == np.int64
    assert isinstance(diamond.closure, sparse.csr_array)
    assert diamond.closure.dtype == np.bool_
    assert diamond.violations(sets(diamond, "a")).dtype == np.int64


def test_a_flat_label_set_has_one_level_and_no_edges():
    taxonomy = Taxonomy.flat(["b", "a"], names={"a": "Alpha", "b": ""})
    assert taxonomy.is_flat
    assert taxonomy.depth == 1
    assert taxonomy.edge_index.shape == (2, 0)
    assert taxonomy.names == (None, "Alpha")
    assert (taxonomy.name(0), taxonomy.name(1)) == ("b", "Alpha")
    assert taxonomy.roots.tolist() == taxonomy.leaves.tolist() == [0, 1]
    assert taxonomy.siblings(0).tolist() == [1]
    assert taxonomy.closure.toarray().tolist() == [[True, False], [False, True]]
    targets = sets(taxonomy, "ab", "")
    assert taxonomy.close(targets).toarray().tolist() == targets.toarray().tolist()
    assert taxonomy.violations(targets).tolist() == [0, 0]


def test_an_empty_label_set_is_legal():
    taxonomy = Taxonomy.flat([])
    assert (len(taxonomy), taxonomy.depth, taxonomy.is_flat, taxonomy.has_names) == (0, 0, True, False)
    assert taxonomy.closure.shape == (0, 0)
    assert taxonomy.branches() == []
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy


def test_closing_adds_ancestors_and_leaves_the_input_alone(diamond):
    targets = sets(diamond, "y", "c", "", "dx")
    assert shown(diamond, diamond.close(targets)) == ["abdxy", "ac", "", "abdx"]
    assert shown(diamond, targets) == ["y", "c", "", "dx"]


def test_reducing_to_leaves_removes_ancestors_of_set_labels(diamond):
    assert shown(diamond, diamond.reduce_to_leaves(sets(diamond, "abdxy", "ac", "", "ay", "ad"))) == [
        "y", "c", "", "y", "ad",
    ]  # fmt: skip


def test_violations_count_labels_with_an_ancestor_that_is_not_set(diamond):
    # "bxy": b lacks a, x lacks a and d, y lacks a and d; "abx": x lacks d
    found = diamond.violations(sets(diamond, "abdxy", "bxy", "abx", "", "ay", "ad"))
    assert found.tolist() == [0, 3, 1, 0, 1, 0]


def test_policies_by_name(diamond):
    targets = sets(diamond, "ay")
    results = {policy: shown(diamond, diamond.apply_policy(targets, policy)) for policy in CLOSURE_POLICIES}
    assert results == {"ancestors": ["abdxy"], "as_given": ["ay"], "leaves": ["y"]}
    with pytest.raises(ConfigError, match=r"Unknown closure policy 'ancestor'; .* Did you mean 'ancestors'"):
        diamond.apply_policy(targets, "ancestor")


def test_stored_zeros_and_duplicates_in_targets_do_not_count(diamond):
    # document 0: y stored twice, c stored as a zero
    targets = sparse.csr_array((np.array([1, 0, 1]), np.array([5, 2, 5]), np.array([0, 3])), shape=(1, 6))
    assert shown(diamond, diamond.close(targets)) == ["abdxy"]
    assert diamond.violations(targets).tolist() == [1]
    assert targets.nnz == 3


def test_targets_of_another_width_are_refused(diamond):
    with pytest.raises(ValueError, match=r"shape \(1, 7\); expected \(documents, 6 labels\)"):
        diamond.close(sparse.csr_array((1, 7), dtype=bool))


def test_an_index_outside_is_refused(diamond):
    for method in (diamond.parents, diamond.descendants, diamond.ancestors, diamond.siblings):
        with pytest.raises(IndexError):
            method(-1)
        with pytest.raises(IndexError):
            method(6)


def test_a_taxonomy_cannot_be_changed(diamond):
    with pytest.raises(AttributeError):
        diamond.ids = ()
    with pytest.raises(AttributeError):
        del diamond.names
    arrays = [diamond.edge_index, diamond.levels, diamond.order, diamond.roots, diamond.parents(4)]
    arrays += [diamond.closure.data, diamond.closure.indices, diamond.branches()[0]]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_equality_and_hash_go_by_content(diamond):
    same = Taxonomy.from_edges([*EDGES[:5], EDGES[6], EDGES[5]])
    assert same == diamond
    assert hash(same) == hash(diamond)
    assert diamond != Taxonomy.from_edges(EDGES[:-1])
    assert diamond != Taxonomy.from_edges(EDGES, names={"a": "Alpha"})
    assert diamond != Taxonomy.from_edges([EDGES[0], EDGES[2], EDGES[1], *EDGES[3:]])  # another order
    assert diamond != "diamond"


def test_pickling_keeps_the_content(diamond):
    copy = pickle.loads(pickle.dumps(diamond))
    assert copy == diamond
    assert not copy.edge_index.flags.writeable


def test_a_dictionary_keeps_ids_names_parents_and_order():
    taxonomy = Taxonomy.from_edges([("b", "a"), (None, "b")], labels=["c"], names={"a": "Alpha"})
    content = taxonomy.to_dict()
    assert content == {
        "labels": [
            {"id": "c", "name": None, "parents": []},
            {"id": "b", "name": None, "parents": []},
            {"id": "a", "name": "Alpha", "parents": ["b"]},
        ]
    }
    assert Taxonomy.from_dict(content) == taxonomy


@pytest.mark.parametrize("content", [None, [], {}, {"labels": {}}, {"label": []}])
def test_a_dictionary_of_another_shape_is_refused(content):
    with pytest.raises(TaxonomyError, match=r'expected {"labels"'):
        Taxonomy.from_dict(content)


def test_problems_in_a_dictionary_are_listed_by_place():
    entries = [{"id": "a"}, "b", {"id": 3}, {"id": "c", "parents": ["q"]}, {"id": "d", "parents": "a"}]
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_dict({"labels": [*entries, {"id": "e", "parents": [None]}, {"id": "f", "name": 5}]})
    places = [problem.split(":")[0] for problem in caught.value.problems]
    assert places == [f"labels[{i}]" for i in (1, 2, 4, 5, 3, 6)]


def test_names_can_be_replaced(diamond):
    named = diamond.with_names({"a": "Alpha  beta ", "b": ""})
    assert named.names[:2] == ("Alpha beta", None)
    assert named.has_names
    assert not diamond.has_names
    assert diamond.with_names({"zz": "?"}, unknown="ignore") == diamond
    with pytest.raises(TaxonomyError, match="'zz' has the name"):
        diamond.with_names({"zz": "?"})


def test_labels_may_have_descriptions(diamond):
    assert diamond.descriptions == (None,) * len(diamond)
    assert not diamond.has_descriptions
    described = diamond.with_descriptions({"a": "The first\n letter. ", "b": ""})
    assert described.descriptions[:2] == ("The first letter.", None)
    assert described.has_descriptions
    assert described.with_names({"a": "Alpha"}).descriptions == described.descriptions
    assert described.with_names({"a": "Alpha"}).with_descriptions({}) == diamond.with_names({"a": "Alpha"})
    assert described != diamond
    assert pickle.loads(pickle.dumps(described)) == described
    assert diamond.with_descriptions({"zz": "?"}, unknown="ignore") == diamond
    with pytest.raises(TaxonomyError, match="'zz' has the description"):
        diamond.with_descriptions({"zz": "?"})


def test_a_dictionary_has_descriptions_only_where_labels_have_them(diamond):
    assert all("description" not in entry for entry in diamond.to_dict()["labels"])
    described = diamond.with_descriptions({"b": "The second letter."})
    content = described.to_dict()
    assert [entry.get("description") for entry in content["labels"]] == [None, "The second letter.", *[None] * 4]
    assert Taxonomy.from_dict(content) == described
    content["labels"][0]["description"] = 5
    with pytest.raises(TaxonomyError, match=r"labels\[0\]: the description 5 of 'a' is not text"):
        Taxonomy.from_dict(content)


def test_a_missing_label_is_answered_with_the_nearest():
    taxonomy = Taxonomy.flat(["Economics", "Physics", "5"])
    with pytest.raises(LabelError, match=r"no label 'Economcs'. Did you mean 'Economics'\?"):
        taxonomy.index("Economcs")
    with pytest.raises(LabelError, match=r"Did you mean 'Physics'\?"):
        taxonomy.index("PHYSICS ")
    with pytest.raises(LabelError, match="Label ids are text, not int; write '5'"):
        taxonomy.index(5)


def test_all_missing_labels_are_listed_once():
    taxonomy = Taxonomy.flat(["Economics", "Physics"])
    with pytest.raises(LabelError) as caught:
        taxonomy.indices(["Economic", "Physics", "qqq", "Economic"])
    assert str(caught.value).startswith("2 labels are not in the taxonomy of 2 labels; ")
    assert caught.value.problems == ("'Economic' (2 times). Did you mean 'Economics'?", "'qqq'.")


def test_a_cycle_is_spelled_out_with_its_places():
    found = problems((None, "a"), ("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"))
    assert found == ("edge 3: the labels form a cycle: 'b' -> 'c' -> 'b' (edge 3, edge 4); remove one of these edges",)


def test_all_cycles_are_reported_at_once_the_shortest_of_a_knot_first():
    found = problems(("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("x", "y"), ("y", "x"), ("c", "x"))
    assert [problem.split(": ")[2].split(" (")[0] for problem in found] == [
        "'a' -> 'b' -> 'a'",
        "'x' -> 'y' -> 'x'",
        "'a' -> 'b' -> 'c' -> 'a'",
    ]


def test_all_problems_are_reported_together():
    found = problems(
        (None, "a"), ("q", "b"), ("a", "b"), ("a", "b"), ("c", "c"), (None, "a"),
        ("a", " d"), ("a", ""), ("a", "e\tf"),
        labels=["l", "l", 3], names={"nobody": "x", "a": 7},
    )  # fmt: skip
    wanted = [
        "'l' is listed twice",
        "label 3: the label 3 is not text",
        "edge 4: the edge 'a' -> 'b' is a duplicate (first at edge 3)",
        "edge 5: 'c' is its own parent",
        "edge 6: 'a' is put at the top level again (first at edge 1)",
        "' d' begins or ends with white space",
        "edge 8: a label is empty",
        "contains a TAB",
        "edge 2: 'q' is used as a parent but is never declared; add the edge (None, 'q')",
        "'nobody' has the name 'x' but is not a label",
        "the name 7 of 'a' is not text",
    ]
    assert len(found) == len(wanted)
    assert [text for text in wanted if not any(text in problem for problem in found)] == []


def test_half_characters_are_refused():
    assert "half a character" in problems((None, "\ud800"))[0]
    assert "half a character" in problems((None, "a"), names={"a": "\ud800"})[0]


def test_a_top_level_label_with_parents_keeps_the_parents_and_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="taxotext"):
        taxonomy = Taxonomy.from_edges([(None, "a"), (None, "b"), ("a", "b")])
    assert taxonomy.roots.tolist() == [0]
    assert taxonomy.levels.tolist() == taxonomy.shortest_levels.tolist() == [1, 2]
    assert "1 label stands at the top level and below another label too, such as 'b' (edge 2)" in caplog.text


def test_a_chain_of_thousands_of_levels_is_no_problem():
    count = 3000
    taxonomy = Taxonomy.from_edges([(str(i - 1) if i else None, str(i)) for i in range(count)])
    assert taxonomy.depth == count
    assert taxonomy.ancestors(count - 1).size == count - 1


def test_importing_the_room_loads_no_heavy_library():
    heavy = "torch transformers sklearn tokenizers networkx yaml pandas"
    code = f"import sys, taxotext.labels; print([m for m in '{heavy}'.split() if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# Brute force


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Taxonomy, nx.DiGraph]:
    count = draw(st.integers(1, 12))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20)) if pairs else []
    shuffled = draw(st.permutations(range(count)))
    edges = [(str(shuffled[a]), str(shuffled[b])) for a, b in edges]
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(str(i) for i in range(count))
    roots = [(None, node) for node in graph if graph.in_degree(node) == 0]
    return Taxonomy.from_edges(draw(st.permutations([*roots, *edges]))), graph


@given(graphs())
@settings(max_examples=80, deadline=None)
def test_structure_agrees_with_networkx(drawn):
    taxonomy, graph = drawn

    def known(indexes):
        assert indexes.tolist() == sorted(set(indexes.tolist()))
        return {taxonomy.ids[i] for i in indexes}

    roots = {node for node in graph if graph.in_degree(node) == 0}
    assert known(taxonomy.roots) == roots
    assert known(taxonomy.leaves) == {node for node in graph if graph.out_degree(node) == 0}
    position = {node: at for at, node in enumerate(taxonomy.order.tolist())}
    assert len(position) == len(taxonomy)
    assert all(position[taxonomy.index(a)] < position[taxonomy.index(b)] for a, b in graph.edges)
    for i, node in enumerate(taxonomy.ids):
        above, below = nx.ancestors(graph, node), nx.descendants(graph, node)
        assert known(taxonomy.ancestors(i)) == above
        assert known(taxonomy.descendants(i)) == below
        assert known(taxonomy.parents(i)) == set(graph.predecessors(node))
        assert known(taxonomy.children(i)) == set(graph.successors(node))
        family = {c for p in graph.predecessors(node) for c in graph.successors(p)} if node not in roots else roots
        assert known(taxonomy.siblings(i)) == family - {node}
        paths = [p for root in roots for p in nx.all_simple_paths(graph, root, [node])] or [[node]]
        assert taxonomy.levels[i] == max(map(len, paths))
        assert taxonomy.shortest_levels[i] == min(map(len, paths))
        assert known(np.flatnonzero(taxonomy.closure.toarray()[i])) == above | {node}
    branches = [known(branch) for branch in taxonomy.branches()]
    assert branches == [{taxonomy.ids[r]} | nx.descendants(graph, taxonomy.ids[r]) for r in taxonomy.roots]
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy


@given(graphs(), st.data())
@settings(max_examples=80, deadline=None)
def test_label_sets_agree_with_brute_force(drawn, data):
    taxonomy, graph = drawn
    labels = st.sets(st.sampled_from(taxonomy.ids))
    documents = data.draw(st.lists(labels, max_size=5))
    dense = np.zeros((len(documents), len(taxonomy)), dtype=bool)
    for row, document in enumerate(documents):
        dense[row, taxonomy.indices(document)] = True
    targets = sparse.csr_array(dense)

    def read(result):
        return [{taxonomy.ids[i] for i in np.flatnonzero(row)} for row in result.toarray()]

    above = {node: nx.ancestors(graph, node) for node in graph}
    closed = [set().union(d, *(above[label] for label in d)) for d in documents]
    assert read(taxonomy.close(targets)) == closed
    leaves = [d - set().union(*(above[label] for label in d)) for d in documents]
    assert read(taxonomy.reduce_to_leaves(targets)) == leaves
    assert taxonomy.violations(targets).tolist() == [sum(not above[x] <= d for x in d) for d in documents]
    assert read(targets) == documents


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), unique=True, max_size=14))
@settings(max_examples=80, deadline=None)
def test_a_graph_is_refused_exactly_when_it_has_a_cycle(pairs):
    graph = nx.DiGraph(pairs)
    edges = [(str(a), str(b)) for a, b in pairs]
    labels = [str(i) for i in range(7)]
    if nx.is_directed_acyclic_graph(graph):
        assert Taxonomy.from_edges(edges, labels=labels).edge_index.shape[1] == len(pairs)
        return
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_edges(edges, labels=labels)
    loops = nx.number_of_selfloops(graph)
    knots = sum(len(component) > 1 for component in nx.strongly_connected_components(graph))
    assert len(caught.value.problems) >= loops + knots
    left = nx.DiGraph(pairs)
    for problem in caught.value.problems:
        if "cycle" in problem:
            cycle = problem.split("cycle: ")[1].split(" (")[0].replace("'", "").split(" -> ")
            assert cycle[0] == cycle[-1]
            left.remove_edges_from([(int(cycle[-2]), int(cycle[-1]))])
            assert all(graph.has_edge(int(a), int(b)) for a, b in pairwise(cycle))


# Real hierarchies


def test_the_largest_real_hierarchy_is_read(real_data: Callable[[str], Path]):
    path = real_data("hierarchies/stw-economics.tsv")
    taxonomy = read_taxonomy(path)
    closure, branches = taxonomy.closure, taxonomy.branches()
    parts = [
        taxonomy.order,
        taxonomy.levels,
        taxonomy.shortest_levels,
        taxonomy.leaves,
        taxonomy.descendants(0),
    ]
    assert parts[0].size == len(taxonomy) == 6243
    assert taxonomy.edge_index.shape == (2, 13233)
    assert taxonomy.depth == 13
    assert len(branches) == taxonomy.roots.size == 9
    assert closure.nnz == 51943
    assert sum(taxonomy.parents(i).size > 1 for i in range(6243)) == 4557


def test_the_closure_of_a_real_hierarchy_agrees_with_networkx(real_data: Callable[[str], Path]):
    taxonomy = read_taxonomy(real_data("hierarchies/stw-economics.tsv"))
    graph = nx.DiGraph(taxonomy.edge_index.T.tolist())
    for i in range(0, len(taxonomy), 250):
        assert set(taxonomy.ancestors(i).tolist()) == nx.ancestors(graph, i)


def test_levels_of_rcv1_are_the_published_ones(real_data: Callable[[str], Path]):
    taxonomy = read_taxonomy(real_data("hierarchies/rcv1-103.tsv"))
    assert np.bincount(taxonomy.levels)[1:].tolist() == [4, 55, 43, 1]


def test_a_real_hierarchy_with_several_parents_loads(real_data: Callable[[str], Path]):
    taxonomy = read_taxonomy(real_data("amazon-hier-val/hierarchy.tsv"))
    assert len(taxonomy) == 531
    assert sum(taxonomy.parents(i).size > 1 for i in range(531)) == 22
