"""Scores of some documents: dense, or sparse where a system scores a few candidates among very many labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from taxotext.metrics.sparse import Sets, as_sets, contains, keys

if TYPE_CHECKING:
    FloatMatrix = csr_array[np.float32, tuple[int, int]]

Rows = slice | NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class ScoreBlock:
    """Scores of b documents for N labels, and the label sets where the system decides them itself.

    In a sparse block a stored entry is a *candidate*, also when its score is 0. A label that is not stored is no
    candidate: it counts as score 0 in means and in mixtures, is never calibrated, and no threshold, ``top_k`` or
    ``never_empty`` chooses it. Nothing here or in the decoder makes a dense array of a sparse block.

    The constructor brings what it is given into this form: float32, and canonical CSR.

    Raises:
        ValueError: the scores are not floats (b, N), an entry is stored twice, or the sets have another shape.

    >>> block = ScoreBlock(csr_array(np.array([[0.0, 0.9, 0.2]], dtype=np.float32)))
    >>> len(block), block.labels, block.is_sparse
    (1, 3, True)
    """

    scores: NDArray[np.float32] | FloatMatrix  # (b, N) float array, or sparse array of candidates
    # (b, N) sparse, the labels that the system itself has decided on (beam search); None: it does not. They need not be
    # candidates: one that is not has score 0.
    sets: Sets | None = None

    def __post_init__(self) -> None:
        given: Any = self.scores
        sparse = bool(issparse(given))
        matrix: Any = csr_array(given) if sparse else np.asarray(given)
        if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.floating):
            raise ValueError(f"scores has shape {matrix.shape} and type {matrix.dtype}; floats (b, N) are needed")
        if sparse:
            matrix = _canonical(matrix)
        object.__setattr__(self, "scores", matrix.astype(np.float32, copy=False))
        if self.sets is not None:
            sets = as_sets(self.sets, "sets")
            if sets.shape != matrix.shape:
                raise ValueError(f"scores has shape {matrix.shape} but sets has {sets.shape}")
            object.__setattr__(self, "sets", sets)

    @classmethod
    def of(cls, given: Any) -> Self:
        """Return a block, an array or a sparse array as a block; what systems of other packages yield is accepted."""
        return given if isinstance(given, cls) else cls(given)

    def __len__(self) -> int:
        """The number of documents."""
        return int(self.scores.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Documents and labels, (b, N)."""
        return len(self), self.labels

    @property
    def labels(self) -> int:
        """N, the number of labels."""
        return int(self.scores.shape[1])

    @property
    def is_sparse(self) -> bool:
        """Whether only candidates have a score."""
        return issparse(self.scores)

    @property
    def candidates(self) -> FloatMatrix:
        """The scores of a sparse block, CSR.

        Raises:
            ValueError: the block is dense.
        """
        if isinstance(self.scores, np.ndarray):
            raise ValueError("the block is dense: all labels are candidates")
        return self.scores

    @property
    def dense(self) -> NDArray[np.float32]:
        """The scores of a dense block, an array (b, N).

        Raises:
            ValueError: the block is sparse, and is not made dense.
        """
        if not isinstance(self.scores, np.ndarray):
            raise ValueError("the block is sparse: it has scores of candidates only")
        return self.scores

    def rows(self, chosen: Rows) -> Self:
        """Return the block of some documents, by slice or by their numbers."""
        return type(self)(self.scores[chosen], None if self.sets is None else self.sets[chosen])

    def spread(self, rows: NDArray[np.integer[Any]], documents: int) -> Self:
        """Return a larger block with these documents at ``rows``, ascending; the others have score 0 or no candidate.

        >>> ScoreBlock(np.array([[0.5]])).spread(np.array([1]), 3).dense.tolist()
        [[0.0], [0.5], [0.0]]
        """
        sets = None if self.sets is None else spread_rows(self.sets, rows, documents)
        if not isinstance(self.scores, np.ndarray):
            return type(self)(spread_rows(self.scores, rows, documents), sets)
        scores = np.zeros((documents, self.labels), dtype=np.float32)
        scores[rows] = self.scores
        return type(self)(scores, sets)

    def row(self, document: int) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
        """Return label indexes, ascending, and scores of all candidates of one document (all labels when dense)."""
        if isinstance(self.scores, np.ndarray):
            return np.arange(self.labels), self.scores[document]
        part = slice(self.scores.indptr[document], self.scores.indptr[document + 1])
        return self.scores.indices[part], self.scores.data[part]

    def at(self, rows: NDArray[np.integer[Any]], labels: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return the scores of single pairs: documents (P,) and labels (P,); 0 for what is not a candidate."""
        if isinstance(self.scores, np.ndarray):
            return np.asarray(self.scores[rows, labels])
        wanted = rows.astype(np.int64) * self.labels + labels
        return look_up(keys(self.scores), self.scores.data, wanted)


def spread_rows(matrix: Any, rows: NDArray[np.integer[Any]], documents: int) -> Any:
    """Return the CSR matrix with its rows at ``rows``, ascending, of ``documents`` rows; the others are empty."""
    lengths = np.zeros(documents, dtype=matrix.indptr.dtype)
    lengths[rows] = np.diff(matrix.indptr)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(matrix.indptr.dtype)
    return csr_array((matrix.data, matrix.indices, ends), shape=(documents, matrix.shape[1]))


def look_up(sorted_keys: NDArray[np.int64], values: NDArray[Any], wanted: NDArray[np.int64]) -> NDArray[Any]:
    """Return the value of each wanted key among ascending keys, 0 where there is none; shape of ``wanted``."""
    found = np.zeros(wanted.shape, dtype=values.dtype)
    there = contains(sorted_keys, wanted)
    found[there] = values[np.searchsorted(sorted_keys, wanted[there])]
    return found


def _canonical(matrix: Any) -> Any:
    if matrix.has_canonical_format:
        return matrix
    ordered = matrix.copy()
    ordered.sort_indices()
    if not ordered.has_canonical_format:
        raise ValueError("scores stores an entry twice: each candidate of a document has one score")
    return ordered
