"""Pooling, windows, losses, regulariser and head against loops and hand-computed values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from taxotext.nn.batch import TokenBatch
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import LinearHead, LogitHead
from taxotext.nn.losses import BinaryCrossEntropy, recursive_regularisation
from taxotext.nn.network import TextClassifier
from taxotext.nn.pooling import join_windows, masked_max, masked_mean
from taxotext.nn.structure import NoStructure


def tokens_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(4, 5, 3, generator=generator) - 2.0  # mostly negative: zeros of padding would win a maximum
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 1, 0, 1]], dtype=torch.bool)
    return tokens, mask


def test_pooling_leaves_padding_out() -> None:
    tokens, mask = tokens_and_mask()
    mean, most = masked_mean(tokens, mask), masked_max(tokens, mask)
    assert mean.shape == most.shape == (4, 3)
    for row in range(4):
        for column in range(3):
            real = [float(tokens[row, t, column]) for t in range(5) if mask[row, t]]
            assert float(mean[row, column]) == pytest.approx(sum(real) / len(real), abs=1e-6)
            assert float(most[row, column]) == max(real)


def test_what_stands_in_padding_does_not_matter() -> None:
    tokens, mask = tokens_and_mask()
    changed = tokens.masked_fill(~mask.unsqueeze(-1), 1e6)
    assert torch.equal(
        masked_mean(tokens.masked_fill(~mask.unsqueeze(-1), 0), mask), masked_mean(changed * mask.unsqueeze(-1), mask)
    )
    assert torch.equal(masked_max(tokens, mask), masked_max(changed, mask))


def test_the_mean_of_no_token_is_zero() -> None:
    assert masked_mean(torch.ones(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("how", ["max", "mean"])
def test_windows_join_into_their_documents_as_a_loop_does(how: str) -> None:
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(1)) - 3.0
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 3])
    joined = join_windows(logits, owner, 4, how)
    reduce = {"max": lambda rows: rows.max(0).values, "mean": lambda rows: rows.mean(0)}[how]
    for document in range(4):
        expected = reduce(logits[owner == document])
        torch.testing.assert_close(joined[document], expected)


def test_joining_passes_gradients_to_the_winning_window_only() -> None:
    logits = torch.tensor([[1.0], [3.0], [2.0]], requires_grad=True)
    join_windows(logits, torch.tensor([0, 0, 1]), 2, "max").sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0], [1.0], [1.0]]


class _FirstIds(torch.nn.Module):
    """An encoder whose pooled vector is the first two ids of a window."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> TextFeatures:
        return TextFeatures(ids.unsqueeze(-1).float(), mask, ids[:, :2].float())


class _Pooled(LogitHead):
    def logits(self, features: TextFeatures) -> torch.Tensor:
        return features.joined(features.pooled, self.join)


def test_the_network_gives_one_row_for_each_document() -> None:
    network = TextClassifier(_FirstIds(), NoStructure(), _Pooled())
    ids = torch.tensor([[1, 9], [5, 2], [3, 3]])
    mask = torch.ones(3, 2, dtype=torch.bool)
    joined = network.scores(TokenBatch(ids, mask, torch.tensor([0, 0, 1]), 2)).values
    assert torch.equal(joined, torch.sigmoid(torch.tensor([[5.0, 9.0], [3.0, 3.0]])))
    alone = network.scores(TokenBatch(ids, mask, torch.tensor([0, 1, 2]), 3)).values
    assert torch.equal(alone, torch.sigmoid(ids.float()))


# -- losses ------------------------------------------------------------------------------------------------------

LOGITS = [[0.0, 2.0, -1.0], [1.0, -3.0, 0.5]]
TARGETS = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def cell(logit: float, target: float, weight: float = 1.0) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -(weight * target * math.log(p) + (1 - target) * math.log(1 - p))


def by_hand(positive: tuple[float, ...] = (1, 1, 1)) -> list[list[float]]:
    return [
        [cell(x, t, w) for x, t, w in zip(*rows, positive, strict=True)] for rows in zip(LOGITS, TARGETS, strict=True)
    ]


def test_the_loss_is_the_sum_over_labels_and_the_mean_over_documents() -> None:
    loss = BinaryCrossEntropy()(torch.tensor(LOGITS), torch.tensor(TARGETS))
    assert float(loss) == pytest.approx(sum(map(sum, by_hand())) / 2, rel=1e-6)


def test_the_mean_scale_divides_by_the_number_of_labels() -> None:
    logits, targets = torch.tensor(LOGITS), torch.tensor(TARGETS)
    mean = BinaryCrossEntropy(scale="mean")(logits, targets)
    assert float(mean) == pytest.approx(float(BinaryCrossEntropy()(logits, targets)) / 3, rel=1e-6)
    torch.testing.assert_close(mean, functional.binary_cross_entropy_with_logits(logits, targets))


def test_weights_of_positives_count_for_the_positive_term_of_their_label() -> None:
    loss = BinaryCrossEntropy(torch.tensor([3.0, 5.0, 0.5]))(torch.tensor(LOGITS), torch.tensor(TARGETS))
    assert float(loss) == pytest.approx(sum(map(sum, by_hand((3.0, 5.0, 0.5)))) / 2, rel=1e-6)


