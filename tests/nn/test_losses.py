"""Focal, asymmetric and ZLPR against their equations, worked out by hand, and at the ends of their range."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.labels import Taxonomy
from taxotext.nn.losses import AsymmetricLoss, BinaryCrossEntropy, FocalLoss, MaxConstraintLoss, ZlprLoss

LOGITS = [[0.0, 2.0, -1.0], [1.0, -3.0, 0.5]]
TARGETS = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def p(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def value(loss: torch.nn.Module, weights: torch.Tensor | None = None) -> float:
    return float(loss(torch.tensor(LOGITS), torch.tensor(TARGETS), weights))


def by_cells(cell: object) -> list[float]:
    return [
        sum(cell(x, t) for x, t in zip(xs, ts, strict=True))  # type: ignore[operator]
        for xs, ts in zip(LOGITS, TARGETS, strict=True)
    ]


def test_focal_loss_is_its_equation() -> None:
    def cell(x: float, t: float) -> float:
        right = p(x) if t else 1 - p(x)
        return -(0.25 if t else 0.75) * (1 - right) ** 2 * math.log(right)

    assert value(FocalLoss(2.0, 0.25)) == pytest.approx(sum(by_cells(cell)) / 2, rel=1e-5)
    # One cell by hand: p = 0.5, gold, gamma 2: 0.25 * ln 2.
    one = FocalLoss(2.0)(torch.zeros(1, 1), torch.ones(1, 1))
    assert float(one) == pytest.approx(0.25 * math.log(2))


def test_focal_loss_without_focus_is_binary_cross_entropy() -> None:
    assert value(FocalLoss(0.0)) == pytest.approx(value(BinaryCrossEntropy()), rel=1e-6)
    assert value(FocalLoss(0.0, scale="mean")) == pytest.approx(value(BinaryCrossEntropy(scale="mean")), rel=1e-6)


def test_asymmetric_loss_is_its_equation() -> None:
    def cell(x: float, t: float) -> float:
        if t:
            return -((1 - p(x)) ** 1.0) * math.log(p(x))
        shifted = max(p(x) - 0.1, 0.0)
        return -(shifted**3.0) * math.log(1 - shifted)

    assert value(AsymmetricLoss(1.0, 3.0, 0.1)) == pytest.approx(sum(by_cells(cell)) / 2, rel=1e-5)
    # One cell by hand: not gold, p = 0.5, margin 0.1: 0.4^4 * -ln 0.6.
    one = AsymmetricLoss(0.0, 4.0, 0.1)(torch.zeros(1, 1), torch.zeros(1, 1))
    assert float(one) == pytest.approx(-(0.4**4) * math.log(0.6), rel=1e-5)


def test_asymmetric_loss_with_neither_focus_nor_margin_is_binary_cross_entropy() -> None:
    assert value(AsymmetricLoss(0.0, 0.0, 0.0)) == pytest.approx(value(BinaryCrossEntropy()), rel=1e-6)


def test_negatives_below_the_margin_do_not_count() -> None:
    logits = torch.tensor([[-4.0, -3.0]], requires_grad=True)  # p = 0.018, 0.047
    loss = AsymmetricLoss(0.0, 0.5, 0.05)(logits, torch.zeros(1, 2))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0, 0.0]]


def test_zlpr_is_its_equation() -> None:
    rows = []
    for xs, ts in zip(LOGITS, TARGETS, strict=True):
        negative = 1 + sum(math.exp(x) for x, t in zip(xs, ts, strict=True) if not t)
        positive = 1 + sum(math.exp(-x) for x, t in zip(xs, ts, strict=True) if t)
        rows.append(math.log(negative) + math.log(positive))
    assert value(ZlprLoss()) == pytest.approx(sum(rows) / 2, rel=1e-6)
    # All logits 0, one of three labels gold: ln 3 + ln 2.
    one = ZlprLoss()(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]]))
    assert float(one) == pytest.approx(math.log(3) + math.log(2))


def test_zlpr_of_documents_with_no_label_and_with_all() -> None:
    logits = torch.tensor([[1.0, -2.0]])
    none = ZlprLoss()(logits, torch.zeros(1, 2))
    every = ZlprLoss()(logits, torch.ones(1, 2))
    assert float(none) == pytest.approx(math.log(1 + math.e + math.exp(-2)))
    assert float(every) == pytest.approx(math.log(1 + math.exp(-1) + math.exp(2)))


def test_zlpr_draws_positives_above_zero_and_negatives_below() -> None:
    logits = torch.zeros(1, 4, requires_grad=True)
    targets = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    optimizer = torch.optim.SGD([logits], lr=1.0)
    for _ in range(200):
        optimizer.zero_grad()
        ZlprLoss()(logits, targets).backward()
        optimizer.step()
    assert ((torch.sigmoid(logits) > 0.5) == (targets > 0)).all()
    assert (logits.detach().abs() > 3).all()


# -- max-constraint ------------------------------------------------------------------------------------------------

DAG = Taxonomy.from_edges([(None, "a"), (None, "b"), ("a", "c"), ("b", "c"), ("c", "d"), ("b", "e")])


def max_constraint(taxonomy: Taxonomy) -> MaxConstraintLoss:
    closure = taxonomy.closure.tocoo()
    return MaxConstraintLoss(torch.tensor(closure.col).long(), torch.tensor(closure.row).long())


def test_a_label_scores_what_the_best_label_below_it_does() -> None:
    chain = Taxonomy.from_edges([(None, "A"), ("A", "B"), ("B", "C")])
    scores = max_constraint(chain).highest(torch.tensor([[0.3, 0.6, 0.2]]))
    assert scores.tolist() == [[pytest.approx(0.6), pytest.approx(0.6), pytest.approx(0.2)]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-6, 6, width=32), min_size=5, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_the_max_constraint_loss_is_its_definition_on_a_dag(values: list[float], given_gold: list[bool]) -> None:
    below = {
        label: {other for other in range(5) if other == label or label in DAG.ancestors(other)} for label in range(5)
    }
    gold = [any(given_gold[other] for other in below[label]) for label in range(5)]  # closed
    expected = 0.0
    for label in range(5):
        if gold[label]:
            expected -= math.log(max(p(values[other]) for other in below[label] if gold[other]))
        else:
            expected -= math.log(1 - max(p(values[other]) for other in below[label]))
    logits = torch.tensor([values], requires_grad=True)
    loss = max_constraint(DAG)(logits, torch.tensor([given_gold], dtype=torch.float32))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    loss.backward()
    assert torch.isfinite(logits.grad).all()  # type: ignore[arg-type]


def test_without_edges_the_max_constraint_loss_is_binary_cross_entropy() -> None:
    loss = max_constraint(Taxonomy.flat(["a", "b", "c"]))
    assert value(loss) == pytest.approx(value(BinaryCrossEntropy()))
    weights = torch.tensor([0.5, 0.0])
    assert value(loss, weights) == pytest.approx(value(BinaryCrossEntropy(), weights))


LOSSES = {
    "focal": FocalLoss(2.0, 0.25),
    "focal, gamma 0.5": FocalLoss(0.5),
    "asymmetric": AsymmetricLoss(),
    "asymmetric, gamma 0.5": AsymmetricLoss(0.5, 0.5, 0.05),
    "asymmetric, no margin": AsymmetricLoss(0.5, 0.5, 0.0),
    "zlpr": ZlprLoss(),
}


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-300, 300, width=32), min_size=4, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4)
)
def test_losses_and_gradients_are_finite_everywhere(name: str, values: list[float], gold: list[bool]) -> None:
    logits = torch.tensor(values, requires_grad=True)
    targets = torch.tensor(gold, dtype=torch.float32)
    loss = LOSSES[name](logits.reshape(2, 2), targets.reshape(2, 2))
    loss.backward()
    assert torch.isfinite(loss)
    assert float(loss.detach()) >= 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    # No gradient points the wrong way.
    assert (logits.grad[targets > 0] <= 0).all()
    assert (logits.grad[targets == 0] >= -1e-6).all()


@pytest.mark.parametrize("name", LOSSES)
def test_documents_are_weighed_and_the_loss_is_float32(name: str) -> None:
    loss = LOSSES[name]
    logits, targets = torch.tensor(LOGITS), torch.tensor(TARGETS)
    rows = [float(loss(logits[row : row + 1], targets[row : row + 1])) for row in range(2)]
    weighted = loss(logits, targets, torch.tensor([1.0, 3.0]))
    assert float(weighted) == pytest.approx((rows[0] + 3 * rows[1]) / 4, rel=1e-5)
    assert float(loss(logits, targets, torch.zeros(2))) == 0.0
    assert loss(logits.bfloat16(), targets).dtype == torch.float32
    assert dict(loss.state_dict()) == {}
