"""What a system that scores only some candidates among the labels can find at all.

* ``candidate_recall`` = share of the gold labels, over all documents, that are candidates of their document. No ranking
  and no threshold finds more. Gold labels that the model does not know are never candidates. Without gold labels 0.
"""

from __future__ import annotations

from typing import Any

from taxotext.metrics.scores import as_candidates
from taxotext.metrics.sparse import Sets, as_sets, check_labels, contains, row_of_entry


class CandidateRecall:
    """Accumulates the recall of candidates over batches of documents; see the module for the definition.

    Args:
        labels: L, the number of gold columns.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> metrics = CandidateRecall(3)
    >>> candidates = csr_array(np.array([[0.9, 0.1, 0]], np.float32))
    >>> metrics.update(csr_array(np.array([[1, 0, 1]], bool)), candidates)
    >>> metrics.compute()
    {'candidate_recall': 0.5}
    """

    def __init__(self, labels: int) -> None:
        self.labels = check_labels(labels)
        self.documents = 0
        self._found = 0
        self._gold = 0

    def update(self, gold: Sets, scores: Any) -> None:
        """Add a batch.

        Args:
            gold: (B, L) bool sparse.
            scores: (B, N) sparse probabilities of the first N <= L labels; every stored entry is a candidate.

        Raises:
            ValueError: the shapes do not fit, or a score is not a probability.
        """
        gold = as_sets(gold, "gold", self.labels)
        self.add(gold, as_candidates(scores, gold.shape[0], self.labels))

    def add(self, gold: Sets, scores: Any) -> None:
        """Add a batch that is checked already."""
        candidates = row_of_entry(scores) * self.labels + scores.indices
        wanted = row_of_entry(gold) * self.labels + gold.indices
        self._found += int(contains(candidates, wanted).sum())
        self._gold += gold.nnz
        self.documents += gold.shape[0]

    def compute(self) -> dict[str, float]:
        """Return ``candidate_recall``.

        Raises:
            ValueError: no document was added.
        """
        if self.documents == 0:
            raise ValueError("no document was added: there is nothing to compute")
        return {"candidate_recall": self._found / max(self._gold, 1)}
