"""The head part ``hmcn``: global and local outputs of HMCN-F."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from taxotext.composition.parts import HeadSettings, LabelContext, Record, register

if TYPE_CHECKING:
    from torch import nn


class HmcnHeadSettings(HeadSettings):
    """An output for all labels and one for each level."""

    own_loss: ClassVar[bool] = True
    name: Literal["hmcn"] = Field("hmcn", description="kind of head")
    width: int = Field(384, ge=1, description="of each layer")
    dropout: float = Field(0.6, ge=0, lt=1, description="behind each layer")
    beta: float = Field(0.5, ge=0, le=1, description="share of the local outputs in what is predicted")
    violation: float = Field(0.1, ge=0, description="weight of labels that score above their parents")
    levels: Literal["longest", "shortest"] = Field(
        "longest", description="level of a label with several parents: by its longest or shortest path from the top"
    )
    scale: Literal["sum", "mean"] = Field(
        "sum", description="over labels; the mean divides the gradients by their number"
    )


def _build(settings: HmcnHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import torch

    from taxotext.nn.hmcn import HmcnHead

    taxonomy = context.taxonomy
    level = taxonomy.levels if settings.levels == "longest" else taxonomy.shortest_levels
    levels = [np.flatnonzero(level == one).astype(np.int64) for one in range(1, int(level.max(initial=0)) + 1)]
    head = HmcnHead(
        context.width,
        [torch.from_numpy(labels) for labels in levels],
        torch.from_numpy(taxonomy.edge_index.copy()),
        settings.width,
        settings.beta,
        settings.violation,
        settings.dropout,
        settings.scale,
        context.first_bias,
    )
    return head, {"facts": {"levels": " / ".join(str(len(labels)) for labels in levels)}}


register("head", HmcnHeadSettings, _build)
