"""``taxotext predict``."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.cli import options
from taxotext.messages import printable

if TYPE_CHECKING:
    from taxotext.api.lines import Pending
    from taxotext.decoding import Decoding, ScoreBlock
    from taxotext.labels import Taxonomy


def predict(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    inputs: Annotated[
        list[str],
        typer.Argument(help="Files as for evaluate, without labels too, or - for JSON lines on stdin."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; stdout when left out. With --shards: folder."),
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="One threshold for all labels, between 0 and 1.")] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="The K best labels, whatever their probability.")
    ] = None,
    all_scores: Annotated[
        bool,
        typer.Option(
            "--all-scores", help="Probabilities of all labels (all candidates), not only of the predicted ones."
        ),
    ] = False,
    tree: Annotated[bool, typer.Option("--tree", help="For people: each text with its labels as a tree.")] = False,
    include: Annotated[list[str] | None, typer.Option(help="Predict only these labels; several times.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Never predict these labels; several times.")] = None,
    consistency: Annotated[str | None, typer.Option(help="none, up or down.")] = None,
    text: options.TextFields = None,
    id: options.IdField = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing output file, or the shards in a folder.")
    ] = False,
    input_format: options.InputFormat = None,
    on_bad_line: options.OnBadLine = "error",
    device: options.Device = None,
    precision: Annotated[str | None, typer.Option(help="float32 or bf16.")] = None,
    threads: options.Threads = None,
    beams: options.Beams = None,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1, max=9_999, help="Cut the documents into this many files, predicted side by side; see --resume."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="With --shards: keep those that are complete.")] = False,
    jobs: options.Jobs = None,
    executor: options.Executor = None,
    address: options.Address = None,
) -> None:
    """Label texts: one JSON line a document, in order.

    A document whose text is empty gets no labels. With --on-bad-line skip every line has the number of its record in
    the input, "row", from 1; over several files it counts on.

    With --shards the lines go to files shard-0001.jsonl, ... in the folder --output; joined they are what is written
    without. A shard is written completely or not at all. After a kill, --resume predicts those that are missing.

    Examples:

    \b
      taxotext predict model new.csv --output labels.jsonl
      taxotext predict model new.jsonl --top-k 5
      taxotext predict model texts.txt --output labels.jsonl
      echo '{"text": "The Wi-Fi is down"}' | taxotext predict model - --tree
      taxotext predict model january.jsonl february.jsonl --output labels --shards 64
      taxotext predict model january.jsonl february.jsonl --output labels --shards 64 --resume
    """
    from taxotext.api import load
    from taxotext.api.lines import DocumentStream, line_form, predicted
    from taxotext.cli.output import check_output, encoded, lines_to
    from taxotext.cli.reporter import make_reporter

    output = None if output == Path("-") else output
    _check_inputs(inputs)
    rules: dict[str, Any] = {"threshold": threshold, "top_k": top_k, "include": include, "exclude": exclude}
    rules["consistency"] = consistency
    where = options.given(device=device, predict_precision=precision, threads=threads)
    reporter = make_reporter()
    if shards is not None:
        _check_shards(inputs, output, tree)
        sharded: Any = {
            "all_scores": all_scores,
            "fields": options.columns(text, id=id),
            "on_bad_line": on_bad_line,
            "input_format": input_format,
            "beams": options.number_of_beams(beams),
            **where,
        }
        again: Any = {"jobs": jobs, "resume": resume, "overwrite": overwrite, "reporter": reporter}
        _predict_shards(model, inputs, output or Path(), shards, rules, sharded, executor, address, again)
        return
    _check_without_shards(resume=resume or None, jobs=jobs, executor=executor, address=address)
    if output is not None:
        check_output(output, overwrite=overwrite)
        for name in inputs:
            _check_kept(output, model, name)
    classifier = load(model, beams=options.number_of_beams(beams), **where)
    decoding = _decoding(classifier.decoding, **rules)
    sources = [("-", _stdin(input_format)) if name == "-" else Path(name) for name in inputs]
    live = inputs == ["-"]
    stream = DocumentStream(
        classifier,
        sources,
        options.columns(text, id=id),
        on_bad_line,
        input_format or ("jsonl" if live else None),
    )

    def shown(document: Pending, labels: Any, own: Any, scores: ScoreBlock, row: int) -> bytes:
        return encoded(_tree(classifier.taxonomy, document, labels, scores.row(row)), output)

    form = shown if tree else line_form(classifier.taxonomy, all_scores=all_scores)
    with lines_to(output, overwrite=overwrite) as file:
        for lines in predicted(classifier, stream, decoding, reporter, form):
            for line in lines:
                file.write(line)
            file.flush()
    for sentence in stream.notes():
        reporter.note(sentence)


def _predict_shards(
    model: Path,
    inputs: list[str],
    output: Path,
    shards: int,
    rules: dict[str, Any],
    sharded: dict[str, Any],
    executor: str | None,
    address: str | None,
    again: dict[str, Any],
) -> None:
    from taxotext.api.shards import ShardOptions, predict_shards
    from taxotext.work import Workers

    workers = Workers(executor or "processes", address)
    lines = ShardOptions(lambda own: _decoding(own, **rules), **sharded)
    try:
        predict_shards(model, [Path(name) for name in inputs], output, shards, lines, workers=workers, **again)
    except KeyboardInterrupt:
        again["reporter"].note("Complete shards are kept: go on with the same command and --resume.")
        raise


def _check_inputs(inputs: list[str]) -> None:
    """Raise ConfigError where stdin is one of several inputs."""
    from taxotext.errors import ConfigError

    if "-" in inputs and len(inputs) > 1:
        raise ConfigError("- (stdin) is one of several inputs; give it alone, or files only.")


def _check_shards(inputs: list[str], output: Path | None, tree: bool) -> None:
    """Raise ConfigError for what does not go with shards."""
    from taxotext.errors import ConfigError

    if output is None:
        raise ConfigError("Where should the shards go? Name a folder with --output DIR.")
    if tree:
        raise ConfigError("--tree is for people, and shards are JSON lines; leave out one of the two.")
    if inputs == ["-"]:
        raise ConfigError(
            "--shards does not read stdin, because --resume reads the input again; write stdin to a file and give that."
        )


def _check_without_shards(**values: Any) -> None:
    """Raise ConfigError for options of shards without them."""
    from taxotext.errors import ConfigError

    named = [f"--{name}" for name, value in values.items() if value is not None]
    if named:
        raise ConfigError(f"{named[0]} goes with --shards N; give both, or leave it out.")


def _stdin(input_format: str | None) -> Any:
    """stdin; JSON lines of somebody who writes them now are answered when no more come for a moment."""
    from taxotext.data.sources import LiveStream

    stream = sys.stdin.buffer
    raw = getattr(stream, "raw", None)
    if raw is None or input_format not in {None, "jsonl"} or stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        return stream
    return LiveStream(raw)


def _check_kept(output: Path, model: Path, name: str) -> None:
    """Raise DataError where --overwrite would destroy what is read: the texts or the model."""
    from taxotext.errors import DataError
    from taxotext.files import real

    if name != "-" and real(output) == real(Path(name)):
        raise DataError(f"{output}: is the input itself; name another file with --output.")
    if real(output).is_relative_to(real(model)):
        raise DataError(f"{output}: lies in the model folder; name a file elsewhere with --output.")


def _decoding(own: Decoding, *, threshold: float | None, top_k: int | None, **rules: Any) -> Decoding:
    from taxotext.decoding import Decoding
    from taxotext.errors import ConfigError

    if threshold is not None and top_k is not None:
        raise ConfigError("--threshold and --top-k are two ways to choose labels; give one of them.")
    values = {**own.to_dict(), **{key: value for key, value in rules.items() if value}}
    if threshold is not None or top_k is not None:
        values.update(threshold=threshold, top_k=top_k, level_thresholds=None, label_thresholds={})
        values.update(source="threshold")  # also of a system that decides on label sets itself
        values.update(tuned_on=None, metric=None)
    return Decoding.from_dict(values, "predict")


def _tree(taxonomy: Taxonomy, document: Pending, labels: Any, scored: tuple[Any, Any]) -> str:
    from taxotext.api.lines import NO_TEXT
    from taxotext.labels import tree_lines

    chosen = {int(label) for label in labels}
    candidates, scores = scored  # labels ascending

    def annotate(label: int) -> str:
        place = candidates.searchsorted(label)
        score = scores[place] if place < len(candidates) and candidates[place] == label else 0.0
        return f"{score:.2f}" if label in chosen else f"({score:.2f})"

    lines = list(tree_lines(taxonomy, annotate, only=chosen)) if chosen else ["(no label)"]
    short = printable(" ".join(document.text.split()))
    short = f"“{short if len(short) <= 100 else short[:97] + '...'}”" if short else f"({NO_TEXT})"
    number = "" if document.row is None else f"{document.row}: "
    return "\n".join([f"{number}{short}", *(f"  {line}" for line in lines), ""]) + "\n"
