"""kill -9 of an experiment at random moments; it must end with the table of an undisturbed run.

::

    python tests/torture/experiment_torture.py --kills 10 --seed 1 --json experiment-torture.json

Twelve cells (three linear systems, four seeds) on the sample corpus, two at a time. Each kill hits the runner alone or
the runner and the processes of its cells. After each kill no process of the experiment may be left, every finished cell
must still be finished with the very same files, and ``status`` must answer. The command is then given again with
``--resume``. In the end all metrics, differences and p-values of the table, and the answers on every test document,
must equal those of an undisturbed run; what depends on time (seconds, memory, speed) is set aside.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT = 1800.0
"""Seconds that one command may take."""
GONE = 10.0
"""Seconds after which a process must not be there any more."""
EXPERIMENT = """
systems:
  linear: {model: linear}
  pairs: {model: linear, settings: {features: {ngrams: [1, 2]}}}
  loose: {model: linear, settings: {classifier: {c: 10}}}
corpora:
  sample:
    train: sample:train.jsonl
    validation: sample:validation.jsonl
    test: sample:test.jsonl
    taxonomy: sample:taxonomy.tsv
seeds: [13, 14, 15, 16]
metrics: [micro_f1, macro_f1, hierarchical_micro_f1, set_accuracy, p@1]
baseline: linear
jobs: 2
threads: 1
speed: {documents: 64, seconds: 0.2}
"""


class TortureError(AssertionError):
    """What must never happen happened."""


@dataclass
class Kill:
    """One kill: who was hit, when, and what had been done."""

    hit: str
    seconds: float
    stages_done: int
    at_work: int


@dataclass
class Record:
    """What was done, and how it ended."""

    cells: int = 0
    kills: list[Kill] = field(default_factory=list)
    survived: int = 0  # commands that ended before their kill came
    resumed_attempts: dict[str, int] = field(default_factory=dict)
    reference_seconds: float = 0.0
    seconds: float = 0.0


class Disturbed:
    """Runs an experiment, kills it, and compares what it ends with.

    Args:
        folder: empty.
        experiment: text of EXPERIMENT.yaml.
        stages: processes that an undisturbed run starts.
        delay: seconds between the end of a stage and a kill, at most.
    """

    def __init__(self, folder: Path, experiment: str, stages: int, delay: float = 6.0) -> None:
        self.folder, self.stages, self.delay = folder, stages, delay
        self.file, self.output, self.reference = (folder / name for name in ("experiment.yaml", "killed", "reference"))
        self.file.write_text(experiment, encoding="utf-8")
        self.record = Record()

    def run_reference(self) -> None:
        """Run undisturbed."""
        started = time.monotonic()
        self._finish(self.reference)
        self.record.reference_seconds = time.monotonic() - started

    def disturb(self, rng: random.Random, kills: int) -> None:
        """Kill the experiment ``kills`` times, then let it end, and compare.

        Raises:
            TortureError: what must never happen happened.
        """
        started = time.monotonic()
        for number in range(kills):
            # As many stages are left to each of the other kills.
            stages = rng.randint(0, max(0, 2 * (self.stages - self._done()) // (kills - number + 1)))
            self._kill(rng, stages)
        self._finish(self.output)
        self.record.seconds = time.monotonic() - started
        self._compare()

    def _kill(self, rng: random.Random, stages: int) -> None:
        before = self._finished_files()
        wanted, started = self._done() + stages, time.monotonic()
        process = self._start(self.output)
        delay = rng.uniform(0, self.delay)
        while process.poll() is None and self._done() < wanted:
            if time.monotonic() - started > LIMIT:
                raise TortureError(f"the experiment took longer than {LIMIT:.0f} s")
            time.sleep(0.002)
        until = time.monotonic() + delay
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        workers = self._workers()
        hit = rng.choice(("runner", "runner, then cells", "cells, then runner"))
        if process.poll() is None:
            order = {"runner": [process.pid], "runner, then cells": [process.pid, *workers]}
            for number in order.get(hit, [*workers, process.pid]):
                _kill_process(number)
            self.record.kills.append(Kill(hit, time.monotonic() - started, self._done(), len(workers)))
        else:
            if process.returncode != 0:
                raise TortureError(f"the experiment ended with {process.returncode}: {self._log()}")
            self.record.survived += 1
        process.wait()
        self._check_nobody_is_left()
        after = self._finished_files()
        changed = [name for name, stamp in before.items() if after.get(name) != stamp]
        if changed:
            raise TortureError(f"finished files were written again: {', '.join(changed)}")
        if (self.output / "experiment.json").is_file():
            self._check_status()

    def _finish(self, output: Path) -> None:
        process = self._start(output)
        code = process.wait(LIMIT)
        if code != 0:
            raise TortureError(f"the experiment ended with {code}: {self._log()}")

    def _start(self, output: Path) -> subprocess.Popen[bytes]:
        arguments = ["experiment", "run", str(self.file), "--output", str(output), "--resume"]
        with (self.folder / "commands.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "taxotext", *arguments], env=_environment(), stdout=log, stderr=log
            )

    def _log(self) -> str:
        return (self.folder / "commands.log").read_text(encoding="utf-8")[-2000:]

    def _done(self) -> int:
        return sum(1 for name in ("fit.json", "speed.json") for _ in self.output.glob(f"cells/*/{name}"))

    def _finished_files(self) -> dict[str, tuple[int, int]]:
        """Files of finished stages with what changes when one is written."""
        found = {}
        for path in self.output.glob("cells/*/*.json"):
            if path.name in {"fit.json", "speed.json"}:
                json.loads(path.read_text(encoding="utf-8"))  # whole, whenever the kill came
                found[str(path.relative_to(self.output))] = (path.stat().st_mtime_ns, path.stat().st_ino)
        return found

    def _workers(self) -> list[int]:
        """Processes that work on cells of this experiment."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode(errors="replace").split("\0")
            except OSError:  # it ended in between
                continue
            if "taxotext.experiments.worker" in words and any(word.startswith(str(self.output)) for word in words):
                found.append(int(path.parent.name))
        return found

    def _check_nobody_is_left(self) -> None:
        until = time.monotonic() + GONE
        while left := self._workers():
            if time.monotonic() > until:
                raise TortureError(f"processes outlived the runner by {GONE:.0f} s: {left}")
            time.sleep(0.02)

    def _check_status(self) -> None:
        """Nothing is at work; a process that was just killed may hold its lock for a moment longer than its memory."""
        from taxotext.experiments.status import experiment_status

        until = time.monotonic() + GONE
        while True:
            status = experiment_status(self.output)
            if not status.running and all(cell.state not in {"training", "measuring"} for cell in status.cells):
                return
            if time.monotonic() > until:
                raise TortureError(f"status speaks of work that nobody does: {status.counts}")
            time.sleep(0.05)

    def _compare(self) -> None:
        for name, read in (("table.json", figures_of), ("table.csv", columns_of)):
            first, second = read(self.reference / name), read(self.output / name)
            if first != second:
                raise TortureError(f"{name} differs from the undisturbed run:\n{first}\n{second}")
        names = {path.name for path in (self.reference / "cells").iterdir()}
        if names != {path.name for path in (self.output / "cells").iterdir()}:
            raise TortureError("there are other cells than in the undisturbed run")
        for name in sorted(names):
            here, there = self.output / "cells" / name, self.reference / "cells" / name
            if (here / "answers.safetensors").read_bytes() != (there / "answers.safetensors").read_bytes():
                raise TortureError(f"{name}: other answers than in the undisturbed run")
            self.record.resumed_attempts[name] = json.loads((here / "fit.json").read_text())["attempts"]
        left = [path for path in self.output.rglob("*") if path.name.endswith((".tmp", ".old"))]
        if left:
            raise TortureError(f"was left behind: {', '.join(map(str, left))}")
        self.record.cells = len(names)


