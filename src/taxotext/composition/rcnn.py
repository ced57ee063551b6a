"""The encoder part ``rcnn``: a bidirectional GRU over word vectors, and convolutions over its states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from taxotext.composition.parts import register
from taxotext.composition.words import Kernels, WordSettings, build_over_words

if TYPE_CHECKING:
    from taxotext.nn.encoders.pretrained import BuiltEncoder


class RcnnSettings(WordSettings):
    """A bidirectional GRU, and the maxima of convolutions over its states."""

    name: Literal["rcnn"] = Field("rcnn", description="kind of encoder")
    embedding_dropout: float = Field(0.5, ge=0, lt=1, description="on the word vectors")
    units: int = Field(64, ge=1, le=16_384, description="of the GRU, in each direction")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the states of the GRU")
    kernels: Kernels = Field((2, 3, 4), min_length=1, max_length=32, description="states that the filters see")
    filters: int = Field(100, ge=1, le=16_384, description="of each width")
    top: int = Field(1, ge=1, le=1_000, description="largest values that are kept of each filter")


def _build(settings: RcnnSettings, **context: Any) -> BuiltEncoder:
    from taxotext.nn.encoders.rcnn import TextRcnn

    return build_over_words(
        settings,
        lambda table: TextRcnn(
            table,
            settings.units,
            settings.kernels,
            settings.filters,
            settings.top,
            settings.embedding_dropout,
            settings.dropout,
        ),
        **context,
    )


register("encoder", RcnnSettings, _build)
