"""Files of another library in a model folder: recorded with size and SHA-256, checked before that library reads them.

Such a library may believe what a file says about itself and end the process over a damaged one. A record protects from
damage and from mixed folders; it cannot protect from somebody who forges files and record alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxotext.errors import ModelFolderError
from taxotext.files.folders import sha256
from taxotext.files.json_files import read_json

RECORD = "native.json"
_ADVICE = "save the model again"


def write_record(folder: Path, names: Sequence[str], facts: Mapping[str, Any]) -> None:
    """Write ``native.json``: size and hash of each file, and facts about them.

    Args:
        folder: holds the files.
        names: of the files, without folders.
        facts: JSON values.
    """
    files = [{"name": name, "size": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in names]
    content = {**facts, "files": files}
    (folder / RECORD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def check_record(folder: Path, *patterns: str) -> dict[str, Any]:
    """Compare the files with ``native.json``, and return its facts.

    Args:
        folder: holds both.
        patterns: what the library looks for in the folder; a file that matches and is not recorded is an error.

    Raises:
        ModelFolderError: a file is missing, not recorded, or not the one that was recorded.
    """
    record = folder / RECORD
    content = read_json(record, dict)
    files = content.pop("files", None)
    if not isinstance(files, list) or not files or not all(map(_is_entry, files)):
        raise ModelFolderError(f"{record}: must list name, size and sha256 of each file; {_ADVICE}.")
    for entry in files:
        path = folder / entry["name"]
        if not path.is_file():
            raise ModelFolderError(f"{path}: is missing; {_ADVICE}.")
        size = path.stat().st_size
        if size != entry["size"]:
            raise ModelFolderError(f"{path}: has {size:,} bytes, {RECORD} says {entry['size']:,}; {_ADVICE}.")
        if sha256(path) != entry["sha256"]:
            raise ModelFolderError(f"{path}: is damaged (its SHA-256 is not the one in {RECORD}); {_ADVICE}.")
    names = {entry["name"] for entry in files}
    strays = sorted({path.name for pattern in patterns for path in folder.glob(pattern)} - names)
    if strays:
        raise ModelFolderError(f"{folder / strays[0]}: is not in {RECORD}; remove it, or {_ADVICE}.")
    return content


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    name, size, digest = (entry.get(key) for key in ("name", "size", "sha256"))
    return isinstance(name, str) and Path(name).name == name and type(size) is int and isinstance(digest, str)
