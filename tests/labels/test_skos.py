"""SKOS vocabularies as taxonomies."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.errors import ConfigError, MissingExtraError, TaxonomyError
from taxotext.labels import Taxonomy, read_taxonomy, write_taxonomy

rdflib = pytest.importorskip("rdflib", reason="the extra 'skos' is not installed")

PREFIXES = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix iso: <http://purl.org/iso25964/skos-thes#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix e: <http://e.org/> .
"""

ARTS = (
    PREFIXES
    + """
e:scheme a skos:ConceptScheme ; skos:hasTopConcept e:arts .
e:arts a skos:Concept ; skos:prefLabel "Arts"@en, "Kunst"@de, "Arti"@it ; skos:notation "1" ; skos:narrower e:music .
e:science a skos:Concept ; skos:prefLabel "Science"@en ; skos:notation "2" ; skos:topConceptOf e:scheme .
e:music a skos:Concept ; skos:prefLabel "Musik"@de-AT ; skos:notation "11" ; skos:broader e:arts .
e:acoustics a skos:Concept ; skos:prefLabel "Akustik"@de, "Acoustics"@en-GB ; skos:notation "111" ;
    skos:broader e:music, e:science ; skos:broaderTransitive e:arts .
e:opera a skos:Concept ; iso:broaderGeneric e:music ; skos:notation "112" ; skos:prefLabel "opéra" .
e:old a skos:Concept ; owl:deprecated true ; skos:broader e:arts ; skos:notation "113" .
"""
)


def edges(taxonomy: Taxonomy) -> set[tuple[str, str]]:
    return {(taxonomy.ids[above], taxonomy.ids[below]) for above, below in taxonomy.edge_index.T.tolist()}


def written(folder: Path, content: str, name: str = "v.ttl") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def problem_of(folder: Path, content: str, name: str = "v.ttl", **settings: str) -> str:
    with pytest.raises(TaxonomyError) as caught:
        read_taxonomy(written(folder, content, name), **settings)  # type: ignore[arg-type]
    return str(caught.value)


def uri(name: str) -> str:
    return f"http://e.org/{name}"


def test_broader_and_narrower_are_edges_in_either_direction_and_the_closure_is_none(tmp_path: Path) -> None:
    taxonomy = read_taxonomy(written(tmp_path, ARTS))
    assert taxonomy.ids == tuple(map(uri, ["acoustics", "arts", "music", "opera", "science"]))
    assert edges(taxonomy) == {
        (uri("arts"), uri("music")),
        (uri("music"), uri("acoustics")),
        (uri("science"), uri("acoustics")),  # two parents
        (uri("music"), uri("opera")),
    }
    assert [taxonomy.ids[root] for root in taxonomy.roots] == [uri("arts"), uri("science")]


@pytest.mark.parametrize(
    ("language", "names"),
    [
        (None, ["Acoustics", "Arts", "Musik", "opéra", "Science"]),
        ("de", ["Akustik", "Kunst", "Musik", "opéra", "Science"]),
        ("it", ["Acoustics", "Arti", "Musik", "opéra", "Science"]),
    ],
)
def test_names_are_in_the_wanted_language_else_english_else_any(
    tmp_path: Path, language: str | None, names: list[str]
) -> None:
    assert list(read_taxonomy(written(tmp_path, ARTS), language=language).names) == names


def test_a_name_without_a_language_goes_before_one_in_another(tmp_path: Path) -> None:
    content = PREFIXES + 'e:a a skos:Concept ; skos:prefLabel "zwei"@de, "plain" .'
    assert read_taxonomy(written(tmp_path, content), language="fr").names == ("plain",)


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ["On art.", "A note.", None]),
        ("de", ["Zur Kunst.", "Notiz.", None]),
        (None, ["On art.", "A note.", None]),
    ],
)
def test_descriptions_are_definitions_else_scope_notes_in_the_wanted_language(
    tmp_path: Path, language: str | None, texts: list[str | None]
) -> None:
    content = PREFIXES + (
        'e:a a skos:Concept ; skos:definition "On art."@en, "Zur\\nKunst."@de ; skos:scopeNote "No."@en . '
        'e:b a skos:Concept ; skos:scopeNote "A note."@en, "Notiz."@de, e:note . e:c a skos:Concept .'
    )
    taxonomy = read_taxonomy(written(tmp_path, content), language=language)
    assert list(taxonomy.descriptions) == texts
    write_taxonomy(taxonomy, tmp_path / "again.ttl")
    assert read_taxonomy(tmp_path / "again.ttl") == taxonomy


