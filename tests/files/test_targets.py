"""What may be written to, and what may stand in a folder of ours."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from taxotext.errors import DataError, ModelFolderError
from taxotext.files import check_contents, check_target


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that is no target: pipe, socket, device, links to them, a link to itself."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    os.symlink("/dev/null", "device")
    os.symlink("pipe", "to-pipe")
    os.symlink("socket", "to-socket")
    os.symlink("loop", "loop")
    Path("file").write_text("mine", encoding="utf-8")
    Path("folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("wanted", ["file", "folder"])
@pytest.mark.parametrize("name", ["pipe", "socket", "device", "to-pipe", "to-socket"])
def test_what_is_neither_file_nor_folder_is_refused(odd: Path, name: str, wanted: str) -> None:
    sentence = rf"^{name}: is a device, pipe or socket, which is never replaced; name a {wanted}.$"
    with pytest.raises(DataError, match=sentence):
        check_target(Path(name), wanted, DataError)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["file/new", "file/new/er", "pipe/new", "device/new"])
def test_what_lies_below_something_else_than_a_folder_is_refused(odd: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be written \(Not a directory: .*\); name another file"):
        check_target(Path(name), "file", DataError)


def test_names_that_cannot_be_are_refused(odd: Path) -> None:
    for name in ("loop", "x" * 5000, "null\0"):
        with pytest.raises(DataError, match=r"leads back to itself|cannot be written \("):
            check_target(Path(name), "file", DataError)


def test_files_folders_and_free_names_pass_where_they_are_wanted(odd: Path) -> None:
    os.symlink("new/file", "free")
    for name in ("file", "new", "new/deeper/file", "folder/file", "free"):
        check_target(Path(name), "file", DataError)
    for name in ("folder", "new", "new/deeper"):
        check_target(Path(name), "folder", DataError)
    with pytest.raises(DataError, match=r"^folder: is a folder; name a file in it.$"):
        check_target(Path("folder"), "file", DataError)
    with pytest.raises(DataError, match=r"^file: is a file; name a folder.$"):
        check_target(Path("file"), "folder", DataError)


def test_a_folder_of_ours_holds_files_and_folders_only(odd: Path) -> None:
    ours = Path("folder")
    (ours / "members/0").mkdir(parents=True)
    (ours / "members/0/weights").write_text("1", encoding="utf-8")
    os.symlink("weights", ours / "members/0/same")
    check_contents(ours, ModelFolderError)
    check_contents(Path("missing"), ModelFolderError)
    os.symlink("../../../file", ours / "members/0/config.json")
    with pytest.raises(
        ModelFolderError, match=r"^folder/members/0/config.json: is a link that leads out of the folder"
    ):
        check_contents(ours, ModelFolderError)
    check_contents(ours, ModelFolderError, also=odd)
    (ours / "members/0/config.json").unlink()
    os.mkfifo(ours / "README.md")
    with pytest.raises(ModelFolderError, match=r"^folder/README.md: is a device, pipe or socket"):
        check_contents(ours, ModelFolderError)


def test_links_of_a_folder_that_is_a_link_itself_are_seen_from_where_it_leads(odd: Path) -> None:
    (odd / "elsewhere").mkdir()
    (odd / "elsewhere/real").write_text("1", encoding="utf-8")
    os.symlink("real", odd / "elsewhere/alias")
    os.symlink("elsewhere", odd / "linked")
    check_contents(odd / "linked", ModelFolderError)
