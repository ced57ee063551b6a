"""Nested files of taxonomies, JSON and YAML: the ways to nest, and every mistake with its key path or line."""

from __future__ import annotations

import json

import pytest

from labels.taxonomy_files import TAXONOMY, problems
from taxotext.errors import TaxonomyError
from taxotext.labels import Taxonomy, read_taxonomy, write_taxonomy


@pytest.mark.parametrize(
    "content",
    [
        '{"a": {"b": {"c": null}, "d": []}}',
        '{"a": {"b": ["c"], "d": null}}',
        '{"a": [{"b": ["c"]}, "d"]}',
        '[{"id": "a", "children": [{"id": "b", "children": ["c"]}, {"id": "d", "children": null}]}]',
        '[{"id": "a", "children": {"b": {"c": {}}, "d": null}}]',
    ],
)
def test_the_ways_to_nest(write, content):
    expected = Taxonomy.from_edges([(None, "a"), ("a", "b"), ("b", "c"), ("a", "d")])
    assert read_taxonomy(write("t.json", content)) == expected
    assert read_taxonomy(write("t.yaml", content)) == expected  # JSON is YAML too


def test_yaml_in_block_style(write):
    text = "a:\n  b:\n    - c\n    - id: e\n      name: Epsilon\n  d:\nf: ~\n"
    taxonomy = read_taxonomy(write("t.yaml", text))
    assert taxonomy.ids == ("a", "b", "c", "e", "d", "f")
    assert taxonomy.names[3] == "Epsilon"


def test_a_label_nested_twice_has_two_parents(write):
    taxonomy = read_taxonomy(write("t.json", '{"a": {"x": ["y"]}, "b": {"x": ["y"]}, "c": ["x"]}'), ids="name")
    assert [taxonomy.ids[p] for p in taxonomy.parents(taxonomy.index("x"))] == ["a", "b", "c"]
    assert taxonomy.parents(taxonomy.index("y")).size == 1


def test_a_saved_dictionary_is_read_too(write):
    assert read_taxonomy(write("taxonomy.json", json.dumps(TAXONOMY.to_dict()))) == TAXONOMY
    broken = {"labels": [{"id": "a", "parents": ["q"]}]}
    assert "'q' is used as a parent" in problems(write("taxonomy.json", json.dumps(broken)))[0]


def test_mistakes_in_json_are_reported_by_key_path(write):
    content = """{"a": {"b": 5, "b": null, "c d": "e"},
      "f": [{"id": "g", "nam": "G"}, {"name": "H"}, 7, null, {"id": 8}, {"id": "i", "name": ["I"]}],
      "j": {"j": null}, " k": true, "l": ["m", "m"]}"""
    assert problems(write("t.json", content)) == [
        "t.json at $.a.b: 'b' is duplicated here; remove one",
        "t.json at $.a.b: expected a mapping, a list or nothing (null), found 5",
        "t.json at $.a[\"c d\"]: expected a mapping, a list or nothing (null), found the text 'e'; "
        "for a single child write a list",
        "t.json at $.f[0]: unknown key 'nam'; an object has id, name, description, alternative_names, children. "
        "Did you mean 'name'?",
        "t.json at $.f[1]: an object without 'id'; add the id of the label, or take names or paths as ids (ids='path')",
        "t.json at $.f[2]: expected a label (text) or a mapping, found 7",
        "t.json at $.f[3]: expected a label (text) or a mapping, found nothing (null)",
        "t.json at $.f[4]: the label 8 is not text; write it as a string",
        "t.json at $.f[5].name: expected text, found a list",
        "t.json at $[\" k\"]: the label ' k' begins or ends with white space; remove it",
        "t.json at $.l[1]: 'm' is duplicated here; remove one",
        "t.json at $.j.j: the name 'j' is below 'j', and below the top level at $.j; if these are different "
        "labels, take paths as ids (ids='path'); if such a name is one label with several parents, say so (ids='name')",
    ]


