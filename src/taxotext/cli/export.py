"""``taxotext export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    to: Annotated[str, typer.Option(help="hf: for the pipelines of Hugging Face's transformers.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
) -> None:
    """Write a model in the form of another library.

    With --to hf, pipeline("text-classification", model=FOLDER, top_k=None, trust_remote_code=True) gives the scores of
    the network; the folder holds the few lines of code that transformers needs for it.

    Examples:

    \b
      taxotext export model --to hf --output exported
    """
    from taxotext.api import load
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError, nearest
    from taxotext.store.hugging_face import export_hugging_face

    if to != "hf":
        raise ConfigError(f"--to {to}: is not a form that models are exported to; choose hf.{nearest(to, ['hf'])}")
    classifier, reporter = load(model), make_reporter()
    notes = export_hugging_face(output, classifier.system, classifier.manifest, overwrite=overwrite)
    reporter.note(f"Wrote {output}.")
    for sentence in notes:
        reporter.note(sentence)
