"""Recipe ``levels``: a network for each level of a label tree, trained one after the other (AttentionXML, section 3.4).

The first level is trained on all of its nodes. For each further one the networks above rank the nodes above it, once:
the children of the best C nodes of a document are its candidates, in training with the gold nodes among them. A level
starts from the encoder and the shared layers of the level above. Each level is a training of its own that resumes; what
is finished is not computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from taxotext.composition.base import block_starts
from taxotext.composition.neural import SCORED_TOGETHER, NeuralSystem
from taxotext.composition.score_collector import ScoreCollector
from taxotext.data import Corpus
from taxotext.data.batches import sorted_plan
from taxotext.data.windows import Windows
from taxotext.decoding import Decoding
from taxotext.decoding.blocks import ScoreBlock
from taxotext.errors import ModelFolderError
from taxotext.files import write_atomically
from taxotext.files.tensors import read_tensors
from taxotext.labels import Taxonomy
from taxotext.metrics.sparse import contains
from taxotext.nn.candidates import Beam
from taxotext.nn.level_head import PARENTS, LevelHead, LevelNetworks
from taxotext.nn.network import TextClassifier
from taxotext.nn.runtime import Runtime
from taxotext.nn.tree_search import as_scores
from taxotext.progress import Reporter
from taxotext.training import gradient, network
from taxotext.training.gradient import Ready, finish, judge, prepare
from taxotext.training.network import NetworkTask, TrainedNetwork, train_network
from taxotext.training.result import FitResult
from taxotext.training.run import RunFolder

LEVEL = "level_{}"
"""Folder of the checkpoints of a level."""
STATES = (*gradient.STATES, *(f"{LEVEL.format('*')}/{state}" for state in network.STATES))
"""Files in ``checkpoints`` without which there is nothing to continue from."""


def fit(
    system: NeuralSystem, train: Corpus, validation: Corpus | None, run: RunFolder, reporter: Reporter
) -> FitResult:
    """Train the levels of ``system`` from the first one down to the labels.

    A head without levels is trained as by the recipe ``gradient``. ``training`` applies to each level;
    ``training.max_minutes`` to all of them together, each getting an equal share of what is left.

    Raises:
        DataError: without training or validation documents, or when the loss is no longer a number.
        ConfigError: when the encoder cannot be loaded or the device is not there.
    """
    if not system.settings.head.level_wise:
        return gradient.fit(system, train, validation, run, reporter)
    ready = prepare(system, train, validation, run, reporter)
    networks = system.network
    assert isinstance(networks, LevelNetworks)
    levels = _Levels(system, networks, ready, train, run, reporter)
    done: list[TrainedNetwork] = []
    for number in range(levels.count):
        done.append(levels.train(number, sum(trained.seconds for trained in done)))
    networks.to(ready.runtime.device)
    summary = "; ".join(
        f"{levels.width(number):,} nodes: {trained.selected} ({trained.best:.4f}), {trained.seconds:.0f} s"
        for number, trained in enumerate(done)
    )
    return finish(system, ready, done[-1], sum(trained.seconds for trained in done), reporter, levels=summary)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best nodes of a level for each of D documents.

    Attributes:
        nodes: int32 (D, C), the most probable first, -1 for none.
        path: float32 (D, C), log-probabilities of their paths.
    """

    nodes: NDArray[np.int32]
    path: NDArray[np.float32]

    def take(self, documents: NDArray[np.int64], device: torch.device) -> Beam:
        """The nodes of some documents."""
        nodes, path = torch.from_numpy(self.nodes[documents]), torch.from_numpy(self.path[documents])
        return Beam(nodes.long().to(device), path.to(device))

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        from safetensors.numpy import save_file

        write_atomically(path, lambda temporary: save_file({"nodes": self.nodes, "path": self.path}, temporary))

    @classmethod
    def read(cls, path: Path, shape: tuple[int, int], width: int) -> Self:
        """Read what :meth:`save` wrote.

        Args:
            shape: (D, C).
            width: nodes of the level.

        Raises:
            ModelFolderError: the file is damaged, or of other documents.
        """
        try:
            tensors, _ = read_tensors(path)
            found = cls(**tensors)
        except (ModelFolderError, TypeError) as error:
            raise ModelFolderError(f"{path}: is damaged ({error}); delete it, and continue with --resume.") from None
        kinds = found.nodes.dtype == np.dtype(np.int32) and found.path.dtype == np.dtype(np.float32)
        inside = found.nodes.shape == found.path.shape == shape and kinds and not np.isnan(found.path).any()
        if not inside or (found.nodes.size and not -1 <= found.nodes.min() <= found.nodes.max() < width):
            raise ModelFolderError(f"{path}: is damaged, or of other documents; delete it, and continue with --resume.")
        return found


