"""Beam search over label sequences, for many documents at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taxotext.nn.sequence.decoder import BLOCKED, Memory, State, StepwiseDecoder
from taxotext.nn.sequence.order import TaxonomyOrder

WIDEST = 1024
"""Beams of an exact search at most."""
LOOKED_EVERY = 4
"""Steps between two looks at which documents are finished, where a look waits for a GPU."""


@dataclass(frozen=True)
class Sequences:
    """The best sequence of each of B documents."""

    labels: Tensor  # (B, S) int64, in the order in which they came, padded with -1; without EOS
    scores: Tensor  # (B,) float32, Σ_t ln p_t of the sequence, EOS included
    pooled: Tensor  # (B, N) float32, max_t p_t(l) over its steps, the one of EOS included
    # (B,) float32, the largest score that was pruned: a sequence that was not looked at has none above it
    bound: Tensor


def beam_search(
    decoder: StepwiseDecoder,
    memory: Memory,
    state: State,
    *,
    beams: int,
    longest: int,
    order: TaxonomyOrder | None = None,
) -> Sequences:
    """Find the sequence with the largest Σ_t ln p_t, without length normalisation.

    A finished sequence stays in its beam and can be extended no more. A document is done when its best beam is
    finished: scores only fall, so nothing can overtake it. Documents that are done leave the batch once they are half
    of it. With ``order`` the best sequence among those that keep to the taxonomy is looked for; probabilities, and so
    scores and ``pooled``, stay those of the decoder.

    Args:
        decoder: in evaluation mode.
        memory: of B documents.
        state: of one sequence for each.
        beams: K.
        longest: labels of a sequence at most; behind them only EOS follows (and, bottom-up, missing ancestors).
        order: what may follow what; None: everything.
    """
    documents, end, device = len(memory.mask), decoder.end, memory.mask.device
    rows = torch.arange(documents, device=device)
    state = state.map(lambda part: part.expand(-1, beams, *part.shape[2:]).contiguous())
    scores = memory.tokens.new_full((documents, beams), BLOCKED, dtype=torch.float32)
    scores[:, 0] = 0.0  # the K copies of the start must not tie
    emitted = torch.zeros(documents, beams, end + 1, dtype=torch.bool, device=device)
    pooled = torch.zeros(documents, beams, end, device=device)
    tokens = torch.empty(documents, beams, 0, dtype=torch.int64, device=device)
    done = torch.zeros(documents, beams, dtype=torch.bool, device=device)
    bound = torch.full((documents,), BLOCKED, device=device)
    previous = torch.full((documents, beams), decoder.begin, device=device)
    only_end = torch.full((end + 1,), BLOCKED, device=device)
    only_end[end] = 0.0
    results = _Results(documents, end, device)
    written = torch.zeros(documents, dtype=torch.bool, device=device)
    look = 1 if device.type == "cpu" else LOOKED_EVERY
    most = longest + look + (0 if order is None else end)  # steps until EOS, unless scores are NaN
    step = 0
    while len(rows) and step <= most:
        found, state = decoder.step(memory, state, previous, emitted)  # (b, K, V)
        pooled = torch.where(done.unsqueeze(-1), pooled, torch.maximum(pooled, found[..., :end].exp()))
        closing = step >= longest
        if order is not None:
            found = found.masked_fill(~order(emitted, closing), BLOCKED)
        elif closing:
            found = found + only_end  # BLOCKED + BLOCKED is finite
        found = torch.where(done.unsqueeze(-1), only_end, found)
        total = (scores.unsqueeze(-1) + found).flatten(1)  # (b, K V)
        best = total.topk(min(beams + 1, total.shape[1]))
        scores, chosen = best.values[:, :beams], best.indices[:, :beams]  # (b, K)
        if best.values.shape[1] > beams:
            bound = torch.maximum(bound, best.values[:, beams])
        parent, previous = chosen // (end + 1), chosen % (end + 1)
        state = state.map(lambda part, parent=parent: _gather(part, parent))
        emitted, pooled, tokens = (_gather(part, parent) for part in (emitted, pooled, tokens))
        emitted.scatter_(2, previous.unsqueeze(-1), True)
        emitted[..., end] = False
        done = previous == end
        tokens = torch.cat([tokens, previous.unsqueeze(-1)], 2)  # (b, K, step + 1)
        step += 1
        if step % look:
            continue
        new = done[:, 0] & ~written
        if new.any():
            results.write(rows[new], tokens[new, 0], scores[new, 0], pooled[new, 0], bound[new])
            written |= new
        if 2 * int(written.sum()) >= len(rows):
            left = ~written
            rows, written, memory = rows[left], written[left], memory.rows(left)
            state = state.map(lambda part, left=left: part[left])
            scores, emitted, pooled, tokens = scores[left], emitted[left], pooled[left], tokens[left]
            done, bound, previous = done[left], bound[left], previous[left]
    if len(rows):
        left = ~written
        results.write(rows[left], tokens[left, 0], scores[left, 0], pooled[left, 0], bound[left])
    return results.collected()


def exact_search(
    decoder: StepwiseDecoder, memory: Memory, state: State, *, longest: int, order: TaxonomyOrder | None = None
) -> Sequences:
    """Widen the beam, document by document, until what was pruned cannot hold a better sequence.

    The prefixes of one length exclude each other, so that the k-th best has at most probability 1/k: the search ends
    where the best sequence has more than 1/K. Above ``WIDEST`` beams it ends without a proof.
    """
    found = beam_search(decoder, memory, state, beams=4, longest=longest, order=order)
    labels, scores, pooled, bound = found.labels, found.scores, found.pooled, found.bound
    beams = 4
    while beams < WIDEST:
        beams *= 2
        open_rows = torch.nonzero(bound > scores).flatten()
        if not len(open_rows):
            break
        part = state.map(lambda tensor, rows=open_rows: tensor[rows])
        again = beam_search(decoder, memory.rows(open_rows), part, beams=beams, longest=longest, order=order)
        width = max(labels.shape[1], again.labels.shape[1])
        labels = torch.nn.functional.pad(labels, (0, width - labels.shape[1]), value=-1)
        labels[open_rows] = torch.nn.functional.pad(again.labels, (0, width - again.labels.shape[1]), value=-1)
        scores[open_rows], pooled[open_rows], bound[open_rows] = again.scores, again.pooled, again.bound
    return Sequences(labels, scores, pooled, bound)


def _gather(values: Tensor, parent: Tensor) -> Tensor:
    """(b, K, ...) in the order of ``parent`` (b, K)."""
    return values[torch.arange(len(parent), device=parent.device).unsqueeze(-1), parent]


class _Results:
    """What is known of documents, as they finish."""

    def __init__(self, documents: int, labels: int, device: torch.device) -> None:
        self.end = labels
        self.tokens: list[tuple[Tensor, Tensor]] = []
        self.scores = torch.zeros(documents, device=device)
        self.bound = torch.zeros(documents, device=device)
        self.pooled = torch.zeros(documents, labels, device=device)

    def write(self, rows: Tensor, tokens: Tensor, scores: Tensor, pooled: Tensor, bound: Tensor) -> None:
        self.tokens.append((rows, tokens))
        self.scores[rows], self.pooled[rows], self.bound[rows] = scores, pooled, bound

    def collected(self) -> Sequences:
        width = max((tokens.shape[1] for _, tokens in self.tokens), default=0)
        labels = torch.full((len(self.scores), width), -1, dtype=torch.int64, device=self.scores.device)
        for rows, tokens in self.tokens:
            labels[rows, : tokens.shape[1]] = tokens
        labels[labels == self.end] = -1
        return Sequences(labels, self.scores, self.pooled, self.bound)
