"""All metrics of one evaluation under their JSON keys, streamed or in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from taxotext.metrics.average_precision import AveragePrecision
from taxotext.metrics.calibration import CalibrationMetrics
from taxotext.metrics.candidates import CandidateRecall
from taxotext.metrics.frequency import FrequencyBins, train_counts
from taxotext.metrics.hierarchical import HierarchicalMetrics
from taxotext.metrics.hierarchical_curve import HierarchicalCurve
from taxotext.metrics.propensity import PROPENSITIES, PropensityMetrics, inverse_propensities
from taxotext.metrics.ranking import RankingMetrics, hits_of, top_labels
from taxotext.metrics.scores import FINEST, as_candidates, as_scores, fine_counts
from taxotext.metrics.selective import SelectiveMetrics
from taxotext.metrics.sets import SetMetrics, level_of_label, seen_mask
from taxotext.metrics.sparse import Sets, as_pair, as_sets

_DOCUMENTS_AT_ONCE = 1 << 16
"""Rows that :func:`evaluate` hands over together, so that closed copies of the sets stay small."""


class Evaluation:
    """Accumulates all metrics over batches of documents: of sets, of rankings and of probabilities.

    Args:
        labels: L, the number of gold columns: the N labels of the taxonomy, then gold labels that it lacks.
        closure: (N, N) bool sparse, row i True at i and at its ancestors. None: no hierarchical metrics.
        levels: (N,) int, the level of each label from 1. None: no metrics per level.
        seen: (N,) bool, labels seen in training. None: no ``macro_f1_seen``.
        zero_division: 0.0 (default) or 1.0, the value of 0/0; see :mod:`taxotext.metrics.sets`.
        counts: (N,) int, the training documents of each label. None: no metrics by frequency.
        train_documents: all training documents. None: no propensity-scored metrics; they need ``counts``, too.
        propensity: the constants A and B of :func:`~taxotext.metrics.inverse_propensities`.

    ``closure``, ``levels``, ``seen`` and ``counts`` may cover only the first N <= L labels: the rest have no
    ancestors, level 0 and were not seen.

    Attributes:
        sets: the :class:`SetMetrics` inside, with the counts ``tp``, ``fp``, ``fn`` per label.

    Raises:
        ValueError: an argument does not fit L.
    """

    def __init__(
        self,
        labels: int,
        *,
        closure: Any = None,
        levels: Any = None,
        seen: Any = None,
        ks: Sequence[int] = (1, 3, 5),
        zero_division: float = 0.0,
        counts: Any = None,
        train_documents: int | None = None,
        propensity: tuple[float, float] = PROPENSITIES["default"],
    ) -> None:
        self.labels = labels
        self.sets = SetMetrics(labels, zero_division=zero_division)
        self._ranking = RankingMetrics(labels, ks)
        self._bins = None if counts is None else FrequencyBins(labels, counts, ks)
        self._propensity: PropensityMetrics | None = None
        if counts is not None and train_documents is not None:
            a, b = propensity
            weights = inverse_propensities(train_counts(counts, labels), train_documents, a=a, b=b)
            self._propensity = PropensityMetrics(labels, weights, ks)
        self._precision = AveragePrecision(labels)
        self._calibration = CalibrationMetrics(labels)
        self._selective = SelectiveMetrics(labels)
        self._candidates = CandidateRecall(labels)
        self._hierarchical = self._curve = None
        if closure is not None:
            self._curve = HierarchicalCurve(labels, closure)
            self._hierarchical = HierarchicalMetrics(labels, closure, zero_division=zero_division)
        self._levels = None if levels is None else level_of_label(levels, labels)
        self._inside = labels if levels is None else len(levels)
        self._seen = None if seen is None else seen_mask(seen, labels)

    @property
    def documents(self) -> int:
        """How many documents were added."""
        return self.sets.documents

    def update(self, gold: Sets, predicted: Sets, ranked: NDArray[np.int32] | None = None, scores: Any = None) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            predicted: (B, L) bool sparse.
            ranked: (B, K) label indexes best first, -1 pads; given with every batch or with none.
            scores: (B, N) probabilities of the first N <= L labels; given with every batch or with none, as an array
                or with every batch as a sparse array, whose stored entries are candidates. Metrics that need the
                probabilities of all labels are then left out, and the recall of the candidates is there instead.

        Raises:
            ValueError: shapes do not fit, a score is not a probability, ``ranked`` or ``scores`` came with some
                batches and not with others, or scores were sparse in some and dense in others.
        """
        gold, predicted = as_pair(gold, predicted, self.labels)
        scored = self._calibration.documents + self._candidates.documents
        for name, given, before in (("ranked", ranked, self._ranking.documents), ("scores", scores, scored)):
            if self.documents and (given is None) != (before == 0) and gold.shape[0]:
                raise ValueError(f"{name} must come with every batch or with none")
        other = self._calibration if issparse(scores) else self._candidates
        if scores is not None and other.documents and gold.shape[0]:
            raise ValueError("scores must be dense in every batch, or sparse in every batch")
        # All checks come first: when one refuses, nothing was added.
        top = None if ranked is None else top_labels(ranked, gold.shape[0], self.labels, max(self._ranking.ks))
        if issparse(scores):
            self._candidates.add(gold, as_candidates(scores, gold.shape[0], self.labels))
        elif scores is not None:
            block = as_scores(scores, gold.shape[0], self.labels)
            counts = fine_counts(block, FINEST)
            self._precision.add(gold, block, counts)
            self._calibration.add(gold, block, counts)
            self._selective.add(gold, predicted, block)
            if self._curve is not None:
                self._curve.add(gold, block)
        if top is not None:
            hits = hits_of(gold, top)
            self._ranking.add(gold, top, hits)
            if self._propensity is not None:
                self._propensity.add(gold, top, hits)
            if self._bins is not None:
                self._bins.add(top, hits)
        self.sets.update(gold, predicted)
        if self._hierarchical is not None:
            self._hierarchical.update(gold, predicted)

    def compute(self) -> dict[str, float]:
        """Return every metric of the documents so far by its key; docs/reference/metrics.md lists them.

        Raises:
            ValueError: no document was added.
        """
        result = self.sets.compute(self._seen)
        if self._hierarchical is not None:
            result.update(self._hierarchical.compute())
        if self._levels is not None:
            for row in self.per_level():
                if row["level"] > 0:
                    result[f"level_{row['level']}_micro_f1"] = float(row["micro_f1"])
                    result[f"level_{row['level']}_macro_f1"] = float(row["macro_f1"])
        if self._ranking.documents:
            result.update(self._ranking.compute())
            if self._propensity is not None:
                result.update(self._propensity.compute())
        if self._calibration.documents:
            for metrics in (self._precision, self._calibration, self._selective):
                result.update(metrics.compute())
            if self._curve is not None:
                result.update(self._curve.compute())
        if self._candidates.documents:
            result.update(self._candidates.compute())
        if self._bins is not None:
            result.update(self._bins.compute(self.per_label()["f1"]))
        return result

    def per_label(self) -> NDArray[np.void]:
        """Return the table of labels, one :data:`~taxotext.metrics.PER_LABEL` row each, in label order."""
        return self.sets.per_label()

    def per_level(self) -> NDArray[np.void]:
        """Return the table of levels, one :data:`~taxotext.metrics.PER_LEVEL` row each.

        Raises:
            ValueError: no levels were given.
        """
        if self._levels is None:
            raise ValueError("no levels were given: pass levels= to get metrics per level")
        return self.sets.per_level(self._levels[: self._inside])


