"""Processes that do not outlive each other, and work that is done by one of them at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from taxotext.files import take_lock
from taxotext.processes import end_group, end_with_parent

ASK_EVERY = 0.05


def die_with_parent(pipe: int, parent: int) -> None:
    """End this process, and all that it started, as soon as its parent is gone.

    The parent holds the other end of ``pipe``: however the parent ends, the system closes it. On Linux the system is
    asked for a kill as well, which comes at once also in the midst of a long computation.

    Args:
        pipe: descriptor that is open for reading as long as the parent lives.
        parent: process id of the parent.
    """

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(pipe, 1):
                pass
        end_group()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
    end_with_parent(parent)


class FolderLock:
    """A lock on a folder that the system takes back when its holder ends, however it ends.

    Args:
        path: of the lock file; created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[Any] | None = None

    def acquire(self, wait: float = 0.0) -> bool:
        """Take the lock; False when another process has it for longer than ``wait`` seconds."""
        until = time.monotonic() + wait
        file = self.path.open("a+b")
        while not take_lock(file):
            if time.monotonic() >= until:
                file.close()
                return False
            time.sleep(ASK_EVERY)
        self._file = file
        return True

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
    """Whether some process holds the lock; a file that is not there is not held."""
    if not path.is_file():
        return False
    lock = FolderLock(path)
    try:
        free = lock.acquire()
    except OSError:
        return False  # of another user, or not writable: nothing can be said
    lock.release()
    return not free