def figures_of(path: Path) -> Any:
    """The table without what depends on time and machine."""
    summary = json.loads(path.read_text(encoding="utf-8"))
    for corpus in summary["corpora"]:
        for row in corpus["rows"]:
            row["costs"] = {name: row["costs"][name] for name in ("parameters",)}
    return {name: summary[name] for name in ("name", "metrics", "corpora", "incomplete", "sources", "significance")}


def columns_of(path: Path) -> list[dict[str, str]]:
    """The CSV without its costs."""
    timed = ("_seconds", "per_second", "_ms", "_mb")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if not any(part in name for part in timed)} for row in rows]


def _environment() -> dict[str, str]:
    paths = [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}


def _kill_process(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 when anything broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was done there")
    given = parser.parse_args(arguments)
    broken = ""
    sys.path.insert(0, str(REPOSITORY / "src"))
    with tempfile.TemporaryDirectory(prefix="taxotext-torture-") as name:
        disturbed = Disturbed(Path(name), EXPERIMENT, stages=24)
        try:
            disturbed.run_reference()
            print(f"undisturbed: {disturbed.record.reference_seconds:.0f} s", flush=True)
            disturbed.disturb(random.Random(given.seed), given.kills)
        except TortureError as error:
            broken = str(error)
    record = disturbed.record
    for kill in record.kills:
        print(f"killed {kill.hit} after {kill.seconds:.1f} s, {kill.stages_done} stages done, {kill.at_work} at work")
    print(f"{record.cells} cells, {len(record.kills)} kills, {record.survived} came too late, {record.seconds:.0f} s")
    print(broken or "the table is that of the undisturbed run")
    if given.json is not None:
        content = {"seed": given.seed, "broken": broken, **asdict(record)}
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
