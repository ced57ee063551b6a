"""SKOS vocabularies as taxonomies (extra ``skos``): Turtle, RDF/XML, N-Triples, JSON-LD, TriG and N-Quads.

What is read of a concept (Miles & Bechhofer 2009, "SKOS Simple Knowledge Organization System Reference", W3C):

* ``skos:broader`` and its inverse ``skos:narrower``, in either direction, also as the finer relations of ISO 25964
  (``iso-thes:broaderGeneric``, ``broaderPartitive``, ``broaderInstantial`` and their inverses): an edge. Several
  parents are allowed. ``skos:broaderTransitive`` and ``narrowerTransitive`` are ignored: they state the closure.
* ``skos:prefLabel``, else ``skosxl:prefLabel`` / ``skosxl:literalForm``, else ``rdfs:label``: the display name, in the
  wanted language.
* ``skos:altLabel`` and ``skos:hiddenLabel``, also those of SKOS-XL: alternative names, in the language of the display
  name, and those without a language.
* ``skos:definition``, or ``skos:scopeNote`` where there is none: the description, in the wanted language.
* ``skos:notation``: the notation of the label, or its id, if asked for.
* ``skos:topConceptOf`` and ``skos:hasTopConcept``: a label of the top level, where it has no broader concept.
* ``owl:deprecated true``: the concept and its edges are left out and counted in the log.

Nothing is fetched from the network, also where a file names contexts or entities there.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from taxotext.errors import MissingExtraError, TaxonomyError
from taxotext.labels import building, files
from taxotext.labels.taxonomy import Taxonomy
from taxotext.messages import counted, quiet

if TYPE_CHECKING:
    from rdflib import Graph
    from rdflib.term import Literal, Node

logger = logging.getLogger("taxotext")

SKOS_IDS: tuple[str, ...] = ("uri", "notation")
"""What is the id of a label of a SKOS vocabulary."""

SKOS = "http://www.w3.org/2004/02/skos/core#"
SKOS_XL = "http://www.w3.org/2008/05/skos-xl#"
ISO_THES = "http://purl.org/iso25964/skos-thes#"
DEPRECATED = "http://www.w3.org/2002/07/owl#deprecated"
BROADER = (f"{SKOS}broader", *(f"{ISO_THES}broader{kind}" for kind in ("Generic", "Partitive", "Instantial")))
NARROWER = (f"{SKOS}narrower", *(f"{ISO_THES}narrower{kind}" for kind in ("Generic", "Partitive", "Instantial")))
FALLBACK = "en"
"""The language of names that are missing in the wanted one."""

_SYNTAXES = {
    ".ttl": "turtle",
    ".turtle": "turtle",
    ".n3": "turtle",
    ".rdf": "xml",
    ".owl": "xml",
    ".nt": "nt",
    ".jsonld": "json-ld",
    ".trig": "trig",
    ".nq": "nquads",
}
LONGEST_ENTITY = 1000
"""Bytes of the value of an XML entity."""
MOST_WRITTEN = 10
"""Times its size that the entities of a file take at most where they are written out: those of namespaces take one."""

_ENTITY = re.compile(rb"""<!ENTITY\s+(%\s+)?(?P<name>[^\s"'>]+)\s+(?P<value>"[^"]*"|'[^']*')""")
_NAMED = {
    "turtle": "Turtle",
    "xml": "RDF/XML",
    "nt": "N-Triples",
    "json-ld": "JSON-LD",
    "trig": "TriG",
    "nquads": "N-Quads",
}
_BASE = "http://relative.invalid/"
"""What relative URIs are resolved against, and taken off again: ids do not depend on where the file lies."""
_RDF_TEXT = re.compile(
    rb"(?:\s|#[^\n]*\n)*(?:@prefix|@base|PREFIX\s|BASE\s|<[^<>\s]+>\s+(?:<[^<>\s]+>|a)\s)", re.IGNORECASE
)
_RDF_XML = re.compile(rb"(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE.*?\]>)*<(?:\w+:)?RDF\b", re.DOTALL)
_GRAPH = re.compile(rb"^\s*(?:GRAPH\s+)?(?:<[^<>\s]+>|[\w-]*:[\w-]*)?\s*\{", re.MULTILINE | re.IGNORECASE)
_QUAD = re.compile(
    rb"\s*<[^<>\s]+>\s+<[^<>\s]+>\s+(?:<[^<>\s]+>|_:\S+|\"(?:[^\"\\]|\\.)*\"\S*)\s+(?:<[^<>\s]+>|_:\S+)\s*\."
)
_PREFIX = re.compile(rb"(?:\s|#[^\n]*\n)*(?:@|PREFIX\s|BASE\s)", re.IGNORECASE)
_READ_BY = {"turtle": ("turtle", "nt", "trig"), "nt": ("turtle", "nt", "trig", "nquads")}
"""The syntaxes whose parsers read others, too; lines of triples may be quads further down."""


class _Concept(NamedTuple):
    """A concept that is kept: its URI, the id of its label, its names and its description."""

    uri: str
    id: str
    name: str | None
    description: str | None
    alternatives: list[str]
    notation: str | None


def is_skos_name(path: Path) -> bool:
    """Whether the suffix of a file is one of RDF (``.ttl``, ``.rdf``, ``.nt``, ``.jsonld`` ..., also with ``.gz``)."""
    return Path(path.name.removesuffix(".gz")).suffix.lower() in _SYNTAXES


def read_skos(content: bytes, path: Path, *, language: str | None = None, ids: str = "uri") -> building.Parts:
    """The parts of the taxonomy that a SKOS file describes; labels are in the order of their URIs.

    Args:
        content: of the file, unpacked.
        path: its name, for the syntax and for sentences.
        language: of all names and descriptions, such as ``de``; where a concept has none in it (or in a variety of it
            such as ``de-AT``), the English one is taken, else one without a language, else the first of any language.
        ids: ``uri``, or ``notation`` for ``skos:notation``.

    Raises:
        TaxonomyError: no RDF, no concepts, cycles (with the URIs), concepts without or with equal notations.
        MissingExtraError: rdflib is not installed.

    >>> turtle = b'''@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
    ... <http://e.org/a> a skos:Concept ; skos:prefLabel "Arts"@en, "Kunst"@de .
    ... <http://e.org/m> a skos:Concept ; skos:broader <http://e.org/a> .'''
    >>> parts = read_skos(turtle, Path("arts.ttl"), language="de")
    >>> parts.ids, parts.names
    (('http://e.org/a', 'http://e.org/m'), ('Kunst', None))
    """
    graph = _parse(content, path)
    problems: list[str] = []
    concepts = _concepts(graph, path, language, ids, problems)
    edges = _edges(graph, concepts, path)
    label = {uri: concept.id for uri, concept in concepts.items()}
    pairs: list[tuple[str | None, str]] = [(label[above], label[below]) for above, below in edges]
    where = [f"<{below}> skos:broader <{above}>" for above, below in edges]
    parts = building.build(
        pairs,
        labels=[concept.id for concept in concepts.values()],
        names=[(concept.id, concept.name, None) for concept in concepts.values()],
        descriptions=[(concept.id, concept.description, None) for concept in concepts.values()],
        alternatives=[(concept.id, name, None) for concept in concepts.values() for name in concept.alternatives],
        where=where,
        source=str(path),
        problems=problems,
    )
    # The labels are declared in the order of the concepts.
    return parts if ids == "notation" else building.with_notations(parts, [c.notation for c in concepts.values()])


# -- reading ------------------------------------------------------------------------------------------------------


def _parse(content: bytes, path: Path) -> Graph:
    try:
        from rdflib import Dataset, Graph
        from rdflib.plugins.parsers.notation3 import BadSyntax
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{path}: SKOS vocabularies are read with rdflib; install it with `pip install 'taxotext[skos]'`."
        ) from None
    syntax = _syntax(content, path)
    if syntax == "xml":  # which names its encoding itself
        _refuse_entities(content, path)
    else:
        files.decode(content, path)
    if syntax == "json-ld":
        content = _as_one_value(content)
        _refuse_remote_contexts(content, path)
    graph = Dataset(default_union=True) if syntax in ("trig", "nquads") else Graph()
    try:
        with quiet("rdflib", level=logging.CRITICAL):  # it logs a traceback for each odd date in a file
            # N-Triples are Turtle, and only the parser of Turtle says where it stopped.
            parser = "turtle" if syntax == "nt" else syntax
            graph.parse(data=content, format=parser, publicID=_BASE)
    except BadSyntax as error:
        reason = re.search(r"Bad syntax \((.*?)\) at \^", str(error), re.DOTALL)
        place = f"{path}:{error.lines + 1}"
        raise _no_rdf(place, syntax, reason[1] if reason else "bad syntax") from None
    except Exception as error:  # each parser of the library raises its own kinds, some of them bare Exception
        line = getattr(error, "getLineNumber", lambda: None)()
        place = f"{path}:{line}" if line else str(path)
        message = str(error.getMessage() if hasattr(error, "getMessage") else error)
        raise _no_rdf(place, syntax, (message.strip() or type(error).__name__).splitlines()[0]) from None
    return graph


def _no_rdf(place: str, syntax: str, reason: str) -> TaxonomyError:
    return TaxonomyError(
        f"{place}: this is not {_NAMED[syntax]} ({reason}); fix the file, "
        "or give it the suffix of its syntax: .ttl, .rdf, .nt or .jsonld."
    )


def _syntax(content: bytes, path: Path) -> str:
    """What the file is written in: what its suffix says, unless it plainly begins as another syntax."""
    promised = _SYNTAXES.get(Path(path.name.removesuffix(".gz")).suffix.lower())
    found = _syntax_of(content.removeprefix(b"\xef\xbb\xbf").lstrip())
    if promised is None or (is_skos_content(content) and promised not in _READ_BY.get(found, (found,))):
        return found
    return promised


def _syntax_of(content: bytes) -> str:
    if content.startswith((b"{", b"[")):
        return "json-ld"
    if content.startswith((b"<?xml", b"<rdf:", b"<!--", b"<!DOCTYPE")):
        return "xml"
    if _QUAD.match(content):
        return "nquads"
    if _GRAPH.search(content):
        return "trig"
    return "turtle" if _PREFIX.match(content) else "nt"


def is_skos_content(content: bytes) -> bool:
    """Whether a file is RDF by what it begins with, whatever its suffix."""
    start = content[:100_000].removeprefix(b"\xef\xbb\xbf")
    return bool(_RDF_TEXT.match(start) or _RDF_XML.match(start)) or (
        start.lstrip()[:1] in (b"{", b"[") and (b'"@context"' in start or b'"@id"' in start)
    )


def _refuse_entities(content: bytes, path: Path) -> None:
    """Entities that stand for namespaces are common; nested or long ones can make gigabytes of a small file."""
    if b"\0" in content:
        raise TaxonomyError(f"{path}: there are NUL bytes in it (UTF-16?); save it as UTF-8.")
    attributes = content.find(b"<!ATTLIST")
    if attributes >= 0:
        line = content.count(b"\n", 0, attributes) + 1
        raise TaxonomyError(
            f"{path}:{line}: declares attributes (<!ATTLIST), which are not filled in; write them where they belong, "
            "or convert the file to Turtle."
        )
    written = 0
    for entity in _ENTITY.finditer(content):
        written += content.count(b"&" + entity["name"] + b";") * len(entity["value"])
        value = entity["value"]
        if entity[1] or b"&" in value or b"%" in value or len(value) > LONGEST_ENTITY:
            line = content.count(b"\n", 0, entity.start()) + 1
            raise TaxonomyError(
                f"{path}:{line}: declares an entity that is long or made of other entities, which is not expanded; "
                "write the text where it belongs, or convert the file to Turtle."
            )
    if written > 2**20 + MOST_WRITTEN * len(content):
        raise TaxonomyError(
            f"{path}: its entities, written out, are {written / len(content):,.0f} times as long as the file; write "
            "the text where it belongs, or convert the file to Turtle."
        )


def _as_one_value(content: bytes) -> bytes:
    """JSON-LD with one object a line as a list of these; other content as it is."""
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) < 2 or not all(line.strip().startswith(b"{") and line.strip().endswith(b"}") for line in lines):
        return content
    return b"[" + b",".join(lines) + b"]"


