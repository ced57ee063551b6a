"""``taxotext status``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxotext.cli.options import AsJson


def status(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Model folder, or --output of a training.")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw it anew each second until the training ends; Ctrl-C leaves.")
    ] = False,
    depth: Annotated[int | None, typer.Option(min=1, help="How many levels of labels to show.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say where a training is: finished, at work or interrupted; works while it runs.

    For systems that are fitted along the taxonomy (htrans, gru_att) it draws the tree of labels: state, class weight,
    validation F1, the parent that was inherited from, epochs and time. A label with several parents stands below each
    of them; its figures are shown once.

    Examples:

    \b
      taxotext status model
      taxotext status model --watch --depth 2
      taxotext status model --json
    """
    from taxotext.api.status import Follower
    from taxotext.cli.output import write_json
    from taxotext.cli.status_view import print_status, watch_status
    from taxotext.errors import ConfigError

    if (output / "experiment.json").is_file():
        raise ConfigError(f"{output}: is the folder of an experiment; look at it with `taxotext experiment status`.")
    if watch and as_json:
        raise ConfigError("--watch draws for people; give --json without it, as often as you like.")
    follower = Follower(output)
    if as_json:
        write_json(follower.look().to_dict())
    elif watch:
        watch_status(follower, depth)
    else:
        print_status(follower.look(), depth)
