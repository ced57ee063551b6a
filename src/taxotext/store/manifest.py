"""What a model folder keeps beside the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from taxotext.decoding import Decoding
from taxotext.decoding.heldout import HeldOut


@dataclass
class Manifest:
    """What a folder keeps beside the system.

    Attributes:
        decoding: how scores become labels.
        trained_on: facts about the training data: sources, documents, closure, columns, fingerprints.
        facts: of the system: parameters, encoder, hash.
        metrics: history, tuning and evaluations.
        seen: training documents of each label, in label order.
        held_out: for tuning; None when there is none.
    """

    decoding: Decoding
    trained_on: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)
    held_out: HeldOut | None = None
