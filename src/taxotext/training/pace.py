"""How long a training by gradient descent takes on this machine: a few batches of the real data, timed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from taxotext.composition.neural import NeuralSystem
from taxotext.data import Corpus
from taxotext.data.batches import shuffled_plan
from taxotext.data.splits import evenly_spaced
from taxotext.training.loader import TrainingLoader
from taxotext.training.module import TextModule

SAMPLED = 1024
"""Documents that batches are drawn from, and whose lengths are known."""
TIMED = (0.1, 0.5, 0.9)
"""Quantiles of the batches by width: their mean stands for all batches."""
SCORING = 0.35
"""Time of scoring a document in units of that of training on it: the forward pass alone."""


@dataclass(frozen=True)
class Pace:
    """What was measured."""

    seconds: float  # of training on one document
    lengths: NDArray[np.int64]  # int64 (S,), tokens of the sampled documents, special tokens included, uncut
    max_tokens: int  # that were read of a document at most

    def epoch(self, train: int, validation: int, max_tokens: int | None = None) -> float:
        """Seconds of an epoch over ``train`` documents with the scoring of ``validation`` documents behind it.

        Args:
            max_tokens: another limit, no larger than the measured one; time is taken to grow with the tokens read.
        """
        size = self.max_tokens if max_tokens is None else max_tokens
        share = np.minimum(self.lengths, size).sum() / np.minimum(self.lengths, self.max_tokens).sum()
        return float(self.seconds * share * (train + SCORING * validation))

    def whole(self, max_tokens: int) -> float:
        """Share of the documents that a limit does not cut."""
        return float((self.lengths <= max_tokens).mean())


def measure(system: NeuralSystem, train: Corpus) -> Pace:
    """Train on a few batches of documents evenly spaced over ``train``, each once before it is timed.

    The first pass over a batch compiles kernels for its shape, which a training does once and not for each batch.

    Args:
        system: not built yet; it is of no use afterwards.
        train: the training documents.
    """
    settings = system.settings.training
    runtime = system.runtime()
    torch.manual_seed(system.settings.seed)
    system.build(train)
    network = system.network.to(runtime.device).train()
    few = train.subset(evenly_spaced(len(train), SAMPLED))
    windows = system.windows(few.texts)
    module = TextModule(network, settings, system.settings.seed, 1000, system.pretrained_parameters())
    optimizer = module.configure_optimizers()["optimizer"]
    loader = TrainingLoader(
        windows,
        few.known_targets,
        None,
        batch_size=settings.batch_size,
        epochs=1,
        seed=system.settings.seed,
        pad_id=system.tokenizer.pad_id,
    )
    plan = shuffled_plan(windows.costs, settings.batch_size, seed=system.settings.seed, epoch=0)
    plan.sort(key=lambda documents: int(windows.costs[documents].max()))
    seconds, documents = 0.0, 0
    for quantile in TIMED:
        chosen = plan[round(quantile * (len(plan) - 1))]
        batch = loader.batch(chosen).to(runtime.device)
        for timed in (False, True):
            started = time.perf_counter()
            with runtime.autocast(training=True):
                loss = network(batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            float(loss.detach())  # waits for the device
            if timed:
                seconds, documents = seconds + time.perf_counter() - started, documents + len(chosen)
    tokenizer = system.tokenizer
    special = len(tokenizer.prefix) + len(tokenizer.suffix)
    lengths = tokenizer.encode(few.texts, system.settings.runtime.tokens_in_memory).lengths + special
    return Pace(seconds / documents, lengths, system.settings.text.max_tokens)
