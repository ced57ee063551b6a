"""The head over label sequences: its loss and its scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import Head, HeadScores
from taxotext.nn.sequence.beam import Sequences, beam_search, exact_search
from taxotext.nn.sequence.decoder import BLOCKED, Memory, State, StepwiseDecoder
from taxotext.nn.sequence.order import TaxonomyOrder


def set_f1(found: Tensor, gold: Tensor) -> Tensor:
    """F1 of each label set, (B,); 1 where both are empty.

    Args:
        found: bool (B, N).
        gold: bool (B, N).
    """
    both = (found & gold).sum(1)
    sizes = found.sum(1) + gold.sum(1)
    return torch.where(sizes > 0, 2 * both / sizes.clamp(min=1), 1.0)


class SequenceHead(Head):
    """Predicts the labels of a document one after the other, until the end is the best continuation.

    Loss, for the gold labels l_1 .. l_n of a document in the order of ``order`` and l_{n+1} = EOS:

        −Σ_t ln p(l_t | l_1 .. l_{t-1})    mean over documents, or over all steps (``per="token"``)

    With ``objective="order_free"`` (Tsai and Lee 2020, optimal completion distillation at temperature 0) the model
    reads labels that it draws itself, l'_1 .. until EOS, and every gold label that is left and may follow is right:

        −Σ_t 1/|R_t| Σ_{l in R_t} ln p(l | l'_1 .. l'_{t-1}),  R_t = gold labels not among l'_1 .. l'_{t-1}, or {EOS}

    With a ``reward`` (self-critical training: Rennie et al. 2017; Yang et al. 2019, "Seq2Set") sequences that are
    better than the greedy one become more probable as well, and worse ones less:

        loss + ρ · −(F1(s) − F1(g)) Σ_t ln p(s_t | s_1 .. s_{t-1})

    with a drawn sequence s and the greedy one g, both up to EOS, and F1 of their label sets (1 for two empty ones).

    The scores are max_t p_t(l) over the steps of the best sequence (*BERT for Sequence-to-Sequence Multi-Label Text
    Classification*, Algorithm 2); the label sets are those of the best sequence itself. A document without labels is
    the sequence EOS.

    Args:
        decoder: the block.
        order: (N,) int64, the labels in the order in which gold labels are put; a buffer.
        counts: (N,) int64, training documents of each label; a buffer, kept with the order that may come from it.
        longest: labels of a predicted sequence at most.
        beams: of the search; None: exact.
        objective: see above.
        per: what the loss is a mean of.
        reward: ρ; 0: no self-critical term.
        sampling: share of the steps in training that read the label the model itself thinks best (scheduled sampling).
        skip: tokens at the start of each window that are not attended to.
        taxonomy: what may follow what in prediction; None: everything.
    """

    order: Tensor
    label_counts: Tensor

    def __init__(
        self,
        decoder: StepwiseDecoder,
        order: Tensor,
        counts: Tensor,
        *,
        longest: int,
        beams: int | None,
        objective: Literal["likelihood", "order_free"] = "likelihood",
        reward: float = 0.0,
        per: Literal["document", "token"] = "document",
        sampling: float = 0.0,
        skip: int = 0,
        taxonomy: TaxonomyOrder | None = None,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.register_buffer("order", order)
        self.register_buffer("label_counts", counts)
        self.longest, self.beams, self.per, self.sampling, self.skip = longest, beams, per, sampling, skip
        self.taxonomy, self.objective, self.reward = taxonomy, objective, reward

    def sequences(self, targets: Targets) -> Tensor:
        """Gold labels in the order of the head, then EOS: int64 (B, S), padded with -1."""
        place = torch.empty_like(self.order)
        place[self.order] = torch.arange(len(place), device=place.device)  # (N,)
        rows = targets.rows  # (P,)
        by_place = torch.argsort(rows * targets.labels + place[targets.indices])  # rows stay together
        counts = targets.offsets.diff()  # (B,)
        found = targets.indices.new_full((len(targets), int(counts.max()) + 1), -1)
        column = torch.arange(len(rows), device=rows.device) - targets.offsets[:-1][rows]
        found[rows, column] = targets.indices[by_place]
        found[torch.arange(len(targets), device=rows.device), counts] = self.decoder.end
        return found

    def log_likelihood(self, features: TextFeatures, sequences: Tensor) -> Tensor:
        """Log-probability of each step of given sequences (teacher forcing).

        Args:
            features: of B documents.
            sequences: (B, S) as :meth:`sequences` gives them.

        Returns:
            (B, S) float32, 0 on padding.
        """
        decoder = self.decoder
        memory, state = decoder.start(features, self.skip)
        emitted = torch.zeros(len(sequences), 1, decoder.end + 1, dtype=torch.bool, device=sequences.device)
        previous = torch.full((len(sequences), 1), decoder.begin, device=sequences.device)
        steps = []
        for gold in sequences.clamp(min=0).T.unsqueeze(-1):  # (B, 1) each; padding as label 0, which counts nowhere
            found, state = decoder.step(memory, state, previous, emitted)
            steps.append(found.gather(2, gold.unsqueeze(-1)).flatten())
            emitted = emitted.scatter(2, gold.unsqueeze(-1), True)  # not in place: the gradient needs the old one
            emitted[..., decoder.end] = False
            previous = gold
            if self.training and self.sampling:
                own = found.detach()[..., : decoder.end].argmax(-1)
                previous = torch.where(torch.rand(own.shape, device=own.device) < self.sampling, own, gold)
        return torch.stack(steps, 1) * (sequences >= 0)

    def order_free(self, features: TextFeatures, targets: Targets) -> tuple[Tensor, Tensor]:
        """Loss of each document against all gold labels that are left, along labels that the model draws.

        Returns:
            Sums over the steps, float32 (B,), and the number of steps, int64 (B,).
        """
        decoder, device = self.decoder, targets.indices.device
        memory, state = decoder.start(features, self.skip)
        gold = torch.zeros(len(targets), decoder.end + 1, dtype=torch.bool, device=device)  # (B, V)
        gold[targets.rows, targets.indices] = True
        emitted = torch.zeros_like(gold)
        previous = torch.full((len(targets), 1), decoder.begin, device=device)
        lost = torch.zeros(len(targets), device=device)
        steps = torch.zeros(len(targets), dtype=torch.int64, device=device)
        going = torch.ones(len(targets), dtype=torch.bool, device=device)
        for step in range(self.longest + 1):
            found, state = decoder.step(memory, state, previous, emitted.unsqueeze(1))
            right = gold & (found[:, 0] > BLOCKED / 2)  # (B, V), neither emitted nor out of reach
            right[:, decoder.end] = ~right.any(1)
            lost = lost - going * (found[:, 0] * right).sum(1) / right.sum(1)
            steps += going
            if step == self.longest:
                break
            drawn = self._draw(found.detach()[:, 0].exp())  # (B, 1)
            emitted = emitted.scatter(1, drawn, True)
            emitted[:, decoder.end] = False
            going = going & (drawn[:, 0] != decoder.end)
            previous = drawn
            if not going.any():
                break
        return lost, steps

    def self_critical(self, features: TextFeatures, targets: Targets) -> Tensor:
        """The reward of a drawn sequence above that of the greedy one, times −Σ_t ln p of the drawn one, (B,)."""
        memory, state = self.decoder.start(features, self.skip)
        with torch.no_grad():
            greedy, _ = self._roll_out(memory, state, lambda p: p.argmax(1, keepdim=True))
        drawn, log_probability = self._roll_out(memory, state, self._draw)
        gold = torch.zeros_like(drawn)
        gold[targets.rows, targets.indices] = True
        return (set_f1(greedy, gold) - set_f1(drawn, gold)) * log_probability

    def _roll_out(self, memory: Memory, state: State, choose: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Labels that the model itself chooses, until EOS or until there are ``longest``.

        Args:
            memory: of B documents.
            state: of one sequence for each.
            choose: from probabilities (B, V) to the next label (B, 1).

        Returns:
            The label sets, bool (B, N); and Σ_t ln p of the choices, EOS included, (B,).
        """
        decoder, documents = self.decoder, len(memory.mask)
        emitted = torch.zeros(documents, decoder.end + 1, dtype=torch.bool, device=memory.mask.device)
        previous = torch.full((documents, 1), decoder.begin, device=emitted.device)
        going = torch.ones(documents, dtype=torch.bool, device=emitted.device)
        total = torch.zeros(documents, device=emitted.device)
        for _ in range(self.longest + 1):
            found, state = decoder.step(memory, state, previous, emitted.unsqueeze(1))
            full = emitted.sum(1) >= self.longest  # only EOS is left: no choice
            previous = choose(found.detach()[:, 0].exp()).masked_fill(full.unsqueeze(1), decoder.end)
            total = total + found[:, 0].gather(1, previous).squeeze(1) * (going & ~full)
            going = going & (previous[:, 0] != decoder.end)
            emitted = emitted | (torch.nn.functional.one_hot(previous[:, 0], decoder.end + 1).bool() & going[:, None])
            if not going.any():
                break
        return emitted[:, : decoder.end], total

    @staticmethod
    def _draw(probabilities: Tensor) -> Tensor:
        return torch.multinomial(probabilities, 1)

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the loss of B documents."""
        if self.objective == "order_free":
            lost, steps = self.order_free(features, targets)
        else:
            sequences = self.sequences(targets)
            lost, steps = -self.log_likelihood(features, sequences).sum(1), (sequences >= 0).sum(1)
        if self.reward:
            lost = lost + self.reward * self.self_critical(features, targets)
        weights = torch.ones_like(lost) if targets.weights is None else targets.weights
        divisor = weights if self.per == "document" else weights * steps
        return (lost * weights).sum() / divisor.sum().clamp(min=1e-9)

    def search(self, features: TextFeatures) -> Sequences:
        """Return the best sequence of each document."""
        memory, state = self.decoder.start(features, self.skip)
        return self._search(memory, state)

    def _search(self, memory: Memory, state: State) -> Sequences:
        if self.beams is None:
            return exact_search(self.decoder, memory, state, longest=self.longest, order=self.taxonomy)
        return beam_search(self.decoder, memory, state, beams=self.beams, longest=self.longest, order=self.taxonomy)

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return max_t p_t, (B, N), and the labels of the best sequence."""
        found = self.search(features)
        return HeadScores(found.pooled, sets=found.labels)

    def attention(self, features: TextFeatures, labels: Tensor) -> Tensor | None:
        """Return α of the steps that predict the labels of a sequence, (B, C, S); labels (B, C) in its order."""
        return self.decoder.attention_of(features, labels, self.skip)

    def label_vectors(self) -> dict[str, Tensor]:
        """Those of the decoder."""
        return self.decoder.label_vectors()
