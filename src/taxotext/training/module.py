"""The one Lightning module: any network that gives a loss, and its optimiser."""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from taxotext.composition.neural_settings import TrainingSettings
from taxotext.errors import DataError
from taxotext.nn.batch import TrainingBatch
from taxotext.training.optimiser import RowAdamW, clip_gradients

CHECKED_EVERY = 20
"""Steps between two looks at whether the loss is still a number (each look waits for the device)."""


class TextModule(pl.LightningModule):
    """Trains one network.

    Args:
        network: :class:`~taxotext.nn.batch.TrainingBatch` -> loss, a scalar.
        steps: optimiser steps of the whole training.
        pretrained: names of parameters that learn with ``settings.learning_rate``.
    """

    def __init__(
        self, network: nn.Module, settings: TrainingSettings, seed: int, steps: int, pretrained: Set[str] = frozenset()
    ) -> None:
        super().__init__()
        self._settings, self._seed, self._steps, self._pretrained = settings, seed, steps, pretrained
        self.network = network

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Fix the random numbers of this batch.

        They are a function of seed and batch, so that a resumed training draws the same dropout masks as an
        undisturbed one without saving the state of any generator. Other processes draw other masks than process 0.
        """
        others = [self.global_rank] if self.global_rank else []
        mixed = np.random.SeedSequence([self._seed, batch_idx, *others]).generate_state(1, np.uint64)
        torch.manual_seed(int(mixed[0]))

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        loss: Tensor = self.network(batch)
        if batch.share != 1.0:
            loss = loss * batch.share
        if batch_idx % CHECKED_EVERY == 0 and not torch.isfinite(loss):
            raise DataError(
                f"The loss is no longer a number at batch {batch_idx}: training diverged. Lower training.learning_rate "
                "or training.head_learning_rate, or set runtime.precision=float32."
            )
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by norm; the engine itself refuses to with a fused optimiser, whose gradients it may have to unscale.

        Nothing is scaled here: bf16 needs none, and float16 is not offered.
        """
        if gradient_clip_val:
            clip_gradients(self.network.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        """AdamW with groups: pretrained or new, matrices with weight decay or vectors without."""
        optimizer = RowAdamW(self._groups(self._settings), fused=True)
        rate = _rate(self._settings, self._steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": LambdaLR(optimizer, rate), "interval": "step"},
        }

    def _groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                groups.setdefault((name in self._pretrained, parameter.ndim > 1), []).append(parameter)
        return [
            {
                "params": parameters,
                "lr": settings.learning_rate if is_pretrained else settings.head_learning_rate,
                "weight_decay": settings.weight_decay if is_matrix else 0.0,
            }
            for (is_pretrained, is_matrix), parameters in groups.items()
        ]


class _rate:  # noqa: N801  # used like a function; a class so that schedulers can be copied
    """Factor of the learning rates at a step: rises over the warm-up, then falls by the schedule."""

    def __init__(self, settings: TrainingSettings, steps: int) -> None:
        self.schedule, self.steps = settings.schedule, max(steps, 1)
        self.warmup = math.ceil(settings.warmup * self.steps)

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(self.steps - self.warmup, 1)
        if self.schedule == "linear":
            return max(0.0, 1.0 - done)
        if self.schedule == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
        return 1.0