def _refuse_remote_contexts(content: bytes, path: Path) -> None:
    """A context on the web would be fetched by the library, and could say anything tomorrow."""
    try:
        waiting: list[Any] = [json.loads(content)]
    except (ValueError, RecursionError) as error:
        raise _no_rdf(str(path), "json-ld", str(error)) from None
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            named = _texts_in([value.get("@context"), value.get("@import")])
            if named:
                raise TaxonomyError(
                    f"{path}: names the context {named[0]!r}, which is not part of the file and is not fetched; "
                    "write the context into the file, or convert it to Turtle."
                )
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _texts_in(context: list[Any]) -> list[str]:
    """The texts in lists of lists, however deep."""
    found: list[str] = []
    waiting = [context]
    while waiting:
        for value in waiting.pop():
            if isinstance(value, list):
                waiting.append(value)
            elif isinstance(value, str):
                found.append(value)
    return found


def _concepts(graph: Graph, path: Path, language: str | None, ids: str, problems: list[str]) -> dict[str, _Concept]:
    """The concepts that are kept, by URI, in the order of their URIs."""
    from rdflib import RDF, BNode, Literal, URIRef

    found: set[Node] = set(graph.subjects(RDF.type, URIRef(f"{SKOS}Concept")))
    found.update(graph.subjects(URIRef(f"{SKOS}topConceptOf")))
    found.update(graph.objects(None, URIRef(f"{SKOS}hasTopConcept")))
    related: set[Node] = set()
    for relation in (*BROADER, *NARROWER):
        for subject, other in graph.subject_objects(URIRef(relation)):
            found.add(subject)
            related.add(other)
    # What is only pointed at is a concept if the file says its name: else it is one of another vocabulary.
    found.update(node for node in related if (node, URIRef(f"{SKOS}prefLabel"), None) in graph)
    outside = [str(node) for node in related - found if not isinstance(node, BNode | Literal)]
    if outside:
        logger.warning(
            "%s: %d concept(s) are named as broader or narrower, but nothing else is said of them; left out: %s",
            path,
            len(outside),
            min(outside),
        )
    nameless = [node for node in found if not isinstance(node, URIRef)]
    if nameless:
        problems.append(f"{len(nameless)} concept(s) have no URI (blank nodes); give them URIs")
    deprecated = {
        node
        for node in found
        if any(str(value).lower() in ("true", "1") for value in graph.objects(node, URIRef(DEPRECATED)))
    }
    if deprecated:
        logger.info(
            "%s: %d deprecated concept(s) are left out, such as %s", path, len(deprecated), min(map(str, deprecated))
        )
    kept = sorted(str(node) for node in found - deprecated if isinstance(node, URIRef))
    if not kept:
        raise TaxonomyError(
            f"{path}: holds no concepts (nothing of the type skos:Concept that is not deprecated); "
            "is it a SKOS vocabulary?"
        )
    concepts = {}
    for uri in kept:
        name = _name_of(graph, uri, language)
        meaning = _text_of(graph, uri, "definition", language) or _text_of(graph, uri, "scopeNote", language)
        concepts[uri] = _Concept(
            uri,
            _id_of(graph, uri, ids, problems),
            None if name is None else str(name),
            None if meaning is None else str(meaning),
            _alternatives(graph, uri, (name.language if name is not None else language) or ""),
            min(_notations(graph, uri), default=None),
        )
    unnamed = [concept for concept in concepts.values() if concept.name is None]
    if unnamed:
        logger.warning(
            "%s: %s no name (skos:prefLabel, SKOS-XL or rdfs:label), such as %s",
            path,
            counted(len(unnamed), "concept has", "concepts have"),
            unnamed[0].uri.removeprefix(_BASE),
        )
    doubled = _doubled(concepts.values(), problems)
    return {uri: concept for uri, concept in concepts.items() if concept.id and uri not in doubled}


