"""Checksums of model folders brought up to date, so that other checks find what is wrong with changed weights."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path


def seal(model: Path) -> None:
    """Record the weights as they are, in a folder and its members; damaged configurations stay as they are."""
    for config in model.rglob("config.json"):
        try:
            content = json.loads(config.read_text(encoding="utf-8"))
            for name in content["weights_sha256"]:
                content["weights_sha256"][name] = sha256((config.parent / name).read_bytes()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        config.write_text(json.dumps(content), encoding="utf-8")
