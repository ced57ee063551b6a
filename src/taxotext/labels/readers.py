"""Readers of taxonomies and display names: edges, paths, nested JSON and YAML, SKOS, tables."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from taxotext.errors import ConfigError, TaxonomyError, nearest
from taxotext.labels import building, files, nested, skos, tables
from taxotext.labels.taxonomy import Taxonomy
from taxotext.messages import counted, parameter

logger = logging.getLogger("taxotext")

TaxonomyFormat = Literal["edges", "paths", "nested", "skos", "table"]
TAXONOMY_FORMATS: tuple[str, ...] = get_args(TaxonomyFormat)
"""The formats of taxonomy files."""

TAXONOMY_IDS: tuple[str, ...] = ("uri", "notation", "name", "path")
"""What labels may be known by: the first two in SKOS files, the others where nested files name labels."""

ROOT = "Root"
"""The literal that stands for the artificial root in files of edges."""


def read_taxonomy(
    path: Path | str,
    format: str | None = None,
    separator: str = "/",
    *,
    names: Path | str | None = None,
    language: str | None = None,
    ids: str = "uri",
) -> Taxonomy:
    """Read a taxonomy from a file (UTF-8; unpacked when the name ends in ``.gz``).

    Formats:
        ``edges``: a line ``parent<TAB>child`` for each edge, top-level labels below the literal ``Root``.
        ``paths``: a line for each label, its path from the top; see :func:`taxonomy_from_paths`.
        ``nested``: JSON or YAML, a mapping of labels to their children (mapping, list or null) or a list of
            objects ``{"id", "name", "children"}``; also the ``taxonomy.json`` of a model folder.
        ``table``: CSV or TSV with a header, a row for each label and parent; see :mod:`taxotext.labels.tables`.
        ``skos``: Turtle, RDF/XML, N-Triples or JSON-LD, with the extra ``skos``; see :mod:`taxotext.labels.skos`.

    Args:
        path: the file.
        format: one of :data:`TAXONOMY_FORMATS`; None guesses from the suffix (``.json``, ``.yaml``, ``.yml``:
            nested; ``.ttl``, ``.rdf``, ``.nt``, ``.jsonld``: skos; ``.csv``: table) and else from the content (a header
            with columns of labels and parents: table; a TAB: edges; a leading ``{`` or ``[``: nested; else paths).
        separator: between the labels of a path.
        names: a file of display names, descriptions and alternative names (:func:`read_names`); they come before those
            of the taxonomy's own file, which labels that it does not name keep.
        language: of the names and descriptions in a SKOS file, such as ``de``; where one is missing: English, else
            any.
        ids: of the labels of a SKOS file: ``uri`` or ``notation``. Of labels that a nested file gives by name:
            ``path`` (the names from the top, joined by ``separator``) or ``name`` (equal names are one label with
            several parents); with neither, a name below several parents is an error.

    Raises:
        TaxonomyError: listing all problems with their lines or key paths.
        ConfigError: for an unknown format, unknown ids or an empty separator.
        MissingExtraError: for a SKOS file without rdflib.
    """
    path = Path(path)
    if format is not None:
        check_format(format)
    if ids not in TAXONOMY_IDS:
        hint = nearest(str(ids), TAXONOMY_IDS)
        raise ConfigError(
            f"Labels of a taxonomy are known by uri or notation (SKOS), path or name (nested files), not {ids!r}.{hint}"
        )
    content = files.read_bytes(path)
    kind = format or _guess(path, content, separator)
    _note_unused(path, kind, language=language, ids=ids, separator=separator)
    rows = _name_rows(Path(names)) if names is not None else _NamesFile([], [], [])
    if kind == "nested":
        as_yaml = nested.is_yaml_name(path)
        text, by = files.decode(content, path), ids if ids in ("name", "path") else None
        taxonomy = Taxonomy(*nested.read_nested(text, path, as_yaml=as_yaml, ids=by, separator=separator))
    elif kind == "paths":
        taxonomy = _read_paths(path, content, separator)
    elif kind == "table":
        taxonomy = Taxonomy(*tables.read_table(files.decode(content, path), path))
    elif kind == "skos":
        by = ids if ids in skos.SKOS_IDS else "uri"
        taxonomy = Taxonomy(*skos.read_skos(content, path, language=language, ids=by))
    else:
        taxonomy = _read_edges(path, content)
    if names is None:
        return taxonomy
    building.build(
        [],
        labels=taxonomy.ids,
        names=rows.names,
        descriptions=rows.descriptions,
        alternatives=rows.alternatives,
        source=str(names),
    )
    own = {label: name for label, name in zip(taxonomy.ids, taxonomy.names, strict=True) if name is not None}
    taxonomy = taxonomy.with_names(own | {row.id: row.name or "" for row in rows.names})
    meant = {label: text for label, text in zip(taxonomy.ids, taxonomy.descriptions, strict=True) if text is not None}
    taxonomy = taxonomy.with_descriptions(meant | {row.id: row.name or "" for row in rows.descriptions})
    if not rows.alternatives:
        return taxonomy
    further: dict[str, Sequence[str]] = dict(zip(taxonomy.ids, taxonomy.alternative_names, strict=True))
    further.update(_by_label(rows.alternatives))
    return taxonomy.with_alternative_names(further)


def _note_unused(path: Path, kind: str, *, language: str | None, ids: str, separator: str) -> None:
    """Warn of settings that belong to another format than that of the file."""
    by_paths = kind == "paths" or (kind == "nested" and ids == "path")
    given = (
        (language is not None and kind != "skos", "the language of a taxonomy", language, "skos"),
        (ids == "notation" and kind != "skos", "the ids of a taxonomy", ids, "skos"),
        (ids == "name" and kind != "nested", "the ids of a taxonomy", ids, "nested"),
        (ids == "path" and not by_paths, "the ids of a taxonomy", ids, "nested"),
        (separator != "/" and not by_paths, "the separator of paths", separator, "paths"),
    )
    for is_unused, what, value, needed in given:
        if is_unused:
            logger.warning(
                "%s: not used: %s (%r) is for %s, and the file is read as %s.", path, what, value, needed, kind
            )


def read_names(path: Path | str) -> dict[str, str]:
    """Read display names, a line ``id<TAB>name`` for each label; the name may be empty (no name).

    A file named ``.csv`` has a header with the columns ``id``, ``name`` and perhaps ``description``. Elsewhere, a third
    column holds descriptions, which :func:`read_descriptions` reads; each further one an alternative name, read
    by :func:`read_alternative_names`.

    Raises:
        TaxonomyError: listing malformed lines and ids that are named twice.
    """
    return {row.id: row.name or "" for row in _name_rows(Path(path)).names}


def read_descriptions(path: Path | str) -> dict[str, str]:
    """Read the third column of a file of names: ``id<TAB>name<TAB>description``, for lines that have one.

    Raises:
        TaxonomyError: as :func:`read_names`.
    """
    return {row.id: row.name or "" for row in _name_rows(Path(path)).descriptions}


def read_alternative_names(path: Path | str) -> dict[str, list[str]]:
    """Read the fourth and further columns of a file of names, for lines that have some.

    Raises:
        TaxonomyError: as :func:`read_names`.
    """
    return _by_label(_name_rows(Path(path)).alternatives)


def _by_label(rows: Iterable[building.Name]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(row.name or "")
    return found


def taxonomy_from_paths(labels: Iterable[str | Sequence[str]], separator: str = "/") -> Taxonomy:
    """A taxonomy from labels that are paths: ``a/b/c`` lies below ``a/b``, and that below ``a``.

    The id of a label is its full path, since names repeat below different parents; its last segment is the
    display name. Labels that only begin a path are added.

    Args:
        labels: paths, in any order and as often as they come: those of a corpus, or its lists of labels
            (``corpus.label_lists()``).
        separator: between the segments, such as ``"/"``, ``" > "`` or ``"--"``.

    Raises:
        TaxonomyError: listing empty segments and segments with outer white space.
        ConfigError: for an empty separator.

    >>> taxonomy = taxonomy_from_paths(["arts/music", "science"])
    >>> taxonomy.ids, taxonomy.names
    (('arts', 'arts/music', 'science'), ('arts', 'music', 'science'))
    """
    flat = (path for label in labels for path in ([label] if isinstance(label, str) else label))
    return _from_paths(dict.fromkeys(flat), separator, None, None, [])


def check_format(format: str, known: Sequence[str] = TAXONOMY_FORMATS) -> None:
    """Raise a ConfigError when ``format`` is none of those that are known."""
    if format not in known:
        hint = nearest(str(format), known)
        raise ConfigError(f"Unknown taxonomy format {format!r}; use one of {', '.join(known)}.{hint}")


def format_of_name(path: Path) -> str | None:
    """The format that the suffix of a file stands for, None when it says nothing."""
    name = files.plain_name(path)
    if name.endswith(".json") or nested.is_yaml_name(path):
        return "nested"
    if skos.is_skos_name(path):
        return "skos"
    return "edges" if name.endswith(".tsv") else "paths" if name.endswith(".paths") else None


def _guess(path: Path, content: bytes, separator: str) -> str:
    found = format_of_name(path)
    if skos.is_skos_content(content):
        return "skos"
    if files.plain_name(path).endswith(".csv"):
        return "table"
    first = content.lstrip()[:4096].partition(b"\n")[0].decode(errors="replace")
    if found in ("edges", None) and first.lower().split("\t") not in _OF_EDGES and tables.is_table(first):
        return "table"
    if found == "edges" and b"\t" not in content:
        raise TaxonomyError(
            f"{path} has no TAB in it: not a file of edges (parent<TAB>child); "
            "separate the columns with a TAB, "
            "or pass format='paths' when each line is the path of a label."
        )
    if found is not None:
        return found
    if content.lstrip()[:1] in (b"{", b"["):
        return "nested"
    if b"\t" in content:
        return "edges"
    _check_paths(path, content, separator)
    return "paths"


def _check_paths(path: Path, content: bytes, separator: str) -> None:
    """Raise a TaxonomyError when lines, guessed to be paths, seem to be edges without a TAB."""
    path_start = f"{ROOT}{separator}".encode()
    for number, line in enumerate(content.split(b"\n"), start=1):
        if re.match(rb"Root[,; ]", line) and not line.startswith(path_start):
            raise TaxonomyError(
                f"{path}:{number}: {line.decode(errors='replace').rstrip()!r:.80} begins with {ROOT!r}, the artificial "
                "root, but has no TAB: write parent<TAB>child, or pass the format 'paths' when it is the id of a label."
            )


def _read_edges(path: Path, content: bytes) -> Taxonomy:
    problems: list[str] = []
    edges: list[tuple[str | None, str]] = []
    where: list[str] = []
    for line, place in _without_head(files.split_lines(content, path, problems), path):
        columns = line.split("\t")
        if not columns[0] and len(columns) > 1:
            raise TaxonomyError(
                f"{place}: the line begins with a TAB; an indented list is not read. Write parent<TAB>child, or a "
                "nested YAML file."
            )
        if len(columns) != 2:
            problems.append(
                f"{place}: {counted(len(columns), 'column')} in {line!r:.80}; write parent<TAB>child, one child a line"
            )
        elif columns[1] == ROOT:
            problems.append(f"{place}: {ROOT!r} is the artificial root and cannot be a child; rename the label")
        else:
            edges.append((None if columns[0] == ROOT else columns[0], columns[1]))
            where.append(place)
    return Taxonomy(*building.build(edges, where=where, source=str(path), problems=problems))


def is_comment(line: str) -> bool:
    """Whether a line at the top of a file is a comment."""
    return line.startswith(("# ", "#\t", "##")) or line == "#"


_OF_EDGES = (["parent", "child"], ["broader", "narrower"])
"""Headers above edges, which are left out."""
_STEPS = (" > ", " >> ", " » ", " / ", " | ", " - ", "::", "--", "->", "\\", ">", "|", ".")
"""What separates the steps of paths where it is not a slash."""


def _without_head(lines: Iterable[tuple[str, str]], path: Path) -> Iterator[tuple[str, str]]:
    """The lines without what stands above them: comments (``# ...``) and the names of the columns of edges."""
    left_out: list[str] = []
    at_top = True
    for line, place in lines:
        if at_top and (is_comment(line) or line.lower().split("\t") in _OF_EDGES):
            left_out.append(line)
            continue
        at_top = False
        yield line, place
    if left_out:
        logger.warning(
            "%s: %s at the top %s left out, such as %r",
            path,
            counted(len(left_out), "line"),
            "was" if len(left_out) == 1 else "were",
            left_out[0][:60],
        )


def _read_paths(path: Path, content: bytes, separator: str) -> Taxonomy:
    problems: list[str] = []
    lines = list(_without_head(files.split_lines(content, path, problems), path))
    indented = next((place for line, place in lines if line.startswith(("  ", "\t"))), None)
    if indented is not None and len(lines) > 1:
        raise TaxonomyError(
            f"{indented}: the line is indented, which says nothing in a file of paths; write the whole path of each "
            f"label (parent{separator}child), or a nested YAML file."
        )
    if len(lines) > 1 and not any(separator in line for line, _ in lines):
        other = next((mark for mark in _STEPS if sum(mark in line for line, _ in lines) > len(lines) / 2), None)
        if other is not None:
            logger.warning(
                "%s: no line has %r in it, and most have %r; if it separates the steps of paths, give %s",
                path,
                separator,
                other,
                parameter("path_separator", other, python="separator"),
            )
    return _from_paths([line for line, _ in lines], separator, [place for _, place in lines], str(path), problems)


def _from_paths(
    labels: Iterable[str], separator: str, where: Sequence[str] | None, source: str | None, problems: list[str]
) -> Taxonomy:
    if not separator:
        raise ConfigError("The separator of paths is empty; give one, such as '/'.")
    first: dict[str, str] = {}
    edges: dict[tuple[str | None, str], str] = {}
    names: dict[str, building.Name] = {}
    for number, label in enumerate(labels):
        place = where[number] if where is not None else f"label {number + 1}"
        problem = building.id_problem(label) or _path_problem(label, separator)
        if problem:
            problems.append(f"{place}: {problem}")
        elif label in first:
            problems.append(f"{place}: the path {label!r} is a duplicate (first at {first[label]}); remove one")
        else:
            first[label] = place
            parent: str | None = None
            for segment in label.split(separator):
                child = segment if parent is None else f"{parent}{separator}{segment}"
                edges.setdefault((parent, child), place)
                names.setdefault(child, building.Name(child, segment, place))
                parent = child
    parts = building.build(
        list(edges), names=names.values(), where=list(edges.values()), source=source, problems=problems
    )
    return Taxonomy(*parts)


def _path_problem(label: str, separator: str) -> str | None:
    for segment in label.split(separator):
        if not segment:
            return f"the path {label!r} has an empty segment between separators {separator!r}; remove or fill it"
        if segment != segment.strip():
            return (
                f"the segment {segment!r} of the path {label!r} begins or ends with white space; "
                f"remove it or make it part of the separator (now {separator!r})"
            )
    return None


class _NamesFile(NamedTuple):
    """The lines of a file of names, and the descriptions and alternative names of those that have some."""

    names: list[building.Name]
    descriptions: list[building.Name]
    alternatives: list[building.Name]


def _name_rows(path: Path) -> _NamesFile:
    problems: list[str] = []
    rows: dict[str, building.Name] = {}
    descriptions: list[building.Name] = []
    alternatives: list[building.Name] = []
    content = files.read_bytes(path)
    if files.plain_name(path).endswith(".csv"):
        found: Iterable[tuple[list[str], str]] = tables.name_rows(files.decode(content, path), path, problems)
    else:
        found = ((line.split("\t"), place) for line, place in files.split_lines(content, path, problems))
    for columns, place in found:
        if len(columns) < 2:
            problems.append(
                f"{place}: {counted(len(columns), 'column')} in {columns[0]!r:.80}; write id<TAB>name, "
                "id<TAB>name<TAB>description, or alternative names in further columns"
            )
        elif problem := building.id_problem(columns[0]):
            problems.append(f"{place}: {problem}")
        elif columns[0] in rows:
            first = rows[columns[0]].where
            problems.append(f"{place}: the id {columns[0]!r} is named twice (first at {first}); remove one")
        else:
            rows[columns[0]] = building.Name(columns[0], columns[1], place)
            # An empty column before alternative names says nothing.
            if len(columns) == 3 or (len(columns) > 3 and columns[2].strip()):
                descriptions.append(building.Name(columns[0], columns[2], place))
            alternatives += [building.Name(columns[0], text, place) for text in columns[3:] if text.strip()]
    if problems:
        raise TaxonomyError(f"The names file {path} has {counted(len(problems), 'problem')}:", problems)
    return _NamesFile(list(rows.values()), descriptions, alternatives)
