"""Taxonomies in tables with a header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taxotext.errors import ConfigError, TaxonomyError
from taxotext.labels import Taxonomy, read_names, read_taxonomy, write_taxonomy

EXPECTED = {("hardware", "printer"), ("hardware", "screen"), (None, "hardware"), (None, "network")}


def read(tmp_path: Path, name: str, content: str, **settings: Any) -> Taxonomy:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return read_taxonomy(tmp_path / name, **settings)


def edges(taxonomy: Taxonomy) -> set[tuple[str | None, str]]:
    ids = taxonomy.ids
    pairs = zip(*taxonomy.edge_index.tolist(), strict=True)
    return {(None, ids[root]) for root in taxonomy.roots} | {(ids[above], ids[below]) for above, below in pairs}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,parent\nhardware,\nprinter,hardware\nscreen,hardware\nnetwork,\n"),
        ("a.tsv", "child\tparent\nhardware\t\nprinter\thardware\nscreen\thardware\nnetwork\tRoot\n"),
        ("a.txt", "Parent ID;size;Code\n0;3;hardware\n\nhardware;;printer\n hardware ;;screen\n0;1;network\n"),
        ("a.csv", '\ufeffbroader,narrower\n"hardware",printer\r\nhardware,screen\nNULL,network\n'),
    ],
)
def test_columns_are_known_by_their_names(name: str, content: str, tmp_path: Path) -> None:
    assert edges(read(tmp_path, name, content)) == EXPECTED


def test_names_and_descriptions_come_with_the_labels_and_several_rows_are_several_parents(tmp_path: Path) -> None:
    table = "id,Name,parent_id,definition\n1,Arts,,\n2,Science,,\n3,Acoustics,1.0,of sound\n3,Acoustics,2.0,of sound\n"
    taxonomy = read(tmp_path, "a.csv", table)
    assert edges(taxonomy) == {(None, "1"), (None, "2"), ("1", "3"), ("2", "3")}, "pandas writes 1.0 beside empty cells"
    assert taxonomy.names == ("Arts", "Science", "Acoustics")
    assert taxonomy.descriptions == (None, None, "of sound")
    assert read(tmp_path, "b.csv", "label,parent\na,\nb,a\n").names == (None, None)


def test_parents_that_are_no_child_are_at_the_top_of_a_table_of_edges(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taxonomy = read(tmp_path, "a.csv", "parent,child\nhardware,printer\nhardware,screen\n,network\n")
    assert edges(taxonomy) == EXPECTED
    assert "labels at the top are those that are parents and no child: 'hardware'" in caplog.text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("level1,level2\na,b\n", ":1: the header 'level1,level2' names no column of labels and of their parents"),
        ("id,parent\na,\nb,hardwear\n", ":3: the parent 'hardwear' is the id of no row"),
        ("id,parent\na,\n,a\n", ":3: a label is empty"),
        ("id,parent\na,\nb\n", ":3: the row has 1 cell, and the header 2"),
        ('id,parent\na,\n"b,a\n', ":3: this is not valid CSV"),
        ("id,parent,name\na,,A\nb,a,B\nb,,C\n", ":4: 'b' has the name 'C' here and 'B' at"),
        ("id,parent\na,b\nb,a\n", "a.csv"),
    ],
)
def test_problems_are_named_by_line(content: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError) as caught:
        read(tmp_path, "a.csv", content)
    assert sentence in str(caught.value)


def test_edges_with_their_own_header_stay_edges_and_no_table_is_written(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match="never declared"):
        read(tmp_path, "a.tsv", "parent\tchild\nhardware\tprinter\n")
    assert len(read(tmp_path, "b.tsv", "parent\tchild\nhardware\tprinter\n", format="table")) == 2
    with pytest.raises(ConfigError, match="use one of edges, paths, nested, skos"):
        write_taxonomy(Taxonomy.flat(["a"]), tmp_path / "c.csv", "table")


def test_names_come_from_tables_too(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text('Code;Title;Definition\na;"A; or so";first\nb;B;\n', encoding="utf-8")
    taxonomy = read(tmp_path, "a.tsv", "Root\ta\nRoot\tb\n", names=str(tmp_path / "names.csv"))
    assert taxonomy.names == ("A; or so", "B")
    assert taxonomy.descriptions == ("first", None)
    (tmp_path / "names.csv").write_text("a,A\n", encoding="utf-8")
    with pytest.raises(TaxonomyError, match="the header 'a,A' names no column of labels and of their names"):
        read_names(tmp_path / "names.csv")


def test_only_line_ends_end_lines(tmp_path: Path) -> None:
    taxonomy = read(tmp_path, "a.csv", 'id,parent,name\r\na,,"one\u2028two"\r\n"b",a,x\x0by\n')
    assert taxonomy.ids == ("a", "b")
    assert taxonomy.names == ("one two", "x y"), "white space in cells becomes a blank"
