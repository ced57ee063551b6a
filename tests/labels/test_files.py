"""Readers and writers: formats, round trips, and every mistake with its line."""

from __future__ import annotations

import gzip
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.taxonomy_files import EDGES, TAXONOMY, problems
from taxotext.errors import ConfigError, TaxonomyError
from taxotext.labels import (
    Taxonomy,
    read_alternative_names,
    read_descriptions,
    read_names,
    read_taxonomy,
    taxonomy_from_paths,
    write_names,
    write_taxonomy,
)


def same_graph(left: Taxonomy, right: Taxonomy) -> bool:
    """Equal but for the order of the labels."""
    contents = [sorted(t.to_dict()["labels"], key=lambda entry: entry["id"]) for t in (left, right)]
    for entry in contents[0] + contents[1]:
        entry["parents"].sort()
    return contents[0] == contents[1]


# Edges


def test_edges_are_read_with_their_spaces_and_any_line_end(write):
    path = write("h.tsv", b"\xef\xbb\xbfRoot\ta b\r\na b\tc\r\n\nRoot\td\nc\tx\nd\tx\nx\ty")
    assert read_taxonomy(path) == Taxonomy.from_edges(EDGES)


def test_lines_end_only_at_a_line_feed(write):
    odd = "a\u2028b\x0bc\x85d"
    assert read_taxonomy(write("h.tsv", f"Root\t{odd}\n")).ids == (odd,)


def test_gzip_is_unpacked_by_suffix(write):
    assert read_taxonomy(write("h.tsv.gz", gzip.compress(b"Root\ta\n"))).ids == ("a",)
    assert "i.tsv.gz is not a sound gzip file" in problems(write("i.tsv.gz", b"Root\ta\n"))[0]
    assert "is not a sound gzip file" in problems(write("j.tsv.gz", gzip.compress(b"Root\ta\n")[:-3]))[0]


def test_all_mistakes_of_a_file_of_edges_are_reported_at_once(write):
    lines = [
        b"Root\ta", b"a\tb\tc", b"lonely", b"X\tb", b"a\tb", b"a\tb", b"a\ta", b"a\tRoot", b"a\t c", b"a\t",
        b"a\t\xff", b"p\tq", b"q\tp", b"Root\ta",
    ]  # fmt: skip
    assert problems(write("h.tsv", b"\n".join(lines))) == [
        "h.tsv:2: 3 columns in 'a\\tb\\tc'; write parent<TAB>child, one child a line",
        "h.tsv:3: 1 column in 'lonely'; write parent<TAB>child, one child a line",
        "h.tsv:8: 'Root' is the artificial root and cannot be a child; rename the label",
        "h.tsv:11: byte 0xff at column 3 is not UTF-8; save the file in the encoding UTF-8",
        "h.tsv:6: the edge 'a' -> 'b' is a duplicate (first at h.tsv:5); remove one",
        "h.tsv:7: 'a' is its own parent; remove the edge",
        "h.tsv:9: the label ' c' begins or ends with white space; remove it",
        "h.tsv:10: a label is empty; give it an id",
        "h.tsv:14: 'a' is put at the top level again (first at h.tsv:1); remove one",
        "h.tsv:4: 'X' is used as a parent but is never declared; add the line 'Root<TAB>X'",
        "h.tsv:12: the labels form a cycle: 'p' -> 'q' -> 'p' (h.tsv:12, h.tsv:13); remove one of these edges",
    ]


def test_the_error_names_the_file_and_counts_the_problems(write):
    path = write("h.tsv", "Root\ta\na\ta\n")
    with pytest.raises(TaxonomyError) as caught:
        read_taxonomy(path)
    expected = f"The taxonomy {path} has 1 problem:\n  - {path}:2: 'a' is its own parent; remove the edge"
    assert str(caught.value) == expected


