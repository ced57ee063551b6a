"""What an experiment is: the strict settings of EXPERIMENT.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from taxotext.api.runs import DataSettings
from taxotext.errors import ConfigError, nearest
from taxotext.experiments.members import member_problems
from taxotext.messages import counted
from taxotext.models.registry import find
from taxotext.processes import usable_cores
from taxotext.settings import Settings, overlaid, parse_settings

Seed = Annotated[int, Field(ge=0, lt=2**32)]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,59}")
OWN_KEYS = {
    "seed": "seeds are the experiment's: give seeds at the top, or systems.{system}.seeds.",
    "data": "the data are the experiment's: name them under corpora.",
    "model": "the system is named beside settings: systems.{system}.model.",
}
"""Keys of a training that a cell gets from elsewhere."""
COUNTS = ("_labels", "_documents")
"""How metrics of an evaluation end that are counts."""


class PublishedSettings(Settings):
    """Metrics of somebody else on one of the corpora."""

    corpus: str = Field(description="name of a corpus of the experiment")
    source: str = Field(min_length=1, description="paper and table that the metrics come from")
    split: str = Field(min_length=1, description="the split that they were measured on, in words")
    metrics: dict[str, float] = Field(min_length=1, description="metric to value, as a fraction: 0.899 for 89.9 %")

    @field_validator("metrics")
    @classmethod
    def _fractions(cls, value: dict[str, float]) -> dict[str, float]:
        for name, metric in value.items():
            if not 0 <= metric <= 1:
                raise ValueError(f"{name} is {metric}; give fractions, 0.899 for 89.9 %")
        return value


class OtherPublishedSettings(PublishedSettings):
    """Metrics of a system that the experiment does not run."""

    system: str = Field(min_length=1, description="its name, as the table shows it")


class SystemEntry(Settings):
    """One system of the experiment."""

    model: str = Field(description="system of the registry (`taxotext models list`)")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="its settings, as in a training (`taxotext config NAME`)"
    )
    members: tuple[str, ...] = Field(
        (), description="systems of this experiment that it is made of (mixed): cells of the same seed and corpus"
    )
    seeds: tuple[Seed, ...] | None = Field(None, description="seeds of this system; null: those of the experiment")
    published: tuple[PublishedSettings, ...] = Field((), description="published metrics of this system")


class CorpusSettings(DataSettings):
    """One corpus: the data section of a training, a test file, and the split in words."""

    train: str = Field(description="training file")  # here it must be given
    test: str = Field(description="test file; evaluated once for each model")
    split: str = Field("", description="the split in words, for the table")


class Selection(Settings):
    """Some of the cells; what is left out means all."""

    system: str | None = Field(None, description="name of a system; null: all")
    corpus: str | None = Field(None, description="name of a corpus; null: all")
    seed: int | None = Field(None, description="a seed; null: all")

    def matches(self, system: str, corpus: str, seed: int) -> bool:
        """Whether the cell is one of them."""
        return self.system in {None, system} and self.corpus in {None, corpus} and self.seed in {None, seed}


class Override(Selection):
    """Other settings for some of the cells."""

    settings: dict[str, Any] = Field(min_length=1, description="replace those of the system, key by key")


class TuneSettings(Settings):
    """Thresholds from validation documents, as ``taxotext tune``."""

    enabled: bool | None = Field(
        None,
        description="null: all systems but those that decide on label sets themselves; true: these, too; false: every "
        "system predicts at its own threshold, 0.5 by default",
    )
    metric: Literal["micro_f1", "macro_f1", "hierarchical_f1"] = Field(
        "micro_f1",
        description="what to make greatest; hierarchical_f1: the closed set of greatest expected hierarchical F1",
    )
    method: Literal["label", "level", "global"] = Field("label", description="thresholds for each label, level, or one")
    shrink: float | Literal["auto"] = Field("auto", description="pull of rare labels to the common threshold")


class SignificanceSettings(Settings):
    """Paired bootstrap over test documents and seeds, against the baseline."""

    metrics: tuple[str, ...] | None = Field(None, description="null: those columns that can be resampled")
    samples: int = Field(1000, ge=100, le=1_000_000, description="drawn sets of test documents")
    confidence: float = Field(0.95, gt=0, lt=1, description="of the intervals; a difference is marked below 1 - it")
    seed: int = Field(0, ge=0, description="of the draws")


class SpeedSettings(Settings):
    """Speed of prediction, measured for one cell at a time when all of them are trained."""

    enabled: bool = Field(True, description="false: no speed, no memory of prediction")
    documents: int = Field(1000, ge=1, description="test documents, evenly spaced, at most")
    seconds: float = Field(10.0, gt=0, description="for each of the three measurements, at most")


class ExperimentSettings(Settings):
    """A whole experiment."""

    name: str = Field("experiment", min_length=1, description="heading of the table")
    description: str = Field("", description="what is asked, in a sentence or two; printed above the table")
    data_folder: str | None = Field(None, description="relative data paths start here; null: where the command runs")
    systems: dict[str, SystemEntry] = Field(min_length=1, description="systems by the name that the table shows")
    corpora: dict[str, CorpusSettings] = Field(min_length=1, description="corpora by the name that the table shows")
    seeds: tuple[Seed, ...] = Field((13, 14, 15), min_length=1, description="each cell is run once for each seed")
    exclude: tuple[Selection, ...] = Field((), description="cells that are not run")
    overrides: tuple[Override, ...] = Field((), description="other settings for some cells; later ones are stronger")
    tune: TuneSettings = Field(TuneSettings(), description="thresholds from validation data; true, false")
    metrics: tuple[str, ...] = Field(
        ("micro_f1", "macro_f1", "set_accuracy", "p@1"), min_length=1, description="columns (docs/reference/metrics.md)"
    )
    baseline: str | None = Field(None, description="system that the others are compared with; null: no comparison")
    significance: SignificanceSettings = Field(SignificanceSettings(), description="of differences to the baseline")
    speed: SpeedSettings = Field(SpeedSettings(), description="speed of prediction; false: not measured")
    published: tuple[OtherPublishedSettings, ...] = Field((), description="published metrics of other systems")
    jobs: int = Field(1, ge=1, le=1_024, description="cells that are trained at a time")
    threads: int | None = Field(None, ge=1, le=1_024, description="threads of each; null: the cores divided by jobs")
    keep_models: bool = Field(True, description="false: remove the model of a finished cell")

    @field_validator("tune", "speed", mode="before")
    @classmethod
    def _on_or_off(cls, value: Any) -> Any:
        return {"enabled": value} if isinstance(value, bool) else value

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a seed is duplicated")
        return value

    def ks(self) -> tuple[int, ...]:
        """Cut-offs of the ranking metrics: those of the columns, and 1, 3, 5."""
        return cut_offs(self.metrics)

    def threads_each(self) -> int:
        """Threads of each cell."""
        return self.threads or max(1, usable_cores() // self.jobs)

    def is_tuned(self, system: str) -> bool:
        """Whether thresholds are tuned for a system: unless said otherwise, for all that decide on no label sets."""
        if self.tune.enabled is not None:
            return self.tune.enabled
        entry = self.systems[system]
        kind = find(entry.model)
        return not kind.decides(parse_settings(kind.Settings, entry.settings, system))

    def settings_of(self, system: str, corpus: str, seed: int) -> dict[str, Any]:
        """The settings that a cell is trained with, as the user gave them, seed included."""
        values: Mapping[str, Any] = self.systems[system].settings
        for override in self.overrides:
            if override.matches(system, corpus, seed):
                values = overlaid(values, override.settings)
        return {**values, "seed": seed}

    def triples(self) -> list[tuple[str, str, int]]:
        """(system, corpus, seed) of every cell, in the order of the table."""
        return [
            (system, corpus, seed)
            for corpus in self.corpora
            for system, entry in self.systems.items()
            for seed in (entry.seeds or self.seeds)
            if not any(one.matches(system, corpus, seed) for one in self.exclude)
        ]


def parse_experiment(values: Mapping[str, Any], where: str) -> ExperimentSettings:
    """Validate an experiment, the settings of its systems included.

    Args:
        values: what the YAML file holds.
        where: the file, named in an error.

    Raises:
        ConfigError: every problem of every part, in one list.
    """
    problems: list[str] = []
    settings: ExperimentSettings | None = None
    try:
        settings = parse_settings(ExperimentSettings, values, where)
    except ConfigError as error:
        problems += error.problems
    problems += _shape_problems(values)
    systems = list(_system_problems(values.get("systems"), where))
    problems += systems
    if settings is not None:
        problems += _name_problems(settings)
        if not systems:  # the settings of overridden cells are checked on top of sound ones
            problems += _override_problems(settings, where)
            problems += _member_problems(settings)
        if not problems and not settings.triples():
            problems.append("exclude: leaves no cell; take something out of it.")
    if problems or settings is None:
        raise ConfigError(f"{where}: {counted(len(problems), 'problem')} in the experiment.", problems)
    return settings


def _system_problems(systems: Any, where: str) -> Iterator[str]:
    """What is wrong with models and their settings, whatever else is wrong in the file."""
    if not isinstance(systems, Mapping):
        return
    for name, entry in systems.items():
        model = entry.get("model") if isinstance(entry, Mapping) else None
        given = entry.get("settings", {}) if isinstance(entry, Mapping) else None
        if not isinstance(model, str) or not isinstance(given, Mapping):
            continue
        path = f"systems.{name}.settings"
        yield from _own_key_problems(path, given, name)
        try:
            kind = find(model)
        except ConfigError as error:
            yield f"systems.{name}.{error}"
            continue
        try:
            parse_settings(kind.Settings, {key: given[key] for key in given if key not in OWN_KEYS}, where, path)
        except ConfigError as error:
            yield from error.problems


def _own_key_problems(path: str, given: Mapping[str, Any], system: str) -> Iterator[str]:
    """Settings that are the experiment's."""
    for key in sorted(OWN_KEYS.keys() & given.keys()):
        yield f"{path}.{key}: {OWN_KEYS[key].format(system=system)}"
    if isinstance(given.get("runtime"), Mapping) and "threads" in given["runtime"]:
        yield f"{path}.runtime.threads: threads are the experiment's: give threads at the top."


