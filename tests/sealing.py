"""Changed files of folders, and checksums brought up to date, so that other checks find what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

Change = Callable[[Any], object]


def change_json(path: Path, change: Change) -> None:
    """Change what a file of JSON holds."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def seal(model: Path) -> None:
    """Record weights, labels and native files as they are, in a folder and its members; damaged records stay."""
    for config in filter(Path.is_file, model.rglob("config.json")):  # whoever reads a pipe waits for ever
        try:
            content = json.loads(config.read_text(encoding="utf-8"))
            if (labels := config.parent / "taxonomy.json").is_file():
                ids = [label["id"] for label in json.loads(labels.read_text(encoding="utf-8"))["labels"]]
                content["labels_sha256"] = sha256(json.dumps(ids).encode()).hexdigest()
            for name in filter(lambda name: (config.parent / name).is_file(), content["weights_sha256"]):
                content["weights_sha256"][name] = sha256((config.parent / name).read_bytes()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        config.write_text(json.dumps(content), encoding="utf-8")
    for record in filter(Path.is_file, model.rglob("native.json")):
        try:
            content = json.loads(record.read_text(encoding="utf-8"))
            for entry in content["files"]:
                if not (record.parent / entry["name"]).is_file():
                    continue
                found = (record.parent / entry["name"]).read_bytes()
                entry.update(size=len(found), sha256=sha256(found).hexdigest())
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        record.write_text(json.dumps(content), encoding="utf-8")
