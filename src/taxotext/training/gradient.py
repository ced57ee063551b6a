"""Recipe ``gradient``: one network, trained by Lightning on batches of similar length."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import CSVLogger, Logger

from taxotext.composition.neural import NeuralSystem, load_weights
from taxotext.cost.memory import check_memory
from taxotext.cost.network import device_free
from taxotext.data import Corpus
from taxotext.data.windows import Windows
from taxotext.decoding import Decoder, Decoding, top_k
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import ConfigError, DataError
from taxotext.metrics import Evaluation
from taxotext.nn.runtime import Runtime
from taxotext.progress import Reporter
from taxotext.training.averaging import WeightAverage, refresh_norms
from taxotext.training.callbacks import BEST, AtomicCheckpoints, Bar, EpochCallback
from taxotext.training.loader import TrainingLoader
from taxotext.training.module import TextModule
from taxotext.training.result import FitResult
from taxotext.training.run import LAST, RunFolder

log = logging.getLogger("taxotext")


def fit(
    system: NeuralSystem, train: Corpus, validation: Corpus | None, run: RunFolder, reporter: Reporter
) -> FitResult:
    """Train the network of ``system``, keep the epoch that the validation score selects.

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
    loss = system.loss(train)
    system.network.train()  # pretrained encoders come with dropout switched off
    if system.settings.runtime.check_memory:
        check_memory(system.memory(train, validation), device_free=device_free(system))
    windows = system.windows(train.texts)
    _note_cut(system, int(windows.cut.sum()), len(train), reporter)
    settings = system.settings.training
    loader = TrainingLoader(
        windows,
        train.known_targets,
        train.weights,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        seed=system.settings.seed,
        pad_id=system.tokenizer.pad_id,
    )
    conductor = EpochCallback(
        system,
        _validator(system, validation, runtime),
        monitor=settings.monitor,
        patience=settings.patience,
        batches_per_epoch=loader.batches_per_epoch,
        folder=run.checkpoints,
        seconds=60 * settings.checkpoint_minutes,
        average=_average(system, windows, runtime),
    )
    bar = Bar(reporter, conductor, settings.monitor, len(train), settings.epochs)
    module = TextModule(system, loss, math.ceil(len(loader) / settings.accumulate))
    with _stopped_by_interrupt(conductor):
        _train(module, loader, [conductor, bar], system, runtime, run)
    load_weights(system.network, run.checkpoints / BEST)
    started = time.monotonic()
    with reporter.task("Scoring the validation documents", len(validation)) as task:
        blocks = system.scores(validation.texts, progress=task.advance)
        held_out = HeldOut.from_blocks(blocks, validation.known_targets, validation.source)
    log.info("Kept %s (%.4f).", conductor.selected, conductor.best)
    return FitResult(
        held_out,
        conductor.seconds + time.monotonic() - started,
        conductor.history,
        conductor.selected,
        {"cut_training_texts": int(windows.cut.sum()), "precision": "bf16" if runtime.bf16 else "float32"},
    )


def _average(system: NeuralSystem, windows: Windows, runtime: Runtime) -> WeightAverage | None:
    settings = system.settings.training
    if settings.averaging == "none":
        return None
    first = int(settings.averaging_start * settings.epochs) + 1
    return WeightAverage(first, lambda: refresh_norms(system, windows, runtime))


def _note_cut(system: NeuralSystem, cut: int, documents: int, reporter: Reporter) -> None:
    text = system.settings.text
    if cut:
        reporter.note(
            f"{cut} of {documents} training texts are longer than is read "
            f"(text.max_tokens={text.max_tokens}, text.long_text={text.long_text}); the rest of them is not seen."
        )


def _validator(system: NeuralSystem, validation: Corpus, runtime: Runtime) -> Any:
    windows = system.windows(validation.texts)
    gold = validation.known_targets
    decoder = Decoder(Decoding(), system.taxonomy)

    def validate() -> dict[str, float]:
        evaluation, row = Evaluation(gold.shape[1], closure=system.taxonomy.closure, ks=(1, 5)), 0
        for block in system.score_windows(windows, runtime):
            evaluation.update(gold[row : row + len(block)], decoder.sets(block), top_k(block, 5)[0])
            row += len(block)
        scores = evaluation.compute()
        names = (
            "micro_f1",
            "macro_f1",
            "weighted_f1",
            "samples_f1",
            "set_accuracy",
            "hierarchical_micro_f1",
            "p@1",
            "ndcg@5",
        )
        return {name: float(scores[name]) for name in names}

    return validate


def _train(
    module: TextModule,
    loader: TrainingLoader,
    callbacks: list[pl.Callback],
    system: NeuralSystem,
    runtime: Runtime,
    run: RunFolder,
) -> None:
    settings = system.settings.training
    last = run.checkpoints / LAST
    with _quiet_engine():
        trainer = pl.Trainer(
            accelerator={"cuda": "gpu"}.get(runtime.device.type, runtime.device.type),
            devices=[runtime.device.index or 0] if runtime.device.type == "cuda" else 1,
            precision="bf16-mixed" if runtime.bf16 else "32-true",
            max_epochs=1,  # all epochs are one row of batches: see EpochCallback
            limit_val_batches=0,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.clip or None,
            callbacks=callbacks,
            logger=_loggers(run.logs),
            plugins=[AtomicCheckpoints()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            deterministic=runtime.device.type == "cpu",
        )
        try:
            trainer.fit(module, loader, ckpt_path=str(last) if last.is_file() else None)
        except torch.OutOfMemoryError as error:
            raise ConfigError(
                f"The device ran out of memory; lower training.batch_size (now {settings.batch_size}) and raise "
                "training.accumulate in return, or lower text.max_tokens."
            ) from error
    system.network.to(runtime.device)


def _loggers(folder: Path) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(str(folder), name="csv")]
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        loggers.append(TensorBoardLogger(str(folder), name="tensorboard"))
    except ModuleNotFoundError:
        log.info("No TensorBoard logs: install them with `pip install 'taxotext[track]'`.")
    return loggers


@contextmanager
def _quiet_engine() -> Iterator[None]:
    """Keep the engine's announcements off the screen, and its global switch for determinism to itself."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    deterministic = torch.are_deterministic_algorithms_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Its advice (worker processes, log intervals) does not apply to batches made in memory.
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _stopped_by_interrupt(conductor: EpochCallback) -> Iterator[None]:
    """Let the first Ctrl-C save a checkpoint and stop behind the current batch; a second one stops at once.

    The engine's own answer would end the process and leave Ctrl-C ignored for good.

    Raises:
        KeyboardInterrupt: when the training was stopped before its end.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        conductor.interrupted = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if conductor.interrupted and not conductor.finished:
        raise KeyboardInterrupt