@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("de", [("Malerei", "PKW", "Wagen", "kar"), ("Rad",)]),
        ("en", [("cars", "kar"), ("Rad",)]),
        (None, [("cars", "kar"), ("Rad",)]),
    ],
)
def test_alternative_and_hidden_names_are_in_the_language_of_the_display_name(
    tmp_path: Path, language: str | None, names: list[tuple[str, ...]]
) -> None:
    content = PREFIXES + (
        "@prefix xl: <http://www.w3.org/2008/05/skos-xl#> .\n"
        'e:a a skos:Concept ; skos:prefLabel "car"@en, "Auto"@de ; skos:altLabel "cars"@en-GB, "PKW"@de, "car"@en-US ; '
        'skos:hiddenLabel "Wagen"@de-AT, "kar", e:other ; xl:altLabel e:x . e:x xl:literalForm "Malerei"@de . '
        'e:b a skos:Concept ; skos:prefLabel "Fahrrad"@de ; skos:altLabel "Rad"@de, "bike"@en .'
    )
    taxonomy = read_taxonomy(written(tmp_path, content), language=language)
    assert list(taxonomy.alternative_names) == names
    write_taxonomy(taxonomy, tmp_path / "again.ttl")
    assert read_taxonomy(tmp_path / "again.ttl") == taxonomy


def test_notations_can_be_the_ids(tmp_path: Path) -> None:
    taxonomy = read_taxonomy(written(tmp_path, ARTS), ids="notation", language="de")
    assert taxonomy.ids == ("111", "1", "11", "112", "2")  # in the order of the URIs
    assert taxonomy.name(taxonomy.index("1")) == "Kunst"
    assert ("11", "111") in edges(taxonomy)


