"""``taxotext report``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxotext.cli import options

if TYPE_CHECKING:
    from taxotext.api import Classifier
    from taxotext.data import Corpus


def report(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_OR_MODEL...", help="Model folders, runs of trainings, or folders of experiments."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write: report.html.")],
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", help="Documents with gold labels; else the held-out scores that the folder keeps."),
    ] = None,
    worst: Annotated[int, typer.Option(min=0, max=10_000, help="Worst documents that are shown of each model.")] = 10,
    explain: Annotated[
        int, typer.Option(min=0, max=1000, help="Worst documents whose words are explained (with --corpus).")
    ] = 3,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
    text: options.TextFields = None,
    labels: options.LabelFields = None,
    label_separator: options.LabelSeparator = None,
    id: options.IdField = None,
    input_format: options.InputFormat = None,
    on_bad_line: options.OnBadLine = "error",
    device: options.Device = None,
    threads: options.Threads = None,
) -> None:
    """Write one page about models: what they get right and wrong, and why.

    Several models are compared in the summary, and each has its sections.

    Examples:

    \b
      taxotext report model --output report.html
      taxotext report model --corpus test.jsonl --output report.html
      taxotext report linear bert --corpus test.jsonl --output both.html
    """
    from taxotext.api.reading import read_for_model
    from taxotext.cli.output import lines_to
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError
    from taxotext.report.writing import report as write

    if output.suffix not in (".html", ".htm"):
        raise ConfigError(f"--output {output}: is a page; name a file that ends in .html.")

    fields = options.columns(text, labels, label_separator, id)
    if fields and corpus is None:
        raise ConfigError("--text, --labels, --label-separator and --id name fields of --corpus; give it, too.")

    def reader(path: Path) -> Callable[[Classifier], Corpus]:
        return lambda classifier: read_for_model(
            classifier, path, on_bad_line=on_bad_line, format=input_format, columns=fields
        )

    reporter = make_reporter()
    given = options.given(device=device, threads=threads)
    with lines_to(output, overwrite=overwrite) as file:
        chosen = None if corpus is None else reader(corpus)
        content = write(models, chosen, worst=worst, explained=explain, runtime=given, reporter=reporter)
        file.write(content.encode())
    reporter.note(f"Wrote {output}.")
