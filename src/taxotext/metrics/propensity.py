"""Propensity-scored metrics: a hit on a rare label counts more, because rare labels are missing from gold more often.

With N training documents, N_l of them with label l, and constants A and B of the data set (Jain et al. 2016, eq. 4):

    C = (ln N - 1) (B + 1)^A        w_l = 1 / p_l = 1 + C (N_l + B)^(-A)

With r_i = 1 when the i-th ranked label l_i is gold, y gold labels, D_i = 1 / log2(i + 1), and the same sums of the best
possible ranking below the line:

* ``psp@k`` = sum over documents of sum_{i<=k} r_i w_{l_i}, divided by that sum of the best rankings (the document's
  gold labels with the largest w). A ratio of sums, as the published metrics are, not a mean of ratios.
* ``psr@k``: the same with every document's sum divided by y.
* ``psndcg@k``: the same with sum_{i<=k} r_i w_{l_i} D_i / sum_{i<=min(k, y)} D_i (the convention of pyxclib and
  napkinXC).
* ``psndcg_pooled@k``: the same with sum_{i<=k} r_i w_{l_i} D_i alone (the convention of AttentionXML).

Documents without gold labels add nothing to either sum. When no document has gold labels, all are 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.metrics.ranking import check_ks, hits_of, top_labels
from taxotext.metrics.sparse import BoolArray, FloatArray, IntArray, Sets, as_sets, row_of_entry

PROPENSITIES = {"default": (0.55, 1.5), "wikipedia": (0.5, 0.4), "amazon": (0.6, 2.6)}
"""A and B by kind of data: the default, also used for EUR-Lex, Wiki10-31K and AmazonCat-13K; WikiLSHTC and
Wikipedia-500K; Amazon-131K, Amazon-670K and Amazon-3M."""


def inverse_propensities(counts: Any, documents: int, *, a: float = 0.55, b: float = 1.5) -> FloatArray:
    """Return the weight w_l of each label, (N,) at least 1.

    Args:
        counts: (N,) training documents of each label; 0 is legal.
        documents: training documents; with fewer than e of them C would be negative and is 0.
        a, b: the constants of the data set; :data:`PROPENSITIES` has the published ones.

    Raises:
        ValueError: a count is negative or above ``documents``, or a constant is not positive.

    >>> inverse_propensities([1, 10, 1000], 15_511).round(2).tolist()
    [9.65, 4.74, 1.32]
    """
    if not (a > 0 and b > 0 and math.isfinite(a) and math.isfinite(b)):
        raise ValueError(f"the constants of propensities are A = {a}, B = {b}; both must be positive")
    given = np.asarray(counts)
    if given.ndim != 1 or (given.size and (given.min() < 0 or given.max() > documents)):
        raise ValueError(f"counts must be a list of numbers from 0 to {documents}, the number of training documents")
    scale = max(math.log(documents) - 1.0, 0.0) * (b + 1.0) ** a if documents > 0 else 0.0
    return np.asarray(1.0 + scale * (given.astype(np.float64) + b) ** -a)


class PropensityMetrics:
    """Accumulates the propensity-scored metrics over batches of documents; see the module for the definitions.

    Args:
        labels: L, the number of gold columns.
        weights: (L,) inverse propensities. Of gold labels that the model does not know, too: those of count 0.
        ks: the cut-offs, distinct and positive.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> metrics = PropensityMetrics(3, np.array([1.0, 2.0, 4.0]), ks=(1, 2))
    >>> metrics.update(csr_array(np.array([[1, 1, 0]], bool)), np.array([[0, 1]], np.int32))
    >>> metrics.compute()["psp@1"], metrics.compute()["psp@2"]
    (0.5, 1.0)
    """

    def __init__(self, labels: int, weights: Any, ks: Sequence[int] = (1, 3, 5)) -> None:
        self.labels = labels
        self.ks = check_ks(ks)
        self.weights = np.asarray(weights, dtype=np.float64)
        if self.weights.shape != (labels,) or not (self.weights > 0).all():
            raise ValueError(f"weights has shape {self.weights.shape}; a positive number for each of {labels} labels")
        self.documents = 0
        self._cut = np.asarray(self.ks) - 1
        self._discount = 1.0 / np.log2(np.arange(2, max(self.ks) + 2))
        # What was reached and what is best, of each of the four, at each k.
        self._sums = np.zeros((2, 4, len(self.ks)), dtype=np.float64)

    def update(self, gold: Sets, ranked: NDArray[np.int32]) -> None:
        """Add a batch: gold (B, L) bool sparse, ranked (B, K) label indexes best first, -1 pads.

        Raises:
            ValueError: see :meth:`~taxotext.metrics.RankingMetrics.update`.
        """
        gold = as_sets(gold, "gold", self.labels)
        top = top_labels(ranked, gold.shape[0], self.labels, max(self.ks))
        self.add(gold, top, hits_of(gold, top))

    def add(self, gold: Sets, top: IntArray, hits: BoolArray) -> None:
        """Add a batch that is checked already: gold (B, L), top (B, K) and its hits (B, K)."""
        size = np.diff(gold.indptr).astype(np.int64)[:, None]  # (B, 1)
        some = size[:, 0] > 0
        if some.any():
            reached = (hits * self.weights[top])[some]  # (B', K)
            best = _best(gold, self.weights, max(self.ks))[some]
            size = size[some]
            ideal = np.cumsum(self._discount)[np.minimum(size, np.asarray(self.ks)) - 1]  # (B', k's)
            for sums, weights in zip(self._sums, (reached, best), strict=True):
                found = np.cumsum(weights, axis=1)[:, self._cut]
                gain = np.cumsum(weights * self._discount, axis=1)[:, self._cut]
                for row, values in enumerate((found, found / size, gain / ideal, gain)):
                    sums[row] += values.sum(axis=0)
        self.documents += gold.shape[0]

    def compute(self, *, normalised: bool = True) -> dict[str, float]:
        """Return ``psp@k``, ``psr@k``, ``psndcg@k`` and ``psndcg_pooled@k`` for every k.

        Args:
            normalised: False: without dividing by the best ranking, the plain mean over all documents (as the formulas
                of the Extreme Classification Repository are printed; its tables are normalised).

        Raises:
            ValueError: no document was added.
        """
        if self.documents == 0:
            raise ValueError("no document was added: there is nothing to compute")
        reached, best = self._sums
        below = np.where(best > 0, best, 1.0) if normalised else np.full_like(best, self.documents)
        if not normalised:
            below[0] *= np.asarray(self.ks)
        values = reached / below
        return {
            f"{name}@{k}": float(values[row, column])
            for row, name in enumerate(("psp", "psr", "psndcg", "psndcg_pooled"))
            for column, k in enumerate(self.ks)
        }


def _best(gold: Sets, weights: FloatArray, depth: int) -> FloatArray:
    """The largest weights of each document's gold labels, descending, (B, depth), 0 pads."""
    rows, values = row_of_entry(gold), weights[gold.indices]
    order = np.lexsort((-values, rows))
    place = np.arange(rows.size) - gold.indptr[rows]
    first = place < depth
    result = np.zeros((gold.shape[0], depth))
    result[rows[first], place[first]] = values[order][first]
    return result
