"""A bidirectional LSTM over word vectors, as the sequence encoder of label attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taxotext.nn.dropout import Dropout
from taxotext.nn.encoders.words import embed
from taxotext.nn.features import TextFeatures
from taxotext.nn.pooling import masked_max, masked_mean
from taxotext.nn.recurrent import turn_round


class BiLstm(nn.Module):
    """Word vectors, dropout, one LSTM in each direction, dropout (You et al. 2019, section 3.2).

    Args:
        embedding: V x D; row 0 is padding and holds zeros.
        width: H, units of each direction.
        word_dropout: on the word vectors, in training.
        dropout: on the states, in training.
        learned_start: whether the states before the first word are learned; else zeros.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        width: int,
        word_dropout: float = 0.2,
        dropout: float = 0.5,
        learned_start: bool = True,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.word_dropout, self.dropout = Dropout(word_dropout), Dropout(dropout)
        # Two networks in one direction each, the second one from the last word on: packed sequences would do the same,
        # and are many times slower on a CPU.
        self.forwards = nn.LSTM(embedding.embedding_dim, width, batch_first=True)
        self.backwards = nn.LSTM(embedding.embedding_dim, width, batch_first=True)
        # (direction, hidden or cell, H)
        self.start = nn.Parameter(torch.zeros(2, 2, width)) if learned_start else None
        self.token_width = 2 * width
        self.width = 2 * self.token_width

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features; ``tokens`` are the states, ``pooled`` is [maximum; mean]."""
        words = self.word_dropout(embed(self.embedding, ids, mask).transpose(1, 2))  # (W, T, D)
        ahead = self._read(self.forwards, words, 0)  # (W, T, H)
        back = turn_round(self._read(self.backwards, turn_round(words, mask), 1), mask)
        states = self.dropout(torch.cat([ahead, back], 2) * mask.unsqueeze(-1))  # (W, T, 2H)
        return TextFeatures(states, mask, torch.cat([masked_max(states, mask), masked_mean(states, mask)], 1))

    def _read(self, network: nn.LSTM, words: Tensor, direction: int) -> Tensor:
        if self.start is None:
            found: Tensor = network(words)[0]
            return found
        hidden, cell = (part.expand(1, len(words), -1).contiguous() for part in self.start[direction].unsqueeze(1))
        states: Tensor = network(words, (hidden, cell))[0]
        return states
