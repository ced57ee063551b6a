"""The formats of corpora beside JSONL, CSV and TSV: each is a way to records, which one parser makes documents of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from taxotext.data.columns import Columns, ReadReport
from taxotext.data.records import BadRecordError, RecordParser
from taxotext.data.sources import open_lines, resolve_format, source_name
from taxotext.errors import DataError
from taxotext.labels import Taxonomy

Record = dict[str, Any]
Item = tuple[str, Record | BadRecordError | None]
"""Where a record stands, and the record, or why it is none, or None for a blank line."""


@dataclass(frozen=True)
class Asked:
    """What is to be read, and how; see :func:`taxotext.data.read_documents`."""

    source: Path | str | BinaryIO
    format: str
    compressed: bool
    columns: Columns
    labelled: bool
    report: ReadReport
    taxonomy: Taxonomy | None = None

    @property
    def name(self) -> str:
        """The source in sentences."""
        return source_name(self.source)

    @property
    def folder(self) -> Path:
        """The source as a folder.

        Raises:
            DataError: it is none.
        """
        if not isinstance(self.source, (str, Path)) or not Path(self.source).is_dir():
            raise DataError(f"{self.name}: a corpus in the format {self.format} is a folder; name that")
        return Path(self.source)


def open_records(asked: Asked) -> tuple[Iterator[Item], RecordParser]:
    """Return the records of a corpus and the parser for them; formats whose fields have fixed names ignore others.

    Raises:
        DataError: the file or folder is not of this format.
        MissingExtraError: the format needs a package that is not installed.
    """
    if asked.format == "parquet":
        from taxotext.data.parquet import read_parquet

        return read_parquet(asked)
    if asked.format == "dataset":
        from taxotext.data.hub import read_saved

        return read_saved(asked)
    if asked.format == "annif-folder":
        from taxotext.data.annif import read_folder

        return read_folder(asked, asked.folder), _parser(asked, asked.columns)
    columns = asked.columns
    if asked.format in ("annif-tsv", "libmultilabel", "svmlight"):
        columns = replace(columns, text=("text",), labels="labels", id="id")  # they have no names of their own
    return _lines(replace(asked, columns=columns)), _parser(asked, columns)


def _parser(asked: Asked, columns: Columns) -> RecordParser:
    return RecordParser(columns, asked.labelled, None, asked.report)


def _lines(asked: Asked) -> Iterator[Item]:
    from taxotext.data import annif, extreme

    read: Any = {
        "annif-tsv": annif.read_tsv,
        "annif-jsonl": annif.read_jsonl,
        "libmultilabel": extreme.read_libmultilabel,
        "svmlight": extreme.read_svmlight,
        "xc-json": extreme.read_xc_json,
    }[asked.format]
    with open_lines(asked.source, asked.compressed) as lines:
        yield from read(asked, lines)


def declared_labels(source: Path | str | BinaryIO, columns: Columns, format: str | None = None) -> tuple[str, ...]:
    """The label ids that a corpus declares beside those that occur; none where its format declares no labels.

    ``svmlight`` files with a header have the labels 0 to L - 1, datasets of Hugging Face those of their ``ClassLabel``.
    """
    if not isinstance(source, (str, Path)):
        return ()
    kind, compressed = resolve_format(source, format)
    if kind == "svmlight":
        from taxotext.data.extreme import declared_by_header

        with open_lines(source, compressed) as lines:
            return declared_by_header(lines)
    if kind == "dataset":
        from taxotext.data.hub import declared_by_features

        return declared_by_features(Path(source), columns)
    return ()
