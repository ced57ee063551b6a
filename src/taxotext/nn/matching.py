"""Matching of texts and labels in one space, beside the classification of texts (HiMatch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.graph_networks import GraphNetwork
from taxotext.nn.heads import Head, HeadScores, LogitHead
from taxotext.nn.label_heads import of_labels
from taxotext.nn.losses import mean_over_documents

LabelTexts = Callable[[], Tensor]
"""() -> (N, D): what the text encoder makes of the texts of the labels, without gradient."""


class MatchingHead(Head):
    """A head of logits, and losses that bring texts near their labels (Chen et al. 2021, equations 6 to 11).

        T = MLP(label vectors of the text, side by side),  G_l = MLP(network(P f_l))        f_l: encoded text of label l
        d(T, G) = mean over the numbers of (T − G)²
        joint   = d(T, G_pos) + max(0, d(T, G_parent) − 0.01 / H)
        intra   = Σ_neg max(0, m_neg − d(T, G_neg) + d(T, G_pos))                 neg: sibling, other
        L       = L(logits) + joint + intra

    For each document one gold label is drawn ("pos"), one of its parents (at the top: itself), one of its siblings and
    one other label; siblings and others that are gold are never drawn. Labels are encoded anew every ``refresh`` steps.
    Scores are those of the logits: prediction costs nothing more.

    Args:
        inner: the head of logits, with its criterion.
        labels: N.
        width: d of the label vectors.
        flat: whether T reads all N label vectors side by side, N d numbers, or their mean.
        inputs: D of the encoded texts of labels.
        network: (1, N, d) -> (1, N, d').
        hidden: H, numbers of T and G.
        edges: (2, E) int64, parents above children.
        margins: of siblings and of others.
        refresh: steps between two encodings of the labels.
    """

    label_texts: Tensor
    steps: Tensor
    family: Tensor

    def __init__(
        self,
        inner: LogitHead,
        labels: int,
        width: int,
        flat: bool,
        inputs: int,
        network: GraphNetwork,
        hidden: int,
        edges: Tensor,
        margins: tuple[float, float] = (0.1, 0.2),
        refresh: int = 50,
    ) -> None:
        super().__init__()
        self.inner, self.labels, self.margins, self.refresh, self.hidden = inner, labels, margins, refresh, hidden
        self.project = nn.Linear(inputs, network.width)
        self.network = network
        self.flat = flat
        self.of_text = _mlp(width * labels if flat else width, hidden)
        self.of_label = _mlp(network.width, hidden)
        self.encode: LabelTexts | None = None
        roots = torch.ones(labels, dtype=torch.bool)
        roots[edges[1]] = False
        tops = torch.nonzero(roots).flatten()
        top = torch.stack([torch.full_like(tops, labels), tops])  # labels at the top are siblings
        self.register_buffer("family", torch.cat([edges, top], 1), persistent=False)  # (2, E + roots)
        self.register_buffer("label_texts", torch.zeros(labels, inputs))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def logits(self, features: TextFeatures) -> Tensor:
        """Return the logits of all documents, (B, N)."""
        return self.inner.logits(features)

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the loss of the logits and those of the matching."""
        if self.training and self.encode is not None:
            if int(self.steps) % self.refresh == 0:
                self.label_texts.copy_(self.encode())
            self.steps += 1
        loss = self.inner.loss(features, targets)
        vectors = of_labels(features)  # (W, N, d)
        found = self.of_text(vectors.flatten(1) if self.flat else vectors.mean(1))  # (W, H)
        texts = features.joined(found, "mean").float()  # (B, H)
        nodes = self.network(self.project(self.label_texts).unsqueeze(0))[0]  # (N, d')
        labels = self.of_label(nodes).float()  # (N, H)
        return loss + mean_over_documents(self.matching(texts, labels, targets.dense()), targets.weights)

    def matching(self, texts: Tensor, labels: Tensor, gold: Tensor) -> Tensor:
        """Joint and intra loss of each document: (B, H), (N, H), (B, N) in {0, 1} -> (B,); 0 without gold labels."""
        drawn = self.draw(gold > 0.5)

        def distance(which: str) -> Tensor:
            return (texts - labels[drawn[which]]).pow(2).mean(1)  # (B,)

        def there(which: str) -> Tensor:
            return drawn[f"has_{which}"].to(texts.dtype)

        positive = distance("positive")
        loss = positive + torch.relu(distance("parent") - 0.01 / self.hidden)
        for which, margin in zip(("sibling", "other"), self.margins, strict=True):
            loss = loss + there(which) * torch.relu(margin - distance(which) + positive)
        return there("positive") * loss

    def draw(self, gold: Tensor) -> Mapping[str, Tensor]:
        """Draw labels for each document: (B,) each of positive, parent, sibling, other, and whether there is one."""
        above, below = self.family
        positive, has_positive = _any_of(gold)
        # A document without gold labels has no family; its row is not used.
        parent_edge, _ = _any_of(below == positive.unsqueeze(1))  # (B,)
        parent = above[parent_edge]  # N at the top
        edge, has_sibling = _any_of((above == parent.unsqueeze(1)) & ~gold[:, below])
        other, has_other = _any_of(~gold)
        return {
            "positive": positive,
            "parent": torch.where(parent == self.labels, positive, parent),
            "sibling": below[edge],
            "other": other,
            "has_positive": has_positive,
            "has_sibling": has_sibling,
            "has_other": has_other,
        }

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the scores of the logits."""
        return self.inner.scores(features)


def _any_of(choices: Tensor) -> tuple[Tensor, Tensor]:
    """A random True column of each row (B, C), and whether there is one."""
    keys = torch.rand(choices.shape, device=choices.device).masked_fill(~choices, -1.0)
    return keys.argmax(1), choices.any(1)


def _mlp(inputs: int, hidden: int) -> Any:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