def test_mistakes_in_yaml_have_lines_too(write):
    content = "a:\n  b:\n  no:\n  2019:\n  b:\n- c\n"
    assert problems(write("t.yaml", content))[0].startswith("t.yaml:6: not YAML: ")
    assert problems(write("t.yaml", content[:-4])) == [
        "t.yaml:5 at $.a.b: 'b' is duplicated here; remove one",
        "t.yaml:3 at $.a.no: expected a label (text), found the bool no; put text that looks like one in quotes",
        "t.yaml:4 at $.a.2019: expected a label (text), found the int 2019; put text that looks like one in quotes",
    ]
    assert read_taxonomy(write("t.yaml", "a:\n  'no':\n  '2019':\n")).ids == ("a", "no", "2019")


@pytest.mark.parametrize(
    "content",
    [
        '{"id": "a", "name": "A", "children": [{"id": "b", "name": "B"}]}',
        '{"id": "a", "name": "A", "children": {"id": "b", "name": "B"}}',
        '{"a": {"name": "A", "children": {"b": {"name": "B", "children": null}}}}',
        '{"a": {"id": "a", "name": "A", "children": {"b": {"name": "B"}}}}',
    ],
)
def test_objects_are_understood_at_the_top_and_below_keys(write, content):
    expected = Taxonomy.from_edges([(None, "a"), ("a", "b")], names={"a": "A", "b": "B"})
    assert read_taxonomy(write("t.json", content)) == expected
    assert read_taxonomy(write("t.yaml", content)) == expected


def test_id_may_be_a_label_where_it_is_no_key_of_an_object(write):
    assert read_taxonomy(write("t.json", '{"languages": {"en": null, "id": null}}')).ids == ("languages", "en", "id")


def test_mistakes_in_objects_below_keys_are_reported(write):
    content = '{"a": {"id": "b", "name": "B"}, "c": {"id": "c", "nam": "C"}, "d": {"name": 5}}'
    assert problems(write("t.json", content)) == [
        "t.json at $.a: the object below 'a' has the id 'b'; for a single child write a list",
        "t.json at $.c: unknown key 'nam'; an object has id, name, description, alternative_names, children. "
        "Did you mean 'name'?",
        "t.json at $.d.name: expected text, found 5",
    ]
    assert problems(write("u.json", '{"name": "A"}')) == [
        "u.json at $: an object without 'id'; add the id of the label, or take names or paths as ids (ids='path')"
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"labels": []}', "holds no labels"),
        ('{"labels": ["a"]}', "a list under 'labels' alone is the form of a model's taxonomy.json"),
        ('{"labels": [{"id": "a", "children": ["b"]}]}', "leave 'labels' out and write the list alone"),
        ('{"labels": [{"nam": "a"}]}', 'labels[0]: expected {"id": ..., "name": ..., "parents": [...]}'),
        ('{"labels": [{"id": 5}]}', "labels[0]: the label 5 is not text"),
        ('{"labels": [' + '{"id": [' * 300 + "]}" * 300 + "]}", "ested"),
    ],
)
def test_a_list_under_labels_is_the_form_of_model_folders(write, content, expected):
    assert expected in problems(write("t.json", content))[0]
    if "[[" not in content and "5" not in content and len(content) < 1000:
        assert expected in problems(write("t.yaml", content))[0]


def test_the_form_of_model_folders_needs_no_parents(write):
    content = '{"labels": [{"id": "a", "name": null}, {"id": "b", "parents": ["a"]}]}'
    expected = Taxonomy.from_edges([("a", "b")], labels=["a"])
    assert read_taxonomy(write("t.json", content)) == expected
    assert read_taxonomy(write("t.yaml", content)) == expected


def test_a_cycle_in_a_nested_file_is_reported(write):
    assert problems(write("t.json", '{"a": {"b": {"a": null}}}'), ids="name") == [
        "t.json at $.a.b: the labels form a cycle: 'a' -> 'b' -> 'a' (t.json at $.a.b, t.json at $.a.b.a); "
        "remove one of these edges"
    ]