def test_missing_empty_and_other_unreadable_files(write, tmp_path):
    assert "does not exist" in problems(tmp_path / "none.tsv")[0]
    assert "is a folder" in problems(tmp_path)[0]
    assert "is empty" in problems(write("e.tsv", ""))[0]
    assert "is empty" in problems(write("e.json", b"\xef\xbb\xbf \n"))[0]
    assert "e.json:2: byte 0xe9" in problems(write("e.json", b'{\n"\xe9": null}'))[0]


# Format


def test_the_format_is_guessed_from_suffix_and_content(write):
    assert read_taxonomy(write("a.txt", "Root\ta\n")).ids == ("a",)
    assert read_taxonomy(write("b.txt", "a/b\n")).ids == ("a", "a/b")
    assert read_taxonomy(write("c.taxonomy", ' {"a": ["b"]}')).ids == ("a", "b")
    assert read_taxonomy(write("d.yml", "a: [b]")).ids == ("a", "b")
    assert read_taxonomy(write("e.tsv", "a/b\n"), "paths").ids == ("a", "a/b")
    assert "has no TAB in it" in problems(write("f.tsv", "a/b\n"))[0]


def test_an_unknown_format_is_answered_with_the_nearest(write):
    with pytest.raises(ConfigError, match=r"Unknown taxonomy format 'edge'; .* Did you mean 'edges'"):
        read_taxonomy(write("a.tsv", "Root\ta\n"), "edge")
    with pytest.raises(ConfigError, match="does not say which format to write"):
        write_taxonomy(TAXONOMY, "taxonomy.dat")


def test_capitals_in_the_suffix_say_the_same(write):
    assert read_taxonomy(write("A.TSV.GZ", gzip.compress(b"Root\ta\n"))).ids == ("a",)
    assert read_taxonomy(write("B.JSON", "[\n1]".replace("1", '"b"'))).ids == ("b",)
    assert read_taxonomy(write("C.YAML", "c:\n")).ids == ("c",)


