"""Structure encoders: text features to text features that know the label structure."""

from __future__ import annotations

from torch import nn

from taxotext.nn.features import TextFeatures


class NoStructure(nn.Module):
    """Passes the text features on: the label structure is used in the loss and in decoding only."""

    def forward(self, features: TextFeatures) -> TextFeatures:
        """Return ``features``."""
        return features