def test_two_names_for_one_label_are_reported(write):
    content = '[{"id": "a", "name": "A"}, {"id": "b", "children": [{"id": "a", "name": "B"}]}]'
    assert problems(write("t.json", content)) == [
        "t.json at $[1].children[0].name: 'a' has the name 'B' here and 'A' at t.json at $[0].name; keep one"
    ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.json", '{"a": }', "t.json:1: not JSON: Expecting value at column 7"),
        ("t.json", "5", "t.json at $: expected a mapping, a list"),
        ("t.json", "{}", "holds no labels"),
        ("t.json", "[" * 100_000, "nested too deeply"),
        ("t.json", "[" + "9" * 5000 + "]", "not JSON"),
        ("t.yaml", "a: &x [b]\nc: *x\n", "t.yaml:2: the alias *x is not supported"),
        ("t.yaml", "a: &x [*x]\n", "t.yaml:1: the alias *x is not supported"),
        ("t.yaml", "a:\n---\nb:\n", "t.yaml:2: a second YAML document begins"),
        ("t.yaml", "# nothing\n", "expected a mapping, a list"),
        ("t.yaml", "a: \x00\n", "not YAML"),
        ("t.yaml", "[" * 5_000, "not YAML"),
        ("t.yaml", "a: !!python/object/apply:os.system [b]", None),
        ("t.yaml", "? [a]\n: b\n", "is not text"),
    ],
)  # fmt: skip
def test_odd_nested_files_are_refused_with_a_sentence(write, name, content, expected):
    path = write(name, content)
    if expected is None:  # tags of objects mean nothing here
        assert read_taxonomy(path).ids == ("a", "b")
    else:
        assert expected in problems(path)[0]


def test_a_deep_yaml_file_is_read_but_too_deep_a_taxonomy_is_not_written_nested(write, tmp_path):
    taxonomy = read_taxonomy(write("t.yaml", "{a: " + "".join(f"{{b{i}: " for i in range(3000)) + "}" * 3001))
    assert taxonomy.depth == 3001
    for name in ("o.json", "o.yaml"):
        with pytest.raises(TaxonomyError, match="too deep for the nested file"):
            write_taxonomy(taxonomy, tmp_path / name)


def test_equal_names_below_several_parents_are_told_apart_or_refused(write):
    path = write("n.yaml", "a:\n  other:\n  x: [rest]\nb:\n  other: [rest]\n")
    (problem,) = problems(path)
    assert problem.startswith("n.yaml:5 at $.b.other: the name 'other' is below 'b', and below 'a' in line 2 (1 more")
    assert "different labels, take paths as ids (ids='path')" in problem
    apart = read_taxonomy(path, ids="path", separator=" > ")
    expected = ["a", "a > other", "a > x", "a > x > rest", "b", "b > other", "b > other > rest"]
    assert sorted(apart.ids) == expected
    assert [apart.names[apart.index(label)] for label in expected] == ["a", "other", "x", "rest", "b", "other", "rest"]
    assert [apart.ids[i] for i in apart.parents(apart.index("b > other > rest"))] == ["b > other"]
    one = read_taxonomy(path, ids="name")
    assert sorted(one.ids) == ["a", "b", "other", "rest", "x"]
    assert sorted(one.ids[i] for i in one.parents(one.index("rest"))) == ["other", "x"]


def test_a_name_that_is_an_id_elsewhere_names_that_label(write):
    content = '[{"id": "a", "children": [{"id": "o", "name": "Other"}]}, {"id": "b", "children": ["o"]}]'
    taxonomy = read_taxonomy(write("n.json", content))
    assert sorted(taxonomy.ids[i] for i in taxonomy.parents(taxonomy.index("o"))) == ["a", "b"]


def test_objects_with_names_alone_are_known_by_them_if_asked(write):
    content = '{"name": "flare", "children": [{"name": "x", "children": [{"name": "x", "description": "inner"}]}]}'
    path = write("flare.json", content)
    assert "add the id of the label, or take names or paths as ids (ids='path')" in problems(path)[0]
    taxonomy = read_taxonomy(path, ids="path")
    assert taxonomy.ids == ("flare", "flare/x", "flare/x/x")
    assert taxonomy.names == ("flare", "x", "x")
    assert taxonomy.descriptions == (None, None, "inner")
    assert problems(path, ids="name") == [
        "flare.json at $.children[0].children[0]: 'x' is its own parent; remove the edge"
    ]


def test_a_name_with_the_separator_of_paths_needs_another_one(write):
    path = write("n.json", '{"music": ["CDs/Vinyl", "other"], "film": ["other"]}')
    (problem,) = problems(path, ids="path")
    assert "the name 'CDs/Vinyl' contains '/', which separates the steps of paths" in problem
    assert "(separator=' > ')" in problem
    assert "music > CDs/Vinyl" in read_taxonomy(path, ids="path", separator=" > ").ids
