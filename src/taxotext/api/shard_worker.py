"""One shard of a prediction: some of the documents that were read, and the file of their lines."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from taxotext.api.classifier import Classifier, load
from taxotext.api.lines import Pending, line_form, predicted
from taxotext.decoding import Decoding
from taxotext.errors import DataError
from taxotext.files import replacing
from taxotext.progress import Silent
from taxotext.store.fingerprint import model_fingerprint

TOLD_EVERY = 0.5
"""Seconds between two notes of how many documents are done."""


def predict_shard(
    *,
    model: str,
    fingerprint: str,
    where: Mapping[str, Any],
    beams: int | str | None,
    decoding: Mapping[str, Any],
    all_scores: bool,
    documents: str,
    start: int,
    count: int,
    output: str,
    progress: str,
) -> dict[str, Any]:
    """Predict some documents and write their lines, completely or not at all.

    Args:
        model: folder.
        fingerprint: of the model that the other shards are predicted with.
        where: ``device``, ``predict_precision``, ``threads``.
        beams: see :func:`taxotext.load`.
        decoding: rules by which scores become labels.
        all_scores: see :func:`taxotext.api.lines.line_form`.
        documents: file of :class:`taxotext.api.shards.Documents`.
        start: byte at which the shard begins there.
        count: documents of the shard.
        output: file to write.
        progress: file that tells how many documents are done.

    Returns:
        ``documents``, and ``bytes`` and ``sha256`` of the file.

    Raises:
        DataError: the model is another one by now.
    """
    classifier = _loaded(model, fingerprint, orjson.dumps(dict(where), option=orjson.OPT_SORT_KEYS), beams)
    stream = _Shard(Path(documents), start, count)
    rules = Decoding.from_dict(dict(decoding), "predict")
    form = line_form(classifier.taxonomy, all_scores=all_scores)
    digest, size, done, told = hashlib.sha256(), 0, 0, time.monotonic()
    with replacing(Path(output)) as temporary, temporary.open("wb") as file:
        for lines in predicted(classifier, stream, rules, Silent(), form):
            content = b"".join(lines)
            digest.update(content)
            size += file.write(content)
            done += len(lines)
            if time.monotonic() - told >= TOLD_EVERY:
                told = time.monotonic()
                Path(progress).write_text(str(done), encoding="ascii")
        if done != count:
            raise DataError(f"{documents}: has {done} documents of {count}; remove it, and the input is read again.")
    return {"documents": done, "bytes": size, "sha256": digest.hexdigest()}


@lru_cache(maxsize=1)
def _loaded(model: str, fingerprint: str, where: bytes, beams: int | str | None) -> Classifier:
    """The model, once a process."""
    if model_fingerprint(Path(model)) != fingerprint:
        raise DataError(
            f"{model}: has changed since the prediction began; bring it back, or start over with --overwrite."
        )
    return load(model, beams=beams, **orjson.loads(where))


class _Shard:
    """The documents of a shard."""

    def __init__(self, path: Path, start: int, count: int) -> None:
        self.waiting: deque[Pending] = deque()
        self._path, self._start, self._count = path, start, count

    def texts(self) -> Iterator[str]:
        with self._path.open("rb") as file:
            file.seek(self._start)
            for line in islice(file, self._count):
                document = Pending(*orjson.loads(line))
                self.waiting.append(document)
                yield document.text
