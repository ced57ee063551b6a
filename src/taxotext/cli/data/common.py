"""Options and steps that the ``data`` commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.messages import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from taxotext.cli.output import Number
    from taxotext.data import Columns, Corpus, ReadReport
    from taxotext.labels import Taxonomy

CorpusFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Labelled file: .jsonl, .csv, .tsv (also .gz), .parquet, or a folder of Annif or Hugging Face.",
    ),
]
TextFields = Annotated[
    list[str] | None,
    typer.Option("--text", help="Text field; several times to join fields in this order.  [default: text]"),
]
LabelFields = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        help="Label field; several times: one for each label, with 0 and 1 in it, or one for each level.  "
        "[default: labels]",
    ),
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        help="Between the labels of a cell; '' when each cell is one label. "
        "Left out: ; or | is recognised, and so are lists that programs print.",
        show_default=False,
    ),
]
LabelColumns = Annotated[
    str | None,
    typer.Option(
        help="Equal names in several label fields: names: one label; prefixed: field=name; paths: the fields are "
        "levels, labels are paths.",
        show_default=False,
    ),
]
IdField = Annotated[str, typer.Option("--id", help="Field with the id of a document.")]
Quotes = Annotated[
    bool, typer.Option("--quotes/--no-quotes", help="CSV, TSV: whether a quote at the start of a cell encloses it.")
]
TaxonomyFile = Annotated[
    Path | None,
    typer.Option("--taxonomy", help="Taxonomy: parent<TAB>child, paths, CSV with a header, nested JSON/YAML, SKOS."),
]
TaxonomyFormat = Annotated[
    str | None,
    typer.Option(help="edges, paths, nested, skos or table; left out: by suffix and content.", show_default=False),
]
TaxonomyLanguage = Annotated[
    str | None,
    typer.Option(help="Of the names in a SKOS file, such as de; where one is missing: English, else any."),
]
TaxonomyIds = Annotated[
    str, typer.Option(help="What labels are known by: uri or notation (SKOS), name or path (nested files).")
]
PathSeparator = Annotated[str, typer.Option(help="Between the steps of path labels.")]
NamesFile = Annotated[
    Path | None,
    typer.Option(
        "--names",
        help="Display names of the labels: id<TAB>name, perhaps a description in a third column, other names in "
        "further ones.",
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(help="Count tokens as this encoder does: default, a hub name, or a folder."),
]
ModelFolder = Annotated[
    Path | None, typer.Option("--model", help="Count tokens as this trained model does; a model folder.")
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        min=1, max=1_000_000, help="Longer texts are cut.  [default: that of --model, else 128]", show_default=False
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]

DEFAULT_MAX_TOKENS = 128

TokenCounter = Callable[[Sequence[str]], "NDArray[np.int64]"]


def columns_of(
    text: list[str] | None,
    labels: list[str] | None,
    label_separator: str | None,
    id: str,
    group: str | None = None,
    quotes: bool = True,
    label_columns: str | None = None,
    path_separator: str = "/",
) -> Columns:
    """Which fields are what."""
    from taxotext.data import Columns

    return Columns(
        text=tuple(text or ("text",)),
        labels=tuple(labels or ("labels",)),
        label_separator=label_separator,
        id=id,
        group=group,
        quotes=quotes,
        label_columns=label_columns,
        path_separator=path_separator,
    )


def check_path_separator(path_separator: str, label_columns: str | None) -> None:
    """Refuse a separator of paths where nothing makes paths.

    Raises:
        ConfigError: with what is missing.
    """
    from taxotext.errors import ConfigError

    if path_separator != "/" and label_columns != "paths":
        raise ConfigError("--path-separator is for labels that are paths; add --label-columns paths, or leave it out.")


def columns_to_write(columns: Columns, label_separator: str | None) -> Columns:
    """The same fields in an output file, where several text fields have become ``text``, label fields ``labels``."""
    from dataclasses import replace

    text = columns.text if len(columns.text) == 1 else ("text",)
    return replace(columns, text=text, labels=(columns.label_field,), label_separator=label_separator)


def taxonomy_of(
    path: Path | None,
    format: str | None,
    path_separator: str,
    names: Path | None,
    language: str | None = None,
    ids: str = "uri",
    label_columns: str | None = None,
) -> Taxonomy | None:
    """Read the taxonomy, where one is named.

    Raises:
        ConfigError: names without a taxonomy.
        TaxonomyError: see :func:`taxotext.labels.read_taxonomy`.
    """
    from taxotext.errors import ConfigError
    from taxotext.labels import read_taxonomy

    if path is not None:
        return read_taxonomy(path, format, path_separator, names=names, language=language, ids=ids)
    options = (
        ("--names", names is not None),
        ("--taxonomy-format", format is not None),
        ("--taxonomy-language", language is not None),
        ("--taxonomy-ids", ids != "uri"),
        ("--path-separator", path_separator != "/" and label_columns != "paths"),
    )
    for option, is_given in options:
        if is_given:
            raise ConfigError(f"{option} says more about a taxonomy; name that with --taxonomy FILE.")
    return None


def token_counter(
    encoder: str | None, model: Path | None, max_tokens: int | None
) -> tuple[TokenCounter | None, int | None]:
    """What counts tokens, and beyond how many of them a text is cut; (None, None) when neither was asked for.

    Raises:
        ConfigError: two tokenizers, a limit without one, or an encoder that cannot be loaded.
        ModelFolderError: the folder has no tokenizer.
    """
    from taxotext.errors import ConfigError

    if encoder is not None and model is not None:
        raise ConfigError("--encoder and --model are two ways to count tokens; give one of them.")
    if model is not None:
        tokenizer, own = _tokenizer_of_model(model)
        return tokenizer, max_tokens or own
    if encoder is not None:
        from taxotext.nn.encoders.pretrained import load_tokenizer

        return load_tokenizer(encoder).count, max_tokens or DEFAULT_MAX_TOKENS
    if max_tokens is not None:
        raise ConfigError("--max-tokens needs something to count with; add --encoder default, or --model FOLDER.")
    return None, None


def _tokenizer_of_model(folder: Path) -> tuple[TokenCounter, int]:
    import json

    from taxotext.data.tokens import TextTokenizer
    from taxotext.errors import ModelFolderError

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name, settings = config["model"], config["settings"]
        max_tokens = int(settings.get("text", {}).get("max_tokens", DEFAULT_MAX_TOKENS))
    except OSError:
        raise ModelFolderError(f"{folder}: is not a model folder (config.json is missing).") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelFolderError(f"{folder / 'config.json'}: is damaged ({error}).") from None
    if not (folder / "tokenizer.json").is_file():
        raise ModelFolderError(f"{folder}: the system {name!r} has no tokenizer and cuts no text; leave --model out.")
    return TextTokenizer.from_file(folder / "tokenizer.json").count, max_tokens


def reading_notes(report: ReadReport) -> list[str]:
    """What was left out or changed while reading, and what was guessed, a sentence each; bad lines first."""
    from taxotext.data.reading_notes import change_notes, form_notes, warning_notes

    return [*warning_notes(report), *change_notes(report), *form_notes(report)]


def lost_labels(corpus: Corpus) -> list[str]:
    """Labels that a file declares and no document has, which written files do not name; one sentence at most."""
    import numpy as np

    counts = np.bincount(corpus.targets.indices, minlength=len(corpus.taxonomy))
    declared = set(corpus.report.declared_labels)
    lost = [label for label, count in zip(corpus.taxonomy.ids, counts, strict=False) if not count and label in declared]
    if not lost:
        return []
    return [f"{counted(len(lost), 'label')} that no document has is not in what was written: {', '.join(lost[:5])}."]


def refuse_existing(source: Path, paths: Sequence[Path], *, overwrite: bool) -> None:
    """Check all output files before the first is written.

    Raises:
        DataError: one of them cannot be written to, is the file that is read, or exists (without ``overwrite``).
    """
    from taxotext.errors import DataError
    from taxotext.files import check_target

    for path in paths:
        check_target(path, "file", DataError)
    existing = [path for path in paths if path.exists()]
    for path in existing:
        if source.exists() and path.samefile(source):
            raise DataError(f"{path}: is the file that is read; write to another name.")
    if not existing or overwrite:
        return
    others = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
    raise DataError(f"{existing[0]}: already exists{others}. Choose another name, or replace it with --overwrite.")


def whole(number: int) -> Number:
    """A count as it is shown: 1,234."""
    from taxotext.cli.output import Number

    return Number(f"{number:,}")


def mean(number: float) -> Number:
    """A mean as it is shown: 6.26, 256.8."""
    from taxotext.cli.output import Number

    return Number(f"{number:.2f}" if number < 10 else f"{number:,.1f}")


def plain(number: float) -> Number:
    """A value between two whole numbers, without decimals where it is one: 257, 369.9."""
    from taxotext.cli.output import Number

    return Number(f"{number:,.1f}".removesuffix(".0"))


def percent(part: float, total: float) -> Any:
    """A share as it is shown: 3.4 %; nothing when there is nothing to share."""
    from taxotext.cli.output import Number

    if not total:
        return Number("")
    share = 100 * part / total
    if 0 < share < 0.05:
        return Number("<0.1 %")
    if 99.95 <= share < 100:
        return Number(">99.9 %")
    return Number(f"{share:.1f} %")
