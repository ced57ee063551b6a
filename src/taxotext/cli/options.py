"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; all cores when not given.")]
Beams = Annotated[
    str | None,
    typer.Option(
        help="Of the search for label sequences (1 to 64), or along a label tree; or exact. As trained when not given.",
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Local processes at a time; as many as cores when not given.")
]
Executor = Annotated[
    str | None, typer.Option(help="processes (of this machine), or ray: the machines of a Ray cluster.")
]
Address = Annotated[
    str | None,
    typer.Option(help="Of the Ray cluster; left out: RAY_ADDRESS, the one that runs here, or one on this machine."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
OnBadLine = Annotated[str, typer.Option(help="error: stop and list them; skip: leave them out and count.")]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        help="jsonl, json, csv, tsv, parquet, annif-tsv, annif-jsonl, annif-folder, dataset, libmultilabel, fasttext, "
        "svmlight, xc-json, label-studio, doccano, spacy, prodigy, text; left out: by suffix and first line.",
        show_default=False,
    ),
]
TextFields = Annotated[
    list[str] | None, typer.Option("--text", help="Text field; several times to join fields in this order.")
]
NamesFile = Annotated[
    str | None,
    typer.Option(
        help="Display names: id<TAB>name, perhaps a description in a third column, other names in further ones."
    ),
]
LabelFields = Annotated[
    list[str] | None,
    typer.Option("--labels", help="Label field; several times for several; else those of the training."),
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        help="Between the labels of a CSV cell; '' when each cell is one label. Left out: as in the training.",
        show_default=False,
    ),
]
IdField = Annotated[
    str | None, typer.Option("--id", help="Field with the id of a document; else that of the training, if it is there.")
]


def columns(
    text: list[str] | None = None,
    labels: list[str] | None = None,
    label_separator: str | None = None,
    id: str | None = None,
) -> dict[str, Any]:
    """The fields that were named, for a model that knows those of its training."""
    fields = {"text": tuple(text or ()) or None, "labels": tuple(labels or ()) or None}
    return given(**fields, label_separator=label_separator, id=id)


def number_of_beams(given: str | None) -> int | str | None:
    """The number in the text; other words as they are, for the system to check."""
    return int(given) if given is not None and given.isdecimal() else given


def given(**values: Any) -> dict[str, Any]:
    """The options that were given."""
    return {key: value for key, value in values.items() if value is not None}
