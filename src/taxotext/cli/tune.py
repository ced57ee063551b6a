"""``taxotext tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from taxotext.cli import options


def tune(
    model: Annotated[Path, typer.Argument(help="Model folder; its decoding.json is rewritten.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Validation file; else the held-out documents that training kept scores of."),
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            "--metric", "--for", help="micro_f1, macro_f1, or hierarchical_f1: the closed set of best expected value."
        ),
    ] = "micro_f1",
    method: Annotated[str, typer.Option(help="label, level or global thresholds.")] = "label",
    shrink: Annotated[
        str,
        typer.Option(help="Pull of rare labels to the common threshold, in documents; auto: cross-validated."),
    ] = "auto",
    consistency: Annotated[
        str | None,
        typer.Option(
            help="none; up: maximum over descendants; down: minimum over ancestors; auto: the best in cross-validation."
        ),
    ] = None,
    never_empty: Annotated[
        bool | None,
        typer.Option("--never-empty/--may-be-empty", help="Predict the best label when none passes."),
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(help="Correct the probabilities first: none, temperature or isotonic.")
    ] = None,
    calibration_by: Annotated[
        str | None, typer.Option(help="One correction for all labels (all), or one for each (label).")
    ] = None,
    text: options.TextFields = None,
    labels: options.LabelFields = None,
    label_separator: options.LabelSeparator = None,
    id: options.IdField = None,
    input_format: options.InputFormat = None,
    on_bad_line: options.OnBadLine = "error",
    device: options.Device = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Find the thresholds of a model on validation data, never on test data.

    Examples:

    \b
      taxotext tune model
      taxotext tune model --metric macro_f1 --consistency auto
      taxotext tune model --for hierarchical_f1
      taxotext tune model --data validation.jsonl --method level
      taxotext tune model --calibration isotonic
    """
    from taxotext.api import load
    from taxotext.api.finishing import explain
    from taxotext.api.reading import read_for_model
    from taxotext.cli.output import write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError

    try:
        strength = "auto" if shrink == "auto" else float(shrink)
    except ValueError:
        raise ConfigError(f"--shrink: {shrink!r} is not a number; give one, such as 10, or auto.") from None
    reporter = make_reporter()
    classifier = load(model, **options.given(device=device, threads=threads))
    fields = options.columns(text, labels, label_separator, id)
    if data is None and fields:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in fields)
        raise ConfigError(f"{given}: says more about a validation file; name that with --data FILE.")
    corpus = (
        None
        if data is None
        else read_for_model(classifier, data, on_bad_line=on_bad_line, format=input_format, columns=fields)
    )
    rules: dict[str, Any] = {  # tune checks them
        "metric": metric,
        "method": method,
        "shrink": strength,
        "consistency": consistency,
        "calibration": calibration,
        "calibration_by": calibration_by,
        "never_empty": never_empty,
    }
    report = classifier.tune(corpus, **rules, reporter=reporter)
    classifier.update(model)
    if as_json:
        write_json(report.to_dict())
        return
    if report.calibration is not None:
        reporter.note(
            "Calibrated ({method}, {by}): log loss {log_loss_before:.4f} -> {log_loss_after:.4f}, calibration error "
            "{error_before:.4f} -> {error_after:.4f} there.".format(**report.calibration)
        )
    for sentence in explain(report):
        reporter.note(sentence)
    reporter.note(f"Wrote {model}.")
