"""The encoder part ``bilstm``: word vectors and a bidirectional LSTM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from taxotext.composition.parts import register
from taxotext.composition.words import WordSettings, build_over_words

if TYPE_CHECKING:
    from taxotext.nn.encoders.pretrained import BuiltEncoder


class BiLstmSettings(WordSettings):
    """A bidirectional LSTM whose states are kept for each word."""

    name: Literal["bilstm"] = Field("bilstm", description="kind of encoder")
    units: int = Field(128, ge=1, description="of the LSTM, in each direction")
    word_dropout: float = Field(0.2, ge=0, lt=1, description="on the word vectors")
    dropout: float = Field(0.5, ge=0, lt=1, description="on the states of the LSTM")
    learned_start: bool = Field(True, description="whether the states before the first word are learned; else zeros")


def _build_bilstm(settings: BiLstmSettings, **context: Any) -> BuiltEncoder:
    from taxotext.nn.encoders.bilstm import BiLstm

    def make(table: Any) -> BiLstm:
        return BiLstm(table, settings.units, settings.word_dropout, settings.dropout, settings.learned_start)

    return build_over_words(settings, make, **context)


register("encoder", BiLstmSettings, _build_bilstm)
