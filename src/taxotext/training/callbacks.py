"""What happens between the steps of a gradient training: validation, selection, checkpoints, progress."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor, nn

from taxotext.composition.weights import save_weights
from taxotext.errors import ModelFolderError
from taxotext.files import write_atomically
from taxotext.messages import parameter
from taxotext.nn.heads import Head
from taxotext.progress import Reporter, Task
from taxotext.training.averaging import WeightAverage
from taxotext.training.run import LAST

BEST = "best.safetensors"
SHOWN_REASON = 200
"""Characters of an error of a library that a message repeats."""
SHOWN_EVERY = 20
"""Batches between two looks at the loss on a device that the processor would have to wait for."""


def damaged_checkpoint(path: Path, error: Exception) -> ModelFolderError:
    """What is raised where a training cannot go on from a checkpoint."""
    reason = (str(error).strip().splitlines() or [""])[0][:SHOWN_REASON]
    return ModelFolderError(
        f"{path}: is a damaged checkpoint ({type(error).__name__}: {reason}); remove it, and --resume starts this part "
        f"of the training again, or start over with {parameter('overwrite', True)}."
    )


class AtomicCheckpoints(CheckpointIO):
    """Checkpoints that are there completely or not at all, and load without running anything."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint`` beside ``path`` and move it into place."""
        write_atomically(Path(path), lambda temporary: torch.save(checkpoint, temporary))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read tensors and plain values only.

        Raises:
            ModelFolderError: the file is damaged; a single changed bit is noticed.
        """
        try:
            with zipfile.ZipFile(path) as archive:  # torch writes checksums and does not look at them
                damaged = archive.testzip()
            if damaged is not None:
                raise ValueError(f"{damaged} is not what was written")
            checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # of three libraries
            raise damaged_checkpoint(Path(path), error) from error
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


class EpochCallback(pl.Callback):
    """Validates at the end of each epoch, keeps the best weights, stops early, and saves checkpoints.

    The engine sees all epochs as one long row of batches: then every checkpoint lies between two batches, the one
    place from which a training resumes exactly, and validation, selection and stopping are never half done.

    Setting ``interrupted`` saves a checkpoint behind the current batch and stops there.

    Args:
        network: that is trained.
        validate: () -> validation scores by name.
        monitor: the score that selects; larger is better.
        patience: epochs without a better score before stopping.
        batches_per_epoch: length of an epoch.
        folder: where ``last.ckpt`` and ``best.safetensors`` go.
        seconds: time between checkpoints.
        most_seconds: after an epoch, the training stops where another one would exceed this time; None: no limit.
        average: of the weights at the ends of epochs; from its first epoch on it is what is validated and kept, and
            patience counts from there.
    """

    def __init__(
        self,
        network: nn.Module,
        validate: Callable[[], dict[str, float]],
        *,
        monitor: str,
        patience: int,
        batches_per_epoch: int,
        folder: Path,
        seconds: float,
        most_seconds: float | None = None,
        average: WeightAverage | None = None,
    ) -> None:
        self._network, self._validate = network, validate
        self._monitor, self._patience = monitor, patience
        self._batches_per_epoch, self._folder, self._seconds = batches_per_epoch, folder, seconds
        self._average, self._most_seconds = average, most_seconds
        self.history: list[dict[str, float]] = []
        self.best = -1.0
        self.best_epoch = 0
        self.of_head: dict[str, float] = {}
        self.interrupted = False
        self.started = False
        self.finished = False
        self.take_signals: Callable[[], None] = lambda: None
        self._loss_sum: float | Tensor = 0.0
        self._taken = 0.0
        self._started = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time of the training so far, interrupted parts included."""
        return self._taken + time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        """Everything that selection depends on."""
        return {
            "history": self.history,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "loss_sum": float(self._loss_sum),
            "seconds": self.seconds,
            "head": head.counts() if (head := self._head) is not None else {},
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history, self.best, self.best_epoch = state["history"], state["best"], state["best_epoch"]
        self._loss_sum, self._taken = state["loss_sum"], state["seconds"]
        self._started = time.monotonic()
        if (head := self._head) is not None:
            head.restore_counts(state.get("head", {}))
        if self._average is not None and state.get("average") is not None:
            self._average.load_state_dict(state["average"])

    @property
    def selected(self) -> str:
        """Which weights were kept, in words."""
        kept = f"epoch {self.best_epoch} of {len(self.history)}"
        if self._average is not None and self.best_epoch > self._average.first:
            kept += f" (mean of the weights of epochs {self._average.first} to {self.best_epoch})"
        return f"{kept} by validation {self._monitor}"

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take back the signals that the engine has taken."""
        self.started = True
        self.take_signals()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Close the epoch if this was its last batch, and save when it is time."""
        # Summed where it lies: to read it, the processor would have to wait for the device.
        self._loss_sum = self._loss_sum + _loss(trainer, outputs)
        if (batch_idx + 1) % self._batches_per_epoch == 0:
            self._end_epoch(trainer, module)
        if batch_idx + 1 == trainer.num_training_batches or trainer.should_stop:
            self.finished = True
            return
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # gradients that wait for the next step are not part of a checkpoint
        # Each process has a clock and signals of its own, and all of them save and stop together.
        self.interrupted = _any(trainer, self.interrupted)
        if self.interrupted or _any(trainer, time.monotonic() - self._saved >= self._seconds):
            trainer.save_checkpoint(self._folder / LAST)
            self._saved = time.monotonic()
            trainer.should_stop = self.interrupted

    def _end_epoch(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        epoch = len(self.history) + 1
        if self._average is None or epoch < self._average.first:
            self._validate_and_keep(trainer, epoch)
            return
        self._average.add(self._network)
        with self._average.in_place(self._network):
            self._validate_and_keep(trainer, epoch)

    def _validate_and_keep(self, trainer: pl.Trainer, epoch: int) -> None:
        """Validate the weights that the network has now, keep them if they are the best, and stop if it is time."""
        scores = self._validate()
        if trainer.world_size > 1:  # all select by the scores of process 0, also where others round differently
            scores = trainer.strategy.broadcast(scores)
            self._loss_sum = trainer.strategy.reduce(torch.as_tensor(self._loss_sum), reduce_op="mean")
        loss, self._loss_sum = float(self._loss_sum) / self._batches_per_epoch, 0.0
        self.history.append({"epoch": epoch, "loss": loss, **scores, **self._of_head()})
        # While no epoch has scored above 0 the latest one is kept: the first says nothing, and training goes on.
        if scores[self._monitor] > self.best or self.best <= 0:
            self.best, self.best_epoch = scores[self._monitor], epoch
            if trainer.is_global_zero:
                save_weights(self._network, self._folder / BEST)
        elif epoch - max(self.best_epoch, 0 if self._average is None else self._average.first - 1) >= self._patience:
            trainer.should_stop = True
        over = self._most_seconds is not None and self.seconds * (epoch + 1) / epoch > self._most_seconds
        if self._most_seconds is not None and _any(trainer, over):
            trainer.should_stop = True
        for logger in trainer.loggers:
            named = {f"validation/{name}": score for name, score in scores.items()}
            logger.log_metrics({"epoch": epoch, "loss": loss, **named, **self.of_head}, step=trainer.global_step)
            logger.save()

    @property
    def _head(self) -> Head | None:
        head = getattr(self._network, "head", None)
        return head if isinstance(head, Head) else None

    def _of_head(self) -> dict[str, float]:
        self.of_head = head.metrics() if (head := self._head) is not None else {}
        return self.of_head


class Bar(pl.Callback):
    """Documents per second, loss, validation score and time left, through the reporter."""

    def __init__(
        self, reporter: Reporter, callback: EpochCallback, monitor: str, documents: int, epochs: int, title: str
    ) -> None:
        self._reporter, self._callback = reporter, callback
        self._monitor, self._documents, self._epochs, self._title = monitor, documents, epochs, title
        self._context: Any = None
        self._task: Task | None = None
        self._smooth: Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the bar; a resumed training starts where it stopped."""
        share = trainer.fit_loop.epoch_loop.batch_progress.current.completed / max(trainer.num_training_batches, 1)
        total = self._documents * self._epochs
        self._context = self._reporter.task(self._title, total, done=int(share * total))
        self._task = self._context.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        if self._task is None:
            return
        loss = _loss(trainer, outputs)
        self._smooth = loss if self._smooth is None else 0.98 * self._smooth + 0.02 * loss
        if batch_idx % SHOWN_EVERY and loss.device.type != "cpu":
            self._task.advance(len(batch))
            return
        history = self._callback.history
        fields: dict[str, float | str] = {"epoch": f"{min(len(history) + 1, self._epochs)}/{self._epochs}"}
        fields["loss"] = float(self._smooth)
        if history:
            fields |= {self._monitor: history[-1][self._monitor], **self._callback.of_head}
        self._task.show(**fields)
        self._task.advance(len(batch))

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Close the bar, also after an error."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = self._task = None


def _any(trainer: pl.Trainer, here: bool) -> bool:
    """Whether something holds in any of the processes that train together."""
    return here if trainer.world_size == 1 else bool(trainer.strategy.reduce_boolean_decision(here, all=False))


def _loss(trainer: pl.Trainer, outputs: Any) -> Tensor:
    """Loss of a batch; the engine hands it out divided by the number of batches of a step."""
    loss: Tensor = outputs["loss"].detach() * trainer.accumulate_grad_batches
    return loss
