"""Encoders over words: what they compute, by hand and by loops, and that padding changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from taxotext.nn.encoders.rcnn import TextRcnn
from taxotext.nn.encoders.words import GruAttention, KimCnn, RowNorm, TextCnn, XmlCnn
from taxotext.nn.pooling import AttentionPooling

WORDS, WIDTH = 20, 6


def table() -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(WORDS, WIDTH, padding_idx=0)


MAKE: dict[str, Callable[[], nn.Module]] = {
    "textcnn": lambda: TextCnn(table(), 8, 3, 2, 5),
    "textcnn, pool 3": lambda: TextCnn(table(), 8, 5, 3, 5),
    "kim_cnn": lambda: KimCnn(table(), (2, 3, 4), 4),
    "xml_cnn": lambda: XmlCnn(table(), (2, 4, 8), 4, 3, 5, 0.2),
    "gru_att": lambda: GruAttention(table(), 7, 0.4),
    "rcnn": lambda: TextRcnn(table(), 5, (2, 3, 4), 4, 1, 0.5, 0.1),
    "rcnn, two of each filter": lambda: TextRcnn(table(), 5, (1, 5), 4, 2, 0.5, 0.1),
}


def batch(lengths: tuple[int, ...], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.zeros(len(lengths), width, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(1, WORDS, (length,), generator=generator)
    return ids, torch.arange(width) < torch.tensor(lengths).unsqueeze(1)


@pytest.mark.parametrize("name", MAKE)
def test_padding_changes_neither_vectors_nor_gradients(name: str) -> None:
    encoder = MAKE[name]().eval()
    ids, mask = batch((1, 2, 5, 9), 9)
    wide = functional.pad(ids, (0, 14))
    wide[:, 9:] = 7  # whatever stands there
    wide_mask = functional.pad(mask, (0, 14))
    narrow, padded = encoder(ids, mask), encoder(wide, wide_mask)
    torch.testing.assert_close(padded.pooled, narrow.pooled, atol=1e-6, rtol=1e-5)
    for row in range(4):  # alone, without any padding
        length = int(mask[row].sum())
        alone = encoder(ids[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone.pooled[0], narrow.pooled[row], atol=1e-6, rtol=1e-5)
    gradients = []
    for features in (narrow, padded):
        encoder.zero_grad()
        features.pooled.sum().backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters() if parameter.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", MAKE)
def test_the_widths_are_those_of_the_features(name: str) -> None:
    encoder = MAKE[name]()
    ids, mask = batch((3, 8, 5), 8)
    features = encoder(ids, mask)
    assert features.pooled.shape == (3, encoder.width)
    assert features.tokens.shape[2] == encoder.token_width
    assert features.mask.shape == features.tokens.shape[:2]
    assert features.mask.dtype == torch.bool
    assert not features.tokens[~features.mask].any(), "padding is not zero"


def test_kim_cnn_takes_the_maximum_over_all_places_that_see_a_word() -> None:
    encoder = KimCnn(table(), (2, 4), 3).eval()
    ids, mask = batch((1, 3), 3)
    pooled = encoder(ids, mask).pooled
    with torch.no_grad():
        for row, length in enumerate((1, 3)):
            words = encoder.embedding(ids[row, :length])  # (n, D)
            expected = []
            for kernel, convolution in zip((2, 4), encoder.convolutions, strict=True):
                around = torch.zeros(kernel - 1, WIDTH)
                line = torch.cat([around, words, around])
                places = [
                    torch.relu((convolution.weight * line[at : at + kernel].T).sum((1, 2)) + convolution.bias)
                    for at in range(length + kernel - 1)
                ]
                expected.append(torch.stack(places).amax(0))
            torch.testing.assert_close(pooled[row], torch.cat(expected))


def test_textcnn_is_two_convolutions_with_maxima_by_hand() -> None:
    encoder = TextCnn(table(), 4, 3, 2, 5).eval()
    ids, mask = batch((5,), 5)
    with torch.no_grad():
        words = encoder.embedding(ids[0])

        def convolved(rows: torch.Tensor, layer: nn.Module) -> torch.Tensor:
            line = functional.pad(rows, (0, 0, 1, 1))
            places = [
                (layer.weight * line[at : at + 3].T).sum((1, 2)) + layer.bias  # type: ignore[operator]
                for at in range(len(rows))
            ]
            return torch.relu(torch.stack(places))

        first = convolved(words, encoder.first)
        joined = torch.stack([first[0:2].amax(0), first[2:4].amax(0), first[4]])
        most = convolved(joined, encoder.second).amax(0)
        expected = torch.relu(encoder.norm(encoder.hidden(most).unsqueeze(0)))
        torch.testing.assert_close(encoder(ids, mask).pooled, expected)


def test_an_even_filter_has_no_middle() -> None:
    with pytest.raises(ValueError, match="kernel is 4"):
        TextCnn(table(), 4, 4, 2, 5)


def test_the_gru_reads_both_ways_as_packed_sequences_do() -> None:
    encoder = GruAttention(table(), 7, 0.0).eval()
    both = nn.GRU(WIDTH, 7, batch_first=True, bidirectional=True)
    state = {f"{name}": value for name, value in encoder.forwards.state_dict().items()}
    state |= {f"{name}_reverse": value for name, value in encoder.backwards.state_dict().items()}
    both.load_state_dict(state)
    ids, mask = batch((4, 9, 1, 6), 9)
    packed = nn.utils.rnn.pack_padded_sequence(
        encoder.embedding(ids), mask.sum(1), batch_first=True, enforce_sorted=False
    )
    expected = nn.utils.rnn.pad_packed_sequence(both(packed)[0], batch_first=True, total_length=9)[0]
    features = encoder(ids, mask)
    torch.testing.assert_close(features.tokens, expected, atol=1e-6, rtol=1e-5)
    for row, length in enumerate((4, 9, 1, 6)):  # R = [attention; maximum; mean]
        states = expected[row, :length]
        keys = torch.tanh(encoder.attention.projection(states))
        weights = torch.softmax(keys @ encoder.attention.context, 0)
        whole = torch.cat([weights @ states, states.amax(0), states.mean(0)])
        torch.testing.assert_close(features.pooled[row], whole, atol=1e-6, rtol=1e-5)


def test_attention_weights_add_up_to_one_over_the_words() -> None:
    attention = AttentionPooling(4)
    tokens = torch.randn(3, 5, 4)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
    weights = attention.weights(tokens, mask)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert not weights[~mask].any()


def test_one_row_is_normalised_by_the_running_statistics() -> None:
    norm = RowNorm(3)
    norm(torch.randn(8, 3))
    mean = norm.running_mean.clone()  # type: ignore[union-attr]
    row = torch.randn(1, 3)
    trained = norm(row)
    assert torch.equal(norm.running_mean, mean)  # type: ignore[arg-type]
    torch.testing.assert_close(trained, norm.eval()(row))


def test_the_filters_of_rcnn_begin_half_their_width_before_the_text() -> None:
    encoder = MAKE["rcnn"]().eval()
    ids, mask = batch((6, 3), 6)
    features = encoder(ids, mask)
    for row, length in enumerate((6, 3)):
        states = features.tokens[row, :length].T  # (2H, n)
        expected = []
        for kernel, convolution in zip((2, 3, 4), encoder.convolutions, strict=True):
            wide = functional.pad(states, (kernel // 2, kernel // 2))
            places = range(wide.shape[1] - kernel + 1)
            found = [(convolution.weight * wide[:, place : place + kernel]).sum((1, 2)) for place in places]
            expected.append((torch.stack(found) + convolution.bias).relu().amax(0))
        torch.testing.assert_close(features.pooled[row], torch.cat(expected), atol=1e-6, rtol=1e-5)
    gru = GruAttention(table(), 5, 0.0).eval()
    gru.forwards, gru.backwards = encoder.forwards, encoder.backwards
    torch.testing.assert_close(features.tokens, gru(ids, mask).tokens)


def test_xml_cnn_takes_the_maximum_of_each_part_of_the_text() -> None:
    encoder = XmlCnn(table(), (2, 3), 4, 3, 5, 0.2).eval()
    ids, mask = batch((1, 2, 5, 9), 9)
    found = encoder(ids, mask)
    for row, length in enumerate((1, 2, 5, 9)):
        maxima = []
        for kernel, convolution in zip((2, 3), encoder.convolutions, strict=True):
            vectors = encoder.embedding(ids[row, :length]).T.unsqueeze(0)
            places = functional.relu(convolution(vectors))[0]  # (F, length + kernel - 1)
            assert places.shape[1] == length + kernel - 1
            maxima.append(functional.adaptive_max_pool1d(places, 3).T.flatten())
        expected = functional.relu(encoder.hidden(torch.cat(maxima)))
        torch.testing.assert_close(found.pooled[row], expected)
    assert found.tokens.shape == (4, 9, 8)
