"""What the files of a cell hold, checked where they are read: a folder may have been copied, cut or changed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from taxotext.files.json_files import checked, read_json_or_none

Count = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[FiniteFloat, Field(ge=0)]


class _Record(BaseModel):
    """An object of JSON that may hold more than is looked at."""

    model_config = ConfigDict(extra="allow", strict=True)


class Metrics(_Record):
    """Metrics by name; those that are no numbers are words about the others."""

    __pydantic_extra__: dict[str, FiniteFloat | str | None]

    documents: Count | None = None
    labels: Count | None = None
    unknown_labels: Count | None = None


class Machine(_Record):
    """Where a cell was computed."""

    processor: str
    cores: Count
    threads: Count
    system: str
    memory_gb: Amount | None = None
    accelerator: str | None = None


class Fit(_Record):
    """``fit.json``: a cell that is trained and evaluated. Times are seconds, sizes bytes."""

    ks: list[Count]
    metrics: Metrics
    parameters: Count | None
    train_seconds: Amount | None
    process_seconds: Amount
    peak_memory: Count
    model_bytes: Count
    training_documents: Count | None
    validation_data: str | None
    jobs: Count
    machine: Machine
    versions: dict[str, str]
    selected: str | None = None
    source: str | None = None


class BatchSpeed(_Record):
    """Milliseconds a document in batches of one size."""

    p50_ms: Amount
    p95_ms: Amount


class Speed(_Record):
    """``speed.json``: how fast a cell predicts."""

    batch_1: BatchSpeed
    batch_32: BatchSpeed
    documents_per_second: Amount
    peak_memory: Count
    load_before: Amount | None


class Progress(_Record):
    """``progress.json``: what the process of a cell is at. Times are seconds, those of the clock since 1970."""

    task: str = ""
    done: Amount = 0
    first: Amount = 0
    total: Amount | None = None
    fields: dict[str, float | str] = {}  # a loss may be NaN
    seconds: Amount = 0
    attempts: Amount = 0
    peak_memory: Amount = 0
    began: FiniteFloat = 0
    time: FiniteFloat = 0


class Comparison(_Record):
    """A difference of two systems."""

    difference: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    p_value: Annotated[FiniteFloat, Field(ge=0, le=1)]


Comparisons = dict[str, dict[str, Comparison]]
"""``significance.json``: by the key of the comparison, by metric."""


def read_record(path: Path, kind: Any) -> dict[str, Any] | None:
    """Read one of the files above; None where it is missing, damaged or holds something else."""
    content = read_json_or_none(path)
    try:
        return None if content is None else dict(checked(kind, content))
    except ValueError:
        return None
