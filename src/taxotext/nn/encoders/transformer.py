"""Any Hugging Face encoder as a text encoder."""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from taxotext.nn.encoders.states import in_16_bits
from taxotext.nn.features import TextFeatures
from taxotext.nn.pooling import masked_mean

Pooling = Literal["mean", "cls", "pooler"]


class TransformerEncoder(nn.Module):
    """A pretrained transformer and a way to pool its tokens.

    Args:
        model: a ``transformers`` encoder whose output has ``last_hidden_state`` (and ``pooler_output`` for "pooler").
        pooling: ``mean`` over tokens, ``cls`` = vector of the first token, ``pooler`` = the model's own tanh layer
            over the first token (Devlin et al. 2019).
        trainable: False: its weights stay as they are, dropout is off, and its states go through 16 bits, as those that
            are computed once and kept (:meth:`from_states`).

    Raises:
        ValueError: when "pooler" is asked of a model that has none, or of a frozen one.
    """

    def __init__(self, model: Any, pooling: Pooling = "mean", trainable: bool = True) -> None:
        super().__init__()
        if pooling == "pooler" and not trainable:
            raise ValueError("of a frozen encoder the states of the tokens are kept; choose pooling mean or cls")
        if pooling == "pooler" and getattr(model, "pooler", None) is None:
            raise ValueError("this encoder has no pooler; choose pooling mean or cls")
        if pooling != "pooler" and getattr(model, "pooler", None) is not None:
            model.pooler = nn.Identity()  # unused weights would be saved, hashed and decayed all the same
        self.model = model
        self.pooling = pooling
        self.trainable = trainable
        if not trainable:
            model.requires_grad_(False)
        self.width: int = model.config.hidden_size
        self.token_width: int = self.width

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features of width D."""
        if not self.trainable:
            with torch.no_grad():
                tokens = self.model(input_ids=ids, attention_mask=mask.to(ids.dtype)).last_hidden_state
            return self.from_states(in_16_bits(tokens, mask), mask)
        output = self.model(input_ids=ids, attention_mask=mask.to(ids.dtype))
        tokens = output.last_hidden_state  # (W, T, D)
        return TextFeatures(
            tokens, mask, output.pooler_output if self.pooling == "pooler" else self._pooled(tokens, mask)
        )

    def from_states(self, states: Tensor, mask: Tensor) -> TextFeatures:
        """States (W, T, D) that were computed before, and mask -> features, as :meth:`forward` of a frozen encoder."""
        tokens = states.float()
        return TextFeatures(tokens, mask, self._pooled(tokens, mask))

    def _pooled(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(tokens, mask) if self.pooling == "mean" else tokens[:, 0]

    def train(self, mode: bool = True) -> Self:
        """A frozen encoder never goes back to training."""
        super().train(mode)
        if not self.trainable:
            self.model.eval()
        return self
