"""Reuters-21578, Distribution 1.0: 22 SGML files, ``reut2-000.sgm`` to ``reut2-021.sgm``.

Source: the README of the distribution (D. D. Lewis, version 1.2, 1997). Its section VI describes the marks, section
VIII.B the split ModApte, which the attributes LEWISSPLIT and TOPICS of each document define. TOPICS="YES" says that the
document had topics *in the data before*; it may have none now, and TOPICS="NO" may have some: the split goes by the
attribute alone. Debole and Sebastiani (2005) call the 90 categories with a document on both sides R(90).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from taxotext.data.catalogue.entries import Content, Dataset, Findings, Record
from taxotext.data.catalogue.raw import Raw
from taxotext.data.catalogue.text import attributes, decode, element, elements, unescape
from taxotext.errors import DataError

FILES = 22

_DOCUMENT = re.compile(rb"<REUTERS\b([^>]*)>(.*?)</REUTERS>", re.DOTALL)
_TEXT = re.compile(r"<TEXT\b[^>]*>(.*?)</TEXT>", re.DOTALL)
_MARKED = re.compile(r"<(TITLE|DATELINE|AUTHOR)>.*?</\1>", re.DOTALL)
_TAG = re.compile(r"</?(?:TITLE|DATELINE|AUTHOR|BODY|UNKNOWN)\b[^>]*>")
_CLOSING_LINE = re.compile(r"\s*^[ \t]*reuters?[ \t]*\Z", re.IGNORECASE | re.MULTILINE)
_SPLITS = {"TRAIN": "train", "TEST": "test"}
_JUNK = re.compile(r"&#(?:[0-9]|[12][0-9]|3[01]|127);|[\x00-\x08\x0b-\x1f\x7f]")


class Story(NamedTuple):
    """A document of the split, with all its topics."""

    split: str
    number: int
    text: str
    title: str
    topics: list[str]


def read(dataset: Dataset, raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    """The documents of ModApte with the categories that have a training and a test document.

    Options: ``documents=labelled`` leaves out those that have none of these categories, ``all`` keeps them.
    """
    files: dict[str, bytes] = dict(raw.walk("reut2-*.sgm"))
    if not files:
        raise raw.missing("every .sgm file")
    found = {path.rpartition("!")[2].rpartition("/")[2].lower() for path in files}
    if len(found) < FILES:
        findings.notes.append(f"Only {len(found)} of the {FILES} files of the distribution were there.")
    stories = [story for path, data in files.items() for story in parse_sgml(data, path, findings)]
    stories.sort(key=lambda story: story.number)
    topics = {
        split: {topic for story in stories if story.split == split for topic in story.topics}
        for split in _SPLITS.values()
    }
    kept = topics["train"] & topics["test"]
    return Content(_records(stories, kept, options["documents"] == "all", findings))


def _records(
    stories: list[Story], kept: set[str], everything: bool, findings: Findings
) -> Iterator[tuple[str, Record]]:
    for story in stories:
        labels = [topic for topic in story.topics if topic in kept]
        findings.add("topics without a training or without a test document, dropped", len(story.topics) - len(labels))
        if labels or everything:
            yield story.split, Record(story.text, labels, str(story.number), {"title": story.title})
        else:
            findings.add("documents of the split without any of the categories, left out")


def parse_sgml(data: bytes, where: str, findings: Findings) -> Iterator[Story]:
    """The documents of the split ModApte in one file.

    Text: the title, a line break, the body. A story without a body (TYPE="BRIEF") is its title; one whose structure
    was not recognised (TYPE="UNPROC") is all its text. The agency's closing line "Reuter" and control characters are
    dropped, the five entities replaced.

    Raises:
        DataError: a document without NEWID, LEWISSPLIT or TOPICS; a file without documents.
    """
    documents = _DOCUMENT.findall(data)
    if not documents:
        raise DataError(f"{where}: holds no <REUTERS> element; is it a file of Reuters-21578?")
    for start, content in documents:
        given = attributes(start.decode("latin-1"))
        lacking = [name for name in ("NEWID", "LEWISSPLIT", "TOPICS") if name not in given]
        if lacking or not given["NEWID"].isdigit():
            what = ", ".join(lacking) or f"a NEWID that is a number (found {given['NEWID']!r})"
            raise DataError(f"{where}: a document lacks {what}; fetch the file again.")
        split = _SPLITS.get(given["LEWISSPLIT"])
        if split is None or given["TOPICS"] != "YES":
            continue
        markup = decode(content, findings)
        title, text = story_text(markup)
        topics = [unescape(topic).strip() for topic in elements("D", element("TOPICS", markup) or "")]
        yield Story(split, int(given["NEWID"]), text, title, topics)


def story_text(markup: str) -> tuple[str, str]:
    """(title, text) of a document."""
    found = _TEXT.search(markup)
    inside = _JUNK.sub("", found[1]) if found else ""
    title = unescape(element("TITLE", inside) or "").strip()
    body = element("BODY", inside)
    if body is None:
        body = _MARKED.sub("", inside)
    body = unescape(_TAG.sub("", body)).strip()
    body = _CLOSING_LINE.sub("", body).rstrip()
    return " ".join(title.split()), "\n".join(part for part in (title, body) if part)
