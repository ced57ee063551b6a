"""One small fit: a binary classifier for one label and one class weight, trained to a given epoch.

Its state is one file, written between two epochs, so that it goes on from there after a kill, or when a search has
decided that it is worth going on. Random numbers are a function of (seed, label, epoch, batch): a fit in pieces ends
with the weights of a fit in one go, whatever process computes it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from taxotext.binary.damage import explaining_damage
from taxotext.binary.networks import log_odds
from taxotext.binary.settings import BinarySettings
from taxotext.binary.shared import Documents, Shared, fit_network, load_array, read_shared
from taxotext.data import split_stratified
from taxotext.data.batches import make_batch, shuffled_plan, sorted_plan
from taxotext.data.tokens import TextTokenizer
from taxotext.errors import TrainingError
from taxotext.files import write_atomically
from taxotext.metrics.average_precision import average_precision
from taxotext.nn.batch import gather_states
from taxotext.nn.label_networks import TABLE, LabelNetwork
from taxotext.nn.losses import mean_over_documents
from taxotext.nn.runtime import Runtime, resolve_runtime
from taxotext.settings import parse_settings

OWN_SHARE = 0.15
"""Share of the documents that a label selects on when it has a split of its own (Banerjee et al. 2019, section 4)."""
OUTPUT = ("head.output.weight", "head.output.bias")
NOW, BEST, LEAST, MEAN, SQUARE = "now.", "best.", "least.", "mean.", "square."


def advance(
    *,
    folder: str,
    label: int,
    weight: float,
    until: int,
    state: str,
    table: str | None,
    start: str | None,
    train_table: bool,
    select: bool,
) -> dict[str, Any]:
    """Train one classifier up to an epoch, from where its state file is, and return a report.

    Args:
        folder: shared folder.
        label: index of the label.
        weight: of its positive documents.
        until: epoch to train to; fewer when the validation score stops rising.
        state: file to go on from and to write.
        table: ``.npy`` file of the word vectors to start from; None: the labels share a pretrained encoder.
        start: file of the parent's classifier; None: random weights.
        train_table: whether the word vectors are trained too.
        select: keep the best epoch by ``training.monitor``; False: the last one, for labels that cannot be validated.

    Returns:
        ``weight``; ``f1``, ``average_precision`` and ``loss`` of the kept state on the validation documents, and its
        ``epoch``; ``epochs`` that were trained; ``stopped``: whether more epochs are in vain; ``seconds`` of all
        epochs; ``trains_table``.

    Raises:
        TrainingError: the loss is no longer a number.
        ModelFolderError: a file to go on from cannot be read.
        OSError: the state cannot be written.
    """
    shared = read_shared(Path(folder))
    fit = _Fit(shared, Path(folder), label, weight, train_table)
    fit.begin(None if table is None else Path(table), None if start is None else Path(start))
    path = Path(state)
    progress = fit.load(path) if path.is_file() else Progress()
    settings = fit.settings.training
    saved = time.monotonic()
    while progress.epochs < until and not progress.stopped:
        began = time.monotonic()
        loss = fit.train_epoch(progress.epochs)
        if not np.isfinite(loss):
            raise TrainingError(
                f"The loss of label {fit.name!r} with class weight {weight:g} is {loss} in epoch "
                f"{progress.epochs + 1}; lower training.learning_rate, or set runtime.precision=float32."
            )
        f1, average_precision, validation_loss = fit.validate()
        progress.epochs += 1
        if not select or progress.is_better(settings.monitor, f1, average_precision, validation_loss):
            progress.f1, progress.average_precision = f1, average_precision
            progress.loss, progress.epoch = validation_loss, progress.epochs
            fit.best = fit.copy()
        if fit.hands_down_least and (not select or validation_loss < progress.least_loss):
            progress.least_loss = validation_loss
            fit.least = fit.copy()
        progress.stopped = select and progress.epochs - progress.epoch >= settings.patience
        progress.history.append([round(loss, 6), round(f1, 6), round(validation_loss, 6)])
        progress.seconds += time.monotonic() - began
        if time.monotonic() - saved > 60 * settings.checkpoint_minutes:
            fit.save(path, progress)
            saved = time.monotonic()
    fit.save(path, progress)
    return {"weight": weight, "trains_table": train_table, **progress.report()}


@dataclass
class Progress:
    """How far a fit is."""

    epochs: int = 0  # that were trained
    # epoch, f1, average_precision, loss: which of them is kept, and its validation scores (F1 at threshold 0.5,
    # weighted loss)
    epoch: int = 0
    f1: float = -1.0
    average_precision: float = 0.0
    loss: float = float("inf")
    least_loss: float = float("inf")  # of all epochs
    stopped: bool = False  # whether `training.patience` is spent
    seconds: float = 0.0  # of training and validation
    # (training loss, validation F1, validation loss) of each epoch
    history: list[list[float]] = field(default_factory=list)

    def is_better(self, monitor: str, f1: float, average_precision: float, loss: float) -> bool:
        """Whether an epoch with these validation scores is to be kept.

        With few positive documents the F1 stays at 0 for the first epochs, while the loss falls already: between equal
        F1 the loss decides, else patience would end there.
        """
        now = {"f1": f1, "average_precision": average_precision, "loss": -loss}[monitor]
        kept = {"f1": self.f1, "average_precision": self.average_precision, "loss": -self.loss}[monitor]
        return self.epoch == 0 or (now, -loss) > (kept, -self.loss)

    def report(self) -> dict[str, Any]:
        """JSON-ready, without the history."""
        return {
            "f1": self.f1,
            "average_precision": self.average_precision,
            "loss": self.loss,
            "epoch": self.epoch,
            "epochs": self.epochs,
            "stopped": self.stopped,
            "seconds": round(self.seconds, 3),
        }


class _Fit:
    """Network, optimiser and documents of one fit."""

    def __init__(self, shared: Shared, folder: Path, label: int, weight: float, train_table: bool) -> None:
        facts = shared.facts
        self.settings = parse_settings(BinarySettings, facts["settings"], str(folder))
        self.name = facts["labels"][label]
        self.label, self.weight = label, weight
        self.folder, self.record = folder, facts["record"]
        self.tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
        own = self.settings.runtime
        self.runtime: Runtime = resolve_runtime(own.device, own.precision, own.predict_precision, 1)
        self.train, self.chosen, self.validation, self.held = _split(shared, self.settings, label)
        self.train_table = train_table
        self.best: dict[str, Tensor] = {}
        self.least: dict[str, Tensor] = {}
        self.hands_down_least = self.settings.transfer.inherit == "least_loss"

    # -- state ---------------------------------------------------------------------------------------------------

    def begin(self, table: Path | None, start: Path | None) -> None:
        """Build the network in its first state."""
        from safetensors.torch import load_file

        torch.manual_seed(_number(self.settings.seed, self.label, "start"))
        self.network: LabelNetwork = fit_network(self.settings, self.record, self.tokenizer, self.folder)
        if table is not None:
            vectors: Any = self.network.encoder.embedding
            vectors.weight = nn.Parameter(torch.from_numpy(load_array(table)), requires_grad=self.train_table)
        training, transfer = self.settings.training, self.settings.transfer
        if training.start_at_odds:
            positives = int(self.train.has_label(self.label)[self.chosen].sum())
            with torch.no_grad():
                self.network.head.output.bias.fill_(log_odds(positives, len(self.chosen), self.weight))
        body_rate = training.learning_rate
        if start is not None:
            with explaining_damage(start):
                parent = load_file(start)
            taken = {name: value for name, value in parent.items() if not (transfer.fresh_head and name in OUTPUT)}
            self._take(taken, start, OUTPUT if transfer.fresh_head else ())
            body_rate = transfer.body_learning_rate or body_rate
        self.network.to(self.runtime.device).train()
        own = {name: value for name, value in self.network.named_parameters() if value.requires_grad}
        self.own = own
        self.optimiser = torch.optim.Adam(
            [
                {"params": [value for name, value in own.items() if name in OUTPUT], "lr": training.learning_rate},
                {"params": [value for name, value in own.items() if name not in OUTPUT], "lr": body_rate},
            ],
            fused=self.runtime.device.type in {"cpu", "cuda"},
        )

    def state(self) -> dict[str, Tensor]:
        """Everything of the network that is this label's own: parameters that are trained, and buffers."""
        kept = self.network.own_state()
        if self.train_table:
            kept[TABLE] = self.network.state_dict()[TABLE]
        return {name: value.detach().cpu() for name, value in kept.items()}

    def copy(self) -> dict[str, Tensor]:
        """The present state, which does not change with the network."""
        return {name: value.clone() for name, value in self.state().items()}

    def _take(self, taken: dict[str, Tensor], path: Path, absent: Collection[str]) -> None:
        """Start from the parent: λ its weights + σ fresh ones (Ash and Adams 2020); see ``transfer.shrink``.

        Buffers and word vectors are taken as they are.
        """
        chosen = self.settings.transfer
        fresh = dict(self.network.named_parameters())
        with torch.no_grad():
            for name, value in taken.items():
                if name in fresh and name != TABLE and (chosen.shrink, chosen.perturb) != (1.0, 0.0):
                    taken[name] = chosen.shrink * value + chosen.perturb * fresh[name].detach().cpu()
        self._load(taken, path, {*absent, TABLE})

    def _load(self, values: dict[str, Tensor], path: Path, absent: Collection[str]) -> None:
        """Take the values of this label's own weights; what all labels share is not among them.

        Raises:
            ModelFolderError: one is missing that is not expected to be absent, or unknown.
        """
        with explaining_damage(path):
            found = self.network.load_state_dict(values, strict=False)
            lost = sorted(set(found.missing_keys) & set(self.state()) - set(absent))
            if lost or found.unexpected_keys:
                raise ValueError(f"its weights are not those of this network: {[*lost, *found.unexpected_keys][:3]}")

    def save(self, path: Path, progress: Progress) -> None:
        """Write the state file completely or not at all."""
        from safetensors.torch import save_file

        stored = {NOW + name: value for name, value in self.state().items()}
        for prefix, kept in ((BEST, self.best), (LEAST, self.least)):
            stored |= {prefix + name: value for name, value in kept.items()}
        for name, parameter in self.own.items():
            moments = self.optimiser.state.get(parameter)
            if moments:
                stored[MEAN + name] = moments["exp_avg"].detach().cpu()
                stored[SQUARE + name] = moments["exp_avg_sq"].detach().cpu()
                stored["steps"] = moments["step"].detach().cpu().reshape(1)
        stored = {name: value.contiguous() for name, value in stored.items()}
        note = {"progress": json.dumps(vars(progress))}
        write_atomically(path, lambda temporary: save_file(stored, temporary, metadata=note))

    def load(self, path: Path) -> Progress:
        """Go on from a state file."""
        from safetensors import safe_open

        with explaining_damage(path), safe_open(path, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            progress = Progress(**json.loads(file.metadata()["progress"]))
        self._load(_under(NOW, stored), path, ())
        self.best, self.least = _under(BEST, stored), _under(LEAST, stored)
        for name, parameter in self.own.items():
            if MEAN + name in stored:
                self.optimiser.state[parameter] = moments_of(stored, name, parameter.device)
        return progress

    # -- epochs --------------------------------------------------------------------------------------------------

    def train_epoch(self, epoch: int) -> float:
        """One pass over the training documents; returns the mean loss."""
        settings, documents = self.settings.training, self.train
        costs = documents.windows.costs[self.chosen]
        total = 0.0
        for number, batch in enumerate(shuffled_plan(costs, settings.batch_size, seed=self.settings.seed, epoch=epoch)):
            rows = self.chosen[batch]
            torch.manual_seed(_number(self.settings.seed, self.label, epoch, number))
            self.optimiser.zero_grad()
            with self.runtime.autocast(training=True):
                logits = self._logits(documents, rows)
            loss = self._loss(logits.float(), documents, rows)
            loss.backward()  # type: ignore[no-untyped-call]
            if settings.clip:
                nn.utils.clip_grad_norm_(self.own.values(), settings.clip)
            self.optimiser.step()
            total += float(loss.detach()) * len(rows)
        return total / max(len(self.chosen), 1)

    def validate(self) -> tuple[float, float, float]:
        """F1 at threshold 0.5, average precision, and the weighted loss, on the validation documents."""
        if not len(self.held):
            return 0.0, 0.0, 0.0
        windows = self.validation.windows
        costs, counts = windows.costs[self.held], np.diff(windows.first)[self.held]
        gold = torch.from_numpy(self.validation.has_label(self.label)[self.held])
        logits = torch.empty(len(self.held))
        self.network.eval()
        with torch.inference_mode():
            for batch in sorted_plan(costs, counts, 2 * self.settings.training.batch_size):
                with self.runtime.autocast(training=False):
                    logits[batch] = self._logits(self.validation, self.held[batch]).float().cpu()
        self.network.train()
        loss = float(self._mean_loss(logits, gold.float(), None))
        said = logits > 0
        hits = int((said & gold).sum())
        f1 = 2 * hits / max(int(said.sum()) + int(gold.sum()), 1)
        return f1, average_precision(logits.numpy(), gold.numpy()), loss

    def _logits(self, documents: Documents, rows: NDArray[np.int64]) -> Tensor:
        """(B,) logits of the documents ``rows``."""
        batch = make_batch(documents.windows, rows, self.tokenizer.pad_id)
        device = self.runtime.device
        if documents.states is None:
            inputs = torch.from_numpy(batch.ids).to(device)  # (W, T)
        else:
            inputs = gather_states(documents.states, documents.windows, batch).to(device).float()  # (W, T, D)
        mask, owner = (torch.from_numpy(part).to(device) for part in (batch.mask, batch.owner))
        logits: Tensor = self.network(inputs, mask, owner, len(rows))  # (B, 1)
        return logits.squeeze(1)

    def _loss(self, logits: Tensor, documents: Documents, rows: NDArray[np.int64]) -> Tensor:
        gold = torch.from_numpy(documents.has_label(self.label)[rows]).float().to(logits.device)
        weights = None if documents.weights is None else torch.from_numpy(documents.weights[rows]).to(logits.device)
        return self._mean_loss(logits, gold, weights)

    def _mean_loss(self, logits: Tensor, gold: Tensor, weights: Tensor | None) -> Tensor:
        each = functional.binary_cross_entropy_with_logits(
            logits, gold, pos_weight=torch.tensor(self.weight, device=logits.device), reduction="none"
        )
        return mean_over_documents(each, weights)


def _split(
    shared: Shared, settings: BinarySettings, label: int
) -> tuple[Documents, NDArray[np.int64], Documents, NDArray[np.int64]]:
    """Documents to train on and which rows of them; documents to select on and which rows."""
    count = len(shared.train.windows)
    if settings.training.split == "shared":
        return shared.train, np.arange(count), shared.validation, np.arange(len(shared.validation.windows))
    groups = np.asarray(shared.facts["groups"])
    related = np.flatnonzero(groups == groups[label]).tolist()
    rest, held = own_split(shared.train, related, settings.seed)
    return shared.train, rest, shared.train, held


def own_split(train: Documents, labels: Sequence[int], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that some labels are trained on, and the 15 % that they select on, stratified by the labels.

    Labels that inherit from each other have one split: else a label would select on documents that its parent, whose
    weights it starts from, was trained on.
    """
    marks = csr_array(train.targets[:, list(labels)])
    rest, held = split_stratified(marks, [1 - OWN_SHARE, OWN_SHARE], _number(seed, min(labels), "split") % 2**32)
    return np.asarray(rest), np.asarray(held)


def kept_states(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of a state file: of the kept epoch, and of that with the least loss, empty where it is not handed down.

    Raises:
        ModelFolderError: it cannot be read.
    """
    from safetensors.torch import load_file

    with explaining_damage(path):
        stored = load_file(path)
    return _under(BEST, stored), _under(LEAST, stored)


def moments_of(stored: Mapping[str, Tensor], name: str, device: torch.device) -> dict[str, Tensor]:
    """Adam's state of one parameter, from those of a state file; also its step, which a fused optimiser reads there.

    Args:
        stored: tensors of the file.
        name: of the parameter.
        device: where the parameter is.
    """
    return {
        "step": stored["steps"].reshape(()).to(device, copy=True),  # each parameter counts for itself
        "exp_avg": stored[MEAN + name].to(device),
        "exp_avg_sq": stored[SQUARE + name].to(device),
    }


def _under(prefix: str, stored: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}


def _number(*parts: int | str) -> int:
    """A seed that is a function of ``parts``."""
    joined = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(joined.encode()).digest()[:7], "big")