def _id_of(graph: Graph, uri: str, ids: str, problems: list[str]) -> str:
    """The id of a concept; empty, and a problem, when it has none of the wanted kind."""
    if ids == "uri":
        return uri.removeprefix(_BASE)
    chosen = _notations(graph, uri)
    if len(chosen) == 1:
        return chosen.pop().strip()
    if chosen:
        shown = ", ".join(repr(value) for value in sorted(chosen)[:3])
        problems.append(f"<{uri}> has {len(chosen)} notations ({shown}); keep one, or use the URIs as ids")
    else:
        problems.append(f"<{uri}> has no notation; give it one, or use the URIs as ids")
    return ""


def _notations(graph: Graph, uri: str) -> set[str]:
    """The notations of a concept: the plain one where there is one such, else all."""
    from rdflib import XSD, Literal, URIRef

    notations = list(graph.objects(URIRef(uri), URIRef(f"{SKOS}notation")))
    # Notations of other coding systems carry a datatype of their own.
    plain = {str(value) for value in notations if isinstance(value, Literal) and value.datatype in (None, XSD.string)}
    return plain if len(plain) == 1 else {str(value) for value in notations}


def _doubled(concepts: Iterable[_Concept], problems: list[str]) -> set[str]:
    """URIs of concepts whose id another one has already; each a problem."""
    first: dict[str, str] = {}
    doubled = set()
    for concept in concepts:
        if concept.id and first.setdefault(concept.id, concept.uri) != concept.uri:
            doubled.add(concept.uri)
            problems.append(
                f"<{concept.uri}> has the notation {concept.id!r} of <{first[concept.id]}>; "
                "make them different, or use the URIs as ids"
            )
    return doubled


