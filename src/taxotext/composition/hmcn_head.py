"""The head parts ``hmcn`` (global and local outputs of HMCN-F) and ``local_global`` (levels, combined by a layer)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from taxotext.composition.parts import HeadSettings, LabelContext, Record, register

if TYPE_CHECKING:
    from torch import Tensor, nn


class HmcnHeadSettings(HeadSettings):
    """An output for all labels and one for each level."""

    own_loss: ClassVar[bool] = True
    name: Literal["hmcn"] = Field("hmcn", description="kind of head")
    width: int = Field(384, ge=1, le=16_384, description="of each layer")
    dropout: float = Field(0.6, ge=0, lt=1, description="behind each layer")
    beta: float = Field(0.5, ge=0, le=1, description="share of the local outputs in what is predicted")
    violation: float = Field(0.1, ge=0, description="weight of labels that score above their parents")
    levels: Literal["longest", "shortest"] = Field(
        "longest", description="level of a label with several parents: by its longest or shortest path from the top"
    )
    scale: Literal["sum", "mean"] = Field(
        "sum", description="over labels; the mean divides the gradients by their number"
    )


class LocalGlobalHeadSettings(HeadSettings):
    """A classifier for each level, and a linear layer over what all of them predict."""

    own_loss: ClassVar[bool] = True
    name: Literal["local_global"] = Field("local_global", description="kind of head")
    width: int = Field(256, ge=1, le=16_384, description="of the layer of each level")
    dropout: float = Field(0.4, ge=0, lt=1, description="behind the layer of each level")
    beta: float = Field(0.0, ge=0, le=1, description="share of the local outputs in what is predicted")
    local_weight: float = Field(1.0, ge=0, description="weight of the loss of the local outputs")
    violation: float = Field(0.0, ge=0, description="weight of labels that score above their parents")
    levels: Literal["longest", "shortest"] = Field(
        "longest", description="level of a label with several parents: by its longest or shortest path from the top"
    )
    scale: Literal["sum", "mean"] = Field(
        "sum", description="over labels; the mean divides the gradients by their number"
    )


def _levels(settings: HmcnHeadSettings | LocalGlobalHeadSettings, context: LabelContext) -> list[Tensor]:
    """The labels of each level, int64 (n_h,) each."""
    import torch

    taxonomy = context.taxonomy
    level = taxonomy.levels if settings.levels == "longest" else taxonomy.shortest_levels
    found = [np.flatnonzero(level == one).astype(np.int64) for one in range(1, int(level.max(initial=0)) + 1)]
    return [torch.from_numpy(labels) for labels in found]


def _facts(levels: list[Tensor]) -> Record:
    return {"facts": {"levels": " / ".join(str(len(labels)) for labels in levels)}}


def _build_local_global(settings: LocalGlobalHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import torch

    from taxotext.nn.hmcn import LevelsHead

    levels = _levels(settings, context)
    head = LevelsHead(
        context.width,
        levels,
        torch.from_numpy(context.taxonomy.edge_index.copy()),
        settings.width,
        settings.beta,
        settings.violation,
        settings.local_weight,
        settings.dropout,
        settings.scale,
        context.first_bias,
    )
    return head, _facts(levels)


def _build(settings: HmcnHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import torch

    from taxotext.nn.hmcn import HmcnHead

    taxonomy, levels = context.taxonomy, _levels(settings, context)
    head = HmcnHead(
        context.width,
        levels,
        torch.from_numpy(taxonomy.edge_index.copy()),
        settings.width,
        settings.beta,
        settings.violation,
        settings.dropout,
        settings.scale,
        context.first_bias,
    )
    return head, _facts(levels)


register("head", HmcnHeadSettings, _build)
register("head", LocalGlobalHeadSettings, _build_local_global)
