"""Gated recurrent units in both directions, and those of many networks that step through a text together."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def both_directions(
    forwards: nn.RNNBase, backwards: nn.RNNBase, vectors: Tensor, mask: Tensor, start: Tensor | None = None
) -> Tensor:
    """States of two networks of one layer, the second one reading from the last word to the first.

    Two networks of one direction each and not one of both: padding must not be read before the last word, and packed
    sequences are many times slower on a CPU.

    Args:
        forwards, backwards: GRU or LSTM of one width, ``batch_first``.
        vectors: (W, T, D).
        mask: (W, T), True on words; padding comes after them.
        start: (2, 2, H) or (2, 1, H), for each direction what its states are before it reads: hidden states, and of an
            LSTM those of the cells. None: zeros.

    Returns:
        (W, T, 2H), zeros on padding.
    """
    first = (None, None) if start is None else tuple(_spread(states, len(vectors)) for states in start)
    ahead = forwards(vectors, first[0])[0]
    back = turn_round(backwards(turn_round(vectors, mask), first[1])[0], mask)
    return torch.cat([ahead, back], 2) * mask.unsqueeze(-1)


def _spread(states: Tensor, windows: int) -> Tensor | tuple[Tensor, ...]:
    """(1 or 2, H) as PyTorch takes it: (1, W, H) for a GRU, two of them for an LSTM."""
    spread = tuple(part.expand(1, windows, -1).contiguous() for part in states.unsqueeze(1))
    return spread if len(spread) > 1 else spread[0]


def turn_round(tokens: Tensor, mask: Tensor) -> Tensor:
    """(W, T, D) with each text in reverse order; padding stays behind it."""
    positions = torch.arange(tokens.shape[1], device=tokens.device)  # (T,)
    lengths = mask.sum(1, keepdim=True)  # (W, 1)
    source = torch.where(positions < lengths, lengths - 1 - positions, positions)  # (W, T)
    return tokens.gather(1, source.unsqueeze(-1).expand_as(tokens))


def unroll(ahead: Tensor, back: Tensor, weights: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """Take the steps of L pairs of networks, one of each reading forwards, the other one backwards; without gradients.

    In PyTorch's form of the unit (that of Cho et al. 2014 multiplies r and h first):

        r = σ(given_r + W_r h);  z = σ(given_z + W_z h)
        n = tanh(given_n + r ∘ (W_n h + b));  h' = z ∘ h + (1 − z) ∘ n

    Args:
        ahead, back: (T, L, W, 3H), products of the inputs with their weights, and biases; T in the order of the text.
        weights: (2L, H, 3H) of the states, in 32 or 16 bits; the products are computed in these.
        bias: (2L, 1, H), b.
        mask: (W, T), True on words.

    Returns:
        (T + 1, 2L, W, H) in the order of the steps, the first one zeros: those of padding are zeros too.
    """
    length, labels, windows, _ = ahead.shape
    width = weights.shape[1]
    states = bias.new_empty(length + 1, 2 * labels, windows, width)
    states[0] = 0
    now = bias.new_empty(2 * labels, windows, 4 * width)  # r, z, n and W_n h + b of a step
    padded, keep = _padding(mask)
    for at in range(length):
        before = states[at]
        now[:labels, :, : 3 * width] = ahead[at]
        now[labels:, :, : 3 * width] = back[length - 1 - at]
        own = torch.bmm(before.to(weights.dtype), weights).float()  # (2L, W, 3H)
        gates, new, inner = torch.split(now, [2 * width, width, width], -1)
        gates.add_(own[..., : 2 * width]).sigmoid_()
        torch.add(own[..., 2 * width :], bias, out=inner)
        # tanh x = 2 σ(2x) - 1: PyTorch's tanh takes four times as long on a CPU
        new.addcmul_(gates[..., :width], inner).mul_(2).sigmoid_().mul_(2).sub_(1)
        torch.lerp(new, before, gates[..., width:], out=states[at + 1])
        if padded[at]:
            states[at + 1].view(2, labels, windows, width).mul_(keep[at])
    return states


def _padding(mask: Tensor) -> tuple[list[bool], Tensor]:
    """Whether a step of either direction meets padding, and what to multiply with: (T, 2, 1, W, 1), 0 there."""
    ahead = mask.T  # (T, W)
    live = torch.stack([ahead, ahead.flip(0)], 1)  # (T, 2, W)
    return (~live).flatten(1).any(1).tolist(), live[:, :, None, :, None].float()
