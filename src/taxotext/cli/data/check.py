"""``taxotext data check``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxotext.cli.data import common
from taxotext.cli.options import AsJson, InputFormat
from taxotext.messages import counted, ended, quiet, some

if TYPE_CHECKING:
    from taxotext.data import Columns, Corpus, Finding
    from taxotext.data.checks import Level
    from taxotext.labels import Taxonomy

SHOWN_LABELS = 10
"""How many unknown labels a finding names; ``--json`` has them all."""


def check(
    file: common.CorpusFile,
    taxonomy: common.TaxonomyFile = None,
    taxonomy_format: common.TaxonomyFormat = None,
    path_separator: common.PathSeparator = "/",
    taxonomy_language: common.TaxonomyLanguage = None,
    taxonomy_ids: common.TaxonomyIds = "uri",
    names: common.NamesFile = None,
    other: Annotated[
        Path | None, typer.Option(help="File to test or validate on: shared texts, labels that FILE lacks.")
    ] = None,
    closure: Annotated[
        str | None,
        typer.Option(
            help="How you will train: ancestors, as_given or leaves; left out: ancestors when there is a taxonomy.",
            show_default=False,
        ),
    ] = None,
    encoder: common.Encoder = None,
    model: common.ModelFolder = None,
    max_tokens: common.MaxTokens = None,
    text: common.TextFields = None,
    labels: common.LabelFields = None,
    label_separator: common.LabelSeparator = None,
    label_columns: common.LabelColumns = None,
    id: common.IdField = "id",
    quotes: common.Quotes = True,
    input_format: InputFormat = None,
    on_bad_line: Annotated[
        str, typer.Option(help="How you will read the file: with skip, bad lines are warnings and no errors.")
    ] = "error",
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with a corpus.

    Bad lines, unknown and rare labels, missing ancestors, duplicates, texts that are also in another file, cut texts.
    All findings are listed, errors first. Exit code 1 when there is an error, 0 when there is none, and 2 when
    the file cannot be read at all.

    Examples:

    \b
      taxotext data check train.csv
      taxotext data check train.jsonl --taxonomy topics.tsv --other test.jsonl --encoder default
    """
    from taxotext.cli.output import print_table, write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.data import BAD_LINE_POLICIES, check_corpus
    from taxotext.errors import ConfigError

    if on_bad_line not in BAD_LINE_POLICIES:
        raise ConfigError(f"--on-bad-line is {on_bad_line!r}; choose error or skip.")
    columns = common.columns_of(text, labels, label_separator, id, None, quotes, label_columns, path_separator)
    structure = common.taxonomy_of(
        taxonomy, taxonomy_format, path_separator, names, taxonomy_language, taxonomy_ids, label_columns
    )
    counter, limit = common.token_counter(encoder, model, max_tokens)
    corpora: list[Corpus] = []
    found: list[Finding] = []
    with quiet("taxotext"):  # what the reading warns of is reported below
        for path in (file, other):
            if path is not None:
                trained_on = path is file
                corpus, seen_reading = _read(
                    path, structure, columns, closure, on_bad_line, input_format, trained_on=trained_on
                )
                columns = columns.as_found(corpus.report)
                corpora.append(corpus)
                found += seen_reading
    found += check_corpus(_without_reported(corpora[0]), *corpora[1:], token_counter=counter, max_tokens=limit)
    order = ("error", "warning", "info")
    found.sort(key=lambda finding: order.index(finding.level))
    counts = {level: sum(finding.level == level for finding in found) for level in order}
    if as_json:
        write_json(
            {
                "file": str(file),
                "other": None if other is None else str(other),
                "documents": len(corpora[0]),
                "labels": len(corpora[0].taxonomy),
                "counts": counts,
                "findings": [{"level": finding.level, "sentence": finding.sentence} for finding in found],
                "bad_lines": [sentence for corpus in corpora for sentence in corpus.report.skipped],
                "unknown_labels": {corpus.source: corpus.report.unknown_labels for corpus in corpora},
            }
        )
    elif found:
        print_table(("level", "finding"), [(finding.level, finding.sentence) for finding in found])
    make_reporter().note(
        f"{file}: {counted(counts['error'], 'error')}, {counted(counts['warning'], 'warning')}, "
        f"{counts['info']} to know, in {counted(len(corpora[0]), 'document')} with "
        f"{counted(len(corpora[0].taxonomy), 'label')}."
    )
    if counts["error"]:
        raise typer.Exit(1)


