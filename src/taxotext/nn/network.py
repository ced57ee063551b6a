"""Encoder, structure encoder and head as one network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taxotext.nn.batch import TokenBatch, TrainingBatch
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import Head, HeadScores
from taxotext.nn.label_heads import BranchesHead
from taxotext.nn.steering import steered_loss


class TextClassifier(nn.Module):
    """Token windows to the loss and the scores of documents.

    Args:
        encoder: (ids, mask) -> TextFeatures; one that is frozen also has ``from_states(states, mask)``.
        structure: TextFeatures -> TextFeatures.
        head: owns the loss and the scores.
    """

    def __init__(self, encoder: nn.Module, structure: nn.Module, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.structure = structure
        self.head = head

    def features(self, batch: TokenBatch) -> TextFeatures:
        """Return the features of all windows of a batch."""
        features: TextFeatures = self.structure(self.text(batch))
        return features

    def text(self, batch: TokenBatch) -> TextFeatures:
        """Return what the encoder makes of all windows of a batch."""
        if batch.states is None:
            found: TextFeatures = self.encoder(batch.ids, batch.mask)
        else:
            found = self.encoder.from_states(batch.states, batch.mask)  # type: ignore[operator]  # frozen encoders have it
        return found.owned(batch.owner, batch.documents)

    def forward(self, batch: TrainingBatch) -> Tensor:
        """Return the loss of a batch, a scalar: mean over documents, regularisers included."""
        if isinstance(self.head, BranchesHead) and self.head.gradients != "sum" and torch.is_grad_enabled():
            return steered_loss(self.text(batch.tokens), self.structure, self.head, batch.targets)
        return self.head.loss(self.features(batch.tokens), batch.targets)

    def scores(self, batch: TokenBatch, features: TextFeatures | None = None) -> HeadScores:
        """Return the scores of the documents of a batch.

        Args:
            batch: B documents.
            features: what :meth:`features` said of them, if it is known.
        """
        return self.head.scores(self.features(batch) if features is None else features)

    def trained_together(self) -> list[nn.Parameter]:
        """The parameters that one training changes."""
        return list(self.parameters())
