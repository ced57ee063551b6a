"""From token vectors to one vector, padding left out; from window logits to document logits."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that are no padding: (W, T, D), (W, T) -> (W, D); zeros where there are none."""
    weights = mask.unsqueeze(-1).to(tokens.dtype)  # (W, T, 1)
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)


def masked_max(tokens: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the tokens that are no padding: (W, T, D), (W, T) -> (W, D)."""
    lowest = torch.finfo(tokens.dtype).min
    return tokens.masked_fill(~mask.unsqueeze(-1), lowest).amax(1)


def join_windows(logits: Tensor, owner: Tensor, documents: int, how: str) -> Tensor:
    """Join the logits of the windows of each document by ``"max"`` or ``"mean"``: (W, N) -> (documents, N).

    Args:
        logits: (W, N).
        owner: (W,) position of the document that each window belongs to; every document owns at least one.
        documents: number of documents.
        how: "max" or "mean".
    """
    index = owner.unsqueeze(-1).expand_as(logits)
    reduce = {"max": "amax", "mean": "mean"}[how]
    empty = logits.new_zeros(documents, logits.shape[1])
    return empty.scatter_reduce(0, index, logits, reduce=reduce, include_self=False)
