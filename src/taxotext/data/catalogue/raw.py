"""The folder or archive of a release: files are found in it wherever they lie and read in place, never extracted."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from taxotext.data.catalogue.entries import Dataset, Findings
from taxotext.errors import DataError
from taxotext.files import sha256
from taxotext.messages import some

LARGEST_FILE = 1 << 30
"""Bytes of a file that is read as a whole; one document or one file of an old release is far smaller."""
SHOWN_FILES = 5

UNSAFE = "members of archives with unsafe paths, passed over"

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
_PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)


class Place(NamedTuple):
    """A file of the release: on the disk, or a member of an archive there."""

    file: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """How it is called in sentences."""
        return str(self.file) if self.member is None else f"{self.file}!{self.member}"

    @property
    def base(self) -> str:
        """The last step of its path, in small letters."""
        return _path_of(self).lower().rpartition("/")[2]


class Raw:
    """What the user has of a release.

    Args:
        path: a folder, or one archive.
        dataset: the entry, for sentences.
        findings: where unsafe members are counted.

    Raises:
        DataError: there is nothing at ``path``.
    """

    def __init__(self, path: Path, dataset: Dataset, findings: Findings) -> None:
        self.path = path
        self.title = dataset.title
        self.expected = dataset.files
        self.findings = findings
        self.used: set[Path] = set()
        self._walked = hashlib.sha256()
        self._walked_files = self._walked_bytes = 0
        self._places: list[Place] | None = None
        self._archives: dict[Path, list[str]] = {}
        if not path.exists():
            raise DataError(f"{path}: there is no such folder or archive; name what you have of {self.title}.")

    # -- single files --------------------------------------------------------------------------------------------

    def find(self, *patterns: str) -> Place | None:
        """The file that matches one of the patterns, the first one that any file matches.

        A pattern without ``/`` is compared with the name of a file, else with as many steps of the end of its path;
        ``*`` and ``?`` stand for anything, case does not matter, and ``.gz``, ``.xz``, ``.bz2`` may follow.

        Raises:
            DataError: several files match a pattern.
        """
        for pattern in patterns:
            found = [place for place in self._loose() if _matches(_path_of(place), pattern)]
            if not found:
                found = [place for place in self._members() if _matches(_path_of(place), pattern)]
            if len(found) > 1:
                several = ", ".join(place.name for place in found[:3])
                raise DataError(
                    f"{self.path}: holds {len(found)} files that could be {pattern} ({several}); "
                    "name the folder or archive of one release."
                )
            if found:
                return found[0]
        return None

    def need(self, *patterns: str) -> Place:
        """As :meth:`find`; without the file, the sentence of :meth:`missing`."""
        found = self.find(*patterns)
        if found is None:
            raise self.missing(patterns[0])
        return found

    def missing(self, what: str | None = None) -> DataError:
        """The error that says what was expected and what was found."""
        found = [self._relative(place) for place in self._loose()]
        if self.path.is_file():
            found = [self.path.name]
        shown = some(found[:SHOWN_FILES], len(found))
        lacking = f"{what} is missing: " if what else ""
        expected = "; ".join(self.expected)
        return DataError(f"{self.path}: {lacking}{self.title} needs {expected}. Found: {shown or 'no file'}.")

    @contextmanager
    def open(self, place: Place) -> Iterator[BinaryIO]:
        """The content of a file, unpacked, as a stream; no further members are kept in memory.

        Raises:
            DataError: the archive is damaged, or the file is not there any more.
        """
        self.used.add(place.file)
        with _sentences(place.name):
            if place.member is None:
                with _unpacked(place.file.open("rb"), place.file.name) as stream:
                    yield stream
            elif _is_zip(place.file.name):
                with (
                    zipfile.ZipFile(place.file) as archive,
                    _unpacked(cast(BinaryIO, archive.open(place.member)), place.member) as stream,
                ):
                    yield stream
            else:
                with tarfile.open(place.file) as tar:
                    for entry in _entries(tar):
                        if entry.name == place.member and (content := tar.extractfile(entry)) is not None:
                            with _unpacked(cast(BinaryIO, content), place.member) as stream:
                                yield stream
                            return
                raise DataError(f"{place.name}: is not there any more; run the command again.")

    def read(self, place: Place) -> bytes:
        """The whole content of a file.

        Raises:
            DataError: it is damaged or larger than :data:`LARGEST_FILE`.
        """
        with self.open(place) as stream:
            return _whole(stream, place.name)

    def lines(self, place: Place) -> Iterator[bytes]:
        r"""The lines of a file with their ends; only ``\n`` ends a line."""
        with self.open(place) as stream:
            yield from stream

    # -- many files ----------------------------------------------------------------------------------------------

    def walk(self, pattern: str, keep: Callable[[str], bool] = lambda path: True) -> Iterator[tuple[str, bytes]]:
        """(path, content) of every file that matches, also in archives, in one pass.

        Files of a folder come sorted by path, members of an archive in its order.

        Args:
            pattern: as for :meth:`find`.
            keep: whether the file of this path is to be read.

        Raises:
            DataError: an archive is damaged, or lies in another one.
        """
        for path, read in self._walk(pattern):
            if keep(path):
                with _sentences(path):
                    data = read()
                yield path, data

    def has(self, pattern: str) -> bool:
        """Whether :meth:`walk` would find anything."""
        return next(self._walk(pattern, note=False), None) is not None

    def _walk(self, pattern: str, note: bool = True) -> Iterator[tuple[str, Callable[[], bytes]]]:
        for place in self._files():
            if _is_archive(place.file.name):
                with _sentences(str(place.file)):
                    for found in self._walk_archive(place.file, pattern):
                        if note:
                            self.used.add(place.file)
                        yield found
            elif _matches(place.file.as_posix(), pattern):
                relative = self._relative(place)

                def read(file: Path = place.file, relative: str = relative) -> bytes:
                    with _unpacked(file.open("rb"), file.name) as stream:
                        data = _whole(stream, str(file))
                    self._walked.update(f"{relative}\0{hashlib.sha256(data).hexdigest()}\n".encode())
                    self._walked_files += 1
                    self._walked_bytes += len(data)
                    return data

                yield relative, read

    def _walk_archive(self, file: Path, pattern: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
        for member, stream in self._open_archive(file):
            path = f"{file.name}!{member}"
            if _is_archive(member):
                raise DataError(
                    f"{path}: this is an archive inside an archive, which is not read; "
                    f"unpack {file.name} into a folder and name that folder."
                )
            if _matches(member, pattern):

                def read(stream: Callable[[], Any] = stream, path: str = path, member: str = member) -> bytes:
                    with stream() as packed, _unpacked(packed, member) as content:
                        return _whole(content, path)

                yield path, read

    def _open_archive(self, file: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
        """(name, what opens it) of the safe members that are files."""
        if _is_zip(file.name):
            with zipfile.ZipFile(file) as archive:
                for info in archive.infolist():
                    if not info.is_dir() and self._is_safe(info.filename):
                        yield info.filename, partial(archive.open, info)
            return
        with tarfile.open(file) as tar:
            for entry in _entries(tar):
                if entry.isfile() and self._is_safe(entry.name):
                    yield entry.name, partial(tar.extractfile, entry)

    def _is_safe(self, member: str) -> bool:
        """Whether a member is a file of the release: no junk of a file system, no path that leads elsewhere."""
        steps = member.replace("\\", "/").split("/")
        if steps[0] == "" or ".." in steps or ":" in steps[0]:
            self.findings.add(UNSAFE)
            return False
        return not (steps[0] == "__MACOSX" or steps[-1].startswith("._"))

    # -- what there is -------------------------------------------------------------------------------------------

    def _files(self) -> Iterator[Place]:
        if self.path.is_file():
            yield Place(self.path)
            return
        for folder, folders, files in os.walk(self.path):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
            for name in sorted(files):
                if not name.startswith("."):
                    yield Place(Path(folder) / name)

    def _loose(self) -> list[Place]:
        if self._places is None:
            self._places = list(self._files())
        return self._places

    def _members(self) -> Iterator[Place]:
        for place in self._loose():
            if not _is_archive(place.file.name):
                continue
            if place.file not in self._archives:
                with _sentences(str(place.file)):
                    self._archives[place.file] = [name for name, _ in self._open_archive(place.file)]
            for member in self._archives[place.file]:
                yield Place(place.file, member)

    def _relative(self, place: Place) -> str:
        return place.file.name if self.path.is_file() else place.file.relative_to(self.path).as_posix()

    def fingerprint(self) -> dict[str, Any]:
        """The files that were read, with their sizes and SHA-256; many small ones under one sum over all of them."""
        files = []
        for file in sorted(self.used):
            files.append({"file": self._relative(Place(file)), "bytes": file.stat().st_size, "sha256": sha256(file)})
        result: dict[str, Any] = {"path": str(self.path), "files": files}
        if self._walked_files:
            result["folder"] = {
                "files": self._walked_files,
                "bytes": self._walked_bytes,
                "sha256": self._walked.hexdigest(),
            }
        return result


def _entries(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members in their order; unlike iterating over the archive, none are kept in memory."""
    while (entry := tar.next()) is not None:
        yield entry
        tar.members.clear()  # type: ignore[attr-defined]  # not in the stubs; a member costs a kilobyte


