"""Which model folders a report is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taxotext.errors import ModelFolderError
from taxotext.files.json_files import read_json_or_none
from taxotext.store.manifest import is_model_folder
from taxotext.training.run import SUFFIX

EXPERIMENT = "experiment.json"


def model_folders(given: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return a name and a model folder for each: models themselves, run folders of trainings, cells of experiments.

    Raises:
        ModelFolderError: there is no finished model.
    """
    found: list[tuple[str, Path]] = []
    for path in given:
        if is_model_folder(path):
            found.append((path.name or str(path), path))
        elif (path / EXPERIMENT).is_file():
            cells = sorted(cell for cell in _cells(path) if is_model_folder(cell / "model"))
            if not cells:
                raise ModelFolderError(
                    f"{path}: no cell of this experiment has a model yet; `taxotext experiment status {path}` says how "
                    "far it is."
                )
            found += [(cell.name.rpartition("_")[0] or cell.name, cell / "model") for cell in cells]
        elif path.name.endswith(SUFFIX) and path.is_dir():
            output = path.with_name(path.name.removesuffix(SUFFIX))
            if not is_model_folder(output):
                raise ModelFolderError(
                    f"{path}: the training has no model yet; `taxotext status {output}` says how far it is."
                )
            found.append((output.name, output))
        else:
            missing = (
                "there is no such folder" if not path.exists() else "is not a model folder, run folder or experiment"
            )
            raise ModelFolderError(f"{path}: {missing}; name a folder that `taxotext train` or `experiment` wrote.")
    return found


def _cells(experiment: Path) -> list[Path]:
    """Folders of the cells of an experiment, not those of settings before a change, which have the same names."""
    cells = (read_json_or_none(experiment / EXPERIMENT) or {}).get("cells")
    keys = {cell.get("key") for cell in cells if isinstance(cell, dict)} if isinstance(cells, list) else set()
    return [folder for folder in (experiment / "cells").glob("*") if folder.name.rpartition("_")[2] in keys]