def _override_problems(settings: ExperimentSettings, where: str) -> list[str]:
    """What is wrong with the cells that have settings of their own."""
    problems: dict[str, None] = {}
    for number, override in enumerate(settings.overrides):
        path = f"overrides.{number}.settings"
        problems.update(dict.fromkeys(_own_key_problems(path, override.settings, override.system or "NAME")))
        cells = [cell for cell in settings.triples() if override.matches(*cell)]
        known = override.system in {None, *settings.systems} and override.corpus in {None, *settings.corpora}
        if not cells and known:
            problems[f"overrides.{number}: fits no cell; fix system, corpus and seed."] = None
        for cell in cells:
            kind = find(settings.systems[cell[0]].model)
            try:
                parse_settings(kind.Settings, settings.settings_of(*cell), where, path)
            except ConfigError as error:
                problems.update(dict.fromkeys(f"{problem} ({cell[0]})" for problem in error.problems))
    return list(problems)


def _member_problems(settings: ExperimentSettings) -> Iterator[str]:
    """What is wrong with systems that are made of others."""
    entries, triples = settings.systems, settings.triples()
    takers = {name for name, entry in entries.items() if "members" in find(entry.model).Settings.model_fields}
    folders = {cell[0] for cell in triples if settings.settings_of(*cell).get("members")}
    yield from member_problems({name: entry.members for name, entry in entries.items()}, takers, folders, triples)


