"""Training of one network: batches of similar length, Lightning, the epoch that validation selects, resumable.

A recipe may train several networks in one run folder, one after the other (level by level, say): each has a folder of
its own, and a call whose network is finished returns at once.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.loggers import CSVLogger, Logger
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import nn

from taxotext.composition.neural_settings import TrainingSettings
from taxotext.composition.weights import load_weights
from taxotext.data.windows import Windows
from taxotext.errors import ConfigError, TaxotextError
from taxotext.files import write_text_atomically
from taxotext.files.json_files import checked
from taxotext.messages import quiet
from taxotext.nn.runtime import Runtime
from taxotext.processes import Terminated
from taxotext.progress import Reporter
from taxotext.training.averaging import WeightAverage, refresh_norms
from taxotext.training.callbacks import BEST, AtomicCheckpoints, Bar, EpochCallback, damaged_checkpoint
from taxotext.training.loader import Extra, TrainingLoader
from taxotext.training.module import TextModule
from taxotext.training.parallel import FollowerEnded, Parallel
from taxotext.training.run import LAST

log = logging.getLogger("taxotext")

FINISHED = "finished.json"
"""Says in the folder of a network that its training is over, and how it went."""
STATES = (LAST, FINISHED)
"""Files in the folder of a network without which there is nothing to continue from."""


@dataclass(frozen=True, eq=False)
class NetworkTask:
    """A network and what it is trained on."""

    network: nn.Module  # `taxotext.nn.batch.TrainingBatch` -> loss, a scalar
    windows: Windows  # of the D training documents
    targets: csr_array  # csr bool (D, N)
    validate: Callable[[], dict[str, float]]  # () -> validation scores by name
    settings: TrainingSettings  # epochs, rates, patience and the score that selects
    seed: int  # of batches and dropout
    pad_id: int  # token of the padding
    weights: NDArray[np.float32] | None = None  # (D,) float32 of the documents, or None
    states: NDArray[np.float16] | None = None  # float16 (tokens, d) of a frozen encoder, or None
    # names of the parameters that learn with `settings.learning_rate`; the others with `head_learning_rate`
    pretrained: Set[str] = frozenset()
    title: str = "Training"  # of the progress bar
    extra: Extra | None = None  # documents (B,) -> what else the head wants to know of them, or None


@dataclass(frozen=True)
class TrainedNetwork:
    """How a training went; the network has the selected weights."""

    history: list[dict[str, float]]  # one mapping an epoch: epoch, loss, validation scores, metrics of the head
    best: float  # validation score of the selected epoch
    selected: str  # which epoch that is and by what score, in words
    seconds: float  # interrupted parts included


def train_network(
    task: NetworkTask,
    folder: Path,
    logs: Path,
    runtime: Runtime,
    reporter: Reporter,
    parallel: Parallel | None = None,
) -> TrainedNetwork:
    """Train a network from where its folder says that it is.

    Args:
        folder: of its checkpoints, one a network.
        logs: of the metrics of each epoch.
        parallel: processes that train it together; None: this one alone.

    Raises:
        FollowerEnded: this is one of the others, and its work is done.
        DataError: the loss is no longer a number.
        ConfigError: the device ran out of memory.
        KeyboardInterrupt: interrupted; a checkpoint is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parallel = parallel or Parallel()
    if (folder / FINISHED).is_file():
        if parallel.follows:
            raise FollowerEnded
        try:
            content = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
            checked(TrainedNetwork, content)
            found = TrainedNetwork(**content)  # not what checking makes of it: epochs stay whole numbers
        except (ValueError, TypeError, RecursionError) as error:
            raise damaged_checkpoint(folder / FINISHED, error) from error
        load_weights(task.network, folder / BEST)
        task.network.to(runtime.device)
        return found
    settings = task.settings
    trainers: list[pl.Trainer] = []  # the loader is made before the trainer, which knows the place of this process
    loader = TrainingLoader(
        task.windows,
        task.targets,
        task.weights,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        seed=task.seed,
        pad_id=task.pad_id,
        states=task.states,
        extra=task.extra,
        place=lambda: (trainers[0].global_rank, trainers[0].world_size),
    )
    callback = EpochCallback(
        task.network,
        task.validate,
        monitor=settings.monitor,
        patience=settings.patience,
        batches_per_epoch=loader.batches_per_epoch,
        folder=folder,
        seconds=60 * settings.checkpoint_minutes,
        most_seconds=None if settings.max_minutes is None else 60 * settings.max_minutes,
        average=_average(task, runtime),
    )
    bar = Bar(reporter, callback, settings.monitor, len(task.windows), settings.epochs, task.title)
    steps = math.ceil(len(loader) / settings.accumulate)
    module = TextModule(task.network, settings, task.seed, steps, task.pretrained)
    try:
        with _stopped_by_signals(callback):
            _run_engine(module, loader, callback, bar, settings, runtime, folder / LAST, logs, parallel, trainers)
    except KeyboardInterrupt:
        if parallel.follows:  # the checkpoint is there; process 0 says so
            raise FollowerEnded from None
        raise
    if parallel.follows:
        raise FollowerEnded
    task.network.to(runtime.device)
    load_weights(task.network, folder / BEST)
    trained = TrainedNetwork(callback.history, callback.best, callback.selected, callback.seconds)
    write_text_atomically(folder / FINISHED, json.dumps(asdict(trained)))
    log.info("Kept %s (%.4f).", trained.selected, trained.best)
    return trained


