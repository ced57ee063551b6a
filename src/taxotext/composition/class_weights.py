"""Class weights of labels in a file: written by the binary systems, taken by losses of all labels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taxotext.errors import ConfigError
from taxotext.files import check_no_device
from taxotext.messages import counted

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy

CLASS_WEIGHTS = "class_weights.json"
"""Chosen class weights, by label id: ``{"format": 1, "weights": {...}}``."""
FORMAT = 1
RUN_SUFFIX = ".run"
KEY = "loss.weights_from"


def class_weights(weights: Mapping[str, float]) -> dict[str, Any]:
    """Content of :data:`CLASS_WEIGHTS`: class weights by label id."""
    return {"format": FORMAT, "weights": dict(weights)}


def given_weights(path: str, missing: float | None, taxonomy: Taxonomy) -> dict[str, float]:
    """Weights of all labels of ``taxonomy``, from a file or from the folder of a model or of its training.

    Args:
        path: the file; a folder that holds :data:`CLASS_WEIGHTS`; or a model folder that is still in the making, whose
            run folder beside it holds the weights that are known so far.
        missing: weight of labels that the file lacks; None: an error that names them.
        taxonomy: whose labels are wanted; others in the file are passed over.

    Raises:
        ConfigError: there is no such file, it holds something else, or it lacks labels.
    """
    file = weights_file(path)
    weights = read_weights(file, f"{KEY}: ")
    lacking = [label for label in taxonomy.ids if label not in weights]
    if lacking and missing is None:
        raise ConfigError(
            f"{KEY}: {file} has no weight of {counted(len(lacking), 'label')} of {len(taxonomy)}; wait for the end of "
            "the training that writes it, name that of the same taxonomy, or set loss.weights_missing=1.0.",
            [repr(label) for label in lacking],
        )
    other = 1.0 if missing is None else missing
    return {label: weights.get(label, other) for label in taxonomy.ids}


def weights_file(path: str) -> Path:
    """The file that ``loss.weights_from`` leads to.

    Args:
        path: as for :func:`given_weights`.

    Raises:
        ConfigError: there is none.
    """
    place = Path(path)
    beside = place.with_name(place.name + RUN_SUFFIX) if place.name else place
    choices = [place, place / CLASS_WEIGHTS, beside / CLASS_WEIGHTS]
    try:
        for choice in choices:
            if choice.is_file():
                return choice
        there = place.is_dir()
    except (OSError, ValueError) as error:  # a name that no file system takes
        raise ConfigError(f"{KEY}: {path!r} is not a possible file name ({error}).") from None
    raise ConfigError(
        f"{KEY}: {path}: {f'holds no {CLASS_WEIGHTS}' if there else 'no such file or folder'}; name a model of gru_att "
        f"or htrans, or its {CLASS_WEIGHTS}."
    )


def read_weights(file: Path, where: str = "") -> dict[str, float]:
    """Read a file of class weights.

    Args:
        file: :data:`CLASS_WEIGHTS` of some folder.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    try:
        check_no_device(file)
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{where}{file}: cannot be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}{file}: is not valid JSON ({error}).") from None
    form = content.get("format") if isinstance(content, dict) else None
    weights = content.get("weights") if isinstance(content, dict) else None
    if form is None or not isinstance(weights, dict):
        raise ConfigError(
            f'{where}{file}: holds no class weights; {{"format": 1, "weights": {{label: number}}}} is expected.'
        )
    if form != FORMAT or isinstance(form, bool):
        raise ConfigError(f"{where}{file}: has the format {form!r}; format {FORMAT} is read. Install a newer Taxotext.")
    wrong = [f"{label!r}: {weight!r}" for label, weight in weights.items() if not _is_weight(weight)]
    if wrong:
        raise ConfigError(f"{where}{file}: weights must be numbers above 0.", wrong)
    return {label: float(weight) for label, weight in weights.items()}


def _is_weight(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 < value <= float(np.finfo(np.float32).max)
