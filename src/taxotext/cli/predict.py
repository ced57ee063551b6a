"""``taxotext predict``."""

from __future__ import annotations

import os
import stat
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from taxotext.cli import options
from taxotext.messages import counted, printable, printable_json

if TYPE_CHECKING:
    from taxotext.api import Classifier
    from taxotext.decoding import Decoding
    from taxotext.labels import Taxonomy

NO_TEXT = "the text is empty"


def predict(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    input: Annotated[
        str, typer.Argument(help="File as for evaluate, without labels too, or - for JSON lines on stdin.")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout when left out.")] = None,
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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing output file.")] = False,
    input_format: options.InputFormat = None,
    on_bad_line: options.OnBadLine = "error",
    device: options.Device = None,
    precision: Annotated[str | None, typer.Option(help="float32 or bf16.")] = None,
    threads: options.Threads = None,
    beams: options.Beams = None,
) -> None:
    """Label texts: one JSON line a document, in order.

    A document whose text is empty gets no labels. With --on-bad-line skip every line has the number of its record in
    the input, "row", from 1.

    Examples:

    \b
      taxotext predict model new.csv --output labels.jsonl
      taxotext predict model new.jsonl --top-k 5
      echo '{"text": "The Wi-Fi is down"}' | taxotext predict model - --tree
    """
    from taxotext.api import load
    from taxotext.cli.output import check_output, encoded, lines_to
    from taxotext.cli.reporter import make_reporter
    from taxotext.decoding import Predictions

    output = None if output == Path("-") else output
    if output is not None:
        check_output(output, overwrite=overwrite)
        _check_kept(output, model, input)
    classifier = load(
        model,
        beams=options.number_of_beams(beams),
        **options.given(device=device, predict_precision=precision, threads=threads),
    )
    decoding = _decoding(
        classifier.decoding,
        threshold=threshold,
        top_k=top_k,
        include=include,
        exclude=exclude,
        consistency=consistency,
    )
    stream = _Stream(classifier, input, options.columns(text, id=id), on_bad_line, input_format)
    reporter = make_reporter()
    with lines_to(output, overwrite=overwrite) as file:
        for sets, scores in classifier.decode_stream(stream.texts(), decoding=decoding, reporter=reporter):
            found = Predictions.from_sets(sets, scores, classifier.taxonomy.levels)
            for row, (labels, own) in enumerate(found):
                document = stream.waiting.popleft()
                if tree:
                    shown = _tree(classifier.taxonomy, document, labels, scores.row(row))
                    file.write(encoded(shown, output))
                else:
                    every = all_scores and document.text
                    scored = _best_first(classifier.taxonomy, *scores.row(row)) if every else (labels, own)
                    file.write(_line(classifier.taxonomy, document, labels, *scored))
            file.flush()
    for sentence in stream.notes():
        reporter.note(sentence)


class _Pending(NamedTuple):
    """What identifies a document until its labels are there; its text; its number where lines may be left out."""

    text: str
    id: str | int | None
    row: int | None


class _Stream:
    """Texts as they are needed; what identifies them waits until their labels are there."""

    def __init__(
        self, classifier: Classifier, name: str, fields: dict[str, Any], on_bad_line: str, input_format: str | None
    ) -> None:
        from taxotext.api.reading import columns_of
        from taxotext.data import read_documents
        from taxotext.data.columns import ReadReport

        self.report = ReadReport()
        self._system, self._name = classifier.system, name
        self.waiting: deque[_Pending] = deque()
        self._columns = columns_of(classifier, **fields)
        self._numbered, self._with_id = on_bad_line == "skip", False
        source: Any = _stdin(input_format) if name == "-" else Path(name)
        self._documents = read_documents(
            source,
            self._columns,
            format=input_format or ("jsonl" if name == "-" else None),
            on_bad_line=on_bad_line,
            labelled=False,
            report=self.report,
            blank_texts=True,
        )

    def texts(self) -> Iterator[str]:
        from taxotext.data.readers import PAUSE

        for document in self._documents:
            if document is PAUSE:
                yield PAUSE.text
                continue
            self._system.check_source(self.report.feature_vectors, self._name)
            row = self.report.documents + self.report.skipped_count if self._numbered else None
            self._with_id = self._with_id or document.id is not None
            self.waiting.append(_Pending(document.text, document.id, row))
            yield document.text

    def notes(self) -> list[str]:
        """What to know about the input, at its end."""
        notes = []
        if self.report.blank_lines:
            lines = counted(self.report.blank_lines, "blank line was", "blank lines were")
            notes.append(f"{self._name}: {lines} left out.")
        if self._columns.id_optional and self._columns.id != "id" and not self._with_id and self.report.documents:
            notes.append(
                f"{self._name}: has no field {self._columns.id!r}, which is the id in the training file; "
                "the lines have no id."
            )
        return notes


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


def _best_first(taxonomy: Taxonomy, labels: Any, scores: Any) -> tuple[Any, Any]:
    import numpy as np

    order = np.lexsort((taxonomy.levels[labels], -scores))
    return labels[order], scores[order]


def _line(taxonomy: Taxonomy, document: _Pending, labels: Any, scored: Any, scores: Any) -> bytes:
    import orjson

    ids = taxonomy.ids
    line: dict[str, Any] = {} if document.row is None else {"row": document.row}
    if document.id is not None:
        line["id"] = document.id
    line["labels"] = [ids[label] for label in labels]
    line["scores"] = {ids[label]: round(score, 6) for label, score in zip(scored, scores.tolist(), strict=True)}
    if taxonomy.has_names:
        line["names"] = [taxonomy.name(label) for label in labels]
    if not document.text:
        line["note"] = NO_TEXT
    return printable_json(orjson.dumps(line)) + b"\n"


def _tree(taxonomy: Taxonomy, document: _Pending, labels: Any, scored: tuple[Any, Any]) -> str:
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
