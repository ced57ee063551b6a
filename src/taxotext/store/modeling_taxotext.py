"""The model of an exported folder, for Hugging Face's transformers; copied into the folder, without Taxotext."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class TaxotextConfig(PretrainedConfig):
    """Configuration: that of the encoder, and how its tokens become one vector.

    Args:
        encoder: configuration of the encoder, with its ``model_type``.
        pooling: mean, cls or pooler.
        half_states: whether token vectors are rounded to 16 bits, as those of a frozen encoder were in training.
    """

    model_type = "taxotext"

    def __init__(
        self, encoder: dict[str, Any] | None = None, pooling: str = "mean", half_states: bool = False, **kwargs: Any
    ) -> None:
        self.encoder = encoder or {}
        self.pooling = pooling
        self.half_states = half_states
        super().__init__(**kwargs)


class TaxotextForSequenceClassification(PreTrainedModel):
    """One logit for each label over the pooled tokens."""

    config_class = TaxotextConfig
    base_model_prefix = "encoder"

    def __init__(self, config: TaxotextConfig) -> None:
        super().__init__(config)
        values = dict(config.encoder)
        self.encoder = AutoModel.from_config(AutoConfig.for_model(values.pop("model_type"), **values))
        if config.pooling != "pooler" and getattr(self.encoder, "pooler", None) is not None:
            self.encoder.pooler = nn.Identity()
        self.classifier = nn.Linear(self.encoder.config.hidden_size, config.num_labels or 0)
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any
    ) -> SequenceClassifierOutput:
        """Token ids (B, T) to logits (B, N)."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        output = self.encoder(input_ids=input_ids, attention_mask=mask)
        tokens = output.last_hidden_state  # (B, T, D)
        if self.config.half_states:
            tokens = tokens.clamp(-65504.0, 65504.0).half().float()
        if self.config.pooling == "mean":
            weights = mask.unsqueeze(-1).to(tokens.dtype)
            pooled = (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)
        elif self.config.pooling == "cls":
            pooled = tokens[:, 0]
        else:
            pooled = output.pooler_output
        return SequenceClassifierOutput(logits=self.classifier(pooled))
