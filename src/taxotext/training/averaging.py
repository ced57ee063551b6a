"""Stochastic weight averaging: the mean of the weights that a training passes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from taxotext.data.batches import shuffled_plan
from taxotext.data.windows import Windows
from taxotext.nn.batch import TokenBatch
from taxotext.nn.runtime import Runtime

REFRESHED = 8192
"""Training documents that the statistics of batch normalisation are taken from at most."""


class WeightAverage:
    """The running mean of a network's weights (Izmailov et al. 2018, algorithm 1).

    w_swa ← (n w_swa + w) / (n + 1) at the end of each epoch from ``first`` on. With a learning rate that stays
    (``training.schedule=constant``) this is the paper's; with one that falls it is a mean of ever closer weights.

    Args:
        first: epoch, from 1, whose weights are the first of the mean.
        refresh: called when the mean has been put in place: statistics of batch normalisation belong to weights.
    """

    def __init__(self, first: int, refresh: Callable[[], None] = lambda: None) -> None:
        self.first = first
        self.count = 0
        self._mean: dict[str, Tensor] = {}
        self._refresh = refresh

    def add(self, network: nn.Module) -> None:
        """Take the present weights into the mean."""
        self.count += 1
        for name, parameter in network.named_parameters():
            present = parameter.detach()
            if self.count == 1:
                self._mean[name] = present.clone()
                continue
            mean = self._mean[name] = self._mean[name].to(present.device)
            mean += (present - mean) / self.count

    @contextmanager
    def in_place(self, network: nn.Module) -> Iterator[None]:
        """Give the network the mean, and its own weights and statistics back afterwards."""
        own = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        try:
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    parameter.copy_(self._mean[name])
            self._refresh()
            yield
        finally:
            network.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: tensors and a number."""
        return {"count": self.count, "mean": {name: tensor.cpu() for name, tensor in self._mean.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.count = state["count"]
        self._mean = {name: tensor.clone() for name, tensor in state["mean"].items()}


def refresh_norms(
    network: nn.Module, windows: Windows, runtime: Runtime, *, batch_size: int, seed: int, pad_id: int
) -> None:
    """Take the running statistics of batch normalisation anew from training documents (Izmailov et al., section 3.2).

    Networks without batch normalisation are left as they are.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    was_training, momenta = network.training, [norm.momentum for norm in norms]
    network.eval()  # no dropout
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches, each the same
        norm.train()
    # A level of a label tree has no scores without the nodes above, and no norms behind the features.
    parts: Any = network
    read = parts.scores if any(module in norms for module in parts.head.modules()) else parts.features
    plan = shuffled_plan(windows.costs, batch_size, seed=seed, epoch=0)
    with torch.no_grad(), runtime.autocast(training=True):
        for documents in plan[: max(1, REFRESHED // batch_size)]:
            read(TokenBatch.gather(windows, documents, pad_id).to(runtime.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)
