"""Blurb Genre Collection (English): descriptions of books with the genres of a publisher.

Source: Aly, Remus and Biemann, Hierarchical Multi-label Classification of Text with Capsule Networks, ACL SRW 2019,
and the README of the release. The files look like XML and are not: there is no root, and ampersands stand as they are.
Genres of depth n are in elements ``d0`` to ``d3``; ``hierarchy.txt`` has a line ``parent<TAB>child`` for each edge, and
a genre without parents and children alone on its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from taxotext.data.catalogue.entries import Content, Dataset, Findings, Record
from taxotext.data.catalogue.raw import Place, Raw
from taxotext.data.catalogue.text import decode, element, elements, numbered, unescape
from taxotext.errors import DataError
from taxotext.labels import Taxonomy

DEEPEST = 3

_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def read(dataset: Dataset, raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    """Blurbs with their genres and the taxonomy of genres."""
    edges = read_edges(raw, findings)
    return Content(
        _books(raw, findings),
        taxonomy=lambda used: Taxonomy.from_edges(edges),
    )


def read_edges(raw: Raw, findings: Findings) -> list[tuple[str | None, str]]:
    """Edges of ``hierarchy.txt``, genres that are nobody's child at the top level first.

    Raises:
        DataError: a line with more than two columns.
    """
    place = raw.need("hierarchy.txt")
    edges: dict[tuple[str | None, str], None] = {}
    genres: dict[str, None] = {}
    for where, line in numbered(raw.lines(place), place.name):
        steps = [" ".join(unescape(cell).split()) for cell in decode(line, findings).split("\t") if cell.strip()]
        if len(steps) > 2:
            raise DataError(f"{where}: has {len(steps)} columns; expected parent<TAB>child.")
        genres.update(dict.fromkeys(steps))
        if len(steps) == 2 and (steps[0], steps[1]) in edges:
            findings.add("edges of the hierarchy that were there before, dropped")
        if len(steps) == 2:
            edges[steps[0], steps[1]] = None
    children = {child for _, child in edges}
    return [*((None, genre) for genre in genres if genre not in children), *edges]


def _books(raw: Raw, findings: Findings) -> Iterator[tuple[str, Record]]:
    for name, split in _SPLITS.items():
        place = raw.need(f"BlurbGenreCollection_EN_{name}.txt")
        for where, markup in _elements(raw, place, findings):
            yield split, book(markup, where)


def _elements(raw: Raw, place: Place, findings: Findings) -> Iterator[tuple[str, str]]:
    """(``file:line``, content) of each ``<book>``; a file is far too large to be read as a whole."""
    gathered: list[bytes] = []
    first = 0
    for number, line in enumerate(raw.lines(place), 1):
        if not gathered and not line.strip():
            continue
        if not gathered:
            first = number
        gathered.append(line)
        if b"</book>" in line:
            yield f"{place.name}:{first}", decode(b"".join(gathered), findings)
            gathered = []
    if b"".join(gathered).strip():
        raise DataError(f"{place.name}:{first}: the last <book> has no end; the file is cut short, fetch it again.")


def book(markup: str, where: str) -> Record:
    """The document of a ``<book>`` element: its blurb; title, author, date and ISBN are further fields.

    Raises:
        DataError: it has no topics.
    """
    topics = element("topics", markup)
    if topics is None:
        raise DataError(f"{where}: a book without <topics>; is it a file of the Blurb Genre Collection?")
    genres = [unescape(genre) for depth in range(DEEPEST + 1) for genre in elements(f"d{depth}", topics)]
    fields = {name: _plain(element(name, markup)) for name in ("title", "author", "published", "isbn")}
    return Record(_plain(element("body", markup)), genres, None, fields)


def _plain(markup: str | None) -> str:
    return unescape(markup or "").strip()
