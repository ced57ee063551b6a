"""``taxotext config``."""

from __future__ import annotations

from typing import Annotated

import typer


def config(name: Annotated[str, typer.Argument(help="Name of a system.")]) -> None:
    """Print the whole default configuration of a system, with comments.

    Examples:

    \b
      taxotext config bert > bert.yaml
    """
    from taxotext.api.runs import default_config

    typer.echo(default_config(name), nl=False)
