"""A recurrent network in both directions over word vectors: the encoder of label sequences and of label attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from taxotext.nn.dropout import Dropout
from taxotext.nn.encoders.words import embed
from taxotext.nn.features import TextFeatures
from taxotext.nn.pooling import masked_max, masked_mean
from taxotext.nn.recurrent import both_directions

Pooling = Literal["last", "max_mean"]


class RecurrentWords(nn.Module):
    """LSTM or GRU layers in both directions over word vectors.

    Args:
        embedding: V x D; row 0 is padding and holds zeros.
        cell: "lstm" or "gru".
        units: H, of each direction.
        layers: on top of each other.
        word_dropout: on the word vectors, in training.
        dropout: on the states of each layer, in training.
        learned_start: whether the states before the first word are learned; else zeros.
        pooling: what a text is beside its states: "last", the last state of each direction of the last layer; or
            "max_mean", the maximum and the mean of the states.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        cell: Literal["lstm", "gru"],
        units: int,
        layers: int = 1,
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        learned_start: bool = False,
        pooling: Pooling = "last",
    ) -> None:
        super().__init__()
        make = nn.LSTM if cell == "lstm" else nn.GRU
        widths = [embedding.embedding_dim] + [2 * units] * (layers - 1)
        self.embedding = embedding
        self.forwards = nn.ModuleList(make(width, units, batch_first=True) for width in widths)
        self.backwards = nn.ModuleList(make(width, units, batch_first=True) for width in widths)
        self.word_dropout, self.dropout = Dropout(word_dropout), Dropout(dropout)
        kinds = 2 if cell == "lstm" else 1  # hidden states, and those of the cells
        self.start = nn.Parameter(torch.zeros(layers, 2, kinds, units)) if learned_start else None
        self.units, self.pooling = units, pooling
        self.token_width = 2 * units
        self.width = self.token_width if pooling == "last" else 2 * self.token_width

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features: states (W, T, 2H), and pooled (W, 2H), or (W, 4H) for "max_mean"."""
        states = self.word_dropout(embed(self.embedding, ids, mask).transpose(1, 2))  # (W, T, D)
        for layer, (ahead, back) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            start = None if self.start is None else self.start[layer]
            read = both_directions(ahead, back, states, mask, start)  # type: ignore[arg-type]  # (W, T, 2H)
            states = self.dropout(read)
        if self.pooling == "max_mean":
            return TextFeatures(states, mask, torch.cat([masked_max(states, mask), masked_mean(states, mask)], 1))
        last = (mask.sum(1) - 1).clamp(min=0)  # (W,)
        ends = states[torch.arange(states.shape[0], device=states.device), last, : self.units]  # (W, H)
        return TextFeatures(states, mask, torch.cat([ends, states[:, 0, self.units :]], 1))