def evaluate(
    gold: Sets,
    predicted: Sets,
    ranked: NDArray[np.int32] | None = None,
    scores: Any = None,
    *,
    ks: Sequence[int] = (1, 3, 5),
    **options: Any,
) -> dict[str, float]:
    """Evaluate predictions in one call: :class:`Evaluation` over all documents.

    Args:
        gold: (D, L) bool sparse.
        predicted: (D, L) bool sparse.
        ranked: (D, K) label indexes best first, -1 pads; None: no ranking metrics.
        scores: (D, N) probabilities of the first N <= L labels, dense or sparse (see :meth:`Evaluation.update`); None:
            no metrics of probabilities.
        options: see :class:`Evaluation`.

    Raises:
        ValueError: shapes do not fit, or there are no documents.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> gold = csr_array(np.array([[1, 1], [0, 1]], bool))
    >>> predicted = csr_array(np.array([[1, 1], [1, 0]], bool))
    >>> result = evaluate(gold, predicted)
    >>> result["set_accuracy"], round(result["micro_f1"], 4)
    (0.5, 0.6667)
    """
    gold, predicted = as_sets(gold, "gold"), as_sets(predicted, "predicted")
    if gold.shape != predicted.shape:
        raise ValueError(f"gold has shape {gold.shape} but predicted has {predicted.shape}")
    for name, rows in (("ranked", ranked), ("scores", scores)):
        if rows is not None and np.shape(rows)[0] != gold.shape[0]:
            raise ValueError(f"gold has {gold.shape[0]} documents but {name} has {np.shape(rows)[0]}")
    evaluation = Evaluation(gold.shape[1], ks=ks, **options)
    for start in range(0, gold.shape[0], _DOCUMENTS_AT_ONCE):
        part = slice(start, start + _DOCUMENTS_AT_ONCE)
        evaluation.update(
            gold[part],
            predicted[part],
            None if ranked is None else ranked[part],
            None if scores is None else scores[part],
        )
    return evaluation.compute()
