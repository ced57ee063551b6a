"""Files of another library: any change between saving and loading is named before the library sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from taxotext.errors import ModelFolderError
from taxotext.files import sha256
from taxotext.files.native import RECORD, check_record, write_record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tree0.cbor").write_bytes(b"abc")
    (tmp_path / "tree1.cbor").write_bytes(b"defg")
    write_record(tmp_path, ["tree0.cbor", "tree1.cbor"], {"weights": 7})
    return tmp_path


def test_facts_come_back_and_the_record_holds_size_and_hash(folder: Path) -> None:
    assert check_record(folder, "*.cbor") == {"weights": 7}
    files = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
    # SHA-256 of "abc": the first example of FIPS 180-2.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files[0] == {"name": "tree0.cbor", "size": 3, "sha256": digest}
    assert sha256(folder / "tree0.cbor") == digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "tree1.cbor").unlink(), r"tree1\.cbor: is missing; save the model again"),
        (lambda folder: (folder / "tree1.cbor").write_bytes(b"def"), r"tree1\.cbor: has 3 bytes, native.json says 4"),
        (lambda folder: (folder / "tree1.cbor").write_bytes(b"defh"), r"tree1\.cbor: is damaged \(its SHA-256"),
        (lambda folder: (folder / "tree2.cbor").write_bytes(b""), r"tree2\.cbor: is not in native.json; remove it"),
        (lambda folder: (folder / RECORD).unlink(), r"native\.json: is missing"),
        (lambda folder: (folder / RECORD).write_text("{"), r"native\.json: is damaged"),
    ],
)
def test_changed_files_are_named(folder: Path, change: Callable[[Path], object], message: str) -> None:
    change(folder)
    with pytest.raises(ModelFolderError, match=message):
        check_record(folder, "*.cbor")


@pytest.mark.parametrize(
    "files",
    [
        None,
        [],
        "tree0.cbor",
        [{"name": "tree0.cbor", "size": 3}],
        [{"name": "tree0.cbor", "size": True, "sha256": ""}],
        [{"name": "../tree0.cbor", "size": 3, "sha256": ""}],
        [{"name": "/etc/passwd", "size": 3, "sha256": ""}],
    ],
)
def test_a_record_that_lists_no_files_of_the_folder_is_refused(folder: Path, files: object) -> None:
    (folder / RECORD).write_text(json.dumps({"files": files}), encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"native\.json: must list name, size and sha256 of each file"):
        check_record(folder)
