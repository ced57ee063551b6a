"""Files and folders that are there completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from taxotext.files.targets import check_replaceable

LONGEST_NAME = 150
"""Bytes of a file's name that its temporary file bears; file systems take 255."""
REPLACING_TRIES = 3


@contextmanager
def replacing(path: Path, *, follow_link: bool = False) -> Iterator[Path]:
    """Give a temporary file beside ``path`` that takes its place at the end of the block, or vanishes.

    Whoever reads ``path`` sees the old content or the new, also after a power cut. The new file may be read and written
    by those who might the old one.

    Args:
        path: of the file.
        follow_link: replace what a link leads to, not the link: where the user named the file. Files inside our
            folders are never written through a link, which could lead anywhere.

    Raises:
        OSError: naming ``path``, also for what safetensors and torch raise where a file cannot be written, and for a
            device, pipe or socket.
    """
    check_replaceable(path)
    target = real(path) if follow_link else path
    remove_stale(target)
    temporary = temporary_of(target)
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        permissions = _permissions(target) or temporary.stat().st_mode & 0o777
        yield temporary
        temporary.chmod(permissions)  # not those of safetensors, which leaves files that only the owner may read
        sync(temporary)
        os.replace(temporary, target)
        sync(target.parent)
    except Exception as error:
        if isinstance(error, OSError) and error.filename == str(temporary):
            raise OSError(error.errno, error.strerror, str(path)) from error
        if _is_of_writing(error):
            reason = f"the file cannot be written to its end; is the disk full? ({error})"
            raise OSError(errno.EIO, reason, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill the temporary file of :func:`replacing`."""
    with replacing(path) as temporary:
        write(temporary)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder beside ``folder`` that takes its place at the end of the block, or vanishes.

    The old folder is moved aside before the new one is moved in. Who may come after a crash calls
    :func:`recover_folder` first, as every reader does; then there is always the old folder or the new one.

    Args:
        folder: has a name (:func:`named`) and is not a link; the folders above it are made. What replaces a file, and
            the folder itself, may be used by those who might use the old one.
    """
    temporary = temporary_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        temporary.mkdir()
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():  # safetensors writes files for the owner only
                path.chmod(_permissions(folder / path.relative_to(temporary)) or 0o666 & ~_umask())
            sync(path)
        temporary.chmod(_permissions(folder) or 0o777 & ~_umask())
        sync(temporary)
        _replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Bring the old folder back if a replacement was cut off before the new one was in place."""
    old = _aside(folder)
    if old.is_dir() and not folder.exists():
        os.rename(old, folder)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they wrote ``folder`` left beside it."""
    remove_stale(folder)
    if folder.exists():
        shutil.rmtree(_aside(folder), ignore_errors=True)


def named(path: Path) -> Path:
    """``path`` with a name to put neighbours beside: ``.`` and ``..`` have none of their own."""
    return Path(os.path.abspath(path)) if path.name in {"", ".."} else path


def public_name(value: str) -> str:
    """The last part of a path; a name of the hub, and text that is no path of this machine, stay as they are.

    >>> public_name("/home/ada/models/tiny-bert"), public_name("google-bert/bert-base-cased")
    ('tiny-bert', 'google-bert/bert-base-cased')
    """
    path = Path(value)
    try:
        local = path.is_absolute() or value.startswith((".", "~")) or path.exists()
    except (OSError, ValueError):  # no possible path
        return value
    return named(path).name or value if local else value


def real(path: Path) -> Path:
    """Where ``path`` leads, links followed; unlike ``Path.resolve`` it takes links that lead back to themselves."""
    return Path(os.path.realpath(path))


def temporary_of(path: Path) -> Path:
    """A new name beside ``path`` to write it under: with the machine and the process, and different in every call."""
    return path.with_name(f"{_beginning(path)}{_machine()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def remove_stale(path: Path) -> None:
    """Remove what killed processes left of ``path``: temporary files and folders whose process is gone.

    Only those of this machine: whether a process of another one lives cannot be seen here.
    """
    if not path.parent.is_dir():
        return
    pattern = re.compile(rf"{re.escape(_beginning(path) + _machine())}\.(\d+)\.[0-9a-f]+\.tmp")
    for found in list(path.parent.iterdir()):
        match = pattern.fullmatch(found.name)
        if match is None or _is_alive(int(match[1])):
            continue
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found, ignore_errors=True)
        else:
            found.unlink(missing_ok=True)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _replace(temporary: Path, folder: Path) -> None:
    """Move the new folder into place; a crash between the two renames is repaired by :func:`recover_folder`."""
    old = _aside(folder)
    for left in reversed(range(REPLACING_TRIES)):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(folder, old)
        try:
            os.rename(temporary, folder)
            break
        except OSError:  # a reader may have brought the old folder back in between
            if not left or not folder.exists():
                raise
    sync(folder.parent)
    if old.exists():
        os.rename(old, temporary)  # a half-deleted folder must never be taken for one to recover
        shutil.rmtree(temporary, ignore_errors=True)


def _permissions(path: Path) -> int | None:
    """Who may read and write what is there; None where nothing is."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _beginning(path: Path) -> str:
    return f".{os.fsencode(path.name)[:LONGEST_NAME].decode(errors='ignore')}."


@cache
def _machine() -> str:
    """What numbers of processes are unique in: the host, and its part where containers have numbers of their own."""
    try:
        part = re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    except OSError:  # not Linux
        part = ""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]
    return f"{host}-{part}" if part else host


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 is not delivered: the system only looks whether it could be
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # the process of another user
        return True
    return True


def _is_of_writing(error: Exception) -> bool:
    """Whether a library says with an error of its own that a file cannot be written (a full disk, most often)."""
    if type(error).__name__ == "SafetensorError":
        return True
    if isinstance(error, OSError) and error.filename is None:  # of a file that is open; numpy leaves out the number
        return error.errno in {None, errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
    return isinstance(error, RuntimeError) and ("PytorchStreamWriter" in str(error) or "inline_container" in str(error))


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Ask the system to bring a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
