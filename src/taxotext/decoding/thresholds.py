"""The search for thresholds: exact, by one sort of the stored scores.

A threshold acts on a *group* of labels (one label, the labels of a level, or all). Between two neighbouring
distinct scores of its group every threshold gives the same predictions, so the candidates are the midpoints
of these gaps, the gap from the lowest score down to the floor (everything stored is predicted) and the gap
from the highest score up to 1 (nothing is). Of equally good candidates the widest gap wins: it is the one
that new data are least likely to close.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from taxotext.metrics.sets import ratio
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray, Sets, contains, keys, row_of_entry

_TIE = 1e-9
"""Values closer than this count as equal: above the rounding of the sums, below one document's worth."""
_ROUNDS = 100
"""A bound on Dinkelbach's iteration, which needs about five."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The stored scores of some documents and what is true of them; P stored pairs, G gold pairs, N labels.

    Pairs go by label, then from the highest score down: sorting is what a search takes longest for.
    """

    labels: int  # N
    # document, label: (P,) int64 of each stored score
    document: IntArray
    label: IntArray
    score: FloatArray  # (P,) float64 in (floor, 1]
    hit: BoolArray  # (P,) bool, whether the label is gold in the document
    # gold_document, gold_label: (G,) int64 of each gold pair, stored or not
    gold_document: IntArray
    gold_label: IntArray

    @classmethod
    def build(cls, scores: Any, gold: Sets, eligible: BoolArray, floor: float) -> Scored:
        """Collect the pairs of canonical (D, N) CSR arrays: eligible labels, scores above the floor."""
        label = scores.indices.astype(np.int64)
        score = np.minimum(scores.data.astype(np.float64), 1.0)
        kept = (score > floor) & eligible[label]
        hit = contains(keys(gold), keys(scores)[kept])
        order = np.lexsort((-score[kept], label[kept]))
        return cls(
            labels=gold.shape[1],
            document=row_of_entry(scores)[kept][order],
            label=label[kept][order],
            score=score[kept][order],
            hit=hit[order],
            gold_document=row_of_entry(gold),
            gold_label=gold.indices.astype(np.int64),
        )

    def of_documents(self, chosen: BoolArray) -> Scored:
        """Return the pairs of the documents that the (D,) mask chooses."""
        pair, gold = chosen[self.document], chosen[self.gold_document]
        return Scored(
            self.labels,
            self.document[pair],
            self.label[pair],
            self.score[pair],
            self.hit[pair],
            self.gold_document[gold],
            self.gold_label[gold],
        )

    def positives(self) -> IntArray:
        """Return the number of gold documents of each label, (N,)."""
        return np.bincount(self.gold_label, minlength=self.labels)

    def counts(self, thresholds: FloatArray) -> IntArray:
        """Return tp and the number predicted of each label under (N,) thresholds, (2, N)."""
        passing = self.score > thresholds[self.label]
        predicted = np.bincount(self.label[passing], minlength=self.labels)
        return np.stack([np.bincount(self.label[passing & self.hit], minlength=self.labels), predicted])


def f1_of_counts(counts: IntArray, positives: IntArray, metric: str) -> float:
    """Return ``micro_f1`` or ``macro_f1`` (over all labels, 0/0 = 0) of counts (2, N) and positives (N,)."""
    if metric == "micro_f1":
        return float(ratio(2 * counts[0].sum(), counts[1].sum() + positives.sum()))
    return float(ratio(2 * counts[0], counts[1] + positives).mean())


