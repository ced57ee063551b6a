"""Decoding for expected hierarchical F1, set up with held-out documents."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from taxotext.api.tuning import adopt, held_out_scores
from taxotext.composition.base import System
from taxotext.data import Corpus
from taxotext.decoding import HIERARCHICAL_F1, TuningReport, fit_calibration, tune_expected
from taxotext.decoding.settings import CalibrationMethod, CalibrationScope, Consistency
from taxotext.errors import ConfigError
from taxotext.progress import Reporter
from taxotext.store import Manifest


def tune_hierarchical_f1(
    system: System,
    manifest: Manifest,
    corpus: Corpus | None,
    *,
    method: Literal["label", "level", "global"],
    shrink: float | Literal["auto"],
    consistency: Consistency | Literal["auto"] | None = None,
    calibration: CalibrationMethod | None = None,
    calibration_by: CalibrationScope | None = None,
    never_empty: bool | None = None,
    reporter: Reporter,
) -> TuningReport:
    """Let the closed label set of greatest expected hierarchical F1 decide from now on; ``manifest`` changes in place.

    Arguments are those of :func:`taxotext.api.tuning.tune_thresholds`, with these differences:

    Args:
        method: an intercept of the probabilities for each label, each level, or one.
        shrink: "auto".
        consistency: label sets are closed in any case, so that ``none`` and ``auto`` are ``up``.
        calibration: None: as the model's rules say, and isotonic where they say none.
        never_empty: None: as the model's rules say, and where no held-out document is without labels.

    Raises:
        ConfigError: ``shrink`` is a number.
        DataError: there are no held-out documents, or none of them has a label.
    """
    if shrink != "auto":
        raise ConfigError(
            f"shrink is {shrink!r}: it pulls thresholds, and {HIERARCHICAL_F1} searches for none; leave it out."
        )
    held_out, rules = held_out_scores(system, manifest, corpus, reporter), manifest.decoding
    chosen = rules.consistency if consistency is None else consistency
    rules, calibrated = fit_calibration(
        held_out.scores,
        held_out.gold,
        system.taxonomy,
        method=calibration or ("isotonic" if rules.calibration == "none" else rules.calibration),
        by=calibration_by or rules.calibration_by,
        base=rules.model_copy(update={"consistency": "down" if chosen == "down" else "up"}),
    )
    decoding, report = tune_expected(
        held_out.block(slice(0, held_out.scores.shape[0])),
        held_out.gold,
        system.taxonomy,
        tuned_on=held_out.source,
        method=method,
        base=rules,
        before=manifest.decoding,
        never_empty=never_empty,
    )
    if calibrated is not None:
        report = replace(report, calibration=calibrated.to_dict())
    adopt(manifest, decoding, report, corpus, reporter)
    return report
