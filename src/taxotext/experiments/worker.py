"""The process of one cell: train, tune, evaluate; or measure the speed of what was trained; or try a few documents.

``python -m taxotext.experiments.worker CELL_FOLDER STAGE PARENT`` with the parent's pipe as stdin. Whatever it finds
done it does not do again; what it leaves is written completely or not at all.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from taxotext.errors import TaxotextError
from taxotext.experiments.cell_process import FIT, PROBE
from taxotext.experiments.cells import Cell
from taxotext.experiments.folder import CellFolder, need_json, write_json, write_passing
from taxotext.experiments.measuring import folder_size, machine, measure_speed, peak_memory, spread, versions
from taxotext.experiments.records import Progress, read_record
from taxotext.experiments.source import source_digest
from taxotext.files import FolderLock, remove_stale
from taxotext.messages import DATA_KEYS, NO_VALUE, printable, spelled
from taxotext.processes import end_group_with_parent
from taxotext.progress import Reporter, Task

BEAT = 1.0
"""Seconds between two entries in progress.json."""
PATIENCE = 20.0
"""Seconds to wait for a killed predecessor to be gone."""
DONE, FAULT, FAILED, INTERRUPTED = 0, 1, 3, 130


def main(arguments: list[str] | None = None) -> None:
    """Compute one stage of one cell and end the process."""
    path, stage, parent = list(sys.argv[1:] if arguments is None else arguments)
    end_group_with_parent(int(parent), pipe=0)
    logging.getLogger("taxotext").addHandler(logging.StreamHandler(sys.stderr))
    folder = CellFolder(Path(path))
    with FolderLock(folder.lock) as lock:
        if not lock.acquire(PATIENCE):
            sys.stderr.write(f"{folder.path}: another process is at work on this cell.\n")
            sys.exit(FAULT)
        sys.exit(run_stage(folder, stage))


def run_stage(folder: CellFolder, stage: str) -> int:
    """Compute one stage in this process and return its exit code; the caller holds the lock.

    A failure is written to ``failure.json`` with its sentence; the trace goes to stderr.
    """
    content = need_json(folder.cell)
    cell = Cell.from_dict(content["cell"])
    folder.failure.unlink(missing_ok=True)
    with Heartbeat(folder, stage) as heartbeat, spelled(partial(spelling_in, cell.corpus)):
        try:
            if stage == FIT:
                fit_cell(folder, cell, int(content["jobs"]), heartbeat)
            elif stage == PROBE:
                write_json(folder.probe, probe_cell(cell, heartbeat))
            else:
                measure_cell(folder, cell, content["speed"], heartbeat)
        except KeyboardInterrupt:
            return INTERRUPTED
        except Exception as error:
            known = isinstance(error, TaxotextError)
            sentence = str(error) if known else f"an error inside the program: {type(error).__name__}: {error}"
            traceback.print_exc()
            write_json(folder.failure, {"stage": stage, "reason": sentence, "kind": type(error).__name__})
            return FAILED
    return DONE


def spelling_in(corpus: str, name: str, value: Any) -> str | None:
    """How a parameter of reading is written in the file of the experiment; None where it has no such key.

    >>> spelling_in("news", "label_separator", ";")
    'corpora.news.label_separator: ";"'
    """
    from taxotext.api.runs import DataSettings

    key = DATA_KEYS.get(name, name)
    if key not in DataSettings.model_fields:
        return None
    where = f"corpora.{corpus}.{key}"
    return where if value is NO_VALUE else f"{where}: {json.dumps(value, ensure_ascii=False)}"


def fit_cell(folder: CellFolder, cell: Cell, jobs: int, heartbeat: Heartbeat) -> None:
    """Train, tune and evaluate; ``jobs`` is how many do so at a time, for the record."""
    from taxotext.api.evaluation import evaluate_corpus
    from taxotext.api.reading import read_for_model
    from taxotext.api.runs import train_run
    from taxotext.experiments.predictions import Collector

    # A model that is there already is taken as it is: its folder belongs to this cell alone.
    classifier = train_run(
        folder.values_of(cell), folder.model, where=cell.title, resume=True, tune=False, reporter=heartbeat
    )
    if cell.tune is not None and not classifier.decoding.tuned_on:
        with heartbeat.task("Tuning", None):
            classifier.tune(**cell.tune)
            classifier.update(folder.model)
    corpus = read_for_model(classifier, Path(cell.test))
    system, manifest = classifier.system, classifier.manifest
    collector = Collector()
    metrics = evaluate_corpus(system, manifest, corpus, ks=cell.ks, per_label=False, reporter=heartbeat, keep=collector)
    collector.collected(corpus.label_ids, corpus.targets).save(folder.predictions)
    spent = heartbeat.resources()
    result = {
        "key": cell.key,
        "ks": list(cell.ks),
        "metrics": metrics,
        "parameters": manifest.facts.get("parameters"),
        "facts": manifest.facts,
        "selected": manifest.metrics.get("selected"),
        "training_documents": manifest.trained_on.get("training_documents"),
        "validation_documents": manifest.trained_on.get("validation_documents"),
        "validation_data": manifest.trained_on.get("validation_data"),
        "train_seconds": manifest.facts.get("seconds"),
        "process_seconds": round(spent["seconds"], 1),
        "attempts": spent["attempts"],
        "jobs": jobs,
        "peak_memory": spent["peak_memory"],
        "model_bytes": folder_size(folder.model),
        "machine": machine(int(cell.values["runtime"]["threads"])),
        "versions": versions(),
        "source": source_digest(),
    }
    write_json(folder.fit, result)


def measure_cell(folder: CellFolder, cell: Cell, speed: dict[str, Any], heartbeat: Heartbeat) -> None:
    """Measure prediction with the trained model, in a process that does nothing else."""
    from taxotext.api import load
    from taxotext.api.reading import read_for_model

    classifier = load(folder.model, threads=int(cell.values["runtime"]["threads"]), **_device(cell))
    texts = spread(read_for_model(classifier, Path(cell.test)).texts, int(speed["documents"]))

    def predict(batch: list[str]) -> None:
        for _ in classifier.decode_stream(batch):
            pass

    with heartbeat.task("Measuring", None) as task:
        result = measure_speed(predict, texts, float(speed["seconds"]), task.advance)
    result["peak_memory"] = heartbeat.resources()["peak_memory_now"]
    write_json(folder.speed, result)


def probe_cell(cell: Cell, reporter: Reporter) -> dict[str, Any]:
    """Try a cell on few documents, in this process.

    Time grows in a straight line through two trials of different size. So does memory where all documents are fitted at
    once; where they come in batches, the batch of the longest documents decides.

    Returns:
        ``seconds``, ``memory`` (bytes), ``tried``, ``documents``, ``epochs``; ``scoring``: seconds for the validation
        and test documents, once.

    Raises:
        TaxotextError: what the training would end with.
    """
    from taxotext.api.runs import parse_run, read_data
    from taxotext.api.trials import try_fit
    from taxotext.data import read_corpus

    config = parse_run(cell.values, cell.title)
    kind, settings = config.chosen.kind, config.chosen.settings  # type: ignore[union-attr]  # a cell names its system
    started = time.monotonic()
    train, validation = read_data(config.data, cell.title)
    test = read_corpus(
        Path(cell.test), train.taxonomy, config.data.columns(), closure=config.data.closure, unknown="count"
    )
    reading = time.monotonic() - started
    in_batches = hasattr(settings, "training")
    small = try_fit(kind, settings, train, validation, batches=3, reporter=reporter)
    before = peak_memory()
    large = try_fit(kind, settings, train, validation, batches=9, reporter=reporter)
    memory = float(peak_memory())
    more = large.documents - small.documents
    work = large.work - small.work
    pace = (large.seconds - small.seconds) / work if work > 0 else 0.0
    if pace <= 0:  # too little to tell the pace from the noise
        pace = large.seconds / large.work
    if in_batches:
        try_fit(kind, settings, train, validation, batches=1, longest=True, reporter=reporter)
        memory = float(peak_memory())
    elif more > 0:
        memory += max(memory - before, 0) / more * (large.all_documents - large.documents)
    few = test.texts[:64]
    started = time.monotonic()
    for _ in large.system.scores(few):
        pass
    scoring = (time.monotonic() - started) / len(few)
    held_out = len(validation) if validation is not None else len(train) - large.all_documents
    seconds = large.seconds + pace * (large.whole_work - large.work) + large.once()
    seconds += scoring * (held_out * large.scorings + len(test)) + 2 * reading
    return {
        "seconds": max(seconds, 0.0),
        "memory": int(memory),
        "tried": large.documents,
        "documents": large.all_documents,
        "epochs": large.whole_work / large.all_documents,
        "scoring": scoring * (held_out + len(test)),
    }


def _device(cell: Cell) -> dict[str, str]:
    device = cell.values["runtime"].get("device")
    return {} if device is None else {"device": str(device)}


class Heartbeat:
    """A reporter that keeps ``progress.json`` up to date, with time and memory over all attempts.

    A context manager: a thread writes every second, whatever the computation does.

    Args:
        stage: one of :data:`taxotext.experiments.cell_process.STAGES`.
    """

    def __init__(self, folder: CellFolder, stage: str) -> None:
        self._path, self._stage = folder.progress, stage
        remove_stale(self._path)
        before = read_record(self._path, Progress) or {}
        self._before = {name: float(before.get(name, 0)) for name in ("seconds", "attempts", "peak_memory")}
        self._started = time.monotonic()
        self._task: dict[str, Any] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._write()

    def resources(self) -> dict[str, Any]:
        """Seconds, attempts and peak memory (bytes) of the cell so far; interrupted attempts count."""
        peak = peak_memory()
        fitting = self._stage == FIT  # measuring has metrics of its own
        return {
            "seconds": self._before["seconds"] + (time.monotonic() - self._started) * fitting,
            "attempts": int(self._before["attempts"]) + fitting,
            "peak_memory": int(max(self._before["peak_memory"], peak * fitting)),
            "peak_memory_now": peak,
        }

    @contextmanager
    def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Task]:
        """Open a stretch of work."""
        self._task = {"task": name, "done": done, "first": done, "total": total, "unit": unit, "began": time.time()}
        yield _HeartbeatTask(self._task)

    def note(self, sentence: str) -> None:
        """Write the sentence to the log of the cell."""
        sys.stderr.write(printable(sentence, lines=True) + "\n")
        sys.stderr.flush()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            self._write()

    def _write(self) -> None:
        content = {"stage": self._stage, "process": os.getpid(), "time": time.time(), **self.resources(), **self._task}
        try:
            write_passing(self._path, content)
        except OSError as error:  # a full disk: the computation itself will say so, or end well
            sys.stderr.write(f"{self._path}: cannot be written ({error}).\n")


class _HeartbeatTask:
    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def advance(self, amount: int = 1) -> None:
        self._values["done"] += amount

    def show(self, **fields: float | str) -> None:
        self._values["fields"] = {**self._values.get("fields", {}), **fields}


if __name__ == "__main__":
    main()
