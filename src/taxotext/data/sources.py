"""Opening a corpus file or stream and reading its lines, with a sentence for whatever can go wrong there."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from taxotext.data import detect
from taxotext.errors import DataError, nearest

FORMATS = (
    "jsonl",
    "csv",
    "tsv",
    "parquet",
    "annif-tsv",
    "annif-jsonl",
    "annif-folder",
    "dataset",
    "libmultilabel",
    "svmlight",
    "xc-json",
)
"""The formats of a corpus; those that are lines of text may end in ``.gz``."""

UNPACKED = frozenset({"parquet", "annif-folder", "dataset"})
"""Formats that are never in a ``.gz`` file."""

Lines = Iterator[tuple[int, bytes]]

_SUFFIXES = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "parquet": "parquet",
    "svm": "svmlight",
    "svmlight": "svmlight",
    "libsvm": "svmlight",
}
_KNOWN = "jsonl, csv or tsv, each also with .gz, or parquet"


def source_name(source: Path | str | BinaryIO) -> str:
    """Return the name for sentences: the path as given, or the stream's name."""
    if isinstance(source, (str, Path)):
        return str(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else "<stream>"


def parse_format(format: str) -> tuple[str, bool]:
    """Split a format as a user writes it into (one of :data:`FORMATS`, compressed).

    >>> parse_format("csv.gz")
    ('csv', True)
    """
    lowered = str(format).lower().lstrip(".")
    stem, compressed = (lowered[:-3], True) if lowered.endswith(".gz") else (lowered, False)
    kind = stem if stem in FORMATS else _SUFFIXES.get(stem)
    if kind is None:
        hint = nearest(stem, FORMATS)
        raise DataError(
            f"unknown corpus format {format!r}; choose one of {', '.join(FORMATS)}; "
            f"those that are lines of text may end in .gz.{hint}"
        )
    if compressed and kind in UNPACKED:
        raise DataError(f"the corpus format {kind} is never packed as .gz; give {kind!r}")
    return kind, compressed


def format_of_path(path: Path) -> tuple[str, bool]:
    """Guess (format, compressed) from the suffix of a path; DataError when it says nothing."""
    suffixes = [suffix.lower().lstrip(".") for suffix in path.suffixes]
    compressed = bool(suffixes) and suffixes[-1] == "gz"
    suffix = (suffixes[:-1] if compressed else suffixes)[-1:]
    if suffix and suffix[0] in _SUFFIXES:
        if compressed and _SUFFIXES[suffix[0]] in UNPACKED:
            raise DataError(f"{path}: a {suffix[0]} file is packed inside; unpack it and take .gz off its name")
        return _SUFFIXES[suffix[0]], compressed
    if suffix == ["json"]:
        raise DataError(
            f"{path}: a .json file is one value, a corpus has one JSON object a line; write it so and name "
            "it .jsonl (or give format='jsonl' when it is so already)"
        )
    what = f"the suffix {'.' + suffix[0]!r} is none of a corpus file" if suffix else "the file name has no suffix"
    raise DataError(f"{path}: {what}; use {_KNOWN}, or give the format")


def resolve_format(source: Path | str | BinaryIO, format: str | None) -> tuple[str, bool]:
    """Return (format, compressed) from the setting, or from the path where there is none."""
    if format is not None:
        kind, compressed = parse_format(format)
        # A path says itself whether it is compressed, so that format="csv" works for data.txt.gz too.
        if isinstance(source, (str, Path)) and str(source).lower().endswith(".gz") and kind not in UNPACKED:
            compressed = True
        return kind, compressed
    if isinstance(source, (str, Path)):
        return _found_format(Path(source))
    raise DataError(f"{source_name(source)}: a stream has no suffix; give its format ({_KNOWN})")


def _found_format(path: Path) -> tuple[str, bool]:
    """(format, compressed) from the suffix, the first line, or what is in the folder."""
    try:
        if path.is_dir():
            check_path(path)
            return str(detect.folder_format(path)), False
    except (OSError, ValueError):  # no possible file name; check_path says so
        pass
    suffixes = [suffix.lower().lstrip(".") for suffix in path.suffixes]
    compressed = bool(suffixes) and suffixes[-1] == "gz"
    suffix = (suffixes[:-1] if compressed else suffixes)[-1:]
    found = detect.sniff(path, _SUFFIXES.get(suffix[0], suffix[0]), compressed) if suffix else None
    return (found, compressed) if found else format_of_path(path)


def check_path(path: Path, format: str | None = None) -> None:
    """Raise DataError unless ``path`` is there and is no folder other than one of a corpus.

    A ``format`` whose corpora are folders is taken at its word.
    """
    try:
        if path.is_dir():
            if format in ("annif-folder", "dataset") or detect.folder_format(path) is not None:
                return
            raise DataError(f"{path}: this is a folder; name a file in it")
        if path.exists():
            return
    except (
        OSError,
        ValueError,
    ) as error:  # a name that no file system takes: too long, or with a NUL character
        raise DataError(f"{str(path)!r} is not a possible file name: {error}") from error
    parent = path.parent
    if not parent.is_dir():
        raise DataError(f"{path}: no such file; the folder {parent} does not exist")
    hint = nearest(path.name, (entry.name for entry in parent.iterdir()))
    raise DataError(f"{path}: no such file.{hint or ' Check the name.'}")


@contextmanager
def open_lines(source: Path | str | BinaryIO, compressed: bool) -> Iterator[Lines]:
    r"""Yield an iterator of (line number from 1, line as bytes with its end) over a file or binary stream.

    Lines end at ``\n`` only, so that U+2028 and the like stay inside a JSON string. A byte order mark is
    dropped. A file that is opened here is closed here; a stream is left open.
    """
    name = source_name(source)
    with _open(source) as raw:
        stream: BinaryIO = raw
        if compressed:
            stream = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw, mode="rb"))))
        yield _numbered(stream, name, compressed)


