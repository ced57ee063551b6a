"""Writing corpora, so that reading them back gives the same corpus."""

from __future__ import annotations

from pathlib import Path

from taxotext.data.columns import DEFAULT_COLUMNS, Columns
from taxotext.data.formats.base import Documents, Format
from taxotext.data.formats.table import WRITTEN, format_of_path, parse_format
from taxotext.errors import DataError


def write_corpus(
    corpus: Documents,
    path: Path | str,
    columns: Columns = DEFAULT_COLUMNS,
    *,
    overwrite: bool = False,
    format: str | None = None,
) -> None:
    """Write a corpus in a format of :data:`taxotext.data.WRITTEN`; None: the one that the suffix names.

    Args and errors are those of :func:`taxotext.data.write_jsonl`, :func:`taxotext.data.write_csv` and so on.

    Raises:
        DataError: the format is not written.
    """
    write = output_format(path, format).write
    assert write is not None
    write(corpus, path, columns, overwrite=overwrite)


def output_format(path: Path | str, format: str | None = None) -> Format:
    """The format that a corpus is written in.

    Raises:
        DataError: the format, or the suffix, is not one that corpora are written in.
    """
    target = Path(path)
    found, _ = format_of_path(target) if format is None else parse_format(format)
    name = found.name
    if found.write is None:
        raise DataError(f"{target}: corpora are read but not written as {name}; choose one of {', '.join(WRITTEN)}")
    if found.written_suffixes and not target.name.lower().endswith(found.written_suffixes):
        raise DataError(f"{target}: name a file in the format {name} .{name}, so that it is read as such")
    return found
