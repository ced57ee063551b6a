"""``taxotext data convert`` and ``taxotext data convert-taxonomy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxotext.cli.data import common
from taxotext.cli.options import InputFormat, OnBadLine
from taxotext.messages import counted, quiet

if TYPE_CHECKING:
    from taxotext.data import Columns
    from taxotext.labels import Taxonomy


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="Labelled file: .jsonl, .csv, .tsv (also .gz), .parquet, or a folder of Annif or Hugging Face.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write; its suffix says the format.")],
    input_format: InputFormat = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="jsonl, csv, tsv, parquet, annif-tsv, libmultilabel or fasttext; left out: by the suffix of OUT.",
            show_default=False,
        ),
    ] = None,
    taxonomy: Annotated[
        Path | None, typer.Option(help="Taxonomy whose names stand for its ids where Annif subjects are names.")
    ] = None,
    taxonomy_language: common.TaxonomyLanguage = None,
    text: common.TextFields = None,
    labels: common.LabelFields = None,
    label_separator: common.LabelSeparator = None,
    label_columns: common.LabelColumns = None,
    path_separator: common.PathSeparator = "/",
    output_label_separator: Annotated[
        str | None,
        typer.Option(
            help="Between labels in the cells of OUT; left out: a JSON list, which any label survives.",
            show_default=False,
        ),
    ] = None,
    id: common.IdField = "id",
    quotes: common.Quotes = True,
    on_bad_line: OnBadLine = "error",
    overwrite: common.Overwrite = False,
) -> None:
    """Convert a corpus file.

    Between JSONL, CSV and TSV, packed (.gz) or not, Parquet, and what others read and write.
    Texts, label sets, ids and all other fields are kept, and fields keep their names; several text fields become
    one, named text. In CSV, values that are not strings are written as JSON.

    Examples:

    \b
      taxotext data convert tickets.csv tickets.jsonl --text body --labels topics
      taxotext data convert news.jsonl.gz news.tsv --output-label-separator ';'
      taxotext data convert fulltext/ corpus.parquet --input-format annif-folder
      taxotext data convert news.jsonl train.txt --to libmultilabel
    """
    from taxotext.cli.reporter import make_reporter
    from taxotext.data import read_corpus, write_corpus
    from taxotext.data.formats.table import resolve_format
    from taxotext.data.writers import output_format
    from taxotext.errors import ConfigError
    from taxotext.labels import read_taxonomy

    read, written = resolve_format(source, input_format)[0], output_format(target, to)
    for option, separator, path, kind, cells in (
        ("--label-separator", label_separator, source, read, read.cells),
        ("--output-label-separator", output_label_separator, target, written, written.written_cells),
    ):
        if separator is not None and not cells:
            raise ConfigError(f"{path}: labels are lists in {kind.name.upper()}; leave {option} out.")
    if taxonomy is None and taxonomy_language is not None:
        raise ConfigError("--taxonomy-language says more about a taxonomy; name that with --taxonomy FILE.")
    common.refuse_existing(source, [target], overwrite=overwrite)
    common.check_path_separator(path_separator, label_columns)
    columns = common.columns_of(text, labels, label_separator, id, None, quotes, label_columns, path_separator)
    with quiet("taxotext"):  # what the reading warns of is reported below
        corpus = read_corpus(
            source,
            None if taxonomy is None else read_taxonomy(taxonomy, language=taxonomy_language),
            columns,
            closure="as_given",
            unknown="error" if taxonomy is None else "count",  # which keeps them
            on_bad_line=on_bad_line,
            format=input_format,
        )
    columns = common.columns_to_write(columns, output_label_separator)
    write_corpus(corpus, target, columns, overwrite=overwrite, format=to)
    note = make_reporter().note
    note(f"Wrote {target}: {counted(len(corpus), 'document')}.")
    if taxonomy is not None and not read.name.startswith("annif"):
        note(f"Not used: --taxonomy; labels in {read.name} are ids, and only Annif's subjects may be names.")
    for sentence in [*common.reading_notes(corpus.report), *common.lost_labels(corpus)]:
        note(sentence)


def convert_taxonomy(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="parent<TAB>child lines, paths, nested JSON/YAML, SKOS; with --from-corpus: a corpus."
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write, also .gz.")],
    to: Annotated[
        str | None,
        typer.Option(help="edges, paths, nested or skos; left out: by the suffix .tsv, .paths, .json, .yaml or .ttl."),
    ] = None,
    taxonomy_format: common.TaxonomyFormat = None,
    path_separator: common.PathSeparator = "/",
    taxonomy_language: common.TaxonomyLanguage = None,
    taxonomy_ids: common.TaxonomyIds = "uri",
    names: common.NamesFile = None,
    output_names: Annotated[
        Path | None,
        typer.Option(
            help="Write the display names to this file, too: id<TAB>name, descriptions in a third column, alternative "
            "names in further ones."
        ),
    ] = None,
    from_corpus: Annotated[
        bool, typer.Option("--from-corpus", help="Make the tree of the labels of a corpus, which are paths: a/b/c.")
    ] = False,
    text: common.TextFields = None,
    labels: common.LabelFields = None,
    label_separator: common.LabelSeparator = None,
    label_columns: common.LabelColumns = None,
    input_format: InputFormat = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Convert a taxonomy file, or make one of the labels of a corpus.

    Between edges, paths, nested JSON or YAML, and SKOS. Nested files and SKOS hold display names, the others need
    --output-names.

    Examples:

    \b
      taxotext data convert-taxonomy topics.paths topics.json
      taxotext data convert-taxonomy topics.yaml topics.tsv --output-names names.tsv
      taxotext data convert-taxonomy thesaurus.ttl topics.json --taxonomy-language de
      taxotext data convert-taxonomy tickets.csv topics.tsv --from-corpus --labels topics --text body
    """
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError
    from taxotext.labels import read_taxonomy, write_names, write_taxonomy
    from taxotext.labels.readers import format_of_name

    outputs = [path for path in (target, output_names) if path is not None]
    if target == output_names:
        raise ConfigError(f"{target}: would hold the taxonomy and the names; give --output-names another name.")
    common.refuse_existing(source, outputs, overwrite=overwrite)
    of_corpora = {
        "--text": text,
        "--labels": labels,
        "--label-separator": label_separator,
        "--label-columns": label_columns,
    }
    for option, value in {**of_corpora, "--input-format": input_format}.items():
        if value and not from_corpus:
            raise ConfigError(f"{option} says more about a corpus; add --from-corpus if {source} is one.")
    if from_corpus:
        columns = common.columns_of(
            text, labels, label_separator, "id", label_columns=label_columns, path_separator=path_separator
        )
        taxonomy = _of_corpus(source, columns, input_format, path_separator)
    else:
        taxonomy = read_taxonomy(
            source, taxonomy_format, path_separator, names=names, language=taxonomy_language, ids=taxonomy_ids
        )
    write_taxonomy(taxonomy, target, to, path_separator, overwrite=overwrite)
    note = make_reporter().note
    note(
        f"Wrote {target}: {counted(len(taxonomy), 'label')}, "
        f"{counted(taxonomy.edge_index.shape[1], 'edge')}, {counted(taxonomy.depth, 'level')}."
    )
    if output_names is not None:
        write_names(taxonomy, output_names, overwrite=overwrite)
        note(f"Wrote {output_names}.")
    elif (taxonomy.has_names or taxonomy.has_descriptions) and (to or format_of_name(target)) == "edges":
        note(f"{target} has no place for the display names; keep them with --output-names FILE.")


def _of_corpus(source: Path, columns: Columns, input_format: str | None, separator: str) -> Taxonomy:
    """The tree of the labels of a corpus, which are paths."""
    from taxotext.data import read_corpus
    from taxotext.errors import TaxonomyError
    from taxotext.labels import taxonomy_from_paths

    corpus = read_corpus(source, None, columns, closure="as_given", format=input_format)
    taxonomy = taxonomy_from_paths(corpus.label_lists(), separator)
    if taxonomy.is_flat:
        raise TaxonomyError(
            f"{source}: none of its {counted(len(taxonomy), 'label')} has {separator!r} in it, such as "
            f"{taxonomy.ids[0]!r}; say what separates the steps of a path with --path-separator."
        )
    return taxonomy
