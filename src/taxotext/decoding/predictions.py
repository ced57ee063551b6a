"""What was predicted for each document: label indexes with their scores, best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.decoding.blocks import ScoreBlock
from taxotext.metrics.sparse import Sets, as_sets, row_of_entry

if TYPE_CHECKING:
    from taxotext.labels import Taxonomy


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predicted labels of D documents, sparse: the same for 50 labels and for 500,000.

    Document d has the labels ``ids[indptr[d]:indptr[d + 1]]`` with the same slice of ``scores``, the best
    first; of equal scores the upper level comes first where levels are given, then the smaller index.
    """

    indptr: NDArray[np.int64]  # (D + 1,) int64
    ids: NDArray[np.int32]  # (P,) int32 label indexes
    scores: NDArray[np.float32]  # (P,) float32

    @classmethod
    def from_sets(cls, sets: Sets, scores: Any, levels: NDArray[np.integer[Any]] | None = None) -> Predictions:
        """Build from label sets and the scores of all labels, as a decoder returns them.

        Args:
            sets: (D, N) bool sparse.
            scores: (D, N): a :class:`ScoreBlock`, an array or a sparse array (a missing entry scores 0).
            levels: (N,) of the labels; parents and children often tie after a consistency rule.

        Raises:
            ValueError: the shapes differ.
        """
        sets, block = as_sets(sets), ScoreBlock.of(scores)
        if block.shape != tuple(sets.shape):
            raise ValueError(f"sets has shape {sets.shape} but scores has {block.shape}")
        rows = row_of_entry(sets)
        values = block.at(rows, sets.indices)
        level = np.zeros(1, np.int64) if levels is None else levels[sets.indices]
        order = np.lexsort((sets.indices, np.broadcast_to(level, rows.shape), -values, rows))
        return cls(sets.indptr.astype(np.int64), sets.indices[order].astype(np.int32), values[order])

    @classmethod
    def from_ranked(cls, ids: NDArray[np.int32], scores: NDArray[np.floating[Any]]) -> Predictions:
        """Build from the lists of :func:`~taxotext.decoding.top_k`: (D, K) each, label -1 is a pad.

        Raises:
            ValueError: the shapes differ.
        """
        labels, values = np.asarray(ids), np.asarray(scores)
        if labels.ndim != 2 or labels.shape != values.shape:
            raise ValueError(f"ids has shape {labels.shape} but scores has {values.shape}; (D, K) is needed")
        real = labels >= 0
        indptr = np.zeros(labels.shape[0] + 1, dtype=np.int64)
        np.cumsum(real.sum(axis=1), out=indptr[1:])
        return cls(indptr, labels[real].astype(np.int32), values[real].astype(np.float32))

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """Join the predictions of consecutive blocks of documents."""
        lengths = [np.diff(part.indptr) for part in parts]
        indptr = np.zeros(sum(len(part) for part in parts) + 1, dtype=np.int64)
        if not parts:
            return cls(indptr, np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
        np.cumsum(np.concatenate(lengths), out=indptr[1:])
        return cls(
            indptr,
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def __len__(self) -> int:
        """The number of documents."""
        return int(self.indptr.size - 1)

    def __getitem__(self, document: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The label indexes and scores of one document, best first."""
        count = len(self)
        if not -count <= document < count:
            raise IndexError(f"document {document} of {count}")
        place = document % count
        part = slice(self.indptr[place], self.indptr[place + 1])
        return self.ids[part], self.scores[part]

    def __iter__(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        return (self[document] for document in range(len(self)))

    def labels(self, taxonomy: Taxonomy) -> list[list[str]]:
        """Return the label ids (the strings of the corpus) of each document, best first."""
        names = taxonomy.ids
        return [[names[i] for i in ids.tolist()] for ids, _ in self]

    def pairs(self, taxonomy: Taxonomy) -> list[list[tuple[str, float]]]:
        """Return (label id, score) of each document, best first."""
        names = taxonomy.ids
        return [[(names[i], s) for i, s in zip(ids.tolist(), scores.tolist(), strict=True)] for ids, scores in self]

    def sets(self, labels: int) -> Sets:
        """Return the label sets, (D, labels) bool CSR, as the metrics want them."""
        data = np.ones(self.ids.size, dtype=np.bool_)
        return as_sets(csr_array((data, self.ids.copy(), self.indptr.copy()), shape=(len(self), labels)))

    def ranked(self, k: int) -> NDArray[np.int32]:
        """Return the first k labels of each document, (D, k) int32, padded with -1."""
        result = np.full((len(self), k), -1, dtype=np.int32)
        place = np.arange(self.ids.size) - np.repeat(self.indptr[:-1], np.diff(self.indptr))
        rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        first = place < k
        result[rows[first], place[first]] = self.ids[first]
        return result
