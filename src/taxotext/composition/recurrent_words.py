"""The encoder part ``recurrent``: word vectors, and LSTM or GRU layers in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from taxotext.composition.parts import register
from taxotext.composition.words import WordSettings, build_over_words

if TYPE_CHECKING:
    from taxotext.nn.encoders.pretrained import BuiltEncoder


class RecurrentSettings(WordSettings):
    """LSTM or GRU layers in both directions."""

    name: Literal["recurrent"] = Field("recurrent", description="kind of encoder")
    cell: Literal["lstm", "gru"] = Field("lstm", description="lstm or gru")
    units: int = Field(128, ge=1, le=16_384, description="of each direction")
    layers: int = Field(1, ge=1, le=8, description="on top of each other")
    word_dropout: float = Field(0.3, ge=0, lt=1, description="on the word vectors")
    dropout: float = Field(0.3, ge=0, lt=1, description="on the states of each layer")
    learned_start: bool = Field(False, description="whether the states before the first word are learned; else zeros")
    pooling: Literal["last", "max_mean"] = Field(
        "last", description="what a text is: the last state of each direction; or the maximum and mean of all states"
    )


def _build(settings: RecurrentSettings, **context: Any) -> BuiltEncoder:
    from taxotext.nn.encoders.recurrent import RecurrentWords

    return build_over_words(
        settings,
        lambda table: RecurrentWords(
            table,
            settings.cell,
            settings.units,
            settings.layers,
            settings.word_dropout,
            settings.dropout,
            settings.learned_start,
            settings.pooling,
        ),
        **context,
    )


register("encoder", RecurrentSettings, _build)