def test_notations_are_kept_beside_uris(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    taxonomy = read_taxonomy(written(tmp_path, ARTS.replace(' ; skos:notation "2"', "")))
    assert taxonomy.notations == ("111", "1", "11", "112", None)  # in the order of the URIs
    assert read_taxonomy(written(tmp_path, ARTS), ids="notation").notations == (None,) * 5
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy
    assert pickle.loads(pickle.dumps(taxonomy)) == taxonomy
    changed = taxonomy.with_names({uri("arts"): "A"}).with_descriptions({}).with_alternative_names({})
    assert changed.notations == taxonomy.notations
    assert changed.names[taxonomy.index(uri("arts"))] == "A"
    write_taxonomy(taxonomy, tmp_path / "again.ttl")
    assert read_taxonomy(tmp_path / "again.ttl").notations == taxonomy.notations
    with caplog.at_level(logging.INFO, logger="taxotext"):
        write_taxonomy(taxonomy, tmp_path / "again.json")
    assert "notations are not part of the file; format='skos' keeps them" in caplog.text
    other = taxonomy.to_dict()
    other["labels"][0]["notation"] = "999"
    assert Taxonomy.from_dict(other) != taxonomy


@pytest.mark.parametrize(("odd", "said"), [(5, "is not text"), ("\ud800", "half a character")])
def test_odd_notations_of_a_saved_taxonomy_are_named(odd: object, said: str) -> None:
    content = {"labels": [{"id": "a", "name": None, "parents": []}, {"id": "b", "parents": [], "notation": odd}]}
    with pytest.raises(TaxonomyError, match=rf"labels\[1\]: the notation .*{said}"):
        Taxonomy.from_dict(content)


def test_a_plain_notation_goes_before_one_of_another_coding_system(tmp_path: Path) -> None:
    content = PREFIXES + 'e:a a skos:Concept ; skos:notation "7", "X9"^^e:codes .'
    assert read_taxonomy(written(tmp_path, content), ids="notation").ids == ("7",)


def test_concepts_without_a_notation_or_with_that_of_another_are_listed_with_their_uris(tmp_path: Path) -> None:
    content = PREFIXES + (
        'e:a a skos:Concept ; skos:notation "1" . e:b a skos:Concept ; skos:notation "1" . '
        'e:c a skos:Concept . e:d a skos:Concept ; skos:notation "3", "4" .'
    )
    message = problem_of(tmp_path, content, ids="notation")
    assert "has 3 problems" in message
    assert "<http://e.org/b> has the notation '1' of <http://e.org/a>" in message
    assert "<http://e.org/c> has no notation" in message
    assert "<http://e.org/d> has 2 notations ('3', '4')" in message
    assert len(read_taxonomy(tmp_path / "v.ttl")) == 4


def test_cycles_are_listed_with_their_uris(tmp_path: Path) -> None:
    content = PREFIXES + (
        "e:a a skos:Concept ; skos:broader e:b . e:b a skos:Concept . e:a skos:narrower e:b . "
        "e:c a skos:Concept ; skos:broader e:c ."
    )
    message = problem_of(tmp_path, content)
    assert "v.ttl has 2 problems" in message
    assert "cycle: 'http://e.org/a' -> 'http://e.org/b' -> 'http://e.org/a'" in message
    assert "<http://e.org/c> skos:broader <http://e.org/c>: 'http://e.org/c' is its own parent" in message


def test_deprecated_concepts_are_left_out_with_their_edges(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = PREFIXES + (
        'e:a a skos:Concept . e:b a skos:Concept ; owl:deprecated "true" ; skos:broader e:a . '
        "e:c a skos:Concept ; skos:broader e:b ."
    )
    with caplog.at_level(logging.INFO, "taxotext"):
        taxonomy = read_taxonomy(written(tmp_path, content))
    assert taxonomy.ids == (uri("a"), uri("c"))
    assert taxonomy.is_flat
    assert "1 deprecated concept(s) are left out, such as http://e.org/b" in caplog.text
    assert "2 relation(s) to concepts that are left out" in caplog.text


def test_what_is_only_pointed_at_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    taxonomy = read_taxonomy(written(tmp_path, PREFIXES + "e:a a skos:Concept ; skos:broader e:elsewhere ."))
    assert taxonomy.ids == (uri("a"),)
    assert "http://e.org/elsewhere" in caplog.text


def test_concepts_without_their_type_are_known_by_their_relations_and_names(tmp_path: Path) -> None:
    content = PREFIXES + 'e:b skos:broader e:a . e:a skos:prefLabel "A"@en .'
    assert read_taxonomy(written(tmp_path, content)).ids == (uri("a"), uri("b"))


@pytest.mark.parametrize(
    ("name", "syntax"), [("v.rdf", "xml"), ("v.nt", "nt11"), ("v.jsonld", "json-ld"), ("v.skos", "turtle")]
)
def test_all_syntaxes_give_the_same(tmp_path: Path, name: str, syntax: str) -> None:
    expected = read_taxonomy(written(tmp_path, ARTS))
    graph = rdflib.Graph().parse(tmp_path / "v.ttl")
    content = graph.serialize(format=syntax)
    format = "skos" if name == "v.skos" else None
    assert read_taxonomy(written(tmp_path, content, name), format) == expected
    with gzip.open(tmp_path / f"{name}.gz", "wt", encoding="utf-8") as file:
        file.write(content)
    assert read_taxonomy(tmp_path / f"{name}.gz", format) == expected


@pytest.mark.parametrize(
    ("name", "content", "fragments"),
    [
        (
            "a.ttl",
            PREFIXES + "e:a a skos:Concept\ne:b a skos:Concept .",
            ("a.ttl:6", "this is not Turtle (expected '.'"),
        ),
        ("a.nt", "<http://a> <http://b> <http://c> .\n<http://a> <http://b> .\n", ("a.nt:2", "this is not N-Triples")),
        (
            "a.rdf",
            "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\n<a></b>",
            ("a.rdf:2", "mismatch"),
        ),
        ("a.jsonld", '{"a":', ("a.jsonld", "this is not JSON-LD")),
        ("a.jsonld", '[{"@context": "http://e.org/c", "@id": "x"}]', ("'http://e.org/c'", "is not fetched")),
        ("a.jsonld", '{"@context": [{}, "http://e.org/c"]}', ("'http://e.org/c'", "is not fetched")),
        ("a.jsonld", '{"@context": [[{}, ["http://e.org/c"]]]}', ("'http://e.org/c'", "is not fetched")),
        ("a.jsonld", '{"@context": {"t": {"@id": "u:t", "@context": ["http://e.org/c"]}}}', ("is not fetched",)),
        ("a.jsonld", '{"@context": [[{"t": {"@context": [["file:///c"]]}}]]}', ("'file:///c'", "is not fetched")),
        ("a.jsonld", '{"@graph": [{"x": [{"@context": [["c.jsonld"]]}]}]}', ("'c.jsonld'", "is not fetched")),
        ("a.jsonld", '{"@context": [{"@import": "http://e.org/c"}]}', ("'http://e.org/c'", "is not fetched")),
        ("a.ttl", PREFIXES, ("holds no concepts", "is it a SKOS vocabulary?")),
        ("a.ttl", PREFIXES + "[] a skos:Concept . e:a a skos:Concept .", ("1 concept(s) have no URI (blank nodes)",)),
        ("a.ttl", "", ("is empty",)),
    ],
)
def test_bad_files_get_a_sentence_with_their_line(
    tmp_path: Path, name: str, content: str, fragments: tuple[str, ...]
) -> None:
    message = problem_of(tmp_path, content, name)
    for fragment in fragments:
        assert fragment in message


def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.ttl").write_bytes(PREFIXES.encode() + b'e:a skos:prefLabel "\xff" .')
    with pytest.raises(TaxonomyError, match=r"a\.ttl:5: byte 0xff"):
        read_taxonomy(tmp_path / "a.ttl")


def test_entities_of_xml_are_neither_fetched_nor_blown_up(tmp_path: Path) -> None:
    secret = written(tmp_path, "SECRET", "secret.txt")
    head = '<?xml version="1.0"?><!DOCTYPE r [{}]><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    body = (
        'xmlns:skos="http://www.w3.org/2004/02/skos/core#"><skos:Concept rdf:about="http://e.org/a">'
        "<skos:prefLabel>&x;Z</skos:prefLabel></skos:Concept></rdf:RDF>"
    )
    entity = f'<!ENTITY x SYSTEM "{secret.as_uri()}">'
    assert read_taxonomy(written(tmp_path, head.format(entity) + body, "a.rdf")).names == ("Z",)
    bombs = "".join(f'<!ENTITY b{i} "{f"&b{i - 1};" * 10}">' for i in range(1, 9))
    bomb = f'<!ENTITY b0 "{"x" * 100}">{bombs}<!ENTITY x "&b8;">'
    assert "b.rdf:1: declares an entity that is long or made of other entities" in problem_of(
        tmp_path, head.format(bomb) + body, "b.rdf"
    )


def test_another_kind_of_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"uri or notation \(SKOS\), path or name \(nested files\), not 'notations'. Did you mean 'notation'",
    ):
        read_taxonomy(written(tmp_path, ARTS), ids="notations")