def _name_problems(settings: ExperimentSettings) -> Iterator[str]:
    """Names of systems and corpora that are mentioned and not there."""
    systems, corpora = list(settings.systems), list(settings.corpora)

    def unknown(path: str, kind: str, name: str | None, known: Sequence[str]) -> Iterator[str]:
        if name is not None and name not in known:
            yield f"{path}: there is no {kind} {name!r}.{nearest(name, known)} Known: {', '.join(known)}."

    yield from unknown("baseline", "system", settings.baseline, systems)
    for key, chosen in (("exclude", settings.exclude), ("overrides", settings.overrides)):
        for number, one in enumerate(chosen):
            yield from unknown(f"{key}.{number}.system", "system", one.system, systems)
            yield from unknown(f"{key}.{number}.corpus", "corpus", one.corpus, corpora)
    for name, entry in settings.systems.items():
        for number, published in enumerate(entry.published):
            path = f"systems.{name}.published.{number}"
            yield from unknown(f"{path}.corpus", "corpus", published.corpus, corpora)
            yield from _metric_problems(path, published.metrics)
        if entry.seeds is not None and len(set(entry.seeds)) < max(len(entry.seeds), 1):
            yield f"systems.{name}.seeds: is empty, or a seed is duplicated."
        for number, member in enumerate(entry.members):
            yield from unknown(f"systems.{name}.members.{number}", "system", member, systems)
    for number, other in enumerate(settings.published):
        yield from unknown(f"published.{number}.corpus", "corpus", other.corpus, corpora)
        yield from _metric_problems(f"published.{number}", other.metrics)


