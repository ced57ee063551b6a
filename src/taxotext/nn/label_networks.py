"""N networks of one shape with one output each, whose word vectors are shared by groups of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext.nn.encoders.words import GruAttention, turn_round
from taxotext.nn.network import TextClassifier
from taxotext.nn.pooling import join_windows

TABLE = "encoder.embedding.weight"
"""Name of the word vectors among the parameters of a network."""
STACKED_WINDOWS = 16
"""Windows up to which all labels are computed together on a CPU; with more of them the products of one label are large
enough to keep it busy (docs/results/htrans.md)."""
STACKED_NUMBERS = 2**25
"""Numbers that the states and gates of labels computed together may take: 128 MB."""


class LabelNetworks(nn.Module):
    """Logits of N binary classifiers; for prediction only.

    Args:
        one: a network with one output that takes the place of each; its weights do not matter.
        tables: word vectors, (V, D) each.
        table_of: (N,) which of them each label reads.
        each: name of a parameter or buffer of ``one``, the word vectors left out -> (N, ...), those of all labels.
    """

    table_of: Tensor

    def __init__(
        self, one: TextClassifier, tables: Sequence[Tensor], table_of: Tensor, each: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self._one = [one]  # not a submodule: its weights are views of ours
        self.encoder = one.encoder
        self.tables = nn.ParameterList(nn.Parameter(table, requires_grad=False) for table in tables)
        self.register_buffer("table_of", table_of)
        self._names = {name: name.replace(".", "/") for name in each}
        for name, values in each.items():
            self.register_buffer(self._names[name], values)

    def __len__(self) -> int:
        return len(self.table_of)

    @property
    def each(self) -> dict[str, Tensor]:
        """Name of a parameter -> (N, ...)."""
        return {name: getattr(self, own) for name, own in self._names.items()}

    def forward(self, ids: Tensor, mask: Tensor, owner: Tensor, documents: int) -> Tensor:
        """Return logits (documents, N); arguments as of :class:`~taxotext.nn.network.TextClassifier`."""
        stacks = isinstance(self.encoder, GruAttention)
        if stacks and (ids.device.type != "cpu" or len(ids) <= STACKED_WINDOWS):
            return self.stacked(ids, mask, owner, documents)
        return self.one_by_one(ids, mask, owner, documents)

    def one_by_one(self, ids: Tensor, mask: Tensor, owner: Tensor, documents: int) -> Tensor:
        """Logits (documents, N), one label after the other."""
        one, each = self._one[0].eval(), self.each
        places = {**dict(one.named_parameters()), **dict(one.named_buffers())}
        columns = []
        for label, table in enumerate(self.table_of.tolist()):
            places[TABLE].data = self.tables[table].data
            for name, values in each.items():
                places[name].data = values[label]
            columns.append(one(ids, mask, owner, documents))
        return torch.cat(columns, 1)

    def stacked(self, ids: Tensor, mask: Tensor, owner: Tensor, documents: int) -> Tensor:
        """Logits (documents, N), many labels in one product; equal to :meth:`one_by_one` up to rounding."""
        each = self.each
        width = each["encoder.forwards.weight_hh_l0"].shape[2]
        at_once = max(1, STACKED_NUMBERS // (ids.numel() * 2 * 5 * width))
        logits = torch.empty(len(ids), len(self), device=ids.device)  # (W, N)
        for number, table in enumerate(self.tables):
            labels = torch.nonzero(self.table_of == number).flatten()
            if not len(labels):
                continue
            words = functional.embedding(ids, table) * mask.unsqueeze(-1)  # (W, T, D)
            for some in torch.split(labels, at_once):
                chosen = {name: values[some] for name, values in each.items()}
                logits[:, some] = _stacked_logits(words, mask, chosen).float()
        if len(logits) == documents:
            return logits
        return join_windows(logits, owner, documents, self._one[0].join)


def _stacked_logits(words: Tensor, mask: Tensor, each: Mapping[str, Tensor]) -> Tensor:
    """Logits (W, L) of L networks of :class:`GruAttention` and a linear output over the same words (W, T, D)."""
    labels, hidden = len(each["head.output.bias"]), each["encoder.forwards.weight_hh_l0"].shape[2]
    windows, length, width = words.shape
    inputs = torch.stack([words, turn_round(words, mask)]).reshape(2, windows * length, width)

    def both(name: str) -> Tensor:
        return torch.stack([each[f"encoder.forwards.{name}_l0"], each[f"encoder.backwards.{name}_l0"]])  # (2, L, ...)

    bias = both("bias_ih").reshape(2, 1, -1)  # (2, 1, L 3H)
    into = both("weight_ih").reshape(2, labels * 3 * hidden, width).transpose(1, 2)  # (2, D, L 3H)
    given = torch.baddbmm(bias, inputs, into).view(2, windows, length, labels, 3 * hidden)
    given = given.permute(2, 0, 3, 1, 4)  # (T, 2, L, W, 3H)
    again = both("weight_hh").reshape(2 * labels, 3 * hidden, hidden).transpose(1, 2)  # (2L, H, 3H)
    again_bias = both("bias_hh").reshape(2 * labels, 1, 3 * hidden)
    states = given.new_empty(length, 2, labels, windows, hidden)
    before = given.new_zeros(2, labels, windows, hidden)
    for at in range(length):
        own = torch.baddbmm(again_bias, before.view(2 * labels, windows, hidden), again)
        own = own.view(2, labels, windows, 3 * hidden)
        gates = torch.sigmoid(given[at, ..., : 2 * hidden] + own[..., : 2 * hidden])
        reset, update = torch.split(gates, hidden, -1)
        new = torch.tanh(torch.addcmul(given[at, ..., 2 * hidden :], reset, own[..., 2 * hidden :]))
        torch.lerp(new, before, update, out=states[at])
        before = states[at]
    ahead = states[:, 0].permute(1, 2, 0, 3)  # (L, W, T, H)
    back = states[:, 1].permute(1, 2, 0, 3).reshape(labels * windows, length, hidden)
    everywhere = mask.repeat(labels, 1)  # (L W, T)
    back = turn_round(back, everywhere)
    tokens = torch.cat([ahead.reshape(labels * windows, length, hidden), back], 2) * everywhere.unsqueeze(-1)
    pooled = _pooled(tokens.view(labels, windows, length, 2 * hidden), mask, each)  # (L, W, 6H)
    weights = each["head.output.weight"].transpose(1, 2)  # (L, 6H, 1)
    return (torch.bmm(pooled, weights).squeeze(-1) + each["head.output.bias"]).transpose(0, 1)


def _pooled(tokens: Tensor, mask: Tensor, each: Mapping[str, Tensor]) -> Tensor:
    """[attention; maximum; mean] of L networks: (L, W, T, d) -> (L, W, 3d), padding left out."""
    labels, windows, length, width = tokens.shape
    projection = each["encoder.attention.projection.weight"].transpose(1, 2)  # (L, d, d)
    bias = each["encoder.attention.projection.bias"].unsqueeze(1)  # (L, 1, d)
    keys = torch.tanh(torch.baddbmm(bias, tokens.reshape(labels, windows * length, width), projection))
    scores = torch.bmm(keys, each["encoder.attention.context"].unsqueeze(-1)).view(labels, windows, length)
    lowest = torch.finfo(scores.dtype).min
    weights = torch.softmax(scores.masked_fill(~mask, lowest), -1) * mask  # (L, W, T)
    attended = torch.matmul(weights.unsqueeze(-2), tokens).squeeze(-2)  # (L, W, d)
    most = tokens.masked_fill(~mask.unsqueeze(-1), lowest).amax(2)
    mean = tokens.sum(2) / mask.sum(-1, keepdim=True).clamp(min=1)  # tokens are zeros on padding
    return torch.cat([attended, most, mean], 2)
