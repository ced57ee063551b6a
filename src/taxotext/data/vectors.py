"""Word vectors in text files: those of GloVe, word2vec and fastText."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taxotext.data.sources import Lines, check_path, open_lines
from taxotext.errors import DataError
from taxotext.files import sha256

LARGEST = float(np.finfo(np.float32).max)

_Row = tuple[int, bytes]
"""Number of a line, and its numbers as text."""


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors of the words of a vocabulary."""

    matrix: NDArray[np.float32]  # (V, D) float32, zeros for a word that the file lacks
    found: NDArray[np.bool_]  # (V,) bool
    vectors: int  # how many the file holds
    sha256: str  # of the file, as it lies on the disk


def read_vectors(path: Path | str, words: Sequence[str]) -> WordVectors:
    """Read the vectors of ``words``; those of other words are passed over unread.

    Each line is a word and D numbers, separated by whitespace; the word itself may hold blanks (some of GloVe's do). A
    first line of two whole numbers (word2vec, fastText) announces how many vectors there are and D. Of a word that
    is duplicated the first vector counts. A wanted word that the file does not hold as it is takes the first vector
    whose word differs in case only.

    Args:
        path: text in UTF-8, or the same with ``.gz``.
        words: V different words in NFC.

    Raises:
        DataError: with ``file:line``: no such file, a line with too few numbers, something that is not a finite number,
            a file that breaks off.
    """
    path = Path(path)
    check_path(path)
    rows = {word.encode(): row for row, word in enumerate(words)}
    with open_lines(path, path.name.lower().endswith(".gz")) as lines:
        width, vectors, kept = _select(lines, str(path), rows)
    matrix = np.zeros((len(words), width), dtype=np.float32)
    found = np.zeros(len(words), dtype=np.bool_)
    if kept:
        places = np.fromiter(kept, dtype=np.int64, count=len(kept))
        matrix[places] = _numbers(list(kept.values()), width, str(path))
        found[places] = True
    return WordVectors(matrix, found, vectors, sha256(path))


def _select(lines: Lines, name: str, rows: Mapping[bytes, int]) -> tuple[int, int, dict[int, _Row]]:
    """Return D, how many vectors there are, and the lines of the wanted words by row of the vocabulary."""
    width, announced, vectors = 0, -1, 0
    exact: dict[int, _Row] = {}
    folded: dict[int, _Row] = {}
    for number, line in lines:
        body = line.rstrip()
        word, _, rest = body.partition(b" ")
        if rest.count(b" ") != width - 1 or not rest or b"\t" in body:  # the first line, and whatever is not as usual
            parts = body.split()
            if not parts:
                continue
            if width == 0:
                if announced < 0 and len(parts) == 2 and all(part.isdigit() for part in parts):
                    announced = int(parts[0])
                    continue
                width = len(parts) - 1
                _check_first(name, number, line, width)
            if len(parts) <= width:
                raise DataError(
                    f"{name}:{number}: {max(len(parts) - 1, 0)} numbers instead of {width} (got {_shown(body)}); each "
                    "line is a word and its numbers, separated by whitespace."
                )
            word, rest = b" ".join(parts[:-width]), b" ".join(parts[-width:])
        vectors += 1
        row = rows.get(word)
        if row is not None:
            exact.setdefault(row, (number, rest))
            continue
        text = unicodedata.normalize("NFC", word.decode("utf-8", "replace"))
        row = rows.get(text.encode())
        if row is not None:
            exact.setdefault(row, (number, rest))
        elif (row := rows.get(text.lower().encode())) is not None:
            folded.setdefault(row, (number, rest))
    if vectors == 0:
        raise DataError(f"{name}: holds no word vectors; each line is a word and its numbers, separated by whitespace.")
    if announced not in {-1, vectors}:
        raise DataError(
            f"{name}:1: announces {announced} vectors, but {vectors} follow; the file is cut short or damaged, fetch "
            "it again."
        )
    return width, vectors, {**folded, **exact}


def _check_first(name: str, number: int, line: bytes, width: int) -> None:
    """The first vector says how long all are, so it is looked at closely."""
    try:
        numbers = [float(part) for part in line.split()[1:]]
    except ValueError:
        numbers = []
    if width < 1 or not numbers:
        raise DataError(
            f"{name}:{number}: is not a word with its numbers (got {_shown(line.rstrip())}); word vectors are read as "
            "the text that GloVe and word2vec write. Convert binary files first."
        )


def _numbers(kept: Sequence[_Row], width: int, name: str) -> NDArray[np.float32]:
    """All numbers in one go; line by line only when something is wrong with one of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of text that is not a number: looked for below
        try:
            values = np.fromstring(b" ".join(rest for _, rest in kept).decode("ascii"), dtype=np.float32, sep=" ")
        except ValueError:
            values = np.empty(0, np.float32)
    if values.size == len(kept) * width and np.isfinite(values).all():
        return values.reshape(len(kept), width)
    for number, rest in kept:
        if len(rest.split()) != width:
            raise DataError(f"{name}:{number}: {len(rest.split())} numbers instead of {width}.")
        for part in rest.split():
            try:
                finite = abs(float(part)) <= LARGEST  # NaN is not
            except ValueError:
                finite = False
            if not finite:
                raise DataError(
                    f"{name}:{number}: {_shown(part)} is not a finite number; fix the line, or leave it out."
                )
    return np.asarray([rest.split() for _, rest in kept], dtype=np.float32)


def _shown(text: bytes) -> str:
    short = text if len(text) <= 60 else text[:57] + b"..."
    return repr(short.decode("utf-8", "replace"))
