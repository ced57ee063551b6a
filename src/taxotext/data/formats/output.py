"""What writers share: names of fields, records of documents, files that appear complete or not at all."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from taxotext.data.columns import Columns
from taxotext.data.formats.base import Documents
from taxotext.data.records import short
from taxotext.errors import DataError
from taxotext.files import check_target, replacing
from taxotext.messages import parameter

logger = logging.getLogger("taxotext")

_BREAKS = str.maketrans("\t\n\r", "   ")


def field_names(corpus: Documents, columns: Columns) -> dict[str, str]:
    """Return role -> field name, in the order of writing; DataError when metadata would overwrite one."""
    names = {} if corpus.ids is None and columns.id_field is None else {"id": columns.id}
    names |= {"text": columns.text[0], "labels": columns.label_field}
    if corpus.weights is not None:
        names["weight"] = columns.weight or "weight"
    if corpus.groups is not None:
        names["group"] = columns.group or "group"
    taken: dict[str, str] = {}
    for role, name in names.items():
        if name in taken:
            raise DataError(
                f"the field {name!r} would hold {taken[name]} and {role}; name another one with {parameter(role)}"
            )
        taken[name] = role
    for number, fields in enumerate(corpus.metadata or (), 1):
        for name in fields:
            if name in taken:
                raise DataError(
                    f"document {number} has {name!r} among its metadata, where the {taken[name]} is to be "
                    f"written; name another field for the {taken[name]} with {parameter(taken[name])}"
                )
    return names


def records_of(corpus: Documents, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """One mapping of fields for each document, ``names`` being role -> field."""
    for row, labels in enumerate(corpus.label_lists()):
        record: dict[str, Any] = {}
        if corpus.ids is not None and corpus.ids[row] is not None:
            record[names["id"]] = corpus.ids[row]
        record[names["text"]] = corpus.texts[row]
        record[names["labels"]] = labels
        if corpus.weights is not None:
            record[names["weight"]] = float(str(corpus.weights[row]))  # 0.1, not 0.10000000149
        if corpus.groups is not None:
            record[names["group"]] = corpus.groups[row]
        record.update(corpus.metadata[row] if corpus.metadata is not None else {})
        yield record


def write_lines(corpus: Documents, target: Path, line: Callable[[int, str, list[str]], str], overwrite: bool) -> None:
    """Write the line of each document (its row, its text on one line, its labels)."""
    changed = 0
    with opened_for(target, overwrite) as stream:
        for row, labels in enumerate(corpus.label_lists()):
            text = corpus.texts[row]
            flat = text.translate(_BREAKS)
            changed += flat != text
            if not flat.strip():
                raise DataError(f"{target}: nothing is left of the text {short(text)} on one line")
            stream.write(line(row, flat, labels).encode() + b"\n")
    if changed:
        logger.info("%s: line breaks and TABs became blanks in %d text(s)", target, changed)


@contextmanager
def opened_for(path: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` that takes its place once complete, or vanishes."""
    check_target(path, "file", DataError)
    if path.exists() and not overwrite:
        raise DataError(
            f"{path}: the file exists already; give another name, or {parameter('overwrite', True)} to replace it"
        )
    if not path.parent.is_dir():
        raise DataError(f"{path}: the folder {path.parent} does not exist; make it first")
    try:
        with replacing(path, follow_link=True) as temporary, temporary.open("wb") as raw:
            if path.suffix.lower() == ".gz":
                # No name and no time inside, so that the same corpus gives the same bytes.
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield raw
    except OSError as error:
        raise DataError(f"{path}: the file cannot be written: {error.strerror or error}") from error