@dataclass(frozen=True, eq=False)
class Candidates:
    """Every threshold worth trying, C of them in M groups, grouped; each group has at least one."""

    starts: IntArray  # (M,) where each group begins
    group: IntArray
    # threshold, gap: (C,) the midpoint and the width of the gap between neighbouring scores
    threshold: FloatArray
    gap: FloatArray
    # tp, predicted: (C,) what the group's labels get with that threshold
    tp: IntArray
    predicted: IntArray
    f1: FloatArray  # (C,) sum of F1 over the labels of the group with that threshold

    @classmethod
    def build(cls, scored: Scored, group_of_label: IntArray, groups: int, floor: float) -> Candidates:
        """Sort once and cumulate.

        Args:
            group_of_label: (N,) int64 in 0..groups - 1.
            groups: M.
            floor: no stored score is at or below it.
        """
        gains = _f1_gains(scored)
        group = group_of_label[scored.label]
        order: Any = slice(None)
        if groups == 1:
            order = np.argsort(-scored.score, kind="stable")
        elif group_of_label.size != groups:  # where each label is a group, pairs are in order already
            order = np.lexsort((-scored.score, group))
        group, score = group[order], scored.score[order]
        size = np.bincount(group, minlength=groups)
        first = np.cumsum(size) - size  # (M,) where the scores of a group begin
        filled = size > 0

        tp = _cumulated(scored.hit[order].astype(np.int64), first, group)
        f1 = _cumulated(gains[order], first, group)
        predicted = np.arange(1, group.size + 1) - first[group]
        follows = np.full(group.size, floor)  # the next lower score of the same group
        same = group[1:] == group[:-1]
        follows[:-1][same] = score[1:][same]
        last = follows < score  # of a run of equal scores only the last is a candidate
        top = np.full(groups, floor)
        top[filled] = score[first[filled]]
        empty_fits = top < 1.0  # a threshold above a score of 1 would not be below 1

        none = np.flatnonzero(empty_fits)
        zeros = np.zeros(none.size, dtype=np.int64)
        all_groups = np.concatenate([none, group[last]])
        back = np.argsort(all_groups, kind="stable")  # "nothing" first, then downwards
        upper = np.concatenate([np.ones(none.size), score[last]])[back]
        lower = np.concatenate([top[none], follows[last]])[back]
        all_groups = all_groups[back]
        return cls(
            starts=np.searchsorted(all_groups, np.arange(groups)),
            group=all_groups,
            threshold=(upper + lower) / 2,
            gap=upper - lower,
            tp=np.concatenate([zeros, tp[last]])[back],
            predicted=np.concatenate([zeros, predicted[last]])[back],
            f1=np.concatenate([zeros.astype(np.float64), f1[last]])[back],
        )

    def best(self, value: FloatArray) -> IntArray:
        """Return the index (M,) of the candidate of greatest value (C,) in each group; ties: widest gap."""
        greatest = np.maximum.reduceat(value, self.starts)
        width = np.where(value >= greatest[self.group] - _TIE, self.gap, -1.0)
        widest = np.maximum.reduceat(width, self.starts)
        place = np.where(width == widest[self.group], np.arange(value.size), value.size)
        return np.asarray(np.minimum.reduceat(place, self.starts))

    def best_macro(self) -> FloatArray:
        """Return the thresholds (M,) that make the sum of label F1, and so macro-F1, greatest."""
        return self.threshold[self.best(self.f1)]

    def best_micro(self, positives: int) -> FloatArray:
        """Return the thresholds (M,) that together make micro-F1 greatest; exact, not greedy.

        Micro-F1 = 2 TP / (predicted + positives) is a fraction of sums over groups. For a fixed value F, the
        sets with 2 TP - F * predicted greatest are found group by group; F is then their micro-F1, and so on
        until F stands still, which is at the optimum (Dinkelbach 1967). At the optimum a group gains from
        predicting more as long as the precision of what is added is above F/2, the rule of Lipton, Elkan and
        Naryanaswamy (2014).

        Args:
            positives: the number of gold pairs in all, stored or not.
        """
        level = 0.0
        chosen = self.best(self.tp.astype(np.float64))
        for _ in range(_ROUNDS):
            reached = float(ratio(2 * self.tp[chosen].sum(), self.predicted[chosen].sum() + positives))
            if reached <= level:
                break
            level = reached
            chosen = self.best(np.asarray(2.0 * self.tp - level * self.predicted, dtype=np.float64))
        return self.threshold[chosen]


def _cumulated(values: Any, first: IntArray, group: IntArray) -> Any:
    """Return running sums within each group; ``first`` is where each group begins."""
    sums = np.concatenate([np.zeros(1, dtype=values.dtype), np.cumsum(values)])
    return sums[1:] - sums[first[group]]


def _f1_gains(scored: Scored) -> FloatArray:
    """Return by how much its label's F1 changes when a stored pair joins those that score higher, (P,)."""
    label = scored.label
    size = np.bincount(label, minlength=scored.labels)
    first = np.cumsum(size) - size
    tp = _cumulated(scored.hit.astype(np.int64), first, label)
    predicted = np.arange(1, label.size + 1) - first[label]
    f1 = ratio(2 * tp, predicted + scored.positives()[label])
    before = np.concatenate([np.zeros(1), f1[:-1]])[: label.size]
    before[predicted == 1] = 0.0
    return np.asarray(f1 - before)