def test_without_rdflib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rdflib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'taxotext\[skos\]'"):
        read_taxonomy(written(tmp_path, ARTS))


def test_uris_are_written_and_read_as_they_are(tmp_path: Path) -> None:
    taxonomy = read_taxonomy(written(tmp_path, ARTS), language="de")
    for name in ("w.ttl", "w.nt", "w.ttl.gz"):
        write_taxonomy(taxonomy, tmp_path / name)
        assert read_taxonomy(tmp_path / name, language="de") == taxonomy


def test_skos_is_not_written_in_another_syntax(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match=r"name the file \.ttl or \.nt, not w\.rdf"):
        write_taxonomy(Taxonomy.flat(["a"]), tmp_path / "w.rdf")


LABELS = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1).filter(
    lambda label: label == label.strip()
)


@settings(max_examples=15, deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=6, unique=True), st.data())
def test_any_labels_survive_as_notations(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str], data: st.DataObject
) -> None:
    pairs = [(above, below) for j, below in enumerate(labels) for above in labels[:j]]
    chosen = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    taxonomy = Taxonomy.from_edges([*((None, label) for label in labels), *chosen])
    path = tmp_path_factory.mktemp("skos") / "t.ttl"
    write_taxonomy(taxonomy, path)
    uris = all("urn:taxotext:" not in line for line in path.read_text(encoding="utf-8").splitlines())
    read = read_taxonomy(path, ids="uri" if uris else "notation")
    assert set(read.ids) == set(labels)
    assert edges(read) == edges(taxonomy)


