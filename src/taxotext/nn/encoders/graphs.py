"""A convolutional network over graphs of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from taxotext.nn.features import TextFeatures


@dataclass(frozen=True)
class Stage:
    """A convolution and the pooling behind it; both in (rows, columns), neither looks beyond the edge of the grid."""

    filters: int  # of the convolution
    kernel: tuple[int, int]  # places that a filter sees
    pool: tuple[int, int] = (1, 1)  # places that the pooling joins


class GraphCnn(nn.Module):
    """Convolutions over the rows that :func:`taxotext.data.graphs.graph_windows` makes of a window.

    What stands for padding is zero in front of each convolution and behind it: a place counts when its filter sees a
    word. The scores of a text do not depend on the longest graph of its batch.

    Args:
        embedding: V x D; one row is padding and holds zeros.
        stages: one or more.
        vertices: R, rows of the grid.
        neighbours: K, columns of the grid.
        hidden: widths of the feed-forward layers behind the convolutions, one or more.
        dropout: on what goes into each feed-forward layer, in training.

    Raises:
        ValueError: the grid is too small for the stages.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        stages: Sequence[Stage],
        vertices: int,
        neighbours: int,
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.stages = tuple(stages)
        inputs = (embedding.embedding_dim, *(stage.filters for stage in self.stages[:-1]))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, stage.filters, stage.kernel) for width, stage in zip(inputs, self.stages, strict=True)
        )
        rows, columns = (places(size, self.stages, axis) for axis, size in enumerate((vertices, neighbours)))
        if rows < 1 or columns < 1:
            raise ValueError(f"a grid of {vertices} x {neighbours} is too small for {len(self.stages)} convolutions")
        self.vertices, self.neighbours = vertices, neighbours
        self.rows, self.seen = rows, field(self.stages, 0)
        self.token_width = self.stages[-1].filters
        widths = (self.token_width * rows * columns, *hidden)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.dropout = nn.Dropout(dropout)
        self.width = widths[-1]
        for layer in (*self.convolutions, *self.layers):
            # He et al. 2015: with the usual first weights a signal is halved at every ReLU, and there are five or more.
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) ids and mask -> features; T is r K, rows end to end, and padding behind them.

        ``tokens`` are the places that the last convolution leaves.
        """
        grid, real = self._grid(ids, mask)
        found = self.embedding(grid).permute(0, 3, 1, 2) * real  # (W, D, H, K)
        for stage, convolution in zip(self.stages, self.convolutions, strict=True):
            real = functional.max_pool2d(real, stage.kernel, stride=1)
            found = functional.relu(convolution(found)) * real  # nothing below 0: padding wins no maximum
            if stage.pool != (1, 1):
                found, real = functional.max_pool2d(found, stage.pool), functional.max_pool2d(real, stage.pool)
        tokens = found.flatten(2).transpose(1, 2)  # (W, H' K', F)
        pooled = functional.pad(found, (0, 0, 0, self.rows - found.shape[2])).flatten(1)  # (W, F R' K')
        for layer in self.layers:
            pooled = functional.relu(layer(self.dropout(pooled)))
        return TextFeatures(tokens, real.flatten(1) > 0, pooled)

    def _grid(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Ids (W, H, K) and where they are words (W, 1, H, K); H is as small as the longest graph allows."""
        pad = int(self.embedding.padding_idx or 0)
        used = min(-(-ids.shape[1] // self.neighbours), self.vertices)
        # Behind the last vertex as many rows as the filters that see it reach; what is beyond they leave at zero.
        height = min(used + self.seen - 1, self.vertices)
        words = ids.masked_fill(~mask, pad)
        words = functional.pad(words, (0, height * self.neighbours - ids.shape[1]), value=pad)  # cuts where it is < 0
        grid = words.reshape(len(ids), height, self.neighbours)
        return grid, (grid != pad).unsqueeze(1).to(self.embedding.weight.dtype)


def places(size: int, stages: Sequence[Stage], axis: int) -> int:
    """How many of ``size`` places along an axis (0: rows, 1: columns) are left behind the stages; 0 or less: none."""
    for stage in stages:
        size = (size - stage.kernel[axis] + 1) // stage.pool[axis]
    return size


def field(stages: Sequence[Stage], axis: int) -> int:
    """How many places along an axis one place behind the stages depends on."""
    seen, stride = 1, 1
    for stage in stages:
        seen += (stage.kernel[axis] - 1 + stage.pool[axis] - 1) * stride
        stride *= stage.pool[axis]
    return seen
