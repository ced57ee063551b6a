"""EURLEX57K and MultiEURLEX: laws of the European Union with concepts of EuroVoc.

Sources: Chalkidis et al., Large-Scale Multi-Label Text Classification on EU Legislation, ACL 2019; Chalkidis et al.,
MultiEURLEX, EMNLP 2021. Labels are ids of EuroVoc concepts as they were assigned: a concept is rarely given together
with its ancestors, so results that are to be compared with published ones need ``closure=as_given``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from taxotext.data.catalogue.entries import Content, Dataset, Findings, Record
from taxotext.data.catalogue.raw import Raw
from taxotext.data.catalogue.text import numbered, parse_json
from taxotext.errors import DataError
from taxotext.labels import Taxonomy

_CODES = "en de fr it es pl ro nl el hu pt cs sv bg da fi sk lt hr sl et lv mt"
LANGUAGES = tuple(_CODES.split())
"""The 23 languages of MultiEURLEX, by speakers."""

_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_LEVELS = {"1": ("level_1",), "2": ("level_2",), "3": ("level_3",), "all": ("all_levels", "original", "all")}


def read(dataset: Dataset, raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    """Dispatch by dataset: both releases are JSON of the same people."""
    return _multi(raw, options) if dataset.name == "multi-eurlex" else _english(raw, options, findings)


# -- EURLEX57K -----------------------------------------------------------------------------------------------------


def _english(raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    concepts = read_concepts(raw)
    if not concepts:
        findings.notes.append("Neither eurovoc_en.json nor eurovoc_concepts.jsonl was there: no names, no hierarchy.")
    parents = {concept: above for concept, (_, above) in concepts.items() if above}
    attachments = options["attachments"] == "yes"
    return Content(
        _laws(raw, attachments),
        taxonomy=lambda used: taxonomy_of(used, parents),
        names={concept: name for concept, (name, _) in concepts.items()},
    )


def read_concepts(raw: Raw) -> dict[str, tuple[str, list[str]]]:
    """Name and parents of each concept, where the file of concepts is there.

    ``eurovoc_en.json`` (also called EURLEX57K.json) maps ids to ``{"label", "parents"}``, ``eurovoc_concepts.jsonl``
    has lines ``{"id", "title"}`` with or without ``parents``.
    """
    place = raw.find("eurovoc_en.json", "EURLEX57K.json", "eurovoc_concepts.jsonl")
    if place is None:
        return {}
    entries: Iterator[tuple[str, Any]]
    if place.name.lower().endswith("jsonl"):
        lines = (parse_json(line, where) for where, line in numbered(raw.lines(place), place.name))
        entries = ((str(entry.get("id", "")), entry) for entry in lines)
    else:
        entries = iter(parse_json(raw.read(place), place.name).items())
    return {
        concept: (
            str(entry.get("label") or entry.get("title") or ""),
            [str(above) for above in entry.get("parents") or ()],
        )
        for concept, entry in entries
        if isinstance(entry, dict) and concept
    }


def taxonomy_of(used: Collection[str], parents: Mapping[str, list[str]]) -> Taxonomy | None:
    """The concepts of the documents with all their ancestors; None where no parents are known."""
    if not parents:
        return None
    edges: dict[tuple[str | None, str], None] = {}
    top: list[str | None] = [None]
    todo, seen = sorted(used), set(used)
    while todo:
        concept = todo.pop()
        above = parents.get(concept, [])
        edges.update(((parent, concept), None) for parent in [*above] or top)
        new = sorted(set(above) - seen)
        seen.update(new)
        todo += new
    return Taxonomy.from_edges(edges)


def _laws(raw: Raw, attachments: bool) -> Iterator[tuple[str, Record]]:
    files = {split: raw.find(f"{name}.jsonl") for name, split in _SPLITS.items()}
    if files["train"] is not None:  # the release of archive.org: a file a split
        for name, split in _SPLITS.items():
            place = raw.need(f"{name}.jsonl")
            for where, line in numbered(raw.lines(place), place.name):
                yield split, law(parse_json(line, where), where, attachments)
        return
    found: set[str] = set()
    for pattern, split in ((f"{name}/*.json", split) for name, split in _SPLITS.items()):
        for path, data in raw.walk(pattern):
            found.add(split)
            yield split, law(parse_json(data, path), path, attachments)
    lacking = [f"dataset/{name}/*.json" for name, split in _SPLITS.items() if split not in found]
    if lacking:
        raise raw.missing(" and ".join(lacking))


def law(entry: Mapping[str, Any], where: str, attachments: bool) -> Record:
    """A document: header, recitals, main body and attachments, a line each.

    Raises:
        DataError: it has no identifier or no list of concepts.
    """
    concepts = entry.get("concepts", entry.get("eurovoc_concepts"))
    if not isinstance(concepts, list) or not entry.get("celex_id"):
        raise DataError(f"{where}: lacks celex_id or concepts; is it a file of EURLEX57K?")
    zones = ["header", "recitals", "main_body", *(["attachments"] if attachments else [])]
    pieces: list[str] = []
    for zone in zones:
        value = entry.get(zone) or ""
        pieces += [piece for piece in (value if isinstance(value, list) else [value]) if piece]
    fields = {"title": entry.get("title"), "type": entry.get("type")}
    return Record("\n".join(pieces), [str(concept) for concept in concepts], str(entry["celex_id"]), fields)


# -- MultiEURLEX -----------------------------------------------------------------------------------------------------


def _multi(raw: Raw, options: Mapping[str, str]) -> Content:
    language = options["language"]
    place = raw.find("eurovoc_descriptors.json")
    descriptors = parse_json(raw.read(place), place.name) if place is not None else {}
    names = {concept: texts.get(language) for concept, texts in descriptors.items() if isinstance(texts, dict)}
    return Content(
        _translations(raw, language, _LEVELS[options["level"]]),
        names={concept: str(name) for concept, name in names.items() if name},
    )


def _translations(raw: Raw, language: str, keys: tuple[str, ...]) -> Iterator[tuple[str, Record]]:
    for name, split in _SPLITS.items():
        place = raw.need(f"{name}.jsonl")
        for where, line in numbered(raw.lines(place), place.name):
            entry = parse_json(line, where)
            texts, concepts = entry.get("text"), entry.get("eurovoc_concepts")
            if not isinstance(texts, dict) or not isinstance(concepts, dict):
                raise DataError(f"{where}: lacks text or eurovoc_concepts by level; is it a file of MultiEURLEX?")
            if not texts.get(language):  # laws that were not translated are not part of this language
                continue
            key = next((key for key in keys if key in concepts), None)
            if key is None:
                raise DataError(f"{where}: has the levels {', '.join(concepts)}, none of {', '.join(keys)}.")
            labels = [str(concept) for concept in concepts[key]]
            date = {"publication_date": entry.get("publication_date")}
            yield split, Record(str(texts[language]), labels, str(entry.get("celex_id") or where), date)
