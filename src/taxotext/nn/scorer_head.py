"""A flat head: one scorer of all labels, and a loss part."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import LogitHead
from taxotext.nn.node_scorers import AttentionScorer


class MultiLabelAttentionHead(LogitHead):
    """All labels attend to the tokens of the whole document, in chunks of labels (AttentionXML without a tree).

    Args:
        scorer: of the N labels, or the M nodes of the label graph.
    """

    def __init__(self, scorer: AttentionScorer) -> None:
        super().__init__()
        self.scorer = scorer

    def tied(self) -> Sequence[Tensor]:
        """The output vectors of the labels, (N, d), where they have some of their own; else what they attend to."""
        return (self.scorer.queries if self.scorer.output is None else self.scorer.output,)

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of all documents, (B, N): the windows of a document are attended over together."""
        return self.scorer.all(features)

    def attention(self, features: TextFeatures, labels: Tensor) -> Tensor:
        """Return α of some labels, (B, C, S)."""
        return self.scorer.attention(features, labels)
