"""The search for labels along a label tree: a beam, the best labels exactly, or all labels above a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from taxotext.nn.candidates import Beam, TreeArrays, children, padded
from taxotext.nn.heads import HeadScores

NodeScores = Callable[[int, Tensor | None], Tensor]
"""(level, nodes (B, C) or None for all of the first level) -> log-probabilities of the nodes alone, (B, C) float32."""
Kind = Literal["beam", "exact", "threshold"]
TOGETHER = 4096
"""Nodes of each document that are scored at a time."""


class TreeSearch(nn.Module):
    """Finds labels, and says what their scores are.

    With z the logit of a node, P(n) = Π σ(z) over the path from the first level to node n; of several paths (a label
    under several nodes) the most probable one. The score of label l below n is

        s_l = σ(z_l) · P(n)^β

    with β = 1 the product along the path, with β = 0 the probability of the label alone. No label below n has a score
    above P(n)^β, so that what is below a bound can be left out without looking at it:

    * ``beam``: the children of the C most probable nodes of each level;
    * ``threshold``: all labels whose score is at least ``least``: children of the nodes with P(n)^β >= ``least``;
    * ``exact``: the ``count`` labels of the largest scores. The beam finds so many labels; their smallest score is the
      bound of a second pass over the nodes above it. No node is scored twice.

    Args:
        beam: C.
        kind: see above.
        count: of ``exact``.
        least: of ``threshold``, above 0.
        exponent: β; None: 1 until it is set, and saved with the weights.
    """

    exponent: Tensor

    def __init__(
        self,
        beam: int,
        kind: Kind = "beam",
        *,
        count: int = 100,
        least: float = 0.01,
        exponent: float | None = 1.0,
    ) -> None:
        super().__init__()
        self.beam, self.kind, self.count, self.least = beam, kind, count, least
        self.tuned = exponent is None
        first = torch.tensor(1.0 if exponent is None else exponent)
        self.register_buffer("exponent", first, persistent=exponent is None)

    def forward(self, tree: TreeArrays, scores: NodeScores) -> Beam:
        """Return labels and the logarithms of their scores, (B, C).

        Args:
            tree: of the labels.
            scores: of the nodes; called for each level at least once, and never twice for a node of a document.
        """
        known = _Scored(tree, scores)
        if self.kind == "threshold":
            return self._above(known, known.first().path.new_full((len(known.first().path), 1), math.log(self.least)))
        found = self._beam(known)
        if self.kind == "beam":
            return found
        if found.path.shape[1] < self.count:
            bound = found.path.new_full((len(found.path), 1), -torch.inf)
        else:
            bound = found.path.topk(self.count, 1).values[:, -1:]
        return self._above(known, bound).best(self.count)

    def _beam(self, known: _Scored) -> Beam:
        beam, levels = known.first(), known.tree.levels
        for level in range(1, levels + 1):
            candidates = children(known.tree, level, beam.best(self.beam))
            beam = self._scored(known, level, candidates)
        return beam

    def _above(self, known: _Scored, bound: Tensor) -> Beam:
        """All labels whose score is at least ``bound``, (B, 1)."""
        beam, levels = known.first(), known.tree.levels
        for level in range(1, levels + 1):
            beam = self._scored(known, level, children(known.tree, level, self._kept(beam, bound)))
        kept = beam.path >= bound
        return Beam(beam.nodes.masked_fill(~kept, -1), beam.path.masked_fill(~kept, -torch.inf))

    def _scored(self, known: _Scored, level: int, candidates: Beam) -> Beam:
        own = known.scores(level, candidates.nodes)
        above = candidates.path if level < known.tree.levels else self._weighted(candidates.path)
        return Beam(candidates.nodes, (above + own).masked_fill(candidates.nodes < 0, -torch.inf))

    def _kept(self, beam: Beam, bound: Tensor) -> Beam:
        """Nodes below which there can be labels whose score is at least the bound."""
        kept = self._weighted(beam.path) >= bound
        return Beam(beam.nodes.masked_fill(~kept, -1), beam.path)

    def _weighted(self, path: Tensor) -> Tensor:
        """β log P; also of probability 0."""
        return torch.zeros_like(path) if float(self.exponent) == 0 else self.exponent * path


def as_scores(beam: Beam) -> HeadScores:
    """Scores of the nodes of a beam; nothing where there is none."""
    return HeadScores(beam.path.exp().masked_fill(beam.nodes < 0, 0.0), beam.nodes)


class _Scored:
    """Nodes whose scores are known, level by level."""

    def __init__(self, tree: TreeArrays, scores: NodeScores) -> None:
        self.tree, self._scores = tree, scores
        self._known: dict[int, Beam] = {}

    def first(self) -> Beam:
        """All nodes of the first level."""
        if 0 not in self._known:
            found = self._scores(0, None)  # (B, n)
            self._known[0] = Beam(torch.arange(found.shape[1], device=found.device).expand_as(found), found)
        return self._known[0]

    def scores(self, level: int, nodes: Tensor) -> Tensor:
        """Log-probabilities of nodes alone (B, C), ascending, -1 behind the last one; those that are new are scored."""
        known = self._known.get(level)
        if known is None:
            found = self._fresh(level, nodes)
            self._known[level] = Beam(nodes, found)
            return found
        there = known.nodes.masked_fill(known.nodes < 0, self.tree.width(level))
        places = torch.searchsorted(there, nodes.contiguous()).clamp(max=there.shape[1] - 1)
        found = known.path.gather(1, places)
        rows, columns = torch.nonzero((nodes >= 0) & (there.gather(1, places) != nodes), as_tuple=True)
        if len(rows):
            new = padded(rows, nodes[rows, columns], found.new_zeros(len(rows)), len(nodes)).nodes
            found[rows, columns] = self._fresh(level, new)[new >= 0]
        return found

    def _fresh(self, level: int, nodes: Tensor) -> Tensor:
        starts = range(0, nodes.shape[1], TOGETHER)
        return torch.cat([self._scores(level, nodes[:, start : start + TOGETHER].contiguous()) for start in starts], 1)
