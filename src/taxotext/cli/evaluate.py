"""``taxotext evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxotext.cli import options

FIRST = ("micro_f1", "macro_f1", "samples_f1", "set_accuracy", "p@1", "p@5", "ndcg@5")
"""Shown without ``--all``, with one more: violations of the taxonomy, or what flat labels have instead."""
FACTS = (
    "documents",
    "labels",
    "unknown_labels",
    "cut_texts",
    "closure",
    "thresholds_tuned_on",
    "documents_per_second",
)
"""About the evaluation, below the metrics."""


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    data: Annotated[
        Path,
        typer.Argument(
            help="Labelled file: .jsonl, .csv, .tsv (also .gz), .parquet, or a folder of Annif or Hugging Face."
        ),
    ],
    as_json: options.AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="All metrics, not eight of them.")] = False,
    per_label: Annotated[bool, typer.Option("--per-label", help="A row for each label, too.")] = False,
    unknown_labels: Annotated[
        str, typer.Option(help="Gold labels that the model does not know: count (as misses), error, drop.")
    ] = "count",
    record: Annotated[
        bool, typer.Option("--record", help="Write the metrics into the model folder and its card.")
    ] = False,
    propensity: Annotated[
        str, typer.Option(help="A and B of PSP@k: default, wikipedia, amazon, or two numbers such as 0.55,1.5.")
    ] = "default",
    text: options.TextFields = None,
    labels: options.LabelFields = None,
    label_separator: options.LabelSeparator = None,
    id: options.IdField = None,
    input_format: options.InputFormat = None,
    on_bad_line: options.OnBadLine = "error",
    device: options.Device = None,
    threads: options.Threads = None,
    beams: options.Beams = None,
) -> None:
    """Measure a model on labelled documents.

    Examples:

    \b
      taxotext evaluate model test.jsonl
      taxotext evaluate model test.csv --all
      taxotext evaluate model test.csv --json --per-label
    """
    from taxotext.api import load
    from taxotext.api.reading import read_for_model
    from taxotext.cli.output import print_table, write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError
    from taxotext.store import record_evaluation

    if record and beams is not None:
        raise ConfigError("--record: the model searches with other beams than --beams; leave one of them out.")
    reporter = make_reporter()
    classifier = load(model, beams=options.number_of_beams(beams), **options.given(device=device, threads=threads))
    corpus = read_for_model(
        classifier,
        data,
        on_bad_line=on_bad_line,
        unknown=unknown_labels,
        format=input_format,
        columns=options.columns(text, labels, label_separator, id),
    )
    result = classifier.evaluate(corpus, per_label=per_label, propensity=propensity, reporter=reporter)
    if record:
        metrics = {key: value for key, value in result.items() if key != "per_label"}
        metrics["data_fingerprint"] = corpus.fingerprint()
        record_evaluation(model, classifier.system, classifier.manifest, corpus.source, metrics)
    if as_json:
        write_json(result)
        return
    one_more = "micro_average_precision" if classifier.taxonomy.is_flat else "violation_rate"
    every = [name for name, value in result.items() if isinstance(value, float) and name not in ("seconds", *FACTS)]
    names = every if everything else (*FIRST, one_more)
    print_table(("metric", "value"), [(name, result[name]) for name in (*names, *FACTS) if name in result])
    if per_label:
        rows = sorted(result["per_label"], key=lambda row: -row["support"])
        print_table(list(rows[0]), [list(row.values()) for row in rows])
