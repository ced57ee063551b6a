"""``taxotext models``."""

from __future__ import annotations

from typing import Annotated

import typer

from taxotext.cli.options import AsJson

app = typer.Typer(help="The systems that can be trained.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the systems by name.

    Examples:

    \b
      taxotext models list
    """
    from taxotext.cli.output import print_table, write_json
    from taxotext.models.registry import entries

    rows = [(entry.name, entry.summary) for entry in entries().values()]
    if as_json:
        write_json([{"name": name, "summary": summary} for name, summary in rows])
    else:
        print_table(("name", "what it is"), rows)


@app.command("show")
def show_model(name: Annotated[str, typer.Argument(help="Name of a system.")]) -> None:
    """Show what a system is: its equations, where they come from, and its settings.

    Examples:

    \b
      taxotext models show bert
    """
    import sys
    from inspect import getdoc

    from taxotext.api.runs import default_config
    from taxotext.models.registry import find

    kind = find(name)
    module = getdoc(sys.modules[kind.__module__]) or getdoc(kind) or ""
    typer.echo(f"{module}\n\nSettings (taxotext config {name}):\n\n{default_config(name)}", nl=False)
