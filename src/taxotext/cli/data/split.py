"""``taxotext data split``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.cli.data import common
from taxotext.cli.options import AsJson, InputFormat, OnBadLine
from taxotext.messages import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from taxotext.data import Corpus

DEFAULT_PARTS = "train=0.8,validation=0.1,test=0.1"


def split(
    file: common.CorpusFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the parts.")],
    parts: Annotated[
        str | None,
        typer.Option(help=f"Names and shares, together 1.  [default: {DEFAULT_PARTS}]", show_default=False),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, max=1000, help="Cross-validation instead: folders fold-1 to fold-K with train and test."),
    ] = None,
    stratify: Annotated[
        bool,
        typer.Option("--stratify/--random", help="Spread each label over the parts in proportion, or not."),
    ] = True,
    group: Annotated[
        str | None, typer.Option(help="Field (author, source ...) whose equal values stay in one part.")
    ] = None,
    equal_texts_together: Annotated[
        bool, typer.Option("--equal-texts-together", help="Keep documents with the same text in one part.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same parts.")] = 13,
    format: Annotated[
        str, typer.Option(help="Of the parts: jsonl, csv or tsv, each also with .gz, or parquet.")
    ] = "jsonl",
    text: common.TextFields = None,
    labels: common.LabelFields = None,
    label_separator: common.LabelSeparator = None,
    label_columns: common.LabelColumns = None,
    path_separator: common.PathSeparator = "/",
    id: common.IdField = "id",
    quotes: common.Quotes = True,
    input_format: InputFormat = None,
    on_bad_line: OnBadLine = "error",
    overwrite: common.Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Split a corpus into files.

    For training, validation and test, or for cross-validation; no document is in two parts.
    Labels are written as they stand in the file, fields keep their names. Several text fields become one, named
    text.

    Examples:

    \b
      taxotext data split all.jsonl --output parts
      taxotext data split all.csv --output parts --parts train=0.7,test=0.3 --group author
      taxotext data split all.jsonl --output folds --folds 5
    """
    from taxotext.cli.output import print_table, write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.data import (
        k_folds,
        read_corpus,
        split_fraction,
        split_grouped,
        split_stratified,
        write_corpus,
    )
    from taxotext.data.formats.table import parse_format
    from taxotext.data.writers import output_format
    from taxotext.errors import ConfigError, DataError
    from taxotext.files import check_target

    if folds is not None and parts is not None:
        raise ConfigError("--parts and --folds are two ways to split; give one of them.")
    if group is not None and equal_texts_together:
        raise ConfigError("--group and --equal-texts-together both say what stays together; give one of them.")
    parse_format(format)
    output_format(f"part.{format.lower().lstrip('.')}")
    shares = _shares(DEFAULT_PARTS if parts is None else parts)
    names = [[*shares]] if folds is None else [[f"fold-{k}/train", f"fold-{k}/test"] for k in range(1, folds + 1)]
    paths = {name: output / f"{name}.{format.lower().lstrip('.')}" for block in names for name in block}
    check_target(output, "folder", DataError)
    common.refuse_existing(file, list(paths.values()), overwrite=overwrite)
    common.check_path_separator(path_separator, label_columns)
    columns = common.columns_of(text, labels, label_separator, id, group, quotes, label_columns, path_separator)
    corpus = read_corpus(file, None, columns, closure="as_given", on_bad_line=on_bad_line, format=input_format)
    together: Any = _folded(corpus) if equal_texts_together else None if group is None else corpus.groups
    if group is not None and corpus.groups is None:
        raise DataError(f"{file}: the field {group!r} is empty in all documents; leave --group out.")
    if folds is not None:
        import numpy as np

        tests = k_folds(corpus.targets, folds, seed, stratify, together)
        everything = np.arange(len(corpus))
        chosen = [part for test in tests for part in (np.setdiff1d(everything, test), test)]
    elif together is not None:
        chosen = split_grouped(together, [*shares.values()], seed, corpus.targets if stratify else None)
    elif stratify:
        chosen = split_stratified(corpus.targets, [*shares.values()], seed)
    else:
        chosen = split_fraction(len(corpus), [*shares.values()], seed)
    written = common.columns_to_write(columns, _separator(corpus, label_separator))
    for path, rows in zip(paths.values(), chosen, strict=True):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{path.parent}: cannot be made ({error.strerror or error}).") from error
        write_corpus(corpus.subset(rows), path, written, overwrite=overwrite)
    summary = [_part(corpus, name, path, rows) for (name, path), rows in zip(paths.items(), chosen, strict=True)]
    if as_json:
        write_json({"file": str(file), "documents": len(corpus), "seed": seed, "parts": summary})
    else:
        print_table(
            ("part", "documents", "share", "labels", "labels missing", "file"),
            [
                (
                    row["part"],
                    common.whole(row["documents"]),
                    common.percent(row["documents"], len(corpus)),
                    common.whole(row["labels"]),
                    common.whole(row["labels_missing"]),
                    row["file"],
                )
                for row in summary
            ],
        )
    note = make_reporter().note
    for sentence in [*common.reading_notes(corpus.report), *common.lost_labels(corpus), *_notes(corpus, chosen, names)]:
        note(sentence)


