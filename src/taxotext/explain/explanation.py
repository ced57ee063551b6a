"""What is known of one text: how scores change without its words, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Pieces:
    """Pieces of a text, and how much each of them matters to C labels and to the predicted set."""

    places: NDArray[np.int64]  # (T, 2) int64, first character and the one behind the last
    importance: NDArray[np.float32]  # (T, C) float32, score of the label minus its score without the piece
    of_set: NDArray[np.float32]  # (T,) float32, log-probability of the predicted set minus that without the piece

    @classmethod
    def none(cls, labels: int) -> Pieces:
        """No pieces."""
        return cls(np.zeros((0, 2), np.int64), np.zeros((0, labels), np.float32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Explanation:
    """Why a system gives one text its labels."""

    text: str  # the document
    labels: tuple[str, ...]  # ids of the C labels that are explained
    names: Mapping[str, str]  # id -> display name, of labels that have one
    scores: NDArray[np.float32]  # (C,) float32 of the whole text, after calibration and the consistency rule
    predicted: tuple[str, ...]  # ids of the predicted set
    words: Pieces  # those that were left out one by one
    passages: Pieces  # consecutive sentences that were left out one by one; none of a short text
    # label id -> (T,) float32, the share of attention that falls on each of the words; of labels that attend to words
    attention: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    mode: str = "delete"  # `delete` or `mask`
    of_set: str = "independent"  # what the log-probability of the set is: `independent` labels, or a `sequence`
    notes: tuple[str, ...] = ()  # what was left out, as sentences

    def word(self, place: int) -> str:
        """The word of a place, 0 to T - 1."""
        start, stop = self.words.places[place].tolist()
        return self.text[start:stop]

    def best(self, label: str | None, count: int, pieces: Pieces | None = None) -> list[tuple[int, float]]:
        """Return the pieces that change a score most, up or down: place and importance, the largest first.

        Args:
            label: id of an explained label; None: the predicted set.
            count: how many at most; pieces that change less than a hundredth of what the strongest does are left out.
            pieces: None: the words.
        """
        found = self.words if pieces is None else pieces
        values = found.of_set if label is None else found.importance[:, self.labels.index(label)]
        order = np.argsort(-np.abs(values), kind="stable")[:count]
        least = LEAST_SHARE * float(np.abs(values).max(initial=0))
        return [(int(place), float(values[place])) for place in order if values[place] and abs(values[place]) >= least]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; words in the order of the text, with offsets in characters."""
        return {
            "text": self.text,
            "predicted": list(self.predicted),
            "mode": self.mode,
            "labels": [
                {
                    "id": label,
                    **({"name": self.names[label]} if label in self.names else {}),
                    "score": _rounded(score),
                    "predicted": label in self.predicted,
                }
                for label, score in zip(self.labels, self.scores.tolist(), strict=True)
            ],
            "set_log_probability": self.of_set,
            "words": self._rows(self.words, self.attention),
            "passages": self._rows(self.passages, {}),
            "notes": list(self.notes),
        }

    def _rows(self, pieces: Pieces, attention: Mapping[str, NDArray[np.float32]]) -> list[dict[str, Any]]:
        rows = []
        for place, (start, stop) in enumerate(pieces.places.tolist()):
            importance = pieces.importance[place].tolist()
            row: dict[str, Any] = {
                "text": self.text[start:stop],
                "start": start,
                "end": stop,
                "importance": {label: _rounded(value) for label, value in zip(self.labels, importance, strict=True)},
                "set_importance": _rounded(float(pieces.of_set[place])),
            }
            if attention:
                row["attention"] = {label: _rounded(float(found[place])) for label, found in attention.items()}
            rows.append(row)
        return rows


def _rounded(value: float) -> float:
    return round(value, 6)
