"""How sure a metric or a difference is: bootstrap, approximate randomisation, many comparisons.

Documents are what is drawn: a document keeps its gold labels and the answers of all systems and runs (seeds), so
comparisons are paired. Where a system has several runs, its metric is the mean over them, and the runs are drawn as
well (hierarchical; runs and documents are crossed: every drawn run is measured on the same drawn documents). Runs of
two systems have nothing in common, so they are drawn apart.

* :func:`bootstrap_interval`: percentile interval (Efron and Tibshirani 1993) of one system.
* :func:`paired_bootstrap`: interval of a difference and a two-sided p-value.
* :func:`approximate_randomisation`: p-value of a difference by swapping answers (Noreen 1989).
* :func:`holm`, :func:`benjamini_hochberg`: p-values adjusted for many comparisons.

Intervals are moved by the bias that the bootstrap itself shows (mean of the drawn metrics less the metric): drawn
documents lack a third of the documents and with them rare labels, so macro averages of them come out too low. A ratio
0/0 counts 0, as in :class:`~taxotext.metrics.SetMetrics`. The bootstrap over R runs shows too little of their spread,
by the factor sqrt((R - 1) / R).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import hstack, issparse

from taxotext.errors import nearest
from taxotext.metrics.sets import ratio
from taxotext.metrics.sparse import FloatArray, IntArray, Sets, as_sets

Runs: TypeAlias = "Sets | Sequence[Sets]"
"""Predicted sets (D, L) of one run, or of several runs (seeds)."""

METRICS = (
    "micro_f1",
    "micro_precision",
    "micro_recall",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "samples_f1",
    "samples_precision",
    "samples_recall",
    "set_accuracy",
    "hamming_accuracy",
)
"""What can be resampled; docs/reference/metrics.md defines them."""

_NUMBERS_AT_ONCE = 1 << 23
"""How many numbers a block of drawn samples may hold (64 MB)."""
_SAME = 1e-12
"""Differences that rounding makes."""


@dataclass(frozen=True)
class Interval:
    """A metric and its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A difference, first less second: positive when the first is better.

    ``low`` and ``high`` bound its confidence interval (nan where the test gives none), ``p_value`` is two-sided.
    """

    difference: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(
    gold: Sets, predicted: Runs, metric: str, *, samples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Return a metric with its bootstrap interval over documents and, where there are several, runs.

    Args:
        gold: (D, L) bool sparse.
        predicted: (D, L) bool sparse, or a sequence of them, one for each run.
        metric: one of :data:`METRICS`.
        samples: how many sets of D documents are drawn with replacement.
        confidence: of the interval, between 0 and 1.

    Raises:
        ValueError: shapes do not fit, there is no document, or an argument is impossible.

    >>> from scipy.sparse import csr_array
    >>> gold = csr_array(np.eye(4, dtype=bool))
    >>> bootstrap_interval(gold, gold, "set_accuracy")
    Interval(value=1.0, low=1.0, high=1.0)
    """
    random = _generator(samples, confidence, seed)
    (system,) = _systems(gold, metric, predicted=predicted)
    drawn = np.concatenate([system.drawn(weights) for weights in _documents(random, samples, system)])  # (S, R)
    values = _over_runs(random, drawn)
    low, high = _bounds(values, system.value, confidence)
    return Interval(system.value, max(low, 0.0), min(high, 1.0))


