"""Scores of texts as they come, and the place of those that are empty."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from taxotext.api.inputs import length, parts
from taxotext.composition.base import System
from taxotext.decoding import ScoreBlock
from taxotext.messages import counted
from taxotext.progress import Reporter

logger = logging.getLogger("taxotext")

SCORED_TOGETHER = 2048
"""Texts that are held at a time."""


def score_texts(
    system: System, texts: Iterable[str], reporter: Reporter
) -> Iterator[tuple[ScoreBlock, NDArray[np.int64], int]]:
    """Yield what the system says of some of the next texts, before decoding; which of them, and of how many.

    The others are empty. No system scores them: what it would say does not come from the document.

    Args:
        texts: drawn as they are needed.
    """
    seen, blank, first = 0, 0, 0
    with reporter.task("Predicting", length(texts)) as task:
        for part in parts(texts, SCORED_TOGETHER):
            rows = np.flatnonzero([bool(text.strip()) for text in part])
            if len(rows) < len(part):
                first = first or seen + 1 + int(np.setdiff1d(np.arange(len(part)), rows)[0])
                blank += len(part) - len(rows)
                task.advance(len(part) - len(rows))
            start = done = 0  # texts of the part, and readable ones among them, that are behind us
            for scored in system.scores([part[row] for row in rows], progress=task.advance) if len(rows) else ():
                block = ScoreBlock.of(scored)
                here = rows[done : done + len(block)]
                done += len(block)
                end = len(part) if done == len(rows) else int(here[-1]) + 1
                yield block, here - start, end - start
                start = end
            if not len(rows):
                any_text = "1:1" if system.reads_vectors() else "."
                form = ScoreBlock.of(next(iter(system.scores([any_text]))))  # dense or sparse
                yield form.rows(slice(0, 0)), rows, len(part)
            seen += len(part)
    warn_of_blank(blank, seen, first)


def warn_of_blank(blank: int, documents: int, first: int) -> None:
    """Warn that ``blank`` of some documents have no text, if any; ``first`` is the number of the first, from 1."""
    if blank:
        logger.warning(
            "%s of %s %s no text, the first is number %s; %s no labels.",
            f"{blank:,}",
            counted(documents, "document"),
            "has" if blank == 1 else "have",
            f"{first:,}",
            "it gets" if blank == 1 else "they get",
        )
