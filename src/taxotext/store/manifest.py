"""What a model folder keeps beside the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxotext.decoding import Decoding
from taxotext.decoding.heldout import HeldOut
from taxotext.files.json_files import read_json_or_none


@dataclass
class Manifest:
    """What a folder keeps beside the system."""

    decoding: Decoding  # how scores become labels
    # facts about the training data: sources, documents, closure, columns, fingerprints
    trained_on: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # of the system: parameters, encoder, hash
    metrics: dict[str, Any] = field(default_factory=dict)  # history, tuning and evaluations
    seen: list[int] = field(default_factory=list)  # training documents of each label, in label order
    held_out: HeldOut | None = None  # for tuning; None when there is none


def is_model_folder(folder: Path) -> bool:
    """Whether the folder is one of ours: other programs write a ``config.json`` too."""
    return is_model_config(folder / "config.json") and (folder / "taxonomy.json").is_file()


def is_model_config(path: Path) -> bool:
    """Whether a ``config.json`` was written by Taxotext."""
    return "format_version" in (read_json_or_none(path) or {})
