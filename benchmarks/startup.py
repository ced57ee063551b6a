"""Processor time of what must be quick: starting, and a few steps on large data.

::

    python benchmarks/startup.py --repeats 5 --data ../shared/data

Each start runs in a process of its own, each step in this one. The least of the times counts, since other work on the
machine only adds to it; the exit status is 1 where one takes longer than its limit. Steps on real corpora are left out
where the corpus is not in the folder ``--data``. That starting imports nothing heavy is checked by the tests.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

STARTS = {
    "import taxotext": ["-c", "import taxotext"],
    "taxotext --help": ["-m", "taxotext", "--help"],
    "taxotext train --help": ["-m", "taxotext", "train", "--help"],
    "taxotext models list": ["-m", "taxotext", "models", "list"],
}
LIMIT = 0.5
"""Seconds that a start may take."""
COMMANDS = {
    "train": (["train", "--train", "rows.jsonl", "--model", "linear", "--output", "model", "--overwrite"], 1.7),
    "tune": (["tune", "model"], 0.7),
    "evaluate": (["evaluate", "model", "rows.jsonl"], 0.7),
    "predict": (["predict", "model", "rows.jsonl"], 0.7),
}
"""Commands over a hundred short documents, with ``linear``, and the seconds that they may take: training needs
scikit-learn, whose import takes one."""


def start(arguments: Sequence[str], folder: Path | None = None) -> float:
    """Seconds of processor time (user and system) of one Python with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL if folder else None}
    subprocess.run([sys.executable, *arguments], **silent, cwd=folder, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def step(work: Callable[[], object]) -> float:
    """Seconds of processor time of all threads of this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


def steps(data: Path) -> Iterator[tuple[str, float, Callable[[], object]]]:
    """(what, seconds that it may take, what does it)."""
    import gzip

    import numpy as np
    from scipy.sparse import csr_array

    from taxotext.data import read_corpus, split_stratified
    from taxotext.data.vectors import read_vectors
    from taxotext.labels import read_taxonomy
    from taxotext.metrics.significance import paired_bootstrap

    ids = np.random.default_rng(0).integers(0, 1000, size=(2, 10_000, 3))
    starts = np.arange(0, 30_001, 3)
    gold, other = (csr_array((np.ones(30_000, bool), rows.ravel(), starts), shape=(10_000, 1000)) for rows in ids)
    yield "1,000 samples of 10,000 documents", 1, lambda: paired_bootstrap(gold, gold, other, "macro_f1")
    for name in ("reuters21578-apte90", "tibkat-gnd-en"):
        if (path := data / name / "train.jsonl.gz").exists():
            targets = read_corpus(path).targets
            yield (
                f"stratified split of {name}",
                10,
                lambda targets=targets: split_stratified(targets, (0.8, 0.1, 0.1), 0),
            )
    if (path := data / "hierarchies/stw-economics.tsv").exists():
        yield "taxonomy of 6,243 labels", 0.5, lambda path=path: read_taxonomy(path).closure
    if (path := data / "glove-twitter-25d/glove.twitter.27B.25d.12k.txt.gz").exists():
        with gzip.open(path, "rt", encoding="utf-8") as file:
            words = [line.split(" ", 1)[0] for line in file]
        yield "vectors of 11,925 words", 0.5, lambda path=path: read_vectors(path, words)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args(arguments)
    slow = []

    def report(what: str, limit: float, measure: Callable[[], float]) -> None:
        seconds = min(measure() for _ in range(given.repeats))
        print(f"{what:<40} {seconds:7.3f} s of {limit:g} s", flush=True)
        if seconds >= limit:
            slow.append(what)

    for what, words in STARTS.items():
        report(what, LIMIT, lambda words=words: start(words))
    with tempfile.TemporaryDirectory() as holder:
        folder = Path(holder)
        rows = [{"text": f"word{i % 7} word{i % 5} word{i % 3}", "labels": [f"label{i % 7}"]} for i in range(100)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        for what, (words, limit) in COMMANDS.items():
            report(f"taxotext {what}", limit, lambda words=words: start(["-m", "taxotext", *words], folder))
    for what, limit, work in steps(given.data):
        report(what, limit, lambda work=work: step(work))
    print(f"too slow: {', '.join(slow)}" if slow else "all within their limits")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