def test_weights_of_documents_make_a_weighted_mean() -> None:
    loss = BinaryCrossEntropy()
    rows = [sum(row) for row in by_hand()]
    logits, targets = torch.tensor(LOGITS), torch.tensor(TARGETS)
    weighted = loss(logits, targets, torch.tensor([1.0, 3.0]))
    assert float(weighted) == pytest.approx((rows[0] + 3 * rows[1]) / 4, rel=1e-6)
    assert float(loss(logits, targets, torch.tensor([0.0, 2.0]))) == pytest.approx(rows[1], rel=1e-6)


def test_a_batch_of_weight_zero_has_no_loss_and_no_gradient() -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    loss = BinaryCrossEntropy()(logits, torch.tensor(TARGETS), torch.zeros(2))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_loss_stays_finite_and_exact_for_large_logits() -> None:
    loss = BinaryCrossEntropy()(torch.tensor([[200.0, -200.0]]), torch.tensor([[0.0, 0.0]]))
    assert float(loss) == pytest.approx(200.0)


def test_the_loss_is_float32_whatever_the_logits_are() -> None:
    loss = BinaryCrossEntropy()(torch.tensor(LOGITS, dtype=torch.bfloat16), torch.tensor(TARGETS))
    assert loss.dtype == torch.float32


def test_weights_of_positives_are_part_of_the_state_where_there_are_any() -> None:
    assert list(BinaryCrossEntropy(torch.ones(3)).state_dict()) == ["positive_weight"]
    assert dict(BinaryCrossEntropy().state_dict()) == {}


def test_recursive_regularisation_is_half_the_squared_distance_along_each_edge() -> None:
    rows = torch.tensor([[1.0, 2.0], [1.0, 0.0], [-1.0, 2.0]], requires_grad=True)
    edges = torch.tensor([[0, 0], [1, 2]])
    penalty = recursive_regularisation(rows, edges)
    assert float(penalty.detach()) == 0.5 * (4.0 + 4.0)
    penalty.backward()
    assert rows.grad is not None
    assert rows.grad.tolist() == [[2.0, 2.0], [0.0, -2.0], [-2.0, 0.0]]
    # The printed formula of squares would call opposite weights equal.
    opposite = torch.tensor([[1.0], [-1.0]])
    assert float(recursive_regularisation(opposite, torch.tensor([[0], [1]]))) == 2.0


# -- head --------------------------------------------------------------------------------------------------------


def test_the_head_is_one_affine_map_with_the_given_biases() -> None:
    head = LinearHead(3, 2, dropout=0.0, bias=torch.tensor([0.5, -1.0]))
    pooled = torch.tensor([[1.0, 2.0, 3.0]])
    features = TextFeatures(pooled.unsqueeze(1), torch.ones(1, 1, dtype=torch.bool), pooled)
    expected = pooled @ head.output.weight.T + torch.tensor([0.5, -1.0])
    torch.testing.assert_close(head.logits(features), expected)
    assert head.output.weight.shape == (2, 3)
    assert not LinearHead(3, 2).output.bias.any()


def test_dropout_of_the_head_acts_in_training_only() -> None:
    head = LinearHead(50, 4, dropout=0.5)
    pooled = torch.ones(1, 50)
    features = TextFeatures(pooled.unsqueeze(1), torch.ones(1, 1, dtype=torch.bool), pooled)
    torch.manual_seed(0)
    assert not torch.equal(head.logits(features), head.logits(features))
    head.eval()
    assert torch.equal(head.logits(features), head.logits(features))


def test_balanced_weights_of_positives_are_the_root_of_negatives_over_positives_in_bounds() -> None:
    from taxotext.composition.parts import positive_weights
    from taxotext.labels import Taxonomy

    taxonomy = Taxonomy.flat(["a", "b", "c", "d"])
    counts = np.array([20, 50, 1, 0])
    weights = positive_weights("balanced", taxonomy, counts, 1000)
    assert weights is not None
    np.testing.assert_allclose(weights, [7.0, math.sqrt(19), 10.0, 10.0], rtol=1e-6)
    common = positive_weights("balanced", taxonomy, np.array([900, 500, 999, 1000]), 1000)
    assert common is not None
    assert common.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert positive_weights(1.0, taxonomy, counts, 1000) is None
    two = positive_weights(2.0, taxonomy, counts, 1000)
    assert two is not None
    assert two.tolist() == [2.0] * 4
    rare = positive_weights("propensity", taxonomy, counts, 1000)
    assert rare is not None
    np.testing.assert_allclose(rare, 1 + (math.log(1000) - 1) * 2.5**0.55 * (counts + 1.5) ** -0.55, rtol=1e-6)
    named = positive_weights({"c": 3.0}, taxonomy, counts, 1000)
    assert named is not None
    assert named.tolist() == [1.0, 1.0, 3.0, 1.0]
