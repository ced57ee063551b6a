"""Recipe ``gradient``: one network, trained on all documents."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from taxotext.composition.neural import NeuralSystem
from taxotext.cost.memory import check_memory
from taxotext.data import Corpus
from taxotext.data.windows import Windows
from taxotext.decoding import Decoder, Decoding
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import DataError
from taxotext.metrics import Evaluation
from taxotext.nn.runtime import Runtime
from taxotext.progress import Reporter
from taxotext.training import network
from taxotext.training.network import NetworkTask, train_network
from taxotext.training.result import FitResult
from taxotext.training.run import RunFolder
from taxotext.training.states import PROGRESS, keep_states

STATES = (*network.STATES, f"*{PROGRESS}")
"""Files in ``checkpoints`` without which there is nothing to continue from."""
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
    task = NetworkTask(
        system.network,
        windows,
        train.known_targets,
        validator(system, held, validation, runtime, kept.get("validation")),
        system.settings.training,
        system.settings.seed,
        system.tokenizer.pad_id,
        train.weights,
        kept.get("train"),
        system.pretrained_parameters(),
    )
    encoding = time.monotonic() - started
    trained = train_network(task, run.checkpoints, run.logs, runtime, reporter)
    started = time.monotonic()
    with reporter.task("Scoring the validation documents", len(validation)) as bar:
        blocks = system.score_windows(held, runtime, bar.advance, kept.get("validation"))
        held_out = HeldOut.from_blocks(blocks, validation.known_targets, validation.source, texts=validation.texts)
    return FitResult(
        held_out,
        trained.seconds + encoding + time.monotonic() - started,
        trained.history,
        trained.selected,
        {"cut_training_texts": int(windows.cut.sum()), "precision": "bf16" if runtime.bf16 else "float32"},
    )


def _note_cut(system: NeuralSystem, cut: int, documents: int, reporter: Reporter) -> None:
    text = system.settings.text
    if cut:
        reporter.note(
            f"{cut} of {documents} training texts are longer than is read "
            f"(text.max_tokens={text.max_tokens}, text.long_text={text.long_text}); the rest of them is not seen."
        )


def validator(
    system: NeuralSystem,
    windows: Windows,
    validation: Corpus,
    runtime: Runtime,
    kept: NDArray[np.float16] | None = None,
) -> Callable[[], dict[str, float]]:
    """Return what scores the validation documents with the present weights, at the threshold 0.5 and consistent as set.

    Args:
        system: whose network is trained.
        windows: of the validation documents.
        validation: their gold labels.
        runtime: where to compute.
        kept: states of a frozen encoder for ``windows``, or None.
    """
    gold = validation.known_targets
    decoder = Decoder(Decoding(consistency=system.settings.decoding.consistency), system.taxonomy)

    def validate() -> dict[str, float]:
        evaluation, row = Evaluation(gold.shape[1], closure=system.taxonomy.closure, ks=(1, 5)), 0
        for block in system.score_windows(windows, runtime, states=kept):
            sets, consistent = decoder.decode(block)
            candidates = block.candidates if block.is_sparse else None
            evaluation.update(gold[row : row + len(block)], sets, decoder.rank(consistent, 5)[0], candidates)
            row += len(block)
        scores = evaluation.compute()
        return {name: float(scores[name]) for name in (*MONITORED, *OF_CANDIDATES) if name in scores}

    return validate
