"""Dropout whose random numbers cost little."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STEPS = 2**16
"""A probability is rounded to so many steps."""


class Dropout(nn.Dropout):
    """As ``nn.Dropout``; on a CPU four random decisions come of one number, which is about five times faster.

    The numbers are those of PyTorch's generator, so ``torch.manual_seed`` decides over them.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Zero each number with probability ``p`` and divide the others by 1 − p, in training."""
        if not self.training or self.inplace or values.device.type != "cpu" or not 0 < self.p < 1:
            return super().forward(values)
        drawn = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        drawn = drawn.view(torch.int16)[: values.numel()].view(values.shape)
        kept = drawn >= round(self.p * STEPS) - STEPS // 2
        return values * kept.to(values.dtype).mul_(1 / (1 - self.p))
