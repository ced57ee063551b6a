"""What a fit leaves behind, beside the system itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from taxotext.decoding.heldout import HeldOut


@dataclass(frozen=True)
class FitResult:
    """The outcome of one fit."""

    # scores of documents that the system was not fitted on, for tuning, with their texts' fingerprints
    # (`HeldOut.from_blocks(..., texts=...)`)
    held_out: HeldOut
    seconds: float  # time of the fit, resumed parts included
    # one mapping an epoch (epoch, loss, validation scores), empty for direct recipes
    history: list[dict[str, Any]] = field(default_factory=list)
    selected: str = ""  # which epoch was kept and by what score, in words; empty for direct recipes
    notes: dict[str, Any] = field(default_factory=dict)  # facts for the model card, such as the number of cut texts
