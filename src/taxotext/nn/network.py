"""Encoder, structure encoder and head as one network."""

from __future__ import annotations

from torch import Tensor, nn

from taxotext.nn.pooling import join_windows


class TextClassifier(nn.Module):
    """Windows of token ids to one row of logits for each document.

    Args:
        encoder: (ids, mask) -> TextFeatures.
        structure: TextFeatures -> TextFeatures.
        head: TextFeatures -> logits (W, N).
        join: how the logits of several windows of a document become one: "max" or "mean".
    """

    def __init__(self, encoder: nn.Module, structure: nn.Module, head: nn.Module, join: str = "max") -> None:
        super().__init__()
        self.encoder = encoder
        self.structure = structure
        self.head = head
        self.join = join

    def forward(self, ids: Tensor, mask: Tensor, owner: Tensor, documents: int) -> Tensor:
        """Return logits (documents, N).

        Args:
            ids: (W, T) token ids.
            mask: (W, T) bool, True on tokens.
            owner: (W,) the document of each window, ascending.
            documents: B.
        """
        logits: Tensor = self.head(self.structure(self.encoder(ids, mask)))  # (W, N)
        if len(logits) == documents:
            return logits
        return join_windows(logits, owner, documents, self.join)