def parents_of(documents: NDArray[np.int64], ranked: NDArray[np.int32], gold: csr_array) -> Mapping[str, Tensor]:
    """The nodes whose children are candidates in training: all gold ones, then the best others up to C.

    Args:
        documents: (B,) which of the D.
        ranked: (D, C) nodes, the most probable first, -1 for none.
        gold: csr bool (D, n), gold nodes, ascending in a row.
    """
    own, best = csr_array(gold[documents]), ranked[documents]  # (B, n), (B, C)
    counts, kept = np.diff(own.indptr), best.shape[1]
    rows = np.repeat(np.arange(len(documents)), counts)
    starts = np.arange(len(documents))[:, None] * np.int64(gold.shape[1])
    others = (best >= 0) & ~contains(starts[rows, 0] + own.indices, starts + best)
    places = counts[:, None] + np.cumsum(others, 1) - 1  # of the others, behind the gold ones
    others &= places < kept
    found = np.full((len(documents), max(kept, int(counts.max(initial=0)))), -1, np.int64)
    found[rows, np.arange(len(rows)) - own.indptr[:-1][rows]] = own.indices
    found[np.nonzero(others)[0], places[others]] = best[others]
    return {PARENTS: torch.from_numpy(found[:, : max(1, int((found >= 0).sum(1).max(initial=0)))])}


