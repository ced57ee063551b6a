"""Writing corpora, so that reading them back gives the same corpus: JSONL, CSV and TSV here."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from taxotext.data.columns import DEFAULT_COLUMNS, Columns
from taxotext.data.corpus import Corpus
from taxotext.data.records import short
from taxotext.data.sources import format_of_path, parse_format
from taxotext.errors import DataError
from taxotext.files import replacing

WRITTEN = ("jsonl", "csv", "tsv", "parquet", "annif-tsv", "libmultilabel")
"""The formats that a corpus can be written in."""


def write_corpus(
    corpus: Corpus,
    path: Path | str,
    columns: Columns = DEFAULT_COLUMNS,
    *,
    overwrite: bool = False,
    format: str | None = None,
) -> None:
    """Write a corpus in a format of :data:`WRITTEN`; None: the one that the suffix names.

    Args and errors are those of :func:`write_jsonl`; see also :func:`write_csv` and :mod:`taxotext.data.exports`.

    Raises:
        DataError: the format is not written.
    """
    from taxotext.data import exports

    kind = output_format(path, format)
    write = {
        "jsonl": write_jsonl,
        "parquet": exports.write_parquet,
        "annif-tsv": exports.write_annif_tsv,
        "libmultilabel": exports.write_libmultilabel,
    }.get(kind, write_csv)
    write(corpus, path, columns, overwrite=overwrite)


def output_format(path: Path | str, format: str | None = None) -> str:
    """The format that a corpus is written in: one of :data:`WRITTEN`.

    Raises:
        DataError: the format, or the suffix, is none of them.
    """
    target = Path(path)
    kind, _ = format_of_path(target) if format is None else parse_format(format)
    if kind not in WRITTEN:
        raise DataError(f"{target}: corpora are read but not written as {kind}; choose one of {', '.join(WRITTEN)}")
    suffixes = {"csv": (".csv", ".csv.gz"), "tsv": (".tsv", ".tsv.gz", ".tab", ".tab.gz")}.get(kind, ("",))
    if not target.name.lower().endswith(suffixes):
        raise DataError(f"{target}: name a file in the format {kind} .{kind}, so that it is read as such")
    return kind


def write_jsonl(
    corpus: Corpus, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False
) -> None:
    """Write one JSON object a line: id, text, labels, weight, group, then the metadata.

    Args:
        corpus: the labels written are those of ``targets``, after the closure policy, unknown labels
            included.
        path: with ``.gz`` it is compressed. The file appears complete or not at all.
        columns: the names of the fields. The text goes into the first text field; weights and groups, where
            the corpus has them, into ``weight`` and ``group`` unless ``columns`` names other fields.
        overwrite: whether an existing file may be replaced.

    Raises:
        DataError: the file exists, cannot be written, or a metadata field has the name of another field.
    """
    target = Path(path)
    names = field_names(corpus, columns)
    with opened_for(target, overwrite) as stream:
        for record in corpus_records(corpus, names):
            try:
                stream.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            except TypeError as error:  # orjson's error for values that JSON has no form for
                raise DataError(
                    f"{target}: the document {short(record[names['text']])} cannot be written as JSON: "
                    f"{error}; use strings, numbers, lists and mappings in metadata"
                ) from error


def write_csv(corpus: Corpus, path: Path | str, columns: Columns = DEFAULT_COLUMNS, *, overwrite: bool = False) -> None:
    """Write a header and one row a document; separated by tabs if the path ends in ``.tsv``, else by commas.

    Label cells hold a JSON list, which any label survives, unless ``columns.label_separator`` is given.
    Metadata that are not strings are written as JSON; a field that a document lacks is an empty cell.

    Args and errors are those of :func:`write_jsonl`; besides, a label may not contain the separator.
    """
    target = Path(path)
    tabs = [suffix.lower() for suffix in target.suffixes if suffix.lower() != ".gz"][-1:] in (
        [".tsv"],
        [".tab"],
    )
    delimiter = "\t" if tabs else ","
    names = field_names(corpus, columns)
    metadata = dict.fromkeys(name for fields in corpus.metadata or () for name in fields)
    header = [name for role, name in names.items() if role != "id" or corpus.ids is not None] + list(metadata)
    with opened_for(target, overwrite) as stream:
        stream.write(_row(header, delimiter, target))
        for record in corpus_records(corpus, names):
            record[names["labels"]] = _label_cell(record[names["labels"]], columns.label_separator, target)
            stream.write(_row([_cell(record.get(name)) for name in header], delimiter, target))


def field_names(corpus: Corpus, columns: Columns) -> dict[str, str]:
    """Return role -> field name, in the order of writing; DataError when metadata would overwrite one."""
    names = {} if corpus.ids is None and columns.id_field is None else {"id": columns.id}
    names |= {"text": columns.text[0], "labels": columns.labels}
    if corpus.weights is not None:
        names["weight"] = columns.weight or "weight"
    if corpus.groups is not None:
        names["group"] = columns.group or "group"
    taken: dict[str, str] = {}
    for role, name in names.items():
        if name in taken:
            raise DataError(f"the field {name!r} would hold {taken[name]} and {role}; name another one in columns")
        taken[name] = role
    for number, fields in enumerate(corpus.metadata or (), 1):
        for name in fields:
            if name in taken:
                raise DataError(
                    f"document {number} has {name!r} among its metadata, where the {taken[name]} is to be "
                    f"written; name another field for the {taken[name]} in columns"
                )
    return names


def corpus_records(corpus: Corpus, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
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


def _label_cell(labels: list[str], separator: str | None, target: Path) -> str:
    if not separator:
        if separator == "" and len(labels) == 1:
            return labels[0]
        if separator == "" and len(labels) > 1:
            raise DataError(
                f"{target}: a document has {len(labels)} labels, and label_separator='' leaves room for one; "
                "give a separator"
            )
        return orjson.dumps(labels).decode() if labels else ""
    for label in labels:
        if separator in label:
            raise DataError(
                f"{target}: the label {label!r} contains the separator {separator!r}; choose another one, or "
                "leave label_separator out to write JSON lists"
            )
    return separator.join(labels)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _row(cells: list[str], delimiter: str, target: Path) -> bytes:
    # Not the csv module: up to Python 3.12 it leaves a lone carriage return without quotes.
    quoted = []
    for cell in cells:
        if "\0" in cell:
            raise DataError(f"{target}: {short(cell)} holds a NUL character, which CSV has no form for; write JSONL")
        special = delimiter in cell or '"' in cell or "\n" in cell or "\r" in cell
        quoted.append('"' + cell.replace('"', '""') + '"' if special else cell)
    row = delimiter.join(quoted)
    lines = row.split("\n")
    if delimiter == "\t" and len(lines) > 1 and lines[0].count("\t") == lines[-1].count("\t") == len(cells) - 1:
        odd = [cell for cell in cells if "\t" in cell and "\n" in cell]
        if odd:  # the reader would take it for rows that an open quote has swallowed
            raise DataError(
                f"{target}: {short(odd[0])} has tabs and line breaks that look like rows of a TSV file; "
                "write JSONL or CSV"
            )
    return (row + "\n").encode("utf-8")


@contextmanager
def opened_for(path: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` that takes its place once complete, or vanishes."""
    if path.is_dir():
        raise DataError(f"{path}: this is a folder; give the name of a file in it")
    if path.exists() and not overwrite:
        raise DataError(f"{path}: the file exists already; give another name, or overwrite=True to replace it")
    if not path.parent.is_dir():
        raise DataError(f"{path}: the folder {path.parent} does not exist; make it first")
    try:
        with replacing(path) as temporary, temporary.open("wb") as raw:
            if path.suffix.lower() == ".gz":
                # No name and no time inside, so that the same corpus gives the same bytes.
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield raw
    except OSError as error:
        raise DataError(f"{path}: the file cannot be written: {error.strerror or error}") from error