def _name_of(graph: Graph, uri: str, language: str | None) -> Literal | None:
    """The name of a concept: ``skos:prefLabel``, else that of SKOS-XL, else ``rdfs:label``."""
    from rdflib import RDFS, URIRef

    return (
        _text_of(graph, uri, "prefLabel", language)
        or _nearest(_forms(graph, uri, "prefLabel"), language)
        or _nearest(graph.objects(URIRef(uri), RDFS.label), language)
    )


def _forms(graph: Graph, uri: str, relation: str) -> list[Node]:
    """What a concept is called by a relation of SKOS-XL."""
    from rdflib import URIRef

    nodes = graph.objects(URIRef(uri), URIRef(SKOS_XL + relation))
    return [form for node in nodes for form in graph.objects(node, URIRef(f"{SKOS_XL}literalForm"))]


def _alternatives(graph: Graph, uri: str, language: str) -> list[str]:
    """The alternative and hidden names of a concept in a language (of all its countries) or without one, sorted."""
    from rdflib import Literal, URIRef

    found: set[str] = set()
    code = language.lower().partition("-")[0]
    for relation in ("altLabel", "hiddenLabel"):
        for text in (*graph.objects(URIRef(uri), URIRef(SKOS + relation)), *_forms(graph, uri, relation)):
            if isinstance(text, Literal) and (text.language or "").lower().partition("-")[0] in ("", code):
                found.add(str(text))
    return sorted(found)


