"""AdamW that leaves the rows of label tables alone that a step says nothing of, and the norm of such gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class RowAdamW(torch.optim.AdamW):
    """AdamW; where a gradient is sparse, only its rows and their moments change.

    A step then costs as much as the rows that it has a gradient for, not as all of them. The moments of other rows do
    not decay meanwhile, nor do their weights; the correction of the bias counts all steps. This is
    ``torch.optim.SparseAdam``, which AttentionXML was trained with, plus weight decay. Dense gradients are AdamW's.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; ``closure`` computes loss and gradients before."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        sparse: list[tuple[Tensor, Tensor]] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    sparse.append((parameter, parameter.grad))
                    self._step_rows(parameter, group)
                    parameter.grad = None  # AdamW refuses sparse ones
        super().step()
        for parameter, gradient in sparse:
            parameter.grad = gradient
        return loss

    @torch.no_grad()
    def _step_rows(self, parameter: Any, group: dict[str, Any]) -> None:
        gradient = parameter.grad.coalesce()
        rows, values = gradient.indices()[0], gradient.values()
        state = self.state[parameter]
        if not state:  # as AdamW's, so that dense and sparse steps may take turns
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        step, rate = float(state["step"]), float(group["lr"])
        first, second = group["betas"]
        mean = state["exp_avg"][rows].lerp_(values, 1 - first)
        square = state["exp_avg_sq"][rows].mul_(second).addcmul_(values, values, value=1 - second)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        scale = square.sqrt_().div_(math.sqrt(1 - second**step)).add_(group["eps"])
        own = parameter[rows].mul_(1 - rate * group["weight_decay"])
        parameter[rows] = own.addcdiv_(mean, scale, value=-rate / (1 - first**step))


def clip_gradients(parameters: Iterable[nn.Parameter], most: float) -> None:
    """Scale all gradients down together where their norm is larger than ``most``; sparse ones stay sparse."""
    learned = [parameter for parameter in parameters if parameter.grad is not None]
    if not any(_grad(parameter).is_sparse for parameter in learned):
        nn.utils.clip_grad_norm_(learned, most)
        return
    for parameter in learned:
        if _grad(parameter).is_sparse:
            parameter.grad = _grad(parameter).coalesce()
    values = [grad.values() if grad.is_sparse else grad for grad in map(_grad, learned)]
    with torch.no_grad():
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part.float()) for part in values]))
        scale = (most / (norm + 1e-6)).clamp(max=1.0)
        for part in values:
            part.mul_(scale)


def _grad(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
