"""Attention: how much a label looks at each word, of systems whose head attends to tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.composition.base import System
from taxotext.composition.neural import NeuralSystem
from taxotext.data.tokens import Ragged

SHIFT = 1 << 24
"""Added to the numbers of tokens, so that special tokens among them are smaller."""


def attention_of(
    system: System,
    text: str,
    labels: NDArray[np.int64],
    sequence: NDArray[np.int64] | None,
    words: NDArray[np.int64],
) -> dict[int, NDArray[np.float32]]:
    """Return the share of attention that falls on each word.

    What falls on punctuation and on special tokens is on no word, so that shares may sum to less than 1. Words that lie
    behind what the system reads have 0.

    Args:
        system: any; the result is empty where nothing attends to tokens, or where their places are not known.
        labels: (C,) those that are asked for.
        sequence: of labels that the system predicts; others than these do not attend. None: it predicts no sequence.
        words: (T, 2) places of the words.
    """
    asked = labels if sequence is None else sequence
    if not isinstance(system, NeuralSystem) or not len(asked) or not len(words):
        return {}
    spans = system.tokenizer.spans(text)
    weights = _weights(system, text, asked) if spans is not None and len(spans) else None
    if weights is None or spans is None:
        return {}
    places = _positions(system, len(spans))  # (S,), number of the token, -1 for others
    if len(places) != weights.shape[1]:  # the encoder gives other positions than tokens
        return {}
    real = places >= 0
    of_token = np.zeros((len(asked), len(spans)), dtype=np.float64)
    np.add.at(of_token.T, places[real], weights[:, real].T)  # windows may share tokens
    word = np.searchsorted(words[:, 1], spans[:, 0], side="right").clip(max=len(words) - 1)  # (tokens,)
    inside = (spans[:, 0] < words[word, 1]) & (spans[:, 1] > words[word, 0])
    found = np.zeros((len(asked), len(words)), dtype=np.float32)
    np.add.at(found.T, word[inside], of_token[:, inside].T)
    wanted = set(labels.tolist())
    return {label: row for label, row in zip(asked.tolist(), found, strict=True) if label in wanted}


def _weights(system: NeuralSystem, text: str, labels: NDArray[np.int64]) -> NDArray[Any] | None:
    """(C, S) of one document."""
    import torch

    from taxotext.nn.heads import Head

    head = getattr(system.network, "head", None)
    if head is None or type(head).attention is Head.attention:  # it attends to no tokens: no pass is needed to know
        return None
    found: list[Any] = []

    def look(_: NDArray[np.int64], features: Any) -> None:
        asked = torch.from_numpy(labels).to(features.pooled.device).unsqueeze(0)
        found.append(head.attention(features, asked))

    for _ in system.score_windows(system.windows([text]), system.runtime(), look=look):
        pass
    return None if found[0] is None else np.asarray(found[0][0].float().cpu().numpy())


def _positions(system: NeuralSystem, tokens: int) -> NDArray[np.int64]:
    """The number of the token at each position of a document, -1 on special tokens and padding."""
    windows = system.windows_of(Ragged.from_rows([np.arange(SHIFT, SHIFT + tokens, dtype=np.int32)])).tokens
    longest = windows.longest
    found = np.full((len(windows), longest), -1, dtype=np.int64)
    for window in range(len(windows)):
        own = windows[window].astype(np.int64) - SHIFT
        found[window, : len(own)] = np.where(own >= 0, own, -1)
    return found.ravel()