@pytest.mark.parametrize("name", ["t.csv", "t.CSV.gz"])
def test_csv_without_a_header_is_no_taxonomy_unless_the_format_is_given(write, name):
    content = b"science\narts\n"
    path = write(name, gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(TaxonomyError, match="the header 'science' names no column of labels and of their parents"):
        read_taxonomy(path)
    assert read_taxonomy(path, "paths").ids == ("science", "arts")


@pytest.mark.parametrize("line", ["Root,science", "Root;science", "Root science"])
def test_edges_without_a_tab_are_not_taken_for_paths(write, line):
    path = write("t.txt", f"a\n{line}\n")
    [problem] = problems(path)
    assert problem.startswith(f"t.txt:2: {line!r} begins with 'Root', the artificial root, but has no TAB")
    assert read_taxonomy(path, "paths").ids == ("a", line)


def test_a_path_may_begin_with_root(write):
    assert read_taxonomy(write("p.txt", "Root > science\n"), separator=" > ").ids == ("Root", "Root > science")
    assert read_taxonomy(write("q.txt", "Root/science\nRootkits\n")).ids == ("Root", "Root/science", "Rootkits")


# Paths


def test_paths_become_ids_and_their_last_segments_names(write):
    taxonomy = read_taxonomy(write("p.txt", "arts/music/theory\nphysics/theory\narts\n"))
    assert taxonomy.ids == ("arts", "arts/music", "arts/music/theory", "physics", "physics/theory")
    assert taxonomy.names == ("arts", "music", "theory", "physics", "theory")
    assert taxonomy.levels.tolist() == [1, 2, 3, 1, 2]


def test_paths_with_another_separator(write):
    assert read_taxonomy(write("p.txt", "a > b/c\n"), separator=" > ").ids == ("a", "a > b/c")
    assert taxonomy_from_paths(["a--b"], "--").names == ("a", "b")
    with pytest.raises(ConfigError, match="separator of paths is empty"):
        taxonomy_from_paths(["a"], "")


def test_mistakes_in_paths_are_reported_at_once(write):
    assert problems(write("p.txt", "a/b\n/a\na//b\na / b\na/b\n c\n")) == [
        "p.txt:2: the path '/a' has an empty segment between separators '/'; remove or fill it",
        "p.txt:3: the path 'a//b' has an empty segment between separators '/'; remove or fill it",
        "p.txt:4: the segment 'a ' of the path 'a / b' begins or ends with white space; "
        "remove it or make it part of the separator (now '/')",
        "p.txt:5: the path 'a/b' is a duplicate (first at p.txt:1); remove one",
        "p.txt:6: the label ' c' begins or ends with white space; remove it",
    ]


def test_paths_come_as_a_corpus_has_them():
    lists = [["a/b", "c"], [], ["a", "a/b"], ["c"]]
    assert taxonomy_from_paths(lists).ids == ("a", "a/b", "c")
    assert taxonomy_from_paths(["a/b", "c", "a", "a/b"]) == taxonomy_from_paths(lists)


def test_comments_and_names_of_columns_at_the_top_are_left_out_with_a_warning(write, caplog):
    with caplog.at_level(logging.WARNING, "taxotext"):
        assert read_taxonomy(write("p.txt", "# topics of 2020\n#\na/b\n")).ids == ("a", "a/b")
        assert read_taxonomy(write("e.tsv", "parent\tchild\nRoot\ta\na\tb\n")).ids == ("a", "b")
        assert read_taxonomy(write("f.tsv", "# parent\tchild\nRoot\ta\n")).ids == ("a",)
    assert "p.txt: 2 lines at the top were left out, such as '# topics of 2020'" in caplog.text
    assert "e.tsv: 1 line at the top was left out, such as 'parent\\tchild'" in caplog.text
    assert read_taxonomy(write("q.txt", "a\n# b\n#c\n")).ids == ("a", "# b", "#c")
    with pytest.raises(TaxonomyError) as caught:
        write_taxonomy(Taxonomy.flat(["# b"]), write("p.txt", "a\n").parent / "t.paths")
    assert caught.value.problems == ("'# b' would be taken for a comment in the first line",)


def test_a_graph_cannot_be_written_as_paths(tmp_path):
    with pytest.raises(TaxonomyError) as caught:
        write_taxonomy(TAXONOMY, tmp_path / "t.paths")
    assert caught.value.problems[:2] == (
        "'c' is not the path of its parent 'a b' and a name",
        "'x' has 2 parents: 'c', 'd'",
    )
    with pytest.raises(TaxonomyError, match="'a/b' is a top-level label but looks like a path below 'a'"):
        write_taxonomy(Taxonomy.flat(["a/b"]), tmp_path / "t.paths")
    assert list(tmp_path.iterdir()) == []


# Names


def test_names_are_read_and_may_be_empty_or_repeat(write):
    path = write("labels.tsv", "a b\tAlpha\nc\t\nd\tAlpha\n")
    assert read_names(path) == {"a b": "Alpha", "c": "", "d": "Alpha"}
    taxonomy = read_taxonomy(write("h.tsv", "Root\ta b\na b\tc\nRoot\td\n"), names=path)
    assert taxonomy.names == ("Alpha", None, "Alpha")


def test_names_of_a_file_come_before_those_of_the_taxonomy_which_stay_elsewhere(write):
    names = write("names.tsv", "a\tAlpha\nb\t\n")
    nested = write("t.json", '[{"id": "a", "name": "A"}, {"id": "b", "name": "B"}, {"id": "c", "name": "C"}]')
    assert read_taxonomy(nested, names=names).names == ("Alpha", None, "C")
    paths = write("p.txt", "a\nb\nc/d\n")
    assert read_taxonomy(paths, names=names).names == ("Alpha", None, "c", "d")


def test_existing_files_are_replaced_only_when_told(write):
    path = write("t.tsv", "precious")
    for replace in (lambda **how: write_taxonomy(TAXONOMY, path, **how), lambda **how: write_names({}, path, **how)):
        path.write_text("precious")
        with pytest.raises(TaxonomyError, match="exists already; give another name, or overwrite=True"):
            replace()
        assert path.read_text() == "precious"
        replace(overwrite=True)
        assert path.read_text() != "precious"


def test_mistakes_in_names_are_reported(write):
    path = write("labels.tsv", "a\tAlpha\nb\na\tBeta\n d\tDelta\n")
    with pytest.raises(TaxonomyError) as caught:
        read_names(path)
    assert [problem.replace(f"{path.parent}/", "") for problem in caught.value.problems] == [
        "labels.tsv:2: 1 column in 'b'; write id<TAB>name, id<TAB>name<TAB>description, "
        "or alternative names in further columns",
        "labels.tsv:3: the id 'a' is named twice (first at labels.tsv:1); remove one",
        "labels.tsv:4: the label ' d' begins or ends with white space; remove it",
    ]


def test_names_of_absent_labels_are_reported_with_their_line(write):
    names = write("labels.tsv", "a\tAlpha\nq\tQuebec\n")
    assert problems(write("h.tsv", "Root\ta\n"), names=names) == [
        "labels.tsv:2: 'q' has the name 'Quebec' but is not a label of the taxonomy; remove the name or add the label"
    ]


def test_names_are_written_and_read_again(tmp_path):
    path = tmp_path / "labels.tsv.gz"
    write_names(TAXONOMY, path)
    assert read_names(path) == {"a b": "", "c": "Gamma", "d": "", "x": "", "y": "Ypsilon"}
    write_names({"a": " Al\tpha\n"}, path, overwrite=True)
    assert read_names(path) == {"a": "Al pha"}
    with pytest.raises(TaxonomyError, match="a label is empty"):
        write_names({"": "x"}, path, overwrite=True)


# Descriptions

DESCRIBED = TAXONOMY.with_descriptions({"c": "The third  letter.\n", "y": "", "x": "Unknown."})


def test_a_third_column_of_a_names_file_holds_descriptions(write, tmp_path):
    names = write("names.tsv", "c\tGamma\tThe third letter.\na b\t\nx\t\tUnknown.\ny\tYpsilon\t\n")
    assert read_names(names) == {"c": "Gamma", "a b": "", "x": "", "y": "Ypsilon"}
    assert read_descriptions(names) == {"c": "The third letter.", "x": "Unknown.", "y": ""}
    write_names(DESCRIBED, tmp_path / "again.tsv")
    assert read_descriptions(tmp_path / "again.tsv") == {"c": "The third letter.", "x": "Unknown."}
    absent = write("absent.tsv", "q\t\tQuebec.\n")
    assert problems(write("h.tsv", "Root\ta\n"), names=absent)[1].endswith(
        "absent.tsv:1: 'q' has the description 'Quebec.' but is not a label of the taxonomy; "
        "remove the description or add the label"
    )


def test_descriptions_of_a_file_come_before_those_of_the_taxonomy_which_stay_elsewhere(write):
    names = write("names.tsv", "a\tAlpha\nb\t\tNew.\nc\tC\t\n")
    nested = write("t.json", json.dumps([{"id": label, "description": f"Of {label}."} for label in "abc"]))
    taxonomy = read_taxonomy(nested, names=names)
    assert taxonomy.names == ("Alpha", None, "C")
    assert taxonomy.descriptions == ("Of a.", "New.", None)


@pytest.mark.parametrize("name", ["t.json", "t.yaml", "t.tsv"])
def test_descriptions_make_a_round_trip(tmp_path, name, caplog):
    with caplog.at_level(logging.INFO, logger="taxotext"):
        write_taxonomy(DESCRIBED, tmp_path / name)
    write_names(DESCRIBED, tmp_path / "names")
    assert ("display names and descriptions are not part of a file of edges" in caplog.text) == (name == "t.tsv")
    again = read_taxonomy(tmp_path / name, names=tmp_path / "names" if name == "t.tsv" else None)
    found = dict(zip(again.ids, again.descriptions, strict=True))
    assert found == dict.fromkeys(again.ids) | {"c": "The third letter.", "x": "Unknown."}


# Alternative names

CALLED = DESCRIBED.with_alternative_names({"c": ["the third ", "cee", "Gamma", "cee"], "x": ["ex"], "d": [""]})


def test_alternative_names_are_tidy_and_none_repeats_a_name_of_the_label():
    assert dict(zip(CALLED.ids, CALLED.alternative_names, strict=True)) == dict.fromkeys(CALLED.ids, ()) | {
        "c": ("the third", "cee"),
        "x": ("ex",),
    }
    assert CALLED.all_names(CALLED.index("c")) == ("Gamma", "the third", "cee")
    assert CALLED.all_names(CALLED.index("x")) == ("x", "ex")
    assert CALLED != DESCRIBED
    assert CALLED.with_names({"c": "cee"}).alternative_names[CALLED.index("c")] == ("the third",)
    assert CALLED.with_descriptions({}).alternative_names == CALLED.alternative_names
    with pytest.raises(TaxonomyError, match="'q' has the alternative name 'Quebec' but is not a label"):
        CALLED.with_alternative_names({"q": ["Quebec"]})
    assert not CALLED.with_alternative_names({"q": ["Quebec"]}, unknown="ignore").has_alternative_names


def test_further_columns_of_a_names_file_hold_alternative_names(write, tmp_path):
    names = write("names.tsv", "c\tGamma\tThird.\tcee\tthird letter\nx\t\t\tex\ny\tYpsilon\n")
    assert read_alternative_names(names) == {"c": ["cee", "third letter"], "x": ["ex"]}
    assert read_descriptions(names) == {"c": "Third."}, "an empty column before alternative names says nothing"
    nested = write("t.json", json.dumps([{"id": "c", "alternative_names": ["old"]}, {"id": "x"}, {"id": "y"}]))
    assert read_taxonomy(nested, names=names).alternative_names == (("cee", "third letter"), ("ex",), ())
    assert read_taxonomy(nested).alternative_names == (("old",), (), ())
    write_names(CALLED, tmp_path / "again.tsv")
    assert read_alternative_names(tmp_path / "again.tsv") == {"c": ["the third", "cee"], "x": ["ex"]}
    absent = write("absent.tsv", "q\t\t\tQuebec\n")
    assert problems(write("h.tsv", "Root\ta\n"), names=absent)[1].endswith(
        "absent.tsv:1: 'q' has the alternative name 'Quebec' but is not a label of the taxonomy; "
        "remove the alternative name or add the label"
    )


@pytest.mark.parametrize("name", ["t.json", "t.yaml", "t.tsv", "t.ttl", "saved.json"])
def test_alternative_names_make_a_round_trip(tmp_path, name, caplog):
    place = tmp_path / name
    with caplog.at_level(logging.INFO, logger="taxotext"):
        if name == "saved.json":
            place.write_text(json.dumps(CALLED.to_dict()))
        else:
            write_taxonomy(CALLED, place)
    write_names(CALLED, tmp_path / "names")
    lost = "display names and descriptions and alternative names are not part of a file of edges"
    assert (lost in caplog.text) == (name == "t.tsv")
    names = tmp_path / "names" if name == "t.tsv" else None
    again = read_taxonomy(place, names=names, ids="notation" if name == "t.ttl" else "uri")
    found = {label: sorted(given) for label, given in zip(again.ids, again.alternative_names, strict=True)}
    assert found == {label: [] for label in again.ids} | {"c": ["cee", "the third"], "x": ["ex"]}


def test_alternative_names_that_are_no_list_of_texts_are_reported_with_their_place(write):
    entries = [{"id": "a", "alternative_names": "one"}, {"id": "b", "alternative_names": [1]}]
    path = write("t.json", json.dumps(entries))
    assert problems(path) == [
        "t.json at $[0].alternative_names: expected a list of names, found the text 'one'; "
        "for a single child write a list",
        "t.json at $[1].alternative_names[0]: expected text, found 1",
    ]
    saved = write("saved.json", json.dumps({"labels": entries}))
    assert problems(saved) == [
        "labels[0]: alternative_names is 'one'; write a list of names",
        "labels[1]: the alternative name 1 of 'b' is not text; write it as a string",
    ]
    assert read_taxonomy(write("u.json", '{"a": {"alternative_names": null}}')).ids == ("a", "alternative_names")


def test_a_label_may_be_called_description(write):
    assert read_taxonomy(write("t.json", '{"a": {"description": null}}')).ids == ("a", "description")
    described = read_taxonomy(write("t.json", '{"a": {"description": "The first."}}'))
    assert (described.ids, described.descriptions) == (("a",), ("The first.",))


def test_two_descriptions_of_a_label_in_one_file_are_a_mistake(write):
    content = '[{"id": "a", "description": "One."}, {"id": "b", "children": [{"id": "a", "description": "Two."}]}]'
    assert problems(write("t.json", content)) == [
        "t.json at $[1].children[0].description: 'a' has the description 'Two.' here and 'One.' at "
        "t.json at $[0].description; keep one"
    ]


# Round trips


def test_edges_and_names_make_a_round_trip_with_order(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="taxotext"):
        write_taxonomy(TAXONOMY, tmp_path / "h.tsv")
    assert "display names are not part of a file of edges" in caplog.text
    write_names(TAXONOMY, tmp_path / "labels.tsv")
    assert read_taxonomy(tmp_path / "h.tsv", names=tmp_path / "labels.tsv") == TAXONOMY


def test_root_as_a_label_has_no_form_in_a_file_of_edges(tmp_path):
    with pytest.raises(TaxonomyError, match="'Root' cannot be written"):
        write_taxonomy(Taxonomy.flat(["Root", "Stem"]), tmp_path / "h.tsv")
    write_taxonomy(Taxonomy.flat(["Root", "Stem"]), tmp_path / "h.json")
    assert read_taxonomy(tmp_path / "h.json").ids == ("Root", "Stem")


def test_nothing_is_written_for_no_labels_or_into_a_missing_folder(tmp_path):
    with pytest.raises(TaxonomyError, match="has no labels"):
        write_taxonomy(Taxonomy.flat([]), tmp_path / "h.tsv")
    with pytest.raises(TaxonomyError, match="cannot be written: No such file"):
        write_taxonomy(TAXONOMY, tmp_path / "none" / "h.tsv")


def test_equal_taxonomies_give_equal_gzip_files(tmp_path):
    for name in ("a.json.gz", "b.json.gz"):
        write_taxonomy(TAXONOMY, tmp_path / name)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.json.gz", "b.json.gz"]


label_ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1).filter(
    lambda text: text == text.strip() and text != "Root"
)


