"""Files that are there completely or not at all, and what killed processes leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxotext.files import remove_stale, temporary_of, write_atomically, write_text_atomically


@pytest.fixture(scope="module")
def dead_process() -> int:
    """The id of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_failing_writer_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text_atomically(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the ne")
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_the_new_content_is_in_place_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text_atomically(path, "old")

    def write(temporary: Path) -> None:
        assert temporary == temporary_of(path)
        temporary.write_text("new")
        assert path.read_text() == "old"

    write_atomically(path, write)
    assert path.read_text() == "new"


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "file", "Füße, кот, 猫\n")
    assert (tmp_path / "file").read_bytes() == "Füße, кот, 猫\n".encode()


def test_what_killed_processes_left_of_this_file_is_removed_by_the_next_write(
    tmp_path: Path, dead_process: int
) -> None:
    alive = os.getppid()
    kept = [
        f".model.{alive}.tmp",
        f".other.{dead_process}.tmp",
        f"model.{dead_process}.tmp",
        ".model.abc.tmp",
        ".model.old",
    ]
    for name in [*kept, f".model.{dead_process}.tmp"]:
        (tmp_path / name).write_text("half")
    write_text_atomically(tmp_path / "model", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "model"])


def test_folders_that_killed_processes_left_are_removed_with_their_content(tmp_path: Path, dead_process: int) -> None:
    stale = tmp_path / f".model.{dead_process}.tmp"
    (stale / "inner").mkdir(parents=True)
    (stale / "inner/file").write_text("half")
    remove_stale(tmp_path / "model")
    assert not stale.exists()


def test_a_link_with_the_name_of_a_leftover_is_removed_and_not_followed(tmp_path: Path, dead_process: int) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("keep")
    (tmp_path / f".model.{dead_process}.tmp").symlink_to(tmp_path / "precious")
    remove_stale(tmp_path / "model")
    assert (tmp_path / "precious/file").read_text() == "keep"
    assert not (tmp_path / f".model.{dead_process}.tmp").is_symlink()


def test_a_parent_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    remove_stale(tmp_path / "nothing" / "model")


def test_the_name_is_taken_literally(tmp_path: Path, dead_process: int) -> None:
    (tmp_path / f".modelx1.{dead_process}.tmp").write_text("of another model")
    remove_stale(tmp_path / "model.1")
    remove_stale(tmp_path / "model[x]1")
    assert (tmp_path / f".modelx1.{dead_process}.tmp").exists()
