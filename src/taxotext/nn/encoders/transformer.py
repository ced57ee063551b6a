"""Any Hugging Face encoder as a text encoder."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from taxotext.nn.features import TextFeatures
from taxotext.nn.pooling import masked_mean

Pooling = Literal["mean", "cls", "pooler"]


class TransformerEncoder(nn.Module):
    """A pretrained transformer and a way to pool its tokens.

    Args:
        model: a ``transformers`` encoder whose output has ``last_hidden_state`` (and ``pooler_output`` for "pooler").
        pooling: ``mean`` over tokens, ``cls`` = vector of the first token, ``pooler`` = the model's own tanh layer
            over the first token (Devlin et al. 2019).

    Raises:
        ValueError: when "pooler" is asked of a model that has none.
    """

    def __init__(self, model: Any, pooling: Pooling = "mean") -> None:
        super().__init__()
        if pooling == "pooler" and getattr(model, "pooler", None) is None:
            raise ValueError("this encoder has no pooler; choose pooling mean or cls")
        if pooling != "pooler" and getattr(model, "pooler", None) is not None:
            model.pooler = None  # unused weights would be saved, hashed and decayed all the same
        self.model = model
        self.pooling = pooling
        self.width: int = model.config.hidden_size
        self.token_width: int = self.width

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features of width D."""
        output = self.model(input_ids=ids, attention_mask=mask.to(ids.dtype))
        tokens = output.last_hidden_state  # (W, T, D)
        if self.pooling == "mean":
            pooled = masked_mean(tokens, mask)
        elif self.pooling == "cls":
            pooled = tokens[:, 0]
        else:
            pooled = output.pooler_output
        return TextFeatures(tokens, mask, pooled)
