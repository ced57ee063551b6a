"""Locks on folders whose lock file comes and goes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO, Any

import pytest

from taxotext.files import FolderLock, locks


def test_who_waited_for_a_lock_file_that_its_holder_removed_keeps_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (FolderLock(tmp_path / "lock") for _ in range(3))
    assert first.acquire()
    tried, taken, take_lock = threading.Event(), list[bool](), locks.take_lock

    def watched(file: IO[Any]) -> bool:
        found = take_lock(file)
        tried.set()
        return found

    monkeypatch.setattr(locks, "take_lock", watched)
    waiting = threading.Thread(target=lambda: taken.append(second.acquire(30)))
    waiting.start()
    assert tried.wait(30)  # it has the file open
    first.path.unlink()  # as the end of a training does
    first.release()
    waiting.join()
    assert taken == [True]
    assert second.holds()
    assert not third.acquire()
