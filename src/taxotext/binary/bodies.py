"""Body parts: what each label owns over a pretrained encoder that all labels share, frozen.

A body reads the states of the encoder, or changes them from inside with adapters. Encoders over words need none: each
label owns everything of them but the word vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from taxotext.composition.parts import register
from taxotext.errors import ConfigError
from taxotext.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class BodySettings(Settings):
    """What every body has."""

    inside: ClassVar[bool] = False
    """False: built with the ``width`` D of the states, reads states (W, T, D). True: built with the ``encoder`` (a
    module of its own, to change in place), reads token ids; gives (module, names of its state that labels share)."""
    name: str = Field("", description="kind of body")


class GruBodySettings(BodySettings):
    """A bidirectional GRU over the states, with attention, maximum and mean: that of ``gru_att``."""

    name: Literal["gru"] = Field("gru", description="kind of body")
    units: int = Field(96, ge=1, le=16_384, description="of the GRU, in each direction")
    dropout: float = Field(0.4, ge=0, lt=1, description="on the states of the GRU")


class PoolingBodySettings(BodySettings):
    """Attention, maximum and mean of the states themselves; only the attention is learned."""

    name: Literal["pooling"] = Field("pooling", description="kind of body")
    units: int = Field(64, ge=1, le=16_384, description="of the attention")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the pooled vector")


class LoraBodySettings(BodySettings):
    """Low-rank adapters in the layers of the encoder (extra ``peft``), pooled as ``encoder.pooling`` says."""

    inside: ClassVar[bool] = True
    name: Literal["lora"] = Field("lora", description="kind of body")
    rank: int = Field(8, ge=1, le=16_384, description="of the adapters")
    scale: float = Field(16.0, gt=0, description="the paper's alpha: adapters count scale / rank")
    dropout: float = Field(0.05, ge=0, lt=1, description="before the adapters")
    modules: tuple[str, ...] | None = Field(
        None, min_length=1, description="names of the adapted layers; null: query and value, as peft knows them"
    )


def _build_gru(settings: GruBodySettings, *, width: int) -> nn.Module:
    from taxotext.nn.encoders.states import GruStates

    return GruStates(width, settings.units, settings.dropout)


def _build_pooling(settings: PoolingBodySettings, *, width: int) -> nn.Module:
    from taxotext.nn.encoders.states import PooledStates

    return PooledStates(width, settings.units, settings.dropout)


def _build_lora(settings: LoraBodySettings, *, encoder: Any) -> tuple[nn.Module, frozenset[str]]:
    from taxotext.nn.encoders.adapters import add_adapters

    if not hasattr(encoder, "model"):
        raise ConfigError("body.name: lora changes transformers only; choose encoder.name=transformer.")
    try:
        return encoder, add_adapters(encoder, settings.rank, settings.scale, settings.dropout, settings.modules)
    except ValueError as error:
        raise ConfigError(f"body.modules: {str(error).rstrip('.')}. Name linear layers of the encoder.") from None


register("body", GruBodySettings, _build_gru)
register("body", PoolingBodySettings, _build_pooling)
register("body", LoraBodySettings, _build_lora)
