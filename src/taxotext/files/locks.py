"""Locks on folders, which the system takes back when their holder ends, however it ends."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

ASK_EVERY = 0.05
"""Seconds between two tries to take a lock."""


class FolderLock:
    """A lock on a folder.

    Args:
        path: of the lock file; created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[Any] | None = None

    def acquire(self, wait: float = 0.0) -> bool:
        """Take the lock; False when another process has it for longer than ``wait`` seconds."""
        until = time.monotonic() + wait
        while True:
            self._file = self.path.open("a+b")
            while not take_lock(self._file):
                if time.monotonic() >= until:
                    self.release()
                    return False
                time.sleep(ASK_EVERY)
            if self.holds():
                return True
            self.release()  # its holder has removed the file meanwhile: whoever comes next locks another one

    def holds(self) -> bool:
        """Whether this object has the lock, and the file at its path is still the one that it locked."""
        try:
            return self._file is not None and os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock; never where there are no locks (Windows, some file systems)."""
    try:
        with path.open("rb") as file:
            return not take_lock(file)
    except OSError:  # there is none, or it may not be read
        return False


def take_lock(file: IO[Any]) -> bool:
    """Keep other processes from locking an open file as long as it is open; False when one of them has.

    The system forgets the locks of a process that dies. Where there are no locks (Windows, some file systems) nobody
    is kept out, and the answer is True.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
