"""Steps over a few rows against SparseAdam, against AdamW, and the norm of sparse gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nn.test_tree_head import LABELS, features, head, targets, three_levels
from taxotext.nn.node_scorers import NodeScorer, rows_of
from taxotext.training.optimiser import RowAdamW, clip_gradients

GOLD = ([0, 7, 31], [], [59], [12, 13])


def table(rows: int = 9, width: int = 4) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, width))


def sparse(rows: list[int], like: Tensor) -> Tensor:
    return torch.sparse_coo_tensor(torch.tensor([rows]), torch.randn(len(rows), *like.shape[1:]), like.shape)


@pytest.mark.parametrize("width", [4, None])
def test_steps_over_rows_are_those_of_sparse_adam(width: int | None) -> None:
    ours = nn.Parameter(torch.randn(9, 4) if width else torch.randn(9))
    theirs = nn.Parameter(ours.detach().clone())
    one = RowAdamW([ours], lr=0.1, weight_decay=0.0, fused=True)
    other = torch.optim.SparseAdam([theirs], lr=0.1)
    for rows in ([1, 5, 8], [5], [0, 1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 5]):
        ours.grad = sparse(rows, ours)
        theirs.grad = ours.grad.clone()
        one.step()
        other.step()
        torch.testing.assert_close(ours, theirs)


def test_a_gradient_of_every_row_gives_the_step_of_adamw() -> None:
    ours = table()
    theirs = nn.Parameter(ours.detach().clone())
    one = RowAdamW([ours], lr=0.1, weight_decay=0.3, fused=True)
    other = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.3, fused=True)
    for step in range(4):
        gradient = torch.randn_like(ours)
        ours.grad, theirs.grad = (gradient.to_sparse(1) if step != 2 else gradient), gradient.clone()
        one.step()
        other.step()
        torch.testing.assert_close(ours, theirs)


def test_rows_without_a_gradient_stay_as_they_are_and_the_state_goes_on_after_loading() -> None:
    ours = table()
    before = ours.detach().clone()
    one = RowAdamW([ours], lr=0.1, weight_decay=0.3, fused=True)
    ours.grad = sparse([2, 6], ours)
    one.step()
    moved = (ours != before).any(1)
    assert moved.nonzero().flatten().tolist() == [2, 6]
    again = copy.deepcopy(ours)
    other = RowAdamW([again], lr=0.1, weight_decay=0.3, fused=True)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    ours.grad = sparse([2, 3], ours)
    again.grad = ours.grad.clone()
    one.step()
    other.step()
    assert torch.equal(ours, again)


def test_sparse_and_dense_gradients_are_clipped_by_their_common_norm() -> None:
    first, second = table(), table()
    first.grad, second.grad = sparse([1, 4, 4], first), torch.randn_like(second)
    dense = [nn.Parameter(first.detach().clone()), nn.Parameter(second.detach().clone())]
    dense[0].grad, dense[1].grad = first.grad.to_dense(), second.grad.clone()
    clip_gradients([first, second, table()], 0.5)
    nn.utils.clip_grad_norm_(dense, 0.5)
    assert first.grad.is_sparse
    torch.testing.assert_close(first.grad.to_dense(), dense[0].grad)
    torch.testing.assert_close(second.grad, dense[1].grad)


def test_rows_of_a_table_have_a_gradient_of_these_rows() -> None:
    own, rows = table(), torch.tensor([1, 4])
    weights = torch.randn(2, 4)
    (rows_of(own, rows, sparse=True) * weights).sum().backward()
    assert own.grad is not None
    assert own.grad.is_sparse
    expected = torch.zeros(9, 4).index_copy(0, rows, weights)
    torch.testing.assert_close(own.grad.to_dense(), expected)


@pytest.mark.parametrize("kind", ["attention", "dot"])
def test_sparse_gradients_of_a_label_tree_are_the_dense_ones(kind: str) -> None:
    one = head(three_levels(), kind, beam=2)
    other: Any = copy.deepcopy(one)
    for scorer in other.scorers:
        assert isinstance(scorer, NodeScorer)
        scorer.sparse = True
    text, gold = features(4), targets(GOLD)
    for own in (one, other):
        own.loss(text, gold).backward()
    found = {name: parameter.grad for name, parameter in other.named_parameters()}
    for name, parameter in one.named_parameters():
        gradient, expected = found[name], parameter.grad
        assert gradient is not None
        assert expected is not None
        table_of_candidates = name.split(".")[1] != "0" and "layers" not in name and "bottleneck" not in name
        assert gradient.is_sparse == table_of_candidates, name
        torch.testing.assert_close(gradient.to_dense() if gradient.is_sparse else gradient, expected)
    labels = found["scorers.3.bias"]
    assert labels is not None
    assert len(labels.coalesce().indices()[0]) < LABELS
