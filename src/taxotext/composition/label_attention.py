"""The head part ``multi_label_attention``: that of AttentionXML over all labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from taxotext.composition.parts import HeadSettings, LabelContext, Record, register
from taxotext.settings import Width

if TYPE_CHECKING:
    from torch import nn


class MultiLabelAttentionHeadSettings(HeadSettings):
    """Each label attends to the tokens of the whole text; the layers behind are shared by all labels."""

    name: Literal["multi_label_attention"] = Field("multi_label_attention", description="kind of head")
    hidden: tuple[Width, ...] = Field((256,), max_length=16, description="widths of the layers that all labels share")
    own_output: bool = Field(True, description="whether each label also has an output vector and a bias of its own")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the tokens")
    start_at_odds: bool = Field(
        True, description="outputs start from the log-odds of each label; without own_output from their mean share"
    )


def _build_head(settings: MultiLabelAttentionHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import torch

    from taxotext.nn.node_scorers import AttentionScorer, SharedLayers
    from taxotext.nn.scorer_head import MultiLabelAttentionHead

    nodes, odds = len(context.graph), context.first_bias if settings.start_at_odds else None
    prior = None
    if odds is not None and context.train is not None and not settings.own_output:
        prior = float(context.positives.mean()) / max(len(context.train), 1)
    layers = SharedLayers(context.token_width, settings.hidden, prior)
    scorer = AttentionScorer(
        context.token_width, nodes, layers, own_output=settings.own_output, dropout=settings.dropout
    )
    if odds is not None and scorer.bias is not None:
        with torch.no_grad():
            scorer.bias.copy_(odds)
    return MultiLabelAttentionHead(scorer), {}


register("head", MultiLabelAttentionHeadSettings, _build_head)
