"""Corpora of Annif (https://github.com/NatLibFi/Annif/wiki/Document-corpus-formats): TSV, JSON Lines, folders of texts.

Subjects are URIs, or names (``prefLabel``) that a taxonomy turns into ids. Their ids here are the URIs without angle
brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from taxotext.data.columns import DEFAULT_COLUMNS, Columns
from taxotext.data.formats.base import (
    Documents,
    Format,
    Item,
    Reading,
    Record,
    Request,
    decoded,
    from_lines,
    json_object,
    object_in,
    parsed,
    with_labels,
)
from taxotext.data.formats.output import write_lines
from taxotext.data.records import BadRecordError, kind, missing_field, short
from taxotext.data.sources import Lines, encoding_fault
from taxotext.errors import DataError, nearest
from taxotext.labels import Taxonomy

_URIS = re.compile(rb"(?:<[^<>\s]+>\s*)+")
SUBJECT_SUFFIXES = (".tsv", ".key")
"""Of the file beside a text that holds its subjects; the first one that is there counts."""


class Subjects:
    """Turns subjects of a corpus into label ids.

    Args:
        taxonomy: its names stand for its ids; None: a subject that is given by name has the name as its id.
    """

    def __init__(self, taxonomy: Taxonomy | None) -> None:
        self._taxonomy = taxonomy

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        """The ids of the labels with each name, gathered when the first subject is given by name."""
        named: dict[str, list[str]] = {}
        if self._taxonomy is not None:
            for label, name in zip(self._taxonomy.ids, self._taxonomy.names, strict=True):
                if name is not None:
                    named.setdefault(name, []).append(label)
        return named

    def of_name(self, name: str) -> str:
        """Return the id of the label with this name.

        Raises:
            BadRecordError: several labels have it.
        """
        found = self._named.get(" ".join(name.split()), ())
        if not found or (self._taxonomy is not None and name in self._taxonomy):
            return name
        if len(found) > 1:
            raise BadRecordError(
                f"the subject {name!r} is the name of {len(found)} labels ({', '.join(found[:3])}); give its URI"
            )
        return found[0]


def _tsv(request: Request, lines: Lines) -> Iterator[Item]:
    """Short texts: a text, a TAB and its URIs with blanks between them; there is no header."""
    return parsed(request, lines, partial(_of_line, labelled=request.labelled))


def _of_line(raw: bytes, labelled: bool) -> Record:
    cells = decoded(raw).rstrip("\r\n").split("\t")
    if len(cells) == 1 and not labelled:
        return {"text": cells[0]}
    if len(cells) != 2:
        tabs = "no TAB" if len(cells) == 1 else f"{len(cells) - 1} TABs"
        raise BadRecordError(f"the line has {tabs}; write the text, a TAB, and the URIs of its subjects")
    bare = [uri for uri in cells[1].split() if uri == _bare(uri) and ":" not in uri]
    if bare:
        raise BadRecordError(
            f"the subject {short(bare[0])} is not a URI; write <http://...>, with blanks between several"
        )
    return {"text": cells[0], "labels": [_bare(uri) for uri in cells[1].split()]}


def _jsonl(request: Request, lines: Lines) -> Iterator[Item]:
    """JSON Lines: ``document_id``, ``text``, ``metadata`` (fields of their own here), ``subjects``."""
    subjects = Subjects(request.taxonomy)
    return parsed(request, lines, lambda raw: _of_json(raw, request, subjects))


def _of_json(raw: bytes, request: Request, subjects: Subjects) -> Record:
    value = json_object(raw)
    metadata = value.pop("metadata", None)
    if metadata is not None and not isinstance(metadata, dict):
        raise BadRecordError(f"the field 'metadata' must be an object, found {kind(metadata)}: {short(metadata)}")
    twice = sorted(set(metadata or ()) & set(value))
    if twice:
        raise BadRecordError(f"the field {twice[0]!r} is there and in 'metadata' too; rename one of them")
    record: Record = {**value, **(metadata or {})}
    if "document_id" in record and request.columns.id not in record:
        request.note_field("id", ("document_id",), "documents of Annif")
        record[request.columns.id] = record.pop("document_id")
    if request.labelled:
        if "subjects" not in record:
            raise BadRecordError(missing_field("subjects", list(record)))
        found = _ids_of(record.pop("subjects"), subjects)
        return with_labels(request, record, found, ("subjects",), "documents of Annif")
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


def _folder(request: Request) -> Reading:
    return _documents(request, request.folder), request.parser()


def _documents(request: Request, folder: Path) -> Iterator[Item]:
    """Full texts in the order of their names: ``NAME.txt`` with its subjects in ``NAME.tsv`` or ``NAME.key``.

    ``.tsv`` has a line ``<URI> TAB name`` for each subject, ``.key`` the name. A document may also be one file
    ``NAME.json`` with the fields of a line of :func:`_jsonl`. The id of a document is NAME.
    """
    subjects = Subjects(request.taxonomy)
    try:
        files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read: {error.strerror or error}") from error
    documents = {file.stem for file in files if file.suffix in (".txt", ".json")}
    for file in files:
        try:
            if file.suffix == ".txt":
                yield _place(request, file), _of_text(request, file, subjects)
            elif file.suffix == ".json":
                record = _of_json(_content(file), request, subjects)
                yield _place(request, file), {request.columns.id: file.stem, **record}
            elif request.labelled and file.suffix in SUBJECT_SUFFIXES and file.stem not in documents:
                hint = nearest(file.stem, documents)
                raise BadRecordError(f"there is no text for these subjects; it would be {file.stem}.txt.{hint}")
        except BadRecordError as reason:
            yield _place(request, file), reason


def _place(request: Request, file: Path) -> str:
    return f"{request.name}/{file.name}".replace("//", "/")


def _of_text(request: Request, file: Path, subjects: Subjects) -> Record:
    columns = request.columns
    for role in ("text", "labels", "id"):
        if getattr(columns, role) != getattr(DEFAULT_COLUMNS, role) and not columns.id_optional:
            request.report.unused[role] = "a file of text has no names of fields"
    record: Record = {columns.id: file.stem, columns.text[0]: _text(file)}
    if not request.labelled:
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
    record[columns.label_field] = found
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


def write_annif_tsv(
    corpus: Documents, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write Annif's short texts: a text, a TAB, the labels in angle brackets.

    Line breaks and TABs in texts become blanks. Ids and all other fields have no place there.

    Raises:
        DataError: a label is not a URI (it has a blank or an angle bracket in it, or no colon); or as
            :func:`taxotext.data.write_jsonl`.
    """

    def line(row: int, text: str, labels: list[str]) -> str:
        for label in labels:
            if ":" not in label or any(sign.isspace() or sign in "<>" for sign in label):
                raise DataError(f"{path}: the label {label!r} is not a URI, and Annif knows subjects by URIs")
        return text + "\t" + " ".join(f"<{label}>" for label in labels)

    write_lines(corpus, Path(path), line, overwrite)


