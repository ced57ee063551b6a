"""Which fits a label needs: a grid of class weights, or successive halving over them; and what it inherits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.binary.networks import trains_words
from taxotext.binary.reports import wrong_fit, wrong_report
from taxotext.binary.settings import BinarySettings
from taxotext.data import Corpus
from taxotext.labels import Taxonomy
from taxotext.work import Graph, Node, Request, Result

SEARCHED, FALLBACK, CONSTANT = "searched", "fallback", "constant"
FIRST_TABLE = -1
"""Number of the word vectors that labels without parent start from; the others have the number of a label."""
FEWEST = 2
"""Training documents of a label below which its class weight and epoch are taken over from its parent."""

Rung = tuple[int, int]
"""(how many class weights, epoch to train to)."""


def rungs(settings: BinarySettings) -> list[Rung]:
    """The rungs of the search, the last one trained to the end.

    Successive halving (Jamieson and Talwalkar 2016) with epochs as the resource: after each rung one weight in
    ``factor`` goes on, rounded up, from where it is.
    """
    chosen, epochs = settings.weights, settings.training.epochs
    count, found = len(chosen.candidates), []
    if chosen.search == "halving":
        for until in chosen.rungs:
            if until >= epochs or count == 1:
                break
            found.append((count, until))
            count = math.ceil(count / chosen.factor)
    return [*found, (count, epochs)]


@dataclass(frozen=True)
class Files:
    """Where a training along the hierarchy keeps what."""

    folder: Path

    @property
    def shared(self) -> Path:
        """What all fits read."""
        return self.folder / "shared"

    @property
    def ledger(self) -> Path:
        """Results of finished nodes."""
        return self.folder / "done"

    @property
    def states(self) -> Path:
        """States of fits."""
        return self.folder / "fits"

    def state(self, label: int, candidate: int) -> Path:
        """State of the fit of one class weight."""
        return self.states / f"{label}.{candidate}.safetensors"

    def chosen(self, label: int) -> Path:
        """The classifier of a label, its word vectors left out."""
        return self.folder / "chosen" / f"{label}.safetensors"

    def handed_down(self, label: int) -> Path:
        """What children start from where it is not :meth:`chosen`."""
        return self.folder / "chosen" / f"{label}.least.safetensors"

    def table(self, number: int) -> Path:
        """Word vectors."""
        return self.shared / "table.npy" if number == FIRST_TABLE else self.folder / "chosen" / f"{number}.table.npy"


class FitPlan:
    """The graph of fits for a taxonomy.

    Args:
        taxonomy: of N labels.
        positives: (N,) training documents of each label.
        validated: (N,) validation documents of each label.
        documents: training documents.
        files: of the training.
    """

    def __init__(
        self,
        settings: BinarySettings,
        taxonomy: Taxonomy,
        positives: NDArray[np.int64],
        validated: NDArray[np.int64],
        documents: int,
        files: Files,
    ) -> None:
        self.settings, self.taxonomy, self.files = settings, taxonomy, files
        self.positives, self.validated, self.documents = positives, validated, documents
        self.rungs = rungs(settings)
        self.has_tables = settings.body is None
        self.parents: list[list[int]] = [
            taxonomy.parents(label).tolist() if settings.transfer.enabled else [] for label in range(len(taxonomy))
        ]
        self.graph = Graph(node for label in taxonomy.order.tolist() for node in self._nodes(label))
        self.epochs = {key: epochs for label in range(len(taxonomy)) for key, epochs in self._fits(label)}
        """Epochs that each fit of the graph trains at most."""

    @classmethod
    def of(cls, settings: BinarySettings, train: Corpus, validation: Corpus, files: Files) -> FitPlan:
        """The plan for the labels of two corpora with one taxonomy."""
        positives, validated = (
            np.asarray(corpus.known_targets.sum(axis=0), dtype=np.int64).ravel() for corpus in (train, validation)
        )
        return cls(settings, train.taxonomy, positives, validated, len(train), files)

    @property
    def processes(self) -> int:
        """How many fit side by side."""
        return min(self.settings.runtime.cores, max(len(self.epochs), 1))

    def how(self, label: int) -> str:
        """How the class weight and the epoch of a label are found."""
        if self.positives[label] in (0, self.documents):
            return CONSTANT
        few = self.positives[label] < FEWEST
        if self.settings.training.split == "shared":
            few = few or self.validated[label] == 0
        return FALLBACK if few else SEARCHED

    def _fits(self, label: int) -> list[tuple[str, int]]:
        """(key, epochs) of the fits of a label, rung by rung."""
        how = self.how(label)
        if how == CONSTANT:
            return []
        if how == FALLBACK:
            return [(f"{label}.0.0", self.settings.training.epochs)]
        found, before = [], 0
        for number, (count, until) in enumerate(self.rungs):
            found += [(f"{label}.{number}.{place}", until - before) for place in range(count)]
            before = until
        return found

    def _nodes(self, label: int) -> Iterator[Node]:
        above = tuple(str(parent) for parent in self.parents[label])
        if self.how(label) == FALLBACK:
            yield Node(f"{label}.0.0", above, lambda results: self._fallback(label, results))
        elif self.how(label) == SEARCHED:
            needs = above
            for number, (count, until) in enumerate(self.rungs):
                for place in range(count):
                    yield Node(f"{label}.{number}.{place}", needs, self._searched(label, number, place, until))
                needs = (*above, *(f"{label}.{number}.{place}" for place in range(count)))
        yield Node(
            str(label),
            (*above, *(key for key, _ in self._fits(label))),
            lambda results: self._choose(label, results),
            instant=True,
        )

    def _searched(self, label: int, rung: int, place: int, until: int) -> Any:
        """The start of the fit that holds ``place`` on a rung."""

        def start(results: Mapping[str, Result]) -> Request:
            candidates = self.settings.weights.candidates
            candidate = place if rung == 0 else self._ranked(label, rung - 1, results)[place]
            return self._request(label, candidate, candidates[candidate], until, results, select=True)

        return start

    def _ranked(self, label: int, rung: int, results: Mapping[str, Result]) -> list[int]:
        """Candidates of a rung, the best first."""
        reports = [results[f"{label}.{rung}.{place}"] for place in range(self.rungs[rung][0])]
        ranked = sorted(reports, key=_quality, reverse=True)
        return [self.settings.weights.candidates.index(report["weight"]) for report in ranked]

    def _fallback(self, label: int, results: Mapping[str, Result]) -> Request:
        """With nothing to select on: the class weight and the epoch that its parent was chosen with."""
        parent = self._parent(label, results)
        weight, epoch = self.settings.weights.candidates[0], self.settings.training.epochs
        if parent is not None:
            weight, epoch = results[str(parent)]["weight"], max(results[str(parent)]["epoch"], 1)
        return self._request(label, 0, weight, epoch, results, select=False)

    def _request(
        self, label: int, candidate: int, weight: float, until: int, results: Mapping[str, Result], *, select: bool
    ) -> Request:
        parent = self._parent(label, results)
        return Request(
            "binary",
            {
                "folder": str(self.files.shared),
                "label": label,
                "weight": weight,
                "until": until,
                "state": str(self.files.state(label, candidate)),
                "table": str(self.files.table(self._table(parent, results))) if self.has_tables else None,
                "start": None if parent is None else str(self._start(parent)),
                "train_table": self._trains_table(parent),
                "select": select,
            },
        )

    def _parent(self, label: int, results: Mapping[str, Result]) -> int | None:
        """The parent that a label inherits from; those that have no classifier are left out."""
        able = [parent for parent in self.parents[label] if results[str(parent)]["how"] != CONSTANT]
        if not able:
            return None
        rule = self.settings.transfer.parent
        if rule == "best":
            return max(able, key=lambda parent: (results[str(parent)]["f1"], -parent))
        return able[0] if rule == "first" else max(able, key=lambda parent: (self.positives[parent], -parent))

    def _start(self, parent: int) -> Path:
        least = self.settings.transfer.inherit == "least_loss"
        return self.files.handed_down(parent) if least else self.files.chosen(parent)

    def _trains_table(self, parent: int | None) -> bool:
        frozen = parent is not None and self.settings.transfer.freeze_embeddings
        return trains_words(self.settings) and not frozen

    def _table(self, parent: int | None, results: Mapping[str, Result]) -> int:
        return FIRST_TABLE if parent is None else int(results[str(parent)]["table"])

    def _choose(self, label: int, results: Mapping[str, Result]) -> Result:
        """Keep the classifier of the best class weight, and say how it was found."""
        from taxotext.binary.fit import kept_states
        from taxotext.binary.shared import save_array
        from taxotext.nn.label_networks import TABLE

        how = self.how(label)
        parent = None if how == CONSTANT else self._parent(label, results)
        facts = {"how": how, "positives": int(self.positives[label]), "parent": parent, "fits": 0, "seconds": 0.0}
        if how == CONSTANT:
            return {**facts, "weight": 1.0, "f1": 0.0, "epoch": 0, "epochs": 0, "table": FIRST_TABLE}
        reports = [results[key] for key, _ in self._fits(label)]
        # Of each weight only its last report counts: it tells of all epochs before as well, those before a kill too.
        last = {report["weight"]: report for report in reports}
        best = max(last.values(), key=_quality)
        candidate = self.settings.weights.candidates.index(best["weight"]) if how == SEARCHED else 0
        kept, least = kept_states(self.files.state(label, candidate))
        table, own = self._table(parent, results), kept.pop(TABLE, None)
        self.files.chosen(label).parent.mkdir(parents=True, exist_ok=True)
        if own is not None:
            table = label
            save_array(self.files.table(label), own.numpy())
        save_state(self.files.chosen(label), kept)
        if least:
            save_state(self.files.handed_down(label), least)
        return {
            **facts,
            "weight": best["weight"],
            "f1": best["f1"],
            "epoch": best["epoch"],
            "epochs": sum(report["epochs"] for report in last.values()),
            "table": table,
            "fits": len(reports),
            "seconds": round(sum(report["seconds"] for report in last.values()), 3),
        }

    def wrong(self, key: str, result: Result) -> str | None:
        """What is wrong with the result of a node, or None."""
        if not is_fit(key):
            return wrong_fit(result, len(self.taxonomy))
        wrong = wrong_report(result)
        if wrong is None and result["weight"] not in self.settings.weights.candidates:
            return f"weight: {result['weight']} is none of weights.candidates"
        return wrong

    def prune(self, label: int) -> None:
        """Remove the states of the fits of a label that is done."""
        for candidate in range(len(self.settings.weights.candidates)):
            self.files.state(label, candidate).unlink(missing_ok=True)


def _quality(report: Result) -> tuple[float, float, float]:
    """What fits with different class weights are compared by.

    Of equal F1 the one with the higher average precision is better: with few documents a rare label has an F1 of 0
    whatever the weight. Then the smaller weight.
    """
    return report["f1"], report["average_precision"], -report["weight"]


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors as safetensors, completely or not at all."""
    from safetensors.torch import save_file

    from taxotext.files import write_atomically

    stored = {name: value.contiguous() for name, value in state.items()}
    write_atomically(path, lambda temporary: save_file(stored, temporary))


def owner(key: str) -> int:
    """The label that a node of the graph belongs to."""
    return int(key.partition(".")[0])


def is_fit(key: str) -> bool:
    """Whether a node is a fit, not the choice among them."""
    return "." in key
