"""What makes two model folders the same to whoever predicts with them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from taxotext.files import sha256

ABOUT = frozenset({"README.md", "metrics.json", "heldout.safetensors"})
"""Files at the top of a model folder that tell of it and that no prediction depends on."""


def model_fingerprint(folder: Path) -> str:
    """SHA-256 of the files that predictions depend on, names included.

    Raises:
        OSError: a file cannot be read.
    """
    return fingerprint(folder, leaving_out=ABOUT)


def fingerprint(path: Path, leaving_out: frozenset[str] = frozenset()) -> str:
    """SHA-256 of a file, or of all files in a folder with their names; hidden ones do not count.

    Args:
        leaving_out: names at the top of the folder that do not count.

    Raises:
        OSError: a file cannot be read.
    """
    if not path.is_dir():
        return sha256(path)
    found = hashlib.sha256()
    for below in sorted(path.rglob("*")):
        name = below.relative_to(path)
        if str(name) in leaving_out or any(part.startswith(".") for part in name.parts) or not below.is_file():
            continue
        found.update(os.fsencode(name.as_posix()) + f"\0{sha256(below)}\n".encode())
    return found.hexdigest()
