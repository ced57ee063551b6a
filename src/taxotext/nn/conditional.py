"""A head that predicts each label given its parents."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import HeadScores, LinearHead
from taxotext.nn.losses import mean_over_documents


class ConditionalHead(LinearHead):
    """p(l) = p(l | parents) times the least p of its parents (Plaud et al. 2024, for trees and softmax).

        z = w_l · dropout(pooled) + b_l
        sigmoid: p(l | parents) = σ(z_l);       L = Σ over labels whose parents are all gold of BCE(σ(z_l + τ a_l), y_l)
        softmax: p(l | parent) = softmax of z over the siblings of l;        L = -Σ_(l gold) ln softmax(z + τ a)_l

    a is the logarithm of how frequent a label is where its parents are gold: log-odds, for softmax the logarithm of the
    share among siblings. With τ = 1 training sees the frequencies in a, and p is as if all labels were equally frequent
    ("logit adjustment", Menon et al. 2021). Gold labels are completed by their ancestors first.

    Args:
        width: D.
        taxonomy_edges: (2, E) int64, parents above children; for softmax each label has one parent at most.
        levels: (N,) int64, the longest path from the top, 1 there.
        prior: (N,) a.
        softmax: whether siblings exclude each other.
        tau: τ.
        dropout: on the pooled vector, in training.
    """

    taxonomy_edges: Tensor
    prior: Tensor
    parent_count: Tensor
    group: Tensor

    def __init__(
        self,
        width: int,
        taxonomy_edges: Tensor,
        levels: Tensor,
        prior: Tensor,
        softmax: bool = False,
        tau: float = 0.0,
        dropout: float = 0.1,
    ) -> None:
        labels = len(levels)
        super().__init__(width, labels, dropout, (1 - tau) * prior)
        self.softmax, self.tau = softmax, tau
        parents, children = taxonomy_edges
        group = torch.full((labels,), labels)  # siblings: children of the same parent; N: those without one
        group[children] = parents
        self.register_buffer("prior", prior)
        self.register_buffer("taxonomy_edges", taxonomy_edges, persistent=False)
        self.register_buffer("parent_count", torch.bincount(children, minlength=labels), persistent=False)
        self.register_buffer("group", group, persistent=False)
        self.depth = int(levels.max()) if labels else 0
        for level in range(2, self.depth + 1):
            self.register_buffer(f"level_{level}", torch.nonzero(levels[children] == level).flatten(), persistent=False)

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the cross-entropy of the labels given their parents, and the regulariser."""
        logits, gold = self.logits(features).float() + self.tau * self.prior, self.closed(targets.dense())
        if self.softmax:
            cells = -gold * self.log_softmax(logits)  # (B, N)
        else:
            parents, children = self.taxonomy_edges
            above = torch.zeros_like(gold).index_add(1, children, gold[:, parents])
            asked = (above == self.parent_count).float()  # (B, N), all parents are gold
            cells = asked * functional.binary_cross_entropy_with_logits(logits, gold, reduction="none")
        return mean_over_documents(cells.sum(1), targets.weights) + self.penalty()

    def closed(self, gold: Tensor) -> Tensor:
        """The gold labels (B, N) with their ancestors: else labels of which those are missing would never be asked."""
        parents, children = self.taxonomy_edges
        for level in range(self.depth, 1, -1):
            edges: Tensor = getattr(self, f"level_{level}")
            where = parents[edges].expand(gold.shape[0], -1)
            gold = gold.scatter_reduce(1, where, gold[:, children[edges]], "amax")
        return gold

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Over siblings, (B, N) -> (B, N)."""
        where = self.group.expand_as(logits)
        groups = logits.new_zeros(logits.shape[0], len(self.group) + 1)
        highest = groups.scatter_reduce(1, where, logits.detach(), "amax", include_self=False)  # (B, N + 1)
        rest = logits - highest.gather(1, where)
        total = groups.scatter_add(1, where, rest.exp())
        return rest - total.gather(1, where).log()

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return p, (B, N): no label is above its parents."""
        logits = self.logits(features).float()
        found = self.log_softmax(logits) if self.softmax else functional.logsigmoid(logits)
        parents, children = self.taxonomy_edges
        for level in range(2, self.depth + 1):
            edges: Tensor = getattr(self, f"level_{level}")
            where = children[edges].expand(found.shape[0], -1)
            least = torch.zeros_like(found).scatter_reduce(1, where, found[:, parents[edges]], "amin")  # ln p is <= 0
            found = found + least
        return HeadScores(found.exp())
