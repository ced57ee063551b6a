"""Opening a file or stream and reading its lines, with a sentence for whatever can go wrong there."""

from __future__ import annotations

import gzip
import io
import select
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from taxotext.errors import DataError, nearest
from taxotext.files.limits import longest_line, too_long, unpacked_limit

Lines = Iterator[tuple[int, bytes]]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Of UTF-8; where files were joined, it may stand in the middle, too."""


def source_name(source: Path | str | BinaryIO) -> str:
    """Return the name for sentences: the path as given, or the stream's name."""
    if isinstance(source, (str, Path)):
        return str(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else "<stream>"


def check_path(path: Path, *, folder: bool = False) -> None:
    """Raise DataError unless ``path`` is there, and is not a folder unless it may be one (``folder``)."""
    try:
        if path.is_dir():
            if folder:
                return
            raise DataError(f"{path}: this is a folder; name a file in it")
        if path.exists():
            return
    except (OSError, ValueError) as error:  # a name that no file system takes: too long, or with a NUL character
        raise DataError(f"{str(path)!r} is not a possible file name: {error}") from error
    parent = path.parent
    if not parent.is_dir():
        raise DataError(f"{path}: no such file; the folder {parent} does not exist")
    hint = nearest(path.name, (entry.name for entry in parent.iterdir()))
    raise DataError(f"{path}: no such file.{hint or ' Check the name.'}")


def encoding_fault(line: bytes) -> str | None:
    """Return the reason why a line is not text in UTF-8, or None when it is."""
    if b"\0" in line:
        return f"there is a NUL byte at byte {line.index(0) + 1}; remove it, or save the file as UTF-8 text"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = line[error.start]
        return (
            f"the line is not UTF-8 (byte 0x{byte:02X} at byte {error.start + 1}); save the file as UTF-8 (in Excel: "
            "'CSV UTF-8'; of a Windows file: iconv -f CP1252 -t UTF-8 OLD > NEW)"
        )
    return None


@contextmanager
def open_lines(source: Path | str | BinaryIO, compressed: bool, *, whole: bool = False) -> Iterator[Lines]:
    r"""Yield an iterator of (line number from 1, line as bytes with its end) over a file or binary stream.

    Lines end at ``\n`` only, so that U+2028 and the like stay inside a JSON string. A byte order mark is
    dropped. A file that is opened here is closed here; a stream is left open. Where a :class:`LiveStream` pauses there
    is a line of no bytes.

    Args:
        source: path or stream.
        compressed: by gzip.
        whole: the file is one value, such as a JSON list, that may stand in one line.
    """
    name = source_name(source)
    limit = longest_line()
    if whole:
        limit = unpacked_limit(_size(source)) if compressed else sys.maxsize
    with _open(source) as raw:
        stream: BinaryIO = raw
        if compressed:
            stream = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw, mode="rb"))))
        yield _numbered(stream, name, compressed, limit)


def _size(source: Path | str | BinaryIO) -> int:
    """Bytes of a file; of a stream, which does not say, none."""
    try:
        return Path(source).stat().st_size if isinstance(source, (str, Path)) else 0
    except OSError:  # who opens it says why
        return 0


class LiveStream:
    """Lines of a pipe or terminal that somebody writes now, with a sign where the writer pauses.

    Args:
        raw: not buffered, with a file descriptor.
        seconds: without a line that are a pause.
    """

    def __init__(self, raw: io.RawIOBase, seconds: float = 0.1) -> None:
        self.name = "stdin"
        self._raw, self._seconds = raw, seconds
        self._buffer, self._looked = bytearray(), 0
        self._quiet = True

    def readline(self, limit: int = -1) -> bytes | None:
        """The next line with its end, a part of it that is as long as the limit, or nothing at the end.

        Returns:
            None once when the writer pauses between two lines.
        """
        while True:
            end = self._buffer.find(b"\n", self._looked) + 1
            if end or (0 <= limit <= len(self._buffer)):
                return self._take(end or limit)
            self._looked = len(self._buffer)
            if not self._quiet and not select.select([self._raw], [], [], self._seconds)[0]:
                self._quiet = True
                return None
            more = self._raw.read(2**16)
            if not more:
                return self._take(len(self._buffer))
            self._quiet = False
            self._buffer += more

    def _take(self, size: int) -> bytes:
        line = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._looked = 0
        return line


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


def _numbered(stream: BinaryIO, name: str, compressed: bool, limit: int) -> Lines:
    number = 0
    while True:
        try:
            line = cast(bytes | None, stream.readline(min(limit + 1, sys.maxsize)))
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
        if line is None:
            yield number, b""
            continue
        if not line:
            return
        if len(line) > limit:
            raise DataError(f"{name}:{number + 1}: {too_long('the line')}.")
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
    return line.removeprefix(BYTE_ORDER_MARK)
