"""What the text encoder learns from branches: compared with one backward pass for each of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nn.test_label_heads import CLOSE, TAXONOMY, branches_head, targets_of
from taxotext.nn.features import TextFeatures
from taxotext.nn.steering import pcgrad, steered_loss


def gradients(kind: str, weights: str = "equal") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Of the encoder (a linear layer) and the head, steered; and what a loop over branches needs."""
    torch.manual_seed(4)
    head, graph = branches_head("projection", gradients=kind, weights=weights)
    encoder, rows = nn.Linear(3, 5), torch.randn(6, 3)
    gold = torch.zeros(6, 7)
    gold[0, TAXONOMY.index("animals")] = gold[1, TAXONOMY.index("food")] = gold[2, TAXONOMY.index("fish")] = 1
    gold[4, TAXONOMY.index("animals")] = 1
    targets = targets_of(gold, torch.tensor([1.0, 1.0, 2.0, 1.0, 0.0, 1.0]))
    if head.log_variance is not None:
        with torch.no_grad():
            head.log_variance.copy_(torch.tensor([0.5, -0.3]))

    def text() -> TextFeatures:
        pooled = encoder(rows)
        return TextFeatures(pooled.unsqueeze(1), torch.ones(6, 1, dtype=torch.bool), pooled)

    torch.manual_seed(9)
    loss = steered_loss(text(), nn.Identity(), head, targets)
    loss.backward()
    torch.testing.assert_close(loss, head.loss(text(), targets))
    found = {"encoder": encoder.weight.grad.clone(), "head": head.inner.output.weight.grad.clone()}
    if head.log_variance is not None:
        found["weights"] = head.log_variance.grad.clone()
    for module in (encoder, head):
        module.zero_grad()
    return found, {"head": head, "encoder": encoder, "text": text, "targets": targets, "graph": graph}


@pytest.mark.parametrize("weights", ["equal", "learned"])
def test_routing_keeps_documents_without_a_label_of_a_branch_from_the_encoder(weights: str) -> None:
    found, given = gradients("routing", weights)
    head, targets = given["head"], given["targets"]
    gold, scale = targets.dense(), 1 if head.log_variance is None else torch.exp(-head.log_variance.detach())
    expected = torch.zeros_like(given["encoder"].weight)
    for branch in range(2):
        of_branch = head.branch == branch
        mine = gold[:, head.labels[of_branch]].sum(1) > 0
        given["encoder"].zero_grad()
        logits = head.logits(given["text"]())[:, of_branch]
        cells = nn.functional.binary_cross_entropy_with_logits(
            logits, gold[:, head.labels[of_branch]], reduction="none"
        )
        documents = (cells * head.cell[of_branch]).sum(1) * mine * targets.weights
        (documents.sum() / targets.weights.sum()).backward()
        expected += given["encoder"].weight.grad * (1 if weights == "equal" else scale[branch])
    torch.testing.assert_close(found["encoder"], expected, **CLOSE)
    head.zero_grad()
    head.loss(given["text"](), targets).backward()  # heads learn from all documents
    torch.testing.assert_close(found["head"], head.inner.output.weight.grad, **CLOSE)
    if weights == "learned":
        torch.testing.assert_close(found["weights"], head.log_variance.grad, **CLOSE)


def test_surgery_is_that_of_a_loop_over_branches() -> None:
    found, given = gradients("surgery")
    head, encoder = given["head"], given["encoder"]
    rows = []
    for branch in range(2):
        text = given["text"]()
        losses, _ = head.losses(text, given["targets"])
        rows.append(torch.autograd.grad(losses[branch], text.pooled)[0])
    first, second = (row.flatten() for row in rows)
    overlap = torch.dot(first, second)
    if overlap < 0:
        first, second = first - overlap / second.dot(second) * second, second - overlap / first.dot(first) * first
    encoder.zero_grad()
    given["text"]().pooled.backward((first + second).view(6, 5))
    torch.testing.assert_close(found["encoder"], encoder.weight.grad, **CLOSE)


def test_gradients_that_point_against_each_other_lose_that_part() -> None:
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, 2.0]])
    found = pcgrad(rows, torch.tensor([0, 1, 2]))
    # The first loses its half along (-1, 1); the second loses all along (1, 0); the third agrees with both.
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.5], [0.0, 1.0], [0.0, 2.0]]))
    agreeing = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert torch.equal(pcgrad(agreeing, torch.tensor([1, 0])), agreeing)
    assert torch.equal(pcgrad(torch.zeros(2, 3), torch.tensor([0, 1])), torch.zeros(2, 3))
