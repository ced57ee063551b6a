"""What a text encoder that several branches share learns from each of them.

The encoder sees the gradient of the loss at what it gives (tokens and pooled vectors). Structure encoders and heads, of
which each branch has its own, always learn from the whole loss.

* **Routing**, in the spirit of Cloud et al. (2024): only the documents that have a label in a branch send a gradient
  of that branch to the encoder. The paper makes batches of one task each and masks weights; here the mask is on pairs
  of documents and branches, so that batches stay as they are.
* **Surgery** (PCGrad, Yu et al. 2020, algorithm 1): where the gradients g_i and g_j of two branches point against each
  other, g_i loses its part along g_j. The paper takes the gradients of all shared weights, which needs a pass back
  through the encoder for each branch; here they are those at the output of the encoder, of a whole batch together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.label_heads import BranchesHead


def steered_loss(text: TextFeatures, structure: nn.Module, head: BranchesHead, targets: Targets) -> Tensor:
    """Return the loss of a batch, whose gradient is that of the whole loss but for what goes back into ``text``.

    Args:
        text: what the encoder gives.
        structure: TextFeatures -> TextFeatures.
        head: its ``gradients`` is "routing" or "surgery".
        targets: gold labels.
    """
    given = [part for part in (text.pooled, text.tokens) if part.requires_grad]
    cut = replace(text, pooled=_leaf(text.pooled), tokens=_leaf(text.tokens))
    leaves = [part for part in (cut.pooled, cut.tokens) if part.requires_grad]
    losses, own = head.losses(structure(cut), targets)
    loss = head.whole(losses)
    found: Sequence[Tensor | None]
    if head.gradients == "routing":
        found = torch.autograd.grad(head.weighted(own).sum(), leaves, retain_graph=True, allow_unused=True)
    else:
        found = _without_conflicts(head.weighted(losses), leaves)
    for part, gradient in zip(given, found, strict=True):
        if gradient is not None:
            product = (part * gradient.to(part.dtype)).sum()
            loss = loss + product - product.detach()  # adds 0, and the gradient
    return loss


def _leaf(part: Tensor) -> Tensor:
    return part.detach().requires_grad_() if part.requires_grad else part


def _without_conflicts(losses: Tensor, leaves: list[Tensor]) -> list[Tensor | None]:
    """The sum of the gradients of the branches, each without what points against another one."""
    each = torch.autograd.grad(
        losses,
        leaves,
        torch.eye(len(losses), dtype=losses.dtype, device=losses.device),
        retain_graph=True,
        allow_unused=True,
        is_grads_batched=True,
    )  # (G, ...) of each leaf
    rows = torch.cat([part.flatten(1).float() for part in each if part is not None], 1)  # (G, numbers)
    total = pcgrad(rows, torch.randperm(len(rows))).sum(0)
    found: list[Tensor | None] = []
    for leaf, part in zip(leaves, each, strict=True):
        if part is None:
            found.append(None)
            continue
        own, total = total[: leaf.numel()], total[leaf.numel() :]
        found.append(own.view_as(leaf))
    return found


def pcgrad(gradients: Tensor, order: Tensor) -> Tensor:
    """Take out of each gradient what points against another one: (G, numbers) -> (G, numbers).

    Args:
        gradients: one row for each task.
        order: (G,) int64, the order in which the others are looked at; the paper draws one for each task.
    """
    found = gradients.clone()
    squares = gradients.pow(2).sum(1)
    for other in order.tolist():
        # (G,); 0 or more for the task itself, until others change it. Autocast would multiply matrices in 16 bits.
        against = (found * gradients[other]).sum(1).clamp(max=0)
        against[other] = 0
        found = found - torch.outer(
            against / squares[other].clamp(min=torch.finfo(squares.dtype).tiny), gradients[other]
        )
    return found
