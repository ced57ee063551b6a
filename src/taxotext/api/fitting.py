"""From corpora to a fitted system and its manifest."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxotext.api.starting import read_start
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
    documents, given, start = train, validation, read_start(settings)
    if validation is None and not kind.cross_fits:
        fresh = None if start is None else start.fresh(train.texts)
        train, validation = held_out_part(train, settings.validation.fraction, settings.seed, fresh)
    system = kind(settings, train.taxonomy)
    if start is not None:
        system.start_from(start.system)  # type: ignore[attr-defined]  # only networks have the setting
        if validation is not None:
            start.warn(validation.texts, reporter)
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


def held_out_part(
    corpus: Corpus, fraction: float, seed: int, fresh: NDArray[np.bool_] | None = None
) -> tuple[Corpus, Corpus]:
    """Split a corpus into training and validation documents, stratified by label and keeping groups together.

    Args:
        corpus: D documents.
        fraction: of the documents that are held out.
        seed: of the split.
        fresh: (D,) documents that may be held out, at most half of them; None, or where there are fewer than two: all.

    Raises:
        DataError: fewer than two documents.
    """
    if len(corpus) < 2:
        raise DataError(
            f"{corpus.source}: has {len(corpus)} document; at least 2 are needed to hold one out for validation."
        )
    rows = np.arange(len(corpus))
    if fresh is not None:
        if corpus.groups is not None:
            known = {group for group, new in zip(corpus.groups, fresh, strict=True) if not new}
            apart = [group is None or group not in known for group in corpus.groups]
            fresh = fresh & np.asarray(apart, dtype=np.bool_)
        rows = np.flatnonzero(fresh) if fresh.sum() > 1 else rows
    share = fraction if len(rows) == len(corpus) else min(fraction * len(corpus) / len(rows), 0.5)
    few = corpus if len(rows) == len(corpus) else corpus.subset(rows)
    _, held_out = split_stratified(few.known_targets, [1 - share, share], seed, few.groups)
    rest = np.setdiff1d(np.arange(len(corpus)), rows[held_out])
    source = f"{share * len(rows) / len(corpus):.0%} of {corpus.source}, stratified, seed {seed}"
    return corpus.subset(rest), replace(corpus.subset(rows[held_out]), source=source)
