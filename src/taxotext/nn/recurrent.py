"""Gated recurrent units that many networks, or two directions, step through together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
FEW = 16
"""Texts below which PyTorch's own steps are faster if no gradient is needed: 2.1 ms, not 3.1, for one of 100 words."""


def both_directions(forwards: nn.GRU, backwards: nn.GRU, vectors: Tensor, mask: Tensor) -> Tensor:
    """States of two networks of one layer, the second one reading from the last word to the first.

    On a CPU both take their steps together, and the gradients of their weights are one product each and not one for
    every step, which takes about two thirds of the time of ``nn.GRU`` (benchmarks/htrans.py). Under autocast only the
    products are in 16 bits; states, gates and their derivatives are not.

    Args:
        forwards, backwards: of one width, ``batch_first``.
        vectors: (W, T, D).
        mask: (W, T), True on words; padding comes after them.

    Returns:
        (W, T, 2H), zeros on padding.
    """
    if vectors.device.type != "cpu" or (len(vectors) < FEW and not torch.is_grad_enabled()):
        ahead = forwards(vectors)[0]
        back = turn_round(backwards(turn_round(vectors, mask))[0], mask)
        return torch.cat([ahead, back], 2) * mask.unsqueeze(-1)
    own = [torch.stack([getattr(forwards, name), getattr(backwards, name)]) for name in NAMES]
    half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    with torch.autocast("cpu", enabled=False):
        states: Tensor = _BothDirections.apply(vectors.float(), mask, *own, half)  # type: ignore[no-untyped-call]
    return states


def turn_round(tokens: Tensor, mask: Tensor) -> Tensor:
    """(W, T, D) with each text in reverse order; padding stays behind it."""
    positions = torch.arange(tokens.shape[1], device=tokens.device)  # (T,)
    lengths = mask.sum(1, keepdim=True)  # (W, 1)
    source = torch.where(positions < lengths, lengths - 1 - positions, positions)  # (W, T)
    return tokens.gather(1, source.unsqueeze(-1).expand_as(tokens))


def unroll(
    ahead: Tensor, back: Tensor, weights: Tensor, bias: Tensor, mask: Tensor, kept: Tensor | None = None
) -> Tensor:
    """Take the steps of L pairs of networks, one of each reading forwards, the other one backwards.

    In PyTorch's form of the unit (that of Cho et al. 2014 multiplies r and h first):

        r = σ(given_r + W_r h);  z = σ(given_z + W_z h)
        n = tanh(given_n + r ∘ (W_n h + b));  h' = z ∘ h + (1 − z) ∘ n

    Args:
        ahead, back: (T, L, W, 3H), products of the inputs with their weights, and biases; T in the order of the text.
        weights: (2L, H, 3H) of the states, in 32 or 16 bits; the products are computed in these.
        bias: (2L, 1, H), b.
        mask: (W, T), True on words.
        kept: (T, 2L, W, 4H) that takes r, z, n and W_n h + b of each step; None: they are not needed.

    Returns:
        (T + 1, 2L, W, H) in the order of the steps, the first one zeros: those of padding are zeros too.
    """
    length, labels, windows, _ = ahead.shape
    width = weights.shape[1]
    states = bias.new_empty(length + 1, 2 * labels, windows, width)
    states[0] = 0
    scratch = bias.new_empty(2 * labels, windows, 4 * width) if kept is None else None
    padded, keep = _padding(mask)
    for at in range(length):
        before = states[at]
        now = kept[at] if scratch is None else scratch  # type: ignore[index]
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


