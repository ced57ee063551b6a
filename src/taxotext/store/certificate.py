"""How nearly an exported model answers what the model does: score differences and label decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taxotext.composition.base import block_starts
from taxotext.decoding import Decoder
from taxotext.metrics.sparse import Sets

if TYPE_CHECKING:
    from taxotext.composition.base import System
    from taxotext.data.tokens import TextTokenizer

TOGETHER = 512
"""Texts whose scores are held at a time."""
RANDOM_TEXTS = 48


def compare(
    model: System, exported: System, decoder: Decoder, texts: Sequence[str], gold: Sets | None = None
) -> dict[str, Any]:
    """What the certificate says of some documents.

    Args:
        model: with dense scores.
        exported: that should score alike.
        decoder: of both.
        texts: documents; those without a word are left out, since no system scores them.
        gold: (documents, >= N) their labels, or None.

    Returns:
        ``documents``; the largest and mean difference of scores before decoding; ``decisions``, pairs of document and
        label, and the share of equal ones; documents with equal label sets, as a share; labels that each predicts, and
        that both do; with ``gold`` the micro-F1 of both.
    """
    rows = np.flatnonzero([bool(text.strip()) for text in texts])
    count, labels = len(rows), len(model.taxonomy)
    largest = total = 0.0
    different = unequal = both = 0
    predicted, hits = [0, 0], [0, 0]
    for part in block_starts(count, TOGETHER):
        here = [texts[row] for row in rows[part]]
        scores = [np.concatenate([block.dense for block in one.scores(here)]) for one in (model, exported)]
        gaps = np.abs(scores[0] - scores[1])
        largest, total = max(largest, float(gaps.max(initial=0.0))), total + float(gaps.sum(dtype=np.float64))
        sets = [decoder.sets(one) for one in scores]
        shared = np.asarray(sets[0].multiply(sets[1]).sum(axis=1)).ravel()
        apart = np.diff(sets[0].indptr) + np.diff(sets[1].indptr) - 2 * shared  # decisions of each document
        different, unequal = different + int(apart.sum()), unequal + int((apart > 0).sum())
        both += int(shared.sum())
        for place, found in enumerate(sets):
            predicted[place] += int(found.nnz)
            if gold is not None:
                hits[place] += int(found.multiply(gold[rows[part], :labels]).nnz)
    decisions = count * labels
    result: dict[str, Any] = {
        "documents": count,
        "largest_score_difference": largest,
        "mean_score_difference": total / max(1, decisions),
        "decisions": decisions,
        "equal_decisions": 1 - different / max(1, decisions),
        "equal_label_sets": 1 - unequal / max(1, count),
        "predicted": {"model": predicted[0], "exported": predicted[1], "both": both},
    }
    if gold is not None:
        all_gold = int(gold.nnz)
        f1 = [2 * found / max(1, size + all_gold) for found, size in zip(hits, predicted, strict=True)]
        result["micro_f1"] = {"model": f1[0], "exported": f1[1]}
    return result


def random_texts(tokenizer: TextTokenizer, longest: int) -> list[str]:
    """Texts of random words of a vocabulary, from one word to more than a system reads.

    They hold no meaning, but they hold every length: an exported graph may be right for the length of its trace only.

    Args:
        tokenizer: of the system.
        longest: tokens of the longest text, about.
    """
    rng = np.random.default_rng(13)
    words = [word.removeprefix("##") for word in tokenizer.vocabulary if any(letter.isalpha() for letter in word)]
    words = [word for word in words if not word.startswith(("[", "<"))] or ["a"]
    return [" ".join(words[at] for at in rng.integers(0, len(words), size)) for size in _lengths(longest, rng)]


def _lengths(longest: int, rng: np.random.Generator) -> Iterator[int]:
    fixed: NDArray[np.int64] = np.unique(np.asarray([1, 2, 3, 5, 8, longest // 2, longest - 1, longest, longest + 1]))
    yield from (int(size) for size in fixed if size > 0)
    yield from (int(size) for size in rng.integers(1, longest + 1, max(0, RANDOM_TEXTS - len(fixed))))
