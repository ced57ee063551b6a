"""All metrics of one evaluation under their JSON keys, streamed or in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.metrics.hierarchical import HierarchicalMetrics
from taxotext.metrics.ranking import RankingMetrics
from taxotext.metrics.sets import SetMetrics, level_of_label, seen_mask
from taxotext.metrics.sparse import Sets, as_sets

_DOCUMENTS_AT_ONCE = 1 << 16
"""Rows that :func:`evaluate` hands over together, so that closed copies of the sets stay small."""


class Evaluation:
    """Accumulates set, hierarchical and ranking metrics over batches of documents.

    Args:
        labels: L, the number of gold columns: the N labels of the taxonomy, then gold labels that it lacks.
        closure: (N, N) bool sparse, row i True at i and at its ancestors. None: no hierarchical metrics.
        levels: (N,) int, the level of each label from 1. None: no figures per level.
        seen: (N,) bool, labels seen in training. None: no ``macro_f1_seen``.
        ks: the cut-offs of the ranking metrics.
        zero_division: 0.0 (default) or 1.0, the value of 0/0; see :mod:`taxotext.metrics.sets`.

    ``closure``, ``levels`` and ``seen`` may cover only the first N <= L labels: the rest have no ancestors,
    level 0 and were not seen.

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
    ) -> None:
        self.labels = labels
        self.sets = SetMetrics(labels, zero_division=zero_division)
        self._ranking = RankingMetrics(labels, ks)
        self._hierarchical = None
        if closure is not None:
            self._hierarchical = HierarchicalMetrics(labels, closure, zero_division=zero_division)
        self._levels = None if levels is None else level_of_label(levels, labels)
        self._inside = labels if levels is None else len(levels)
        self._seen = None if seen is None else seen_mask(seen, labels)

    @property
    def documents(self) -> int:
        """How many documents were added."""
        return self.sets.documents

    def update(self, gold: Sets, predicted: Sets, ranked: NDArray[np.int32] | None = None) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            predicted: (B, L) bool sparse.
            ranked: (B, K) label indexes best first, -1 pads; given with every batch or with none.

        Raises:
            ValueError: shapes do not fit, or ``ranked`` came with some batches and not with others.
        """
        gold = as_sets(gold, "gold", self.labels)
        predicted = as_sets(predicted, "predicted", self.labels)
        if gold.shape != predicted.shape:
            raise ValueError(f"gold has {gold.shape[0]} documents but predicted has {predicted.shape[0]}")
        if self.documents and (ranked is None) != (self._ranking.documents == 0) and gold.shape[0]:
            raise ValueError("ranked must come with every batch or with none")
        if ranked is not None:
            self._ranking.update(gold, ranked)  # first: it may refuse, and then nothing was added
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
            raise ValueError("no levels were given: pass levels= to get figures per level")
        return self.sets.per_level(self._levels[: self._inside])


def evaluate(
    gold: Sets,
    predicted: Sets,
    ranked: NDArray[np.int32] | None = None,
    *,
    closure: Any = None,
    levels: Any = None,
    seen: Any = None,
    ks: Sequence[int] = (1, 3, 5),
    zero_division: float = 0.0,
) -> dict[str, float]:
    """Evaluate predictions in one call: :class:`Evaluation` over all documents.

    Args:
        gold: (D, L) bool sparse.
        predicted: (D, L) bool sparse.
        ranked: (D, K) label indexes best first, -1 pads; None: no ranking metrics.
        closure, levels, seen, ks, zero_division: see :class:`Evaluation`.

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
    if ranked is not None and len(ranked) != gold.shape[0]:
        raise ValueError(f"gold has {gold.shape[0]} documents but ranked has {len(ranked)}")
    evaluation = Evaluation(
        gold.shape[1], closure=closure, levels=levels, seen=seen, ks=ks, zero_division=zero_division
    )
    for start in range(0, gold.shape[0], _DOCUMENTS_AT_ONCE):
        part = slice(start, start + _DOCUMENTS_AT_ONCE)
        evaluation.update(gold[part], predicted[part], None if ranked is None else ranked[part])
    return evaluation.compute()
