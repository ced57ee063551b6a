"""Which settings to try next: Optuna's tree-structured Parzen estimator over the trials so far.

Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization". Optuna proposes; the trials are kept by
:mod:`taxotext.api.search`. Every proposal is a function of the seed, the number of the trial, the finished trials and
those at work, so that a resumed search of one trial after the other goes on as if nothing had happened.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from taxotext.composition.space import Choice, Space, same
from taxotext.errors import MissingExtraError


def check_installed() -> None:
    """Raise MissingExtraError when Optuna is not there."""
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError(
            "`taxotext search` needs Optuna; install it with `pip install 'taxotext[search]'`."
        ) from None


def propose(
    space: Space,
    finished: Iterable[tuple[Mapping[str, Any], float]],
    *,
    at_work: Iterable[Mapping[str, Any]] = (),
    seed: int,
    number: int,
) -> dict[str, Any]:
    """Return the settings to try as trial ``number``, by key path.

    Args:
        space: what may be tried.
        finished: settings and metric of the trials so far; greater is better.
        at_work: settings of trials without a metric yet. They count as bad ones (Optuna's ``constant_liar``), so that
            trials side by side try different settings.
    """
    import numpy as np
    import optuna
    from optuna.trial import TrialState

    distributions: dict[str, Any] = {}
    for key, dimension in space.items():
        if isinstance(dimension, Choice):  # by position: values may be lists
            distributions[key] = optuna.distributions.CategoricalDistribution(range(len(dimension.values)))
        elif dimension.whole:
            bounds = int(dimension.low), int(dimension.high)
            distributions[key] = optuna.distributions.IntDistribution(*bounds, log=dimension.log)
        else:
            distributions[key] = optuna.distributions.FloatDistribution(
                dimension.low, dimension.high, log=dimension.log
            )
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    known: list[tuple[Mapping[str, Any], dict[str, Any]]] = [
        *((values, {"value": metric, "state": TrialState.COMPLETE}) for values, metric in finished),
        *((values, {"state": TrialState.RUNNING}) for values in at_work),
    ]
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of constant_liar
            sampler = optuna.samplers.TPESampler(seed=own, constant_liar=True)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for values, state in known:
            parameters = {key: _encoded(space[key], value) for key, value in values.items()}
            study.add_trial(optuna.trial.create_trial(params=parameters, distributions=distributions, **state))
        drawn = study.ask(distributions).params
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {key: _decoded(dimension, drawn[key]) for key, dimension in space.items()}


def _encoded(dimension: Any, value: Any) -> Any:
    if isinstance(dimension, Choice):
        return next(position for position, known in enumerate(dimension.values) if same(value, known))
    return value


def _decoded(dimension: Any, value: Any) -> Any:
    return dimension.values[value] if isinstance(dimension, Choice) else dimension.rounded(value)
