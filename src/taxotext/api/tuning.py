"""Thresholds from held-out documents."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from scipy.sparse import csr_array, vstack

from taxotext.composition.base import System, block_starts
from taxotext.data import Corpus
from taxotext.decoding import (
    HIERARCHICAL_F1,
    Calibration,
    Decoder,
    Decoding,
    TuningReport,
    fit_calibration,
    sparse_scores,
    tune,
    tune_expected,
)
from taxotext.decoding.heldout import FLOOR, HeldOut
from taxotext.decoding.settings import CalibrationMethod, CalibrationScope
from taxotext.errors import ConfigError, DataError, nearest
from taxotext.progress import Reporter
from taxotext.store import Manifest

DECODED_TOGETHER = 1024
METRICS = ("micro_f1", "macro_f1", HIERARCHICAL_F1)


def tune_thresholds(
    system: System,
    manifest: Manifest,
    corpus: Corpus | None,
    *,
    metric: Literal["micro_f1", "macro_f1", "hierarchical_f1"],
    method: Literal["label", "level", "global"],
    shrink: float | Literal["auto"],
    calibration: CalibrationMethod | None = None,
    calibration_by: CalibrationScope | None = None,
    reporter: Reporter,
) -> TuningReport:
    """Tune the decoding of ``manifest`` in place; from then on thresholds decide, also of a system that decided itself.

    Args:
        system: fitted.
        manifest: whose decoding rules (consistency, filters) the thresholds are found for.
        corpus: validation documents; None: the scores kept from the training.
        metric: what to make greatest; for ``hierarchical_f1`` the decoder then takes the closed label set of greatest
            expected hierarchical F1 (:mod:`taxotext.decoding.expected`).
        method: thresholds for each label, each level, or one.
        shrink: pull of rare labels towards the common threshold.
        calibration: fitted on the same documents, before the thresholds; None: as the model's rules say, and isotonic
            for ``hierarchical_f1`` where they say none.
        calibration_by: one for all labels, or one a label; None: as the model's rules say.
        reporter: where progress goes.

    Raises:
        DataError: there are no held-out documents.
        ConfigError: an option is unknown or out of range, or ``shrink`` is given with ``hierarchical_f1``.
    """
    if metric not in METRICS:
        raise ConfigError(f"metric is {metric!r}: choose from {', '.join(METRICS)}.{nearest(str(metric), METRICS)}")
    if metric == HIERARCHICAL_F1 and shrink != "auto":
        raise ConfigError(
            f"shrink is {shrink!r}: it pulls thresholds, and {HIERARCHICAL_F1} searches for none; leave it out."
        )
    held_out = manifest.held_out
    if corpus is not None:
        with reporter.task("Scoring", len(corpus)) as task:
            blocks = system.scores(corpus.texts, progress=task.advance)
            held_out = HeldOut.from_blocks(blocks, corpus.known_targets, corpus.source)
    if held_out is None:
        raise DataError("The model keeps no scores of held-out documents; name validation documents to tune on.")
    rules = manifest.decoding.model_copy(
        update={
            "source": "threshold",
            "threshold": manifest.decoding.threshold or 0.5,
            "level_thresholds": None,
            "label_thresholds": {},
        }
    )
    if metric == HIERARCHICAL_F1:  # expectations want probabilities, and the label sets are closed in any case
        rules = rules.model_copy(update={"consistency": "up" if rules.consistency == "none" else rules.consistency})
        calibration = calibration or ("isotonic" if rules.calibration == "none" else None)
    rules, calibrated = fit_calibration(
        held_out.scores,
        held_out.gold,
        system.taxonomy,
        method=calibration or rules.calibration,
        by=calibration_by or rules.calibration_by,
        base=rules,
    )
    if metric == HIERARCHICAL_F1:
        block = held_out.block(slice(0, held_out.scores.shape[0]))
        decoding, report = tune_expected(
            block,
            held_out.gold,
            system.taxonomy,
            tuned_on=held_out.source,
            method=method,
            base=rules,
            before=manifest.decoding,
        )
    else:
        decoding, report = _tuned(system, manifest, held_out, rules, metric, method, shrink)
    if calibrated is not None:
        report = replace(report, calibration=calibrated.to_dict())
    manifest.decoding = decoding
    manifest.metrics["tuning"] = report.to_dict()
    if manifest.metrics.pop("evaluations", None):
        reporter.note("Figures that were recorded with the old thresholds are removed; evaluate again.")
    return report


def _tuned(
    system: System,
    manifest: Manifest,
    held_out: HeldOut,
    rules: Decoding,
    metric: Literal["micro_f1", "macro_f1"],
    method: Literal["label", "level", "global"],
    shrink: float | Literal["auto"],
) -> tuple[Decoding, TuningReport]:
    """Search for thresholds."""
    # What was dropped below the floor would be corrected as well when the model is used: thresholds stay above it.
    floor = max(FLOOR, Calibration(rules, system.taxonomy).highest(FLOOR))
    decoder = Decoder(rules, system.taxonomy)
    consistent = [
        sparse_scores(decoder.scores(held_out.block(part)), floor)
        for part in block_starts(held_out.scores.shape[0], DECODED_TOGETHER)
    ]
    scores = csr_array(vstack(consistent, format="csr")) if consistent else held_out.scores
    return tune(
        scores,
        held_out.gold,
        system.taxonomy,
        tuned_on=held_out.source,
        method=method,
        metric=metric,
        shrink=shrink,
        base=rules,
        before=manifest.decoding,
        floor=floor,
        seed=system.settings.seed,
    )
