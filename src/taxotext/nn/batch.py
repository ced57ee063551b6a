"""What travels from the loader to the network: tokens of some documents, and their gold labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from taxotext.data.batches import Batch, make_batch
from taxotext.data.windows import Windows


@dataclass(frozen=True)
class TokenBatch:
    """B documents as W >= B windows of T tokens."""

    ids: Tensor  # (W, T) int64 token ids
    mask: Tensor  # (W, T) bool, True on tokens
    owner: Tensor  # (W,) int64, the document (0..B-1) of each window, ascending; every document owns at least one
    documents: int  # B
    # (W, T, d) states of a frozen encoder that were computed before, zeros on padding; None: the encoder computes them
    states: Tensor | None = None

    @classmethod
    def of(cls, batch: Batch, states: Tensor | None = None) -> Self:
        """Wrap the arrays of a batch; nothing is copied."""
        ids, mask, owner = (torch.from_numpy(array) for array in (batch.ids, batch.mask, batch.owner))
        return cls(ids, mask, owner, len(batch.documents), states)

    @classmethod
    def gather(
        cls,
        windows: Windows,
        documents: NDArray[np.int64],
        pad_id: int,
        states: NDArray[np.float16] | None = None,
    ) -> Self:
        """Return a padded batch of some documents.

        Args:
            windows: of all documents.
            documents: (B,) which of them.
            pad_id: token of the padding.
            states: float16 (tokens, d), those of a frozen encoder for each token of ``windows``, or None.
        """
        batch = make_batch(windows, documents, pad_id)
        return cls.of(batch, None if states is None else gather_states(states, windows, batch))

    def to(self, device: Any, **options: Any) -> Self:
        """Return the batch on a device."""
        states = None if self.states is None else self.states.to(device, **options)
        ids, mask, owner = (tensor.to(device, **options) for tensor in (self.ids, self.mask, self.owner))
        return type(self)(ids, mask, owner, self.documents, states)


def gather_states(states: NDArray[np.float16], windows: Windows, batch: Batch) -> Tensor:
    """States of the windows of a batch, zeros on padding: float16 (W, T, d)."""
    gathered: Any = np.zeros((*batch.mask.shape, states.shape[1]), dtype=np.float16)
    offsets = windows.tokens.offsets
    for place, row in enumerate(batch.rows.tolist()):
        start, stop = offsets[row], offsets[row + 1]
        gathered[place, : stop - start] = states[start:stop]
    return torch.from_numpy(gathered)


@dataclass(frozen=True)
class Targets:
    """Gold labels of B documents, sparse: a million labels cost no more than those that are set."""

    indices: Tensor  # (P,) int64, the labels of document after document, ascending within each
    offsets: Tensor  # (B + 1,) int64; document b has `indices[offsets[b]:offsets[b + 1]]`
    labels: int  # N
    weights: Tensor | None = None  # (B,) float32 weights of the documents, or None
    # what else a head wants to know of the documents, by name, (B, ...) each
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, rows: csr_array, weights: Any = None, extra: Mapping[str, Tensor] | None = None) -> Self:
        """Gold labels (B, N) of a sparse matrix, weights (B,), and what else there is."""
        return cls(
            torch.from_numpy(rows.indices.astype(np.int64)),
            torch.from_numpy(rows.indptr.astype(np.int64)),
            int(rows.shape[1]),
            None if weights is None else torch.from_numpy(weights),
            extra or {},
        )

    @property
    def rows(self) -> Tensor:
        """(P,) int64, the document of each entry of ``indices``."""
        counts = self.offsets.diff()
        return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)

    def dense(self) -> Tensor:
        """(B, N) float32 of 0 and 1; for heads with one output for each label."""
        found = torch.zeros(len(self), self.labels, device=self.indices.device)
        found[self.rows, self.indices] = 1.0
        return found

    def to(self, device: Any, **options: Any) -> Self:
        """Return the targets on a device."""
        weights = None if self.weights is None else self.weights.to(device, **options)
        extra = {name: tensor.to(device, **options) for name, tensor in self.extra.items()}
        indices, offsets = (tensor.to(device, **options) for tensor in (self.indices, self.offsets))
        return type(self)(indices, offsets, self.labels, weights, extra)


@dataclass(frozen=True)
class TrainingBatch:
    """Documents and their gold labels."""

    tokens: TokenBatch
    targets: Targets
    # what the loss counts, where several processes share out a batch and their gradients are averaged
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: Any, **options: Any) -> Self:
        """Return the batch on a device."""
        return type(self)(self.tokens.to(device, **options), self.targets.to(device, **options), self.share)