@st.composite
def taxonomies(draw: st.DrawFn) -> Taxonomy:
    """Random graphs over odd ids; each label comes after its parents."""
    ids = draw(st.lists(label_ids, min_size=1, max_size=7, unique=True))
    edges: list[tuple[str | None, str]] = []
    for i, label in enumerate(ids):
        parents = draw(st.sets(st.sampled_from(ids[:i]), max_size=3)) if i else set()
        edges += [(parent, label) for parent in sorted(parents)] or [(None, label)]
    named = draw(st.dictionaries(st.sampled_from(ids), label_ids, max_size=4))
    return Taxonomy.from_edges(edges, names=named)


@pytest.mark.parametrize("suffix", [".tsv", ".tsv.gz", ".json", ".yaml", ".json.gz"])
@given(taxonomy=taxonomies())
@settings(max_examples=40, deadline=None)
def test_every_format_makes_a_round_trip(tmp_path_factory, suffix, taxonomy):
    folder = tmp_path_factory.mktemp("trip")
    write_taxonomy(taxonomy, folder / f"t{suffix}")
    if "tsv" in suffix:
        write_names(taxonomy, folder / "names")
        assert read_taxonomy(folder / f"t{suffix}", names=folder / "names") == taxonomy
    else:
        assert same_graph(read_taxonomy(folder / f"t{suffix}"), taxonomy)


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b c", "é", "1"]), min_size=1, max_size=4).map(tuple),
        unique=True,
        min_size=1,
    )
)
@settings(max_examples=40, deadline=None)
def test_paths_make_a_round_trip(tmp_path_factory, paths):
    path = tmp_path_factory.mktemp("trip") / "t.paths"
    taxonomy = taxonomy_from_paths(["--".join(segments) for segments in paths], "--")
    assert {len(label.split("--")) for label in taxonomy.ids} == set(taxonomy.levels.tolist())
    write_taxonomy(taxonomy, path, separator="--")
    assert read_taxonomy(path, separator="--") == taxonomy


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_bytes_make_a_reader_fail_with_anything_but_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(content)
    for suffix, format in (
        (".tsv", "edges"),
        (".txt", "paths"),
        (".json", None),
        (".yaml", None),
        (".gz", None),
    ):
        path.with_suffix(suffix).write_bytes(content)
        try:
            read_taxonomy(path.with_suffix(suffix), format)
        except TaxonomyError as error:
            assert str(path.parent) in str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["a", "b", "id", "name"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "id", "name", "children"]), inner)
    ),
    max_leaves=8,
)


