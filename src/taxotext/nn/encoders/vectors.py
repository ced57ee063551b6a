"""Where the word vectors of a vocabulary come from: random numbers, a file, or a pretrained encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from taxotext.data.tokens import TextTokenizer
from taxotext.data.vectors import read_vectors
from taxotext.errors import ConfigError

DEFAULT_WIDTH = 100
RANDOM_BOUND = 0.25
"""Random vectors are uniform between its negative and itself (Kim 2014)."""

KEY = "encoder.embeddings"


@dataclass(frozen=True, eq=False)
class Vectors:
    """First vectors of a vocabulary."""

    matrix: NDArray[np.float32]  # (V, D) float32, row 0 zeros
    # JSON-ready: `embeddings` (where they come from), `embeddings_sha256`, `embeddings_coverage` (share of the
    # words that have a vector of their own)
    record: dict[str, Any]
    pretrained: bool  # whether they come from somewhere
    notes: tuple[str, ...] = ()  # sentences for the user


def first_vectors(choice: str, width: int | None, tokenizer: TextTokenizer, texts: Sequence[str]) -> Vectors:
    """Make the first vectors of a vocabulary; random numbers come from torch's generator.

    Args:
        choice: ``random``; ``encoder``: the mean of the input embeddings of the default encoder over the pieces of a
            word, reduced to ``width`` by principal components; else a file that :func:`read_vectors` reads. Words
            without a vector get random numbers that scatter as much as those of the others.
        width: D; None: 100, or that of the file.
        tokenizer: of the vocabulary; token 0 is padding.
        texts: the training texts, to count how many of their words have a vector.

    Raises:
        ConfigError: ``width`` does not fit, or no word has a vector.
        DataError: the file cannot be read; with ``file:line``.
    """
    words = tokenizer.vocabulary
    specials = np.asarray([tokenizer.pad_id, tokenizer.unknown_id])
    if choice == "random":
        matrix = _uniform((len(words), width or DEFAULT_WIDTH), RANDOM_BOUND)
        matrix[tokenizer.pad_id] = 0
        record = {"embeddings": "random", "embeddings_sha256": None, "embeddings_coverage": None}
        return Vectors(matrix, record, False)
    if choice == "encoder":
        usual = np.ones(len(words), dtype=np.bool_)
        usual[specials] = False
        matrix, found, source, sha256 = _of_encoder(words, usual, width or DEFAULT_WIDTH)
    else:
        vectors = read_vectors(choice, words)
        matrix, found, source, sha256 = vectors.matrix, vectors.found, Path(choice).name, vectors.sha256
        if width not in {None, matrix.shape[1]}:
            raise ConfigError(
                f"encoder.embedding_width: is {width}, but the vectors of {choice} have {matrix.shape[1]} numbers; "
                "leave the width out, or name another file."
            )
    found[specials] = False
    if not found.any():
        raise ConfigError(
            f"{KEY}: {choice} has none of the {len(words) - len(specials)} words of the training texts; is it of "
            "another language or script?"
        )
    scatter = float(matrix[found].std())
    matrix[~found] = _uniform((int((~found).sum()), matrix.shape[1]), float(np.sqrt(3) * scatter))
    matrix[tokenizer.pad_id] = 0
    coverage = round(float(found.sum()) / (len(words) - len(specials)), 4)
    running = found[tokenizer.encode(texts).values].mean() if len(texts) else 0.0
    facts = {"embeddings": source, "embeddings_sha256": sha256, "embeddings_coverage": coverage}
    note = (
        f"Word vectors of {source}: {int(found.sum())} of {len(words) - len(specials)} words of the vocabulary "
        f"({coverage:.0%}), {running:.0%} of the words of the training texts; the others start from random numbers."
    )
    return Vectors(matrix, facts, True, (note,))


def principal_components(rows: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return the coordinates (n, width) of ``rows`` (n, D) along their first principal components.

    The sign of a component is the one that makes its largest loading positive, so that equal rows give equal
    coordinates. Components that n rows cannot have are zeros.
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, loadings = np.linalg.eigh(centred.T @ centred)  # ascending
    loadings = loadings[:, ::-1][:, :width]  # (D, width)
    largest = np.abs(loadings).argmax(axis=0)
    loadings = loadings * np.sign(loadings[largest, np.arange(loadings.shape[1])])
    return np.asarray(centred @ loadings, dtype=np.float32)


def _of_encoder(
    words: Sequence[str], usual: NDArray[np.bool_], width: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], str, str]:
    from taxotext.nn.encoders.pretrained import load_transformer

    with torch.random.fork_rng(devices=[]):  # whatever loading draws: the caller's seed stays as it is
        built = load_transformer("default", "mean")
    model: Any = built.module
    table = model.model.get_input_embeddings().weight.detach().numpy()  # (pieces, D)
    if width > table.shape[1]:
        raise ConfigError(
            f"encoder.embedding_width: is {width}, but the vectors of the encoder have {table.shape[1]} numbers; "
            "lower it."
        )
    pieces = built.tokenizer.encode(list(words))
    sums = np.add.reduceat(table[pieces.values], pieces.offsets[:-1], axis=0)  # (V, D)
    unknown = np.add.reduceat(pieces.values == built.tokenizer.unknown_id, pieces.offsets[:-1]) > 0
    means = sums / pieces.lengths[:, None]
    found = usual & ~unknown
    matrix = np.zeros((len(words), width), dtype=np.float32)
    if found.any():
        matrix[found] = principal_components(means[found].astype(np.float32), width)
    record = built.record
    return matrix, found, f"input embeddings of {record['source']}", str(record["sha256"])


def _uniform(shape: tuple[int, int], bound: float) -> NDArray[np.float32]:
    return np.asarray(torch.empty(shape).uniform_(-bound, bound).numpy())