def _read(
    path: Path,
    taxonomy: Taxonomy | None,
    columns: Columns,
    closure: str | None,
    on_bad_line: str,
    input_format: str | None,
    *,
    trained_on: bool,
) -> tuple[Corpus, list[Finding]]:
    """The corpus as it will be trained on, and what is seen only while it is made."""
    from taxotext.data import Corpus, ReadReport, read_documents
    from taxotext.data.corpus import declared_taxonomy

    report = ReadReport()
    # Bad lines are skipped so that the rest of the file is looked at too.
    documents = list(
        read_documents(path, columns, format=input_format, on_bad_line="skip", report=report, taxonomy=taxonomy)
    )
    source = str(path)
    taxonomy = taxonomy or declared_taxonomy(path, columns, input_format)
    corpus = Corpus.from_documents(documents, taxonomy, closure=closure, unknown="count", source=source, report=report)
    found = [*_bad_lines(corpus, on_bad_line), *_unknown_labels(corpus, trained_on=trained_on)]
    if corpus.closure != "as_given":
        given = Corpus.from_documents(documents, taxonomy, closure="as_given", unknown="count", source=source)
        found += _missing_ancestors(given, corpus)
    return corpus, found


def _bad_lines(corpus: Corpus, on_bad_line: str) -> Iterator[Finding]:
    from taxotext.data import Finding

    level: Level = "error" if on_bad_line == "error" else "warning"
    report = corpus.report
    for sentence in report.skipped:
        yield Finding(level, ended(sentence))
    more = report.skipped_count - len(report.skipped)
    if more:
        yield Finding(level, f"{corpus.source}: {counted(more, 'more line')} cannot be read.")


def _unknown_labels(corpus: Corpus, *, trained_on: bool) -> Iterator[Finding]:
    """Training refuses labels that the taxonomy lacks, so they are errors; in the other file they are not."""
    from taxotext.data import Finding
    from taxotext.labels import lookup

    unknown = corpus.report.unknown_labels
    if not unknown:
        return
    first = sorted(unknown, key=lambda label: (-unknown[label], label))[:SHOWN_LABELS]
    shown = [
        f"{label!r} in {counted(unknown[label], 'document')}" + (f" ({hint.strip()})" if hint else "")
        for label, hint in zip(first, lookup.hints(first, corpus.taxonomy.ids), strict=True)
    ]
    advice = (
        "correct them, add them to the taxonomy, or train with data.unknown_labels=drop."
        if trained_on
        else "correct them, or add them to the taxonomy; an evaluation counts them as misses, and a validation file "
        "with them needs data.unknown_labels=drop."
    )
    yield Finding(
        "error" if trained_on else "warning",
        f"{corpus.source}: {counted(len(unknown), 'label is', 'labels are')} not in the taxonomy: "
        f"{some(shown, len(unknown))}; {advice}",
    )


def _missing_ancestors(given: Corpus, corpus: Corpus) -> Iterator[Finding]:
    """What the closure policy adds; where it is ``as_given`` a finding of the corpus says it."""
    from taxotext.data import Finding

    violations = given.taxonomy.violations(given.known_targets)
    documents = int((violations > 0).sum())
    if not documents:
        return
    added = corpus.report.labels_added
    then = (
        f"training adds the {counted(added, 'missing ancestor')} unless you set data.closure=as_given."
        if corpus.closure == "ancestors"
        else "only the lowest labels are trained on."
    )
    yield Finding(
        "info",
        f"{corpus.source}: {counted(documents, 'document has a label', 'documents have labels')} without all "
        f"ancestors ({counted(int(violations.sum()), 'label')}); {then}",
    )


def _without_reported(corpus: Corpus) -> Corpus:
    """The corpus, with a report that does not bring the same findings again."""
    report = replace(corpus.report, skipped=[], skipped_count=0, unknown_labels={}, labels_added=0)
    return replace(corpus, report=report)
