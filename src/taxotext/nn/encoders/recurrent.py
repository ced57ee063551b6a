"""A recurrent network in both directions over word vectors: the encoder of SGM and EncDec."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from taxotext.nn.dropout import Dropout
from taxotext.nn.encoders.words import embed
from taxotext.nn.features import TextFeatures
from taxotext.nn.recurrent import both_directions


class RecurrentWords(nn.Module):
    """LSTM or GRU layers in both directions; ``pooled`` is the last state of each direction of the last layer.

    Args:
        embedding: V x D; row 0 is padding and holds zeros.
        cell: "lstm" or "gru".
        units: H, of each direction.
        layers: on top of each other.
        dropout: on word vectors and on the states of each layer, in training.
    """

    def __init__(
        self, embedding: nn.Embedding, cell: Literal["lstm", "gru"], units: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        make = nn.LSTM if cell == "lstm" else nn.GRU
        widths = [embedding.embedding_dim] + [2 * units] * (layers - 1)
        self.embedding = embedding
        self.forwards = nn.ModuleList(make(width, units, batch_first=True) for width in widths)
        self.backwards = nn.ModuleList(make(width, units, batch_first=True) for width in widths)
        self.dropout = Dropout(dropout)
        self.units = units
        self.width = self.token_width = 2 * units

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features: states (W, T, 2H), [last of forwards; last of backwards] (W, 2H)."""
        states = self.dropout(embed(self.embedding, ids, mask).transpose(1, 2))  # (W, T, D)
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            states = self.dropout(both_directions(ahead, back, states, mask))  # type: ignore[arg-type]  # (W, T, 2H)
        last = (mask.sum(1) - 1).clamp(min=0)  # (W,)
        ends = states[torch.arange(len(states), device=states.device), last, : self.units]  # (W, H)
        return TextFeatures(states, mask, torch.cat([ends, states[:, 0, self.units :]], 1))
