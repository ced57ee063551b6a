"""Decoding for expected hierarchical F1, set up with held-out documents."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from taxotext.composition.base import System
from taxotext.data import Corpus
from taxotext.decoding import HIERARCHICAL_F1, TuningReport, fit_calibration, tune_expected
from taxotext.decoding.heldout import HeldOut
from taxotext.decoding.settings import CalibrationMethod, CalibrationScope, Consistency
from taxotext.errors import ConfigError, DataError
from taxotext.progress import Reporter
from taxotext.store import Manifest


def tune_hierarchical_f1(
    system: System,
    manifest: Manifest,
    corpus: Corpus | None,
    *,
    method: Literal["label", "level", "global"],
    shrink: float | Literal["auto"],
    calibration: CalibrationMethod | None = None,
    calibration_by: CalibrationScope | None = None,
    reporter: Reporter,
) -> TuningReport:
    """Let the closed label set of greatest expected hierarchical F1 decide from now on; ``manifest`` changes in place.

    Args:
        system: fitted.
        manifest: whose other decoding rules (filters, ``top_k``) are kept. Label sets are closed in any case, so that
            the rule ``none`` becomes ``up``.
        corpus: validation documents; None: the scores kept from the training.
        method: an intercept of the probabilities for each label, each level, or one.
        shrink: "auto".
        calibration: fitted on the same documents, before the intercepts; None: as the model's rules say, and isotonic
            where they say none.
        calibration_by: one for all labels, or one a label; None: as the model's rules say.
        reporter: where progress goes.

    Raises:
        ConfigError: ``shrink`` is a number.
        DataError: there are no held-out documents, or none of them has a label.
    """
    if shrink != "auto":
        raise ConfigError(
            f"shrink is {shrink!r}: it pulls thresholds, and {HIERARCHICAL_F1} searches for none; leave it out."
        )
    held_out, rules = manifest.held_out, manifest.decoding
    if corpus is not None:
        with reporter.task("Scoring", len(corpus)) as task:
            blocks = system.scores(corpus.texts, progress=task.advance)
            held_out = HeldOut.from_blocks(blocks, corpus.known_targets, corpus.source)
    if held_out is None:
        raise DataError("The model keeps no scores of held-out documents; name validation documents to tune on.")
    consistency: Consistency = "up" if rules.consistency == "none" else rules.consistency
    rules, calibrated = fit_calibration(
        held_out.scores,
        held_out.gold,
        system.taxonomy,
        method=calibration or ("isotonic" if rules.calibration == "none" else rules.calibration),
        by=calibration_by or rules.calibration_by,
        base=rules.model_copy(update={"consistency": consistency}),
    )
    decoding, report = tune_expected(
        held_out.block(slice(0, held_out.scores.shape[0])),
        held_out.gold,
        system.taxonomy,
        tuned_on=held_out.source,
        method=method,
        base=rules,
        before=manifest.decoding,
    )
    if calibrated is not None:
        report = replace(report, calibration=calibrated.to_dict())
    manifest.decoding = decoding
    manifest.metrics["tuning"] = report.to_dict()
    if manifest.metrics.pop("evaluations", None):
        reporter.note("Figures that were recorded with the old thresholds are removed; evaluate again.")
    return report