@pytest.mark.parametrize(
    ("name", "syntax"),
    [("v.txt", "turtle"), ("v.xml", "xml"), ("v.txt", "nt11"), ("v.txt", "trig"), ("v.trig", "trig"),
     ("v.nq", "nquads"), ("v.txt", "nquads"), ("v.json", "json-ld"), ("v", "xml"), ("v.tsv", "turtle"),
     ("v.rdf", "turtle"), ("v.owl", "nt11"), ("v.ttl", "xml"), ("v.ttl", "json-ld"), ("v.nt", "nquads"),
     ("v.ttl", "trig"), ("v.jsonld", "xml"), ("v.nq", "turtle"), ("v.nq", "nt11"), ("v.rdf", "trig")],
)  # fmt: skip
def test_rdf_is_recognised_whatever_the_suffix(tmp_path: Path, name: str, syntax: str) -> None:
    expected = read_taxonomy(written(tmp_path, ARTS))
    named = rdflib.Dataset(default_union=True)
    named.graph(rdflib.URIRef("http://e.org/graph")).parse(tmp_path / "v.ttl")
    source = named if syntax in ("trig", "nquads") else rdflib.Graph().parse(tmp_path / "v.ttl")
    auto_compact = {"context": {"skos": "http://www.w3.org/2004/02/skos/core#"}} if syntax == "json-ld" else {}
    content = source.serialize(format=syntax, **auto_compact)
    assert read_taxonomy(written(tmp_path, content, name)) == expected


def test_names_of_skos_xl_and_of_rdfs_are_read_and_missing_ones_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prefixes = (
        PREFIXES
        + """@prefix xl: <http://www.w3.org/2008/05/skos-xl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""
    )
    content = (
        prefixes
        + """e:a a skos:Concept ; xl:prefLabel e:x, e:y .
e:x a xl:Label ; xl:literalForm "Arts"@en . e:y xl:literalForm "Kunst"@de .
e:b a skos:Concept ; rdfs:label "Music"@en, "Musik"@de ; skos:broader e:a .
e:c a skos:Concept ; skos:prefLabel "Opera" ; rdfs:label "no" .
e:d a skos:Concept .
"""
    )
    with caplog.at_level(logging.WARNING, "taxotext"):
        taxonomy = read_taxonomy(written(tmp_path, content), language="de")
    assert taxonomy.names == ("Kunst", "Musik", "Opera", None)
    assert "1 concept has no name (skos:prefLabel, SKOS-XL or rdfs:label), such as http://e.org/d" in caplog.text


def test_relative_uris_do_not_depend_on_where_the_file_lies(tmp_path: Path) -> None:
    content = PREFIXES + "<#a> a skos:Concept . <b> a skos:Concept ; skos:broader <#a> ."
    (tmp_path / "deep").mkdir()
    here, there = (read_taxonomy(written(folder, content)) for folder in (tmp_path, tmp_path / "deep"))
    assert here == there
    assert (here.ids, edges(here)) == (("#a", "b"), {("#a", "b")})


def test_json_ld_may_have_one_object_a_line(tmp_path: Path) -> None:
    skos = "http://www.w3.org/2004/02/skos/core#"
    lines = [
        {"@id": uri("a"), "@type": f"{skos}Concept", f"{skos}prefLabel": "Arts"},
        {"@id": uri("b"), "@type": f"{skos}Concept", f"{skos}broader": {"@id": uri("a")}},
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    for name in ("v.jsonld", "v.json", "v.txt"):
        taxonomy = read_taxonomy(written(tmp_path, content, name))
        assert (taxonomy.names, edges(taxonomy)) == (("Arts", None), {(uri("a"), uri("b"))})


def test_entities_that_are_short_and_many_are_not_written_out(tmp_path: Path) -> None:
    start = '<?xml version="1.0"?>\n<!DOCTYPE rdf:RDF [<!ENTITY x "{}">{}]>\n<rdf:RDF '
    start += (
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:skos="http://www.w3.org/2004/02/skos/core#">'
    )
    body = '<skos:Concept rdf:about="http://e.org/a"><skos:prefLabel>{}</skos:prefLabel></skos:Concept></rdf:RDF>'
    (tmp_path / "a.rdf").write_text(start.format("x" * 900, "") + body.format("&x;" * 20_000))
    with pytest.raises(TaxonomyError, match=r"a\.rdf: its entities, written out, are .* times as long as the file"):
        read_taxonomy(tmp_path / "a.rdf")
    attribute = f'<!ATTLIST skos:Concept x CDATA "{"x" * 900}">'
    (tmp_path / "b.rdf").write_text(start.format("x", attribute) + body.format("A"))
    with pytest.raises(TaxonomyError, match=r"b.rdf:2: declares attributes \(<!ATTLIST\)"):
        read_taxonomy(tmp_path / "b.rdf")
    (tmp_path / "c.rdf").write_text(start.format("http://e.org/", "") + body.format("A"))
    assert read_taxonomy(tmp_path / "c.rdf").names == ("A",)
