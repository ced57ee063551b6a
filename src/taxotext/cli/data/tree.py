"""``taxotext data tree``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.cli.data import common
from taxotext.cli.options import AsJson, InputFormat, OnBadLine
from taxotext.messages import counted, quiet

if TYPE_CHECKING:
    from taxotext.data import Corpus
    from taxotext.labels import Taxonomy


def tree(
    taxonomy: Annotated[
        Path, typer.Argument(metavar="TAXONOMY", help="parent<TAB>child lines, paths, nested JSON/YAML, or SKOS.")
    ],
    taxonomy_format: common.TaxonomyFormat = None,
    path_separator: common.PathSeparator = "/",
    taxonomy_language: common.TaxonomyLanguage = None,
    taxonomy_ids: common.TaxonomyIds = "uri",
    names: common.NamesFile = None,
    counts: Annotated[
        Path | None, typer.Option(help="Corpus: show the number of its documents behind each label.")
    ] = None,
    closure: Annotated[
        str,
        typer.Option(help="What is counted: ancestors: a document counts for all ancestors too; as_given; leaves."),
    ] = "ancestors",
    max_depth: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="How many levels to show.")] = None,
    used: Annotated[
        bool,
        typer.Option("--used", help="Only labels with documents, and what is above them; needs --counts."),
    ] = False,
    text: common.TextFields = None,
    labels: common.LabelFields = None,
    label_separator: common.LabelSeparator = None,
    label_columns: common.LabelColumns = None,
    id: common.IdField = "id",
    quotes: common.Quotes = True,
    input_format: InputFormat = None,
    on_bad_line: OnBadLine = "error",
    as_json: AsJson = False,
) -> None:
    """Draw a taxonomy, with counts.

    A label with several parents is listed below each of them; what is below it is drawn once. The taxonomy of a
    model is MODEL/taxonomy.json.

    Examples:

    \b
      taxotext data tree topics.tsv
      taxotext data tree topics.tsv --counts train.jsonl --max-depth 2
    """
    from taxotext.cli.output import encoded, lines_to, write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.data import read_corpus
    from taxotext.data.stats import label_frequency
    from taxotext.errors import ConfigError
    from taxotext.labels import read_taxonomy, tree_lines

    if used and counts is None:
        raise ConfigError("--used shows the labels with documents; name these with --counts FILE.")
    structure = read_taxonomy(
        taxonomy, taxonomy_format, path_separator, names=names, language=taxonomy_language, ids=taxonomy_ids
    )
    corpus: Corpus | None = None
    if counts is not None:
        columns = common.columns_of(text, labels, label_separator, id, None, quotes, label_columns, path_separator)
        with quiet("taxotext"):  # what the reading warns of is reported below
            corpus = read_corpus(
                counts,
                structure,
                columns,
                closure=closure,
                unknown="count",
                on_bad_line=on_bad_line,
                format=input_format,
            )
    frequency = None if corpus is None else label_frequency(corpus).tolist()
    only = None
    if used and frequency is not None:
        only = {label for label, number in enumerate(frequency) if number}
    if as_json:
        write_json(_values(structure, corpus, frequency, only, max_depth))
    else:

        def annotate(label: int) -> str:
            return "" if frequency is None else f"[{frequency[label]:,}]"

        with lines_to(None, overwrite=False) as file:
            if only is None or only:
                for line in tree_lines(structure, annotate, only, max_depth):
                    file.write(encoded(f"{line}\n", None))
    _notes(structure, corpus, make_reporter().note)


def _notes(taxonomy: Taxonomy, corpus: Corpus | None, note: Any) -> None:
    shape = (
        f"{counted(len(taxonomy), 'label')}, {counted(taxonomy.edge_index.shape[1], 'edge')}, "
        f"{counted(taxonomy.depth, 'level')}"
    )
    if corpus is None:
        note(f"{shape}.")
        return
    how = {"ancestors": "counted for all ancestors of their labels", "as_given": "label sets as given"}
    note(
        f"{shape}; {counted(len(corpus), 'document')} of {corpus.source}, "
        f"{how.get(corpus.closure, 'counted for their lowest labels')}."
    )
    unknown = corpus.report.unknown_labels
    if unknown:
        note(
            f"{counted(len(unknown), 'label')} of {corpus.source} not in the taxonomy, such as "
            f"{corpus.unknown_labels[0]!r}, not shown; `taxotext data check` lists them."
        )
    for sentence in common.reading_notes(corpus.report)[: 1 if corpus.report.skipped_count else 0]:
        note(sentence)


def _values(
    taxonomy: Taxonomy,
    corpus: Corpus | None,
    frequency: list[int] | None,
    only: set[int] | None,
    max_depth: int | None,
) -> dict[str, Any]:
    """Labels with their parents, in the order of the taxonomy: a tree would repeat the labels of a DAG."""
    rows = []
    if only is not None:  # with what is above them, as they are drawn
        only = only.union(*(taxonomy.ancestors(label).tolist() for label in only))
    for label, entry in enumerate(taxonomy.to_dict()["labels"]):
        level = int(taxonomy.levels[label])
        if (only is None or label in only) and (max_depth is None or level <= max_depth):
            documents = {} if frequency is None else {"documents": frequency[label]}
            rows.append({**entry, "level": level, **documents})
    values: dict[str, Any] = {
        "edges": int(taxonomy.edge_index.shape[1]),
        "depth": taxonomy.depth,
        "labels": rows,
    }
    if corpus is not None:
        values.update(
            documents=len(corpus),
            source=corpus.source,
            closure=corpus.closure,
            unknown_labels=corpus.report.unknown_labels,
        )
    return values
