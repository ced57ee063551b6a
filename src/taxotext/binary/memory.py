"""What the processes hold that fit one binary classifier for each label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxotext.binary.networks import changes_encoder, reads_states, single_network, trains_words
from taxotext.cost.memory import Need
from taxotext.cost.network import activations

if TYPE_CHECKING:
    from taxotext.data import Corpus

PROCESS = 350 * 2**20
"""Bytes of a process that has loaded its libraries and holds nothing else."""
SAMPLED = 500
"""Texts whose tokens are counted."""


def needs(system: Any, train: Corpus) -> list[Need]:
    """The large things of a training, once the vocabulary is there; before that nothing is known.

    All classifiers and what they share at 4 bytes a weight; for each process its libraries, one network with gradient
    and two moments of Adam, and the states of a batch: for a recurrent layer about 12 numbers for each word and unit of
    each direction, and three times the states that it reads. States of a frozen encoder lie in files: no memory. Its
    weights, where adapters change it, are mapped from a file and are there once for all processes.
    """
    if system._built is None:
        return []
    settings, record = system.settings, system.built.record
    batch = settings.training.batch_size
    processes = settings.runtime.cores
    sample = train.texts[:: max(1, len(train) // SAMPLED)]
    words = int(system.windows(sample).costs.max(initial=1))
    one = single_network(settings, record, system.tokenizer)
    own = sum(values.numel() for values in one.own_state().values())
    trained = own
    if changes_encoder(settings):
        left = activations(one, batch, words, system.runtime().bf16)
    else:
        units: Any = getattr(one.encoder, "token_width", one.encoder.width)
        read = int(record["width"]) if reads_states(settings) else 0
        left = 4 * (12 * int(units) + 3 * read) * words * batch
        trained += sum(one.state_dict()[name].numel() for name in one.shared)  # word vectors
    return [
        _classifiers(system, own, trained - own),
        Need(
            f"{processes} processes, each with a network and a batch of {batch} documents",
            (processes - 1) * PROCESS + processes * (16 * trained + left),
            f"lower runtime.threads (now {processes}: as many processes) or training.batch_size",
            "training",
        ),
    ]


def _classifiers(system: Any, own: int, table: int) -> Need:
    """All classifiers, of ``own`` weights each, and what they share: tables of ``table`` weights, or an encoder."""
    settings, labels = system.settings, len(system.taxonomy)
    if settings.body is not None:
        return Need(
            f"{labels:,} classifiers and the encoder that they share",
            4 * (labels * own + sum(parameter.numel() for parameter in system.built.module.parameters())),
            f"take a smaller encoder (encoder.source) or a smaller body (now {settings.body.name})",
        )
    frozen = settings.transfer.enabled and settings.transfer.freeze_embeddings
    owners = len(system.taxonomy.roots) if frozen else labels
    tables = owners if trains_words(settings) else 1
    fewer = "transfer.freeze_embeddings=true (one for each root), " if settings.transfer.enabled and not frozen else ""
    return Need(
        f"{labels:,} classifiers and {tables:,} tables of word vectors",
        4 * (labels * own + tables * table),
        f"set encoder.train_embeddings=false (one table for all), {fewer}or lower encoder.vocabulary.size",
    )
