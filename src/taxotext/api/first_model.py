"""The model of a user who names no system: ``linear``, or ``bert`` where it is better beyond chance.

``linear`` is always trained. ``bert`` is trained where its estimated time fits the budget and a quick look does not
speak against it, and kept where the paired bootstrap says that its micro-F1 on the validation documents is higher. Both
are compared with thresholds that were tuned on the other validation documents (cross-validation).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from taxotext.api.choice import Plan, frozen, plan, why_not_bert
from taxotext.api.fitting import fit_system, held_out_part
from taxotext.api.identity import Chosen, identity
from taxotext.api.trials import span
from taxotext.api.tuning import tune_thresholds
from taxotext.composition.base import System, SystemSettings
from taxotext.data import Columns, Corpus
from taxotext.data.splits import evenly_spaced
from taxotext.decoding import TuningReport
from taxotext.files import write_text_atomically
from taxotext.files.json_files import read_json_or_none
from taxotext.messages import counted
from taxotext.metrics.significance import paired_bootstrap
from taxotext.models.registry import find
from taxotext.progress import Reporter, Silent, WithoutNotes
from taxotext.settings import overlaid, parse_settings
from taxotext.store import Manifest, read_folder, save_folder
from taxotext.training import RunFolder, recipe_of
from taxotext.training.run import release_run

PLAN = "plan.json"
SMALL, SMALL_FRACTION = 1000, 0.2
"""Of fewer documents this share is held out to compare by: a tenth would hardly ever tell two systems apart."""
LOOK_FROM = 4.0
"""Minutes of ``bert`` from which on a quick look comes first."""
LOOK_SHARE = 0.15
"""Of the budget, for the quick look at most."""
LOOK_DOCUMENTS, LOOK_VALIDATION = 1000, 300
HOPELESS = -0.08
"""Difference in micro-F1 of the quick look below which ``bert`` is not trained: fine-tuning gains a few points."""


@dataclass(frozen=True)
class Given:
    """What the user gave: documents, settings, and the minutes for ``bert``."""

    train: Corpus
    validation: Corpus | None
    settings: Mapping[str, Any]
    budget: float
    columns: Columns
    where: str


Fitted = tuple[System, Manifest]


def train_first(given: Given, run: RunFolder, reporter: Reporter) -> Fitted:
    """Train ``linear``, perhaps ``bert``, and return the better one, not tuned; its metrics say why.

    What is finished is kept in the run folder: a resumed run does not train it again, and keeps the plan.
    """
    reporter.note("No system is named: linear is trained, and bert where it is worth its time.")
    linear = parse_settings(find("linear").Settings, given.settings, given.where)
    system, manifest = _linear(given, given.train, given.validation, run.checkpoints / "linear", linear, reporter)
    why_not = why_not_bert(given.train)
    if why_not:
        reporter.note(why_not)
        return _kept(system, manifest, {"model": "linear", "reason": why_not})
    train, validation = given.train, given.validation
    if validation is None:
        fraction = held_out_share(train, given.settings, linear)
        train, validation = held_out_part(train, fraction, linear.seed)
    planned = _planned(given, train, validation, run.checkpoints / PLAN, reporter)
    if planned.settings is None:
        return _kept(system, manifest, {"model": "linear", "reason": planned.reason})
    if given.validation is None:
        held_out = {"validation": {"fraction": fraction}}
        planned = replace(planned, settings=dict(overlaid(planned.settings, held_out)))
    compared = system, manifest
    if given.validation is None:  # scores on the documents that bert is validated on, without having seen them
        compared = _linear(given, train, validation, run.checkpoints / "linear-compared", linear, reporter)
    fitted = _bert(given, planned, run, reporter)
    found = compare(fitted, compared)
    reporter.note(found["reason"])
    if found["model"] == "linear":
        return _kept(system, manifest, found)
    return _kept(*fitted, found | {"settings": planned.settings})


def held_out_share(train: Corpus, given: Mapping[str, Any], settings: SystemSettings) -> float:
    """The share of the documents that is held out, where there is no validation file."""
    return SMALL_FRACTION if "validation" not in given and len(train) < SMALL else settings.validation.fraction


def _kept(system: System, manifest: Manifest, choice: dict[str, Any]) -> Fitted:
    manifest.metrics["choice"] = choice
    return system, manifest


def compare(bert: Fitted, linear: Fitted) -> dict[str, Any]:
    """Which of two models is kept, by micro-F1 on the same held-out documents; with the scores and a reason."""
    first, second, held_out = _report(bert), _report(linear), bert[1].held_out
    if first is None or second is None or held_out is None:
        return {"model": "linear", "reason": "Kept linear: there are too few held-out documents to compare with."}
    gold, sets = held_out.gold, (first.cross_validated_sets, second.cross_validated_sets)
    assert sets[0] is not None
    assert sets[1] is not None  # else there was no report
    found = paired_bootstrap(gold, sets[0], sets[1], "micro_f1")
    kept = "bert" if found.low > 0 else "linear"
    scores = {"bert": first.cross_validated, "linear": second.cross_validated}
    return {
        "model": kept,
        "micro_f1": scores,
        "interval": [found.low, found.high],
        "documents": gold.shape[0],
        "reason": f"Kept {kept}: micro-F1 on {counted(gold.shape[0], 'held-out document')}, with tuned thresholds in "
        f"cross-validation: bert {scores['bert']:.4f}, linear {scores['linear']:.4f}; the difference lies between "
        f"{found.low:+.4f} and {found.high:+.4f} (95 %)"
        + (", above 0." if kept == "bert" else "; bert is kept where all of it is above 0."),
    }


def _report(fitted: Fitted) -> TuningReport | None:
    """The tuning of a model, which stays as it is; None where there is nothing to tune with."""
    system, manifest = fitted
    held_out = manifest.held_out
    if held_out is None or held_out.gold.shape[0] < 2 or held_out.gold.nnz == 0:
        return None
    aside = replace(manifest, metrics={})
    report = tune_thresholds(system, aside, None, reporter=Silent())
    return report if report.cross_validated_sets is not None else None


def _linear(
    given: Given, train: Corpus, validation: Corpus | None, folder: Path, settings: Any, reporter: Reporter
) -> Fitted:
    """``linear``, from the run folder where it was trained before the run was interrupted."""
    if (folder / "config.json").is_file():
        return read_folder(folder)
    kind = find("linear")
    fitted = fit_system(kind, settings, train, validation, columns=given.columns, reporter=reporter)
    save_folder(folder, *fitted)
    return fitted


def _planned(given: Given, train: Corpus, validation: Corpus, path: Path, reporter: Reporter) -> Plan:
    """The plan for ``bert``, kept: measured again it would be another one, and not that of the checkpoints."""
    kept = read_json_or_none(path)
    if kept is not None:
        return Plan(kept["settings"], tuple(kept["minutes"]), kept["reason"])
    reporter.note("Timing a few batches of bert.")
    found = plan(train, len(validation), given.settings, given.budget)
    reporter.note(found.reason)
    if found.settings is not None and found.minutes[1] >= LOOK_FROM:
        found = _tried_on_part(given, found, train, validation, reporter)
    write_text_atomically(path, json.dumps(asdict(found), indent=2))
    return found


def _tried_on_part(given: Given, planned: Plan, train: Corpus, validation: Corpus, reporter: Reporter) -> Plan:
    """The plan, dropped where a frozen encoder is far behind ``linear`` on a part of the documents."""
    few = train.subset(evenly_spaced(len(train), LOOK_DOCUMENTS))
    some = validation.subset(evenly_spaced(len(validation), LOOK_VALIDATION))
    size = (planned.settings or {})["text"]["max_tokens"]
    quick = frozen(size, LOOK_SHARE * given.budget)
    tried = {"bert": overlaid(given.settings, quick), "linear": given.settings}
    scores: dict[str, float] = {}
    for name, settings in tried.items():
        kind = find(name)
        quiet = WithoutNotes(reporter, f"Quick look, {name}: ")
        parsed = parse_settings(kind.Settings, settings, given.where)
        report = _report(fit_system(kind, parsed, few, some, reporter=quiet))
        if report is None or report.cross_validated is None:
            return planned
        scores[name] = report.cross_validated
    difference = scores["bert"] - scores["linear"]
    looked = (
        f"Quick look at {counted(len(few), 'document')}: micro-F1 {scores['bert']:.4f} with a frozen encoder, "
        f"{scores['linear']:.4f} with linear."
    )
    reporter.note(looked)
    if difference >= HOPELESS:
        return planned
    reason = f"Chose linear: bert is not worth {span(*planned.minutes)}. {looked} Ask for it with --model bert."
    reporter.note("Kept linear: bert is too far behind to be worth its time; ask for it with --model bert.")
    return Plan(None, planned.minutes, reason)


def _bert(given: Given, planned: Plan, outer: RunFolder, reporter: Reporter) -> Fitted:
    """``bert`` as planned, in a run folder inside that of the choice; it goes on where it was interrupted."""
    kind = find("bert")
    # The training ends with the budget, whatever was estimated.
    chosen = Chosen(kind, parse_settings(kind.Settings, overlaid(given.settings, planned.settings or {}), given.where))
    folder = outer.checkpoints / "bert"
    states = recipe_of(kind).STATES
    run = RunFolder(folder, identity(chosen, given.train, given.validation), resume=True, states=states)
    run.logs = outer.logs  # they stay when the rest is removed
    try:
        return fit_system(
            kind, chosen.settings, given.train, given.validation, run=run, columns=given.columns, reporter=reporter
        )
    finally:
        release_run(folder)
