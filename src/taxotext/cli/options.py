"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores when not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
OnBadLine = Annotated[str, typer.Option(help="error: stop and list them; skip: leave them out and count.")]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        help="jsonl, json, csv, tsv, parquet, annif-tsv, annif-jsonl, annif-folder, dataset, libmultilabel, svmlight, "
        "xc-json, label-studio, doccano, spacy, prodigy; left out: by suffix and first line.",
        show_default=False,
    ),
]
TextFields = Annotated[
    list[str] | None, typer.Option("--text", help="Text field; several times to join fields in this order.")
]


def runtime(**values: Any) -> dict[str, Any]:
    """The runtime settings that were given."""
    return {key: value for key, value in values.items() if value is not None}