class _Levels:
    """The trainings of all levels, and the ranked nodes between them."""

    def __init__(
        self,
        system: NeuralSystem,
        networks: LevelNetworks,
        ready: Ready,
        train: Corpus,
        run: RunFolder,
        reporter: Reporter,
    ) -> None:
        self.system, self.networks, self.ready, self.run, self.reporter = system, networks, ready, run, reporter
        self.train_corpus = train
        self.count = len(networks.head.levels)
        self.gold_of_train = cache(
            partial(self.gold, train)
        )  # of a level: its targets, and what the next one starts from

    def width(self, number: int) -> int:
        """Nodes of a level."""
        return self.networks.head.tree.width(number)

    def gold(self, corpus: Corpus, number: int) -> csr_array:
        """Gold nodes of a level, csr bool (D, n); of the last one the labels."""
        targets = corpus.known_targets
        if number == self.count - 1:
            return targets
        members = self.networks.head.tree.whole().members(number)  # csr (n, N)
        found = csr_array(targets.astype(np.int32) @ members.astype(np.int32).T)
        found.data = np.ones(found.nnz, np.bool_)
        found.sort_indices()
        return found.astype(np.bool_)

    def train(self, number: int, seconds: float) -> TrainedNetwork:
        """Train a level, whose levels above are trained.

        Args:
            number: from 0.
            seconds: that the levels above took.
        """
        system, ready, settings = self.system, self.ready, self.system.settings.training
        self.networks.to(ready.runtime.device)
        ranked: Ranked | None = None
        held: Ranked | None = None
        extra = None
        if number:
            ranked = self.ranked("train", ready.windows, number - 1)
            held = self.ranked("validation", ready.held, number - 1)
            self.networks.start_level(number)
            extra = partial(parents_of, ranked=ranked.nodes, gold=self.gold_of_train(number - 1))
        level = self.networks.level(number)
        level.train()
        last = number == self.count - 1
        gold = self.gold(ready.validation, number)
        taxonomy = system.taxonomy if last else Taxonomy.flat(map(str, range(self.width(number))))
        decoding = Decoding(consistency=system.settings.decoding.consistency if last else "none")
        task = NetworkTask(
            level,
            ready.windows,
            self.gold_of_train(number),
            lambda: judge(self.blocks(level, held), gold, taxonomy, decoding),
            settings.model_copy(update={"max_minutes": self._minutes(number, seconds)}),
            system.settings.seed + number,
            system.tokenizer.pad_id,
            self.train_corpus.weights,
            ready.states.get("train"),
            system.pretrained_parameters(),
            f"Level {number + 1} of {self.count}, {self.width(number):,} {'labels' if last else 'nodes'}",
            extra,
        )
        name = LEVEL.format(number)
        return train_network(task, self.run.checkpoints / name, self.run.logs / name, ready.runtime, self.reporter)

    def _minutes(self, number: int, seconds: float) -> float | None:
        limit = self.system.settings.training.max_minutes
        return None if limit is None else max(limit - seconds / 60, 0.01) / (self.count - number)

    def ranked(self, name: str, windows: Windows, number: int) -> Ranked:
        """The best nodes of a trained level for the training or validation documents; computed once, kept in a file."""
        path = self.run.checkpoints / LEVEL.format(number) / f"{name}.ranked.safetensors"
        kept = min(self.networks.head.search.beam, self.width(number))
        if path.is_file():
            return Ranked.read(path, (len(windows), kept), self.width(number))
        above = self.ranked(name, windows, number - 1) if number else None
        found = Ranked(np.full((len(windows), kept), -1, np.int32), np.full((len(windows), kept), -np.inf, np.float32))
        with self.reporter.task(f"Ranking the nodes of level {number + 1}", len(windows)) as bar:
            level, every = self.networks.level(number), slice(0, len(windows))
            for documents, beam in self.beams(level, windows, every, self.ready.states.get(name), above):
                best = beam.best(kept)
                size = best.nodes.shape[1]
                order = best.path.argsort(1, descending=True)
                found.nodes[documents, :size] = best.nodes.gather(1, order).cpu().numpy()
                found.path[documents, :size] = best.path.gather(1, order).float().cpu().numpy()
                bar.advance(len(documents))
        found.save(path)
        return found

    def blocks(self, level: TextClassifier, parents: Ranked | None) -> Iterator[ScoreBlock]:
        """Scores of the validation documents for the nodes of a level."""
        windows, states = self.ready.held, self.ready.states.get("validation")
        head = level.head
        assert isinstance(head, LevelHead)
        for part in block_starts(len(windows), SCORED_TOGETHER):
            collected = ScoreCollector(part.stop - part.start, self.width(head.level))
            for documents, beam in self.beams(level, windows, part, states, parents):
                collected.add(documents - part.start, as_scores(beam))
            yield collected.block()

    def beams(
        self,
        level: TextClassifier,
        windows: Windows,
        part: slice,
        states: NDArray[np.float16] | None,
        parents: Ranked | None,
    ) -> Iterator[tuple[NDArray[np.int64], Beam]]:
        """Scored nodes of a level for some of the documents, in batches of similar length."""
        runtime: Runtime = self.ready.runtime
        head: Any = level.head
        was_training = level.training
        level.to(runtime.device).eval()
        size = 2 * self.system.settings.training.batch_size
        costs, counts = windows.costs[part], np.diff(windows.first)[part]
        for rows in sorted_plan(costs, counts, size):
            documents = rows + part.start
            with torch.inference_mode(), runtime.autocast(training=False):
                batch = self.system.batch(windows, documents, states).to(runtime.device)
                above = None if parents is None else parents.take(documents, runtime.device)
                beam = head.beam(level.features(batch), above)
            yield documents, beam
        level.train(was_training)