def _average(task: NetworkTask, runtime: Runtime) -> WeightAverage | None:
    settings = task.settings
    if settings.averaging == "none":
        return None

    def refresh() -> None:
        size, seed = settings.batch_size, task.seed
        refresh_norms(task.network, task.windows, runtime, batch_size=size, seed=seed, pad_id=task.pad_id)

    return WeightAverage(int(settings.averaging_start * settings.epochs) + 1, refresh)


def _run_engine(
    module: TextModule,
    loader: TrainingLoader,
    callback: EpochCallback,
    bar: Bar,
    settings: TrainingSettings,
    runtime: Runtime,
    last: Path,
    logs: Path,
    parallel: Parallel,
    trainers: list[pl.Trainer],
) -> None:
    with _quiet_engine():
        trainer = pl.Trainer(
            accelerator={"cuda": "gpu"}.get(runtime.device.type, runtime.device.type),
            devices=_devices(runtime, parallel),
            num_nodes=parallel.num_nodes,
            strategy=parallel.chosen,
            use_distributed_sampler=False,  # the loader knows the place of its process
            precision="bf16-mixed" if runtime.bf16 else "32-true",
            max_epochs=1,  # all epochs are one row of batches: see EpochCallback
            limit_val_batches=0,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.clip or None,
            callbacks=[callback, bar],
            logger=False if parallel.follows else _loggers(logs),
            plugins=[AtomicCheckpoints()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            deterministic=runtime.device.type == "cpu",
        )
        trainers.append(trainer)
        try:
            trainer.fit(module, loader, ckpt_path=str(last) if last.is_file() else None)
        except torch.OutOfMemoryError as error:
            raise ConfigError(
                f"The device ran out of memory; lower training.batch_size (now {settings.batch_size}) and raise "
                "training.accumulate in return, or lower text.max_tokens."
            ) from error
        except Exception as error:
            if callback.started or not last.is_file() or isinstance(error, (TaxotextError, MemoryError)):
                raise
            raise damaged_checkpoint(last, error) from error


def _devices(runtime: Runtime, parallel: Parallel) -> Any:
    if parallel.several or runtime.device.type != "cuda":
        return parallel.devices
    return [runtime.device.index or 0]


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
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        with quiet("lightning.pytorch", "lightning.fabric"), warnings.catch_warnings():
            # Its advice (worker processes, log intervals) does not apply to batches made in memory.
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)


@contextmanager
def _stopped_by_signals(callback: EpochCallback) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM save a checkpoint and stop behind the current batch; a second one stops at once.

    The engine would end the process at Ctrl-C and leave it ignored for good, and take SIGTERM for the end of a fit.

    Raises:
        KeyboardInterrupt: when the training was stopped before its end; :class:`Terminated` by SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    received: list[int] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        callback.interrupted = True
        restore()

    def take() -> None:
        for number in before:
            signal.signal(number, stop)

    take()
    callback.take_signals = take  # again when the engine, which takes SIGTERM for itself, has started
    try:
        yield
    finally:
        restore()
    if callback.interrupted and not callback.finished:
        raise Terminated if signal.SIGTERM in received else KeyboardInterrupt
