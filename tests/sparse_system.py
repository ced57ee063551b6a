"""Two small systems for tests: one that scores a few candidates, one that decides on label sets itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from scipy.sparse import csr_array

from taxotext.composition.base import Progress, System, SystemSettings, block_starts
from taxotext.data import Corpus
from taxotext.decoding import ScoreBlock
from taxotext.decoding.heldout import HeldOut
from taxotext.files.json_files import read_json
from taxotext.labels import Taxonomy
from taxotext.models import registry

BLOCK = 16


class FewCandidates(System):
    """The labels that stood beside the words of a text in training are its candidates.

    The score of a label is the largest share of training documents with one of the words that have the label.
    """

    name: ClassVar[str] = "few_candidates"
    Settings: ClassVar[type[SystemSettings]] = SystemSettings
    recipe: ClassVar[str] = "direct"
    cross_fits: ClassVar[bool] = True

    def __init__(self, settings: Any, taxonomy: Taxonomy) -> None:
        super().__init__(settings, taxonomy)
        self.shares: dict[str, dict[int, float]] = {}

    def fits(self, train: Corpus, validated: bool) -> int:
        return 1

    def fit(self, train: Corpus, validation: Corpus | None, progress: Progress) -> HeldOut:
        found: dict[str, list[int]] = {}
        targets = train.known_targets
        for row, text in enumerate(train.texts):
            for word in set(text.split()):
                found.setdefault(word, []).append(row)
        for word, rows in found.items():
            counts = np.bincount(targets[np.asarray(rows)].indices, minlength=1) / len(rows)
            self.shares[word] = {int(label): round(float(counts[label]), 6) for label in np.flatnonzero(counts)}
        progress(1)
        held_out = validation or train
        return HeldOut.from_blocks(
            self.scores(held_out.texts), held_out.known_targets, held_out.source, texts=held_out.texts
        )

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[Any]:
        for part in block_starts(len(texts), BLOCK):
            yield self._block(texts[part])
            if progress is not None:
                progress(len(texts[part]))

    def _block(self, texts: Sequence[str]) -> Any:
        """A sparse array as it is: what systems of other packages yield is accepted."""
        rows, columns, values = [], [], []
        for row, text in enumerate(texts):
            best: dict[int, float] = {}
            for word in text.split():
                for label, share in self.shares.get(word, {}).items():
                    best[label] = max(best.get(label, 0.0), share)
            rows += [row] * len(best)
            columns += list(best)
            values += list(best.values())
        shape = (len(texts), len(self.taxonomy))
        return csr_array(
            (np.asarray(values, np.float32), (np.asarray(rows, int), np.asarray(columns, int))), shape=shape
        )

    def save_parts(self, folder: Path) -> None:
        (folder / "vocabulary.json").write_text(json.dumps(self.shares), encoding="utf-8")

    @classmethod
    def load_parts(cls, folder: Path, settings: Any, taxonomy: Taxonomy) -> Self:
        system = cls(settings, taxonomy)
        content = read_json(folder / "vocabulary.json", dict)
        system.shares = {word: {int(label): share for label, share in own.items()} for word, own in content.items()}
        return system

    def facts(self) -> dict[str, Any]:
        return {"parameters": sum(map(len, self.shares.values()))}


class DecidesItself(FewCandidates):
    """The label set of a text are its candidates with a score of 0.05 or more."""

    name: ClassVar[str] = "decides_itself"
    decides_sets: ClassVar[bool] = True
    LEAST: ClassVar[float] = 0.05

    def _block(self, texts: Sequence[str]) -> Any:
        scores = super()._block(texts)
        rows, columns = scores.nonzero()
        chosen = scores.data >= self.LEAST
        sets = csr_array((np.ones(chosen.sum(), bool), (rows[chosen], columns[chosen])), shape=scores.shape)
        return ScoreBlock(scores, sets)


@pytest.fixture
def sparse_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put both into the registry, also for the command line in this process."""
    entries = [
        registry.Entry(kind.name, "of the tests", f"sparse_system:{kind.__name__}")
        for kind in (FewCandidates, DecidesItself)
    ]
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, *entries))
