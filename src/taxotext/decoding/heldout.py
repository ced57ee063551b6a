"""Scores of documents that the model was not fitted on: what thresholds are tuned with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from taxotext.decoding.tuning import sparse_scores
from taxotext.errors import ModelFolderError
from taxotext.files.tensors import numbers, read_tensors, sparse_rows

FLOOR = 0.001
"""Probabilities below it are dropped: no sensible threshold lies there, and D x N scores stay sparse."""


@dataclass(frozen=True)
class HeldOut:
    """Scores and gold labels of D held-out documents.

    Attributes:
        scores: csr float32 (D, N), probabilities above :data:`FLOOR`: the candidates of a sparse block.
        gold: csr bool (D, N), labels that the model knows.
        source: which documents these are, in words.
    """

    scores: csr_array
    gold: csr_array
    source: str

    @classmethod
    def from_blocks(cls, blocks: Iterable[Any], gold: csr_array, source: str) -> Self:
        """Collect score blocks (b, N) of the documents of ``gold``, dense or sparse."""
        sparse = [sparse_scores(block, FLOOR) for block in blocks]
        scores: Any = vstack(sparse, format="csr") if sparse else csr_array(gold.shape, dtype=np.float32)
        return cls(scores, gold, source)

    def save(self, path: Path) -> None:
        """Write a safetensors file; the texts are not part of it."""
        from safetensors.numpy import save_file

        scores, gold = self.scores, self.gold
        tensors: dict[str, NDArray[Any]] = {
            "scores.indptr": scores.indptr.astype(np.int64),
            "scores.indices": scores.indices.astype(np.int32),
            "scores.data": scores.data.astype(np.float32),
            "gold.indptr": gold.indptr.astype(np.int64),
            "gold.indices": gold.indices.astype(np.int32),
            "labels": np.asarray([gold.shape[1]], dtype=np.int64),
        }
        # One entry only: several would be written in random order, and equal models should be equal files.
        save_file(tensors, path, metadata={"source": self.source})

    @classmethod
    def load(cls, path: Path, labels: int) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            ModelFolderError: when the file is damaged or of another taxonomy.
        """
        advice = "delete it (tune then needs --data), or save the model again"
        tensors, metadata = read_tensors(path)
        try:
            # Folders of version 0.1.0 have the number of labels among the metadata.
            known = int(metadata["labels"] if "labels" in metadata else numbers(tensors, "labels", (1,), np.int64)[0])
            shape = (max(tensors["gold.indptr"].size, 1) - 1 if "gold.indptr" in tensors else 0, known)
            gold = sparse_rows(tensors, "gold", shape, ones=True)
            scores = sparse_rows(tensors, "scores", shape)
            if scores.nnz and not (scores.data.min() >= 0 and scores.data.max() <= 1):
                raise ValueError("the scores are no probabilities")
        except ValueError as error:
            raise ModelFolderError(f"{path}: cannot be used ({error}); {advice}.") from None
        if known != labels:
            raise ModelFolderError(f"{path}: holds scores of {known} labels, the taxonomy has {labels}; {advice}.")
        source = metadata.get("source", "held-out documents")
        return cls(scores, gold, source)
