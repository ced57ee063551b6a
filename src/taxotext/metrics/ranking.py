"""Metrics of ranked labels: P@k, R@k, RP@k, F1@k and nDCG@k.

With r_i = 1 when the i-th ranked label is gold, and y gold labels in the document:

* ``p@k`` = (1/k) sum_{i<=k} r_i. Always divided by k, also when fewer labels were returned or y < k. A
  document without gold labels counts 0.
* ``r@k`` = sum_{i<=k} r_i / y. Documents without gold labels are left out of the mean.
* ``rp@k`` (R-precision at k) = sum_{i<=k} r_i / min(k, y). Documents without gold labels are left out of the mean.
* ``f1@k`` = 2 sum_{i<=k} r_i / (min(k, n) + y) with n labels returned: the F1 of the first k labels as a set, as Annif
  has it. A document without gold labels counts 0.
* ``ndcg@k`` = sum_{i<=k} r_i / log2(i + 1), divided by the same sum of an ideal ranking,
  sum_{i<=min(k, y)} 1 / log2(i + 1). Documents without gold labels are left out of the mean.

When no document has gold labels the mean is over nothing: 0. Gold labels that the model does not know stay in
y.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.metrics.sparse import BoolArray, IntArray, Sets, as_sets, check_labels, contains, keys


class RankingMetrics:
    """Accumulates the ranking metrics over batches of documents.

    Args:
        labels: L, the number of label columns of gold.
        ks: the cut-offs, distinct and positive.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> metrics = RankingMetrics(4, ks=(1, 2))
    >>> metrics.update(csr_array(np.array([[1, 0, 1, 0]], bool)), np.array([[2, 3]], np.int32))
    >>> {key: round(value, 4) for key, value in metrics.compute().items() if key.endswith("2")}
    {'p@2': 0.5, 'r@2': 0.5, 'rp@2': 0.5, 'f1@2': 0.5, 'ndcg@2': 0.6131}
    """

    def __init__(self, labels: int, ks: Sequence[int] = (1, 3, 5)) -> None:
        self.labels = check_labels(labels)
        self.ks = check_ks(ks)
        self.documents = 0
        self.documents_with_gold = 0
        self._cut = np.asarray(self.ks) - 1
        self._discount = 1.0 / np.log2(np.arange(2, max(self.ks) + 2))  # (K,)
        self._hits = np.zeros(len(self.ks), dtype=np.int64)
        self._recall = np.zeros(len(self.ks), dtype=np.float64)
        self._r_precision = np.zeros(len(self.ks), dtype=np.float64)
        self._f1 = np.zeros(len(self.ks), dtype=np.float64)
        self._ndcg = np.zeros(len(self.ks), dtype=np.float64)

    def update(self, gold: Sets, ranked: NDArray[np.int32]) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            ranked: (B, K) int label indexes, best first, K at least the largest k; -1 pads short lists.

        Raises:
            ValueError: the shapes do not fit, or a row holds an index out of range, a label twice, or a gap.
        """
        gold = as_sets(gold, "gold", self.labels)
        top = top_labels(ranked, gold.shape[0], self.labels, max(self.ks))  # (B, K)
        self.add(gold, top, hits_of(gold, top))

    def add(self, gold: Sets, top: IntArray, hits: BoolArray) -> None:
        """Add a batch that is checked already: gold (B, L), top (B, K) and its hits (B, K)."""
        documents = top.shape[0]
        size = np.diff(gold.indptr).astype(np.int64)  # (B,)
        some = size > 0
        found = np.cumsum(hits, axis=1, dtype=np.int64)[:, self._cut]  # (B, k's)
        gain = np.cumsum(hits * self._discount, axis=1)[:, self._cut]
        ideal = np.concatenate([[0.0], np.cumsum(self._discount)])
        reachable = np.minimum(size[:, None], np.asarray(self.ks))  # (B, k's)
        best = ideal[reachable]
        self._hits += found.sum(axis=0)
        self._recall += (found[some] / size[some, None]).sum(axis=0)
        self._r_precision += (found[some] / reachable[some]).sum(axis=0)
        returned = np.minimum((top >= 0).sum(axis=1)[:, None], np.asarray(self.ks))  # (B, k's)
        self._f1 += (2 * found[some] / (returned + size[:, None])[some]).sum(axis=0)
        self._ndcg += (gain[some] / best[some]).sum(axis=0)
        self.documents += documents
        self.documents_with_gold += int(some.sum())

    def compute(self) -> dict[str, float]:
        """Return ``p@k``, ``r@k``, ``rp@k``, ``f1@k`` and ``ndcg@k`` for every k.

        Raises:
            ValueError: no document was added.
        """
        if self.documents == 0:
            raise ValueError("no document was added: there is nothing to compute")
        some = max(self.documents_with_gold, 1)
        columns = {
            "p": self._hits / (np.asarray(self.ks) * self.documents),
            "r": self._recall / some,
            "rp": self._r_precision / some,
            "f1": self._f1 / self.documents,
            "ndcg": self._ndcg / some,
        }
        return {
            f"{name}@{k}": float(v) for name, values in columns.items() for k, v in zip(self.ks, values, strict=True)
        }


def check_ks(ks: Sequence[int]) -> tuple[int, ...]:
    """Return the cut-offs; ValueError when they are not distinct and positive."""
    given = tuple(int(k) for k in ks)
    if not given or min(given) < 1 or len(set(given)) != len(given):
        raise ValueError(f"ks is {tuple(ks)!r}; distinct numbers from 1 upwards are needed")
    return given


def hits_of(gold: Sets, top: IntArray) -> BoolArray:
    """Tell of each ranked label whether it is gold; gold (B, L), top (B, K) with -1 as pad, result (B, K)."""
    documents, labels = gold.shape
    wanted = np.arange(documents, dtype=np.int64)[:, None] * labels + top
    return contains(keys(gold), wanted) & (top >= 0)


def top_labels(ranked: Any, documents: int, labels: int, depth: int) -> IntArray:
    """Return the first ``depth`` ranked labels of each document, (B, depth) int64, checked.

    Raises:
        ValueError: the shape does not fit, or a row holds an index out of range, a label twice, or a gap.
    """
    given = np.asarray(ranked)
    if given.ndim != 2 or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"ranked has shape {given.shape} and type {given.dtype}; integers (documents, K) are needed")
    if given.shape[0] != documents:
        raise ValueError(f"gold has {documents} documents but ranked has {given.shape[0]}")
    if given.shape[1] < depth:
        raise ValueError(
            f"ranked holds {given.shape[1]} labels a document, fewer than the largest k, {depth}: "
            "rank more labels or pad with -1"
        )
    top = given[:, :depth].astype(np.int64)
    if top.size and (top.min() < -1 or top.max() >= labels):
        raise ValueError(f"ranked holds an index outside 0..{labels - 1} that is not -1")
    if ((top[:, :-1] < 0) & (top[:, 1:] >= 0)).any():
        raise ValueError("ranked holds a label after a -1: pads must be at the end of the list")
    ordered = np.sort(top, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        raise ValueError("ranked holds a label twice in one document")
    return top
