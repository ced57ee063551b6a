"""From token vectors to one vector, padding left out; from window logits to document logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens that are not padding: (W, T, D), (W, T) -> (W, D); zeros where there are none."""
    weights = mask.unsqueeze(1).to(tokens.dtype)  # (W, 1, T)
    total = torch.bmm(weights, tokens).squeeze(1)  # (W, D)
    return total / mask.sum(1, keepdim=True).clamp(min=1)


def masked_max(tokens: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the tokens that are not padding: (W, T, D), (W, T) -> (W, D)."""
    lowest = torch.finfo(tokens.dtype).min
    return tokens.masked_fill(~mask.unsqueeze(-1), lowest).amax(1)


class AttentionPooling(nn.Module):
    """Weighted mean of the tokens, the weights learned (Yang et al. 2016, word attention of HAN).

    u_t = tanh(W s_t + b);  α = softmax_t(u_t · u);  Σ_t α_t s_t

    Args:
        width: D of the tokens.
        hidden: numbers of u_t; None: D.
    """

    def __init__(self, width: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = width if hidden is None else hidden
        self.projection = nn.Linear(width, hidden)
        self.context = nn.Parameter(torch.empty(hidden).uniform_(-0.1, 0.1))

    def weights(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """α: (W, T, D), (W, T) -> (W, T), zeros on padding."""
        keys = torch.tanh(self.projection(tokens))  # (W, T, H)
        scores = (keys @ self.context).float()  # (W, T)
        return torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), 1) * mask

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(W, T, D), (W, T) -> (W, D)."""
        weights = self.weights(tokens, mask).to(tokens.dtype)
        return torch.bmm(weights.unsqueeze(1), tokens).squeeze(1)


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
