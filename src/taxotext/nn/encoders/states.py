"""Networks over vectors of tokens that another one has made: word vectors, or the states of a pretrained encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taxotext.nn.dropout import Dropout
from taxotext.nn.features import TextFeatures
from taxotext.nn.pooling import AttentionPooling, masked_max, masked_mean
from taxotext.nn.recurrent import both_directions

LARGEST = 65504.0
"""The largest number of 16 bits."""


class GruStates(nn.Module):
    """A bidirectional GRU whose states are joined by attention, maximum and mean.

    Args:
        inputs: D, width of the vectors that it reads.
        width: H, units of each direction.
        dropout: on the states, in training.
    """

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self._make(inputs, width, dropout)

    def _make(self, inputs: int, width: int, dropout: float) -> None:
        # Two networks in one direction each, the second one from the last word on. Packed sequences would do the same,
        # and are many times slower on a CPU.
        self.forwards = nn.GRU(inputs, width, batch_first=True)
        self.backwards = nn.GRU(inputs, width, batch_first=True)
        self.dropout = Dropout(dropout)
        self.attention = AttentionPooling(2 * width)
        self.token_width = 2 * width
        self.width = 3 * self.token_width

    def forward(self, vectors: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T, D) vectors, zeros on padding, and mask -> features; ``pooled`` is [attention; maximum; mean]."""
        states = self.dropout(both_directions(self.forwards, self.backwards, vectors, mask))  # (W, T, 2H)
        pooled = torch.cat([self.attention(states, mask), masked_max(states, mask), masked_mean(states, mask)], 1)
        return TextFeatures(states, mask, pooled)


class PooledStates(nn.Module):
    """The vectors themselves, joined by attention, maximum and mean; only the attention is learned.

    Args:
        inputs: D, width of the vectors that it reads.
        units: of the attention: u_t = tanh(W s_t + b) has so many numbers.
        dropout: on the pooled vector, in training.
    """

    def __init__(self, inputs: int, units: int, dropout: float) -> None:
        super().__init__()
        self.attention = AttentionPooling(inputs, units)
        self.dropout = Dropout(dropout)
        self.token_width = inputs
        self.width = 3 * inputs

    def forward(self, vectors: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T, D) vectors, zeros on padding, and mask -> features; ``pooled`` is [attention; maximum; mean]."""
        parts = [self.attention(vectors, mask), masked_max(vectors, mask), masked_mean(vectors, mask)]
        return TextFeatures(vectors, mask, self.dropout(torch.cat(parts, 1)))


def in_16_bits(tokens: Tensor, mask: Tensor) -> Tensor:
    """States as they are kept in files: (W, T, D) -> float16, zeros on padding (W, T)."""
    return (tokens.float().clamp(-LARGEST, LARGEST) * mask.unsqueeze(-1)).half()


def frozen_states(encoder: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """States of a frozen encoder in 16 bits, as they are kept for training: (W, T), (W, T) -> float16 (W, T, D).

    What is computed at use goes through the same 16 bits, so that both see the same numbers.
    """
    tokens: Tensor = encoder(ids, mask).tokens  # (W, T, D)
    return in_16_bits(tokens, mask)
