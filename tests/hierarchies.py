"""A training along the taxonomy in a second or two, and what must be the same however it came to its end."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from taxotext.data import Corpus, write_jsonl
from taxotext.labels import Taxonomy, write_taxonomy
from tiny import tiny_corpus

TIMED = ("seconds", "fit_seconds", "processes")
"""Facts of a model that depend on time and machine."""
WORKER = "taxotext.work.worker"


EDGES: tuple[tuple[str | None, str], ...] = (
    (None, "animals"),
    (None, "food"),
    ("animals", "fish"),
    ("food", "fish"),
    ("food", "bread"),
)
"""A part of the tiny taxonomy, and still a DAG."""


def small_corpus(count: int = 40) -> Corpus:
    """Documents of the tiny corpus with four labels."""
    taxonomy = Taxonomy.from_edges(EDGES)
    corpus = tiny_corpus(count)
    names, targets = corpus.taxonomy.ids, corpus.targets
    rows = [targets.indices[targets.indptr[row] : targets.indptr[row + 1]] for row in range(count)]
    labels = [[names[label] for label in row if names[label] in taxonomy] for row in rows]
    return Corpus.from_lists(list(corpus.texts), labels, taxonomy, source="small")


def write_tiny_data(folder: Path, corpus: Corpus | None = None) -> dict[str, str]:
    """Write that corpus, or another one; returns the section ``data``."""
    corpus = small_corpus() if corpus is None else corpus
    write_jsonl(corpus, folder / "train.jsonl")
    write_jsonl(corpus.subset(range(0, len(corpus), 2)), folder / "validation.jsonl")
    write_taxonomy(corpus.taxonomy, folder / "taxonomy.tsv")
    return {
        "train": str(folder / "train.jsonl"),
        "validation": str(folder / "validation.jsonl"),
        "taxonomy": str(folder / "taxonomy.tsv"),
    }


def tiny_run(data: Mapping[str, str], threads: int = 1, **more: Any) -> dict[str, Any]:
    """A configuration of ``htrans``: two class weights, two rungs, three small fits for each of four labels."""
    return {
        "model": "htrans",
        "seed": 3,
        "data": dict(data),
        "runtime": {"device": "cpu", "precision": "float32", "threads": threads},
        "text": {"max_tokens": 16},
        "encoder": {"units": 3, "embedding_width": 6},
        "weights": {"candidates": [1.0, 5.0], "rungs": [1]},
        "training": {"epochs": 2, "batch_size": 16, "checkpoint_minutes": 0},
        **more,
    }


def arguments(values: Mapping[str, Any], output: Path, *more: str) -> list[str]:
    """The same as words of the command line."""
    words = ["train", "--model", str(values["model"]), "--output", str(output), f"seed={values['seed']}"]
    for section in ("data", "runtime", "text", "encoder", "weights", "training"):
        words += [f"{section}.{key}={value}" for key, value in values.get(section, {}).items()]
    return [*words, *more]


def timeless(model: Path) -> dict[str, Any]:
    """Content of a model folder by file, without what depends on time, machine or name of the folder."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in sorted(model.iterdir())}
    config = json.loads(found["config.json"])
    config["facts"] = {name: value for name, value in config["facts"].items() if name not in TIMED}
    config["settings"]["runtime"].pop("threads")
    fits = [{name: value for name, value in fit.items() if name != "seconds"} for fit in json.loads(found["fits.json"])]
    rows = "|".join(name.replace("_", " ") for name in TIMED)
    card = re.sub(rf"(?m)^(# .*|\| ({rows}) \|.*)$", "", found["README.md"].decode())
    return {**found, "config.json": config, "fits.json": fits, "README.md": card}


def done(output: Path) -> dict[str, str]:
    """What the ledger of an unfinished training holds, by key."""
    folder = output.with_name(f"{output.name}.run") / "checkpoints" / "done"
    found = {}
    for path in folder.glob("[0-9]*.json"):
        with suppress(FileNotFoundError):  # the training has just ended, and cleans up
            found[path.stem] = path.read_text(encoding="utf-8")
    return found


def workers_of(parent: int) -> list[int]:
    """Worker processes that a process has started, whether or not it lives (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it ended in between
            continue
        if WORKER in words and words[words.index(WORKER) + 1] == str(parent):
            found.append(int(path.parent.name))
    return found


def wait_for(condition: Any, seconds: float = 240.0) -> bool:
    """Ask every few milliseconds; False when it never came true."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


def environment(**more: str) -> dict[str, str]:
    """For a command line in a process of its own."""
    source = Path(__file__).resolve().parents[1] / "src"
    paths = filter(None, [str(source), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **more}
