"""A training from a configuration: read, split, fit, save; resumable."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from taxotext.api.choice import choose_system
from taxotext.api.classifier import Classifier, check_output, load
from taxotext.api.fitting import fit_system, held_out_part
from taxotext.data import FORMATS, Columns, Corpus, read_corpus
from taxotext.data.sources import check_path
from taxotext.errors import ConfigError, DataError, nearest
from taxotext.files import real
from taxotext.labels import Taxonomy, read_names, read_taxonomy
from taxotext.models.base import System, SystemSettings
from taxotext.models.registry import find
from taxotext.progress import Reporter
from taxotext.settings import Settings, commented_yaml, parse_settings
from taxotext.store import remove_leftovers, save_folder
from taxotext.training import CROSS_FITTING_RECIPES, RunFolder
from taxotext.training.run import clean_run, differences, run_folder_of, was_replacing


class DataSettings(Settings):
    """What is read, and how."""

    train: str | None = Field(None, description="training file: .jsonl, .csv, .tsv (also .gz), .parquet, or a folder")
    validation: str | None = Field(None, description="validation file; null: a part of the training file")
    format: Literal[FORMATS] | None = Field(  # type: ignore[valid-type]  # a tuple of strings
        None, description="of the training and validation files; null: by suffix and first line, each for itself"
    )
    taxonomy: str | None = Field(
        None, description="parent<TAB>child lines, paths, nested JSON/YAML, or SKOS; null: flat"
    )
    taxonomy_format: Literal["edges", "paths", "nested", "skos"] | None = Field(
        None, description="null: by suffix and content"
    )
    taxonomy_language: str | None = Field(
        None, min_length=2, description="of the names in a SKOS file, such as de; where one is missing: English, any"
    )
    taxonomy_ids: Literal["uri", "notation"] = Field("uri", description="what labels of a SKOS file are known by")
    path_separator: str = Field("/", min_length=1, description="between the steps of path labels")
    names: str | None = Field(None, description="file of id<TAB>display name")
    text: tuple[str, ...] = Field(("text",), min_length=1, description="text fields, joined in this order")
    text_join: str = Field("\n", description="what stands between joined fields")
    labels: str = Field("labels", description="label field")
    label_separator: str | None = Field(None, description="between labels of a CSV cell; null: ; or |, or a JSON list")
    id: str = Field("id", description="field that names a document")
    weight: str | None = Field(None, description="field with the weight of a document")
    group: str | None = Field(None, description="field whose equal values stay in one part of a split")
    closure: Literal["ancestors", "as_given", "leaves"] | None = Field(
        None, description="gold labels; null: with all ancestors when there is a taxonomy"
    )
    unknown_labels: Literal["error", "drop"] = Field("error", description="labels that the taxonomy lacks")
    on_bad_line: Literal["error", "skip"] = Field("error", description="lines that cannot be read")

    @field_validator("text", mode="before")
    @classmethod
    def _one_field(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_role_each(self) -> DataSettings:
        try:
            self.columns()
        except ConfigError as error:
            raise ValueError(error.message) from None
        return self

    def columns(self) -> Columns:
        """Which field is what."""
        return Columns(
            text=self.text,
            text_join=self.text_join,
            labels=self.labels,
            label_separator=self.label_separator,
            id=self.id,
            weight=self.weight,
            group=self.group,
        )


@dataclass(frozen=True)
class RunConfig:
    """A parsed configuration; ``chosen`` is None when the system is to be chosen for the data."""

    data: DataSettings
    chosen: Chosen | None
    given: Mapping[str, Any]


@dataclass(frozen=True)
class Chosen:
    """A system and its settings."""

    kind: type[System]
    settings: SystemSettings


def parse_run(values: Mapping[str, Any], where: str) -> RunConfig:
    """Validate a whole configuration: ``model``, ``data``, and the settings of that system.

    Raises:
        ConfigError: all problems of all parts together.
    """
    given = {key: value for key, value in values.items() if key not in {"model", "data"}}
    problems: list[str] = []
    data: DataSettings | None = None
    chosen: Chosen | None = None
    name = values.get("model")
    try:
        section = {} if values.get("data") is None else values["data"]
        if not isinstance(section, Mapping):
            raise ConfigError("", [f"data: must be a mapping of keys to values (got {section!r})."])
        data = parse_settings(DataSettings, section, where, "data")
    except ConfigError as error:
        problems += error.problems
    try:
        if name is not None:
            kind = find(str(name))
            chosen = Chosen(kind, parse_settings(kind.Settings, given, where))
        else:
            common = {key: value for key, value in given.items() if key in SystemSettings.model_fields}
            problems += [
                f"{key}: names a setting of one system; add model.{nearest(str(key), ['model', 'data'])}"
                for key in given
                if key not in common
            ]
            parse_settings(SystemSettings, common, where)
    except ConfigError as error:
        problems += error.problems or (error.message,)
    if problems or data is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{where}: {count} in the configuration.", problems)
    return RunConfig(data, chosen, given)


def default_config(name: str) -> str:
    """Return the whole default configuration of a system as YAML with comments."""
    kind = find(name)
    data = "\n".join("  " + line for line in commented_yaml(DataSettings()).splitlines())
    return f"model: {name}  # system\ndata:  # what is read, and how\n{data}\n{commented_yaml(kind.Settings())}"


def train_run(
    values: Mapping[str, Any],
    output: Path,
    *,
    where: str = "settings",
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter,
) -> Classifier:
    """Train what ``values`` describe and write the model folder ``output``.

    Checkpoints and logs go to ``<output>.run``. With ``resume`` an interrupted training goes on there, and a finished
    one is loaded; with ``overwrite`` both folders are replaced.

    Raises:
        ConfigError, DataError, TaxonomyError, ModelFolderError: with everything that is wrong.
    """
    config = parse_run(values, where)
    run_folder = run_folder_of(output)
    replaces = overwrite or (resume and was_replacing(run_folder))
    if resume and not replaces and (output / "config.json").is_file():
        finished = load(output)
        _check_same(finished, config, output)
        reporter.note(f"{output} is finished already; nothing to do.")
        clean_run(run_folder)  # a kill may have come between the last file of the model and the cleaning
        remove_leftovers(output)
        return finished
    check_output(output, overwrite=replaces)
    _check_data_is_kept(config.data, output)
    train, validation = read_data(config.data, where)
    _note_oddities(train, validation, reporter)
    chosen = config.chosen or _choose(config, train, where, reporter)
    if overwrite and run_folder.exists():
        _remove_run(run_folder)
    run = RunFolder(run_folder, identity(chosen, train, validation), resume=resume, replaces=replaces)
    if run.resumed:
        reporter.note(f"Going on with the training in {run_folder}.")
    try:
        system, manifest = fit_system(
            chosen.kind,
            chosen.settings,
            train,
            validation,
            run=run,
            columns=config.data.columns(),
            reporter=reporter,
        )
    except BaseException:
        run.abandon()  # else a mended command would be told that a training was interrupted
        raise
    save_folder(output, system, manifest, overwrite=replaces)
    run.clean()
    selected = manifest.metrics.get("selected")
    kept = f" (kept {selected})" if selected else ""
    reporter.note(f"Wrote {output}{kept}. Next: taxotext tune {output}")
    return Classifier._restored(system, manifest)


def dry_run(values: Mapping[str, Any], *, where: str = "settings", batches: int = 3, reporter: Reporter) -> str:
    """Train a few batches of the real data, write nothing, and say what the whole training would take."""
    config = parse_run(values, where)
    train, validation = read_data(config.data, where)
    chosen = config.chosen or _choose(config, train, where, reporter)
    if validation is None and chosen.kind.recipe not in CROSS_FITTING_RECIPES:
        train, validation = held_out_part(train, chosen.settings.validation.fraction, chosen.settings.seed)
    training = getattr(chosen.settings, "training", None)
    if training is None:
        size, epochs, settings = min(len(train), 500), 1, chosen.settings
    else:
        size, epochs = min(len(train), batches * training.batch_size), training.epochs
        settings = chosen.settings.model_copy(update={"training": training.model_copy(update={"epochs": 1})})
    step = max(1, len(train) // size)
    few = train.subset(range(0, step * size, step))
    few_validation = None if validation is None else validation.subset(range(min(32, len(validation))))
    system, manifest = fit_system(chosen.kind, settings, few, few_validation, reporter=reporter)
    taken = float(manifest.facts["seconds"])
    minutes = taken / len(few) * len(train) * epochs / 60
    return (
        f"Dry run of {chosen.kind.name}: {len(few)} of {len(train)} training documents in {taken:.1f} s, nothing "
        f"written. The whole training would take about {max(minutes, 0.1):.1f} minutes at most. "
        + _memory_sentence(system, train, validation)
    )


def _memory_sentence(system: System, train: Corpus, validation: Corpus | None) -> str:
    """What the whole training needs, and what would have to change where that is too much."""
    from taxotext.models.memory import check_memory, sentence

    needs = system.memory(train, validation)
    if not needs:
        return ""
    free = None
    if system.recipe == "gradient":
        from taxotext.models.neural_memory import device_free

        free = device_free(system)  # type: ignore[arg-type]  # a system of that recipe
    try:
        check_memory(needs, device_free=free)
    except ConfigError as error:
        return f"It would be refused. {error}"
    return sentence(needs, device_free=free)


def _choose(config: RunConfig, train: Corpus, where: str, reporter: Reporter) -> Chosen:
    choice = choose_system(train, config.given)
    reporter.note(choice.reason)
    kind = find(choice.name)
    return Chosen(kind, parse_settings(kind.Settings, config.given, where))


def read_data(data: DataSettings, where: str) -> tuple[Corpus, Corpus | None]:
    """Read the training and validation corpora.

    Raises:
        ConfigError: no training file is named.
    """
    if data.train is None:
        raise ConfigError(f"{where}: data.train: a training file is required; set data.train or give --train FILE.")
    _check_files(data, where)
    taxonomy: Taxonomy | None = None
    if data.taxonomy is not None:
        taxonomy = read_taxonomy(
            data.taxonomy,
            data.taxonomy_format,
            data.path_separator,
            names=data.names,
            language=data.taxonomy_language,
            ids=data.taxonomy_ids,
        )

    def read(path: str, labels: Taxonomy | None) -> Corpus:
        return read_corpus(
            Path(path),
            labels,
            data.columns(),
            closure=data.closure,
            unknown=data.unknown_labels,
            on_bad_line=data.on_bad_line,
            format=data.format,
        )

    train = read(data.train, taxonomy)
    if data.names is not None and taxonomy is None:
        named = train.taxonomy.with_names(read_names(data.names), unknown="ignore")
        train = replace(train, taxonomy=named)
    if data.validation is None:
        return train, None
    validation = read(data.validation, train.taxonomy)
    return train, replace(validation, source=f"validation file {Path(data.validation).name}")


def _check_files(data: DataSettings, where: str) -> None:
    """Report all files that are not there together."""
    problems = []
    for key in ("train", "validation", "taxonomy", "names"):
        name = getattr(data, key)
        try:
            if name is not None:
                check_path(Path(name), data.format if key in ("train", "validation") else None)
        except DataError as error:
            problems.append(f"data.{key}: {error}")
    if problems:
        count = "1 file" if len(problems) == 1 else f"{len(problems)} files"
        raise ConfigError(f"{where}: {count} cannot be read.", problems)


def _check_data_is_kept(data: DataSettings, output: Path) -> None:
    """Refuse to replace a folder that the training reads from."""
    for key in ("train", "validation", "taxonomy", "names"):
        name = getattr(data, key)
        if name is not None and real(Path(name)).is_relative_to(real(output)):
            raise ConfigError(f"data.{key}: {name} lies in the output folder {output}; choose another output folder.")


def _check_same(finished: Classifier, config: RunConfig, output: Path) -> None:
    """Refuse to pass off a finished model as the result of other settings."""
    if config.chosen is None:
        return
    problems = []
    if config.chosen.kind.name != finished.system.name:
        problems.append(f"model: {finished.system.name!r} there, {config.chosen.kind.name!r} now")
    else:
        where_computed = {"runtime", "decoding"}
        there = finished.system.settings.model_dump(mode="json", exclude=where_computed)
        now = config.chosen.settings.model_dump(mode="json", exclude=where_computed)
        problems = [f"{path}: {old!r} there, {new!r} now" for path, old, new in differences(there, now)]
    if problems:
        raise ConfigError(
            f"{output}: is the finished model of another training; choose another output folder, "
            "or replace it with --overwrite.",
            problems,
        )


def _note_oddities(train: Corpus, validation: Corpus | None, reporter: Reporter) -> None:
    """Say what is allowed and yet probably not meant."""
    counts = train.known_targets.sum(axis=0)
    never = [label for label, count in zip(train.taxonomy.ids, counts.tolist(), strict=True) if count == 0]
    if never:
        reporter.note(
            f"{len(never)} of {len(train.taxonomy)} labels have no training document, such as {never[0]!r}; "
            "the model cannot learn them."
        )
    if validation is not None and validation.fingerprint() == train.fingerprint():
        reporter.note(
            "The validation file holds the training documents: its scores will be far too good. Leave it out to hold "
            "out a part of the training file."
        )


def identity(chosen: Chosen, train: Corpus, validation: Corpus | None) -> dict[str, Any]:
    """What makes two trainings the same: system, settings, data. Where they are computed does not count."""
    computing = {"device", "threads", "tokens_in_memory", "check_memory"}
    settings = chosen.settings.model_dump(mode="json", exclude={"runtime": computing, "decoding": True})
    settings.get("training", {}).pop("checkpoint_minutes", None)
    return {
        "model": chosen.kind.name,
        "settings": settings,
        "train": train.fingerprint(),
        "validation": None if validation is None else validation.fingerprint(),
        "taxonomy": hex(hash_taxonomy(train.taxonomy)),
    }


def hash_taxonomy(taxonomy: Taxonomy) -> int:
    """A number that is the same for equal taxonomies in every process."""
    import hashlib
    import json

    return int(hashlib.sha256(json.dumps(taxonomy.to_dict()).encode()).hexdigest()[:16], 16)


def _remove_run(folder: Path) -> None:
    """Delete a run folder; one that holds other things is left alone."""
    if not any((folder / name).exists() for name in ("run.json", "logs", "checkpoints")):
        raise ConfigError(f"{folder}: is not a run folder of a training and is not removed; move it away.")
    clean_run(folder)
    shutil.rmtree(folder, ignore_errors=True)