@contextmanager
def _open(source: Path | str | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, (str, Path)):
        if not hasattr(source, "readline"):
            raise DataError(f"a corpus is read from a path or a binary stream, not from {type(source).__name__}")
        yield source
        return
    path = Path(source)
    check_path(path)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: the file cannot be opened: {error.strerror or error}") from error
    with stream:
        yield stream


def _numbered(stream: BinaryIO, name: str, compressed: bool) -> Lines:
    number = 0
    while True:
        try:
            line = stream.readline()
        except EOFError as error:
            raise DataError(
                f"{name}: the compressed file breaks off after line {number}; it is cut short, fetch or write it again"
            ) from error
        except gzip.BadGzipFile as error:
            if number == 0:
                raise DataError(
                    f"{name}: this is not a gzip file ({error}); take .gz off its name if it is not compressed"
                ) from error
            raise DataError(f"{name}: damaged gzip data after line {number} ({error}); write the file again") from error
        except zlib.error as error:
            raise DataError(f"{name}: damaged gzip data after line {number} ({error}); write the file again") from error
        except (OSError, ValueError) as error:
            raise DataError(f"{name}: reading stopped after line {number}: {error}") from error
        if not line:
            return
        if not isinstance(line, bytes):
            raise DataError(f"{name}: the stream gives {type(line).__name__}, not bytes; open it with mode 'rb'")
        number += 1
        if number == 1:
            line = _check_start(line, name, compressed)
        yield number, line


def _check_start(line: bytes, name: str, compressed: bool) -> bytes:
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name}:1: the file is UTF-16; save it as UTF-8")
    if line.startswith(b"\x1f\x8b") and not compressed:
        raise DataError(f"{name}: the file is gzip-compressed; end its name in .gz (or give the format, 'jsonl.gz')")
    if line.startswith(b"PK\x03\x04"):
        raise DataError(f"{name}: this is a zip archive or a spreadsheet; export the sheet as CSV in UTF-8")
    return line.removeprefix(b"\xef\xbb\xbf")
