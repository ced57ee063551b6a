"""TextRCNN: a bidirectional GRU over word vectors, and convolutions over its states."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext.nn.dropout import Dropout
from taxotext.nn.encoders.words import embed
from taxotext.nn.features import TextFeatures
from taxotext.nn.recurrent import both_directions


class TextRcnn(nn.Module):
    """The text encoder of HiAGM, HiMatch and HiTIN (Zhou et al. 2020, section 3.2).

        s_t = [GRU→; GRU←](dropout(e(w_t)))
        c_k = top_t ReLU(conv_k(dropout(s)))        of each kernel k, its largest values over the text
        h   = [c_k for all k]

    Args:
        embedding: V x D; row 0 is padding and holds zeros.
        units: of the GRU, in each direction.
        kernels: widths of the filters; a filter of width k begins up to ⌊k/2⌋ places before the text and ends as many
            after it, over zeros.
        filters: of each width.
        top: values that are kept of each filter, the largest ones.
        embedding_dropout, dropout: on the word vectors and on the states, in training.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        units: int,
        kernels: Sequence[int],
        filters: int,
        top: int,
        embedding_dropout: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.forwards = nn.GRU(embedding.embedding_dim, units, batch_first=True)
        self.backwards = nn.GRU(embedding.embedding_dim, units, batch_first=True)
        self.convolutions = nn.ModuleList(nn.Conv1d(2 * units, filters, kernel) for kernel in kernels)
        self.kernels, self.top = tuple(kernels), top
        self.embedding_dropout, self.dropout = Dropout(embedding_dropout), Dropout(dropout)
        self.token_width = 2 * units
        self.width = filters * len(self.kernels) * top

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features; ``tokens`` are the states of the GRU."""
        words = self.embedding_dropout(embed(self.embedding, ids, mask).transpose(1, 2))  # (W, T, D)
        states = self.dropout(both_directions(self.forwards, self.backwards, words, mask))  # (W, T, 2H)
        rows = states.transpose(1, 2)  # (W, 2H, T)
        lengths = mask.sum(1, keepdim=True)  # (W, 1)
        pooled = []
        for kernel, convolution in zip(self.kernels, self.convolutions, strict=True):
            beyond = kernel // 2
            found = torch.relu(convolution(functional.pad(rows, (beyond, max(beyond, kernel)))))  # (W, F, T')
            starts = torch.arange(found.shape[2], device=mask.device)
            inside = starts < (lengths + 2 * beyond - kernel + 1).clamp(min=1)  # (W, T'), as without padding
            found = found * inside.unsqueeze(1)  # nothing is below 0: what is outside never wins
            found = functional.pad(found, (0, max(0, self.top - found.shape[2])))
            largest = found.amax(2, keepdim=True) if self.top == 1 else found.topk(self.top, 2).values
            pooled.append(largest.flatten(1))  # (W, F top)
        return TextFeatures(states, mask, torch.cat(pooled, 1))
