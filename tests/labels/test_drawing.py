"""Taxonomies drawn as text."""

from __future__ import annotations

from taxotext.labels import Taxonomy, draw, taxonomy_from_paths, tree_lines

EDGES = [(None, "a"), ("a", "b"), ("a", "c"), (None, "d"), ("b", "x"), ("d", "x"), ("x", "y"), ("c", "y")]


def test_a_label_with_two_parents_is_drawn_twice_and_expanded_once():
    assert list(tree_lines(Taxonomy.from_edges(EDGES))) == [
        "a",
        "├── b",
        "│   └── x",
        "│       └── y",
        "└── c",
        "    └── y",
        "d",
        "└── x  (see above)",
    ]


def test_notes_stand_behind_the_labels():
    taxonomy = Taxonomy.from_edges(EDGES[:3], names={"b": "Beta"})
    notes = list(tree_lines(taxonomy, lambda i: "0.5" if i == 1 else ""))
    assert notes == ["a", "├── b  Beta  0.5", "└── c"]


def test_only_some_labels_are_drawn_with_their_ancestors():
    taxonomy = Taxonomy.from_edges(EDGES)
    assert list(tree_lines(taxonomy, only={taxonomy.index("c")})) == ["a", "└── c"]
    assert list(tree_lines(taxonomy, only={taxonomy.index("x")})) == ["a", "└── b", "    └── x", "d", "└── x"]
    assert list(tree_lines(taxonomy, only=set())) == []


def test_levels_that_are_cut_off_are_counted():
    taxonomy = Taxonomy.from_edges(EDGES)
    assert list(tree_lines(taxonomy, max_depth=1)) == ["a  (+4 below)", "d  (+2 below)"]
    assert list(tree_lines(taxonomy, only={4}, max_depth=1)) == ["a  (+2 below)", "d  (+1 below)"]


def test_a_label_cut_off_in_one_place_is_expanded_in_another():
    # x is too deep below a > b, but not below d
    drawn = list(tree_lines(Taxonomy.from_edges(EDGES[:7]), max_depth=3))
    assert drawn == ["a", "├── b", "│   └── x  (+1 below)", "└── c", "d", "└── x", "    └── y"]


def test_paths_do_not_repeat_their_names():
    assert list(tree_lines(taxonomy_from_paths(["arts/music"]))) == ["arts", "└── arts/music"]


def test_draw_shows_counts_and_marks():
    taxonomy = Taxonomy.from_edges(EDGES[:3])
    assert draw(taxonomy, counts=[3, 2, 0], marked={1}) == "a  [3]\n├── b  [2] *\n└── c  [0]"
    assert draw(taxonomy, counts={0: 3}) == "a  [3]\n├── b  [0]\n└── c  [0]"
    assert draw(taxonomy, max_depth=1) == "a  (+2 below)"


def test_a_very_deep_tree_is_drawn():
    taxonomy = Taxonomy.from_edges([(str(i - 1) if i else None, str(i)) for i in range(2000)])
    assert sum(1 for _ in tree_lines(taxonomy)) == 2000
