"""``taxotext train``."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from taxotext.cli.data.common import LabelColumns
from taxotext.cli.options import Address, Device, Executor, NamesFile, TextFields, Threads


def train(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG.yaml] [key.path=value ...]",
            help="A configuration (`taxotext config NAME` prints one) and settings that replace its own.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Model folder to write.")] = None,
    model: Annotated[
        str | None, typer.Option(help="System; when left out: linear, or bert where it is better beyond chance.")
    ] = None,
    train: Annotated[
        str | None, typer.Option(help="Training file: .jsonl, .csv, .tsv (also .gz), .parquet, or a folder.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="Validation file; else a stratified part of the training file.")
    ] = None,
    taxonomy: Annotated[
        str | None, typer.Option(help="Taxonomy: parent<TAB>child, paths, CSV with a header, nested JSON/YAML, SKOS.")
    ] = None,
    names: NamesFile = None,
    text: TextFields = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--labels", help="Label field; several times: one for each label (0 and 1), or for each level."),
    ] = None,
    label_separator: Annotated[
        str | None, typer.Option(help="Between the labels of a cell; '' when each cell is one label.")
    ] = None,
    label_columns: LabelColumns = None,
    id: Annotated[str | None, typer.Option("--id", help="Field with the id of a document.")] = None,
    quotes: Annotated[
        bool | None,
        typer.Option(
            "--quotes/--no-quotes",
            help="CSV, TSV: whether a quote at the start of a cell encloses it.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Model folder of a network whose settings and weights the training starts from.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model folder.")] = False,
    budget: Annotated[float, typer.Option(help="Minutes for bert where no system is named.")] = 30.0,
    tune: Annotated[
        bool, typer.Option("--tune/--no-tune", help="Tune thresholds on the held-out documents, or leave them at 0.5.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train a few batches, write nothing, estimate the time.")
    ] = False,
    device: Device = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32, bf16.")] = None,
    threads: Threads = None,
    seed: Annotated[int | None, typer.Option(max=2**32 - 1, help="Fixes splits, initial weights and batches.")] = None,
    executor: Executor = None,
    address: Address = None,
    devices: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes that train one network: GPUs, or CPU processes.")
    ] = 1,
    num_nodes: Annotated[int, typer.Option("--num-nodes", min=1, max=10_000, help="Machines that train it.")] = 1,
    strategy: Annotated[str, typer.Option(help="Of Lightning: auto, ddp, ddp_find_unused_parameters_true.")] = "auto",
) -> None:
    """Train a model and write its folder.

    Checkpoints and logs go to OUTPUT.run beside it. Nothing that exists is replaced without --overwrite.

    Examples:

    \b
      taxotext train --train tickets.csv --output model
      taxotext train --model bert --train news.jsonl --taxonomy topics.tsv --output model training.epochs=5
      taxotext train bert.yaml seed=2 --output runs/bert-2
      taxotext train bert.yaml seed=2 --output runs/bert-2 --resume
      taxotext train --start model --train more.jsonl --taxonomy topics.tsv --output newer
    """
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError

    values, where = _values(arguments or [], model)
    files = {"train": train, "validation": validation, "taxonomy": taxonomy, "names": names}
    fields = {"text": text or None, "labels": labels or None, "label_separator": label_separator, "id": id}
    _merge(values, "data", {**files, **fields, "label_columns": label_columns, "quotes": quotes})
    _merge(values, "training", {"start": start})
    _merge(values, "runtime", {"device": device, "precision": precision, "threads": threads})
    values.update({key: value for key, value in (("model", model), ("seed", seed)) if value is not None})
    reporter = make_reporter()
    from taxotext.api import runs
    from taxotext.progress import Silent
    from taxotext.training.parallel import FollowerEnded, Parallel
    from taxotext.work import Workers

    parallel = Parallel(devices, num_nodes, strategy)
    if parallel.follows:
        logging.getLogger("taxotext").setLevel(logging.ERROR)  # process 0 warns
    if dry_run:
        reporter.note(runs.dry_run(values, where=where, budget=budget, reporter=reporter))
        return
    if output is None:
        raise ConfigError("Where should the model go? Name a folder with --output DIR.")
    if resume and overwrite:
        raise ConfigError("--resume keeps what is there and --overwrite replaces it; give one of the two.")
    try:
        runs.train_run(
            values,
            output,
            where=where,
            resume=resume,
            overwrite=overwrite,
            tune=tune,
            budget=budget,
            workers=Workers(executor or "processes", address),
            parallel=parallel,
            reporter=Silent() if parallel.follows else reporter,
        )
    except FollowerEnded:
        return
    except KeyboardInterrupt:
        reporter.note("Run the same command with --resume to continue the training.")
        raise


def _values(arguments: list[str], model: str | None) -> tuple[dict[str, Any], str]:
    from taxotext.api.runs import keys_of_texts
    from taxotext.errors import ConfigError
    from taxotext.settings import read_yaml, set_key

    values: dict[str, Any] = {}
    where = "command line"
    files = [argument for argument in arguments if "=" not in argument or os.path.isfile(argument)]
    if len(files) > 1:
        raise ConfigError(
            f"{files[1]!r} is neither a key.path=value nor the first configuration file; name one YAML file at most."
        )
    for name in files:
        where = name
        values = read_yaml(Path(name))
    assignments = [argument for argument in arguments if argument not in files]
    keys = [assignment.partition("=")[0] for assignment in assignments]
    named = [argument.removeprefix("model=") for argument in assignments if argument.startswith("model=")]
    texts = keys_of_texts(model or (named[-1] if named else values.get("model")))
    for assignment, key in zip(assignments, keys, strict=True):
        if keys.count(key) > 1:
            raise ConfigError(f"{key} is set twice on the command line; set it once.")
        set_key(values, assignment, texts)
    return values, where


def _merge(values: dict[str, Any], section: str, given: Mapping[str, Any]) -> None:
    chosen = {key: value for key, value in given.items() if value is not None}
    here = values.get(section)
    if chosen and (here is None or isinstance(here, dict)):  # anything else is reported as the mistake it is
        values[section] = {**(here or {}), **chosen}
