"""Scores of texts, and the probabilities of label sequences where a system predicts such."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from taxotext.composition.base import System
from taxotext.composition.neural import NeuralSystem
from taxotext.decoding.blocks import ScoreBlock

if TYPE_CHECKING:
    from taxotext.nn.features import TextFeatures
    from taxotext.nn.sequence.head import SequenceHead


@dataclass(frozen=True)
class Sequences:
    """One label sequence for each of b documents."""

    labels: Sequence[NDArray[np.int64]]  # (S,) int64 each, in their order, without EOS
    log_probability: NDArray[np.float64]  # (b,) float64, EOS included

    def rows(self, chosen: slice) -> Sequences:
        """The sequences of some documents."""
        return Sequences(self.labels[chosen], self.log_probability[chosen])


def score(
    system: System,
    texts: Sequence[str],
    forced: Sequence[NDArray[np.int64]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[ScoreBlock, Sequences | None]:
    """Score b texts.

    Args:
        texts: b, not many more than a thousand: one block is made of them.
        forced: sequences whose probabilities are wanted; None: the best ones.

    Returns:
        Scores; and label sequences, of systems that predict such.
    """
    head = sequence_head(system)
    if head is None:
        return joined([ScoreBlock.of(block) for block in system.scores(texts, progress=progress)]), None
    follow = _Follow(head, len(texts), forced)
    blocks = list(system.score_windows(system.windows(texts), system.runtime(), progress, look=follow))  # type: ignore[attr-defined]
    return joined(blocks), Sequences(follow.labels, follow.log_probability)


def sequence_head(system: System) -> SequenceHead | None:
    """The head of a system that predicts label sequences; None of others."""
    if not isinstance(system, NeuralSystem):
        return None
    from taxotext.nn.sequence.head import SequenceHead

    head = getattr(system.network, "head", None)
    return head if isinstance(head, SequenceHead) else None


def joined(blocks: Sequence[ScoreBlock]) -> ScoreBlock:
    """One block of several."""
    if len(blocks) == 1:
        return blocks[0]
    sets: list[Any] = [block.sets for block in blocks]
    decided: Any = None if any(part is None for part in sets) else vstack(sets, format="csr")
    if any(block.is_sparse for block in blocks):
        scores: Any = vstack([block.candidates for block in blocks], format="csr")
        return ScoreBlock(scores, decided)
    return ScoreBlock(np.concatenate([block.dense for block in blocks]), decided)


class _Follow:
    """Looks at the features of batches: the best or the given sequences, and how probable they are."""

    def __init__(self, head: SequenceHead, documents: int, forced: Sequence[NDArray[np.int64]] | None) -> None:
        self._head, self._forced = head, forced
        self.labels: list[NDArray[np.int64]] = [np.zeros(0, np.int64)] * documents if forced is None else list(forced)
        self.log_probability = np.zeros(documents)

    def __call__(self, rows: NDArray[np.int64], features: TextFeatures) -> None:
        import torch

        if self._forced is None:
            found = self._head.search(features).labels.cpu().numpy()  # (B, S), padded with -1
            for row, labels in zip(rows.tolist(), found, strict=True):
                self.labels[row] = labels[labels >= 0].astype(np.int64)
        longest = max(len(self.labels[row]) for row in rows.tolist())
        sequences = np.full((len(rows), longest + 1), -1, dtype=np.int64)
        for place, row in enumerate(rows.tolist()):
            own = self.labels[row]
            sequences[place, : len(own)] = own
            sequences[place, len(own)] = self._head.decoder.end
        given = torch.from_numpy(sequences).to(features.pooled.device)
        self.log_probability[rows] = self._head.log_likelihood(features, given).sum(1).double().cpu().numpy()
