"""What the processes hold that fit one binary classifier for each label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxotext.models.memory import Need
from taxotext.processes import usable_cores

if TYPE_CHECKING:
    from taxotext.data import Corpus
    from taxotext.models.binary import BinarySystem

PROCESS = 350 * 2**20
"""Bytes of a process that has loaded its libraries and holds nothing else."""
SAMPLED = 500
"""Texts whose tokens are counted."""


def needs(system: BinarySystem, train: Corpus) -> list[Need]:
    """The large things of a training, once the vocabulary is there; before that nothing is known.

    All classifiers at 4 bytes a weight; for each process its libraries, one network with gradient and two moments of
    Adam, and the states of a batch: for the recurrent layer about 12 numbers for each word and unit of each direction.
    """
    if system._built is None:
        return []
    settings, encoder = system.settings, system.built.module
    table = int(encoder.embedding.weight.numel())
    body = sum(parameter.numel() for parameter in encoder.parameters()) - table
    inherits = settings.transfer.enabled and settings.transfer.freeze_embeddings
    owners = len(system.taxonomy.roots) if inherits else len(system.taxonomy)
    tables = owners if settings.encoder.train_embeddings else 1
    processes = settings.runtime.threads or usable_cores()
    sample = train.texts[:: max(1, len(train) // SAMPLED)]
    words = int(system.windows(sample).costs.max(initial=1))
    units = int(getattr(encoder, "token_width", encoder.width))
    one = 16 * (table + body) + 4 * 12 * units * words * settings.training.batch_size
    return [
        Need(
            f"{len(system.taxonomy):,} classifiers and {tables:,} tables of word vectors",
            4 * (len(system.taxonomy) * body + tables * table),
            "set encoder.train_embeddings=false (one table for all), or lower encoder.vocabulary.size",
        ),
        Need(
            f"{processes} processes, each with a network and a batch of {settings.training.batch_size} documents",
            (processes - 1) * PROCESS + processes * one,
            f"lower runtime.threads (now {processes}: as many processes) or training.batch_size",
            "training",
        ),
    ]
