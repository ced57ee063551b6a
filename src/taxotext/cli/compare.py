"""``taxotext compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxotext.cli.options import AsJson, Device, OnBadLine, Threads, given


def compare(
    first: Annotated[Path, typer.Argument(help="Model folder, or file of predictions.")],
    second: Annotated[Path, typer.Argument(help="Model folder, or file of predictions.")],
    gold: Annotated[Path, typer.Option("--gold", "--data", help="Labelled file on which they are compared.")],
    first_run: Annotated[
        list[Path] | None, typer.Option(help="Another run (seed) of the first system; several times.")
    ] = None,
    second_run: Annotated[
        list[Path] | None, typer.Option(help="Another run (seed) of the second system; several times.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="micro_, macro_, samples_ with f1, precision, recall; set_accuracy, hamming_accuracy."),
    ] = None,
    test: Annotated[str, typer.Option(help="p-values by: bootstrap (paired) or randomisation.")] = "bootstrap",
    correction: Annotated[str, typer.Option(help="For several metrics: holm, benjamini-hochberg or none.")] = "holm",
    samples: Annotated[int, typer.Option(min=1, max=1_000_000, help="Drawn sets of documents.")] = 1000,
    confidence: Annotated[float, typer.Option(help="Of the intervals, between 0 and 1.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the draws.")] = 0,
    taxonomy: Annotated[
        Path | None, typer.Option(help="For files of predictions: labels, and ancestors that gold labels imply.")
    ] = None,
    as_json: AsJson = False,
    on_bad_line: OnBadLine = "error",
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Tell whether two models differ by more than chance on the same labelled documents.

    Examples:

    \b
      taxotext compare model other --data test.jsonl
      taxotext compare first.jsonl second.jsonl --gold test.jsonl --metric micro_f1 --metric macro_f1
      taxotext compare bert-1 linear --first-run bert-2 --first-run bert-3 --data test.jsonl --json
    """
    from taxotext.api.comparing import DEFAULT_METRICS, CompareSettings
    from taxotext.api.comparing import compare as compare_systems
    from taxotext.cli.output import print_table, write_json
    from taxotext.cli.reporter import make_reporter

    settings = CompareSettings(
        metrics=tuple(metric or DEFAULT_METRICS),
        test=test,
        correction=correction,
        samples=samples,
        confidence=confidence,
        seed=seed,
    )
    result = compare_systems(
        [first, *(first_run or [])],
        [second, *(second_run or [])],
        gold,
        settings,
        taxonomy=taxonomy,
        on_bad_line=on_bad_line,
        runtime=given(device=device, threads=threads),
        reporter=make_reporter(),
    )
    if as_json:
        write_json(result)
        return
    rows = [
        [
            row["metric"],
            row["first"]["value"],
            row["second"]["value"],
            row["difference"],
            f"{row['low']:+.4f} .. {row['high']:+.4f}",
            row["p_value"],
            row["p_adjusted"],
        ]
        for row in result["comparisons"]
    ]
    title = (
        f"{result['documents']} documents of {result['gold']} matched by {result['matched_by']}; difference: first "
        f"less second; {confidence:.0%} intervals and p by {test}, {samples} samples; adjusted: {correction}"
    )
    print_table(("metric", "first", "second", "difference", "interval", "p", "p adjusted"), rows, title)
