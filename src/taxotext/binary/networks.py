"""What the classifiers of one label each are made of, and what of it they share.

Over words the labels share word vectors. Over a pretrained encoder they share the encoder, which is frozen: a body of
each label reads its states, or changes it from inside with adapters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from taxotext.composition import parts
from taxotext.data.tokens import TextTokenizer
from taxotext.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from taxotext.binary.settings import BinarySettings
    from taxotext.nn.label_networks import LabelNetwork


def reads_states(settings: BinarySettings) -> bool:
    """Whether the classifiers read states of a frozen encoder."""
    return settings.body is not None and not settings.body.inside


def changes_encoder(settings: BinarySettings) -> bool:
    """Whether each classifier changes the frozen encoder from inside."""
    return settings.body is not None and bool(settings.body.inside)


def trains_words(settings: BinarySettings) -> bool:
    """Whether there are word vectors, and they are trained."""
    return settings.body is None and bool(settings.encoder.train_embeddings)


def single_network(
    settings: BinarySettings, record: dict[str, Any], tokenizer: TextTokenizer, encoder: nn.Module | None = None
) -> LabelNetwork:
    """One classifier, untrained; random weights come from torch's generator.

    Args:
        record: of the encoder; its ``width`` is that of the states.
        encoder: what adapters are put into, in place; None: one with random weights.

    Raises:
        ConfigError: the encoder has no word vectors for the classifiers to share, or no layers for the adapters.
        MissingExtraError: adapters, and peft is not there.
    """
    from taxotext.nn.label_networks import TABLE, LabelNetwork

    join = "mean" if settings.text.long_text == "chunk_mean" else "max"
    body = settings.body
    if body is not None and not body.inside:
        return LabelNetwork(parts.build("body", body, width=int(record["width"])), join, frozenset())
    if encoder is None:
        encoder = empty_encoder(settings, record, tokenizer)
    if body is not None:
        module, shared = parts.build("body", body, encoder=encoder)
        return LabelNetwork(module, join, frozenset(f"encoder.{name}" for name in shared))
    if not hasattr(encoder, "embedding"):
        raise ConfigError(
            f"encoder.name: {settings.encoder.name} has no word vectors for the classifiers to share; "
            "choose gru_att, or another encoder over words."
        )
    return LabelNetwork(encoder, join, frozenset({TABLE}))


def empty_encoder(settings: BinarySettings, record: dict[str, Any], tokenizer: TextTokenizer) -> nn.Module:
    """The encoder with random weights."""
    module: nn.Module = parts.build("encoder", settings.encoder, record=record, tokenizer=tokenizer).module
    return module


def log_odds(positives: int, documents: int, weight: float) -> float:
    """Log-odds of a label among weighted documents; finite also where it has none."""
    return math.log(weight * (positives + 1) / (documents - positives + 1))
