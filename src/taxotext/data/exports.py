"""Writing corpora for others: Parquet, Annif's TSV, LibMultiLabel's text lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from taxotext.data.columns import DEFAULT_COLUMNS, Columns
from taxotext.data.corpus import Corpus
from taxotext.data.records import short
from taxotext.data.writers import corpus_records, field_names, opened_for
from taxotext.errors import DataError

logger = logging.getLogger("taxotext")


def write_parquet(
    corpus: Corpus, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write a Parquet file (extra ``parquet``): id, text, labels (lists of strings), weight, group, then the metadata.

    Ids are whole numbers where all of them are, else strings.

    Args and errors are those of :func:`taxotext.data.write_jsonl`; besides, the values of a field of the metadata must
    have a common type.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    from taxotext.data.parquet import write_parquet_records

    target = Path(path)
    names = field_names(corpus, columns)
    roles = {role: name for role, name in names.items() if role != "id" or corpus.ids is not None}

    def metadata() -> Iterator[Mapping[str, Any]]:
        return iter(corpus.metadata or ())

    ids = [value for value in corpus.ids or () if value is not None]
    whole = bool(ids) and all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in ids)

    def records() -> Iterator[dict[str, Any]]:
        for record in corpus_records(corpus, names):
            if not whole and isinstance(record.get(names.get("id", "")), int):  # a column has one type
                record[names["id"]] = str(record[names["id"]])
            yield record

    with opened_for(target, overwrite) as stream:
        write_parquet_records(records(), roles, metadata, target, stream, whole_ids=whole)


def write_annif_tsv(
    corpus: Corpus, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write Annif's short texts: a text, a TAB, the labels in angle brackets.

    Line breaks and TABs in texts become blanks. Ids and all other fields have no place there.

    Raises:
        DataError: a label is no URI (it has a blank or an angle bracket in it, or no colon); or as
            :func:`taxotext.data.write_jsonl`.
    """

    def line(row: int, text: str, labels: list[str]) -> str:
        for label in labels:
            if ":" not in label or any(sign.isspace() or sign in "<>" for sign in label):
                raise DataError(f"{path}: the label {label!r} is no URI, and Annif knows subjects by URIs")
        return text + "\t" + " ".join(f"<{label}>" for label in labels)

    _write_lines(corpus, Path(path), line, overwrite)


def write_libmultilabel(
    corpus: Corpus, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write LibMultiLabel's lines: the id (or the number of the document, from 1), the labels, the text.

    Line breaks and TABs in texts become blanks. Other fields have no place there.

    Raises:
        DataError: a label has a blank in it; or as :func:`taxotext.data.write_jsonl`.
    """

    def line(row: int, text: str, labels: list[str]) -> str:
        for label in labels:
            if any(sign.isspace() for sign in label):
                raise DataError(f"{path}: the label {label!r} has a blank in it, which separates labels there")
        document_id = None if corpus.ids is None else corpus.ids[row]
        name = str(row + 1) if document_id is None else " ".join(str(document_id).split())
        return "\t".join([name, " ".join(labels), text])

    _write_lines(corpus, Path(path), line, overwrite)


def _write_lines(corpus: Corpus, target: Path, line: Callable[[int, str, list[str]], str], overwrite: bool) -> None:
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


_BREAKS = str.maketrans("\t\n\r", "   ")
