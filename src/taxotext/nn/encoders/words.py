"""Encoders over word vectors: three convolutional networks and a bidirectional GRU with attention.

All of them answer the same for a text however much padding stands behind it: positions of padding hold zeros before
each convolution, as the space beyond a text does, and are left out of every pooling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext.nn.encoders.states import GruStates
from taxotext.nn.features import TextFeatures


class TextCnn(nn.Module):
    """Two convolutions, each followed by max pooling, and a feed-forward layer with batch normalisation.

    Args:
        embedding: V x D; row 0 is padding and holds zeros.
        filters: of each convolution.
        kernel: odd number of positions that a filter sees; the text goes on as zeros beyond its ends.
        pool: positions that the first pooling joins; the second joins all that are left.
        hidden: width of the feed-forward layer.
    """

    def __init__(self, embedding: nn.Embedding, filters: int, kernel: int, pool: int, hidden: int) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; an odd number is needed")
        self.embedding = embedding
        self.first = nn.Conv1d(embedding.embedding_dim, filters, kernel, padding=kernel // 2)
        self.second = nn.Conv1d(filters, filters, kernel, padding=kernel // 2)
        self.hidden = nn.Linear(filters, hidden)
        self.norm = RowNorm(hidden)
        self.pool = pool
        self.width, self.token_width = hidden, filters

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) ids and mask -> features; ``tokens`` are the T' = ⌈T / pool⌉ positions of the second convolution."""
        words = embed(self.embedding, ids, mask)  # (W, D, T)
        real = mask.unsqueeze(1)  # (W, 1, T)
        found = functional.relu(self.first(words)) * real  # (W, F, T)
        # Nothing is below 0 here, so that zeros of padding never win a maximum over at least one real position.
        found, real = self._join(found), self._join(real)  # (W, F, T'), (W, 1, T')
        found = functional.relu(self.second(found)) * real  # (W, F, T')
        pooled = functional.relu(self.norm(self.hidden(found.amax(2))))  # (W, H)
        return TextFeatures(found.transpose(1, 2), real.squeeze(1), pooled)

    def _join(self, rows: Tensor) -> Tensor:
        """(W, F, T) -> (W, F, ⌈T / pool⌉), maxima; zeros fill the last group."""
        filled = functional.pad(rows, (0, -rows.shape[2] % self.pool))
        return filled.reshape(*rows.shape[:2], -1, self.pool).amax(3)


class KimCnn(nn.Module):
    """One layer of convolutions of several widths, each followed by the maximum over the text (Kim 2014).

    Args:
        embedding: V x D; row 0 is padding and holds zeros.
        kernels: widths of the filters; each begins and ends with a single word of the text, zeros around it.
        filters: of each width.
    """

    def __init__(self, embedding: nn.Embedding, kernels: Sequence[int], filters: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding.embedding_dim, filters, kernel, padding=kernel - 1) for kernel in kernels
        )
        self.kernels = tuple(kernels)
        self.width = self.token_width = filters * len(self.kernels)

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features; ``tokens`` are the filters that begin at each token."""
        words = self.words(ids, mask)  # (W, D, T)
        length = ids.shape[1]
        tokens, pooled = [], []
        for kernel, convolution in zip(self.kernels, self.convolutions, strict=True):
            inside = functional.pad(mask.unsqueeze(1).float(), (kernel - 1, kernel - 1))
            # Over two dimensions: that over one fixes the length where the network is traced for an export.
            pooled_mask = functional.max_pool2d(inside.unsqueeze(2), (1, kernel), stride=1).squeeze(2)
            real = pooled_mask > 0  # (W, 1, T + k - 1), sees a token
            found = functional.relu(convolution(words)) * real  # (W, F, T + k - 1), nothing below 0
            pooled.append(self.pool(found, real))
            tokens.append(found[:, :, kernel - 1 :][:, :, :length])  # (W, F, T)
        return TextFeatures(torch.cat(tokens, 1).transpose(1, 2), mask, self.join(torch.cat(pooled, 1)))

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(W, T) ids -> (W, D, T), what the filters see."""
        return embed(self.embedding, ids, mask)

    def pool(self, found: Tensor, real: Tensor) -> Tensor:
        """(W, F, P) at P places, (W, 1, P) which of them are real, the first ones -> (W, F), maxima."""
        return found.amax(2)

    def join(self, pooled: Tensor) -> Tensor:
        """What a text is, from the maxima of all filters."""
        return pooled


class XmlCnn(KimCnn):
    """Convolutions of several widths, maxima over parts of the text, and a narrow layer (Liu et al. 2017, "XML-CNN").

    The places of a text, n of them, are cut into p parts: from ⌊j n / p⌋ to before ⌈(j + 1) n / p⌉ for part j, so that
    none is empty in a text of fewer places than parts.

    Args:
        embedding: V x D; row 0 is padding and holds zeros.
        kernels: widths of the filters, as for :class:`KimCnn`.
        filters: of each width.
        parts: p.
        hidden: width of the layer behind ("bottleneck").
        dropout: on the word vectors, in training.
    """

    def __init__(
        self, embedding: nn.Embedding, kernels: Sequence[int], filters: int, parts: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(embedding, kernels, filters)
        self.parts, self.dropout = parts, nn.Dropout(dropout)
        self.hidden = nn.Linear(filters * len(self.kernels) * parts, hidden)
        self.width = hidden

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(W, T) ids -> (W, D, T), with dropout."""
        found: Tensor = self.dropout(super().words(ids, mask))
        return found

    def pool(self, found: Tensor, real: Tensor) -> Tensor:
        """(W, F, P), (W, 1, P) -> (W, F p), the maxima of each part side by side."""
        count = real.sum(2, keepdim=True)  # (W, 1, 1)
        places = torch.arange(real.shape[2], device=real.device)  # (P,)
        maxima = []
        for part in range(self.parts):
            first = part * count // self.parts
            last = -(-(part + 1) * count // self.parts)
            maxima.append((found * ((places >= first) & (places < last))).amax(2))
        return torch.cat(maxima, 1)

    def join(self, pooled: Tensor) -> Tensor:
        """(W, F p widths) -> (W, H)."""
        return functional.relu(self.hidden(pooled))


class GruAttention(GruStates):
    """A bidirectional GRU over word vectors, whose states are joined by attention, maximum and mean.

    Args:
        embedding: V x D; row 0 is padding and holds zeros.
        width: H, units of each direction.
        dropout: on the states, in training.
    """

    def __init__(self, embedding: nn.Embedding, width: int, dropout: float) -> None:
        nn.Module.__init__(self)
        self.embedding = embedding
        self._make(embedding.embedding_dim, width, dropout)

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features; ``pooled`` is [attention; maximum; mean]."""
        return super().forward(embed(self.embedding, ids, mask).transpose(1, 2), mask)


class RowNorm(nn.BatchNorm1d):
    """Batch normalisation that takes a batch of one row as well: by the running statistics, which it leaves alone."""

    def forward(self, rows: Tensor) -> Tensor:
        """(W, D) -> (W, D)."""
        if self.training and len(rows) == 1:
            return functional.batch_norm(
                rows, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(rows)


def embed(embedding: nn.Embedding, ids: Tensor, mask: Tensor) -> Tensor:
    """(W, T) ids -> (W, D, T) vectors, zeros on padding."""
    vectors: Tensor = embedding(ids) * mask.unsqueeze(-1)
    return vectors.transpose(1, 2)
