"""A policy that walks down a taxonomy: from the root, one label after the other, until it stops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taxotext.nn.features import TextFeatures
from taxotext.nn.sequence.decoder import BLOCKED, Memory, State, StepwiseDecoder
from taxotext.nn.sequence.order import TaxonomyOrder


class LabelPolicy(StepwiseDecoder):
    """Chooses among the children of what was taken so far, and the end (HiLAP, Mao et al. 2019).

    With v the pooled vector of the text, E the label embeddings and y_{t-1} the label taken before (the root at first):

        h_t = ReLU(W_2 ReLU(W_1 [v; E[y_{t-1}]] + b_1) + b_2)
        p_t = softmax over candidates of E[l] · h_t + b_l       candidates: labels whose parents were all taken and that
                                                               were not, and the end

    The start is the root. Nothing is carried from step to step but v and which labels were taken.

    Args:
        labels: N.
        width: D of v.
        label_width: of the label embeddings and of h.
        hidden: of the layer between.
        order: which labels are candidates; top-down.
        dropout: on v.
    """

    def __init__(
        self, labels: int, width: int, *, label_width: int, hidden: int, order: TaxonomyOrder, dropout: float
    ) -> None:
        super().__init__()
        if order.direction != "top_down":
            raise ValueError("the policy walks from the root: its order must be top_down")
        self.labels, self.order = labels, order
        self.embedding = nn.Embedding(labels + 2, label_width)
        # With numbers around 1 the label before would drown the text, whose vector has smaller ones.
        nn.init.normal_(self.embedding.weight, std=label_width**-0.5)
        self.bias = nn.Parameter(torch.zeros(labels + 1))
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(width + label_width, hidden)
        self.second = nn.Linear(hidden, label_width)

    def start(self, features: TextFeatures, skip: int = 0) -> tuple[Memory, State]:
        """Take v alone, the mean over the windows; no tokens are read, so that ``skip`` has no effect."""
        pooled = self.dropout(features.joined(features.pooled, "mean")).unsqueeze(1)  # (B, 1, D)
        memory = Memory(pooled, torch.ones(pooled.shape[:2], dtype=torch.bool, device=pooled.device), None)
        nothing = pooled.new_zeros(len(pooled), 1, 0)
        return memory, State(pooled.unsqueeze(2), nothing, None, None)

    def label_vectors(self) -> dict[str, Tensor]:
        """What is read of a label and predicts it, (N, E)."""
        return {"embedding": self.embedding.weight[: self.labels]}

    def step(self, memory: Memory, state: State, previous: Tensor, emitted: Tensor) -> tuple[Tensor, State]:
        """Block what is no candidate; the state does not change."""
        given = torch.cat([state.hidden[:, :, 0], self.embedding(previous)], -1)  # (B, K, D + E)
        hidden = torch.relu(self.second(torch.relu(self.first(given))))  # (B, K, E)
        logits = hidden @ self.embedding.weight[: self.labels + 1].T + self.bias  # (B, K, V)
        candidates = self.order(emitted) & ~emitted
        return torch.log_softmax(logits.float().masked_fill(~candidates, BLOCKED), -1), state
