"""Recipe ``gradient``: one network, trained on all documents."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from taxotext.composition.base import Progress
from taxotext.composition.neural import NeuralSystem
from taxotext.cost.memory import check_memory
from taxotext.data import Corpus
from taxotext.data.windows import Windows
from taxotext.decoding import Decoder, Decoding
from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import DataError
from taxotext.labels import Taxonomy
from taxotext.metrics import Evaluation
from taxotext.nn.node_scorers import NodeScorer
from taxotext.nn.runtime import Runtime
from taxotext.nn.tree_search import TreeSearch
from taxotext.progress import Reporter
from taxotext.training import network
from taxotext.training.network import NetworkTask, TrainedNetwork, train_network
from taxotext.training.result import FitResult
from taxotext.training.run import RunFolder
from taxotext.training.states import PROGRESS, keep_states

STATES = (*network.STATES, f"*{PROGRESS}")
"""Files in ``checkpoints`` without which there is nothing to continue from."""
SHARES_OUT = "devices"
"""What its work can be shared out by."""
MONITORED = (
    "micro_f1",
    "macro_f1",
    "weighted_f1",
    "samples_f1",
    "set_accuracy",
    "hierarchical_micro_f1",
    "p@1",
    "ndcg@5",
)
"""Validation scores of each epoch."""
EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Powers of the probabilities of paths that are tried (``head.score=mixed``)."""
OF_CANDIDATES = ("candidate_recall",)
"""Further ones of systems that score candidates only."""


def fit(
    system: NeuralSystem, train: Corpus, validation: Corpus | None, run: RunFolder, reporter: Reporter
) -> FitResult:
    """Train the network of ``system``, keep the epoch that the validation score selects.

    Where the encoder is frozen its states are computed once, kept in files of the run, and the rest is trained on them.

    Raises:
        DataError: without training or validation documents, or when the loss is no longer a number.
        ConfigError: when the encoder cannot be loaded or the device is not there.
    """
    ready = prepare(system, train, validation, run, reporter)
    task = NetworkTask(
        system.network,
        ready.windows,
        train.known_targets,
        lambda: validation_metrics(system, ready),
        system.settings.training,
        system.settings.seed,
        system.tokenizer.pad_id,
        train.weights,
        ready.states.get("train"),
        system.pretrained_parameters(),
    )
    trained = train_network(task, run.checkpoints, run.logs, ready.runtime, reporter, run.parallel)
    return finish(system, ready, trained, trained.seconds, reporter)


@dataclass(frozen=True, eq=False)
class Ready:
    """A system whose network is built, and what it reads."""

    runtime: Runtime  # device and precision
    windows: Windows  # of the training documents
    held: Windows  # of the validation documents
    validation: Corpus  # the validation documents
    # of a frozen encoder, for `train` and `validation`; empty where the encoder is trained
    states: dict[str, NDArray[np.float16]]
    seconds: float  # that the states took


def prepare(
    system: NeuralSystem, train: Corpus, validation: Corpus | None, run: RunFolder, reporter: Reporter
) -> Ready:
    """Build the network and make what it reads of the documents.

    Raises:
        As :func:`fit`.
    """
    if validation is None or len(validation) == 0 or len(train) == 0:
        raise DataError(f"{system.name} needs training and validation documents; one of the two is empty.")
    runtime = system.runtime()
    torch.manual_seed(system.settings.seed)
    reporter.note(system.first_step)
    system.build(train)
    for note in system.notes:
        reporter.note(note)
    system.network.train()  # pretrained encoders come with dropout switched off
    if system.settings.runtime.check_memory:
        check_memory(system.memory(train, validation), device_free=system.device_free())
    windows, held = system.windows(train.texts), system.windows(validation.texts)
    _note_cut(system, int(windows.cut.sum()), len(train), reporter)
    started = time.monotonic()
    kept = keep_states(system, {"train": windows, "validation": held}, run.checkpoints, reporter)
    return Ready(runtime, windows, held, validation, kept, time.monotonic() - started)


def finish(
    system: NeuralSystem, ready: Ready, trained: TrainedNetwork, seconds: float, reporter: Reporter, **notes: Any
) -> FitResult:
    """Score the validation documents with the selected weights, after what is left to choose on them is chosen.

    Args:
        system: trained.
        ready: what it was trained with.
        trained: how the training of its network, or of the last one, went.
        seconds: of all trainings.
        reporter: where progress goes.
        notes: further ones for the model card.
    """
    started = time.monotonic()
    validation = ready.validation
    notes |= complete(system, ready)
    with reporter.task("Scoring the validation documents", len(validation)) as bar:
        blocks = validation_blocks(system, ready, bar.advance)
        held_out = HeldOut.from_blocks(blocks, validation.known_targets, validation.source, texts=validation.texts)
    cut, precision = int(ready.windows.cut.sum()), "bf16" if ready.runtime.bf16 else "float32"
    return FitResult(
        held_out,
        seconds + ready.seconds + time.monotonic() - started,
        trained.history,
        trained.selected,
        {"cut_training_texts": cut, "precision": precision, **notes},
    )