def _text_of(graph: Graph, uri: str, relation: str, language: str | None) -> Literal | None:
    """What the concept is given by a relation of SKOS, in the language, else in the one that comes nearest."""
    from rdflib import URIRef

    return _nearest(graph.objects(URIRef(uri), URIRef(SKOS + relation)), language)


def _nearest(values: Iterable[Node], language: str | None) -> Literal | None:
    """The text in the language, else in the one that comes nearest."""
    from rdflib import Literal

    texts = [value for value in values if isinstance(value, Literal)]
    wanted = [code.lower() for code in (language, FALLBACK) if code]

    def order(text: Literal) -> tuple[int, str, str]:
        tag = (text.language or "").lower()
        ranks = [2 * i + (tag != code) for i, code in enumerate(wanted) if f"{tag}-".startswith(f"{code}-")]
        return min(ranks, default=2 * len(wanted) + bool(tag)), tag, str(text)

    return min(texts, key=order) if texts else None


def _edges(graph: Graph, concepts: dict[str, _Concept], path: Path) -> list[tuple[str, str]]:
    """(URI of the broader, URI of the narrower concept), sorted, each once."""
    from rdflib import URIRef

    edges: set[tuple[str, str]] = set()
    for relation in BROADER:
        edges.update((str(above), str(below)) for below, above in graph.subject_objects(URIRef(relation)))
    for relation in NARROWER:
        edges.update((str(above), str(below)) for above, below in graph.subject_objects(URIRef(relation)))
    kept = sorted((above, below) for above, below in edges if above in concepts and below in concepts)
    dropped = len(edges) - len(kept)
    if dropped:
        logger.info("%s: %d relation(s) to concepts that are left out are left out with them", path, dropped)
    return kept


