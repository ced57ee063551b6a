"""The shapes of thresholds that tuning chooses from: of labels, of levels or of all, pulled to a common one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from taxotext.decoding.thresholds import Candidates, Scored
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray

SHRINK = 10.0
"""The default strength of the pull towards the common threshold, in validation positives.

A threshold estimated from n positives scatters by about 2/sqrt(n) in logits, while the best thresholds of
labels differ by about 0.6 logits: the two weigh the same at n = (2 / 0.6)^2, about 10.
"""
SHRINK_GRID = (1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
"""The strengths among which ``shrink="auto"`` chooses."""
UNTUNED = 0.5
"""The threshold of all labels when nothing is tuned; ``shrink="auto"`` stays with it where it does best."""


@dataclass(frozen=True)
class Shape:
    """How final thresholds are made of unshrunk ones."""

    strength: float  # of the pull to the common threshold; infinite: one threshold for all labels
    found: bool = True  # False: the common threshold is `UNTUNED`


@dataclass(frozen=True, eq=False)
class Found:
    """Final thresholds: the common one, those of levels (or None), of every label (N,), and which are a label's own."""

    common: float
    level: FloatArray | None
    label: FloatArray
    own: BoolArray


@dataclass(frozen=True, eq=False)
class Fit:
    """Unshrunk thresholds and the positives behind them; ``*_known`` False: no evidence, the common one."""

    levels: IntArray  # (N,) level of each label, 1-based
    common: float
    level: FloatArray | None
    level_positives: IntArray
    level_known: BoolArray
    label: FloatArray | None
    label_positives: IntArray
    label_known: BoolArray

    def thresholds(self, shape: Shape) -> Found:
        common = self.common if shape.found else UNTUNED
        result: FloatArray = np.full(self.levels.size, common)
        level, own = None, np.zeros(self.levels.size, dtype=np.bool_)
        if math.isinf(shape.strength):
            return Found(common, level, result, own)
        if self.level is not None:
            prior = np.full(self.level.size, common)
            level = _shrunk(self.level, prior, self.level_positives, self.level_known, shape.strength)
            result = level[self.levels - 1]
        if self.label is not None:
            below, own = result, self.label_known
            result = _shrunk(self.label, below, self.label_positives, own, shape.strength)
        return Found(common, level, result, own)


@dataclass(frozen=True, eq=False)
class Search:
    """How to find thresholds; the same for all data and for every fold."""

    levels: IntArray
    method: str
    metric: str
    towards: str
    floor: float
    fallback: float  # the common threshold where no gold label has a stored score: nothing can be learned

    def shapes(self, shrink: float | str) -> list[Shape]:
        """What to choose from; of equally good ones the last, which takes the least from the data."""
        common = Shape(math.inf)
        if self.method == "global":
            return [Shape(math.inf, found=False), common] if shrink == "auto" else [common]
        if shrink != "auto":
            return [Shape(float(shrink))]
        return [Shape(math.inf, found=False), *map(Shape, SHRINK_GRID), common]

    def fit(self, scored: Scored) -> Fit:
        count, depth = self.levels.size, int(self.levels.max(initial=0))
        positives = scored.positives()
        known = np.bincount(scored.label[scored.hit], minlength=count) > 0
        common = self.fallback
        if known.any():
            common = float(self._best(scored, np.zeros(count, dtype=np.int64), 1)[0])
        by_level = self.method == "level" or (self.method == "label" and self.towards == "level")
        group = self.levels - 1
        return Fit(
            levels=self.levels,
            common=common,
            level=self._best(scored, group, depth) if by_level else None,
            level_positives=np.bincount(group, weights=positives, minlength=depth).astype(np.int64),
            level_known=np.bincount(group[known], minlength=depth) > 0,
            label=self._best(scored, np.arange(count), count) if self.method == "label" else None,
            label_positives=positives,
            label_known=known,
        )

    def _best(self, scored: Scored, group_of_label: IntArray, groups: int) -> FloatArray:
        candidates = Candidates.build(scored, group_of_label, groups, self.floor)
        if self.metric == "micro_f1":
            return candidates.best_micro(scored.gold_label.size)
        return candidates.best_macro()


def _shrunk(own: FloatArray, common: FloatArray, positives: IntArray, known: BoolArray, strength: float) -> FloatArray:
    """Return thresholds pulled towards the common ones in logits; exactly ``own`` at strength 0.

    Args:
        own, common: (M,) in (0, 1).
        positives: (M,) validation positives n; the weight of ``own`` is n / (n + strength).
        known: (M,) bool; where it is false the common threshold stays.
        strength: at least 0; infinite: the common thresholds.
    """
    result = common.copy()
    if strength == 0:
        result[known] = own[known]
        return result
    weight = positives[known] / (positives[known] + strength)
    mixed = weight * logit(own[known]) + (1 - weight) * logit(common[known])
    result[known] = np.clip(expit(mixed), 1e-12, 1 - 1e-12)
    return result
