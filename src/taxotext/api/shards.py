"""Prediction in shards: files of lines that are predicted by several processes or machines, each once.

=====================  ======================================================================================
``shards.json``        what the shards are computed from: the model, the input files, the options
``cut.json``           documents and shards: where each begins in ``work/documents.jsonl``, and how many it has
``shard-0001.jsonl``   the lines of a shard; all of them one after the other are what one process writes
``done/0001.json``     says that the shard is complete, with size and SHA-256 of its file
``work``               the documents, how far shards are, and logs of processes; removed at the end
=====================  ======================================================================================

A shard is some whole blocks of :data:`~taxotext.api.scoring.SCORED_TOGETHER` documents: the numbers of a network depend
in their last digits on which texts are computed together.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from taxotext.api.classifier import load
from taxotext.api.lines import DocumentStream
from taxotext.api.scoring import SCORED_TOGETHER, warn_of_blank
from taxotext.decoding import Decoder, Decoding
from taxotext.errors import ConfigError, DataError, TaxotextError
from taxotext.files import (
    FolderLock,
    check_contents,
    check_target,
    holds_more,
    real,
    replacing,
    sha256,
    write_text_atomically,
)
from taxotext.files.json_files import checked, read_json_or_none
from taxotext.messages import counted, parameter
from taxotext.processes import usable_cores
from taxotext.progress import Reporter, Task
from taxotext.store.fingerprint import fingerprint, model_fingerprint
from taxotext.store.folder import check_outside_models
from taxotext.training.run import check_identity
from taxotext.work import Graph, Ledger, Node, Request, Result, Workers, run_graph

VERSION = 1
RECORD, CUT, LOCK = "shards.json", "cut.json", ".lock"
_BEGUN = {LOCK, "work"}
"""What a run that was killed right at its start leaves."""
ADVICE = "lower --jobs (processes at a time), or runtime.batch_size of the model"
"""What to do when a shard has no memory left."""


@dataclass(frozen=True)
class ShardOptions:
    """What lines depend on beside the model and the texts, and where they are computed."""

    # from the model's own rules by which scores become labels to those that are used
    rules: Callable[[Decoding], Decoding] = lambda own: own
    all_scores: bool = False
    fields: Mapping[str, Any] | None = None  # changes to the fields of the training
    on_bad_line: str = "error"
    input_format: str | None = None
    beams: int | str | None = None
    device: str | None = None
    predict_precision: str | None = None
    threads: int | None = None  # of each process; None: the cores, shared out

    def where(self) -> dict[str, Any]:
        """Where a model computes, as :func:`taxotext.load` takes it."""
        values = {"device": self.device, "predict_precision": self.predict_precision, "threads": self.threads}
        return {name: value for name, value in values.items() if value is not None}

    def identity(self, decoding: Decoding) -> dict[str, Any]:
        """What the lines depend on; device and threads do not count."""
        rules = decoding.to_dict()
        thresholds = json.dumps(rules["label_thresholds"], sort_keys=True).encode()
        rules["label_thresholds"] = hashlib.sha256(thresholds).hexdigest()  # one difference, not one for each label
        values = {**vars(self), "decoding": rules}
        return {name: value for name, value in values.items() if name not in {"rules", "device", "threads"}}


@dataclass(frozen=True)
class Documents:
    """The documents of all inputs, in ``work/documents.jsonl``, and how they are cut.

    A line is a JSON list of text, id and row.
    """

    documents: int
    bytes: int
    starts: tuple[int, ...]  # of each shard, in bytes
    counts: tuple[int, ...]  # documents of each shard
    blank: int  # documents without a text
    first_blank: int  # number of the first of them, from 1
    notes: tuple[str, ...]


def predict_shards(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    shards: int,
    options: ShardOptions,
    *,
    workers: Workers | None = None,
    jobs: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter,
) -> list[Path]:
    """Label the documents of files and write the lines of ``taxotext predict`` in shards.

    Args:
        model: folder.
        inputs: files or folders of documents, read once and in this order.
        output: folder; made when it is missing.
        shards: how many; fewer where there are not so many blocks of documents.
        options: what the lines depend on.
        workers: what computes; None: local processes.
        jobs: local processes at a time; None: as many as there are cores.
        resume: keep the shards in ``output`` that are complete.
        overwrite: remove the shards in ``output``.

    Returns:
        The files of the shards, in order.

    Raises:
        ConfigError: ``output`` holds shards (without ``resume`` or ``overwrite``), or those of another model, input or
            options, or something else; or another process is at work there.
        DataError: the input cannot be read.
        TrainingError: a shard failed; complete ones are kept.
    """
    workers = workers or Workers()
    folder = _Folder(output)
    folder.check(model, inputs, resume=resume, overwrite=overwrite)
    fault = next((path for path in inputs if path.exists() and not _can_be_read_again(path)), None)
    if fault is not None:
        raise DataError(f"{fault}: is not a regular file or folder; copy its content to a file and give that.")
    classifier = load(model, beams=options.beams, **options.where())  # faults are told before hours of reading
    stream = DocumentStream(
        classifier, list(inputs), dict(options.fields or {}), options.on_bad_line, options.input_format
    )
    decoding = options.rules(classifier.decoding)
    Decoder(decoding, classifier.taxonomy)  # unknown labels are found here
    marks = [{"name": path.name, "sha256": fingerprint(path)} for path in inputs]
    own = model_fingerprint(model)
    identity = {
        "version": VERSION,
        "model": own,
        "inputs": marks,
        "options": options.identity(decoding),
        "shards": shards,
    }
    with folder.opened(identity, resume=resume, overwrite=overwrite):
        try:
            documents = folder.documents() or _cut(stream, folder, shards, reporter)
        except TaxotextError:
            folder.abandon()  # else a corrected input would be told that there are shards already
            raise
        kept = folder.complete(documents, reporter)
        if len(kept) < len(documents.counts) and not folder.has_documents(documents):
            documents = _cut(stream, folder, shards, reporter)
        del classifier, stream  # the processes have their own
        for note in documents.notes:
            reporter.note(note)
        warn_of_blank(documents.blank, documents.documents, documents.first_blank)
        paths = [folder.shard(number) for number in range(len(documents.counts))]
        if len(kept) == len(paths):
            folder.clean()
            reporter.note(f"{output} is finished already; nothing to do.")
            return paths
        if kept:
            reporter.note(f"Complete already: {len(kept)} of {counted(len(paths), 'shard')}.")
        elif len(paths) < shards:
            reporter.note(
                f"{counted(documents.documents, 'document')} make {counted(len(paths), 'shard')}: "
                f"{SCORED_TOGETHER:,} of them are scored together, as in one process."
            )
        fixed = {
            "model": str(real(model)),
            "fingerprint": own,
            "beams": options.beams,
            "decoding": decoding.to_dict(),
            "all_scores": options.all_scores,
        }
        _predict(folder, documents, fixed, options, workers, jobs, reporter)
        folder.clean()
    reporter.note(f"Wrote {counted(len(paths), 'shard')} to {output}; `cat {output}/shard-*.jsonl` joins them.")
    return paths


def _can_be_read_again(path: Path) -> bool:
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _cut(stream: DocumentStream, folder: _Folder, shards: int, reporter: Reporter) -> Documents:
    """Read all documents once, so that each shard finds its own without reading those before."""
    blocks: list[int] = []  # where each block begins, in bytes
    seen = blank = first_blank = size = 0
    with (
        reporter.task("Reading", None) as task,
        replacing(folder.spool) as temporary,
        temporary.open("wb") as file,
    ):
        for text in stream.texts():
            if seen % SCORED_TOGETHER == 0:
                blocks.append(size)
                task.advance(min(seen, SCORED_TOGETHER))
            seen += 1
            if not text.strip():
                blank, first_blank = blank + 1, first_blank or seen
            size += file.write(orjson.dumps(tuple(stream.waiting.popleft())) + b"\n")
        task.advance(seen - max(len(blocks) - 1, 0) * SCORED_TOGETHER)
    count = min(shards, len(blocks))
    firsts = [number * len(blocks) // count for number in range(count + 1)]
    places = [min(first * SCORED_TOGETHER, seen) for first in firsts]
    documents = Documents(
        seen,
        size,
        tuple(blocks[first] for first in firsts[:-1]),
        tuple(end - start for start, end in pairwise(places)),
        blank,
        first_blank,
        tuple(stream.notes()),
    )
    write_text_atomically(folder.path / CUT, json.dumps(asdict(documents)))
    return documents


def _predict(
    folder: _Folder,
    documents: Documents,
    fixed: Mapping[str, Any],
    options: ShardOptions,
    workers: Workers,
    jobs: int | None,
    reporter: Reporter,
) -> None:
    """Predict the shards that are not complete; ``fixed`` are the arguments that all of them have."""
    cores = usable_cores()
    processes = jobs or max(1, min(len(documents.counts), cores // (options.threads or 1)))
    threads = options.threads or (1 if workers.executor == "ray" else max(1, cores // processes))

    def node(number: int) -> Node:
        arguments = {
            **fixed,
            "where": {**options.where(), "threads": threads},
            "documents": str(real(folder.spool)),
            "start": documents.starts[number],
            "count": documents.counts[number],
            "output": str(real(folder.path) / folder.shard(number).name),
            "progress": str(real(folder.progress(number))),
        }
        return Node(key_of(number), (), lambda results: Request("shard", arguments))

    graph = Graph(node(number) for number in range(len(documents.counts)))
    ledger = Ledger(folder.done)
    before = ledger.read(graph.order)
    done = sum(documents.counts[int(key) - 1] for key in before)
    with (
        workers.start(processes, folder.work / "logs", threads=threads, advice=ADVICE) as executor,
        reporter.task("Predicting", documents.documents, done=done) as task,
    ):
        run_graph(graph, executor, ledger, _Watcher(folder, documents, before, task))


def key_of(number: int) -> str:
    """The name of a shard in the ledger, from 1."""
    return f"{number + 1:04d}"


class _Watcher:
    """Moves the bar as the shards at work say how far they are."""

    def __init__(self, folder: _Folder, documents: Documents, before: Mapping[str, Any], task: Task) -> None:
        self._folder, self._documents, self._before, self._task = folder, documents, before, task
        self._seen: dict[str, int] = {}  # documents of the shards at work that the bar has counted

    def started(self, key: str) -> None:
        self._folder.progress(int(key) - 1).unlink(missing_ok=True)
        self._seen[key] = 0

    def finished(self, key: str, result: Result) -> None:
        if key not in self._before:
            self._task.advance(self._documents.counts[int(key) - 1] - self._seen.pop(key, 0))

    def looked(self) -> None:
        for key, seen in self._seen.items():
            with suppress(OSError, ValueError):  # not there yet, or half written
                now = int(self._folder.progress(int(key) - 1).read_text(encoding="ascii"))
                if now > seen:
                    self._task.advance(now - seen)
                    self._seen[key] = now


class _Folder:
    """The folder of a prediction in shards."""

    def __init__(self, path: Path) -> None:
        self.path, self.record = path, path / RECORD
        self.done, self.work = path / "done", path / "work"
        self.spool = self.work / "documents.jsonl"

    def shard(self, number: int) -> Path:
        """The file of a shard, from 0."""
        return self.path / f"shard-{key_of(number)}.jsonl"

    def progress(self, number: int) -> Path:
        """Says how many documents of a shard are done."""
        return self.work / f"{key_of(number)}.progress"

    def check(self, model: Path, inputs: Sequence[Path], *, resume: bool, overwrite: bool) -> None:
        """Refuse a folder that the shards cannot go to; a look at it, before anything is read."""
        if resume and overwrite:
            keep, replace = parameter("resume", True), parameter("overwrite", True)
            raise ConfigError(f"{keep} keeps what is there and {replace} replaces it; give one of the two.")
        check_target(self.path, "folder", ConfigError)
        if real(self.path).is_relative_to(real(model)):
            raise ConfigError(f"{self.path}: lies in the model folder; name a folder elsewhere with --output.")
        check_outside_models(self.path)
        for path in inputs:
            if real(path).is_relative_to(real(self.path)):
                raise ConfigError(f"{path}: lies in the output folder {self.path}; choose another output folder.")
        if self.path.is_dir() and not self.record.is_file() and holds_more(self.path, _BEGUN):
            raise ConfigError(f"{self.path}: is not empty and holds no shards; name a new or an empty folder.")
        check_contents(self.path, ConfigError)
        self._check_kept(resume=resume, overwrite=overwrite)

    def _check_kept(self, *, resume: bool, overwrite: bool) -> None:
        if self.record.is_file() and not resume and not overwrite:
            raise ConfigError(
                f"{self.path}: holds shards already. Continue with {parameter('resume', True)} (complete shards are "
                f"kept), or start over with {parameter('overwrite', True)}."
            )

    @contextmanager
    def opened(self, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Iterator[None]:
        """Make the folder, or enter it again, and keep others out until the end of the block."""
        lock = FolderLock(self.path / LOCK)
        with lock:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                if not lock.acquire(wait=2.0):  # the one that was just killed may take a moment
                    raise ConfigError(f"{self.path}: another prediction is at work there; wait for it, or stop it.")
                self._check_kept(resume=resume, overwrite=overwrite)  # somebody may have been faster
                self._enter(identity, overwrite=overwrite)
            except OSError as error:
                raise ConfigError(f"{self.path}: cannot be written ({error.strerror or error}).") from error
            yield

    def _enter(self, identity: Mapping[str, Any], *, overwrite: bool) -> None:
        if self.record.is_file() and overwrite:
            self._remove()
        elif self.record.is_file():
            check_identity(self.record, dict(identity), "its shards were computed from something else")
        for left in self.path.glob(".shard-*.tmp"):  # of processes and machines that were killed
            left.unlink(missing_ok=True)
        self.work.mkdir(exist_ok=True)
        if not self.record.is_file():
            write_text_atomically(self.record, json.dumps(identity, indent=2, sort_keys=True))

    def documents(self) -> Documents | None:
        """How the documents were cut; None where they were not, or the record is damaged."""
        found = read_json_or_none(self.path / CUT)
        try:
            documents: Documents = checked(Documents, found)
        except ValueError:
            return None
        starts, counts = documents.starts, documents.counts
        sound = (
            0 < len(counts) == len(starts)
            and min(counts) > 0
            and sum(counts) == documents.documents
            and starts[0] == 0
            and all(start < end for start, end in pairwise((*starts, documents.bytes)))
        )
        return documents if sound else None

    def has_documents(self, documents: Documents) -> bool:
        """Whether the documents are still there."""
        return self.spool.is_file() and self.spool.stat().st_size == documents.bytes

    def complete(self, documents: Documents, reporter: Reporter) -> set[str]:
        """Keys of the shards that are complete; records of others are removed, so that they are predicted again."""
        found = set()
        for number, count in enumerate(documents.counts):
            record, key = self.done / f"{key_of(number)}.json", key_of(number)
            if not record.is_file():
                continue
            said = read_json_or_none(record) or {}
            if said.get("documents") == count and self._is_as_written(number, said):
                found.add(key)
                continue
            reporter.note(f"{self.shard(number)}: is not the file that was written; it is predicted again.")
            record.unlink()
        return found

    def _is_as_written(self, number: int, said: Mapping[str, Any]) -> bool:
        path = self.shard(number)
        return path.is_file() and path.stat().st_size == said.get("bytes") and sha256(path) == said.get("sha256")

    def clean(self) -> None:
        """Remove what only the work needed."""
        shutil.rmtree(self.work, ignore_errors=True)

    def abandon(self) -> None:
        """Forget a prediction that has no documents yet."""
        if holds_more(self.path, {RECORD, *_BEGUN}):  # how they were cut has been lost, or of somebody else
            return
        self.clean()
        self.record.unlink(missing_ok=True)
        (self.path / LOCK).unlink(missing_ok=True)
        self.path.rmdir()

    def _remove(self) -> None:
        for folder in (self.done, self.work):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (*self.path.glob("shard-*.jsonl"), self.path / CUT, self.record):
            path.unlink(missing_ok=True)  # the record last: without it the rest is not known to be shards
