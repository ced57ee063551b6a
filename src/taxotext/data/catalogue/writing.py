"""Writing documents of a release, split by split, as JSON lines."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from taxotext.data.catalogue.checks import SplitCounts
from taxotext.data.catalogue.entries import SPLITS, Content, Findings, Record
from taxotext.data.catalogue.text import tidy
from taxotext.progress import Reporter


def write_splits(
    content: Content, folder: Path, findings: Findings, reporter: Reporter, *, packed: bool
) -> dict[str, SplitCounts]:
    """Write ``train.jsonl`` and its like into ``folder``; return what was counted, in the order of the splits.

    A document without text is left out and counted, since nothing can be learned or predicted from it; so is one
    whose id was there before.
    """
    counted: dict[str, SplitCounts] = {}
    seen: set[str] = set()
    with ExitStack() as stack, reporter.task("Reading", content.total) as task:
        streams: dict[str, BinaryIO] = {}
        for split, record in content.documents:
            task.advance()
            if split not in streams:
                streams[split] = stack.enter_context(_opened(folder / file_of(split, packed)))
                counted[split] = SplitCounts()
            part = counted[split]
            if record.id is not None:
                if record.id in seen:
                    part.duplicate_ids += 1
                    continue
                seen.add(record.id)
            record = record._replace(text=tidy(record.text, findings))
            if not record.text:
                part.without_text += 1
                continue
            labels = _tidy_labels(record.labels)
            part.duplicate_labels += len(record.labels) - len(labels)
            part.add(record, labels)
            streams[split].write(orjson.dumps(_row(record, labels), option=orjson.OPT_APPEND_NEWLINE))
    return {split: counted[split] for split in SPLITS if split in counted}


def file_of(split: str, packed: bool) -> str:
    """The name of the file of a split."""
    return f"{split}.jsonl.gz" if packed else f"{split}.jsonl"


def _row(record: Record, labels: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {} if record.id is None else {"id": record.id}
    row |= {"text": record.text, "labels": labels}
    return row | {name: value for name, value in record.fields.items() if value}


def _tidy_labels(labels: Sequence[str]) -> list[str]:
    """Labels on one line without outer white space, each once."""
    return list(dict.fromkeys(tidied for label in labels if (tidied := " ".join(label.split()))))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as raw:
        if path.suffix != ".gz":
            yield raw
            return
        # No name and no time inside, so that the same release gives the same bytes.
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as stream:
            yield cast(BinaryIO, stream)