class _BothDirections(torch.autograd.Function):
    """:func:`unroll` of one pair, and its derivatives."""

    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        mask: Tensor,
        into: Tensor,
        again: Tensor,
        into_bias: Tensor,
        bias: Tensor,
        half: bool,
    ) -> Tensor:
        """(W, T, D), (W, T), (2, 3H, D), (2, 3H, H), (2, 3H), (2, 3H) -> (W, T, 2H)."""
        windows, length, width = vectors.shape
        hidden = again.shape[2]
        kind = torch.bfloat16 if half else torch.float32
        words = vectors.transpose(0, 1).reshape(length * windows, width).to(kind)  # (T W, D)
        biases = into_bias.clone()
        biases[:, : 2 * hidden] += bias[:, : 2 * hidden]
        given = [torch.addmm(biases[way].to(kind), words, into[way].T.to(kind)) for way in range(2)]
        ahead, back = (part.view(length, 1, windows, 3 * hidden) for part in given)
        needed = any(ctx.needs_input_grad)
        kept = vectors.new_empty(length, 2, windows, 4 * hidden) if needed else None
        states = unroll(ahead, back, again.transpose(1, 2).to(kind), bias[:, None, 2 * hidden :], mask, kept)
        if needed:
            ctx.save_for_backward(words, mask, into, again, kept, states)
        joined = words.new_empty(windows, length, 2 * hidden)
        joined[..., :hidden] = states[1:, 0].transpose(0, 1)
        joined[..., hidden:] = states[1:, 1].flip(0).transpose(0, 1)
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, joined: Tensor) -> tuple[Tensor | None, ...]:
        """(W, T, 2H) -> gradients of what :meth:`forward` took."""
        words, mask, into, again, kept, states = ctx.saved_tensors
        length, windows, hidden = len(kept), kept.shape[2], again.shape[2]
        weights = again.to(words.dtype)  # (2, 3H, H)
        # of the sums that make up the gates: with the states, and of n with the inputs; those of r and z are the same
        of_own = words.new_empty(2, length, windows, 3 * hidden)
        of_new = words.new_empty(2, length, windows, hidden)
        due = joined.new_zeros(2, windows, hidden, dtype=states.dtype)
        padded, keep = _padding(mask)
        for at in reversed(range(length)):
            due[0] += joined[:, at, :hidden]
            due[1] += joined[:, length - 1 - at, hidden:]
            if padded[at]:
                due *= keep[at].squeeze(1)
            gates, new, inner = torch.split(kept[at], [2 * hidden, hidden, hidden], -1)
            passed = due * gates[..., hidden:]
            now = torch.ops.aten.tanh_backward(due - passed, new)
            of_new[:, at] = now
            of_gates = torch.cat([now * inner, due.mul_(states[at] - new)], -1)
            of_gates = torch.ops.aten.sigmoid_backward(of_gates, gates)
            of_own[:, at] = torch.cat([of_gates, now.mul_(gates[..., :hidden])], -1)
            due = passed.add_(torch.bmm(of_own[:, at], weights))
        return (*_gradients(ctx.needs_input_grad[0], words, into, of_own, of_new, states), None)


def _gradients(
    wanted: bool, words: Tensor, into: Tensor, of_own: Tensor, of_new: Tensor, states: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients of the vectors, the mask and the weights from those of the sums of every step."""
    _, length, windows, hidden = of_new.shape
    kind, gates = words.dtype, 2 * hidden
    of_words = words.new_zeros(len(words), words.shape[1], dtype=torch.float32) if wanted else None
    of_into, of_again, of_into_bias, of_bias = [], [], [], []
    ones = words.new_ones(len(words))  # sum() of 16 bits is slow
    for way in range(2):
        own, new = of_own[way].view(-1, 3 * hidden), of_new[way].view(-1, hidden)  # (T W, 3H), (T W, H)
        before = states[:-1, way].reshape(length * windows, hidden).to(kind)
        of_again.append((own.T @ before).float())
        of_bias.append((ones @ own).float())
        of_into_bias.append(torch.cat([of_bias[-1][:gates], (ones @ new).float()]))
        read = words.view(length, windows, -1).flip(0).view_as(words) if way else words
        of_into.append(torch.cat([own[:, :gates].T @ read, new.T @ read]).float())
        if of_words is not None:
            part = (own[:, :gates] @ into[way, :gates].to(kind)).addmm_(new, into[way, gates:].to(kind))
            of_words += part.view(length, windows, -1).flip(0).view_as(part) if way else part
    if of_words is not None:
        of_words = of_words.view(length, windows, -1).transpose(0, 1)
    return of_words, None, *(torch.stack(part) for part in (of_into, of_again, of_into_bias, of_bias))
