"""All batches of a training, epoch after epoch, from any position."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from taxotext.data.batches import shuffled_plan
from taxotext.data.windows import Windows
from taxotext.nn.batch import Targets, TokenBatch, TrainingBatch

Extra = Callable[[NDArray[np.int64]], Mapping[str, Tensor]]


class TrainingLoader:
    """Batches of ``epochs`` epochs in one row; the engine saves and restores its position with the checkpoint.

    The batches of an epoch depend on (seed, epoch) alone, so the position is all there is to keep.

    Args:
        windows: token windows of the D training documents.
        targets: csr bool (D, N).
        weights: (D,) or None.
        states: float16 (tokens, d) of a frozen encoder, or None.
        extra: documents (B,) -> what else the head wants to know of them (:attr:`Targets.extra`), or None.
        place: () -> (number of this process, processes), asked when batches are drawn; None: there is one.
    """

    def __init__(
        self,
        windows: Windows,
        targets: csr_array,
        weights: NDArray[np.float32] | None,
        *,
        batch_size: int,
        epochs: int,
        seed: int,
        pad_id: int,
        states: NDArray[np.float16] | None = None,
        extra: Extra | None = None,
        place: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._place = place
        self._states, self._extra = states, extra
        self._windows, self._targets, self._weights = windows, targets, weights
        self._costs = windows.costs
        self._batch_size, self._seed, self._pad_id = batch_size, seed, pad_id
        self.batches_per_epoch = -(-len(windows) // batch_size)
        self.epochs = epochs
        self.position = 0

    def __len__(self) -> int:
        return self.batches_per_epoch * self.epochs

    def state_dict(self) -> dict[str, Any]:
        """The position: number of batches that were handed out."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a saved position."""
        self.position = int(state["position"])

    def __iter__(self) -> Iterator[TrainingBatch]:
        while self.position < len(self):
            epoch, first = divmod(self.position, self.batches_per_epoch)
            plan = shuffled_plan(self._costs, self._batch_size, seed=self._seed, epoch=epoch)
            for documents in plan[first:]:
                self.position += 1
                yield self._own(documents)

    def _own(self, documents: NDArray[np.int64]) -> TrainingBatch:
        """What this process computes of a batch: every n-th document of it.

        The loss is a mean over documents, and gradients are averaged over the n processes: the loss of a share counts
        n times its part of the batch, so that their mean is the gradient of the whole. A process for which no document
        is left computes one that counts nothing, since the others wait for it.
        """
        number, processes = (0, 1) if self._place is None else self._place()
        if processes == 1:
            return self.batch(documents)
        mine = documents[number::processes]
        if not len(mine):
            return self.batch(documents[:1], share=0.0)
        part = self._weight(mine) / max(self._weight(documents), 1e-12)
        return self.batch(mine, share=processes * part)

    def _weight(self, documents: NDArray[np.int64]) -> float:
        """What documents weigh together."""
        return float(len(documents) if self._weights is None else self._weights[documents].astype(np.float64).sum())

    def batch(self, documents: NDArray[np.int64], share: float = 1.0) -> TrainingBatch:
        """Gather documents into one padded batch."""
        tokens = TokenBatch.gather(self._windows, documents, self._pad_id, self._states)
        weights = None if self._weights is None else self._weights[documents]
        extra = {} if self._extra is None else self._extra(documents)
        return TrainingBatch(tokens, Targets.of(csr_array(self._targets[documents]), weights, extra), share)
