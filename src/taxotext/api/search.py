"""Search for settings: trials on one split, compared by a metric on held-out documents; resumable at any moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taxotext.api.fitting import fit_system
from taxotext.api.identity import Chosen, identity
from taxotext.api.objective import METRICS, held_out_score
from taxotext.api.proposals import check_installed, propose
from taxotext.api.runs import RunConfig, _note_oddities, parse_run, read_data
from taxotext.api.search_folder import BEST, MODEL, SearchFolder, Trial, check_place
from taxotext.composition.base import System
from taxotext.composition.space import Dimension, build_space, same, start, with_values
from taxotext.data import Corpus
from taxotext.errors import ConfigError, TaxotextError, nearest
from taxotext.files import write_text_atomically
from taxotext.messages import counted, parameter
from taxotext.models.registry import find
from taxotext.progress import Reporter, Silent, WithoutNotes
from taxotext.settings import parse_settings
from taxotext.store import Manifest, save_folder
from taxotext.training import RunFolder, recipe_of
from taxotext.training.run import clean_run

DEFAULT_TRIALS = 20
LOOKED_BACK = 3
"""How many of the last trials say how long the next one may take."""
REPEATED = 20
"""Proposals in a row that had all been tried: nothing is left of the space."""


@dataclass(frozen=True)
class SearchResult:
    """What a search has found so far.

    Attributes:
        model: name of the system.
        metric: what trials are compared by.
        space: what was searched, in words, by key path.
        trials: all of them, in order.
        output: the folder.
    """

    model: str
    metric: str
    space: dict[str, str]
    trials: tuple[Trial, ...]
    output: Path

    @property
    def best(self) -> Trial:
        """The trial with the greatest metric, the first of equal ones."""
        return _best(self.trials)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "model": self.model,
            "metric": self.metric,
            "space": self.space,
            "best": self.best.to_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
            "seconds": round(sum(trial.seconds for trial in self.trials), 1),
            "configuration": str(self.output / BEST),
            "folder": str(self.output / MODEL),
        }


def search(
    values: Mapping[str, Any],
    output: Path,
    *,
    space: Mapping[str, Any] | None = None,
    only: bool = False,
    metric: str = "micro_f1",
    trials: int | None = None,
    minutes: float | None = None,
    where: str = "settings",
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> SearchResult:
    """Try settings of one system and keep the best configuration and its model.

    Every trial is fitted on the same training documents with the same seed. Its metric is the metric on its held-out
    documents: with thresholds tuned by cross-validation over them for ``micro_f1`` and ``macro_f1``, without thresholds
    for the others. Test data have no place here.

    Args:
        values: a configuration as ``taxotext train`` takes it: ``model``, ``data`` and settings that are the same in
            all trials.
        output: see :mod:`taxotext.api.search_folder`.
        space: key path to ``"low..high"``, ``"low..high:log"`` or a list of values; added to what the system declares.
        only: search ``space`` alone.
        metric: one of :data:`taxotext.api.objective.METRICS`.
        trials: all together, those before a resumption included; None: :data:`DEFAULT_TRIALS`, or no limit beside
            ``minutes``.
        minutes: no trial is started that would not fit into this time, judging from the last ones.
        resume: go on with the search in ``output``; a trial that was cut off goes on from its checkpoint, or starts
            again where there is none.
        overwrite: remove the search in ``output``.

    Raises:
        MissingExtraError: Optuna is not installed.
        ConfigError, DataError, TaxonomyError, ModelFolderError: with everything that is wrong.
    """
    check_installed()
    reporter = reporter or Silent()
    _check_options(metric, trials, minutes, resume, overwrite)
    config = parse_run(values, where)
    chosen = config.chosen
    # Without data, so that mistakes in the space are found before hours of reading.
    dimensions = {} if chosen is None else _space(config, chosen, space or {}, only, where)
    check_place(output, resume=resume, overwrite=overwrite)
    train, validation = read_data(config.data, where)
    _note_oddities(train, validation, reporter)
    if chosen is None:
        reporter.note("No system is named: settings of linear are searched. Name another one with --model.")
        kind = find("linear")
        chosen = Chosen(kind, parse_settings(kind.Settings, config.given, where))
        dimensions = _space(config, chosen, space or {}, only, where)
    given = _given(config, chosen, metric)
    base = replace(chosen, settings=parse_settings(chosen.kind.Settings, given, where))
    described = {key: str(dimension) for key, dimension in dimensions.items()}
    what = {"version": 1, "metric": metric, "space": described, **identity(base, train, validation)}
    folder = SearchFolder(output, what, resume=resume, overwrite=overwrite)
    run = _Search(config, base, given, dimensions, metric, train, validation, folder, reporter)
    limit = DEFAULT_TRIALS if trials is None and minutes is None else trials
    try:
        run.run_trials(limit, None if minutes is None else 60 * minutes)
    except TaxotextError:
        folder.abandon()  # else a corrected command would be told that there is a search already
        raise
    finally:
        clean_run(output)  # gives the lock back
    result = SearchResult(base.kind.name, metric, described, tuple(folder.trials), output)
    best = result.best
    reporter.note(
        f"Best of {counted(len(result.trials), 'trial')}: trial {best.number}, {metric} {best.value:.4f}. "
        f"Wrote {output / BEST} and {output / MODEL}. Next: taxotext evaluate {output / MODEL} TEST"
    )
    return result


def _check_options(metric: str, trials: int | None, minutes: float | None, resume: bool, overwrite: bool) -> None:
    problems = []
    if metric not in METRICS:
        problems.append(f"metric: {metric!r} is not known; choose from {', '.join(METRICS)}.{nearest(metric, METRICS)}")
    if trials is not None and trials < 1:
        problems.append(f"trials: must be 1 at least (got {trials}).")
    if minutes is not None and not 0 < minutes < float("inf"):
        problems.append(f"minutes: must be more than 0 (got {minutes}).")
    if resume and overwrite:
        resume_it, replace_it = parameter("resume", True), parameter("overwrite", True)
        problems.append(f"{resume_it} keeps what is there and {replace_it} replaces it; give one of the two.")
    if problems:
        raise ConfigError("The search cannot be started with these options.", problems)


def _space(config: RunConfig, chosen: Chosen, asked: Mapping[str, Any], only: bool, where: str) -> dict[str, Dimension]:
    declared = {} if only else chosen.kind.search_space
    return build_space(chosen.kind.Settings, declared, config.given, asked, where=where)


def _given(config: RunConfig, chosen: Chosen, metric: str) -> dict[str, Any]:
    """The settings of all trials: epochs are selected by the metric of the search, unless another one was named."""
    training = getattr(chosen.settings, "training", None)
    named = config.given.get("training")
    chosen_already = isinstance(named, Mapping) and "monitor" in named
    if chosen_already or getattr(training, "monitor", metric) == metric:  # not all systems have the setting
        return dict(config.given)
    changed = with_values(config.given, {"training.monitor": metric})
    try:
        parse_settings(chosen.kind.Settings, changed)
    except ConfigError:  # a metric that no epoch is selected by
        return dict(config.given)
    return changed


@dataclass(frozen=True)
class _Search:
    """The loop over trials."""

    _config: RunConfig
    _base: Chosen
    _given: Mapping[str, Any]
    _space: Mapping[str, Dimension]
    _metric: str
    _train: Corpus
    _validation: Corpus | None
    _folder: SearchFolder
    _reporter: Reporter

    def run_trials(self, limit: int | None, seconds: float | None) -> None:
        """Run trials until ``limit`` are there or the time is up."""
        if self._folder.trials:
            self._folder.check_trials(self._space)
            done = sum(trial.state != "running" for trial in self._folder.trials)
            self._folder.forget_ended()
            self._reporter.note(f"Going on with the search in {self._folder.folder}: {done} trials are done.")
        while not self._is_over(limit, seconds):
            trials = self._folder.trials
            if trials and trials[-1].state == "running":  # it was cut off
                trial = trials[-1]
            else:
                trial = Trial(len(trials) + 1, "running", self._next())
                self._folder.keep([*trials, trial])
            before = self._folder.trials[:-1]
            twin = next((old for old in before if old.state != "running" and _equal(old, trial)), None)
            if twin is not None:
                first = twin.number if twin.same_as is None else twin.same_as
                trial = replace(twin, number=trial.number, seconds=0.0, same_as=first)
                self._folder.keep([*before, trial])
            else:
                trial = self._run(trial, before)
            self._report(trial, limit)
        self._finish()

    def _is_over(self, limit: int | None, seconds: float | None) -> bool:
        done = [trial for trial in self._folder.trials if trial.state != "running"]
        if limit is not None and len(done) >= limit:
            return True
        if len(done) >= REPEATED and all(trial.same_as is not None for trial in done[-REPEATED:]):
            self._reporter.note("All settings of the search space have been tried.")
            return True
        if seconds is None or not done:
            return False
        spent = sum(trial.seconds for trial in done)
        longest = max((t.seconds for t in [t for t in done if t.same_as is None][-LOOKED_BACK:]), default=0.0)
        if spent + longest <= seconds:
            return False
        self._reporter.note(
            f"No other trial fits into {seconds / 60:g} minutes: {spent / 60:.1f} are spent and the last trials took "
            f"up to {longest / 60:.1f}."
        )
        return True

    def _next(self) -> dict[str, Any]:
        trials = self._folder.trials
        if not trials:
            first = start(self._space, self._base.settings)
            if first is not None:
                return first
        finished = [(trial.settings, trial.value) for trial in trials if trial.value is not None]
        return propose(self._space, finished, seed=self._base.settings.seed, number=len(trials) + 1)

    def _run(self, trial: Trial, before: list[Trial]) -> Trial:
        """Fit, score and record one trial; a better one than all before leaves its model and configuration."""
        started = time.monotonic()
        place = self._folder.run_folder(trial.number)
        try:
            system, manifest, value = self._fit(trial, place)
        except TaxotextError as error:
            self._folder.forget_run(trial.number)
            if not any(old.state == "complete" for old in before):
                self._folder.keep(before)  # nothing works so far: a mistake to fix, not a bad choice of settings
                raise
            failed = replace(trial, state="failed", seconds=round(time.monotonic() - started, 3), reason=str(error))
            self._folder.keep([*before, failed])
            return failed
        seconds = max(time.monotonic() - started, float(manifest.facts["seconds"]))  # those before a resumption, too
        trial = replace(trial, state="complete", value=value, seconds=round(seconds, 3))
        is_best = all(old.value is None or value > old.value for old in before)
        if is_best:  # before the record: a kill in between runs this trial again
            self._save(trial, system, manifest)
        self._folder.keep([*before, trial])
        if is_best:
            self._write_configuration(trial)
        self._folder.forget_run(trial.number)
        return trial

    def _fit(self, trial: Trial, place: Path) -> tuple[System, Manifest, float]:
        kind = self._base.kind
        tried = with_values(self._given, trial.settings)
        settings = parse_settings(kind.Settings, tried, f"trial {trial.number}")
        chosen = Chosen(kind, settings)
        run = RunFolder(
            place, identity(chosen, self._train, self._validation), resume=True, states=recipe_of(chosen.kind).STATES
        )
        system, manifest = fit_system(
            kind,
            settings,
            self._train,
            self._validation,
            run=run,
            columns=self._config.data.columns(),
            reporter=WithoutNotes(self._reporter, f"Trial {trial.number}: "),
        )
        value = held_out_score(system, manifest, self._metric)
        return system, manifest, value

    def _save(self, trial: Trial, system: System, manifest: Manifest) -> None:
        manifest.metrics["search"] = {"trial": trial.number, "metric": self._metric, "value": trial.value}
        save_folder(self._folder.folder / MODEL, system, manifest, overwrite=True)

    def _write_configuration(self, trial: Trial) -> None:
        """``best.yaml``: what the user gave, and over it what the trial found."""
        import yaml

        data = self._config.data.model_dump(mode="json", exclude_defaults=True)
        values = {
            "model": self._base.kind.name,
            "data": data,
            **with_values(self._given, trial.settings),
        }
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        head = f"# Trial {trial.number} of `taxotext search`: {self._metric} {trial.value:.4f} on held-out documents.\n"
        write_text_atomically(self._folder.folder / BEST, head + text)

    def _report(self, trial: Trial, limit: int | None) -> None:
        of = "" if limit is None else f" of {limit}"
        tried = ", ".join(f"{key}={_shown(value)}" for key, value in trial.settings.items())
        if trial.value is None:
            self._reporter.note(f"Trial {trial.number}{of}: failed ({trial.reason}): {tried}")
            return
        best = _best(self._folder.trials)
        beside = "the best so far" if best.number == trial.number else f"best {best.value:.4f}"
        cost = f"{trial.seconds:.1f} s" if trial.same_as is None else f"as trial {trial.same_as}"
        self._reporter.note(f"Trial {trial.number}{of}: {self._metric} {trial.value:.4f} ({beside}), {cost}: {tried}")

    def _finish(self) -> None:
        """See to it that the model and the configuration are those of the best trial, whatever was cut off."""
        trials = self._folder.trials
        if trials and trials[-1].state == "running":  # cut off, and with a smaller budget now
            self._folder.forget_run(trials[-1].number)
            self._folder.keep(trials[:-1])
        best = _best(self._folder.trials)
        if self._folder.model_trial() != best.number:
            self._reporter.note(f"Fitting the model of trial {best.number} again: it was not saved.")
            place = self._folder.run_folder(best.number)
            system, manifest, _ = self._fit(best, place)
            self._save(best, system, manifest)
            self._folder.forget_run(best.number)
        self._write_configuration(best)


def _best(trials: Sequence[Trial]) -> Trial:
    complete = [trial for trial in trials if trial.value is not None]
    return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))


def _equal(one: Trial, other: Trial) -> bool:
    return all(same(value, other.settings.get(key)) for key, value in one.settings.items())


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
