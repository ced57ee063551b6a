"""``taxotext data stats``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.cli.data import common
from taxotext.cli.options import AsJson, InputFormat, OnBadLine
from taxotext.messages import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taxotext.data import Corpus, CorpusStatistics

Row = tuple[Any, ...]


def stats(
    file: common.CorpusFile,
    taxonomy: common.TaxonomyFile = None,
    taxonomy_format: common.TaxonomyFormat = None,
    path_separator: common.PathSeparator = "/",
    taxonomy_language: common.TaxonomyLanguage = None,
    taxonomy_ids: common.TaxonomyIds = "uri",
    names: common.NamesFile = None,
    other: Annotated[
        Path | None, typer.Option(help="Second file (test data, say), to look for shared texts and labels.")
    ] = None,
    closure: Annotated[
        str,
        typer.Option(help="Label sets: as_given; ancestors: with all ancestors; leaves: the lowest only."),
    ] = "as_given",
    encoder: common.Encoder = None,
    model: common.ModelFolder = None,
    max_tokens: common.MaxTokens = None,
    top: Annotated[int, typer.Option(min=0, max=1_000_000, help="How many of the most frequent labels to list.")] = 10,
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
    """Measure a corpus.

    Documents, labels, words, tail, levels and duplicates; tokens and a comparison with a second file if asked for.

    Examples:

    \b
      taxotext data stats train.jsonl
      taxotext data stats train.csv --taxonomy topics.tsv --other test.csv
      taxotext data stats train.jsonl --encoder default --max-tokens 256 --json
    """
    from taxotext.cli.output import write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.data import corpus_statistics, read_corpus
    from taxotext.data.reading_notes import form_notes

    columns = common.columns_of(text, labels, label_separator, id, None, quotes, label_columns, path_separator)
    structure = common.taxonomy_of(
        taxonomy, taxonomy_format, path_separator, names, taxonomy_language, taxonomy_ids, label_columns
    )
    counter, limit = common.token_counter(encoder, model, max_tokens)
    rules: dict[str, Any] = {
        "closure": closure,
        "unknown": "count",
        "on_bad_line": on_bad_line,
        "format": input_format,
    }
    with quiet("taxotext"):  # what the reading warns of is reported below
        corpus = read_corpus(file, structure, columns, **rules)
        like_it = columns.as_found(corpus.report)
        second = None if other is None else read_corpus(other, structure, like_it, **rules)
    found = corpus_statistics(corpus, token_counter=counter, max_tokens=limit, other=second)
    if as_json:
        values = found.to_dict()
        values["most_frequent_labels"] = _most_frequent(corpus, top)
        values["reading"] = corpus.report.to_dict()
        write_json(values)
        return
    _print(found, corpus, top)
    for sentence in form_notes(replace(corpus.report, label_separator=None)):  # which stands in the table
        make_reporter().note(sentence)


def _most_frequent(corpus: Corpus, top: int) -> list[dict[str, Any]]:
    """The labels of the taxonomy with most documents, those without any left out."""
    import numpy as np

    from taxotext.data.stats import label_frequency

    frequency = label_frequency(corpus)
    order = np.argsort(-frequency, kind="stable")[:top]
    taxonomy = corpus.taxonomy
    return [
        {"id": taxonomy.ids[i], "name": taxonomy.names[i], "documents": int(frequency[i])}
        for i in order.tolist()
        if frequency[i]
    ]


def _print(found: CorpusStatistics, corpus: Corpus, top: int) -> None:
    from taxotext.cli.output import print_table

    sets = {"as_given": "as given", "ancestors": "with all ancestors", "leaves": "the lowest only"}
    tables: list[tuple[Sequence[str], list[Row], str | None]] = [
        (("", "number", "share"), _facts(found, corpus), f"{found.source}: label sets {sets[found.closure]}"),
        (("per document", "mean", "sd", "min", "median", "95 %", "max"), _spreads(found), None),
        (("documents of a label", "labels", "share"), _tail(found), None),
    ]
    if found.depth > 1:
        tables.append((("level", "labels", "documents", "share"), _levels(found), None))
    rows = _most_frequent(corpus, top)
    if rows:
        named = any(row["name"] and not row["id"].endswith(row["name"]) for row in rows)  # as in drawings
        head = ("most frequent labels", *(["name"] if named else []), "documents", "share")
        frequent = [
            (row["id"], *([row["name"]] if named else []), *_row("", row["documents"], found.documents)[1:])
            for row in rows
        ]
        tables.append((head, frequent, None))
    if found.overlap is not None:
        tables.append((("", "number", "share"), _overlap(found), f"Compared with {found.overlap.source}"))
    for number, (columns, lines, title) in enumerate(tables):
        if number:
            typer.echo()
        print_table(columns, lines, title)


def _row(name: str, number: int, total: int | None = None) -> Row:
    """A name, a number, and its share of ``total``."""
    from taxotext.cli.output import Number

    return name, common.whole(number), Number("") if total is None else common.percent(number, total)


def _facts(found: CorpusStatistics, corpus: Corpus) -> list[Row]:
    """The rows of the first table; what happened while reading is told where something happened."""
    from taxotext.cli.output import Number

    total, report, duplicates = found.documents, corpus.report, found.duplicates
    rows = [_row("documents", total), _row("  without a label", found.documents_without_labels, total)]
    if found.closure_violations is not None and found.edges:
        rows.append(_row("  with a label whose ancestors are missing", found.closure_violations["documents"], total))
    if found.tokens is not None and found.tokens.cut_texts is not None:
        rows.append(_row(f"  longer than {found.tokens.max_tokens:,} tokens", found.tokens.cut_texts, total))
    rows.append(_row("  that repeat an earlier text", duplicates.copies, total))
    if duplicates.texts:
        rows.append(_row("texts that occur more than once", duplicates.texts))
        rows.append(_row("  with different labels", duplicates.texts_with_different_labels, duplicates.texts))
    rows.append(_row("labels", found.labels))
    rows.append(_row("  without a document", found.labels_unused, found.labels))
    if found.edges:
        rows += [_row("  edges", found.edges), _row("  levels", found.depth)]
    if found.unknown_labels:
        rows.append(_row("labels that the taxonomy lacks", found.unknown_labels))
        rows.append(_row("  uses of them", sum(report.unknown_labels.values())))
    uses = int(corpus.known_targets.nnz)
    rows.append(_row("uses of labels", uses))
    if found.labels_used > 10:
        rows.append(_row("  of the 10 most frequent", round(found.top_10_share * uses), uses))
    happened = (
        ("  added by the closure", found.labels_added),
        ("  removed by the closure", found.labels_removed),
        ("  given twice in a document, counted once", report.duplicate_labels),
        ("  with white space around them, dropped", report.trimmed_labels),
        ("empty labels, dropped", report.empty_labels),
        ("repeated headers, left out", report.repeated_headers),
        ("rows joined with the one before (same id and text)", report.joined_rows),
        ("bad lines, left out", report.skipped_count),
    )
    rows += [_row(name, number) for name, number in happened if number]
    if report.label_separator is not None:
        rows.append(("separator in label cells", Number(repr(report.label_separator)), Number("")))
    return rows


def _spreads(found: CorpusStatistics) -> list[Row]:
    spreads = [("words", found.words), ("characters", found.characters), ("labels", found.labels_per_document)]
    if found.tokens is not None:
        spreads.insert(1, ("tokens", found.tokens.tokens))
    return [
        (
            name,
            common.mean(spread.mean),
            common.mean(spread.sd),
            common.whole(spread.min),
            common.plain(spread.median),
            common.plain(spread.p95),
            common.whole(spread.max),
        )
        for name, spread in spreads
    ]


def _tail(found: CorpusStatistics) -> list[Row]:
    return [
        _row(name.replace("-", " to ").replace(">", "over "), number, found.labels)
        for name, number in found.label_frequency.items()
    ]


def _levels(found: CorpusStatistics) -> list[Row]:
    levels = zip(found.labels_per_level, found.documents_per_level, strict=True)
    return [
        (level, common.whole(labels), *_row("", documents, found.documents)[1:])
        for level, (labels, documents) in enumerate(levels, 1)
    ]


def _overlap(found: CorpusStatistics) -> list[Row]:
    shared = found.overlap
    if shared is None:
        return []
    return [
        _row("documents whose text is also there", shared.documents, found.documents),
        _row("  with other labels there", shared.documents_with_different_labels, shared.documents),
        _row("labels only here", len(shared.labels_only_here)),
        _row("labels only there", len(shared.labels_only_there)),
        _row("  documents there that have them", shared.documents_there_with_unseen_labels),
    ]