def complete(system: NeuralSystem, ready: Ready) -> dict[str, Any]:
    """Make a trained network what it is used as: precision of label tables, power of the paths above labels, search.

    The power (:class:`TreeSearch`) is chosen where the settings leave it open: each of :data:`EXPONENTS` is tried on
    the validation documents; of equal scores the one nearest to 1 is taken.

    Returns:
        Notes for the model card.
    """
    settings, search = getattr(system.settings, "head", None), getattr(system.network.head, "search", None)
    if settings is None or not isinstance(search, TreeSearch):
        return {}
    for scorer in system.network.modules():
        if isinstance(scorer, NodeScorer):
            scorer.narrow(getattr(torch, settings.table_precision))
    notes = {}
    if search.tuned:
        notes["path_exponent"] = _best_exponent(search, system, ready)
        search.exponent.fill_(notes["path_exponent"])
    settings.search_in(system.network.head)
    return notes


def _best_exponent(search: TreeSearch, system: NeuralSystem, ready: Ready) -> float:
    """Of :data:`EXPONENTS`. Two searches are enough: the beam is the same for all β, and σ(z) P^β lies between them."""

    def scored(exponent: float) -> list[ScoreBlock]:
        search.exponent.fill_(exponent)
        return list(validation_blocks(system, ready))

    alone, products, found = scored(0.0), scored(1.0), []
    for exponent in EXPONENTS:
        blocks = (_between(*both, exponent) for both in zip(alone, products, strict=True))
        found.append((validation_metrics(system, ready, blocks)[system.settings.training.monitor], exponent))
    return max(found)[1]


def _between(alone: ScoreBlock, product: ScoreBlock, exponent: float) -> ScoreBlock:
    """s₀^(1 − β) s₁^β = σ(z) P^β of the same candidates."""
    scores = product.candidates.copy()
    scores.data = alone.candidates.data ** (1 - exponent) * scores.data**exponent
    return ScoreBlock(scores)


def _note_cut(system: NeuralSystem, cut: int, documents: int, reporter: Reporter) -> None:
    text = system.settings.text
    if cut:
        reporter.note(
            f"{cut} of {documents} training texts are longer than is read "
            f"(text.max_tokens={text.max_tokens}, text.long_text={text.long_text}); the rest of them is not seen."
        )


def validation_blocks(system: NeuralSystem, ready: Ready, advance: Progress | None = None) -> Iterator[ScoreBlock]:
    """Scores of the validation documents with the present weights; ``advance`` counts them."""
    return system.score_windows(ready.held, ready.runtime, advance, ready.states.get("validation"))


def validation_metrics(
    system: NeuralSystem, ready: Ready, blocks: Iterable[ScoreBlock] | None = None
) -> dict[str, float]:
    """Metrics of the validation documents, at the threshold 0.5 and consistent as set.

    Args:
        system: a network with the present weights.
        ready: what it is trained with.
        blocks: scores of the documents; None: of the present weights.
    """
    found = validation_blocks(system, ready) if blocks is None else blocks
    decoding = Decoding(consistency=system.settings.decoding.consistency)
    return judge(found, ready.validation.known_targets, system.taxonomy, decoding)


def judge(blocks: Iterable[ScoreBlock], gold: csr_array, taxonomy: Taxonomy, decoding: Decoding) -> dict[str, float]:
    """Metrics of the validation documents that an epoch is judged by.

    Args:
        blocks: scores of the documents, in order.
        gold: csr bool (D, N).
        taxonomy: of the N labels.
        decoding: from scores to label sets.
    """
    decoder = Decoder(decoding, taxonomy)
    evaluation, row = Evaluation(gold.shape[1], closure=taxonomy.closure, ks=(1, 5)), 0
    for block in blocks:
        sets, consistent = decoder.decode(block)
        candidates = block.candidates if block.is_sparse else None
        evaluation.update(gold[row : row + len(block)], sets, decoder.rank(consistent, 5)[0], candidates)
        row += len(block)
    scores = evaluation.compute()
    return {name: float(scores[name]) for name in (*MONITORED, *OF_CANDIDATES) if name in scores}
