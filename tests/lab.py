"""An experiment on the tiny corpus, computed in the test process: what a run leaves, in a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taxotext.data import write_jsonl
from taxotext.experiments.cell_process import FIT, SPEED
from taxotext.experiments.cells import Cell, make_cells
from taxotext.experiments.folder import ExperimentFolder
from taxotext.experiments.settings import ExperimentSettings, parse_experiment
from taxotext.experiments.status import Status
from taxotext.experiments.worker import DONE, run_stage
from taxotext.labels import write_taxonomy
from taxotext.settings import overlaid
from tiny import tiny_corpus

SYSTEMS: dict[str, Any] = {
    "linear": {"model": "linear", "settings": {"features": {"min_documents": 1}}},
    "loose": {"model": "linear", "settings": {"features": {"min_documents": 1}, "classifier": {"c": 30}}},
}


class Lab:
    """Files of the tiny corpus in ``folder``, and experiments on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        corpus = tiny_corpus()
        write_jsonl(corpus, folder / "train.jsonl")
        write_jsonl(tiny_corpus(count=20, seed=6), folder / "validation.jsonl")
        write_jsonl(tiny_corpus(count=30, seed=7), folder / "test.jsonl")
        write_taxonomy(corpus.taxonomy, folder / "taxonomy.tsv")

    def values(self, **changes: Any) -> dict[str, Any]:
        """EXPERIMENT.yaml as a mapping: two systems, two seeds, one corpus."""
        values: dict[str, Any] = {
            "name": "Tiny",
            "data_folder": str(self.folder),
            "systems": SYSTEMS,
            "corpora": {"tiny": {"train": "train.jsonl", "test": "test.jsonl", "taxonomy": "taxonomy.tsv"}},
            "seeds": [1, 2],
            "metrics": ["micro_f1", "macro_f1", "p@1"],
            "baseline": "linear",
            "significance": {"samples": 100},
            "speed": {"documents": 8, "seconds": 0.01},
            "threads": 1,
        }
        return {**values, **changes}

    def settings(self, **changes: Any) -> ExperimentSettings:
        """The same, validated."""
        return parse_experiment(self.values(**changes), "experiment.yaml")

    def cells(self, **changes: Any) -> list[Cell]:
        """Its cells."""
        return make_cells(self.settings(**changes), 1, "experiment.yaml")

    def compute(self, output: Path, stages: Sequence[str] = (FIT, SPEED), **changes: Any) -> ExperimentFolder:
        """What a run does, without its processes."""
        settings, folder = self.settings(**changes), ExperimentFolder(output)
        cells = make_cells(settings, 1, "experiment.yaml")
        with folder.start(settings, cells, resume=True, threads=1):
            for cell in cells:
                place = folder.folder_of(cell)
                place.prepare(cell, settings.speed.model_dump(mode="json"))
                for stage in stages:
                    assert run_stage(place, stage) == DONE, place.failure.read_text()
        return folder


class Notes:
    """An observer that remembers."""

    live = True

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.ends: list[tuple[str, str, str]] = []
        self.shown: list[Status] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def show(self, status: Status) -> None:
        self.shown.append(status)

    def ended(self, cell: Cell, state: str, sentence: str) -> None:
        self.ends.append((cell.title, state, sentence))


def over(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A mapping with changes laid over it."""
    return dict(overlaid(base, changes))
