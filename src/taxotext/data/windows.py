"""Texts longer than the encoder: what part of their tokens is read, the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from taxotext.data.spill import IN_MEMORY, IdsBuilder
from taxotext.data.tokens import Ragged

LongText = Literal["truncate", "head_tail", "chunk_max", "chunk_mean"]
"""``truncate``: the first tokens. ``head_tail``: the first quarter and the last three quarters of the room (Sun et al.
2019, "How to fine-tune BERT for text classification?", keep 128 + 382 of 510). ``chunk_max`` and ``chunk_mean``:
consecutive pieces, whose logits are joined by maximum or mean."""

HEAD_SHARE = 0.25
"""Part of the room that ``head_tail`` gives to the beginning of a text."""


@dataclass(frozen=True)
class Windows:
    """The token windows of a list of documents, special tokens included."""

    tokens: Ragged  # the windows, in document order
    # int64 (documents + 1,); document `d` owns windows `first[d]:first[d + 1]`, at least one
    first: NDArray[np.int64]
    cut: NDArray[np.bool_]  # bool (documents,), True where tokens of the document are in none of its windows

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def costs(self) -> NDArray[np.int64]:
        """Length of the longest window of each document (documents,): what padding depends on."""
        if len(self) == 0:
            return np.empty(0, np.int64)
        return np.maximum.reduceat(self.tokens.lengths, self.first[:-1])


def make_windows(
    tokens: Ragged,
    *,
    max_tokens: int,
    mode: LongText = "truncate",
    max_chunks: int = 8,
    prefix: tuple[int, ...] = (),
    suffix: tuple[int, ...] = (),
    in_memory: int = IN_MEMORY,
) -> Windows:
    """Cut each document into the windows that the encoder reads.

    Args:
        tokens: ids of each document, without special tokens.
        max_tokens: tokens in one window, special tokens included.
        mode: see :data:`LongText`.
        max_chunks: pieces of one document at most (``chunk_*``); what lies behind them is cut and counted.
        prefix: special tokens before each window.
        suffix: special tokens behind each window.
        in_memory: ids that are kept in memory; more are in a temporary file.

    Raises:
        ValueError: when ``max_tokens`` leaves no room beside the special tokens.

    >>> windows = make_windows(Ragged.from_rows([[1, 2, 3, 4, 5], [6]]), max_tokens=3, mode="chunk_max")
    >>> [windows.tokens[i].tolist() for i in range(3)], windows.first.tolist()
    ([[1, 2, 3], [4, 5], [6]], [0, 2, 3])
    """
    room = max_tokens - len(prefix) - len(suffix)
    if room < 1:
        raise ValueError(f"max_tokens={max_tokens} leaves no room beside {len(prefix) + len(suffix)} special tokens")
    before, behind = np.asarray(prefix, np.int32), np.asarray(suffix, np.int32)
    builder, windows = IdsBuilder(in_memory), 0
    first = np.zeros(len(tokens) + 1, dtype=np.int64)
    kept = room * max_chunks if mode.startswith("chunk") else room
    for document in range(len(tokens)):
        pieces = _pieces(tokens[document], room, kept, mode)
        builder.add([np.concatenate([before, piece, behind]) for piece in pieces])
        windows += len(pieces)
        first[document + 1] = windows
    return Windows(Ragged(*builder.finish()), first, tokens.lengths > kept)


def _pieces(ids: NDArray[np.int32], room: int, kept: int, mode: LongText) -> list[NDArray[np.int32]]:
    if len(ids) <= room:
        return [ids]
    if mode == "truncate":
        return [ids[:room]]
    if mode == "head_tail":
        head = int(room * HEAD_SHARE)
        return [np.concatenate([ids[:head], ids[len(ids) - (room - head) :]])]
    # Pieces of nearly equal length: a last piece of a few tokens would be noise for chunk_max and chunk_mean.
    ids = ids[:kept]
    return np.array_split(ids, -(-len(ids) // room))
