"""RCV1-v2 with the split LYRL2004.

Source: Lewis, Yang, Rose and Li, RCV1: A New Benchmark Collection for Text Categorization Research, JMLR 5 (2004), and
its online appendices: 2 (topic hierarchy), 8 (topics of the documents, qrels), 12 (token files). Texts are either the
newsML files of the CD-ROMs of Reuters (NIST) or the token files, which are stemmed and free of stop words. The topics
are always those of appendix 8: the codes inside the newsML files are those of RCV1-v1, with their errors.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping

from taxotext.data.catalogue.entries import Content, Dataset, Findings, Record
from taxotext.data.catalogue.raw import Place, Raw
from taxotext.data.catalogue.text import decode, joined, numbered, parse_xml
from taxotext.errors import DataError
from taxotext.labels import Taxonomy

TRAIN = range(2286, 26150 + 1)
"""Ids of training documents in LYRL2004: those of August 20 to 31, 1996."""
TEST = range(26151, 810596 + 1)
"""Ids of test documents: those of September 1, 1996 to August 19, 1997."""

_HIERARCHY = re.compile(r"parent:\s*(\S+)\s+child:\s*(\S+)\s+child-description:\s*(.*)")
_NEWS = "*newsml.xml"
_TOKENS = ("lyrl2004_tokens_train.dat", *(f"lyrl2004_tokens_test_pt{part}.dat" for part in range(4)))


def read(dataset: Dataset, raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    """Documents of RCV1-v2 in two splits.

    Options: ``text=xml`` or ``tokens``; ``auto`` takes the newsML files where there are any.
    """
    topics = read_topics(raw, raw.need("rcv1-v2.topics.qrels"))
    edges, names = read_hierarchy(raw)
    tokens = [place for name in _TOKENS if (place := raw.find(name)) is not None]
    text = options["text"]
    if text == "auto":
        text = "xml" if raw.has(_NEWS) else "tokens"
    if text == "tokens" and not tokens:
        raise raw.missing("every file of texts, newsML.xml or lyrl2004_tokens,")
    if text == "xml":
        documents = _from_xml(raw)
    else:
        findings.notes.append("Texts are the tokens of LYRL2004: stemmed, without stop words, not readable prose.")
        documents = _from_tokens(raw, tokens, findings)
    return Content(
        _records(documents, topics, raw, findings),
        taxonomy=lambda used: Taxonomy.from_edges(edges),
        names=names,
        total=len(topics),
    )


def read_topics(raw: Raw, place: Place) -> dict[int, list[str]]:
    """Topics of each document, from lines ``TOPIC ID 1``.

    Raises:
        DataError: lines of another form.
    """
    topics: dict[int, list[str]] = {}
    problems = []
    for where, line in numbered(raw.lines(place), place.name):
        cells = line.decode("latin-1").split()
        if len(cells) != 3 or not cells[1].isdigit():
            problems.append(f"{where}: expected 'TOPIC ID 1', found {line[:60]!r}")
        elif cells[2] != "0":
            topics.setdefault(int(cells[1]), []).append(sys.intern(cells[0]))
    if problems:
        raise DataError(f"{place.name}: has {len(problems)} bad line(s):", problems)
    return topics


def read_hierarchy(raw: Raw) -> tuple[list[tuple[str | None, str]], dict[str, str]]:
    """Edges below ``Root`` and descriptions of topics.

    From ``rcv1.topics.hier.orig`` (lines ``parent: P child: C child-description: D``), else from the file of other
    projects, ``rcv1.taxonomy`` (lines ``P<TAB>C<TAB>C...``), of which there are copies that lack topics.

    Raises:
        DataError: lines of another form.
    """
    place = raw.find("rcv1.topics.hier.orig*", "rcv1.taxonomy")
    if place is None:
        raise raw.missing("rcv1.topics.hier.orig")
    plain = place.base.startswith("rcv1.taxonomy")
    edges: dict[tuple[str | None, str], None] = {}
    names: dict[str, str] = {}
    problems = []
    for where, line in numbered(raw.lines(place), place.name):
        text = line.decode("latin-1")
        if plain:
            above, *children = [cell.strip() for cell in text.split("\t") if cell.strip()]
        elif match := _HIERARCHY.match(text.strip()):
            above, children = match[1], [match[2]]
            if match[2] != "Root":
                names[match[2]] = match[3].strip()
        else:
            problems.append(f"{where}: expected 'parent: P child: C child-description: D', found {text[:60]!r}")
            continue
        edges.update(((None if above == "Root" else above, child), None) for child in children if child != "Root")
    if problems:
        raise DataError(f"{place.name}: has {len(problems)} bad line(s):", problems)
    return list(edges), names


def _records(
    documents: Iterator[tuple[int, str, str]],
    topics: Mapping[int, Collection[str]],
    raw: Raw,
    findings: Findings,
) -> Iterator[tuple[str, Record]]:
    found = 0
    for number, title, text in documents:
        if number not in topics:
            findings.add("documents that RCV1-v2 left out of RCV1-v1, left out")
            continue
        split = "train" if number in TRAIN else "test" if number in TEST else None
        if split is None:
            findings.add("documents with ids outside of LYRL2004, left out")
            continue
        found += 1
        yield split, Record(text, list(topics[number]), str(number), {"title": title})
    if not found:
        raise raw.missing("every document of RCV1-v2")
    findings.add("documents of the topics file without a text in RAW", max(0, len(topics) - found))


def _from_xml(raw: Raw) -> Iterator[tuple[int, str, str]]:
    for path, data in raw.walk(_NEWS):
        root = parse_xml(data, path)
        number = root.get("itemid", "")
        if not number.isdigit():
            raise DataError(f"{path}: its itemid is {number!r}, not a number; is it a file of RCV1?")
        # Paragraphs with a space between: joined without one, words at their ends would fuse.
        yield int(number), joined(root, "headline") or joined(root, "title"), joined(root, "text/p")


def _from_tokens(raw: Raw, places: list[Place], findings: Findings) -> Iterator[tuple[int, str, str]]:
    """Documents of ``.I ID``, ``.W`` and lines of tokens."""
    for place in places:
        number: int | None = None
        words: list[str] = []
        for where, line in numbered(raw.lines(place), place.name):
            if line.startswith(b".I"):
                if number is not None:
                    yield number, "", " ".join(words)
                cell = line[2:].strip()
                if not cell.isdigit():
                    raise DataError(f"{where}: expected '.I' and a number, found {line[:60]!r}.")
                number, words = int(cell), []
            elif line.strip() != b".W":
                words.extend(decode(line, findings).split())
        if number is not None:
            yield number, "", " ".join(words)
