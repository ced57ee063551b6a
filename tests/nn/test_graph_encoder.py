"""The network over graphs of words: by loops, at the edges of the grid, and that padding changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from taxotext.composition.graph_words import LEAST, STAGES
from taxotext.nn.encoders.graphs import GraphCnn, Stage, field, places

WORDS, WIDTH, ROWS, COLUMNS = 30, 5, 40, 6


def encoder(layers: int = 3, rows: int = ROWS, columns: int = COLUMNS) -> GraphCnn:
    torch.manual_seed(0)
    table = nn.Embedding(WORDS, WIDTH, padding_idx=0)
    stages = [Stage(4 + number, *shape) for number, (_, *shape) in enumerate(STAGES[layers])]
    return GraphCnn(table, stages, rows, columns, (9, 7), 0.5).eval()


def batch(vertices: tuple[int, ...], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random graphs; the rows of some words are not full."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.zeros(len(vertices), width, dtype=torch.long)
    for row, count in enumerate(vertices):
        grid = torch.randint(1, WORDS, (count, COLUMNS), generator=generator)
        grid[:, min(count, COLUMNS) :] = 0
        ids[row, : count * COLUMNS] = grid.ravel()
    return ids, torch.arange(width) < COLUMNS * torch.tensor(vertices).unsqueeze(1)


@pytest.mark.parametrize("layers", [1, 3, 6])
def test_padding_changes_neither_vectors_nor_gradients(layers: int) -> None:
    network = encoder(layers)
    sizes = (1, 3, 17, 25)
    ids, mask = batch(sizes, 25 * COLUMNS)
    wide = functional.pad(ids, (0, 4))  # widths of batches are multiples of 8, not of a row
    wide[~functional.pad(mask, (0, 4))] = 7
    full, full_mask = functional.pad(ids, (0, 90)), functional.pad(mask, (0, 90))
    gradients = []
    narrow = network(ids, mask)
    for features in (narrow, network(wide, functional.pad(mask, (0, 4))), network(full, full_mask)):
        torch.testing.assert_close(features.pooled, narrow.pooled, atol=1e-6, rtol=1e-5)
        network.zero_grad()
        features.pooled.sum().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None])
    for other in gradients[1:]:
        for one, again in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(one, again, atol=1e-5, rtol=1e-4)
    for row, count in enumerate(sizes):
        alone = network(ids[row : row + 1, : count * COLUMNS], mask[row : row + 1, : count * COLUMNS])
        torch.testing.assert_close(alone.pooled[0], narrow.pooled[row], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_network_is_its_equations_by_loops(layers: int) -> None:
    network = encoder(layers, rows=24)
    ids, mask = batch((11, 24), 24 * COLUMNS)
    pooled = network(ids, mask).pooled
    with torch.no_grad():
        for row in range(2):
            grid = (ids[row] * mask[row]).reshape(24, COLUMNS)
            found, real = network.embedding(grid).permute(2, 0, 1), (grid != 0).float()  # (D, H, K)
            for stage, layer in zip(network.stages, network.convolutions, strict=True):
                found, real = convolved(found, real, layer, stage)
            vector = found.flatten()
            for linear in network.layers:
                vector = torch.relu(linear.weight @ vector + linear.bias)  # type: ignore[operator]
            torch.testing.assert_close(pooled[row], vector, atol=1e-6, rtol=1e-5)


def convolved(
    found: torch.Tensor, real: torch.Tensor, layer: nn.Module, stage: Stage
) -> tuple[torch.Tensor, torch.Tensor]:
    """One convolution, place by place; what sees no word is 0; then the maxima of whole groups."""
    (height, width), (down, across) = stage.kernel, stage.pool
    shape = found.shape[1] - height + 1, found.shape[2] - width + 1
    out, seen = torch.zeros(stage.filters, *shape), torch.zeros(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            if real[i : i + height, j : j + width].any():
                near = found[:, i : i + height, j : j + width]
                out[:, i, j] = torch.relu((layer.weight * near).sum((1, 2, 3)) + layer.bias)  # type: ignore[operator]
                seen[i, j] = 1
    rows, columns = shape[0] // down, shape[1] // across
    joined, left = torch.zeros(stage.filters, rows, columns), torch.zeros(rows, columns)
    for i in range(rows):
        for j in range(columns):
            joined[:, i, j] = out[:, i * down : (i + 1) * down, j * across : (j + 1) * across].amax((1, 2))
            left[i, j] = seen[i * down : (i + 1) * down, j * across : (j + 1) * across].max()
    return joined, left


def test_the_grid_of_the_paper_leaves_5120_numbers() -> None:
    stages = [Stage(*stage) for stage in STAGES[3]]
    assert 256 * places(96, stages, 0) * places(10, stages, 1) == 5120
    table = nn.Embedding(WORDS, 50, padding_idx=0)
    network = GraphCnn(table, stages, 96, 10, (1024, 512), 0.0)
    assert [layer.in_features for layer in network.layers] == [5120, 1024]
    features = network(torch.ones(2, 960, dtype=torch.long), torch.ones(2, 960, dtype=torch.bool))
    assert features.tokens.shape == (2, 20, network.token_width)
    assert features.mask.shape == (2, 20)
    assert features.pooled.shape == (2, network.width)


@pytest.mark.parametrize("layers", [1, 3, 6])
def test_places_that_see_no_word_are_zero_and_the_smallest_grids_are_known(layers: int) -> None:
    stages = [Stage(*stage) for stage in STAGES[layers]]
    least = [next(size for size in range(1, 99) if places(size, stages, axis) > 0) for axis in (0, 1)]
    assert LEAST[layers] == tuple(least)
    assert least == [field(stages, axis) for axis in (0, 1)]
    for smaller in ((least[0] - 1, 20), (99, least[1] - 1)):
        with pytest.raises(ValueError, match="is too small for"):
            encoder(layers, *smaller)
    ids, mask = batch((1, 90), 90 * COLUMNS)
    features = encoder(layers, rows=96)(ids, mask)
    assert features.mask[:, 0].all()
    assert not features.tokens[~features.mask].any()
    assert features.mask[0].sum() < features.mask[1].sum()
