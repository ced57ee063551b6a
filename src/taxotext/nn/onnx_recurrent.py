"""Recurrent layers as the operators GRU and LSTM of ONNX.

torch traces such a layer step by step, for texts of the traced length only. Here it becomes a single operation,
``taxotext::gru`` or ``taxotext::lstm``, whose result is as long as what it reads, and which the exporter translates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

_ORDER = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
"""Where the gates of ONNX stand in a layer of torch: z r n of r z n, and i o f c of i f c o."""


class _Layer(nn.Module):
    """One layer of one direction, with the weights in the order of ONNX.

    Args:
        layer: GRU or LSTM, ``batch_first``.
    """

    inputs: Tensor
    states: Tensor
    biases: Tensor

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.kind = "lstm" if isinstance(layer, nn.LSTM) else "gru"
        self.units: int = layer.hidden_size
        gates: list[Any] = [self._ordered(getattr(layer, f"{name}_l0")) for name in ("weight_ih", "weight_hh")]
        both = torch.cat([self._ordered(getattr(layer, f"{name}_l0")) for name in ("bias_ih", "bias_hh")])
        for name, tensor in zip(("inputs", "states", "biases"), (*gates, both), strict=True):
            self.register_buffer(name, tensor.unsqueeze(0))

    def _ordered(self, rows: Tensor) -> Tensor:
        gates = rows.detach().chunk(len(_ORDER[self.kind]))
        return torch.cat([gates[place] for place in _ORDER[self.kind]])

    def forward(self, vectors: Tensor, first: Any = None) -> tuple[Tensor, None]:
        """(W, T, D) and the states before the first step, as torch takes them -> states (W, T, H)."""
        zeros = vectors.new_zeros(1, vectors.shape[0], self.units)
        given = (zeros,) * (2 if self.kind == "lstm" else 1) if first is None else first
        start = tuple(given) if isinstance(given, tuple) else (given,)
        run = getattr(_operations(), self.kind)
        read = run(vectors.transpose(0, 1), self.inputs, self.states, self.biases, *start)  # (T, W, H)
        return read.transpose(0, 1), None


@contextmanager
def as_operators(network: nn.Module) -> Iterator[None]:
    """Put layers that become single operators in the place of the recurrent layers of a network, for a while."""
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, (nn.GRU, nn.LSTM))
    ]
    try:
        for parent, name, child in found:
            setattr(parent, name, _Layer(child))
        yield
    finally:
        for parent, name, child in found:
            setattr(parent, name, child)


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What the exporter makes of the operations: for ``custom_translation_table`` of ``torch.onnx.export``."""
    import onnxscript

    op: Any = onnxscript.opset23

    def gru(x: Any, inputs: Any, states: Any, biases: Any, first: Any) -> Any:
        found, _ = op.GRU(x, inputs, states, biases, None, first, hidden_size=states.shape[2], linear_before_reset=1)
        return op.Squeeze(found, op.Constant(value_ints=[1]))

    def lstm(x: Any, inputs: Any, states: Any, biases: Any, first: Any, cell: Any) -> Any:
        found, _, _ = op.LSTM(x, inputs, states, biases, None, first, cell, hidden_size=states.shape[2])
        return op.Squeeze(found, op.Constant(value_ints=[1]))

    operations = _operations()
    return {operations.gru.default: gru, operations.lstm.default: lstm}


@cache
def _operations() -> Any:
    """The two operations; they have a shape and no numbers, since nothing but the exporter meets them."""
    weights = "Tensor x, Tensor inputs, Tensor states, Tensor biases"
    # torch annotates no types here
    library: Any = torch.library.Library("taxotext", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name, start in (("gru", "Tensor first"), ("lstm", "Tensor first, Tensor cell")):
        library.define(f"{name}({weights}, {start}) -> Tensor")
        torch.library.register_fake(f"taxotext::{name}", _shape, lib=library)
    _KEPT.append(library)
    return torch.ops.taxotext


_KEPT: list[Any] = []
"""A library of torch is gone with its object."""


def _shape(x: Tensor, inputs: Tensor, states: Tensor, biases: Tensor, *start: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], states.shape[2])
