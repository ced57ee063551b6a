"""What ``taxotext predict`` writes: the documents as they are read, and one JSON line for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
import orjson

from taxotext.api.classifier import Classifier
from taxotext.api.reading import columns_of
from taxotext.data import read_documents
from taxotext.data.columns import ReadReport
from taxotext.data.readers import PAUSE
from taxotext.decoding import Decoding, Predictions, ScoreBlock
from taxotext.labels import Taxonomy
from taxotext.messages import counted, printable_json
from taxotext.progress import Reporter

NO_TEXT = "the text is empty"


class Pending(NamedTuple):
    """What identifies a document until its labels are there; its text; its number where lines may be left out."""

    text: str
    id: str | int | None
    row: int | None


class Stream(Protocol):
    """Texts as they are needed; what identifies them waits until their labels are there.

    Attributes:
        waiting: documents whose texts were drawn, in order.
    """

    waiting: deque[Pending]

    def texts(self) -> Iterator[str]:
        """The texts, once."""


class DocumentStream:
    """The documents of some files, one file after the other.

    Args:
        classifier: which fields are read is taken from its training.
        sources: a path each, or a name and the stream of that name.
        fields: changes to the fields of the training, as of :class:`taxotext.data.Columns`.
        on_bad_line: ``error``, or ``skip``; then documents have the number of their record, counted over all files.
        format: of the files; None: by suffix and content.
    """

    def __init__(
        self,
        classifier: Classifier,
        sources: Sequence[Path | tuple[str, BinaryIO]],
        fields: dict[str, Any],
        on_bad_line: str,
        format: str | None,
    ) -> None:
        self.waiting: deque[Pending] = deque()
        self._system, self._columns = classifier.system, columns_of(classifier, **fields)
        self._numbered = on_bad_line == "skip"
        self._files: list[tuple[str, ReadReport, Iterator[Any]]] = []
        self._with_id: set[int] = set()
        for given in sources:
            name, source = (str(given), given) if isinstance(given, Path) else given
            report = ReadReport()
            documents = read_documents(
                source,
                self._columns,
                format=format,
                on_bad_line=on_bad_line,
                labelled=False,
                report=report,
                blank_texts=True,
            )
            self._files.append((name, report, documents))

    def texts(self) -> Iterator[str]:
        """The texts of all files."""
        before = 0  # records of the files behind us
        for number, (name, report, documents) in enumerate(self._files):
            for document in documents:
                if document is PAUSE:
                    yield PAUSE.text
                    continue
                self._system.check_source(report.feature_vectors, name)
                row = before + report.documents + report.skipped_count if self._numbered else None
                if document.id is not None:
                    self._with_id.add(number)
                self.waiting.append(Pending(document.text, document.id, row))
                yield document.text
            before += report.documents + report.skipped_count

    def notes(self) -> list[str]:
        """What to know about the files, at their end."""
        notes = []
        for number, (name, report, _) in enumerate(self._files):
            if report.blank_lines:
                lines = counted(report.blank_lines, "blank line was", "blank lines were")
                notes.append(f"{name}: {lines} left out.")
            named = self._columns.id_optional and self._columns.id != "id"
            if named and number not in self._with_id and report.documents:
                notes.append(
                    f"{name}: has no field {self._columns.id!r}, which is the id in the training file; "
                    "the lines have no id."
                )
        return notes


Form = Callable[[Pending, Any, Any, ScoreBlock, int], bytes]
"""From a document, its labels and their scores, the scores of its block and its row there, to what is written."""


def predicted(
    classifier: Classifier, stream: Stream, decoding: Decoding, reporter: Reporter, form: Form
) -> Iterator[list[bytes]]:
    """What is written of the next documents, block by block."""
    levels = classifier.taxonomy.levels
    for sets, scores in classifier.decode_stream(stream.texts(), decoding=decoding, reporter=reporter):
        found = Predictions.from_sets(sets, scores, levels)
        yield [form(stream.waiting.popleft(), *pair, scores, row) for row, pair in enumerate(found)]


def line_form(taxonomy: Taxonomy, *, all_scores: bool) -> Form:
    """One JSON line a document.

    Args:
        all_scores: scores of all labels (all candidates), the best first, not only of the predicted ones.
    """

    def form(document: Pending, labels: Any, own: Any, scores: ScoreBlock, row: int) -> bytes:
        every = all_scores and document.text
        scored = _best_first(taxonomy, *scores.row(row)) if every else (labels, own)
        return _line(taxonomy, document, labels, *scored)

    return form


def _best_first(taxonomy: Taxonomy, labels: Any, scores: Any) -> tuple[Any, Any]:
    order = np.lexsort((taxonomy.levels[labels], -scores))
    return labels[order], scores[order]


def _line(taxonomy: Taxonomy, document: Pending, labels: Any, scored: Any, scores: Any) -> bytes:
    ids = taxonomy.ids
    line: dict[str, Any] = {} if document.row is None else {"row": document.row}
    if document.id is not None:
        line["id"] = document.id
    line["labels"] = [ids[label] for label in labels]
    line["scores"] = {ids[label]: round(score, 6) for label, score in zip(scored, scores.tolist(), strict=True)}
    if taxonomy.has_names:
        line["names"] = [taxonomy.name(label) for label in labels]
    if taxonomy.has_notations:
        line["notations"] = [taxonomy.notations[label] for label in labels]
    if not document.text:
        line["note"] = NO_TEXT
    return printable_json(orjson.dumps(line)) + b"\n"