@given(json_values)
@settings(max_examples=150, deadline=None)
def test_no_json_value_makes_the_reader_fail_with_anything_but_a_sentence(tmp_path_factory, value):
    for suffix in (".json", ".yaml"):
        path = tmp_path_factory.getbasetemp() / f"value{suffix}"
        path.write_text(json.dumps(value))
        try:
            read_taxonomy(path)
        except TaxonomyError as error:
            assert str(path) in str(error)


def test_line_breaks_that_only_unicode_knows_survive_yaml(tmp_path):
    taxonomy = Taxonomy.flat(["a\x85b", "c\u2028d e\u2029 f"])
    write_taxonomy(taxonomy, tmp_path / "t.yaml")
    assert read_taxonomy(tmp_path / "t.yaml") == taxonomy


# Real files


@pytest.mark.parametrize("format", ["tsv", "json", "yaml"])
def test_a_real_hierarchy_makes_a_round_trip(real_data, tmp_path, format):
    taxonomy = read_taxonomy(real_data("hierarchies/stw-economics.tsv"))
    write_taxonomy(taxonomy, tmp_path / f"t.{format}")
    assert same_graph(read_taxonomy(tmp_path / f"t.{format}"), taxonomy)


def test_real_names_are_read_with_their_empty_ones(real_data):
    names = read_names(real_data("tibkat-gnd-en/labels.tsv"))
    assert names["gnd:1022023535"] == ""
    assert len(names) > 20_000
    taxonomy = Taxonomy.flat(names, names)
    assert taxonomy.names[taxonomy.index("gnd:1022023535")] is None


