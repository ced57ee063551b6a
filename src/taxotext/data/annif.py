"""Corpora of Annif (https://github.com/NatLibFi/Annif/wiki/Document-corpus-formats): TSV, JSON Lines, folders of texts.

Subjects are URIs, or names (``prefLabel``) that a taxonomy turns into ids. Their ids here are the URIs without angle
brackets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from taxotext.data.formats import Asked, Item, Record
from taxotext.data.readers import encoding_fault
from taxotext.data.records import BadRecordError, kind, missing_field, short
from taxotext.data.sources import Lines
from taxotext.errors import DataError, nearest
from taxotext.labels import Taxonomy

SUBJECT_SUFFIXES = (".tsv", ".key")
"""Of the file beside a text that holds its subjects; the first one that is there counts."""


class Subjects:
    """Turns subjects of a corpus into label ids.

    Args:
        taxonomy: its names stand for its ids; None: a subject that is given by name has the name as its id.
    """

    def __init__(self, taxonomy: Taxonomy | None) -> None:
        self._ids = frozenset(taxonomy.ids) if taxonomy is not None else frozenset()
        self._named: dict[str, list[str]] = {}
        if taxonomy is not None:
            for label, name in zip(taxonomy.ids, taxonomy.names, strict=True):
                if name is not None:
                    self._named.setdefault(name, []).append(label)

    def of_name(self, name: str) -> str:
        """Return the id of the label with this name.

        Raises:
            BadRecordError: several labels have it.
        """
        found = self._named.get(" ".join(name.split()), ())
        if name in self._ids or not found:
            return name
        if len(found) > 1:
            raise BadRecordError(
                f"the subject {name!r} is the name of {len(found)} labels ({', '.join(found[:3])}); give its URI"
            )
        return found[0]


def read_tsv(asked: Asked, lines: Lines) -> Iterator[Item]:
    """Short texts: a text, a TAB and its URIs with blanks between them; there is no header."""
    for number, raw in lines:
        yield f"{asked.name}:{number}", _of_line(raw, asked.labelled)


def _of_line(raw: bytes, labelled: bool) -> Record | BadRecordError | None:
    if not raw.strip():
        return None
    fault = encoding_fault(raw)
    if fault is not None:
        return BadRecordError(fault)
    cells = raw.decode().rstrip("\r\n").split("\t")
    if len(cells) == 1 and not labelled:
        return {"text": cells[0]}
    if len(cells) != 2:
        tabs = "no TAB" if len(cells) == 1 else f"{len(cells) - 1} TABs"
        return BadRecordError(f"the line has {tabs}; write the text, a TAB, and the URIs of its subjects")
    bare = [uri for uri in cells[1].split() if uri == _bare(uri) and ":" not in uri]
    if bare:
        return BadRecordError(
            f"the subject {short(bare[0])} is no URI; write <http://...>, with blanks between several"
        )
    return {"text": cells[0], "labels": [_bare(uri) for uri in cells[1].split()]}


def read_jsonl(asked: Asked, lines: Lines) -> Iterator[Item]:
    """JSON Lines: ``document_id``, ``text``, ``metadata`` (fields of their own here), ``subjects``."""
    subjects = Subjects(asked.taxonomy)
    for number, raw in lines:
        item: Record | BadRecordError | None = None
        if raw.strip():
            try:
                item = _of_json(raw, asked, subjects)
            except BadRecordError as reason:
                item = reason
        yield f"{asked.name}:{number}", item


def _of_json(raw: bytes, asked: Asked, subjects: Subjects) -> Record:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRecordError(encoding_fault(raw) or f"this is not valid JSON, {error.msg}") from None
    if not isinstance(value, dict):
        raise BadRecordError(f"a document must be a JSON object, found {kind(value)}: {short(value)}")
    metadata = value.pop("metadata", None)
    if metadata is not None and not isinstance(metadata, dict):
        raise BadRecordError(f"the field 'metadata' must be an object, found {kind(metadata)}: {short(metadata)}")
    twice = sorted(set(metadata or ()) & set(value))
    if twice:
        raise BadRecordError(f"the field {twice[0]!r} is there and in 'metadata' too; rename one of them")
    record: Record = {**value, **(metadata or {})}
    if "document_id" in record:
        record[asked.columns.id] = record.pop("document_id")
    if asked.labelled:
        if "subjects" not in record:
            raise BadRecordError(missing_field("subjects", list(record)))
        record[asked.columns.labels] = _ids_of(record.pop("subjects"), subjects)
    return record


def _ids_of(given: Any, subjects: Subjects) -> list[str]:
    if not isinstance(given, list):
        raise BadRecordError(f"the field 'subjects' must be a list of objects, found {kind(given)}: {short(given)}")
    found = []
    for subject in given:
        name = subject.get("uri", subject.get("label")) if isinstance(subject, dict) else None
        if not isinstance(name, str):
            raise BadRecordError(f"a subject must be an object with 'uri' or 'label', found {short(subject)}")
        found.append(_bare(name) if "uri" in subject else subjects.of_name(name))
    return found


def read_folder(asked: Asked, folder: Path) -> Iterator[Item]:
    """Full texts in the order of their names: ``NAME.txt`` with its subjects in ``NAME.tsv`` or ``NAME.key``.

    ``.tsv`` has a line ``<URI> TAB name`` for each subject, ``.key`` the name. A document may also be one file
    ``NAME.json`` with the fields of :func:`read_jsonl`. The id of a document is NAME.
    """
    subjects = Subjects(asked.taxonomy)
    try:
        files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read: {error.strerror or error}") from error
    documents = {file.stem for file in files if file.suffix in (".txt", ".json")}
    for file in files:
        try:
            if file.suffix == ".txt":
                yield _place(asked, file), _of_text(asked, file, subjects)
            elif file.suffix == ".json":
                record = _of_json(_content(file), asked, subjects)
                yield _place(asked, file), {asked.columns.id: file.stem, **record}
            elif asked.labelled and file.suffix in SUBJECT_SUFFIXES and file.stem not in documents:
                hint = nearest(file.stem, documents)
                raise BadRecordError(f"there is no text for these subjects; it would be {file.stem}.txt.{hint}")
        except BadRecordError as reason:
            yield _place(asked, file), reason


def _place(asked: Asked, file: Path) -> str:
    return f"{asked.name}/{file.name}".replace("//", "/")


def _of_text(asked: Asked, file: Path, subjects: Subjects) -> Record:
    columns = asked.columns
    record: Record = {columns.id: file.stem, columns.text[0]: _text(file)}
    if not asked.labelled:
        return record
    beside = next((path for suffix in SUBJECT_SUFFIXES if (path := file.with_suffix(suffix)).is_file()), None)
    if beside is None:
        raise BadRecordError(
            f"there are no subjects beside it; write them into {file.stem}.tsv or {file.stem}.key "
            "(an empty file means: no subjects)"
        )
    found: list[str] = []
    for number, line in enumerate(_text(beside).splitlines(), 1):
        try:
            found += _of_subject_line([cell for cell in map(str.strip, line.split("\t")) if cell], subjects)
        except BadRecordError as reason:
            raise BadRecordError(f"in {beside.name}:{number}, {reason}") from None
    record[columns.labels] = found
    return record


def _of_subject_line(cells: Sequence[str], subjects: Subjects) -> list[str]:
    if not cells:
        return []
    uris = [_bare(cell) for cell in cells if cell.startswith("<") and cell.endswith(">")]
    return uris[:1] or [subjects.of_name(cells[0])]


def _text(file: Path) -> str:
    content = _content(file)
    for number, line in enumerate(content.split(b"\n"), 1):
        fault = encoding_fault(line)
        if fault is not None:
            raise BadRecordError(f"in {file.name}:{number}, {fault}")
    return content.decode()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise BadRecordError(f"the file {file.name} cannot be read: {error.strerror or error}") from None


def _bare(uri: str) -> str:
    uri = uri.strip()
    return uri[1:-1] if uri.startswith("<") and uri.endswith(">") else uri
