"""``taxotext labels``."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from taxotext.composition.base import System
    from taxotext.explain.label_map import LabelMap

SUFFIXES = (".svg", ".png", ".html", ".json")


def labels(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    map_to: Annotated[
        Path | None, typer.Option("--map", help="Draw a map of the labels: x.svg, .png, .html, or .json.")
    ] = None,
    method: Annotated[str, typer.Option(help="pca: principal components; tsne: neighbourhoods.")] = "pca",
    vectors: Annotated[
        str | None,
        typer.Option(
            help="coefficients, head, embedding, output, ... whichever the model has; those of a member as 0.head."
        ),
    ] = None,
    nearest: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Nearest labels of each label that are listed.")
    ] = 5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing map.")] = False,
) -> None:
    """List which labels are alike to a model, and draw a map of them.

    Labels are compared by the vectors that the model has learned of them.

    Examples:

    \b
      taxotext labels model
      taxotext labels model --map labels.svg
      taxotext labels model --map labels.html --method tsne
    """
    from taxotext.api import load
    from taxotext.cli.output import lines_to, print_table
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError
    from taxotext.explain.label_map import map_labels

    if map_to is not None and map_to.suffix not in SUFFIXES:
        raise ConfigError(f"--map {map_to}: name a file that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    classifier = load(model)
    found = map_labels(classifier.system, classifier.manifest.seen, vectors=vectors, method=method, neighbours=nearest)
    reporter = make_reporter()
    if found.left_out:
        reporter.note(f"{found.left_out:,} labels with the fewest training documents are left out.")
    if map_to is None:
        rows = [
            (name, ", ".join(f"{one} {cosine:.2f}" for one, cosine in found.neighbours(row)))
            for row, name in enumerate(found.ids)
        ]
        print_table(("label", f"nearest by {found.vectors} (cosine)"), rows)
        return
    with lines_to(map_to, overwrite=overwrite) as file:
        file.write(_content(found, classifier.system, model.name, map_to.suffix))
    reporter.note(f"Wrote {map_to}.")


def _content(found: LabelMap, system: System, name: str, suffix: str) -> bytes:
    import orjson

    from taxotext.charts.html import document, table
    from taxotext.explain.label_map import chart

    if suffix == ".json":
        return orjson.dumps(found.to_dict(), option=orjson.OPT_INDENT_2) + b"\n"
    drawn = chart(found, system)
    if suffix != ".html":
        return drawn.content(suffix)
    rows = [
        (label, *(f"{one} ({cosine:.2f})" for one, cosine in found.neighbours(row)))
        for row, label in enumerate(found.ids)
    ]
    places = [str(place) for place in range(1, len(rows[0]))]
    body = [
        f"<h1>{escape(f'Labels of {name}')}</h1>",
        f'<div style="max-width: 48rem">{drawn.svg()}</div>',
        table(("label", *places), rows, "Nearest labels, with the cosine of their vectors"),
    ]
    return document(f"Labels of {name}", body).encode()
