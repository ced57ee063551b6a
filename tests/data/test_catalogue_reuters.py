"""Reuters-21578 from SGML."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from releases import Release, tarred
from taxotext.data import read_corpus
from taxotext.data.catalogue.entries import Findings
from taxotext.data.catalogue.reuters import parse_sgml, story_text
from taxotext.errors import DataError


def story(
    number: int,
    split: str,
    topics: list[str],
    body: str | None = "Prices rose.",
    *,
    has_topics: str = "YES",
    title: str = "PRICES RISE",
    kind: str = "",
    inside: str | None = None,
) -> str:
    marks = "".join(f"<D>{topic}</D>" for topic in topics)
    text = f"<TITLE>{title}</TITLE>\n<DATELINE>    OSLO, March 3 - </DATELINE>"
    text += "" if body is None else f"<BODY>{body}\n Reuter\n&#3;</BODY>"
    return (
        f'<REUTERS TOPICS="{has_topics}" LEWISSPLIT="{split}" CGISPLIT="TRAINING-SET" OLDID="9" NEWID="{number}">\n'
        f"<DATE> 3-MAR-1987</DATE>\n<TOPICS>{marks}</TOPICS>\n<PLACES><D>norway</D></PLACES>\n<ORGS></ORGS>\n"
        f"<UNKNOWN>&#5;&#5;C</UNKNOWN>\n<TEXT{kind}>&#2;\n{text if inside is None else inside}</TEXT>\n</REUTERS>\n"
    )


def sgml(*stories: str) -> bytes:
    return ('<!DOCTYPE lewis SYSTEM "lewis.dtd">\n' + "".join(stories)).encode("latin-1")


FIRST = (
    story(1, "TRAIN", ["tin", "zinc"], "The mine &lt;ABC> sold\n    ore to R&amp;D &amp;lt; Co in caf\xe9s."),
    story(2, "TRAIN", ["tin"], has_topics="NO"),
    story(3, "TRAIN", ["tin"], has_topics="BYPASS"),
    story(4, "NOT-USED", ["tin"]),
    story(5, "TRAIN", []),
    story(6, "TRAIN", ["rice"]),
)
SECOND = (
    story(9, "TEST", ["tin"], None, kind=' TYPE="BRIEF"', title="ONLY A TITLE &lt;XYZ>"),
    story(8, "TEST", ["zinc", "oat"], kind=' TYPE="UNPROC"', inside="A table\n 1 2 3\n"),
    story(7, "TEST", ["tin"], inside="&#3;"),
    story(10, "TEST", []),
)


def test_modapte_goes_by_the_attributes_and_keeps_categories_with_documents_on_both_sides(release: Release) -> None:
    release.put({"reut2-000.sgm": sgml(*FIRST), "reut2-001.sgm": sgml(*SECOND), "README.txt": "<REUTERS>"})
    facts = release.prepare("reuters-21578")
    assert release.labels("train") == {"1": ["tin", "zinc"]}
    assert release.labels("test") == {"8": ["zinc"], "9": ["tin"]}
    assert facts["splits"]["test"]["left_out_without_text"] == 1
    assert facts["changes"] == {
        "documents of the split without any of the categories, left out": 3,
        "records that are not UTF-8, read as Latin-1": 1,
        "topics without a training or without a test document, dropped": 2,
    }
    assert facts["notes"][-1] == "Only 2 of the 22 files of the distribution were there."
    assert not (release.output / "hierarchy.tsv").exists()
    assert not (release.output / "validation.jsonl").exists()


def test_all_documents_of_modapte_can_be_kept(release: Release) -> None:
    release.put({"reut2-000.sgm": sgml(*FIRST), "reut2-001.sgm": sgml(*SECOND)})
    release.prepare("reuters-21578", "documents=all")
    assert release.labels("train") == {"1": ["tin", "zinc"], "5": [], "6": []}
    assert release.labels("test") == {"8": ["zinc"], "9": ["tin"], "10": []}
    assert release.check("train documents") == (9603, 3)
    assert read_corpus(release.output / "train.jsonl").texts[0].startswith("PRICES RISE\n")


def test_the_text_is_title_and_body_with_entities_replaced_once() -> None:
    title, text = story_text(FIRST[0])
    assert title == "PRICES RISE"
    assert text == "PRICES RISE\nThe mine <ABC> sold\n    ore to R&D &lt; Co in caf\xe9s."
    assert story_text(SECOND[0]) == ("ONLY A TITLE <XYZ>", "ONLY A TITLE <XYZ>")
    assert story_text(SECOND[1]) == ("", "A table\n 1 2 3")
    assert story_text(SECOND[2]) == ("", "")


def test_windows_line_ends_give_the_same_texts(release: Release) -> None:
    def crlf(*stories: str) -> bytes:
        return sgml(*stories).replace(b"\n", b"\r\n")

    release.put({"reut2-000.sgm": sgml(*FIRST, *SECOND)})
    release.prepare("reuters-21578")
    plain = release.rows("train"), release.rows("test")
    release.put({"reut2-000.sgm": crlf(*FIRST, *SECOND)})
    release.prepare("reuters-21578", overwrite=True)
    assert (release.rows("train"), release.rows("test")) == plain


def test_the_archive_is_read_in_place_and_a_second_copy_is_noticed(release: Release) -> None:
    files = {"reut2-000.sgm": sgml(*FIRST), "reut2-001.sgm": sgml(*SECOND)}
    archive = release.raw.parent / "reuters21578.tar.gz"
    archive.write_bytes(tarred({f"./{name}": data for name, data in files.items()}))
    release.prepare("reuters-21578", raw=archive)
    packed = release.rows("train") + release.rows("test")
    release.put({**files, "reuters21578.tar": tarred(files, "w")})
    facts = release.prepare("reuters-21578", overwrite=True)
    assert release.rows("train") + release.rows("test") == packed
    assert facts["splits"]["train"]["left_out_duplicate_ids"] == 1
    assert any("id that was there before: 4" in note for note in release.notes)
    with pytest.raises(DataError, match="is the release there twice"):
        release.prepare("reuters-21578", overwrite=True, strict=True)


def test_files_that_are_no_sgml_of_reuters_are_named() -> None:
    with pytest.raises(DataError, match=r"^x\.sgm: holds no <REUTERS> element"):
        list(parse_sgml(b"<html></html>", "x.sgm", Findings()))
    broken = sgml(FIRST[0].replace('NEWID="1"', "")), sgml(FIRST[0].replace('NEWID="1"', 'NEWID="one"'))
    with pytest.raises(DataError, match=r"x\.sgm: a document lacks NEWID; "):
        list(parse_sgml(broken[0], "x.sgm", Findings()))
    with pytest.raises(DataError, match="found 'one'"):
        list(parse_sgml(broken[1], "x.sgm", Findings()))


def test_texts_of_the_real_corpus_survive_being_written_as_sgml(
    release: Release, real_data: Callable[[str], Path]
) -> None:
    """The corpus at hand holds texts of title, line break, body without the closing line: written in the marks of the
    distribution with entities, closing line and control characters, they come back with the same counts."""
    folder = real_data("reuters21578-apte90")
    stories = []
    for split in ("train", "test"):
        corpus = read_corpus(folder / f"{split}.jsonl.gz")
        for text, labels in zip(corpus.texts, corpus.label_lists(), strict=True):
            title, _, body = text.replace("&", "&amp;").replace("<", "&lt;").partition("\n")
            stories.append(story(len(stories) + 1, split.upper(), labels, body, title=title))
    release.put({f"reut2-{n:03d}.sgm": sgml(*stories[n * 500 : (n + 1) * 500]) for n in range(22)})
    facts = release.prepare("reuters-21578", strict=True)
    assert [check["ok"] for check in facts["checks"]] == [True] * 3
    train, test = facts["splits"]["train"], facts["splits"]["test"]
    assert (train["documents"], test["documents"], facts["labels"]) == (7769, 3019, 90)
    assert (round(train["labels_per_document"], 3), round(test["labels_per_document"], 3)) == (1.234, 1.240)
    assert (round(train["words_per_document"], 1), round(test["words_per_document"], 1)) == (130.1, 121.7)
    assert statistics.mean(len(row["labels"]) for row in release.rows("test")) == pytest.approx(1.240, abs=5e-4)
    assert json.loads((release.output / "prepared.json").read_bytes())["labels"] == 90
