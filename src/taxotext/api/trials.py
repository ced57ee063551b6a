"""A fit of a few documents, to know what the whole fit would take."""

from __future__ import annotations

from dataclasses import dataclass

from taxotext.api.fitting import fit_system, held_out_part
from taxotext.data import Corpus
from taxotext.errors import ConfigError
from taxotext.models.base import System, SystemSettings
from taxotext.models.memory import check_memory, sentence
from taxotext.progress import Reporter
from taxotext.training import CROSS_FITTING_RECIPES


@dataclass(frozen=True)
class Trial:
    """A fit of few documents: how many of how many, in what time, and how often the whole fit goes through them.

    ``whole`` are the documents of the whole fit: those to train on, and those that are held out.
    """

    documents: int
    all_documents: int
    epochs: int
    seconds: float
    system: System
    whole: tuple[Corpus, Corpus | None]


def try_fit(
    kind: type[System],
    settings: SystemSettings,
    train: Corpus,
    validation: Corpus | None,
    *,
    batches: int = 3,
    longest: bool = False,
    reporter: Reporter,
) -> Trial:
    """Fit a few batches of the real data, once through, and write nothing.

    Args:
        kind, settings: of the system.
        train: all training documents.
        validation: None: a part of ``train``, where the recipe needs one.
        batches: how many; systems without batches get 500 documents for 3.
        longest: take the longest documents, for the sake of memory, not evenly spaced ones.
        reporter: where progress goes.
    """
    if validation is None and kind.recipe not in CROSS_FITTING_RECIPES:
        train, validation = held_out_part(train, settings.validation.fraction, settings.seed)
    training = getattr(settings, "training", None)
    if training is None:
        size, epochs = min(len(train), 500 * batches // 3), 1
    else:
        size, epochs = min(len(train), batches * training.batch_size), training.epochs
        settings = settings.model_copy(update={"training": training.model_copy(update={"epochs": 1})})
    if longest:
        rows = sorted(range(len(train)), key=lambda row: -len(train.texts[row]))[:size]
    else:
        rows = [position * len(train) // size for position in range(size)]
    few = train.subset(rows)
    few_validation = None if validation is None else validation.subset(range(min(32, len(validation))))
    system, manifest = fit_system(kind, settings, few, few_validation, reporter=reporter)
    return Trial(len(few), len(train), epochs, float(manifest.facts["seconds"]), system, (train, validation))


def memory_sentence(system: System, train: Corpus, validation: Corpus | None) -> str:
    """What the whole training needs, and what would have to change where that is too much; empty if not known.

    Args:
        system: as a trial leaves it.
        train: all training documents.
        validation: all held-out documents; None: the system cross-fits.
    """
    needs = system.memory(train, validation)
    if not needs:
        return ""
    free = None
    if system.recipe == "gradient":
        from taxotext.models.neural_memory import device_free

        free = device_free(system)  # type: ignore[arg-type]  # a system of that recipe
    try:
        check_memory(needs, device_free=free)
    except ConfigError as error:
        return f"It would be refused. {error}"
    return sentence(needs, device_free=free)
