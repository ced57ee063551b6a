"""What the fits of single labels leave, as JSON: written by the recipe along the taxonomy, checked where it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taxotext.errors import ModelFolderError
from taxotext.files.json_files import read_json

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FitReport(BaseModel):
    """One fit: a class weight of a label, trained to some epoch."""

    model_config = ConfigDict(strict=True)
    weight: Weight
    f1: float
    average_precision: float
    loss: float
    epoch: Count
    epochs: Count
    seconds: Seconds


class LabelFit(BaseModel):
    """The chosen fit of a label; ``parent`` and ``table``: numbers of labels, ``table`` -1: the first word vectors."""

    model_config = ConfigDict(strict=True)
    how: Literal["searched", "fallback", "constant"]
    positives: Count
    parent: Count | None
    fits: Count
    seconds: Seconds
    weight: Weight
    f1: float
    epoch: Count
    epochs: Count
    table: Annotated[int, Field(ge=-1)]


def wrong_report(report: Mapping[str, Any]) -> str | None:
    """What is wrong with a :class:`FitReport`, or None."""
    return _wrong(FitReport, report)


def wrong_fit(fit: Mapping[str, Any], labels: int) -> str | None:
    """What is wrong with a :class:`LabelFit` among so many labels, or None."""
    wrong = _wrong(LabelFit, fit)
    if wrong is None and max(fit["table"], fit["parent"] or 0) >= labels:
        return f"parent, table: must be numbers of the {labels} labels"
    return wrong


def read_fits(path: Path, labels: int) -> list[dict[str, Any]]:
    """Read how the labels of a model were fitted, in the order of its taxonomy.

    Raises:
        ModelFolderError: the file is missing or damaged, or tells of another number of labels.
    """
    fits = read_json(path, list)
    if len(fits) != labels:
        raise ModelFolderError(f"{path}: tells of {len(fits)} labels, the taxonomy of {labels}; save the model again.")
    found = [(number, wrong_fit(fit, labels)) for number, fit in enumerate(fits)]
    problems = [f"{number}: {wrong}" for number, wrong in found if wrong is not None]
    if problems:
        raise ModelFolderError(f"{path}: is damaged; save the model again.", problems)
    return fits


def _wrong(kind: type[BaseModel], values: Any) -> str | None:
    try:
        kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        return f"{place}: {first['msg'].removeprefix('Input ')}" if place else "must be a JSON object"
    return None
