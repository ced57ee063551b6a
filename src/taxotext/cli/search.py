"""``taxotext search``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.cli.options import Address, AsJson, Device, Executor, NamesFile, Threads

if TYPE_CHECKING:
    from taxotext.api.search import SearchResult


def search(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG.yaml] [key.path=value ...]",
            help="A configuration and settings that are the same in all trials.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the search.")] = None,
    model: Annotated[str | None, typer.Option(help="System; chosen as by `taxotext train` when left out.")] = None,
    train: Annotated[str | None, typer.Option(help="Training file: .jsonl, .csv, .tsv, also .gz.")] = None,
    validation: Annotated[str | None, typer.Option(help="Validation file; else held out of the training file.")] = None,
    taxonomy: Annotated[
        str | None, typer.Option(help="Taxonomy: parent<TAB>child, paths, CSV with a header, nested JSON/YAML.")
    ] = None,
    names: NamesFile = None,
    trials: Annotated[
        int | None, typer.Option(max=1_000_000, help="Trials all together; 20 without --minutes.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="No trial is started that would not fit, judging from the last ones.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="On held-out documents: micro_f1, macro_f1, p@1, p@3, p@5, ndcg@3, ndcg@5.")
    ] = "micro_f1",
    asked: Annotated[
        list[str] | None,
        typer.Option(
            "--search", metavar="KEY=LOW..HIGH[:log]", help="Also search this key; or KEY=[a,b]. Several times."
        ),
    ] = None,
    space: Annotated[Path | None, typer.Option(help="YAML file: search this space, not that of the system.")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="Trials side by side; 1 when not given, on a Ray cluster as many as it has room for."
        ),
    ] = None,
    executor: Executor = None,
    address: Address = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Remove the search in the folder.")] = False,
    as_json: AsJson = False,
    device: Device = None,
    threads: Threads = None,
    seed: Annotated[
        int | None, typer.Option(max=2**32 - 1, help="Fixes the split, initial weights, batches and proposals.")
    ] = None,
) -> None:
    """Search for good settings of a system, by a metric on validation documents.

    Writes OUTPUT/best.yaml, which `taxotext train` takes, and OUTPUT/model, the model of the best trial.

    Examples:

    \b
      taxotext search --model linear --train tickets.csv --output found
      taxotext search --model bert --train news.jsonl --taxonomy topics.tsv --minutes 90 --output found
      taxotext search --model linear --train tickets.csv --search classifier.c=0.1..10:log --output found
      taxotext search --model linear --train tickets.csv --space space.yaml seed=2 --trials 50 --output found --resume
      taxotext search --model linear --train tickets.csv --trials 50 --jobs 4 --output found
    """
    from taxotext.api.search import search as run_search
    from taxotext.cli.output import write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.cli.train import _merge, _values
    from taxotext.errors import ConfigError
    from taxotext.settings import read_yaml, set_key
    from taxotext.work import Workers

    values, where = _values(arguments or [], model)
    _merge(values, "data", {"train": train, "validation": validation, "taxonomy": taxonomy, "names": names})
    _merge(values, "runtime", {"device": device, "threads": threads})
    values.update({key: value for key, value in (("model", model), ("seed", seed)) if value is not None})
    if output is None:
        raise ConfigError("Where should the search go? Name a folder with --output DIR.")
    wanted: dict[str, Any] = {} if space is None else read_yaml(space)
    for assignment in asked or []:
        one: dict[str, Any] = {}
        set_key(one, assignment)  # ranges and lists of values, whatever the setting is
        key = assignment.partition("=")[0]
        for step in key.split("."):
            one = one[step]
        wanted[key] = one
    workers = Workers(executor or "processes", address)
    reporter = make_reporter()
    try:
        result = run_search(
            values,
            output,
            space=wanted,
            only=space is not None,
            metric=metric,
            trials=trials,
            minutes=minutes,
            where=where,
            resume=resume,
            overwrite=overwrite,
            workers=workers,
            jobs=jobs,
            reporter=reporter,
        )
    except KeyboardInterrupt:
        reporter.note("The search goes on with the same command and --resume.")
        raise
    if as_json:
        write_json(result.to_dict())
    else:
        _print(result)


def _print(result: SearchResult) -> None:
    """The trials, the best first."""
    from taxotext.cli.output import Number, print_table

    keys = list(result.space)
    order = sorted(result.trials, key=lambda trial: (trial.value is None, -(trial.value or 0.0), trial.number))
    rows = [
        [
            trial.number,
            trial.state if trial.value is None else trial.value,
            Number(f"{trial.seconds:.1f}"),
            *(_cell(trial.settings.get(key)) for key in keys),
        ]
        for trial in order
    ]
    print_table(("trial", result.metric, "seconds", *keys), rows)


def _cell(value: Any) -> Any:
    from taxotext.cli.output import Number

    if isinstance(value, bool):
        return str(value).lower()
    return Number(f"{value:g}") if isinstance(value, (int, float)) else str(value)
