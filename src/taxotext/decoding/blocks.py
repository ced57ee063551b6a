"""Scores of some documents, dense or sparse: what a system yields and a decoder takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from taxotext.metrics.sparse import Sets


@dataclass(frozen=True, eq=False)
class ScoreBlock:
    """Scores of b documents for N labels.

    Attributes:
        scores: float32 (b, N), an array, or a canonical csr_array of candidates: a stored 0.0 is a candidate with
            score 0, what is absent is no candidate.
        sets: (b, N) label sets that the system itself decided; None: thresholds decide.
    """

    scores: NDArray[np.float32] | csr_array
    sets: Sets | None = None

    def __len__(self) -> int:
        """Return the number of documents b."""
        return int(self.scores.shape[0])

    @property
    def labels(self) -> int:
        """Number of labels N."""
        return int(self.scores.shape[1])

    @property
    def is_sparse(self) -> bool:
        """Whether the scores are those of candidates only."""
        return bool(issparse(self.scores))

    def rows(self, part: slice) -> Self:
        """The block of some of its documents."""
        return type(self)(self.scores[part], None if self.sets is None else self.sets[part])

    @classmethod
    def of(cls, given: Any) -> Self:
        """Return a block itself, or the block of an array or csr_array of scores."""
        return given if isinstance(given, cls) else cls(given)
