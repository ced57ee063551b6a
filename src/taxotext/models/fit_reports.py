"""What the fits of single labels leave, as JSON: written by the recipe along the taxonomy, checked where it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads that of the standard library from Python 3.12 on only

from taxotext.errors import ModelFolderError
from taxotext.models.json_files import read_json

Count = Annotated[int, Field(ge=0, strict=True)]
Number = Annotated[float, Field(strict=True)]
Weight = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]


class FitReport(TypedDict):
    """One fit: a class weight of a label, trained to some epoch."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # how pydantic takes it
    weight: Weight
    f1: Number
    average_precision: Number
    loss: Number
    epoch: Count
    epochs: Count
    seconds: Number


class LabelFit(TypedDict):
    """The chosen fit of a label; ``parent`` and ``table``: numbers of labels, ``table`` -1: the first word vectors."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    how: Literal["searched", "fallback", "constant"]
    positives: Count
    parent: Count | None
    fits: Count
    seconds: Number
    weight: Weight
    f1: Number
    epoch: Count
    epochs: Count
    table: Annotated[int, Field(ge=-1, strict=True)]


_REPORT: TypeAdapter[FitReport] = TypeAdapter(FitReport)
_LABEL: TypeAdapter[LabelFit] = TypeAdapter(LabelFit)


def wrong_report(report: Mapping[str, Any]) -> str | None:
    """What is wrong with a :class:`FitReport`, or None."""
    return _wrong(_REPORT, report)


def wrong_fit(fit: Mapping[str, Any], labels: int) -> str | None:
    """What is wrong with a :class:`LabelFit` among so many labels, or None."""
    wrong = _wrong(_LABEL, fit)
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


def _wrong(adapter: TypeAdapter[Any], values: Any) -> str | None:
    try:
        adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        return f"{place}: {first['msg'].removeprefix('Input ')}" if place else "must be a JSON object"
    return None
