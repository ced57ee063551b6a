"""N networks of one shape with one output each, over what they share: word vectors, or a frozen encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext.nn.batch import TokenBatch
from taxotext.nn.encoders.states import GruStates, PooledStates, frozen_states
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import HeadScores, LinearHead
from taxotext.nn.pooling import join_windows, masked_max, masked_mean
from taxotext.nn.recurrent import unroll

TABLE = "encoder.embedding.weight"
"""Name of the word vectors among the parameters of a network."""
STACKED_SIZE = 2**16
"""W H², windows times squared units, up to which recurrent bodies of all labels are computed together on a CPU: 7
windows of 96 units, 28 of 48. With more the products of one label keep it busy, and its weights stay in the cache."""
STACKED_NUMBERS = 2**25
"""Numbers that the states and gates of labels computed together may take: 128 MB."""


class LabelNetwork(nn.Module):
    """The network of one label: a body and one output.

    Args:
        body: what the label owns, with what it shares where that is inside of it: (inputs, mask) -> TextFeatures.
            Inputs are token ids (W, T), or the states (W, T, D) of a frozen encoder that all labels share.
        join: how the logits of several windows of a document become one: "max" or "mean".
        shared: names of parameters and buffers that are the same for many labels: the word vectors, or the weights of a
            frozen encoder that the body changes with adapters.
    """

    def __init__(self, body: nn.Module, join: str, shared: frozenset[str]) -> None:
        super().__init__()
        self.encoder, self.join, self.shared = body, join, shared
        self.head = LinearHead(int(body.width), 1, 0.0)  # type: ignore[arg-type]
        self.head.join = join

    def forward(self, inputs: Tensor, mask: Tensor, owner: Tensor, documents: int) -> Tensor:
        """Return logits (documents, 1)."""
        features: TextFeatures = self.encoder(inputs, mask)
        return self.head.logits(features.owned(owner, documents))

    def own_state(self) -> dict[str, Tensor]:
        """Parameters and buffers that are this label's own, by name."""
        return {name: values for name, values in self.state_dict().items() if name not in self.shared}


