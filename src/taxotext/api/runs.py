"""A training from a configuration: read, split, fit, save; resumable."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from taxotext.api.choice import BUDGET, plan, why_not_bert
from taxotext.api.classifier import Classifier, load
from taxotext.api.finishing import finish, summary
from taxotext.api.first_model import Given, held_out_share, train_first
from taxotext.api.fitting import fit_system, held_out_part
from taxotext.api.identity import Chosen, compared, fingerprints_of, identity, open_identity
from taxotext.api.starting import read_start, with_start
from taxotext.api.trials import HIGH, LOW, memory_sentence, span, try_fit
from taxotext.composition.base import SystemSettings
from taxotext.composition.named_files import named_files
from taxotext.data import FORMATS, Columns, Corpus, read_corpus
from taxotext.data.checks import corpus_oddities
from taxotext.data.formats.table import check_source
from taxotext.data.reading_notes import change_notes, form_notes, warning_notes, whole_cell_notes
from taxotext.data.sources import check_path
from taxotext.errors import ConfigError, DataError, nearest
from taxotext.files import real, remove_leftovers
from taxotext.labels import Taxonomy, read_alternative_names, read_descriptions, read_names, read_taxonomy
from taxotext.messages import counted, parameter
from taxotext.models.registry import find
from taxotext.progress import Reporter
from taxotext.settings import Settings, TextKey, commented_yaml, overlaid, parse_settings, text_keys
from taxotext.store import check_free, save_folder
from taxotext.training import RunFolder, recipe_of
from taxotext.training.parallel import Parallel
from taxotext.training.run import check_run_place, clean_run, differences, run_folder_of, take_run, was_replacing
from taxotext.work import Workers


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
    taxonomy_format: Literal["edges", "paths", "nested", "skos", "table"] | None = Field(
        None, description="null: by suffix and content"
    )
    taxonomy_language: str | None = Field(
        None, min_length=2, description="of the names in a SKOS file, such as de; where one is missing: English, any"
    )
    taxonomy_ids: Literal["uri", "notation", "name", "path"] = Field(
        "uri", description="what labels are known by: uri or notation in SKOS, name or path in nested files"
    )
    path_separator: str = Field("/", min_length=1, description="between the steps of labels that are paths")
    names: str | None = Field(None, description="file of id<TAB>display name")
    text: tuple[str, ...] = Field(("text",), min_length=1, description="text fields, joined in this order")
    text_join: str = Field("\n", description="text between joined fields")
    labels: tuple[str, ...] = Field(
        ("labels",), min_length=1, description="label field, or one for each label (0 and 1) or level"
    )
    label_separator: str | None = Field(
        None, description="between labels of a cell; null: ; or |, or lists that programs print"
    )
    label_columns: Literal["names", "prefixed", "paths"] | None = Field(
        None,
        description="equal names in several label fields: names: one label; prefixed: field=name; paths: the fields "
        "are levels, labels are paths; null: names, and an error where one may be several labels",
    )
    quotes: bool = Field(True, description="CSV, TSV: whether a quote at the start of a cell encloses it")
    id: str = Field("id", description="field that names a document")
    weight: str | None = Field(None, description="field with the weight of a document")
    group: str | None = Field(None, description="field whose equal values stay in one part of a split")
    closure: Literal["ancestors", "as_given", "leaves"] | None = Field(
        None, description="gold labels; null: with all ancestors when there is a taxonomy"
    )
    unknown_labels: Literal["error", "drop"] = Field("error", description="labels that the taxonomy lacks")
    on_bad_line: Literal["error", "skip"] = Field("error", description="lines that cannot be read")

    @field_validator("text", "labels", mode="before")
    @classmethod
    def _one_field(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            raise ValueError("input should be a valid string; put it in quotes")
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_role_each(self) -> DataSettings:
        try:
            self.columns().check_roles(labelled=True)
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
            label_columns=self.label_columns,
            path_separator=self.path_separator,
            quotes=self.quotes,
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


def parse_run(values: Mapping[str, Any], where: str) -> RunConfig:
    """Validate a whole configuration: ``model``, ``data``, and the settings of that system.

    Raises:
        ConfigError: all problems of all parts together.
    """
    name, given = with_start(
        values.get("model"), {key: value for key, value in values.items() if key not in {"model", "data"}}
    )
    problems: list[str] = []
    data: DataSettings | None = None
    chosen: Chosen | None = None
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
        raise ConfigError(f"{where}: {counted(len(problems), 'problem')} in the configuration.", problems)
    return RunConfig(data, chosen, given)


def keys_of_texts(model: Any) -> dict[str, TextKey]:
    """The settings of a training that are text.

    Args:
        model: name of the system; None: what all systems have. A name that is not known is reported when the
            configuration is parsed.
    """
    kind: type[SystemSettings] = SystemSettings
    if model is not None:
        with suppress(ConfigError):
            kind = find(str(model)).Settings
    return {"model": TextKey(optional=True, many=False), **text_keys(DataSettings, "data."), **text_keys(kind)}


def default_config(name: str, values: Mapping[str, Any] | None = None) -> str:
    """Return the whole configuration of a system as YAML with comments: its defaults, and ``values`` over them.

    Raises:
        ConfigError: there is no such system, or a value is wrong.
    """
    settings = parse_settings(find(name).Settings, values or {}, f"configuration of {name}")
    data = "\n".join("  " + line for line in commented_yaml(DataSettings()).splitlines())
    return f"model: {name}  # system\ndata:  # what is read, and how\n{data}\n{commented_yaml(settings)}"


def train_run(
    values: Mapping[str, Any],
    output: Path,
    *,
    where: str = "settings",
    resume: bool = False,
    overwrite: bool = False,
    tune: bool = True,
    budget: float = BUDGET,
    workers: Workers | None = None,
    parallel: Parallel | None = None,
    reporter: Reporter,
) -> Classifier:
    """Train what ``values`` describe, tune its thresholds, and write the model folder ``output``.

    Where ``values`` name no system, ``linear`` is trained, ``bert`` as well if ``budget`` minutes are enough, and the
    better one is kept (:mod:`taxotext.api.first_model`). With ``tune`` false, and where thresholds do not decide, the
    decoding stays as the settings have it. Checkpoints and logs go to ``<output>.run``. With ``resume`` an interrupted
    training goes on there, and a finished one is loaded; with ``overwrite`` both folders are replaced. ``workers`` say
    where the fits of a system that has many (``htrans``, ``gru_att``) are computed; None: in local processes.
    ``parallel`` are processes that train one network together; None: this one alone.

    Raises:
        ConfigError, DataError, TaxonomyError, ModelFolderError: with everything that is wrong.
        FollowerEnded: this is not process 0 of several, and its work is done.
    """
    config = parse_run(values, where)
    workers, parallel = workers or Workers(), parallel or Parallel()
    _check_shared_out(workers, parallel, config.chosen)
    run_folder = run_folder_of(output)
    replaces = overwrite or (resume and was_replacing(run_folder))
    if resume and not replaces and (output / "config.json").is_file():
        finished = load(output)
        _check_same(finished, config, where, output)
        reporter.note(f"{output} is finished already; nothing to do.")
        clean_run(run_folder)  # a kill may have come between the last file of the model and the cleaning
        remove_leftovers(output)
        return finished
    if not parallel.follows:  # process 0 looks, and has already begun to write
        check_free(output, overwrite=replaces)
        if overwrite and run_folder.exists():
            _check_removable(run_folder)
        check_run_place(run_folder)
    _check_inputs_are_kept(config, output, run_folder)
    train, validation = read_data(config.data, where)
    _note_oddities(train, validation, reporter, config.chosen)
    if not budget > 0:
        raise ConfigError(f"--budget is {budget:g}: give minutes above 0, such as 30.")
    given = Given(train, validation, config.given, budget, config.data.columns(), where)
    chosen = config.chosen
    if overwrite and run_folder.exists() and not parallel.follows:
        _remove_run(run_folder)
    run = RunFolder(
        run_folder,
        open_identity(config.given, train, validation, where)
        if chosen is None
        else identity(chosen, train, validation),
        resume=resume,
        replaces=replaces,
        states=("*",) if chosen is None else recipe_of(chosen.kind).STATES,
        parallel=parallel,
    )
    run.workers = workers
    if run.resumed:
        reporter.note(f"Continuing the training in {run_folder}.")
    try:
        if chosen is None:
            system, manifest = train_first(given, run, reporter)
        else:
            system, manifest = fit_system(
                chosen.kind, chosen.settings, train, validation, run=run, columns=given.columns, reporter=reporter
            )
    except BaseException:
        run.abandon()  # else a corrected command would be told that a training was interrupted
        raise
    ending = finish(system, manifest, tune=tune, reporter=reporter)
    save_folder(output, system, manifest, overwrite=replaces)
    run.clean()
    reporter.note(summary(output, system, manifest, ending))
    return Classifier._restored(system, manifest)


def _check_shared_out(workers: Workers, parallel: Parallel, chosen: Chosen | None) -> None:
    """Refuse machines or processes for a training that cannot be shared out among them.

    Raises:
        ConfigError: it cannot.
    """
    if workers.executor == "processes" and not parallel.several:
        return
    name = "a system that is chosen for the data" if chosen is None else chosen.kind.name
    by = "" if chosen is None else getattr(recipe_of(chosen.kind), "SHARES_OUT", "")
    if workers.executor != "processes" and by != "executor":
        advice = f"; {parameter('devices')} shares out its batches" if by == "devices" else ""
        raise ConfigError(
            f"{parameter('executor')} is {workers.executor!r}, and {name} is trained as one piece; leave it "
            f"out{advice}. It shares out the fits of htrans and gru_att."
        )
    if not parallel.several:
        return
    if by != "devices":
        instead = f"; its fits are shared out by {parameter('executor', 'ray')}" if by == "executor" else ""
        raise ConfigError(
            f"{parameter('devices')} and {parameter('num_nodes')} share out the batches of one network, and {name} is "
            f"not trained so; leave them out{instead}."
        )
    encoder: Any = getattr(chosen.settings if chosen else None, "encoder", None)
    if not getattr(encoder, "trainable", True):
        raise ConfigError(
            f"encoder.trainable=false: one process computes the states of a frozen encoder; leave out "
            f"{parameter('devices')} and {parameter('num_nodes')}."
        )


def dry_run(
    values: Mapping[str, Any],
    *,
    where: str = "settings",
    budget: float = BUDGET,
    reporter: Reporter,
) -> str:
    """Train a few batches of the real data, write nothing, and say what the whole training would take."""
    config = parse_run(values, where)
    train, validation = read_data(config.data, where)
    if config.chosen is not None:
        return f"Dry run of {_tried(config.chosen, train, validation, reporter)}"
    kind = find("linear")
    linear = Chosen(kind, parse_settings(kind.Settings, config.given, where))
    said = f"Dry run without --model: {_tried(linear, train, validation, reporter)}"
    why_not = why_not_bert(train)
    if why_not:
        return f"{said} {why_not}"
    rest, held_out = train, validation
    if held_out is None:
        rest, held_out = held_out_part(
            train, held_out_share(train, config.given, linear.settings), linear.settings.seed
        )
    return f"{said} {plan(rest, len(held_out), config.given, budget).reason}"


def _tried(chosen: Chosen, train: Corpus, validation: Corpus | None, reporter: Reporter) -> str:
    """What a trial of one system says about its whole training."""
    kind, settings = chosen.kind, chosen.settings
    trainable = getattr(getattr(settings, "encoder", None), "trainable", True)
    level_wise = getattr(getattr(settings, "head", None), "level_wise", False)
    if kind.recipe in {"gradient", "levels"} and not level_wise and trainable:
        return _timed(chosen, train, validation)
    trial = try_fit(kind, settings, train, validation, reporter=reporter)
    low, high = trial.minutes()
    return (
        f"{kind.name}: {trial.documents} of {trial.all_documents} training documents in "
        f"{trial.seconds + trial.seconds_once:.1f} s, nothing written. The whole training would take "
        f"{span(low, high)} at most. {memory_sentence(trial.system, *trial.whole)}".rstrip()
    )


def _timed(chosen: Chosen, train: Corpus, validation: Corpus | None) -> str:
    """The same where one network is trained: batches are timed behind a warm-up."""
    from taxotext.training.pace import measure

    settings: Any = chosen.settings
    if validation is None:
        train, validation = held_out_part(train, settings.validation.fraction, settings.seed)
    system: Any = chosen.kind(settings, train.taxonomy)
    if (start := read_start(settings)) is not None:
        system.start_from(start.system)
    system.check_source(train.report.feature_vectors, train.source)
    epoch, epochs = measure(system, train).epoch(len(train), len(validation)) / 60, settings.training.epochs
    return (
        f"{chosen.kind.name}: a few batches of {counted(len(train), 'training document')} timed, nothing written. The "
        f"whole training would take {span(LOW * epoch * epochs, HIGH * epoch * epochs)} for "
        f"{counted(epochs, 'epoch')}, less if it stops early. {memory_sentence(system, train, validation)}".rstrip()
    )


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

    def read(path: str, labels: Taxonomy | None, unknown: str, columns: Columns) -> Corpus:
        return read_corpus(
            Path(path),
            labels,
            columns,
            closure=data.closure,
            unknown=unknown,
            on_bad_line=data.on_bad_line,
            format=data.format,
        )

    train = read(data.train, taxonomy, data.unknown_labels, data.columns())
    if data.names is not None and taxonomy is None:
        names = read_names(data.names)
        matched = sum(label in train.taxonomy for label in names)
        if not matched:
            train.report.unused["names"] = f"0 of {len(names):,} names match a label"
        named = train.taxonomy.with_names(names, unknown="ignore")
        described = named.with_descriptions(read_descriptions(data.names), unknown="ignore")
        whole = described.with_alternative_names(read_alternative_names(data.names), unknown="ignore")
        train = replace(train, taxonomy=whole)
    if taxonomy is None:
        for key in ("taxonomy_format", "taxonomy_language", "taxonomy_ids", "path_separator"):
            is_of_columns = key == "path_separator" and data.label_columns == "paths"
            if getattr(data, key) != DataSettings.model_fields[key].default and not is_of_columns:
                train.report.unused[f"data.{key}"] = "no taxonomy is named (data.taxonomy)"
    if data.validation is None:
        return train, None
    # Without a taxonomy the labels are those of the training file, and a rare one may be in the validation file only.
    unknown = "drop" if taxonomy is None else data.unknown_labels
    validation = read(data.validation, train.taxonomy, unknown, data.columns().as_found(train.report))
    return train, replace(validation, source=f"validation file {Path(data.validation).name}")


def _check_files(data: DataSettings, where: str) -> None:
    """Report all files that are not there together."""
    problems = []
    for key in ("train", "validation", "taxonomy", "names"):
        name = getattr(data, key)
        try:
            if name is not None:
                if key in ("train", "validation"):
                    check_source(Path(name), data.format)
                else:
                    check_path(Path(name))
        except DataError as error:
            problems.append(f"data.{key}: {error}")
    if problems:
        raise ConfigError(f"{where}: {counted(len(problems), 'file')} cannot be read.", problems)


def _check_inputs_are_kept(config: RunConfig, output: Path, run_folder: Path) -> None:
    """Refuse to replace a folder that the training reads from."""
    inputs = {f"data.{key}": getattr(config.data, key) for key in ("train", "validation", "taxonomy", "names")}
    if config.chosen is not None:
        inputs |= {key: value for key, value, _ in named_files(config.chosen.settings)}
    for key, name in inputs.items():
        for folder in (output, run_folder):
            if name is not None and real(Path(name)).is_relative_to(real(folder)):
                raise ConfigError(f"{key}: {name} lies in the output folder {folder}; choose another output folder.")


def _check_same(finished: Classifier, config: RunConfig, where: str, output: Path) -> None:
    """Refuse to pass off a finished model as the result of other settings or data."""
    kind = type(finished.system)
    chosen = config.chosen
    if chosen is None:  # it was planned with settings of its own
        planned = finished.manifest.metrics.get("choice", {}).get("settings", {})
        chosen = Chosen(kind, parse_settings(kind.Settings, overlaid(config.given, planned), where))
    if chosen.kind.name != finished.system.name:
        problems = [f"model: {finished.system.name!r} there, {chosen.kind.name!r} now"]
    else:
        train, validation = read_data(config.data, where)
        trained_on = finished.manifest.trained_on
        there = {
            **compared(finished.system.settings, by_name=True),
            "train": trained_on.get("training_fingerprint"),
            "validation": trained_on.get("validation_fingerprint"),
        }
        now = {**compared(chosen.settings, by_name=True), **fingerprints_of(train, validation)}
        problems = [f"{path}: {old!r} there, {new!r} now" for path, old, new in differences(there, now)]
    if problems:
        raise ConfigError(
            f"{output}: is the finished model of another training; choose another output folder, "
            f"or replace it with {parameter('overwrite', True)}.",
            problems,
        )


def _note_oddities(train: Corpus, validation: Corpus | None, reporter: Reporter, chosen: Chosen | None = None) -> None:
    """Say what is allowed and yet probably not meant."""
    counts = train.known_targets.sum(axis=0)
    never = [label for label, count in zip(train.taxonomy.ids, counts.tolist(), strict=True) if count == 0]
    reached = chosen.kind.reached(chosen.settings, never) if never and chosen is not None else set()
    never = [label for label in never if label not in reached]
    if never:
        have, them = ("has", "it") if len(never) == 1 else ("have", "them")
        reporter.note(
            f"{len(never):,} of {counted(len(train.taxonomy), 'label')} {have} no training document, such as "
            f"{never[0]!r}; the model cannot learn {them}."
        )
    report = replace(train.report, skipped_count=0)  # skipped lines are a warning in the log
    notes = [*warning_notes(report), *change_notes(report), *form_notes(report)]
    notes += [oddity.sentence for oddity in corpus_oddities(train)]
    for sentence in [*notes, *whole_cell_notes(report)]:
        reporter.note(f"{train.source}: {sentence}")
    if validation is not None and validation.fingerprint() == train.fingerprint():
        reporter.note(
            "The validation file holds the training documents: its scores will be far too good. Leave it out to hold "
            "out a part of the training file."
        )


def _check_removable(folder: Path) -> None:
    """Refuse to delete a run folder that holds other things."""
    if not any((folder / name).exists() for name in ("run.json", "logs", "checkpoints")):
        raise ConfigError(f"{folder}: is not a run folder of a training and is not removed; move it away.")


def _remove_run(folder: Path) -> None:
    """Delete a run folder."""
    take_run(folder)
    shutil.rmtree(folder / "logs", ignore_errors=True)
    clean_run(folder)
