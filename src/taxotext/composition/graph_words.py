"""The encoder part ``dgcnn``: a convolutional network over the graph of words of a text."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from taxotext.composition.named_files import NamesFile
from taxotext.composition.parts import register
from taxotext.composition.words import WordSettings, build_over_words
from taxotext.errors import DataError, ModelFolderError
from taxotext.settings import Width

if TYPE_CHECKING:
    from taxotext.data.tokens import TextTokenizer
    from taxotext.nn.encoders.pretrained import BuiltEncoder

_Stage = tuple[int, tuple[int, int], tuple[int, int]]
STAGES: dict[int, tuple[_Stage, ...]] = {
    1: ((64, (3, 3), (2, 1)),),
    3: ((64, (3, 3), (2, 1)), (128, (3, 1), (2, 2)), (256, (3, 1), (2, 2))),
    6: (
        *((64, (3, 3), (1, 1)), (64, (3, 1), (2, 1))),
        *((128, (3, 1), (1, 1)), (128, (3, 1), (2, 2))),
        *((256, (3, 1), (1, 1)), (256, (3, 1), (2, 2))),
    ),
}
"""Filters, kernel (vertices, neighbours) and pooling of each convolution, by their number."""
LEAST = {1: (4, 3), 3: (22, 6), 6: (36, 6)}
"""The smallest grids (vertices, neighbours) that leave something behind all poolings."""


class GraphCnnSettings(WordSettings):
    """Convolutions over the graph of words."""

    name: Literal["dgcnn"] = Field("dgcnn", description="kind of encoder")
    vertices: int = Field(96, ge=4, le=10_000, description="words of a text that have a row, the most frequent ones")
    neighbours: int = Field(10, ge=3, le=1000, description="words of a row: the vertex and what is near it")
    window: int = Field(3, ge=2, le=100, description="consecutive words that are joined by edges")
    stop_words: Annotated[str, NamesFile(words=("none", "english"))] = Field(
        "none", min_length=1, description="words left out of the graph: none, english, or a file with a word a line"
    )
    revisit: bool = Field(False, description="true: rows repeat words that were met already, as in the reference")
    layers: Literal[1, 3, 6] = Field(3, description="convolutions")
    hidden: tuple[Width, ...] = Field(
        (1024, 512), min_length=1, max_length=16, description="widths of the feed-forward layers"
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="in front of the feed-forward layers")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        rows, columns = LEAST[self.layers]
        if self.vertices < rows or self.neighbours < columns:
            raise ValueError(
                f"{self.layers} layers need at least {rows} vertices and {columns} neighbours "
                f"(now {self.vertices} and {self.neighbours})"
            )
        return self


def _build(settings: GraphCnnSettings, **context: Any) -> BuiltEncoder:
    from taxotext.data.graphs import graph_windows
    from taxotext.nn.encoders.graphs import GraphCnn, Stage

    stages = [Stage(*stage) for stage in STAGES[settings.layers]]
    built = build_over_words(
        settings,
        lambda table: GraphCnn(
            table, stages, settings.vertices, settings.neighbours, settings.hidden, settings.dropout
        ),
        **context,
    )
    record, notes = built.record, built.notes
    if context.get("record") is None:
        found, sentences = stop_words(settings.stop_words, built.tokenizer)
        record, notes = {**record, "stop_words": found}, (*notes, *sentences)
    words = record.get("stop_words")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ModelFolderError("encoder.json: stop_words must be a list of words; save the model again.")
    vocabulary = built.tokenizer.vocabulary
    ids = {word: number for number, word in enumerate(vocabulary)}
    left_out = np.zeros(len(vocabulary), dtype=np.bool_)
    left_out[[built.tokenizer.pad_id, _unknown(built.tokenizer), *(ids[word] for word in words if word in ids)]] = True
    arrange = partial(
        graph_windows,
        left_out=left_out,
        vertices=settings.vertices,
        neighbours=settings.neighbours,
        span=settings.window,
        revisit=settings.revisit,
        unknown_id=_unknown(built.tokenizer),
        pad_id=built.tokenizer.pad_id,
    )
    facts = {**built.facts, "stop_words": len(words)}
    return replace(built, record=record, notes=notes, facts=facts, arrange=arrange)


def _unknown(tokenizer: TextTokenizer) -> int:
    return tokenizer.pad_id if tokenizer.unknown_id is None else tokenizer.unknown_id


def stop_words(choice: str, tokenizer: TextTokenizer) -> tuple[list[str], tuple[str, ...]]:
    """Return the words of a vocabulary that are stop words, and sentences for the user.

    Args:
        choice: ``none``; ``english``: the list of scikit-learn; else a file in UTF-8 with one word a line.

    Raises:
        DataError: the file cannot be read, or holds no word.
    """
    if choice == "none":
        return [], ()
    if choice == "english":
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        listed = {str(word) for word in ENGLISH_STOP_WORDS}
        source = "scikit-learn"
    else:
        listed, source = _listed(Path(choice)), Path(choice).name
    found = [word for word in tokenizer.vocabulary if word.lower() in listed]
    return found, (f"Stop words of {source}: {len(found)} of {len(listed)} are in the vocabulary.",)


def _listed(path: Path) -> set[str]:
    from taxotext.data.sources import check_path, open_lines

    check_path(path)
    words = set()
    with open_lines(path, path.name.lower().endswith(".gz")) as lines:
        for number, line in lines:
            try:
                words.add(line.decode("utf-8").strip().lower())
            except UnicodeDecodeError:
                raise DataError(f"{path}:{number}: is not UTF-8; save the file in that encoding.") from None
    if not words - {""}:
        raise DataError(f"{path}: holds no stop word; write one a line, or set encoder.stop_words=none.")
    return words - {""}


register("encoder", GraphCnnSettings, _build)
