"""What a cell predicted for the test documents: sparse, without the texts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from taxotext.errors import DataError
from taxotext.files import write_atomically
from taxotext.files.tensors import numbers, read_tensors, sparse_rows
from taxotext.metrics import Sets


@dataclass(frozen=True)
class CellPredictions:
    """Gold and predicted labels of D documents over L labels."""

    labels: tuple[str, ...]  # L label ids; those that the model does not know come last
    gold: Sets  # (D, L) bool sparse
    predicted: Sets  # (D, L) bool sparse
    ranked: NDArray[np.int32]  # (D, K) int32, labels best first, -1 pads

    def save(self, path: Path) -> None:
        """Write a safetensors file, completely or not at all."""
        from safetensors.numpy import save_file

        tensors: dict[str, NDArray[Any]] = {"ranked": self.ranked.astype(np.int32)}
        for name, sets in (("gold", self.gold), ("predicted", self.predicted)):
            tensors[f"{name}.indptr"] = sets.indptr.astype(np.int64)
            tensors[f"{name}.indices"] = sets.indices.astype(np.int32)
        metadata = {"labels": json.dumps(self.labels, ensure_ascii=False)}
        write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=metadata))

    @classmethod
    def load(cls, path: Path) -> CellPredictions:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            tensors, metadata = read_tensors(path)
            labels = tuple(json.loads(metadata["labels"]))
            shape = (max(tensors["gold.indptr"].size, 1) - 1, len(labels))
            gold, predicted = (sparse_rows(tensors, name, shape, ones=True) for name in ("gold", "predicted"))
            return cls(labels, gold, predicted, numbers(tensors, "ranked", tensors["ranked"].shape, np.int32))
        except Exception as error:  # every way in which a file can be damaged has an exception of its own
            raise DataError(f"{path}: cannot be read ({error}); remove its cell and resume the experiment.") from None


class Collector:
    """Gathers the predictions of an evaluation, block by block."""

    def __init__(self) -> None:
        self._sets: list[Any] = []
        self._ranked: list[NDArray[np.int32]] = []

    def __call__(self, predicted: Sets, ranked: NDArray[np.int32]) -> None:
        """Take the predicted (b, L) and ranked labels (b, K) of the next documents."""
        self._sets.append(predicted)
        self._ranked.append(ranked)

    def collected(self, labels: tuple[str, ...], gold: Sets) -> CellPredictions:
        """All of them, beside the gold labels (D, L)."""
        predicted: Any = vstack(self._sets, format="csr") if self._sets else csr_array(gold.shape, dtype=np.bool_)
        ranked = np.concatenate(self._ranked) if self._ranked else np.zeros((0, 1), dtype=np.int32)
        return CellPredictions(labels, gold, predicted, ranked)