def _metric_problems(path: str, metrics: Mapping[str, float]) -> Iterator[str]:
    known = known_metrics(cut_offs(list(metrics)))
    for name in metrics:
        if not is_metric(name, known):
            yield f"{path}.metrics.{name}: there is no such metric.{nearest(name, known)}"


def _shape_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """Names that cannot be names, and metrics that there are not, whatever else is wrong in the file."""
    from taxotext.metrics.significance import METRICS

    for key in ("systems", "corpora"):
        for name in values[key] if isinstance(values.get(key), Mapping) else ():
            if isinstance(name, str) and not NAME.fullmatch(name):
                yield f"{key}: {name!r} cannot be a name; use letters, digits and . _ - +, at most 60."
    columns = _names_in(values.get("metrics"))
    known = known_metrics(cut_offs(columns))
    for number, name in enumerate(columns):
        if not is_metric(name, known):
            yield f"metrics.{number}: there is no metric {name!r}.{nearest(name, known)}"
    significance = values.get("significance")
    for number, name in enumerate(
        _names_in(significance.get("metrics") if isinstance(significance, Mapping) else None)
    ):
        if name not in METRICS:
            yield (
                f"significance.metrics.{number}: {name!r} cannot be resampled.{nearest(name, METRICS)} "
                f"Choose from {', '.join(METRICS)}."
            )


def _names_in(value: Any) -> list[str]:
    """The metrics of a list; anything else is reported elsewhere."""
    sound = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
    return list(value) if sound else []


def is_metric(name: str, known: Sequence[str]) -> bool:
    """Whether an evaluation gives a metric of that name; how many levels there are only the data say."""
    return name in known or re.fullmatch(r"level_[1-9]\d*_(micro|macro)_f1", name) is not None


def cut_offs(metrics: Sequence[str]) -> tuple[int, ...]:
    """The k of ``p@k`` and the like among some metrics, and 1, 3, 5.

    >>> cut_offs(["micro_f1", "p@10"])
    (1, 3, 5, 10)
    """
    named = {int(found[1]) for name in metrics if (found := re.fullmatch(r"[\w-]+@(\d{1,6})", name))}
    return tuple(sorted({1, 3, 5} | named - {0}))


@cache
def known_metrics(ks: tuple[int, ...]) -> list[str]:
    """The metrics that an evaluation gives, whatever the data; those of levels are more, and counts are not metrics."""
    import numpy as np
    from scipy.sparse import csr_array, eye_array

    from taxotext.metrics import CandidateRecall, Evaluation

    # A label of each frequency, so that the metrics by frequency are all there.
    counts = np.asarray([1, 50, 5000])
    some = csr_array(eye_array(len(counts), dtype=np.bool_, format="csr"))
    evaluation = Evaluation(
        len(counts), closure=some, seen=counts > 0, ks=ks, counts=counts, train_documents=int(counts.sum())
    )
    ranked = np.full((len(counts), max(ks)), -1, dtype=np.int32)
    ranked[:, 0] = np.arange(len(counts))
    evaluation.update(some, some, ranked, np.full(some.shape, 0.5))
    candidates = CandidateRecall(len(counts))  # of systems that have no probabilities of all labels
    candidates.update(some, some.astype(np.float32))
    return [name for name in {**evaluation.compute(), **candidates.compute()} if not name.endswith(COUNTS)]
