"""Equal names in several label columns: told apart, joined where the user says so, and never merged without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxotext.data import Columns, Corpus, read_corpus
from taxotext.data.reading_notes import form_notes
from taxotext.errors import ConfigError, DataError
from taxotext.labels import Taxonomy

LEVELS = "text,l1,l2\na,Electronics,Other\nb,Home,Other\nc,Electronics,Phones\nd,Home,Garden\ne,Home,\n"


def read(folder: Path, content: str, taxonomy: Taxonomy | None = None, **columns: object) -> Corpus:
    path = folder / "t.csv"
    path.write_text(content)
    header = content.split("\n", 1)[0].split(",")
    return read_corpus(path, taxonomy, Columns(labels=tuple(header[1:]), **columns))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "labels"),
    [
        ("names", [["Electronics", "Other"], ["Home", "Other"], ["Electronics", "Phones"], ["Garden", "Home"],
                   ["Home"]]),
        ("prefixed", [["l1=Electronics", "l2=Other"], ["l1=Home", "l2=Other"], ["l1=Electronics", "l2=Phones"],
                      ["l1=Home", "l2=Garden"], ["l1=Home"]]),
        ("paths", [["Electronics", "Electronics/Other"], ["Home", "Home/Other"], ["Electronics", "Electronics/Phones"],
                   ["Home", "Home/Garden"], ["Home"]]),
    ],
)  # fmt: skip
def test_equal_names_below_several_names_are_what_the_user_says(tmp_path, form, labels):
    with pytest.raises(DataError, match=r"t.csv:3: 'Other' in the column 'l2' is below 'Home', and below 'Electr"):
        read(tmp_path, LEVELS)
    assert read(tmp_path, LEVELS, label_columns=form).label_lists() == labels


def test_a_taxonomy_says_what_equal_names_are(tmp_path):
    taxonomy = Taxonomy.from_edges(
        [(None, "Electronics"), (None, "Home"), ("Electronics", "Other"), ("Home", "Other"), ("Electronics", "Phones"),
         ("Home", "Garden")]
    )  # fmt: skip
    assert len(read(tmp_path, LEVELS, taxonomy)) == 5


@pytest.mark.parametrize("above", ["l", "level ", "cat_"])
def test_numbered_columns_are_levels_however_few_names_they_have(tmp_path, above):
    with pytest.raises(DataError, match="is below 'B', and below 'A' at"):
        read(tmp_path, f"text,{above}1,{above}2\na,A,Other\nb,B,Other\n")


def test_equal_names_in_two_columns_are_told_apart_or_refused(tmp_path):
    content = "text,priority,severity\na,high,low\nb,low,high\nc,none of it,low\n"
    with pytest.raises(DataError, match=r"t.csv:3: 'high' is a label in the column 'severity', and in 'priority' at"):
        read(tmp_path, content)
    apart = read(tmp_path, content, label_columns="prefixed").label_lists()
    assert apart == [
        ["priority=high", "severity=low"],
        ["priority=low", "severity=high"],
        ["priority=none of it", "severity=low"],
    ]


def test_columns_with_room_for_one_more_tag_have_the_same_tags_and_a_note_says_so(tmp_path):
    corpus = read(tmp_path, "text,tag1,tag2\na,php,upload\nb,upload,\nc,mysql,php\n")
    assert corpus.label_lists() == [["php", "upload"], ["upload"], ["mysql", "php"]]
    assert form_notes(corpus.report) == [
        "2 names are in several label columns and taken as one label each; else give label_columns='prefixed'."
    ]


def test_columns_that_are_no_levels_are_read_with_a_note(tmp_path):
    corpus = read(tmp_path, "text,topic,tone\na,Music,angry\nb,Film,angry\nc,Film,happy\nd,Music,happy\n")
    assert corpus.label_lists() == [["Music", "angry"], ["Film", "angry"], ["Film", "happy"], ["Music", "happy"]]
    assert "A name in 'tone' is one label, whatever 'topic' is" in form_notes(corpus.report)[0]


def test_columns_of_zero_and_one_beside_names_keep_their_names(tmp_path):
    content = "text,toxic,topic\na,1,Music\nb,0,Film\n"
    assert read(tmp_path, content, label_columns="prefixed").label_lists() == [["toxic", "topic=Music"], ["topic=Film"]]


@pytest.mark.parametrize(
    ("content", "columns", "reason"),
    [
        ("text,l1,l2\na,,x\n", {}, "the column 'l2' is 'x', and 'l1', a level above it, is empty"),
        ("text,l1,l2\na,A;B,x\n", {}, "the column 'l1' has 2 labels in one cell, so the columns are not a path"),
        ("text,l1,l2\na,A/B,x\n", {}, r"'A/B' in the column 'l1' contains '/', .* give path_separator=' > '"),
    ],
)
def test_what_is_no_path_is_refused(tmp_path, content, columns, reason):
    with pytest.raises(DataError, match=reason):
        read(tmp_path, content, label_columns="paths", **columns)


def test_another_separator_of_paths_is_taken(tmp_path):
    corpus = read(tmp_path, "text,l1,l2\na,A/B,x\n", label_columns="paths", path_separator=" > ")
    assert corpus.label_lists() == [["A/B", "A/B > x"]]


def test_the_form_of_one_column_has_no_effect_and_another_form_is_refused(tmp_path):
    report = read(tmp_path, "text,labels\na,x\n", label_columns="paths").report
    assert report.unused == {"label_columns": "there is one label field"}
    report = read(tmp_path, "text,x,y\na,1,0\nb,0,1\n", label_columns="paths").report
    assert report.unused == {"label_columns": "each label field is one label"}
    with pytest.raises(ConfigError, match=r"is 'path'; choose one of names, prefixed, paths. Did you mean 'paths'"):
        Columns(label_columns="path")