def _is_tsv(line: bytes) -> bool:
    cells = line.split(b"\t")
    return len(cells) == 2 and _URIS.fullmatch(cells[1].strip()) is not None


def _has_no_subjects(line: bytes) -> bool:
    text, *cells = line.split(b"\t")
    return bool(text.strip()) and len(cells) == 1 and not cells[0].strip()


def _is_jsonl(line: bytes) -> bool:
    value = object_in(line)
    subjects = value.get("subjects")
    if "labels" in value or not isinstance(subjects, list) or not all(isinstance(each, dict) for each in subjects):
        return False
    named = any("uri" in subject or "label" in subject for subject in subjects)
    return named or (not subjects and "document_id" in value)


def _holds_texts(names: frozenset[str]) -> bool:
    suffixes = {Path(name).suffix for name in names}
    return ".txt" in suffixes and ".parquet" not in suffixes


TSV = Format(
    "annif-tsv",
    from_lines(_tsv, fixed_fields=True),
    first_line=_is_tsv,
    undecided=_has_no_subjects,
    looked_into=("tsv", "tab"),
    write=write_annif_tsv,
)
JSONL = Format("annif-jsonl", from_lines(_jsonl), first_line=_is_jsonl, looked_into=("jsonl", "ndjson", "json"))
FOLDER = Format("annif-folder", _folder, files=_holds_texts, is_folder=True, packed=False)
