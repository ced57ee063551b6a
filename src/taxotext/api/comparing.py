"""Two systems on the same documents: the difference of their metrics, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from taxotext.api.classifier import load
from taxotext.api.predicted import PredictedSets, common_columns, gold_of, in_order_of, predict_sets, read_predictions
from taxotext.api.reading import read_for_model
from taxotext.data import Corpus, read_corpus
from taxotext.data.sources import check_path
from taxotext.errors import ConfigError, nearest
from taxotext.labels import read_taxonomy
from taxotext.messages import parameter
from taxotext.metrics import (
    approximate_randomisation,
    benjamini_hochberg,
    bootstrap_interval,
    holm,
    paired_bootstrap,
)
from taxotext.metrics.significance import METRICS
from taxotext.metrics.sparse import keys
from taxotext.progress import Reporter, Silent

TESTS = ("bootstrap", "randomisation")
CORRECTIONS: dict[str, Callable[[Sequence[float]], Any]] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": np.asarray,
}
DEFAULT_METRICS = ("micro_f1", "macro_f1", "samples_f1", "set_accuracy")


@dataclass(frozen=True)
class CompareSettings:
    """How two systems are compared.

    Raises:
        ConfigError: an impossible value.
    """

    metrics: tuple[str, ...] = DEFAULT_METRICS  # of `taxotext.metrics.significance.METRICS`
    # where p-values come from: `bootstrap` or `randomisation`; intervals are those of the bootstrap
    test: str = "bootstrap"
    correction: str = "holm"  # of the p-values for several metrics: `holm`, `benjamini-hochberg` or `none`
    samples: int = 1000  # how many sets of documents are drawn
    confidence: float = 0.95  # of the intervals
    seed: int = 0  # of the draws

    def __post_init__(self) -> None:
        if not self.metrics:
            raise ConfigError(f"No metric was given; choose from {', '.join(METRICS)}.")
        choices: list[tuple[str, str, Sequence[str]]] = [("metric", metric, METRICS) for metric in self.metrics]
        choices += [("test", self.test, TESTS), ("correction", self.correction, tuple(CORRECTIONS))]
        for name, value, known in choices:
            if value not in known:
                raise ConfigError(f"{name} is {value!r}.{nearest(value, known)} Choose from {', '.join(known)}.")
        if len(set(self.metrics)) != len(self.metrics):
            raise ConfigError("The same metric was given twice.")
        if self.samples < 1:
            raise ConfigError(f"samples is {self.samples}; at least 1 is needed.")
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence is {self.confidence}; give a number between 0 and 1, such as 0.95.")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; give a number from 0 on.")


def compare(
    first: Sequence[Path],
    second: Sequence[Path],
    gold: Path,
    settings: CompareSettings | None = None,
    *,
    taxonomy: Path | None = None,
    on_bad_line: str = "error",
    runtime: dict[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Compare two systems on labelled documents.

    Args:
        first: the runs (seeds) of the first system: model folders, which label the texts of ``gold``, or files that
            ``taxotext predict`` wrote, whose lines are matched by id, or by order where there are no ids.
        gold: labelled file. It is read as for the models; for files alone, ``taxonomy`` says what the labels are.
        settings: None: the defaults.
        taxonomy: for files: gold labels are closed upward in it, and all its labels count in macro averages; None: the
            labels of gold and predictions count, as given.
        on_bad_line: of the gold file: ``error`` or ``skip``.
        runtime: ``device``, ``threads``: where models compute.

    Returns:
        What ``taxotext compare --json`` writes; ``difference`` is first less second.

    Raises:
        ConfigError: the models read the gold labels in different ways, or a setting is impossible.
        DataError: a file cannot be read, or the documents are not the same.
    """
    settings, reporter = settings or CompareSettings(), reporter or Silent()
    paths = [*first, *second]
    models = {path: load(path, **(runtime or {})) for path in dict.fromkeys(paths) if _is_model(path)}
    if models and taxonomy is not None:
        raise ConfigError("A taxonomy is given for prediction files only; a model folder has its own.")
    files = {path: read_predictions(path) for path in dict.fromkeys(paths) if path not in models}
    corpora = {path: read_for_model(classifier, gold, on_bad_line=on_bad_line) for path, classifier in models.items()}
    corpus = next(iter(corpora.values())) if corpora else _read_gold(gold, taxonomy, on_bad_line)
    wanted = gold_of(corpus)
    for path, other in corpora.items():
        _check_same_gold(wanted, gold_of(other), next(iter(corpora)), path)
    predicted = []
    for path in paths:
        found = files.get(path)
        if found is None:
            found = predict_sets(models[path], corpora[path], str(path), reporter)
        predicted.append(in_order_of(wanted, found))
    labels, (gold_sets, *sets) = common_columns([wanted, *predicted])
    one, two = sets[: len(first)], sets[len(first) :]
    if settings.test == "randomisation" and len(one) != len(two) and min(len(one), len(two)) > 1:
        raise ConfigError(
            f"The first system has {len(one)} runs and the second {len(two)}; the randomisation test needs as many of "
            f"one as of the other. Give as many, or take {parameter('test', 'bootstrap')}."
        )
    rows = [_row(gold_sets, one, two, metric, settings) for metric in settings.metrics]
    adjusted = CORRECTIONS[settings.correction]([row["p_value"] for row in rows])
    for row, value in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = float(value)
    return {
        "first": [str(path) for path in first],
        "second": [str(path) for path in second],
        "gold": gold.name,
        "documents": gold_sets.shape[0],
        "labels": len(labels),
        "matched_by": "id" if files and _have_ids(wanted, files.values()) else "order",
        "test": settings.test,
        "correction": settings.correction,
        "samples": settings.samples,
        "confidence": settings.confidence,
        "seed": settings.seed,
        "comparisons": rows,
    }


def _row(gold: Any, one: Any, two: Any, metric: str, settings: CompareSettings) -> dict[str, Any]:
    draws: dict[str, Any] = {"samples": settings.samples, "seed": settings.seed}
    own = [bootstrap_interval(gold, runs, metric, confidence=settings.confidence, **draws) for runs in (one, two)]
    result = paired_bootstrap(gold, one, two, metric, confidence=settings.confidence, **draws)
    if settings.test == "randomisation":
        result = replace(result, p_value=approximate_randomisation(gold, one, two, metric, **draws).p_value)
    return {
        "metric": metric,
        **{
            name: {"value": interval.value, "low": interval.low, "high": interval.high}
            for name, interval in zip(("first", "second"), own, strict=True)
        },
        "difference": result.difference,
        "low": result.low,
        "high": result.high,
        "p_value": result.p_value,
    }


def _is_model(path: Path) -> bool:
    if path.is_dir():
        return True
    check_path(path)
    return False


def _read_gold(gold: Path, taxonomy: Path | None, on_bad_line: str) -> Corpus:
    labels = None if taxonomy is None else read_taxonomy(taxonomy)
    return read_corpus(gold, labels, unknown="count", on_bad_line=on_bad_line)


def _check_same_gold(wanted: PredictedSets, other: PredictedSets, first: Path, path: Path) -> None:
    _, (one, two) = common_columns([wanted, other])
    if one.shape != two.shape or one.nnz != two.nnz or not np.array_equal(keys(one), keys(two)):
        raise ConfigError(
            f"{first} and {path} read different gold labels from {wanted.source}: they were trained with other text "
            "fields, taxonomies or closures. Compare files of predictions with --gold instead."
        )


def _have_ids(gold: PredictedSets, predicted: Iterable[PredictedSets]) -> bool:
    return gold.document_ids is not None and all(part.document_ids is not None for part in predicted)
