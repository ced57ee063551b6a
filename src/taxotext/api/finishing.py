"""What follows a fit: thresholds from its held-out scores, and a summary of the training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taxotext.api.tuning import decoded, scored, scores_lower, tune_thresholds
from taxotext.composition.base import System
from taxotext.decoding import HIERARCHICAL_F1, UNTUNED, TuningReport
from taxotext.decoding.heldout import HeldOut
from taxotext.messages import counted
from taxotext.progress import Reporter, Silent
from taxotext.store import Manifest

SHOWN = ("micro_f1", "macro_f1", "samples_f1")
"""Metrics of the summary."""
AS_ASKED = "as asked for"
"""Why thresholds are not tuned: ``--no-tune``."""


@dataclass(frozen=True)
class Finished:
    """How a fit was finished."""

    untuned: str  # why thresholds were not tuned, in words; empty where they were
    before: dict[str, float]  # metrics of the held-out documents with the decoding of the settings
    # metrics with tuned thresholds, on documents held out from tuning; empty where nothing was tuned
    after: dict[str, float]


def finish(system: System, manifest: Manifest, *, tune: bool, reporter: Reporter | None = None) -> Finished:
    """Tune the thresholds of a fitted model on the held-out scores that it keeps, where thresholds decide.

    Args:
        manifest: changed in place.
        tune: False: the decoding stays as the settings have it.
    """
    held_out, before = manifest.held_out, {}
    if held_out is not None and held_out.gold.nnz:
        before = scored(held_out.gold, decoded(held_out, manifest.decoding, system.taxonomy), system.taxonomy)
    untuned = AS_ASKED if not tune else why_untuned(system, manifest)
    if untuned:
        return Finished(untuned, before, {})
    assert held_out is not None  # else there was a reason
    report = tune_fitted(system, manifest)
    sets = report.cross_validated_sets
    after = {} if sets is None else scored(held_out.gold, sets, system.taxonomy)
    if reporter is not None and scores_lower(report):  # a rule of the settings: without one 0.5 is never beaten by less
        reporter.note("\n".join(explain(report)))
    return Finished("", before, after)


def tune_fitted(system: System, manifest: Manifest) -> TuningReport:
    """Tune with the defaults; for macro-F1 where the training selected its epoch by it."""
    monitor = getattr(getattr(system.settings, "training", None), "monitor", None)
    return tune_thresholds(
        system, manifest, None, metric="macro_f1" if monitor == "macro_f1" else "micro_f1", reporter=Silent()
    )


def why_untuned(system: System, manifest: Manifest) -> str:
    """Why a fitted model keeps the decoding of its settings, in words; empty where thresholds are to be tuned."""
    decoding, held_out = manifest.decoding, manifest.held_out
    if system.decides(system.settings) and decoding.source != "threshold":
        return f"{system.name} decides on label sets itself"
    if str(getattr(system.settings, "preset", "")).startswith("paper"):
        return "the preset of a paper keeps its threshold"
    if decoding.source == "expected_f1":
        return "the settings decode for expected F1"
    if decoding.threshold != UNTUNED or decoding.level_thresholds or decoding.label_thresholds:
        return "the settings name thresholds"
    if held_out is None or held_out.gold.shape[0] < 2:
        return "fewer than two documents were held out"
    if held_out.gold.nnz == 0:
        return "no held-out document has a label"
    return ""


def explain(report: TuningReport) -> list[str]:
    """What a tuning found, as sentences; a fall comes with its reason."""
    if report.metric == HIERARCHICAL_F1:
        kind = "each document gets the closed label set of greatest expected hierarchical F1"
    elif report.level_thresholds is not None:
        kind = f"a threshold for each of {counted(len(report.level_thresholds), 'level')}"
    elif report.tuned_labels:
        kind = f"thresholds for {counted(report.tuned_labels, 'label')} (common {report.threshold:.3f})"
    else:
        kind = f"one threshold of {report.threshold:.3f} for all labels"
    rule = "" if report.consistency == "none" else f", consistency {report.consistency}"
    optimistic = ", with thresholds that were tuned on these documents" if report.before_tuned_here else ""
    metrics = f"{report.before:.4f} before{optimistic}; {report.after:.4f} after"
    if report.cross_validated is not None:
        metrics += f", {report.cross_validated:.4f} in cross-validation, the one to expect on new documents"
    sentences = [
        f"Tuned on {counted(report.documents, 'document')} of {report.tuned_on}: {kind}{rule}. "
        f"{report.metric}: {metrics}."
    ]
    if len(report.by_consistency) > 1 and not scores_lower(report):
        tried = ", ".join(f"{rule} {value:.4f}" for rule, value in report.by_consistency.items())
        sentences.append(f"In cross-validation by consistency: {tried}.")
    if scores_lower(report):
        sentences.append(_reason(report))
    return sentences


def _reason(report: TuningReport) -> str:
    reached = report.after if report.cross_validated is None else report.cross_validated
    without = report.by_consistency.get("none", 0.0)
    if report.consistency != "none" and without > reached:
        return (
            f"The fall comes from consistency {report.consistency}: without it cross-validation gives {without:.4f}. "
            "consistency auto takes what does best."
        )
    if report.metric == HIERARCHICAL_F1:
        return (
            f"The expected value rests on probabilities corrected on {counted(report.documents, 'document')}, too few "
            "here, it seems; tuning for micro_f1 goes back to thresholds."
        )
    if report.shrink is not None or report.level_thresholds is not None or report.tuned_labels:
        return "The fall comes from thresholds that fit these documents too closely; shrink auto avoids that."
    return "The thresholds before do better on these documents; tune on more documents, or on those of the training."


def summary(output: Path, system: System, manifest: Manifest, finished: Finished) -> str:
    """The short table that closes a training, and the next step."""
    trained_on, decoding = manifest.trained_on, manifest.decoding
    documents, held_out = trained_on["training_documents"], manifest.held_out
    rows = [
        ("model", f"{system.name}, {counted(len(system.taxonomy), 'label')}"),
        ("documents", f"{documents:,}, {float(manifest.facts['seconds']):.1f} s"),
        ("held out", _held_out(documents, held_out)),
    ]
    shown = [name for name in SHOWN if name in finished.before]
    if finished.after:
        rows.append(("", "at 0.5   tuned (cross-validated)"))
        rows += [(name, f"{finished.before[name]:.4f}   {finished.after[name]:.4f}") for name in shown]
        own = len(decoding.label_thresholds)
        kind = f"{counted(own, 'label')}, common {decoding.threshold:.3f}" if own else f"{decoding.threshold:.3f}"
        rows.append(("thresholds", kind + (" for all labels" if not own else "")))
    else:
        rows += [(name, f"{finished.before[name]:.4f}") for name in shown]
        rows.append(("thresholds", f"not tuned: {finished.untuned}"))
    selected = manifest.metrics.get("selected")
    if selected:
        rows.append(("kept", str(selected)))
    width = max(len(name) for name, _ in rows)
    table = "\n".join(f"  {name:{width}}  {value}" for name, value in rows)
    nothing_found = _nothing_found_note(output, system, documents, held_out, finished)
    return f"{table}\n{nothing_found}Wrote {output}. Next: taxotext evaluate {output} TEST_FILE"


def _nothing_found_note(
    output: Path, system: System, documents: int, held_out: HeldOut | None, finished: Finished
) -> str:
    """What to do about a model that finds no label of the held-out documents, on a line of its own; else empty."""
    if held_out is None or (finished.after or finished.before).get("micro_f1") != 0:
        return ""
    advice = "add documents, or check them with taxotext data check"
    training = getattr(system.settings, "training", None)
    if finished.untuned == AS_ASKED and held_out.gold.shape[0] > 1:
        advice = f"its thresholds may be too high, find others with taxotext tune {output}"
    elif training is not None:
        advice = f"train linear, which needs fewer (--model linear), or longer (training.epochs={2 * training.epochs})"
    return (
        f"The model finds no label of the {counted(held_out.gold.shape[0], 'held-out document')}. It was trained on "
        f"{counted(documents, 'document')}: {advice}.\n"
    )


def _held_out(documents: int, held_out: HeldOut | None) -> str:
    if held_out is None:
        return "nothing"
    count = int(held_out.gold.shape[0])
    if "cross-fitting" in held_out.source:
        return f"all {count:,} in turn ({held_out.source})"
    return f"{count:,}, {count / (count + documents):.0%} of all ({held_out.source})"
