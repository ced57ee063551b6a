"""Text files of labels: UTF-8 with or without a byte order mark, gzip by suffix, line numbers kept."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from taxotext.errors import TaxonomyError
from taxotext.files import check_no_device, check_target, replacing
from taxotext.files.limits import too_long, unpacked_limit
from taxotext.messages import parameter

_MARK = b"\xef\xbb\xbf"


def read_bytes(path: Path) -> bytes:
    """The content of ``path``, unpacked when its name ends in ``.gz``, without a byte order mark.

    Raises:
        TaxonomyError: when it is missing, a folder, unreadable, a damaged gzip file, or empty.
    """
    try:
        check_no_device(path)
        content = path.read_bytes()
        if is_packed(path):
            limit = unpacked_limit(len(content))
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked:
                content = unpacked.read(limit + 1)
            if len(content) > limit:
                raise TaxonomyError(f"{path}: {too_long('what it unpacks to')}.")
    except FileNotFoundError:
        raise TaxonomyError(f"The file {path} does not exist; check the path.") from None
    except IsADirectoryError:
        raise TaxonomyError(f"{path} is a folder; name the file in it.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TaxonomyError(f"{path} is not a sound gzip file ({error}); pack it again or drop '.gz'.") from error
    except OSError as error:
        raise TaxonomyError(f"{path} cannot be read: {error.strerror or error}.") from error
    content = content.removeprefix(_MARK)
    if not content.strip():
        raise TaxonomyError(f"{path} is empty; a taxonomy needs at least one label.")
    return content


def split_lines(content: bytes, path: Path, problems: list[str]) -> Iterator[tuple[str, str]]:
    r"""(line, ``"file:number"``) of each line that is not blank; only ``\n`` and ``\r\n`` end a line.

    Lines that are not UTF-8 are added to ``problems`` and left out.
    """
    for number, line in enumerate(content.split(b"\n"), start=1):
        line = line.removesuffix(b"\r")
        if not line.strip(b" "):
            continue
        try:
            yield line.decode("utf-8"), f"{path}:{number}"
        except UnicodeDecodeError as error:
            problems.append(f"{path}:{number}: {_not_utf8(error)}")


def decode(content: bytes, path: Path) -> str:
    """The whole content as text.

    Raises:
        TaxonomyError: naming the first line that is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise TaxonomyError(f"{path}:{number}: {_not_utf8(error)}.") from None


def _not_utf8(error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return f"byte 0x{byte:02x} at column {error.start + 1} is not UTF-8; save the file in the encoding UTF-8"


def is_packed(path: Path) -> bool:
    """Whether the name ends in ``.gz``, in capitals or not."""
    return path.suffix.lower() == ".gz"


def plain_name(path: Path) -> str:
    """The name of a file in small letters, without ``.gz``: what its format is seen from."""
    return path.name.lower().removesuffix(".gz")


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raise a TaxonomyError when ``path`` cannot be written to, or exists and may not be replaced."""
    check_target(path, "file", TaxonomyError)
    if path.exists() and not overwrite:
        raise TaxonomyError(
            f"{path} exists already; give another name, or {parameter('overwrite', True)} to replace it."
        )


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, packed when the name ends in ``.gz``; the file appears whole or not at all.

    Raises:
        TaxonomyError: when the folder is missing or cannot be written.
    """
    content = text.encode("utf-8")
    if is_packed(path):
        content = gzip.compress(content, mtime=0)  # no time stamp: equal content gives equal files
    try:
        with replacing(path, follow_link=True) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise TaxonomyError(f"{path} cannot be written: {error.strerror or error}; check the folder.") from error
