"""Search for settings: trials on one split, compared by a metric on held-out documents; resumable at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taxotext.api.identity import Chosen, fingerprints_of, identity
from taxotext.api.objective import METRICS
from taxotext.api.proposals import check_installed
from taxotext.api.runs import RunConfig, _note_oddities, parse_run, read_data
from taxotext.api.search_folder import BEST, MODEL, SearchFolder, Trial, check_place
from taxotext.api.search_loop import Search, best_of
from taxotext.api.search_trial import Searched
from taxotext.composition.space import Dimension, build_space, with_values
from taxotext.errors import ConfigError, TaxotextError, nearest
from taxotext.messages import counted, parameter
from taxotext.models.registry import find
from taxotext.progress import Reporter, Silent
from taxotext.settings import parse_settings
from taxotext.training.run import clean_run
from taxotext.work import Workers

DEFAULT_TRIALS = 20


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
        best = best_of(self.trials)
        assert best is not None  # a search without any ends with an error
        return best

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
    workers: Workers | None = None,
    jobs: int | None = None,
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
        workers: where trials are computed; None: on this machine.
        jobs: trials side by side; None: one, or as many as a Ray cluster has room for. What to try next is proposed
            from the trials that have ended and the settings at work, so that more than one make a search depend on how
            long trials take.

    Raises:
        MissingExtraError: Optuna or Ray is not installed.
        ConfigError, DataError, TaxonomyError, ModelFolderError: with everything that is wrong.
    """
    check_installed()
    reporter, workers = reporter or Silent(), workers or Workers()
    _check_options(metric, trials, minutes, jobs, resume, overwrite)
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
    searched = Searched(base, given, config.data.columns(), train, validation, fingerprints_of(train, validation))
    run = Search(config, searched, dimensions, metric, folder, reporter)
    limit = DEFAULT_TRIALS if trials is None and minutes is None else trials
    try:
        run.run_trials(limit, None if minutes is None else 60 * minutes, workers, jobs)
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


def _check_options(
    metric: str, trials: int | None, minutes: float | None, jobs: int | None, resume: bool, overwrite: bool
) -> None:
    problems = []
    if metric not in METRICS:
        problems.append(f"metric: {metric!r} is not known; choose from {', '.join(METRICS)}.{nearest(metric, METRICS)}")
    if trials is not None and trials < 1:
        problems.append(f"trials: must be 1 at least (got {trials}).")
    if jobs is not None and jobs < 1:
        problems.append(f"jobs: must be 1 at least (got {jobs}).")
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