# -- writing ------------------------------------------------------------------------------------------------------

_UNSAFE = frozenset('<>"{}|^`\\')


def dump_skos(taxonomy: Taxonomy, path: Path) -> str:
    """The taxonomy as Turtle (or N-Triples by the suffix ``.nt``), one statement a line.

    Ids that are URIs stay as they are. Else each becomes ``urn:taxotext:ID`` with the id as ``skos:notation``, and is
    read back with ``ids="notation"``.

    Raises:
        TaxonomyError: for another syntax.
    """
    if _syntax(b"", path) not in ("turtle", "nt"):
        raise TaxonomyError(f"SKOS is written as Turtle; name the file .ttl or .nt, not {path.name}.")
    uris = [_is_uri(label) for label in taxonomy.ids]
    all_uris = all(uris)
    node = [f"<{label}>" if all_uris else f"<urn:taxotext:{quote(label, safe='')}>" for label in taxonomy.ids]
    lines = []
    for i, label in enumerate(taxonomy.ids):
        lines.append(f"{node[i]} <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{SKOS}Concept> .")
        notation = taxonomy.notations[i] if all_uris else label
        if notation is not None:
            lines.append(f"{node[i]} <{SKOS}notation> {_literal(notation)} .")
        further = [("altLabel", name) for name in taxonomy.alternative_names[i]]
        said = [("prefLabel", taxonomy.names[i]), *further, ("definition", taxonomy.descriptions[i])]
        for relation, text in said:
            if text is not None:
                lines.append(f"{node[i]} <{SKOS}{relation}> {_literal(text)} .")
        lines.extend(f"{node[i]} <{SKOS}broader> {node[parent]} ." for parent in taxonomy.parents(i))
    return "".join(f"{line}\n" for line in lines)


def _is_uri(label: str) -> bool:
    scheme, mark, rest = label.partition(":")
    return bool(
        mark
        and rest
        and scheme[:1].isalpha()
        and all(sign.isalnum() or sign in "+-." for sign in scheme)
        and scheme.isascii()
        and not any(sign <= " " or sign in _UNSAFE for sign in label)
    )


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