def _path_of(place: Place) -> str:
    return place.file.as_posix() if place.member is None else place.member


def _matches(path: str, pattern: str) -> bool:
    """Whether the end of a path, with or without the suffix of a packed file, is as in the pattern."""
    wanted = pattern.lower().split("/")
    steps = path.lower().replace("\\", "/").split("/")[-len(wanted) :]
    plain = [*steps[:-1], _without_packing(steps[-1])]
    return len(steps) == len(wanted) and any(
        all(fnmatchcase(step, part) for step, part in zip(form, wanted, strict=True)) for form in (steps, plain)
    )


def _without_packing(name: str) -> str:
    for suffix in _PACKED:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _is_archive(name: str) -> bool:
    return _is_zip(name) or name.lower().endswith(_TAR)


@contextmanager
def _unpacked(stream: BinaryIO, name: str) -> Iterator[BinaryIO]:
    with stream:
        for suffix, opened in _PACKED.items():
            if name.lower().endswith(suffix):
                with opened(stream, "rb") as content:
                    yield content
                return
        yield stream


def _whole(stream: BinaryIO, name: str) -> bytes:
    data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise DataError(f"{name}: is larger than {LARGEST_FILE >> 20} MiB, which no file of this release is; check it.")
    return data


@contextmanager
def _sentences(name: str) -> Iterator[None]:
    """Turn what a damaged or locked archive raises into a sentence."""
    try:
        yield
    except _DAMAGED as error:
        raise DataError(f"{name}: is damaged or cut short ({error}); fetch it again.") from None
    except (RuntimeError, NotImplementedError) as error:
        # zipfile raises these for passwords and for ways of packing that it does not know
        if isinstance(error, RecursionError):
            raise
        raise DataError(f"{name}: cannot be unpacked ({error}); unpack it yourself and name the folder.") from None
    except FileNotFoundError as error:
        raise DataError(f"{name}: is not there any more ({error.strerror}); run the command again.") from None
    except PermissionError:
        raise DataError(f"{name}: may not be read; change its permissions.") from None
