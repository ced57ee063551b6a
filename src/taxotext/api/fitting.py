"""From corpora to a fitted system and its manifest."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from taxotext.composition.base import System, SystemSettings
from taxotext.cost.memory import check_memory
from taxotext.data import Columns, Corpus, split_stratified
from taxotext.decoding import Decoder
from taxotext.errors import DataError
from taxotext.files import public_name
from taxotext.progress import Reporter
from taxotext.store import Manifest
from taxotext.training import RunFolder, fit
from taxotext.training.run import TemporaryRun


def fit_system(
    kind: type[System],
    settings: SystemSettings,
    train: Corpus,
    validation: Corpus | None,
    *,
    run: RunFolder | None = None,
    columns: Columns | None = None,
    reporter: Reporter,
) -> tuple[System, Manifest]:
    """Fit a system of class ``kind``.

    Args:
        train: training documents.
        validation: None: a stratified part of ``train``, where the recipe needs one.
        run: for checkpoints; None: a temporary one.
        columns: which fields the texts came from, kept for prediction.
    """
    if len(train.taxonomy) == 0:
        raise DataError(f"{train.source}: no document has a label; there is nothing to learn.")
    kind.check_decoding(settings.decoding, settings)
    Decoder(settings.decoding, train.taxonomy)  # labels that the rules name and the taxonomy lacks: say so now
    # Model folders are passed on: they name files, not the folders of this machine.
    train = replace(train, source=Path(train.source).name)
    if validation is not None:
        validation = replace(validation, source=public_name(validation.source))
    documents, given = train, validation
    if validation is None and not kind.cross_fits:
        train, validation = held_out_part(train, settings.validation.fraction, settings.seed)
    system = kind(settings, train.taxonomy)
    system.check_source(train.report.feature_vectors, train.source)
    if settings.runtime.check_memory:  # what is known before anything is loaded; recipes look again later
        check_memory([need for need in system.memory(train, validation) if not need.on_device])
    if run is None:
        with TemporaryRun() as temporary:
            result = fit(system, train, validation, temporary, reporter)
    else:
        result = fit(system, train, validation, run, reporter)
    held_out = result.held_out.with_trained(train.texts)
    trained_on = {
        "training_data": documents.source,
        "training_documents": len(train),
        "training_fingerprint": documents.fingerprint(),
        "validation_data": result.held_out.source,
        "validation_fingerprint": None if given is None else given.fingerprint(),
        "validation_documents": int(result.held_out.gold.shape[0]),
        "fingerprint_salt": held_out.salt,
        "closure": documents.closure,
        "seed": settings.seed,
        "columns": asdict((columns or Columns()).as_found(documents.report)),
    }
    metrics: dict[str, Any] = {"history": result.history, "selected": result.selected}
    facts = {**system.facts(), **result.notes, "seconds": round(result.seconds, 3)}
    seen = np.asarray(train.known_targets.sum(axis=0)).ravel()
    manifest = Manifest(
        decoding=settings.decoding,
        trained_on=trained_on,
        facts=facts,
        metrics=metrics,
        seen=[int(count) for count in seen],
        held_out=held_out,
    )
    return system, manifest


def held_out_part(corpus: Corpus, fraction: float, seed: int) -> tuple[Corpus, Corpus]:
    """Split a corpus into training and validation documents, stratified by label and keeping groups together.

    Raises:
        DataError: fewer than two documents.
    """
    if len(corpus) < 2:
        raise DataError(
            f"{corpus.source}: has {len(corpus)} document; at least 2 are needed to hold one out for validation."
        )
    rest, held_out = split_stratified(corpus.known_targets, [1 - fraction, fraction], seed, corpus.groups)
    source = f"{fraction:.0%} of {corpus.source}, stratified, seed {seed}"
    return corpus.subset(rest), replace(corpus.subset(held_out), source=source)
