"""The New York Times Annotated Corpus (LDC2008T19) as hierarchical text classification uses it.

Source: Sandhaus 2008. The corpus itself has no split: papers since HiAGM (Zhou et al. 2020) use 36,471 articles that
three lists name (``idnewnyt_train.json``, ``_val``, ``_test``; despite their names a path ``Nytimes/YEAR/ID.xml`` a
line) and the 166 labels of ``nyt_label.vocab``; both are shipped with their programs, not with the corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

from taxotext.data.catalogue.entries import Content, Dataset, Findings, Record
from taxotext.data.catalogue.raw import Raw
from taxotext.data.catalogue.text import decode, joined, numbered, parse_xml
from taxotext.errors import DataError
from taxotext.labels import Taxonomy

TOP = "Top"
LISTS = {"train": "idnewnyt_train.json", "validation": "idnewnyt_val.json", "test": "idnewnyt_test.json"}

_ID = re.compile(r"(\d+)\.xml\b")


def read(dataset: Dataset, raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    """The articles of the lists.

    Text: the paragraphs of the full text, with a space between (the scripts of the literature join them without one,
    skip the first paragraph, and take the lead twice). Labels: the classifiers of type ``taxonomic_classifier`` with at
    least two steps below ``Top``, cut at every step, as far as they are in the vocabulary.
    """
    splits = read_lists(raw, findings)
    labels = [decode(line, findings).strip() for _, line in numbered(raw.lines(raw.need("nyt_label.vocab")), "")]
    labels = [label for label in dict.fromkeys(labels) if label and label not in ("Root", TOP)]
    return Content(
        _records(raw, splits, frozenset(labels), findings),
        taxonomy=lambda used: taxonomy_of(labels),
        names={label: label.rpartition("/")[2] for label in labels},
        total=len(splits),
    )


def read_lists(raw: Raw, findings: Findings) -> dict[int, str]:
    """Split of each article.

    Raises:
        DataError: a list is missing, or a line names no ``ID.xml``.
    """
    splits: dict[int, str] = {}
    problems = []
    for split, name in LISTS.items():
        place = raw.need(name)
        for where, line in numbered(raw.lines(place), place.name):
            found = _ID.search(decode(line, findings))
            if found is None:
                problems.append(f"{where}: expected a path that ends in ID.xml, found {line[:60]!r}")
            elif splits.setdefault(int(found[1]), split) != split:
                findings.add("articles that two lists name, kept in the first")
    if problems:
        raise DataError(f"{raw.path}: the lists of articles have {len(problems)} bad line(s):", problems)
    return splits


def taxonomy_of(labels: list[str]) -> Taxonomy:
    """Paths below ``Top``; a label whose parent is not in the vocabulary lies below its nearest ancestor that is."""
    known = set(labels)
    edges: list[tuple[str | None, str]] = []
    for label in sorted(labels, key=lambda label: label.count("/")):
        above = label
        while (above := above.rpartition("/")[0]) and above not in known:
            pass
        edges.append((above or None, label))
    return Taxonomy.from_edges(edges)


def _records(
    raw: Raw, splits: Mapping[int, str], vocabulary: frozenset[str], findings: Findings
) -> Iterator[tuple[str, Record]]:
    left = set(splits)

    def wanted(path: str) -> bool:
        found = _ID.search(path.rpartition("/")[2])
        return found is not None and int(found[1]) in splits

    for path, data in raw.walk("*.xml", wanted):
        found = _ID.search(path.rpartition("/")[2])
        if found is None:
            continue
        number = int(found[1])
        root = parse_xml(data, path)
        left.discard(number)
        text = joined(root, ".//block[@class='full_text']/p") or joined(root, ".//block[@class='lead_paragraph']/p")
        title = joined(root, ".//hedline/hl1") or joined(root, "head/title")
        yield splits[number], Record(text, article_labels(root, vocabulary), str(number), {"title": title})
        if not left:
            break
    if len(left) == len(splits):
        raise raw.missing("every article of the lists")
    findings.add("articles of the lists that are not in RAW", len(left))


def article_labels(root: ElementTree.Element, vocabulary: frozenset[str]) -> list[str]:
    """Labels of an article in the order of its classifiers, each once."""
    labels: dict[str, None] = {}
    for classifier in root.iter("classifier"):
        steps = (classifier.text or "").strip().split("/")
        if classifier.get("type") != "taxonomic_classifier" or len(steps) < 3:
            continue
        paths = ("/".join(steps[:length]) for length in range(2, len(steps) + 1))
        labels.update((path, None) for path in paths if path in vocabulary)
    return list(labels)