def test_real_labels_that_are_paths_make_a_tree(real_data):
    hierarchy = read_taxonomy(real_data("chemical-exposure/hierarchy.tsv"))
    derived = taxonomy_from_paths(hierarchy.ids, "--")
    assert same_graph(derived.with_names({}), hierarchy)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.txt", "a\n  b\n", "t.txt:2: the line is indented, which says nothing in a file of paths"),
        ("t.txt", "a\n\tb\n", "t.txt:2: the line begins with a TAB; an indented"),
        ("t.tsv", "Root\ta\n\tb\n", "t.tsv:2: the line begins with a TAB; an indented list is not read"),
        ("t.json", '[{"title": "a", "children": []}]', "t.json at $[0]: unknown key 'title'; an object has id, name"),
    ],
)  # fmt: skip
def test_other_ways_to_write_a_taxonomy_are_refused_with_what_to_write(write, name, content, expected):
    assert problems(write(name, content))[0].startswith(expected)


def test_another_sign_in_most_paths_is_pointed_out(write, caplog):
    path = write("t.txt", "a > b\na > c\nd\n")
    assert len(read_taxonomy(path)) == 3
    assert (
        "no line has '/' in it, and most have ' > '; if it separates the steps of paths, give separator=' > '"
        in caplog.text
    )
    assert len(read_taxonomy(path, separator=" > ")) == 4
