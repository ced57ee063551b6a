"""Thresholds from held-out documents."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from scipy.sparse import csr_array, vstack

from taxotext.composition.base import System, block_starts
from taxotext.data import Corpus
from taxotext.decoding import Calibration, Decoder, TuningReport, fit_calibration, sparse_scores, tune
from taxotext.decoding.heldout import FLOOR, HeldOut
from taxotext.decoding.settings import CalibrationMethod, CalibrationScope
from taxotext.errors import DataError
from taxotext.progress import Reporter
from taxotext.store import Manifest

DECODED_TOGETHER = 1024


def tune_thresholds(
    system: System,
    manifest: Manifest,
    corpus: Corpus | None,
    *,
    metric: Literal["micro_f1", "macro_f1"],
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
        metric: what to make greatest.
        method: thresholds for each label, each level, or one.
        shrink: pull of rare labels towards the common threshold.
        calibration: fitted on the same documents, before the thresholds; None: as the model's rules say.
        calibration_by: one for all labels, or one a label; None: as the model's rules say.
        reporter: where progress goes.

    Raises:
        DataError: there are no held-out documents.
    """
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
    rules, calibrated = fit_calibration(
        held_out.scores,
        held_out.gold,
        system.taxonomy,
        method=calibration or rules.calibration,
        by=calibration_by or rules.calibration_by,
        base=rules,
    )
    # What was dropped below the floor would be corrected as well when the model is used: thresholds stay above it.
    floor = max(FLOOR, Calibration(rules, system.taxonomy).highest(FLOOR))
    decoder = Decoder(rules, system.taxonomy)
    consistent = [
        sparse_scores(decoder.scores(held_out.block(part)), floor)
        for part in block_starts(held_out.scores.shape[0], DECODED_TOGETHER)
    ]
    scores = csr_array(vstack(consistent, format="csr")) if consistent else held_out.scores
    decoding, report = tune(
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
    if calibrated is not None:
        report = replace(report, calibration=calibrated.to_dict())
    manifest.decoding = decoding
    manifest.metrics["tuning"] = report.to_dict()
    if manifest.metrics.pop("evaluations", None):
        reporter.note("Figures that were recorded with the old thresholds are removed; evaluate again.")
    return report
