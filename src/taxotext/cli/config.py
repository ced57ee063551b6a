"""``taxotext config``."""

from __future__ import annotations

from typing import Annotated

import typer


def config(
    name: Annotated[str, typer.Argument(help="Name of a system.")],
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Settings, such as preset=paper.")
    ] = None,
) -> None:
    """Print the whole default configuration of a system, with comments.

    Examples:

    \b
      taxotext config bert > bert.yaml
      taxotext config textcnn preset=paper > textcnn.yaml
    """
    from taxotext.api.runs import default_config, keys_of_texts
    from taxotext.settings import set_key

    values: dict[str, object] = {}
    for assignment in assignments or []:
        set_key(values, assignment, keys_of_texts(name))
    typer.echo(default_config(name, values), nl=False)
