"""``taxotext experiment``: run, status, plan, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.cli.options import Address, AsJson, Executor
from taxotext.messages import counted

if TYPE_CHECKING:
    from taxotext.experiments.settings import ExperimentSettings

app = typer.Typer(
    help="Systems x corpora x seeds, and one table of them all.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

File = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT.yaml", help="Systems, corpora, seeds (docs/how-to/experiments.md).")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an experiment.")]
Data = Annotated[str | None, typer.Option("--data", help="Folder that relative data paths start from.")]
Jobs = Annotated[int | None, typer.Option(min=1, max=1024, help="Trainings at a time; stronger than the file.")]
CellThreads = Annotated[int | None, typer.Option(min=1, max=1024, help="Threads of each; the cores divided by jobs.")]


@app.command("run")
def run(
    experiment: File,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the experiment.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on; finished cells stay, also when the file has changed.")
    ] = False,
    data: Data = None,
    jobs: Jobs = None,
    threads: CellThreads = None,
    exact_code: Annotated[
        bool, typer.Option("--exact-code", help="Run cells again that another state of the source has computed.")
    ] = False,
    executor: Executor = None,
    address: Address = None,
) -> None:
    """Run all cells, each in a process of its own, and write the table.

    A cell that is killed goes on with --resume. A cell that fails does not stop the others; the exit code is then 1.

    Examples:

    \b
      taxotext experiment run examples/experiment.yaml --output sample-experiment
      taxotext experiment run experiments/reuters21578.yaml --data corpora --output reuters --jobs 2
      taxotext experiment run experiments/reuters21578.yaml --data corpora --output reuters --resume
    """
    from taxotext.cli.experiment_view import make_view
    from taxotext.experiments.folder import ExperimentFolder
    from taxotext.experiments.output import FORMS, write_tables
    from taxotext.experiments.runner import run_experiment
    from taxotext.work import Workers

    workers = Workers(executor or "processes", address)
    settings = _settings(experiment, data_folder=data, jobs=jobs, threads=threads)
    text = experiment.read_text(encoding="utf-8-sig")
    with make_view() as view:
        outcome = run_experiment(
            settings,
            output,
            view,
            where=str(experiment),
            text=text,
            resume=resume,
            exact_code=exact_code,
            workers=workers,
        )
    folder = ExperimentFolder(output)
    write_tables(folder)
    view.note(f"Wrote {', '.join(FORMS)} in {output}.")
    if outcome.failed:
        for cell, reason in outcome.failed.items():
            view.note(f"Failed: {cell}: {reason}")
        view.note(f"{counted(len(outcome.failed), 'cell')} of {len(outcome.cells)} failed; --resume tries them again.")
        raise typer.Exit(1)


@app.command("status")
def status(folder: Folder, as_json: AsJson = False) -> None:
    """Say where each cell is; works while the experiment runs.

    Examples:

    \b
      taxotext experiment status reuters
      taxotext experiment status reuters --json
    """
    from taxotext.cli.experiment_view import cell_rows, headline
    from taxotext.cli.output import print_table, write_json
    from taxotext.experiments.status import experiment_status

    found = experiment_status(folder)
    if as_json:
        write_json(found.to_dict())
        return
    print_table(("system", "corpus", "seed", "state", "at", "time", "left", "MB"), cell_rows(found), headline(found))
    for cell in found.cells:
        if cell.reason:
            typer.echo(f"{cell.system}, {cell.corpus}, seed {cell.seed}: {cell.reason}")


@app.command("plan")
def plan(
    experiment: File,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the experiment: what is finished is not counted.")
    ] = None,
    data: Data = None,
    jobs: Jobs = None,
    threads: CellThreads = None,
    as_json: AsJson = False,
) -> None:
    """Estimate time and memory: try every system on a few documents of every corpus, and write nothing.

    Examples:

    \b
      taxotext experiment plan examples/experiment.yaml
      taxotext experiment plan experiments/reuters21578.yaml --data corpora --jobs 2 --json
    """
    from taxotext.cli.output import Number, print_table, write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.experiments.probing import plan_experiment

    settings = _settings(experiment, data_folder=data, jobs=jobs, threads=threads)
    reporter = make_reporter()
    found = plan_experiment(settings, reporter, where=str(experiment), output=output)
    if as_json:
        write_json({**found.to_dict(), "advice": found.advice()})
        return
    rows = [
        (
            one.system,
            one.corpus,
            one.cells,
            "fails" if one.seconds is None else Number(duration(one.seconds)),
            "" if one.memory is None else Number(f"{one.memory / 1e6:,.0f} MB"),
            f"{one.tried:,} of {one.documents:,} documents" if one.documents else "",
        )
        for one in found.estimates
    ]
    print_table(("system", "corpus", "cells", "time a cell", "memory a cell", "tried"), rows)
    cells = f"{counted(found.cells, 'cell')} to run" + (f" ({found.finished} finished)" if found.finished else "")
    typer.echo(
        f"{cells}, {found.jobs} at a time with {counted(found.threads, 'thread')} each: about "
        f"{duration(found.seconds)}, then at most {duration(found.speed_seconds)} for measuring speed; "
        f"up to {found.memory / 1e6:,.0f} MB at a time."
    )
    for sentence in found.advice():
        reporter.note(sentence)


@app.command("show")
def show(folder: Folder, as_json: AsJson = False) -> None:
    """Show the table of what is finished so far.

    Examples:

    \b
      taxotext experiment show reuters
      taxotext experiment show reuters --json
    """
    from taxotext.cli.output import Number, print_table, write_json
    from taxotext.experiments.folder import ExperimentFolder
    from taxotext.experiments.summary import summarise
    from taxotext.experiments.tables import facts_of, notes_of, tables_of

    summary = summarise(ExperimentFolder(folder))
    if as_json:
        write_json(summary)
        return
    typer.echo(summary["name"])
    for corpus in summary["corpora"]:
        typer.echo(f"\n{corpus['name']}: {facts_of(corpus)}")
        for table in tables_of(corpus, summary):
            typer.echo("")
            rows = [[text if number == 0 else Number(text) for number, text in enumerate(row)] for row in table.rows]
            print_table(table.head, rows, table.title or None)
    typer.echo("")
    for note in notes_of(summary):
        typer.echo(f"* {note}")


def _settings(file: Path, **changes: Any) -> ExperimentSettings:
    from taxotext.experiments.settings import parse_experiment
    from taxotext.settings import read_yaml

    values = read_yaml(file)
    values.update({key: value for key, value in changes.items() if value is not None})
    return parse_experiment(values, str(file))


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
