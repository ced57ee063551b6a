"""From texts to labels, for a batch whose texts ask for different choices of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxotext.api import Classifier
from taxotext.decoding import Predictions, ScoreBlock
from taxotext.metrics.sparse import Sets


@dataclass(frozen=True)
class Loaded:
    """A model in memory."""

    classifier: Classifier  # as its folder was read
    version: str = ""  # what the folder was when it was read; another one after it was replaced


class Choice(NamedTuple):
    """Which labels of a text are answered; neither: those that the model predicts."""

    top_k: int | None = None  # the best ones, whatever their thresholds
    threshold: float | None = None  # those whose score is greater, instead of the model's thresholds


class Answer(NamedTuple):
    """Labels of one text, the best first."""

    labels: NDArray[np.int32]  # (L,) indexes
    scores: NDArray[np.float32]  # (L,) float32, after calibration and the consistency rule
    predicted: NDArray[np.bool_]  # (L,) bool, whether the model's own rules predict them

    def pairs(self) -> list[tuple[int, float]]:
        """Index and score of each label."""
        return list(zip(self.labels.tolist(), self.scores.tolist(), strict=True))


NOTHING = Answer(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.bool_))
"""The answer to an empty text."""


def answers(loaded: Loaded, texts: Sequence[str], choices: Sequence[Choice]) -> list[Answer]:
    """Score texts together and choose the labels of each.

    Args:
        loaded: the model.
        texts: D.
        choices: one for each text.

    Raises:
        DataError: a text cannot be read.
    """
    found = [NOTHING] * len(texts)
    readable = [row for row, text in enumerate(texts) if text.strip()]
    done = 0
    for sets, scores in loaded.classifier.decode_stream([texts[row] for row in readable]):
        here = readable[done : done + len(scores)]
        done += len(here)
        alike: dict[Choice, list[int]] = {}
        for place, row in enumerate(here):
            alike.setdefault(choices[row], []).append(place)
        for choice, places in alike.items():
            rows = np.asarray(places)
            own, part = sets[rows], scores.rows(rows)
            for place, (labels, values), at in zip(
                places, _chosen(loaded, choice, own, part), range(len(places)), strict=True
            ):
                predicted = own.indices[own.indptr[at] : own.indptr[at + 1]]
                found[here[place]] = Answer(labels, values, np.isin(labels, predicted))
    return found


def _chosen(
    loaded: Loaded, choice: Choice, own: Sets, scores: ScoreBlock
) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    if choice == Choice():
        return list(Predictions.from_sets(own, scores, loaded.classifier.taxonomy.levels))
    count = scores.labels if choice.top_k is None else min(choice.top_k, scores.labels)
    if choice.threshold is not None:
        count = min(count, _most_above(scores, choice.threshold))
    if not count:
        return [(NOTHING.labels, NOTHING.scores)] * len(scores)
    ranked = list(Predictions.from_ranked(*loaded.classifier.decoder.rank(scores, count)))
    if choice.threshold is None:
        return ranked
    # Compared as 64-bit numbers: 0.1 as a 32-bit score is greater than 0.1.
    above = [(labels, values, values.astype(np.float64) > choice.threshold) for labels, values in ranked]
    return [(labels[kept], values[kept]) for labels, values, kept in above]


def _most_above(scores: ScoreBlock, threshold: float) -> int:
    """How many labels of one document score more than the threshold, at most."""
    if not scores.is_sparse:
        return int((scores.dense.astype(np.float64) > threshold).sum(axis=1).max(initial=0))
    above = np.concatenate([[0], np.cumsum(scores.candidates.data.astype(np.float64) > threshold)])
    return int(np.diff(above[scores.candidates.indptr]).max(initial=0))
