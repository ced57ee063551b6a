"""The commands; each imports what it needs when it runs, so that --help is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from taxotext import __version__
from taxotext.cli import (
    compare,
    config,
    data,
    evaluate,
    experiment,
    explain,
    export,
    hub,
    labels,
    models,
    predict,
    report,
    search,
    serve,
    status,
    train,
    tune,
)

app = typer.Typer(
    name="taxotext",
    help="Classify texts into many labels at once, using the structure of the label set.",
    epilog="Start with: taxotext train --train tickets.jsonl --taxonomy topics.tsv --output model",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Classify texts into many labels at once, using the structure of the label set.

    Errors are reported in one sentence; add --debug to see where in the program one was found.
    """


app.command("train")(train.train)
app.command("status")(status.status)
app.command("search")(search.search)
app.command("tune")(tune.tune)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("predict")(predict.predict)
app.command("explain")(explain.explain)
app.command("labels")(labels.labels)
app.command("report")(report.report)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("push")(hub.push)
app.command("pull")(hub.pull)
app.command("config")(config.config)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(experiment.app, name="experiment")
