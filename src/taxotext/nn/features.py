"""The contract between text encoders, structure encoders and heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from taxotext.nn.pooling import join_windows


@dataclass(frozen=True)
class TextFeatures:
    """What an encoder makes of W token windows.

    An encoder has two numbers: ``width`` is D, ``token_width`` is d.
    """

    tokens: Tensor  # (W, T, d) one vector for each token, or for each position that the encoder makes of them
    mask: Tensor  # (W, T) bool, True on tokens, False on padding
    pooled: Tensor  # (W, D) one vector for each window
    # (W, M, d) one vector for each node of the label graph (the N labels, where a taxonomy is not split), filled by
    # structure encoders; None before. It belongs to a window, not to a document: heads compute logits from it and join
    # those.
    labels: Tensor | None = None
    # (W, G, K, d) one vector for each layer of a tree over the labels of each of G branches, filled by structure
    # encoders that pool their nodes; None before
    layers: Tensor | None = None
    # (W,) int64, the document of each window, ascending; None: each window is a document of its own
    owner: Tensor | None = None
    count: int | None = None  # documents that own the windows; None: W

    @property
    def documents(self) -> int:
        """B."""
        return len(self.pooled) if self.count is None else self.count

    def owned(self, owner: Tensor, documents: int) -> Self:
        """Return the features with the owners of their windows; without them where each document has one window."""
        return self if len(self.pooled) == documents else replace(self, owner=owner, count=documents)

    def joined(self, values: Tensor, how: str) -> Tensor:
        """Join what was computed for each window by ``"max"`` or ``"mean"``: (W, N) -> (B, N)."""
        return values if self.owner is None else join_windows(values, self.owner, self.documents, how)

    def by_document(self) -> tuple[Tensor, Tensor]:
        """Tokens of all windows of each document side by side: (B, S, d), and their mask (B, S).

        S is T times the windows of the document that has most; heads that attend over a whole text read this.
        """
        if self.owner is None:
            return self.tokens, self.mask
        counts = torch.bincount(self.owner, minlength=self.documents)  # (B,)
        most, length = int(counts.max()), self.tokens.shape[1]
        place = torch.arange(len(self.owner), device=self.owner.device) - (counts.cumsum(0) - counts)[self.owner]
        tokens = self.tokens.new_zeros(self.documents, most, *self.tokens.shape[1:])
        mask = self.mask.new_zeros(self.documents, most, length)
        tokens[self.owner, place], mask[self.owner, place] = self.tokens, self.mask
        return tokens.flatten(1, 2), mask.flatten(1, 2)
