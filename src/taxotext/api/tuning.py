"""Thresholds from held-out documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array, vstack

from taxotext.composition.base import System
from taxotext.data import Corpus
from taxotext.decoding import (
    UNTUNED,
    Calibration,
    CalibrationReport,
    Consistency,
    Decoder,
    Decoding,
    TuningReport,
    fit_calibration,
    sparse_scores,
    tune,
)
from taxotext.decoding.heldout import FLOOR, HeldOut, fingerprints
from taxotext.decoding.settings import CalibrationMethod, CalibrationScope
from taxotext.errors import ConfigError, DataError
from taxotext.files import public_name
from taxotext.labels import Taxonomy
from taxotext.metrics import Evaluation
from taxotext.metrics.sparse import Sets
from taxotext.progress import Reporter
from taxotext.store import Manifest

RULES: tuple[Consistency, ...] = ("up", "down", "none")
"""What ``consistency="auto"`` chooses from; of equally good rules the first, which keeps predictions consistent."""


@dataclass(frozen=True)
class Search:
    """What thresholds are searched for; the arguments of :meth:`taxotext.Classifier.tune`."""

    metric: Literal["micro_f1", "macro_f1"] = "micro_f1"
    method: Literal["label", "level", "global"] = "label"
    shrink: float | Literal["auto"] = "auto"
    seed: int = 0


def tune_thresholds(
    system: System,
    manifest: Manifest,
    corpus: Corpus | None,
    *,
    metric: Literal["micro_f1", "macro_f1"] = "micro_f1",
    method: Literal["label", "level", "global"] = "label",
    shrink: float | Literal["auto"] = "auto",
    consistency: Consistency | Literal["auto"] | None = None,
    calibration: CalibrationMethod | None = None,
    calibration_by: CalibrationScope | None = None,
    never_empty: bool | None = None,
    reporter: Reporter,
) -> TuningReport:
    """Tune the decoding of ``manifest`` in place; from then on thresholds decide, also of a system that decided itself.

    Args:
        manifest: whose decoding rules (consistency, filters) the thresholds are found for.
        corpus: validation documents; None: the scores kept from the training.
        metric: what to make greatest.
        method: thresholds for each label, each level, or one.
        shrink: pull of rare labels towards the common threshold.
        consistency: the rule; auto: the one of the best cross-validated metric; None: as the model's rules say.
        calibration: fitted on the same documents, before the thresholds; None: as the model's rules say.
        calibration_by: one for all labels, or one a label; None: as the model's rules say.
        never_empty: whether the best label is predicted where none passes; None: as the model's rules say.

    Raises:
        ConfigError: an option is unknown, or there is too little to choose a rule by.
        DataError: there are no held-out documents.
    """
    taxonomy, before = system.taxonomy, manifest.decoding
    held_out = held_out_scores(system, manifest, corpus, reporter)
    changes: dict[str, Any] = {"consistency": consistency, "never_empty": never_empty}
    if consistency == "auto":
        changes["consistency"] = "none"
    given = before.to_dict() | {key: value for key, value in changes.items() if value is not None}
    rules, calibrated = _rules(given, held_out, taxonomy, calibration, calibration_by)
    search = Search(metric, method, shrink, system.settings.seed)
    tried = RULES if consistency == "auto" and not taxonomy.is_flat else (rules.consistency,)
    if consistency == "auto" and held_out.gold.shape[0] < 2:
        raise ConfigError('consistency is "auto" but there is only one document: give a rule.')
    found = {rule: _find(rules.model_copy(update={"consistency": rule}), held_out, taxonomy, search) for rule in tried}
    decoding, report = max(found.values(), key=lambda one: one[1].cross_validated or 0.0)
    sets = decoded(held_out, before, taxonomy)
    report = replace(
        report,
        before=scored(held_out.gold, sets, taxonomy)[metric],
        before_tuned_here=before.tuned_on == held_out.source,
        calibration=None if calibrated is None else calibrated.to_dict(),
    )
    if scores_lower(report) and decoding.consistency != "none" and consistency != "auto":  # is it the rule?
        found["none"] = _find(rules.model_copy(update={"consistency": "none"}), held_out, taxonomy, search)
    by_rule: dict[str, float] = {
        rule: one[1].cross_validated for rule, one in found.items() if one[1].cross_validated is not None
    }
    report = replace(report, by_consistency=by_rule)
    adopt(manifest, decoding, report, corpus, reporter)
    return report


def held_out_scores(system: System, manifest: Manifest, corpus: Corpus | None, reporter: Reporter) -> HeldOut:
    """Scores of validation documents, or those kept from the training.

    Raises:
        DataError: there are none.
    """
    if corpus is None:
        if manifest.held_out is None:
            raise DataError("The model keeps no scores of held-out documents; name validation documents to tune on.")
        return manifest.held_out
    with reporter.task("Scoring", len(corpus)) as task:
        blocks = system.scores(corpus.texts, progress=task.advance)
        return HeldOut.from_blocks(blocks, corpus.known_targets, public_name(corpus.source))


def scores_lower(report: TuningReport) -> bool:
    """Whether documents held out from tuning score lower than with the decoding in force before.

    Where that was tuned on the same documents, its metric there is no measure.
    """
    after = report.after if report.cross_validated is None else report.cross_validated
    return after < report.before and not report.before_tuned_here


def _rules(
    given: dict[str, Any],
    held_out: HeldOut,
    taxonomy: Taxonomy,
    calibration: CalibrationMethod | None,
    calibration_by: CalibrationScope | None,
) -> tuple[Decoding, CalibrationReport | None]:
    """The rules to find thresholds for: without thresholds, and with a calibration that is fitted anew."""
    none: dict[str, Any] = {"source": "threshold", "level_thresholds": None, "label_thresholds": {}}
    rules = Decoding.from_dict({**given, **none, "threshold": given["threshold"] or UNTUNED}, "tune")
    return fit_calibration(
        held_out.scores,
        held_out.gold,
        taxonomy,
        method=calibration or rules.calibration,
        by=calibration_by or rules.calibration_by,
        base=rules,
    )


def _find(rules: Decoding, held_out: HeldOut, taxonomy: Taxonomy, search: Search) -> tuple[Decoding, TuningReport]:
    # What was dropped below the floor would be corrected as well when the model is used: thresholds stay above it.
    floor = max(FLOOR, Calibration(rules, taxonomy).highest(FLOOR))
    decoder = Decoder(rules, taxonomy)
    consistent = [sparse_scores(decoder.scores(block), floor) for _, block in held_out.blocks()]
    return tune(
        csr_array(vstack(consistent, format="csr")) if consistent else held_out.scores,
        held_out.gold,
        taxonomy,
        tuned_on=held_out.source,
        method=search.method,
        metric=search.metric,
        shrink=search.shrink,
        base=rules,
        floor=floor,
        seed=search.seed,
    )


def decoded(held_out: HeldOut, decoding: Decoding, taxonomy: Taxonomy) -> Sets:
    """The label sets (D, N) that the held-out documents decode to."""
    decoder = Decoder(decoding, taxonomy)
    sets = [decoder.sets(block) for _, block in held_out.blocks()]
    return vstack(sets, format="csr") if sets else csr_array(held_out.gold.shape, dtype=np.bool_)


def scored(gold: Sets, sets: Sets, taxonomy: Taxonomy) -> dict[str, float]:
    """The metrics of label sets (D, N) on documents with labels ``gold`` (D, N)."""
    evaluation = Evaluation(len(taxonomy), ks=(1,))
    evaluation.update(gold, sets)
    return {name: float(value) for name, value in evaluation.compute().items() if isinstance(value, (int, float))}


def adopt(
    manifest: Manifest, decoding: Decoding, report: TuningReport, corpus: Corpus | None, reporter: Reporter
) -> None:
    """Let a tuned decoding count from now on, and keep the fingerprints of the documents that it was tuned on."""
    manifest.decoding = decoding
    manifest.metrics["tuning"] = report.to_dict()
    if manifest.metrics.pop("evaluations", None):
        reporter.note("Metrics that were recorded with the old thresholds are removed; evaluate again.")
    held_out = manifest.held_out
    if held_out is None or not held_out.salt or (corpus is None and held_out.tuned is None):
        return
    tuned = fingerprints([] if corpus is None else corpus.texts, held_out.salt)
    manifest.held_out = replace(held_out, tuned=np.sort(tuned))
