"""A fit of a few documents, to know what the whole fit would take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from taxotext.api.fitting import fit_system, held_out_part
from taxotext.composition.base import System, SystemSettings
from taxotext.cost.memory import check_memory, sentence
from taxotext.data import Corpus
from taxotext.data.splits import evenly_spaced
from taxotext.errors import ConfigError
from taxotext.progress import Reporter, WithoutNotes

LOW, HIGH = 0.8, 1.4
"""The range around a measurement of a few batches, on a machine that has other work at times."""


@dataclass(frozen=True)
class TrialFit:
    """A fit of few documents."""

    # documents, all_documents: how many were fitted, of how many
    documents: int
    all_documents: int
    work: float  # documents times epochs, of all labels that are fitted on their own
    whole_work: float  # that of the whole fit at most, for one of the processes that share it
    seconds: float  # of the work
    seconds_once: float  # of what the whole fit does once for each document
    scorings: float  # how often the whole fit scores the held-out documents beside that work
    system: System  # fitted, with the settings of the whole fit
    # the documents of the whole fit: those to train on, and those that are held out
    whole: tuple[Corpus, Corpus | None]

    def estimate(self) -> float:
        """Seconds of the whole fit at most, in a straight line from this one."""
        return self.seconds / self.work * self.whole_work + self.once()

    def minutes(self) -> tuple[float, float]:
        """The range around :meth:`estimate`, in minutes: few batches, on a machine that has other work at times."""
        return LOW * self.estimate() / 60, HIGH * self.estimate() / 60

    def once(self) -> float:
        """Seconds of what the whole fit does once."""
        return self.seconds_once / self.documents * self.all_documents


def try_fit(
    kind: type[System],
    settings: SystemSettings,
    train: Corpus,
    validation: Corpus | None,
    *,
    batches: int = 3,
    longest: bool = False,
    reporter: Reporter,
) -> TrialFit:
    """Fit a few batches of the real data, once through, and write nothing; notes on so few documents are not passed on.

    Args:
        train: all training documents.
        validation: None: a part of ``train``, where the recipe needs one.
        batches: how many; systems without batches get 500 documents for 3.
        longest: take the longest documents, for the sake of memory, not evenly spaced ones.
    """
    if validation is None and not kind.cross_fits:
        train, validation = held_out_part(train, settings.validation.fraction, settings.seed)
    training = getattr(settings, "training", None)
    size = 500 * batches // 3 if training is None else batches * training.batch_size
    if longest:
        rows = sorted(range(len(train)), key=lambda row: -len(train.texts[row]))[:size]
    else:
        rows = evenly_spaced(len(train), size)
    few = train.subset(rows)
    few_validation = None if validation is None else validation.subset(range(min(32, len(validation))))
    system, manifest = fit_system(kind, kind.brief(settings), few, few_validation, reporter=WithoutNotes(reporter))
    system.settings = settings
    growth = _learned(train) / max(_learned(few), 1) if kind.grows_with_labels else 1.0
    work = system.work(train, validation, float(manifest.facts["seconds"]))
    return TrialFit(
        len(few),
        len(train),
        len(few) * max(work.done, 1),
        len(train) * work.planned * growth,
        work.seconds,
        work.once,
        work.scorings,
        system,
        (train, validation),
    )


def _learned(corpus: Corpus) -> int:
    """How many labels have a document."""
    return int((corpus.known_targets.sum(axis=0) > 0).sum())


def span(low: float, high: float) -> str:
    """A range of minutes in words.

    >>> span(0.2, 0.6), span(3.4, 5.2), span(1.2, 1.9), span(90, 150)
    ('less than a minute', '3 to 6 minutes', '1 to 2 minutes', '1.5 to 2.5 hours')
    """
    if high < 1:
        return "less than a minute"
    if low >= 90:
        return f"{low / 60:.1f} to {high / 60:.1f} hours"
    return f"{max(int(low), 1)} to {max(math.ceil(high), 2)} minutes"


def memory_sentence(system: System, train: Corpus, validation: Corpus | None) -> str:
    """What the whole training needs, and what would have to change where that is too much; empty if not known.

    Args:
        train: all training documents.
        validation: all held-out documents; None: the system cross-fits.
    """
    needs = system.memory(train, validation)
    if not needs:
        return ""
    free = system.device_free()
    try:
        check_memory(needs, device_free=free)
    except ConfigError as error:
        return f"It would be refused. {error}"
    return sentence(needs, device_free=free)
