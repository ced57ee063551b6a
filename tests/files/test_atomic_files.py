"""Files that are there completely or not at all, and what killed processes leave."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from interrupted import full_disk
from taxotext.cli.output import lines_to
from taxotext.data import Corpus, write_corpus
from taxotext.errors import TaxotextError
from taxotext.files import (
    folders,
    recover_folder,
    remove_stale,
    replacing,
    replacing_folder,
    temporary_of,
    write_atomically,
    write_text_atomically,
)
from taxotext.files.locks import take_lock
from taxotext.labels import Taxonomy, write_names, write_taxonomy


@pytest.fixture(scope="module")
def dead_process() -> int:
    """The id of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_of(path: Path, process: int, machine: str | None = None) -> Path:
    """The temporary file of ``path`` that ``process`` would have left."""
    name = temporary_of(path).name.replace(f".{os.getpid()}.", f".{process}.")
    return path.with_name(name if machine is None else name.replace(folders._machine(), machine))


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
        assert temporary.parent == path.parent
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
    model = tmp_path / "model"
    kept = [
        left_of(model, os.getppid()).name,
        left_of(model, os.getpid()).name,  # of another thread
        left_of(model, dead_process, machine="other-host").name,
        left_of(tmp_path / "other", dead_process).name,
        left_of(model, dead_process).name.removeprefix("."),
        ".model.abc.tmp",
        ".model.old",
    ]
    for name in [*kept, left_of(model, dead_process).name]:
        (tmp_path / name).write_text("half")
    write_text_atomically(tmp_path / "model", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "model"])


def test_folders_that_killed_processes_left_are_removed_with_their_content(tmp_path: Path, dead_process: int) -> None:
    stale = left_of(tmp_path / "model", dead_process)
    (stale / "inner").mkdir(parents=True)
    (stale / "inner/file").write_text("half")
    remove_stale(tmp_path / "model")
    assert not stale.exists()


def test_a_link_with_the_name_of_a_leftover_is_removed_and_not_followed(tmp_path: Path, dead_process: int) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("keep")
    stale = left_of(tmp_path / "model", dead_process)
    stale.symlink_to(tmp_path / "precious")
    remove_stale(tmp_path / "model")
    assert (tmp_path / "precious/file").read_text() == "keep"
    assert not stale.is_symlink()


def test_a_parent_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    remove_stale(tmp_path / "nothing" / "model")
    assert not list(tmp_path.iterdir())


def test_the_name_is_taken_literally(tmp_path: Path, dead_process: int) -> None:
    stale = left_of(tmp_path / "modelx1", dead_process)
    stale.write_text("of another model")
    remove_stale(tmp_path / "model.1")
    remove_stale(tmp_path / "model[x]1")
    assert stale.exists()


def test_two_writers_of_one_file_have_files_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_the_longest_possible_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    write_text_atomically(path, "whole")
    assert path.read_text() == "whole"


def test_a_link_is_replaced_unless_it_is_to_be_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there/file")
    with replacing(tmp_path / "link", follow_link=True) as temporary:
        temporary.write_text("whole", encoding="utf-8")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there/file").read_text() == "whole"
    write_text_atomically(tmp_path / "link", "own")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "there/file").read_text() == "whole"


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_a_pipe_is_neither_replaced_nor_written_to(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(OSError, match="it is a device, pipe or socket, which is never replaced") as raised:
        write_text_atomically(tmp_path / name, "whole")
    assert raised.value.filename == str(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_that_is_missing_is_reported_with_the_name_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_text_atomically(tmp_path / "no/file", "x")
    assert caught.value.filename == str(tmp_path / "no/file")


def lines(path: Path) -> None:
    with lines_to(path, overwrite=True) as file:
        file.write(b"x" * 300_000)


WRITERS = {
    "corpus": lambda path: write_corpus(Corpus.from_lists(["x" * 300_000]), path, overwrite=True),
    "taxonomy": lambda path: write_taxonomy(Taxonomy.flat(["x" * 300_000]), path, "edges", overwrite=True),
    "names": lambda path: write_names({"x": "y" * 300_000}, path, overwrite=True),
    "lines": lines,
    "text": lambda path: write_text_atomically(path, "x" * 300_000),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_writer_syncs_removes_leftovers_and_gives_the_rights_of_a_new_file(
    tmp_path: Path, dead_process: int, monkeypatch: pytest.MonkeyPatch, write: object
) -> None:
    path, synced = tmp_path / "file.jsonl", []
    left_of(path, dead_process).write_text("half")
    original = folders.sync
    monkeypatch.setattr(folders, "sync", lambda place: (synced.append(place.name), original(place)))
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the mask belongs to all threads"))
    (tmp_path / "plain").touch()
    write(path)  # type: ignore[operator]
    assert sorted(os.listdir(tmp_path)) == ["file.jsonl", "plain"]
    assert len(synced) == 2  # the file and its folder
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_leaves_the_old_content_and_nothing_else(tmp_path: Path, write: object) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text("old")
    with full_disk(100_000), pytest.raises((TaxotextError, OSError)):
        write(path)  # type: ignore[operator]
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.jsonl"]


def test_a_full_disk_is_an_error_of_the_system_for_arrays_too(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "weights.safetensors"
    arrays = {"x": np.zeros(100_000)}
    with full_disk(100_000), pytest.raises(OSError, match="is the disk full") as caught:
        write_atomically(path, lambda temporary: save_file(arrays, temporary))
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_told_with_its_file_also_where_a_library_names_none(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, np.zeros(100_000))

    for size in (10, 100_000):
        with full_disk(size), pytest.raises(OSError, match="is the disk full") as caught:
            write_atomically(path, write)
        assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_an_error_of_the_system_for_checkpoints_too(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "last.ckpt"
    state = {"x": torch.zeros(100_000)}
    for size in (10, 100_000):
        with full_disk(size), pytest.raises(OSError, match="is the disk full") as caught:
            write_atomically(path, lambda temporary: torch.save(state, temporary))
        assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "folder"
    with replacing_folder(folder) as new:
        (new / "a").write_text("old")
        assert not folder.exists()
    with replacing_folder(folder) as new:
        (new / "b").write_text("new")
        assert os.listdir(folder) == ["a"]
    assert os.listdir(folder) == ["b"]
    assert os.listdir(folder.parent) == ["folder"]


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with replacing_folder(folder) as new:
        (new / "a").write_text("old")

    def fail() -> None:
        with replacing_folder(folder) as new:
            (new / "b").write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert os.listdir(folder) == ["a"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_that_stands_aside_is_brought_back_only_where_none_is_in_its_place(tmp_path: Path) -> None:
    folder, aside = tmp_path / "folder", tmp_path / ".folder.old"
    aside.mkdir()
    recover_folder(folder)
    assert folder.is_dir()
    assert not aside.exists()
    aside.mkdir()
    recover_folder(folder)
    assert aside.is_dir()


def test_a_lock_keeps_others_out_until_its_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("wb") as first:
        assert take_lock(first)
        with path.open("wb") as second:
            assert not take_lock(second)
    with path.open("wb") as third:
        assert take_lock(third)


def test_where_a_file_system_has_no_locks_nobody_is_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "lock").open("wb") as file:
        assert take_lock(file)