class LabelNetworks(nn.Module):
    """Logits of N binary classifiers; for prediction only.

    Args:
        one: a network that takes the place of each; its own weights do not matter.
        tables: word vectors, (V, D) each; none where the labels share an encoder.
        table_of: (N,) which of them each label reads.
        each: name of a parameter or buffer that is a label's own -> (N, ...), those of all labels.
        base: the frozen encoder whose states ``one`` reads; None: it reads token ids.
    """

    table_of: Tensor

    def __init__(
        self,
        one: LabelNetwork,
        tables: Sequence[Tensor],
        table_of: Tensor,
        each: Mapping[str, Tensor],
        base: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self._one = [one]  # not a submodule: its weights are views of ours
        self.encoder = one.encoder
        self.base = base
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
        """Return logits (documents, N); arguments as of :class:`~taxotext.nn.batch.TokenBatch`."""
        inputs = self.read(ids, mask)
        if self._stacks(inputs):
            return self.stacked(inputs, mask, owner, documents)
        return self.one_by_one(inputs, mask, owner, documents)

    def scores(self, batch: TokenBatch) -> HeadScores:
        """Return the probabilities of the documents of a batch, (B, N)."""
        return HeadScores(torch.sigmoid(self(batch.ids, batch.mask, batch.owner, batch.documents).float()))

    def read(self, ids: Tensor, mask: Tensor) -> Tensor:
        """What the networks take: the ids themselves, or the states (W, T, D) of the shared encoder."""
        return ids if self.base is None else frozen_states(self.base, ids, mask).float()

    def _stacks(self, inputs: Tensor) -> bool:
        if isinstance(self.encoder, PooledStates):
            return True
        if not isinstance(self.encoder, GruStates):
            return False
        return inputs.device.type != "cpu" or len(inputs) * self.encoder.forwards.hidden_size**2 <= STACKED_SIZE

    def one_by_one(self, inputs: Tensor, mask: Tensor, owner: Tensor, documents: int) -> Tensor:
        """Logits (documents, N), one label after the other."""
        one, each = self._one[0].eval(), self.each
        places = {**dict(one.named_parameters()), **dict(one.named_buffers())}
        columns = []
        for label, table in enumerate(self.table_of.tolist()):
            if TABLE in places:
                places[TABLE].data = self.tables[table].data
            for name, values in each.items():
                places[name].data = values[label]
            columns.append(one(inputs, mask, owner, documents))
        return torch.cat(columns, 1)

    def stacked(self, inputs: Tensor, mask: Tensor, owner: Tensor, documents: int) -> Tensor:
        """Logits (documents, N), many labels in one product; equal to :meth:`one_by_one` up to rounding."""
        each = self.each
        logits_of: Callable[..., Tensor] = _gru_logits
        if isinstance(self.encoder, PooledStates):
            logits_of, units = _pooling_logits, each["encoder.attention.context"].shape[1]
        else:
            units = 2 * 5 * each["encoder.forwards.weight_hh_l0"].shape[2]
        at_once = max(1, STACKED_NUMBERS // (mask.numel() * units))
        logits = torch.empty(len(mask), len(self), device=mask.device)  # (W, N)
        for some in self._groups(at_once):
            chosen = {name: values[some] for name, values in each.items()}
            logits[:, some] = logits_of(self._vectors(inputs, mask, some), mask, chosen).float()
        if len(logits) == documents:
            return logits
        return join_windows(logits, owner, documents, self._one[0].join)

    def _groups(self, at_once: int) -> Iterator[Tensor]:
        """Labels that are computed together: those that read the same vectors, and those with vectors of their own."""
        labels = torch.arange(len(self), device=self.table_of.device)
        if self.base is not None:
            yield from torch.split(labels, at_once)
            return
        readers = torch.bincount(self.table_of, minlength=len(self.tables))
        alone = readers[self.table_of] == 1
        for number in torch.nonzero(readers > 1).flatten().tolist():
            yield from torch.split(labels[self.table_of == number], at_once)
        if alone.any():
            yield from torch.split(labels[alone], at_once)

    def _vectors(self, inputs: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """What a group of labels reads, zeros on padding: (W, T, D), or (L, W, T, D) where each has its own."""
        if self.base is not None:
            return inputs
        numbers = self.table_of[labels].tolist()
        if len(set(numbers)) == 1:
            vectors = functional.embedding(inputs, self.tables[numbers[0]])
        else:
            vectors = torch.stack([functional.embedding(inputs, self.tables[number]) for number in numbers])
        return vectors * mask.unsqueeze(-1)


def _pooling_logits(vectors: Tensor, mask: Tensor, each: Mapping[str, Tensor]) -> Tensor:
    """Logits (W, L) of L networks of :class:`PooledStates` and a linear output over the same vectors (W, T, D)."""
    labels, units = each["encoder.attention.context"].shape
    windows, length, width = vectors.shape
    projection = each["encoder.attention.projection.weight"].reshape(labels * units, width)
    bias = each["encoder.attention.projection.bias"].reshape(labels * units)
    keys = torch.tanh(functional.linear(vectors.reshape(windows * length, width), projection, bias))
    keys = keys.view(windows * length, labels, units).transpose(0, 1)  # (L, W T, U)
    scores = torch.bmm(keys, each["encoder.attention.context"].unsqueeze(-1)).view(labels, windows, length)
    weights = _attention(scores.transpose(0, 1), mask.unsqueeze(1))  # (W, L, T)
    attended = torch.bmm(weights, vectors)  # (W, L, D)
    rows = each["head.output.weight"].squeeze(1)  # (L, 3D)
    alike = torch.cat([masked_max(vectors, mask), masked_mean(vectors, mask)], 1)  # (W, 2D): the same for all labels
    found = (attended * rows[:, :width]).sum(-1) + alike @ rows[:, width:].T
    return found + each["head.output.bias"].squeeze(1)


def _attention(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension, zeros on padding."""
    return torch.softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min), -1) * mask


def _gru_logits(words: Tensor, mask: Tensor, each: Mapping[str, Tensor]) -> Tensor:
    """Logits (W, L) of L networks of :class:`GruStates` and a linear output.

    They read the same vectors (W, T, D), or each its own (L, W, T, D).
    """
    labels, hidden = len(each["head.output.bias"]), each["encoder.forwards.weight_hh_l0"].shape[2]
    windows, length, width = words.shape[-3:]

    def both(name: str) -> Tensor:
        return torch.stack([each[f"encoder.forwards.{name}_l0"], each[f"encoder.backwards.{name}_l0"]])  # (2, L, ...)

    again_bias = both("bias_hh")  # (2, L, 3H)
    bias = both("bias_ih")
    bias[..., : 2 * hidden] += again_bias[..., : 2 * hidden]
    if words.dim() == 3:
        inputs = words.reshape(windows * length, width).expand(2, -1, -1)
        into = both("weight_ih").reshape(2, labels * 3 * hidden, width).transpose(1, 2)  # (2, D, L 3H)
        given = torch.baddbmm(bias.reshape(2, 1, -1), inputs, into).view(2, windows, length, labels, 3 * hidden)
        ahead, back = given.permute(0, 2, 3, 1, 4)  # (T, L, W, 3H) each
    else:
        own = words.reshape(labels, windows * length, width)
        given = own @ both("weight_ih").transpose(2, 3) + bias.unsqueeze(2)  # (2, L, W T, 3H)
        ahead, back = given.view(2, labels, windows, length, 3 * hidden).permute(0, 3, 1, 2, 4)
    again = both("weight_hh").reshape(2 * labels, 3 * hidden, hidden).transpose(1, 2)  # (2L, H, 3H)
    again_bias = again_bias[..., 2 * hidden :].reshape(2 * labels, 1, hidden)
    states = unroll(ahead, back, again, again_bias, mask)
    states = states[1:].view(length, 2, labels, windows, hidden)
    tokens = torch.cat([states[:, 0], states[:, 1].flip(0)], -1)  # (T, L, W, 2H), zeros on padding
    tokens = tokens.permute(1, 2, 0, 3).reshape(labels * windows, length, 2 * hidden)
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
    weights = _attention(scores, mask)  # (L, W, T)
    attended = torch.matmul(weights.unsqueeze(-2), tokens).squeeze(-2)  # (L, W, d)
    most = tokens.masked_fill(~mask.unsqueeze(-1), torch.finfo(tokens.dtype).min).amax(2)
    mean = tokens.sum(2) / mask.sum(-1, keepdim=True).clamp(min=1)  # tokens are zeros on padding
    return torch.cat([attended, most, mean], 2)
