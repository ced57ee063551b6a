"""``taxotext push`` and ``taxotext pull``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Revision = Annotated[str | None, typer.Option(help="Branch (pull: or tag, commit); main when not given.")]


def push(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    repo: Annotated[str, typer.Argument(help="OWNER/NAME on the hub; created when it is missing.")],
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="Of a new repository; else the default of its owner."),
    ] = None,
    message: Annotated[str | None, typer.Option(help="Of the commit.")] = None,
    revision: Revision = None,
) -> None:
    """Upload a model folder to the Hugging Face hub.

    The token is that of `hf auth login`, or of the environment variable HF_TOKEN.

    Examples:

    \b
      taxotext push model acme/tickets --private
    """
    from taxotext.api import load
    from taxotext.cli.reporter import make_reporter

    address = load(model).push_to_hub(repo, private=private, commit_message=message, revision=revision)
    make_reporter().note(f"Pushed {model}: {address}")


def pull(
    repo: Annotated[str, typer.Argument(help="OWNER/NAME on the hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model folder to write.")],
    revision: Revision = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model folder.")] = False,
) -> None:
    """Fetch a model from the Hugging Face hub into a model folder; every other command takes that.

    Examples:

    \b
      taxotext pull acme/tickets --output model
    """
    from taxotext.api import Classifier
    from taxotext.cli.reporter import make_reporter
    from taxotext.store import check_free

    check_free(output, overwrite=overwrite)
    Classifier.from_pretrained(repo, revision=revision).save(output, overwrite=overwrite)
    make_reporter().note(f"Wrote {output}. Next: taxotext predict {output} texts.jsonl")
