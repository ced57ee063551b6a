"""Files that are there completely or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it into place.

    Whoever reads ``path`` sees the old content or the new, also after a power cut.
    """
    remove_stale(path)
    temporary = temporary_of(path)
    try:
        write(temporary)
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text completely or not at all."""
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def named(path: Path) -> Path:
    """``path`` with a name to put neighbours beside: ``.`` and ``..`` have none of their own."""
    return Path(os.path.abspath(path)) if path.name in {"", ".."} else path


def real(path: Path) -> Path:
    """Where ``path`` leads, links followed; unlike ``Path.resolve`` it takes links that lead back to themselves."""
    return Path(os.path.realpath(path))


def temporary_of(path: Path) -> Path:
    """Where this process writes ``path`` before it is moved into place."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_stale(path: Path) -> None:
    """Remove what killed processes left of ``path``: temporary files and folders whose process is gone."""
    if not path.parent.is_dir():
        return
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.tmp")
    for found in list(path.parent.iterdir()):
        match = pattern.fullmatch(found.name)
        if match is None or _is_alive(int(match[1])):
            continue
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found, ignore_errors=True)
        else:
            found.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 is not delivered: the system only looks whether it could be
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # the process of another user
        return True
    return True


def sync(path: Path) -> None:
    """Ask the system to bring a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
