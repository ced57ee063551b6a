"""One recurrent decoder of label sequences: SGM, EncDec and BERT+SGM are choices of its arguments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from taxotext.nn.features import TextFeatures

BLOCKED = -1e9
"""Logit of what may not follow. Finite: a row where everything is blocked must not become NaN."""


@dataclass(frozen=True)
class Memory:
    """What the decoder attends to.

    Attributes:
        tokens: (B, S, d) of all windows of each document.
        mask: (B, S) bool, True on tokens that are attended to.
        keys: (B, S, A) 2 U h, for additive attention; None for the dot product.
    """

    tokens: Tensor
    mask: Tensor
    keys: Tensor | None

    def rows(self, chosen: Tensor) -> Self:
        """The memory of some documents."""
        return replace(
            self,
            tokens=self.tokens[chosen],
            mask=self.mask[chosen],
            keys=None if self.keys is None else self.keys[chosen],
        )


class State(NamedTuple):
    """State of K sequences for each of B documents."""

    hidden: Tensor  # (B, K, layers, H), s
    context: Tensor  # (B, K, d), c of the last step
    cell: Tensor | None  # (B, K, layers, H), m of an LSTM; None for a GRU
    # (B, K, E), mean embedding under the distribution of the last step; None without global embedding
    average: Tensor | None

    def map(self, change: object) -> State:
        """Apply a function to every tensor."""
        return State(*(None if part is None else change(part) for part in self))  # type: ignore[operator,arg-type]


class StepwiseDecoder(nn.Module, ABC):
    """What writes label sequences step by step, as the head and the searches need it.

    Labels are 0..N-1. The end is N, the last of V = N + 1 outputs; the start is N + 1, which is read and never written.
    """

    labels: int
    """N."""

    @property
    def end(self) -> int:
        """The end of a sequence."""
        return self.labels

    @property
    def begin(self) -> int:
        """What stands before the first label."""
        return self.labels + 1

    @abstractmethod
    def start(self, features: TextFeatures, skip: int = 0) -> tuple[Memory, State]:
        """The memory of B documents and the state of one sequence for each.

        Args:
            features: all windows.
            skip: tokens at the start of each window that are not attended to: [CLS], from which the state is made.
        """

    @abstractmethod
    def step(self, memory: Memory, state: State, previous: Tensor, emitted: Tensor) -> tuple[Tensor, State]:
        """Take one step with K sequences of each document.

        Args:
            memory: of B documents.
            state: after the step before.
            previous: (B, K) int64, the label before, or the start.
            emitted: (B, K, V) bool, labels that may not come again; the end is False.

        Returns:
            Log-probabilities of the next label, float32 (B, K, V), about ``BLOCKED`` where emitted; and the new state.
        """

    def attention_of(self, features: TextFeatures, labels: Tensor, skip: int = 0) -> Tensor | None:
        """Return (B, C, S), how much the steps that predict ``labels`` (B, C), in their order, look at each token.

        None: the decoder has no attention of its own.
        """
        return None

    @abstractmethod
    def label_vectors(self) -> dict[str, Tensor]:
        """Matrices of one row a label, (N, ...), by name."""


class LabelDecoder(StepwiseDecoder):
    """One step of a label sequence: an LSTM or GRU with attention, and a distribution over the next label.

    With y_{t-1} the label before (BOS at first), E its embedding, s the state, c the context:

        g_t = (1 − G) ∘ E[y_{t-1}] + G ∘ ē_{t-1},  ē_{t-1} = Σ_l p_{t-1}(l) E[l],
              G = σ(W_1 E[y_{t-1}] + W_2 ē_{t-1})            global embedding; else g_t = E[y_{t-1}]
        s_t = cell(s_{t-1}, [g_t; c_{t-1}])
        a_ti = v · tanh(W q_t + U h_i)  or  q_t · h_i  (· 1/√H)   q_t = s_t ("current") or s_{t-1} ("previous")
        c_t = Σ_i softmax_i(a_t)_i h_i                       over tokens, never over padding
        p_t = softmax(W_o tanh(W_d s_t + V_d c_t) + I_t)     I_t = −∞ on labels that were emitted before

    Labels are 0..N-1 and the end of the sequence (EOS) is N: V = N + 1 outputs. The start (BOS) is N + 1: it has an
    embedding and no output. EOS is never blocked.

    Args:
        labels: N.
        token_width: d.
        pooled_width: D of the vector that s_0 is made from, s_0 = W_init v; the cell of an LSTM starts from zeros.
        units: H.
        label_width: E.
        cell: "lstm" or "gru".
        layers: cells on top of each other.
        attention: "additive" or "dot"; "dot" needs H = d.
        query: the state that attends.
        scale: divide dot products by √H.
        first_context: c_0: "zeros", or "attention" of s_0.
        global_embedding: see above.
        dropout: on label embeddings, between layers, and before W_o.

    Raises:
        ValueError: dot products of vectors of two widths.
    """

    def __init__(
        self,
        labels: int,
        token_width: int,
        pooled_width: int,
        *,
        units: int,
        label_width: int,
        cell: Literal["lstm", "gru"] = "lstm",
        layers: int = 1,
        attention: Literal["additive", "dot"] = "additive",
        query: Literal["current", "previous"] = "current",
        scale: bool = False,
        first_context: Literal["zeros", "attention"] = "zeros",
        global_embedding: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if attention == "dot" and units != token_width:
            raise ValueError(f"dot products need a decoder as wide as the tokens: {units} units, {token_width} numbers")
        self.labels, self.units, self.layers, self.label_width = labels, units, layers, label_width
        self.query, self.first_context = query, first_context
        self.factor = units**-0.5 if scale else 1.0
        self.embedding = nn.Embedding(labels + 2, label_width)
        self.dropout = nn.Dropout(dropout)
        self.initial = nn.Linear(pooled_width, layers * units)
        make = nn.LSTMCell if cell == "lstm" else nn.GRUCell
        widths = [label_width + token_width] + [units] * (layers - 1)
        self.cells = nn.ModuleList(make(width, units) for width in widths)
        self.is_lstm = cell == "lstm"
        if attention == "additive":
            self.attend_state: nn.Linear | None = nn.Linear(units, units)
            self.attend_tokens: nn.Linear | None = nn.Linear(token_width, units, bias=False)
            self.attend_energy: nn.Linear | None = nn.Linear(units, 1, bias=False)
        else:
            self.attend_state = self.attend_tokens = self.attend_energy = None
        self.gate_label = nn.Linear(label_width, label_width) if global_embedding else None
        self.gate_average = nn.Linear(label_width, label_width, bias=False) if global_embedding else None
        self.from_state = nn.Linear(units, units)
        self.from_context = nn.Linear(token_width, units, bias=False)
        self.output = nn.Linear(units, labels + 1)

    def start(self, features: TextFeatures, skip: int = 0) -> tuple[Memory, State]:
        if skip:
            real = features.mask.clone()
            real[:, :skip] = False
            features = replace(features, mask=real)
        tokens, mask = features.by_document()  # (B, S, d), (B, S)
        keys = None if self.attend_tokens is None else 2 * self.attend_tokens(tokens)
        memory = Memory(tokens, mask, keys)
        first = features.joined(self.initial(features.pooled), "mean")  # (B, layers * H)
        hidden = first.view(len(first), 1, self.layers, self.units)
        if self.first_context == "attention":
            context = self.attend(memory, hidden[:, :, -1])
        else:
            context = tokens.new_zeros(len(tokens), 1, tokens.shape[2])
        average = None
        if self.gate_label is not None:
            average = self.embedding.weight[self.begin].expand(len(first), 1, -1)
        return memory, State(hidden, context, torch.zeros_like(hidden) if self.is_lstm else None, average)

    def attend(self, memory: Memory, query: Tensor) -> Tensor:
        """Contexts of K queries of each document: (B, K, H) -> (B, K, d); zeros where there is nothing to attend to."""
        return torch.bmm(self.attention(memory, query).to(memory.tokens.dtype), memory.tokens)

    def attention(self, memory: Memory, query: Tensor) -> Tensor:
        """Weights of the tokens for K queries of each document, (B, K, H) -> (B, K, S) float32, 0 on padding."""
        if self.attend_state is None or self.attend_energy is None or memory.keys is None:
            energy = self.factor * torch.bmm(query, memory.tokens.transpose(1, 2))  # (B, K, S)
        else:
            asked = 2 * self.attend_state(query)  # (B, K, A)
            # One sequence after the other: (B, K, S, A) at once would be K times the memory of the text.
            room = None if torch.is_grad_enabled() else torch.empty_like(memory.keys)
            found = [
                self.attend_energy(_sigmoid_of_sum(memory.keys, asked[:, k, None], room)).squeeze(-1)
                for k in range(asked.shape[1])
            ]
            energy = 2 * torch.stack(found, 1)  # (B, K, S), v · tanh(W q + U h) + Σ v: softmax takes no notice of Σ v
        energy = energy.float()
        real = memory.mask.unsqueeze(1)  # (B, 1, S)
        return torch.softmax(energy.masked_fill(~real, torch.finfo(energy.dtype).min), -1) * real

    def attention_of(self, features: TextFeatures, labels: Tensor, skip: int = 0) -> Tensor:
        memory, state = self.start(features, skip)
        emitted = torch.zeros(len(labels), 1, self.end + 1, dtype=torch.bool, device=labels.device)
        previous = torch.full((len(labels), 1), self.begin, device=labels.device)
        steps = []
        for label in labels.T.unsqueeze(-1):  # (B, 1) each
            before = state.hidden[:, :, -1]
            _, state = self.step(memory, state, previous, emitted)
            steps.append(self.attention(memory, state.hidden[:, :, -1] if self.query == "current" else before))
            emitted = emitted.scatter(2, label.unsqueeze(-1), True)
            previous = label
        return torch.cat(steps, 1)

    def label_vectors(self) -> dict[str, Tensor]:
        """What a label is predicted with, (N, H), and what is read of it, (N, E), which stays near its random start."""
        return {"output": self.output.weight[: self.end], "embedding": self.embedding.weight[: self.end]}

    def step(self, memory: Memory, state: State, previous: Tensor, emitted: Tensor) -> tuple[Tensor, State]:
        given = self.embedding(previous)  # (B, K, E)
        if self.gate_label is not None and self.gate_average is not None and state.average is not None:
            gate = torch.sigmoid(self.gate_label(given) + self.gate_average(state.average))
            given = torch.lerp(given, state.average.to(given.dtype), gate.to(given.dtype))
        hidden, cell = self._advance(torch.cat([self.dropout(given), state.context], -1), state)
        top = hidden[:, :, -1]  # (B, K, H)
        context = self.attend(memory, top if self.query == "current" else state.hidden[:, :, -1])
        found = torch.tanh(self.from_state(top) + self.from_context(context))
        logits = self.output(self.dropout(found)).float()  # (B, K, V)
        log_probabilities = torch.log_softmax(logits.masked_fill(emitted, BLOCKED), -1)
        average = None
        if self.gate_label is not None:
            average = log_probabilities.exp() @ self.embedding.weight[: self.labels + 1].float()  # (B, K, E)
        return log_probabilities, State(hidden, context, cell, average)

    def _advance(self, inputs: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """s_t and m_t of all layers, (B, K, layers, H) each."""
        batch, beams = inputs.shape[:2]
        value = inputs.flatten(0, 1)  # (B K, E + d)
        hidden, cells = [], []
        for layer, cell in enumerate(self.cells):
            before = state.hidden[:, :, layer].flatten(0, 1)  # (B K, H)
            if state.cell is not None:
                new, kept = cell(value, (before, state.cell[:, :, layer].flatten(0, 1)))
                cells.append(kept)
            else:
                new = cell(value, before)
            hidden.append(new)
            value = self.dropout(new)
        found = torch.stack(hidden, 1).view(batch, beams, self.layers, self.units)
        return found, torch.stack(cells, 1).view(batch, beams, self.layers, self.units) if cells else None


def _sigmoid_of_sum(keys: Tensor, asked: Tensor, room: Tensor | None) -> Tensor:
    """σ(keys + asked), written into ``room`` where there is one.

    In place of tanh x = 2 σ(2x) − 1, which takes more than twice as long on a CPU; new memory for each sequence would
    take as long again.
    """
    total = keys + asked if room is None else torch.add(keys, asked, out=room)
    return total.sigmoid() if room is None else total.sigmoid_()
