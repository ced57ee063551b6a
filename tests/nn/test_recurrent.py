"""Both directions of a recurrent network behind padding, against each text for itself; and dropout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from taxotext.nn.dropout import Dropout
from taxotext.nn.encoders.recurrent import RecurrentWords
from taxotext.nn.recurrent import both_directions, turn_round

WINDOWS, LENGTH, WIDTH, HIDDEN = 5, 7, 4, 3


@pytest.fixture
def pair() -> tuple[nn.GRU, nn.GRU]:
    torch.manual_seed(3)
    return nn.GRU(WIDTH, HIDDEN, batch_first=True), nn.GRU(WIDTH, HIDDEN, batch_first=True)


def texts(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Vectors, zeros on padding, and their mask."""
    mask = torch.arange(LENGTH) < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), LENGTH, WIDTH) * mask.unsqueeze(-1), mask


def plainly(forwards: nn.GRU, backwards: nn.GRU, vectors: Tensor, mask: Tensor) -> Tensor:
    """Each text for itself, without padding."""
    rows = []
    for row, length in enumerate(mask.sum(1).tolist()):
        text = vectors[row : row + 1, :length]
        ahead, back = forwards(text)[0], backwards(text.flip(1))[0].flip(1)
        states = torch.cat([ahead, back], 2)
        rows.append(nn.functional.pad(states, (0, 0, 0, LENGTH - length)))
    return torch.cat(rows)


@pytest.mark.parametrize("lengths", [[7, 7, 7], [7, 1, 4, 2], [3, 3]])
def test_states_and_gradients_are_those_of_pytorch(pair: tuple[nn.GRU, nn.GRU], lengths: list[int]) -> None:
    vectors, mask = texts(lengths)
    vectors.requires_grad_()
    parameters = [vectors, *pair[0].parameters(), *pair[1].parameters()]
    weights = torch.randn(len(lengths), LENGTH, 2 * HIDDEN)
    expected, found = plainly(*pair, vectors, mask), both_directions(*pair, vectors, mask)
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), parameters),
        torch.autograd.grad((expected * weights).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_vectors_that_are_not_trained_need_no_gradient(pair: tuple[nn.GRU, nn.GRU]) -> None:
    vectors, mask = texts([7, 2])
    both_directions(*pair, vectors, mask).sum().backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is None
    assert all(parameter.grad is not None for network in pair for parameter in network.parameters())


@pytest.mark.parametrize("count", [1, 40])
def test_without_gradients_the_states_are_the_same(pair: tuple[nn.GRU, nn.GRU], count: int) -> None:
    vectors, mask = texts([1 + number % LENGTH for number in range(count)])
    with torch.inference_mode():
        found = both_directions(*pair, vectors, mask)
    torch.testing.assert_close(found, both_directions(*pair, vectors, mask))
    torch.testing.assert_close(found, plainly(*pair, vectors, mask))


def test_texts_are_turned_round_within_their_own_length() -> None:
    tokens = torch.arange(8.0).reshape(2, 4, 1)
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    turned = turn_round(tokens, mask)
    assert turned[..., 0].tolist() == [[2, 1, 0, 3], [4, 5, 6, 7]]
    assert torch.equal(turn_round(turned, mask), tokens)


@pytest.mark.parametrize("p", [0.1, 0.4, 0.5, 0.9])
def test_dropout_zeroes_the_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(1)
    values = torch.ones(300, 1001, requires_grad=True)
    found = Dropout(p)(values)
    found.sum().backward()
    assert found.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
    assert float((found == 0).float().mean()) == pytest.approx(p, abs=0.005)
    assert torch.equal(values.grad, found)  # type: ignore[arg-type]


def test_dropout_is_decided_by_the_seed_and_off_in_evaluation() -> None:
    values, dropout = torch.randn(3, 5), Dropout(0.5)

    def once(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return dropout(values)

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))
    assert torch.equal(dropout.eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)
    assert not Dropout(1.0)(values).any()


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(2)
    gone = (Dropout(0.5)(torch.ones(400_000)) == 0).float()
    for distance in (1, 2, 3, 4, 64):
        together = float((gone[:-distance] * gone[distance:]).mean())
        assert together == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_may_start_from_what_was_learned(cell: str) -> None:
    torch.manual_seed(5)
    make = nn.LSTM if cell == "lstm" else nn.GRU
    pair = make(WIDTH, HIDDEN, batch_first=True), make(WIDTH, HIDDEN, batch_first=True)
    start = torch.randn(2, 2 if cell == "lstm" else 1, HIDDEN, requires_grad=True)
    vectors, mask = texts([3, 7])
    found = both_directions(*pair, vectors, mask, start)
    for row, length in enumerate([3, 7]):
        text = vectors[row : row + 1, :length]
        first = [tuple(part.view(1, 1, -1) for part in states) for states in start]
        hidden = first if cell == "lstm" else [states[0] for states in first]
        ahead = pair[0](text, hidden[0])[0]
        back = pair[1](text.flip(1), hidden[1])[0].flip(1)
        torch.testing.assert_close(found[row, :length], torch.cat([ahead, back], 2)[0])
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert start.grad is not None
    assert bool((start.grad != 0).all())


def test_a_text_is_its_last_states_or_the_maximum_and_mean_of_all() -> None:
    torch.manual_seed(6)
    table = nn.Embedding(9, WIDTH, padding_idx=0)
    ids, mask = torch.tensor([[3, 4, 5], [6, 0, 0]]), torch.tensor([[True, True, True], [True, False, False]])
    last = RecurrentWords(table, "gru", HIDDEN, layers=2).eval()
    features = last(ids, mask)
    states = features.tokens
    torch.testing.assert_close(features.pooled[0], torch.cat([states[0, 2, :HIDDEN], states[0, 0, HIDDEN:]]))
    torch.testing.assert_close(features.pooled[1], states[1, 0])
    last.pooling = "max_mean"
    pooled = last(ids, mask).pooled
    torch.testing.assert_close(pooled[0], torch.cat([states[0].amax(0), states[0].mean(0)]))
    torch.testing.assert_close(pooled[1], torch.cat([states[1, 0], states[1, 0]]))
