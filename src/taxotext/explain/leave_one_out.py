"""Leave-one-out importance: how much scores fall when a word, or a passage, is left out.

    I_l(w) = p_l(x) − p_l(x without w)                    for each label l
    I_S(w) = ln P(S | x) − ln P(S | x without w)          for the predicted set S

p are scores as they are predicted: after calibration and the consistency rule. P(S) is that of independent labels,
Π_{l in S} p_l Π_{l not in S} (1 − p_l). Of systems that predict a sequence of labels it is the probability of their
best sequence for x: that sequence is forced, since a search could jump to another one. All texts without something are
scored in ordinary batches; where a system knows these scores otherwise (``linear``), no text is read again.

Li, Monroe and Jurafsky, *Understanding Neural Networks through Representation Erasure* (2016).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxotext.composition.base import System
from taxotext.decoding import Decoder, Decoding, ScoreBlock
from taxotext.errors import ConfigError
from taxotext.explain.attention import attention_of
from taxotext.explain.explanation import Explanation, Pieces
from taxotext.explain.pieces import passages_of, replacement_of, without, words_of
from taxotext.explain.scoring import Sequences, score
from taxotext.progress import Reporter, Silent

MOST_WORDS = 400
"""Words of a text that are left out one by one, at most; of longer texts those of the passages that matter most."""
LONG = 100
"""Words from which a text has passages."""
PASSAGE = 40
"""Words of a passage, about."""
TOGETHER = 2048
"""Changed texts that are scored together."""
LEAST = 1e-6
"""Smallest probability of a label in a set, and distance from 1 of one outside it: logarithms stay finite."""


def explain_texts(
    system: System,
    decoding: Decoding,
    texts: Sequence[str],
    *,
    labels: Sequence[str] | None = None,
    mode: str = "delete",
    max_words: int = MOST_WORDS,
    reporter: Reporter | None = None,
) -> list[Explanation]:
    """Explain the labels of D texts.

    Args:
        system: fitted.
        decoding: how its scores become labels.
        texts: D.
        labels: ids to explain; None: those predicted for each text, or the best one where none is.
        mode: ``delete`` words, or ``mask`` them by a word that the system knows nothing of.
        max_words: see :data:`MOST_WORDS`.
        reporter: where progress goes.

    Raises:
        ConfigError: an unknown mode, no positive number of words, or words cannot be masked.
        LabelError: ids that the model does not have.
    """
    if isinstance(max_words, bool) or not isinstance(max_words, int) or max_words < 1:
        raise ConfigError(f"max_words is {max_words!r}; give a whole number from 1.")
    chosen = None if labels is None else np.asarray(system.taxonomy.indices(list(labels)), dtype=np.int64)
    work = _Work(system, Decoder(decoding, system.taxonomy), replacement_of(system, mode), reporter or Silent())
    states = work.whole(texts, chosen)
    passages = [_passages(system, state) for state in states]
    of_passages = work.leave_out(states, [found.places for found in passages])
    words = [
        _words(state, found, pieces, max_words)
        for state, found, pieces in zip(states, passages, of_passages, strict=True)
    ]
    of_words = work.leave_out(states, [places for places, _ in words])
    explained = []
    for state, part, pieces, (_, note) in zip(states, of_passages, of_words, words, strict=True):
        found = work.explanation(state, pieces, part)
        explained.append(replace(found, mode=mode, notes=(note,) if note else ()))
    return explained


@dataclass(frozen=True)
class _State:
    """A whole text."""

    text: str  # the document
    words: NDArray[np.int64]  # (T, 2) places of all words
    labels: NDArray[np.int64]  # (C,) int64, those that are explained
    scores: NDArray[np.float32]  # (C,) float32
    predicted: NDArray[np.int64]  # (P,) int64
    sequence: NDArray[np.int64] | None  # (S,) int64, best sequence of labels; None of systems that predict none
    log_probability: float  # of the predicted set


class _Passages(NamedTuple):
    places: NDArray[np.int64]  # (P, 2) characters
    words: NDArray[np.int64]  # (P, 2) words


class _Work:
    """One system, and how it is asked."""

    def __init__(self, system: System, decoder: Decoder, replacement: str, reporter: Reporter) -> None:
        self.system, self.decoder, self.replacement, self.reporter = system, decoder, replacement, reporter

    def whole(self, texts: Sequence[str], chosen: NDArray[np.int64] | None) -> list[_State]:
        """Score the texts as they are."""
        states: list[_State] = []
        for start in range(0, len(texts), TOGETHER):
            part = texts[start : start + TOGETHER]
            block, sequences = score(self.system, part)
            sets, scores = self.decoder.decode(block)
            best = self.decoder.rank(scores, 1)[0][:, 0]
            for row, text in enumerate(part):
                empty = not text.strip()  # gets no labels, as in prediction
                predicted = sets.indices[sets.indptr[row] : sets.indptr[row + 1]].astype(np.int64)[
                    : 0 if empty else None
                ]
                labels = predicted if chosen is None else chosen
                if not len(labels) and not empty:
                    labels = best[row : row + 1].astype(np.int64)
                labels = labels[labels >= 0]
                own = scores.at(np.full(len(labels), row), labels)
                sequence, likelihood = None, 0.0
                if sequences is not None:
                    sequence, likelihood = sequences.labels[row], float(sequences.log_probability[row])
                else:
                    likelihood = float(_of_set(scores.rows(np.asarray([row])), [predicted])[0])
                places = words_of(self.system, text)
                states.append(_State(text, places, labels, own, predicted, sequence, likelihood))
        return states

    def leave_out(self, states: Sequence[_State], places: Sequence[NDArray[np.int64]]) -> list[Pieces]:
        """Score every text without each of its pieces."""
        found: list[list[Pieces]] = [[] for _ in states]
        wanted = [(number, part) for number, part in enumerate(places) if len(part)]
        if not wanted:
            return [Pieces.none(len(state.labels)) for state in states]
        with self.reporter.task("Explaining", sum(len(part) for _, part in wanted)) as task:
            rest: list[tuple[int, NDArray[np.int64]]] = []
            for number, part in wanted:
                exact = self.system.scores_without(states[number].text, part, self.replacement)
                if exact is None:
                    rest.append((number, part))
                    continue
                found[number].append(self._pieces(states[number], part, exact, None))
                task.advance(len(part))
            for batch in _batches(rest):
                texts = list(
                    chain.from_iterable(without(states[i].text, part.tolist(), self.replacement) for i, part in batch)
                )
                forced = None
                if states[batch[0][0]].sequence is not None:
                    forced = [own for i, part in batch if (own := states[i].sequence) is not None for _ in part]
                block, sequences = score(self.system, texts, forced, task.advance)
                row = 0
                for number, part in batch:
                    rows = slice(row, row + len(part))
                    forced_here = None if sequences is None else sequences.rows(rows)
                    found[number].append(self._pieces(states[number], part, block.rows(rows), forced_here))
                    row += len(part)
        return [_joined(parts, len(state.labels)) for parts, state in zip(found, states, strict=True)]

    def _pieces(
        self, state: _State, places: NDArray[np.int64], block: ScoreBlock, sequences: Sequences | None
    ) -> Pieces:
        scores = self.decoder.scores(block)
        count, labels = len(places), len(state.labels)
        rows = np.repeat(np.arange(count), labels)
        without_them = scores.at(rows, np.tile(state.labels, count)).reshape(count, labels)
        likelihood = sequences.log_probability if sequences else _of_set(scores, [state.predicted] * count)
        of_set = np.asarray(state.log_probability - likelihood, dtype=np.float32)
        return Pieces(places, np.asarray(state.scores - without_them, dtype=np.float32), of_set)

    def explanation(self, state: _State, words: Pieces, passages: Pieces) -> Explanation:
        """Put together what is known of a text."""
        taxonomy = self.system.taxonomy
        ids = [taxonomy.ids[label] for label in state.labels.tolist()]
        attention = attention_of(self.system, state.text, state.labels, state.sequence, words.places)
        return Explanation(
            text=state.text,
            labels=tuple(ids),
            names={one: taxonomy.name(taxonomy.index(one)) for one in ids} if taxonomy.has_names else {},
            scores=state.scores,
            predicted=tuple(taxonomy.ids[label] for label in state.predicted.tolist()),
            words=words,
            passages=passages,
            attention={taxonomy.ids[label]: weights for label, weights in attention.items()},
            of_set="independent" if state.sequence is None else "sequence",
        )


def _passages(system: System, state: _State) -> _Passages:
    """Where the passages of a long text are."""
    words = state.words
    if len(words) < LONG or system.reads_vectors():
        return _Passages(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64))
    found = passages_of(state.text, words, PASSAGE)
    return _Passages(np.stack([words[found[:, 0], 0], words[found[:, 1] - 1, 1]], 1), found)


def _words(state: _State, passages: _Passages, pieces: Pieces, most: int) -> tuple[NDArray[np.int64], str]:
    """Which words are left out one by one, and a sentence about the others."""
    words = state.words
    if len(words) <= most:
        return words, ""
    if not len(passages.words):
        note = f"Importance of the first {most:,} of {len(words):,} words."
        return words[:most], note
    # What matters to any label, or to the set; logarithms and probabilities are brought to one scale.
    of_labels, of_set = np.abs(pieces.importance).max(1, initial=0), np.abs(pieces.of_set)  # (P,) each
    strength = of_labels / max(float(of_labels.max()), LEAST) + of_set / max(float(of_set.max()), LEAST)
    order = np.argsort(-strength, kind="stable")
    kept = np.zeros(len(words), dtype=np.bool_)
    for place in order.tolist():
        start, stop = passages.words[place].tolist()
        room = most - int(kept.sum())
        kept[start : min(stop, start + room)] = True
        if room <= stop - start:
            break
    note = (
        f"Importance of {most:,} of {len(words):,} words, those of the passages that matter most; every passage was "
        "left out as a whole."
    )
    return words[kept], note


def _batches(pieces: Sequence[tuple[int, NDArray[np.int64]]]) -> Iterator[list[tuple[int, NDArray[np.int64]]]]:
    """Parts of at most :data:`TOGETHER` pieces; a text with more is cut."""
    batch: list[tuple[int, NDArray[np.int64]]] = []
    room = TOGETHER
    for number, places in pieces:
        while len(places):
            batch.append((number, places[:room]))
            room -= len(batch[-1][1])
            places = places[len(batch[-1][1]) :]
            if not room:
                yield batch
                batch, room = [], TOGETHER
    if batch:
        yield batch


def _joined(parts: Sequence[Pieces], labels: int) -> Pieces:
    if not parts:
        return Pieces.none(labels)
    places, importance, of_set = zip(*((part.places, part.importance, part.of_set) for part in parts), strict=True)
    return Pieces(np.concatenate(places), np.concatenate(importance), np.concatenate(of_set))


def _of_set(scores: ScoreBlock, sets: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Ln P of one label set for each of b documents, labels as if they were independent; float64 (b,)."""
    rows = np.repeat(np.arange(len(sets)), [len(labels) for labels in sets])
    columns = np.concatenate([*sets, np.zeros(0, np.int64)]).astype(np.int64)
    own = np.asarray(scores.at(rows, columns), dtype=np.float64)
    total: NDArray[np.float64]
    if scores.is_sparse:
        missed: Any = scores.candidates.astype(np.float64)
        missed.data = np.log1p(-np.minimum(missed.data, 1 - LEAST))
        total = np.asarray(missed.sum(axis=1)).ravel()
    else:
        total = np.log1p(-np.minimum(scores.dense.astype(np.float64), 1 - LEAST)).sum(1)
    change = np.log(np.maximum(own, LEAST)) - np.log1p(-np.minimum(own, 1 - LEAST))
    return np.asarray(total + np.bincount(rows, change, minlength=len(sets)))
