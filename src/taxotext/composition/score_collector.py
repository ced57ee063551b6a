"""From the scores of batches, in any order, to a block of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from taxotext.decoding.blocks import ScoreBlock
from taxotext.errors import DataError

if TYPE_CHECKING:
    from taxotext.nn.heads import HeadScores


class ScoreCollector:
    """Collects what a head says of some documents.

    Args:
        documents: b.
        labels: N.
    """

    def __init__(self, documents: int, labels: int) -> None:
        self.shape = (documents, labels)
        self._dense: NDArray[np.float32] | None = None
        self._candidates = _Entries()
        self._sets = _Entries()

    def add(self, rows: NDArray[np.int64], found: HeadScores) -> None:
        """Take the scores of a batch.

        Args:
            rows: (B,) which of the documents they are of.
            found: B documents.
        """
        values = found.values.float().cpu().numpy()
        if found.candidates is not None:
            self._candidates.add(rows, found.candidates.cpu().numpy(), values)
        else:
            if self._dense is None:
                self._dense = np.empty(self.shape, dtype=np.float32)
            self._dense[rows] = values
        if found.sets is not None:
            chosen = found.sets.cpu().numpy()
            self._sets.add(rows, chosen, np.ones(chosen.shape, dtype=np.bool_))

    def block(self) -> ScoreBlock:
        """Return the scores of all documents.

        Raises:
            DataError: one of them is not a number.
        """
        scores: Any = self._candidates.matrix(self.shape, np.float32) if self._dense is None else self._dense
        if not np.isfinite(scores if self._dense is not None else scores.data).all():
            raise DataError(
                "The network returns NaN instead of probabilities: its training has diverged. Train again with a "
                "lower training.learning_rate, or with runtime.precision=float32."
            )
        return ScoreBlock(scores, self._sets.matrix(self.shape, np.bool_) if self._sets.parts else None)


class _Entries:
    """Rows, columns and values of a sparse matrix, as they come; column -1 is padding."""

    def __init__(self) -> None:
        self.parts: list[tuple[NDArray[Any], ...]] = []

    def add(self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[Any]) -> None:
        real = columns >= 0
        self.parts.append((np.repeat(rows, real.sum(1)), columns[real], values[real]))

    def matrix(self, shape: tuple[int, int], kind: Any) -> Any:
        if not self.parts:
            return csr_array(shape, dtype=kind)
        rows, columns, values = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        return csr_array(coo_array((values.astype(kind), (rows, columns)), shape=shape))
