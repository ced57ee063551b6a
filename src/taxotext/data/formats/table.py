"""The table of corpus formats, and the choice of one: by what the user says, the name of a file, its content."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

from taxotext.data.columns import Columns, ReadReport
from taxotext.data.formats import annif, delimited, extreme, fasttext, hub, json, parquet, plain
from taxotext.data.formats.base import Format, Request
from taxotext.data.sources import check_path, source_name
from taxotext.errors import DataError, nearest
from taxotext.messages import parameter

TABLE = (
    plain.TEXT,
    json.LINES,
    json.JSON,
    delimited.CSV,
    delimited.TSV,
    parquet.PARQUET,
    annif.TSV,
    annif.JSONL,
    annif.FOLDER,
    hub.DATASET,
    extreme.LIBMULTILABEL,
    fasttext.FASTTEXT,
    extreme.SVMLIGHT,
    extreme.XC_JSON,
    *json.TOOL_FORMATS,
)
"""All formats. Where several recognise a file or folder, the last of them has it."""

FORMATS = tuple(format.name for format in TABLE)
"""The formats of a corpus; those that are lines of text may end in ``.gz``."""

WRITTEN = tuple(format.name for format in TABLE if format.write is not None)
"""The formats that a corpus can be written in."""

SPREADSHEETS = ("xlsx", "xlsm", "xls", "ods")

LOOKED_AT = 2**22
"""Bytes of the first lines of a file that are looked at."""
LINES_LOOKED_AT = 1000
"""Lines of a file that are looked at, until one has labels."""

_BY_NAME = {format.name: format for format in TABLE}
_BY_SUFFIX = {suffix: format for format in TABLE for suffix in format.suffixes}
_KNOWN = "jsonl, json, csv or tsv, each also with .gz, or parquet"


def parse_format(format: str) -> tuple[Format, bool]:
    """Split a format as a user writes it into (entry of the table, compressed).

    Raises:
        DataError: it is unknown, or is never compressed.

    >>> parse_format("csv.gz")[0].name
    'csv'
    """
    lowered = str(format).lower().lstrip(".")
    stem, compressed = (lowered[:-3], True) if lowered.endswith(".gz") else (lowered, False)
    found = _BY_NAME.get(stem) or _BY_SUFFIX.get(stem)
    if found is None:
        raise DataError(
            f"unknown corpus format {format!r}; choose one of {', '.join(FORMATS)}; "
            f"those that are lines of text may end in .gz.{nearest(stem, FORMATS)}"
        )
    if compressed and not found.packed:
        raise DataError(f"the corpus format {found.name} is never packed as .gz; give {found.name!r}")
    return found, compressed


def format_of_path(path: Path) -> tuple[Format, bool]:
    """Guess (format, compressed) from the suffix of a path; DataError when it says nothing."""
    suffix, compressed = _suffix(path)
    found = _BY_SUFFIX.get(suffix)
    if found is not None:
        if compressed and not found.packed:
            raise DataError(f"{path}: a {suffix} file is packed inside; unpack it and take .gz off its name")
        return found, compressed
    what = f"the suffix {'.' + suffix!r} is none of a corpus file" if suffix else "the file name has no suffix"
    raise DataError(f"{path}: {what}; use {_KNOWN}, or give the format ({parameter('input_format')})")


def resolve_format(source: Path | str | BinaryIO, format: str | None) -> tuple[Format, bool]:
    """Return (format, compressed) from the setting, or from the path and its content where there is none.

    Raises:
        DataError: neither says the format.
    """
    if format is not None:
        found, compressed = parse_format(format)
        # A path says itself whether it is compressed, so that format="csv" works for data.txt.gz too.
        if isinstance(source, (str, Path)) and str(source).lower().endswith(".gz") and found.packed:
            compressed = True
        return found, compressed
    if not isinstance(source, (str, Path)):
        raise DataError(f"{source_name(source)}: a stream has no suffix; give its format ({_KNOWN})")
    path = Path(source)
    inside = _folder_format(path)
    if inside is not None:
        return inside, False
    if _is_folder(path):
        check_path(path)  # which says so
    suffix, compressed = _suffix(path)
    if suffix in SPREADSHEETS:
        raise DataError(f"{path}: this is a spreadsheet; export the sheet as CSV in UTF-8 and give that file")
    # What a pipe gives is gone: its start must not be lost to a look at it.
    lines: list[bytes] | None = [b""] if _is_live(path) else None
    for entry in reversed(TABLE):
        if entry.first_line is not None and suffix in entry.looked_into:
            lines = _first_lines(path, compressed) if lines is None else lines
            telling = next((line for line in lines if entry.undecided is None or not entry.undecided(line)), b"")
            if entry.first_line(telling):
                return entry, compressed
    return format_of_path(path)


def _is_live(path: Path) -> bool:
    """Whether the path is there, and neither a file nor a folder."""
    try:
        return path.exists() and not path.is_file()
    except (OSError, ValueError):  # not a possible name, which opening it says
        return False


def check_source(path: Path, format: str | None = None) -> None:
    """Check that a path is there: a file, or a folder that holds a corpus.

    A ``format`` whose corpora are folders is taken at its word.

    Raises:
        DataError: it is missing, or is another folder.
    """
    named = _BY_NAME.get(format or "")
    check_path(path, folder=(named is not None and named.is_folder) or _folder_format(path) is not None)


def declared_labels(source: Path | str | BinaryIO, columns: Columns, format: str | None = None) -> tuple[str, ...]:
    """The label ids that a corpus declares beside those that occur; none where its format declares no labels."""
    if not isinstance(source, (str, Path)):
        return ()
    found, compressed = resolve_format(source, format)
    if found.declared is None:
        return ()
    return found.declared(Request(source, found.name, compressed, columns, True, ReadReport()))


def _suffix(path: Path) -> tuple[str, bool]:
    """(suffix in small letters without the dot and without ``.gz``, whether it is compressed)."""
    suffixes = [suffix.lower().lstrip(".") for suffix in path.suffixes]
    compressed = suffixes[-1:] == ["gz"]
    if compressed:
        suffixes.pop()
    return suffixes[-1] if suffixes else "", compressed


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # no possible file name; check_path says so
        return False


def _folder_format(path: Path) -> Format | None:
    """The format of a folder that holds a corpus, None when it seems to hold none."""
    if not _is_folder(path):
        return None
    try:
        names = frozenset(entry.name for entry in path.iterdir())
    except OSError:
        return None
    return next((entry for entry in reversed(TABLE) if entry.files is not None and entry.files(names)), None)


def _first_lines(path: Path, compressed: bool) -> list[bytes]:
    """The first lines that are not blank; an empty one when the file cannot be read: the reader will say why."""
    found: list[bytes] = []
    left = LOOKED_AT
    try:
        with gzip.open(path) if compressed else path.open("rb") as stream:
            for _ in range(LINES_LOOKED_AT):
                line = stream.readline(left)
                left -= len(line)
                if not line:
                    break
                if line.strip():
                    found.append(line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n"))
    except (OSError, EOFError, zlib.error, ValueError):
        pass
    return found or [b""]