def _shares(given: str) -> dict[str, float]:
    """Parse ``train=0.8,test=0.2``.

    Raises:
        ConfigError: it is written otherwise.
    """
    from taxotext.errors import ConfigError

    advice = f"write names and shares such as {DEFAULT_PARTS}."
    shares: dict[str, float] = {}
    for item in given.split(","):
        name, mark, number = (piece.strip() for piece in item.partition("="))
        if not mark:
            raise ConfigError(f"--parts: {item.strip()!r} is not name=share; {advice}")
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ConfigError(f"--parts: {name!r} cannot be the name of a file; use letters, digits, '-', '_' and '.'.")
        if name in shares:
            raise ConfigError(f"--parts: {name!r} is named twice; give each part a name of its own.")
        try:
            shares[name] = float(number)
        except ValueError:
            raise ConfigError(f"--parts: the share of {name!r} is {number!r}, not a number; {advice}") from None
    return shares


def _separator(corpus: Corpus, given: str | None) -> str | None:
    """What separates labels in CSV parts: that of the file, so that they are read with the same options."""
    separator = corpus.report.label_separator if given is None else given
    if separator and any(separator in label for label in corpus.taxonomy.ids):
        return None  # cells that are JSON lists may have such labels; they are written as JSON again
    return separator


def _part(corpus: Corpus, name: str, path: Path, rows: NDArray[np.int64]) -> dict[str, Any]:
    import numpy as np

    reached = int(np.unique(corpus.targets[rows].indices).size)
    return {
        "part": name,
        "documents": len(rows),
        "labels": reached,
        "labels_missing": len(corpus.taxonomy) - reached,
        "file": str(path),
    }


def _folded(corpus: Corpus) -> list[str]:
    """The texts with white space folded, by which they count as equal."""
    return [" ".join(text.split()) for text in corpus.texts]


def _notes(corpus: Corpus, chosen: list[NDArray[np.int64]], names: list[list[str]]) -> list[str]:
    """What to know about the parts: labels that cannot be everywhere, texts that are in two of them."""
    import numpy as np

    parts = len(names[0]) if len(names) == 1 else len(names)
    frequency = np.bincount(corpus.targets.indices, minlength=len(corpus.taxonomy))
    few = int(np.count_nonzero(frequency < parts))
    notes = []
    if few:
        what = "parts" if len(names) == 1 else "folds"
        notes.append(
            f"{counted(few, 'label has', 'labels have')} fewer documents than there are {what} and cannot "
            "reach all of them."
        )
    texts = _folded(corpus)
    # With folds, the test parts hold every document once.
    places: dict[str, set[int]] = {}
    for number, rows in enumerate(chosen if len(names) == 1 else chosen[1::2]):
        for row in rows.tolist():
            places.setdefault(texts[row], set()).add(number)
    shared = sum(len(found) > 1 for found in places.values())
    if shared:
        notes.append(
            f"{counted(shared, 'text stands', 'texts stand')} in more than one part, so that a model is "
            "tested on what it was trained on; --equal-texts-together prevents that."
        )
    return notes
