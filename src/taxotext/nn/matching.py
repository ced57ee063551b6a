"""Matching of texts and labels in one space, beside the classification of texts (HiMatch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from taxotext.nn.batch import Targets
from taxotext.nn.branches import BranchIndex, BranchLinear
from taxotext.nn.features import TextFeatures
from taxotext.nn.graph_networks import GraphNetwork
from taxotext.nn.heads import Head, HeadScores
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
        L       = L(logits) + joint + intra                                      each branch: joint + intra of its own

    For each document one gold label is drawn ("pos"), one of its parents (at the top: itself), one of its siblings and
    one other label; siblings and others that are gold are never drawn. Labels are encoded anew every ``refresh`` steps.
    Scores are those of the logits: prediction costs nothing more. Branches draw among the labels that they own, and
    share no weights.

    Args:
        inner: the head of logits, with its criterion.
        index: the branches of the M nodes.
        labels: (M,) int64, the label of each node.
        owned: (M,) bool, nodes that their branch predicts.
        width: d of the label vectors.
        flat: whether T reads the label vectors of a branch side by side, or their mean.
        inputs: D of the encoded texts of labels.
        network: (1, M, d) -> (1, M, d').
        hidden: H, numbers of T and G.
        edges: (2, E) int64, nodes of parents above nodes of children.
        margins: of siblings and of others.
        refresh: steps between two encodings of the labels.
    """

    label_texts: Tensor
    steps: Tensor
    family: Tensor
    labels: Tensor
    members: Tensor

    def __init__(
        self,
        inner: Head,
        index: BranchIndex,
        labels: Tensor,
        owned: Tensor,
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
        self.inner, self.index, self.flat, self.network = inner, index, flat, network
        self.margins, self.refresh, self.hidden = margins, refresh, hidden
        count = index.count
        self.whole = BranchIndex(torch.arange(count), count)  # one node for each branch
        self.project = BranchLinear(inputs, network.width, count)
        self.of_text = BranchMlp(width * index.longest if flat else width, hidden, count)
        self.of_label = BranchMlp(network.width, hidden, count)
        self.encode: LabelTexts | None = None
        top = owned.clone()
        top[edges[1]] = False
        tops = torch.nonzero(top).flatten()
        above = torch.stack([index.nodes + index.branch[tops], tops])  # labels at the top of a branch are siblings
        members = owned & (index.branch == torch.arange(count).unsqueeze(1))  # (G, M)
        for name, tensor in (("family", torch.cat([edges, above], 1)), ("labels", labels), ("members", members)):
            self.register_buffer(name, tensor, persistent=False)
        self.register_buffer("label_texts", torch.zeros(int(labels.max()) + 1, inputs))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the loss of the logits and those of the matching."""
        if self.training and self.encode is not None:
            if int(self.steps) % self.refresh == 0:
                self.label_texts.copy_(self.encode())
            self.steps += 1
        loss = self.inner.loss(features, targets)
        found = self.of_text(self._of_branches(of_labels(features)), self.whole)  # (W, G, H)
        texts = features.joined(found.flatten(1), "mean").float().view(-1, self.index.count, self.hidden)  # (B, G, H)
        nodes = self.project(self.label_texts[self.labels].unsqueeze(0), self.index)  # (1, M, d)
        labels = self.of_label(self.network(nodes), self.index)[0].float()  # (M, H)
        gold = targets.dense()[:, self.labels]  # (B, M)
        return loss + mean_over_documents(self.matching(texts, labels, gold), targets.weights)

    def _of_branches(self, vectors: Tensor) -> Tensor:
        """Label vectors (W, M, d) -> what T reads of each branch, (W, G, P d) or (W, G, d)."""
        padded = self.index.padded(vectors).transpose(0, 1)  # (W, G, P, d)
        if self.flat:
            return padded.flatten(2)
        return padded.sum(2) / self.index.sizes.unsqueeze(1)

    def matching(self, texts: Tensor, labels: Tensor, gold: Tensor) -> Tensor:
        """Joint and intra loss of each document: (B, G, H), (M, H), (B, M) in {0, 1} -> (B,); 0 without gold labels."""
        drawn = self.draw(gold > 0.5)

        def distance(which: str) -> Tensor:
            return (texts - labels[drawn[which]]).pow(2).mean(2)  # (B, G)

        def there(which: str) -> Tensor:
            return drawn[f"has_{which}"].to(texts.dtype)

        positive = distance("positive")
        loss = positive + torch.relu(distance("parent") - 0.01 / self.hidden)
        for which, margin in zip(("sibling", "other"), self.margins, strict=True):
            loss = loss + there(which) * torch.relu(margin - distance(which) + positive)
        return (there("positive") * loss).sum(1)

    def draw(self, gold: Tensor) -> Mapping[str, Tensor]:
        """Draw nodes for each document and branch: (B, M) bool -> (B, G) each.

        Returns:
            ``positive``, ``parent``, ``sibling``, ``other``, and whether there is one: ``has_positive``,
            ``has_sibling``, ``has_other``.
        """
        above, below = self.family
        gold = gold.unsqueeze(1)  # (B, 1, M)
        positive, has_positive = _any_of(gold & self.members)
        # A row without gold labels has no family, and is not used.
        parent_edge, _ = _any_of(below == positive.unsqueeze(2))  # (B, G)
        parent = above[parent_edge]  # M and more at the top
        edge, has_sibling = _any_of((above == parent.unsqueeze(2)) & ~gold[..., below])
        other, has_other = _any_of(~gold & self.members)
        return {
            "positive": positive,
            "parent": torch.where(parent >= self.index.nodes, positive, parent),
            "sibling": below[edge],
            "other": other,
            "has_positive": has_positive,
            "has_sibling": has_sibling,
            "has_other": has_other,
        }

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the scores of the logits."""
        return self.inner.scores(features)


class BranchMlp(nn.Module):
    """Two linear layers with a ReLU between them, for each branch: (W, M, D) -> (W, M, H)."""

    def __init__(self, inputs: int, hidden: int, count: int) -> None:
        super().__init__()
        self.first, self.second = BranchLinear(inputs, hidden, count), BranchLinear(hidden, hidden, count)

    def forward(self, nodes: Tensor, index: BranchIndex) -> Tensor:
        """(W, M, D) nodes of the branches of ``index`` -> (W, M, H)."""
        found: Tensor = self.second(torch.relu(self.first(nodes, index)), index)
        return found


def _any_of(choices: Tensor) -> tuple[Tensor, Tensor]:
    """A random True column of each row (..., C), and whether there is one."""
    keys = torch.rand(choices.shape, device=choices.device).masked_fill(~choices, -1.0)
    return keys.argmax(-1), choices.any(-1)
