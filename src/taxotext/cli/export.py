"""``taxotext export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FORMS = ("hf", "onnx")


def export(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    to: Annotated[
        str,
        typer.Option(
            help="onnx: for ONNX Runtime, without torch. hf: for the pipelines of Hugging Face's transformers."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    int8: Annotated[
        bool,
        typer.Option("--int8", help="With onnx: weights in 8 bits, twice as fast, a quarter of the size."),
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="With onnx: labelled documents on which the export is compared with the model.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
) -> None:
    """Write a model in the form of another library.

    With --to onnx the folder is a model folder again: predict, evaluate, tune and serve take it, and compute it with
    ONNX Runtime. Its certificate.json says how nearly the scores and labels are those of the model.

    With --to hf, pipeline("text-classification", model=FOLDER, top_k=None, trust_remote_code=True) gives the scores of
    the network; the folder holds the few lines of code that transformers needs for it.

    Examples:

    \b
      taxotext export model --to onnx --output exported
      taxotext export model --to onnx --int8 --data validation.jsonl --output exported
      taxotext export model --to hf --output exported
    """
    from taxotext.api import load
    from taxotext.api.reading import read_for_model
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError, nearest
    from taxotext.store.hugging_face import export_hugging_face
    from taxotext.store.onnx_export import export_onnx

    if to not in FORMS:
        known = " or ".join(FORMS)
        raise ConfigError(f"--to {to}: is not a form that models are exported to; choose {known}.{nearest(to, FORMS)}")
    if to == "hf" and (int8 or data is not None):
        raise ConfigError(f"{'--int8' if int8 else '--data'}: goes with --to onnx only; leave it out.")
    reporter = make_reporter()
    if to == "hf":
        classifier = load(model)
        notes = export_hugging_face(output, classifier.system, classifier.manifest, overwrite=overwrite)
    else:
        classifier = load(model, device="cpu", predict_precision="float32")
        documents = None if data is None else read_for_model(classifier, data)
        notes = export_onnx(
            output,
            classifier.system,
            classifier.manifest,
            int8=int8,
            documents=documents,
            overwrite=overwrite,
            reporter=reporter,
        )
    reporter.note(f"Wrote {output}.")
    for sentence in notes:
        reporter.note(sentence)