def paired_bootstrap(
    gold: Sets, first: Runs, second: Runs, metric: str, *, samples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two systems on the same documents by the paired bootstrap.

    The p-value is the share of drawn differences that lie as far from their mean as the difference lies from 0,
    (1 + count) / (1 + samples).

    Args:
        gold: (D, L) bool sparse.
        first: (D, L) bool sparse, or one for each run.
        second: the same; the number of runs may differ.
        metric: one of :data:`METRICS`.
        samples, confidence, seed: see :func:`bootstrap_interval`.

    Raises:
        ValueError: shapes do not fit, there is no document, or an argument is impossible.

    >>> from scipy.sparse import csr_array
    >>> gold = csr_array(np.eye(4, dtype=bool))
    >>> paired_bootstrap(gold, gold, gold, "micro_f1")
    Comparison(difference=0.0, low=0.0, high=0.0, p_value=1.0)
    """
    random = _generator(samples, confidence, seed)
    one, two = _systems(gold, metric, first=first, second=second)
    drawn = [(one.drawn(weights), two.drawn(weights)) for weights in _documents(random, samples, one, two)]
    values = _over_runs(random, np.concatenate([pair[0] for pair in drawn]))
    values = values - _over_runs(random, np.concatenate([pair[1] for pair in drawn]))
    difference = one.value - two.value
    low, high = _bounds(values, difference, confidence)
    return Comparison(difference, low, high, _p_value(values - values.mean(), difference))


def approximate_randomisation(
    gold: Sets, first: Runs, second: Runs, metric: str, *, samples: int = 1000, seed: int = 0
) -> Comparison:
    """Compare two systems on the same documents by approximate randomisation.

    In each sample, every document's answers are swapped between the systems with probability 1/2. With several runs,
    all runs of a document are swapped together, and the difference that arises when whole runs are dealt to the systems
    anew is added, so that chance of both kinds is in the null distribution. Three runs a side can hardly give less than
    p = 0.05: only 20 ways to deal them exist.

    Args:
        gold: (D, L) bool sparse.
        first: (D, L) bool sparse, or one for each run.
        second: as many runs as ``first``, or one of them has a single run (of a system without chance).
        metric: one of :data:`METRICS`.

    Returns:
        The difference with its two-sided p-value (1 + count) / (1 + samples); no interval (``low``, ``high`` nan).

    Raises:
        ValueError: shapes or numbers of runs do not fit, there is no document, or an argument is impossible.
    """
    random = _generator(samples, 0.5, seed)
    one, two = _systems(gold, metric, first=first, second=second)
    runs = max(len(one.runs), len(two.runs))
    if len(one.runs) not in (1, runs) or len(two.runs) not in (1, runs):
        raise ValueError(
            f"first has {len(one.runs)} runs and second {len(two.runs)}: approximate randomisation needs as many of "
            "one as of the other; paired_bootstrap does not"
        )
    difference = one.value - two.value
    swapped = [_swapped(one, two, runs, swap) for swap in _coins(random, samples, one, two)]
    values = np.concatenate(swapped)
    if runs > 1:
        values = values + _with_runs_dealt_anew(random, samples, one, two, runs)
    return Comparison(difference, float("nan"), float("nan"), _p_value(values, difference))


def holm(p_values: Sequence[float]) -> FloatArray:
    """Return p-values adjusted by Holm (1979): below alpha, no false finding among all with probability 1 - alpha.

    Args:
        p_values: (M,) of M comparisons, each in 0..1.

    Raises:
        ValueError: a p-value is not in 0..1.

    >>> holm([0.01, 0.04, 0.03]).round(10).tolist()
    [0.03, 0.06, 0.06]
    """
    given = _p_values(p_values)
    order = np.argsort(given, kind="stable")
    steps = given[order] * np.arange(given.size, 0, -1)
    adjusted = np.empty(given.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> FloatArray:
    """Return p-values adjusted by Benjamini and Hochberg (1995): of those below alpha, a share alpha is expected false.

    Args:
        p_values: (M,) of M comparisons, each in 0..1; independent or positively dependent.

    Raises:
        ValueError: a p-value is not in 0..1.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(10).tolist()
    [0.03, 0.04, 0.04]
    """
    given = _p_values(p_values)
    order = np.argsort(given, kind="stable")
    steps = given[order] * given.size / np.arange(1, given.size + 1)
    adjusted = np.empty(given.size)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted


# -- metrics as functions of sums over documents --------------------------------------------------------------------


class _System:
    """The runs of a system as counts per document, whose weighted sums give the metric."""

    def __init__(self, gold: Sets, runs: Sequence[Sets], used: IntArray, metric: str) -> None:
        self.documents, self.labels = gold.shape
        self.runs = [_counts(gold, run, used, metric) for run in runs]
        self.finish = _FINISH[metric]
        self.values = self.drawn(np.ones((self.documents, 1)))[0]  # (R,)
        self.value = float(self.values.mean())

    def drawn(self, weights: FloatArray) -> FloatArray:
        """The metric of every run under weights (D, B) of documents: (B, R)."""
        sums = (counts.T @ weights for counts in self.runs)  # (F, B) each
        return np.stack([self.finish(total, self.documents, self.labels) for total in sums], axis=1)


def _systems(gold: Any, metric: str, **given: Any) -> list[_System]:
    """Check the sets of all systems together; they share the labels that occur."""
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}.{nearest(metric, METRICS)} Known: {', '.join(METRICS)}")
    gold = as_sets(gold, "gold")
    if 0 in gold.shape:
        raise ValueError(f"gold has shape {gold.shape}: without a document and a label nothing can be drawn")
    checked: list[list[Sets]] = []
    for name, runs in given.items():
        named = {name: runs} if issparse(runs) else {f"{name}[{run}]": sets for run, sets in enumerate(runs)}
        if not named:
            raise ValueError(f"{name} is empty; at least one run is needed")
        checked.append([as_sets(sets, run) for run, sets in named.items()])
        for run, sets in zip(named, checked[-1], strict=True):
            if sets.shape != gold.shape:
                raise ValueError(f"gold has shape {gold.shape} but {run} has {sets.shape}")
    occurs = np.zeros(gold.shape[1], dtype=np.bool_)
    for sets in (gold, *(sets for runs in checked for sets in runs)):
        occurs[sets.indices] = True
    used = np.flatnonzero(occurs)
    return [_System(gold, runs, used, metric) for runs in checked]


def _counts(gold: Sets, predicted: Sets, used: IntArray, metric: str) -> Any:
    """Counts per document, (D, F), dense or sparse, of which only the sums over documents matter.

    Macro metrics: the hits of each used label, then the denominators. Others: hits, predicted, gold; or the metric of
    the document itself.
    """
    both = as_sets(gold.multiply(predicted))
    if metric.startswith("macro"):
        tp, pp, p = (_columns(sets, used) for sets in (both, predicted, gold))
        size = {"macro_f1": pp + p, "macro_precision": pp, "macro_recall": p}[metric]
        return hstack([tp, size], format="csr")
    hits, given, wanted = (np.diff(sets.indptr).astype(np.float64) for sets in (both, predicted, gold))
    if metric == "set_accuracy":
        return ((hits == given) & (hits == wanted)).astype(np.float64)[:, None]
    if metric.startswith("samples"):
        hits, size = {
            "samples_f1": (2 * hits, given + wanted),
            "samples_precision": (hits, given),
            "samples_recall": (hits, wanted),
        }[metric]
        return (ratio(hits, size) + (given + wanted == 0))[:, None]
    return np.stack([hits, given, wanted], axis=1)


def _columns(sets: Any, used: IntArray) -> Any:
    return sets.astype(np.float64)[:, used]


def _macro(factor: int) -> Callable[[FloatArray, int, int], FloatArray]:
    def finish(sums: FloatArray, documents: int, labels: int) -> FloatArray:
        used = sums.shape[0] // 2
        return np.asarray(ratio(factor * sums[:used], sums[used:]).sum(axis=0) / labels)

    return finish


_FINISH: dict[str, Callable[[FloatArray, int, int], FloatArray]] = {
    "micro_f1": lambda sums, documents, labels: ratio(2 * sums[0], sums[1] + sums[2]),
    "micro_precision": lambda sums, documents, labels: ratio(sums[0], sums[1]),
    "micro_recall": lambda sums, documents, labels: ratio(sums[0], sums[2]),
    "hamming_accuracy": lambda sums, documents, labels: (
        1.0 - (sums[1] + sums[2] - 2 * sums[0]) / (float(documents) * labels)
    ),
    "macro_f1": _macro(2),
    "macro_precision": _macro(1),
    "macro_recall": _macro(1),
    **dict.fromkeys(
        ("set_accuracy", "samples_f1", "samples_precision", "samples_recall"),
        lambda sums, documents, labels: sums[0] / documents,
    ),
}


# -- draws ----------------------------------------------------------------------------------------------------------


def _generator(samples: int, confidence: float, seed: int) -> np.random.Generator:
    if samples < 1:
        raise ValueError(f"samples is {samples}; at least 1 is needed")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; a number between 0 and 1 is needed, such as 0.95")
    return np.random.default_rng(seed)


def _blocks(samples: int, systems: Sequence[_System]) -> Iterator[int]:
    """Sizes of the blocks in which samples are drawn; the draws do not depend on them."""
    width = systems[0].documents * 2 + 3 * max(counts.shape[1] for system in systems for counts in system.runs)
    size = max(1, _NUMBERS_AT_ONCE // width)
    for start in range(0, samples, size):
        yield min(size, samples - start)


def _documents(random: np.random.Generator, samples: int, *systems: _System) -> Iterator[FloatArray]:
    """How often each document is drawn in each sample, (D, B) a block."""
    documents = systems[0].documents
    for size in _blocks(samples, systems):
        chosen = random.integers(0, documents, size=(size, documents))
        chosen += np.arange(size)[:, None] * documents
        times = np.bincount(chosen.ravel(), minlength=size * documents).reshape(size, documents)
        yield np.ascontiguousarray(times.T, dtype=np.float64)


def _coins(random: np.random.Generator, samples: int, *systems: _System) -> Iterator[FloatArray]:
    """Whether each document is swapped in each sample, 0 or 1, (D, B) a block."""
    for size in _blocks(samples, systems):
        flips = random.random(size=(size, systems[0].documents)) < 0.5
        yield np.ascontiguousarray(flips.T, dtype=np.float64)


def _over_runs(random: np.random.Generator, values: FloatArray) -> FloatArray:
    """The mean over R runs drawn with replacement in each sample; values (S, R), result (S,)."""
    samples, runs = values.shape
    if runs == 1:
        return values[:, 0]
    chosen = random.integers(0, runs, size=(samples, runs))
    return np.asarray(np.take_along_axis(values, chosen, axis=1).mean(axis=1))


def _swapped(one: _System, two: _System, runs: int, swap: FloatArray) -> FloatArray:
    """The difference after swapping documents, (B,)."""
    kept = 1.0 - swap
    total = np.zeros(swap.shape[1])
    for run in range(runs):
        mine, other = one.runs[run % len(one.runs)], two.runs[run % len(two.runs)]
        first = mine.T @ kept + other.T @ swap
        second = mine.T @ swap + other.T @ kept
        total += one.finish(first, one.documents, one.labels) - two.finish(second, two.documents, two.labels)
    return total / runs


def _with_runs_dealt_anew(
    random: np.random.Generator, samples: int, one: _System, two: _System, runs: int
) -> FloatArray:
    """The difference of means when the runs are dealt to the two systems anew, (S,)."""
    values = np.concatenate([np.resize(one.values, runs), np.resize(two.values, runs)])
    order = random.permuted(np.tile(np.arange(2 * runs), (samples, 1)), axis=1)
    dealt = values[order]
    return np.asarray(dealt[:, :runs].mean(axis=1) - dealt[:, runs:].mean(axis=1))


def _bounds(values: FloatArray, value: float, confidence: float) -> tuple[float, float]:
    moved = values - values.mean() + value
    low, high = np.quantile(moved, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _p_value(values: FloatArray, difference: float) -> float:
    beyond = np.abs(values) >= abs(difference) - _SAME
    return float((1 + beyond.sum()) / (1 + values.size))


def _p_values(p_values: Sequence[float]) -> FloatArray:
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"p_values is {list(np.ravel(given))}; a list of numbers from 0 to 1 is needed")
    return given
