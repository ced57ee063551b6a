"""kill -9 of a training along the taxonomy and of its workers, at random moments; the weights must be those of one
that nobody disturbed.

::

    python tests/torture/fits_torture.py --rounds 10 --seed 1 --json fits-torture.json

Each round trains ``htrans`` through the command line, with one or two processes, on seven labels of a tiny DAG: 49
small fits. A kill hits the main process, or a worker and nobody else, each after a random number of results and a
random delay. After each death of the main process no worker may be left, every result must still be there and
unchanged, and ``status`` must say that the training is interrupted. The command is then given again with ``--resume``.
In the end the model must equal the undisturbed one file by file, the seconds set aside, no result may have been written
twice, and nothing may be left behind.

``--small-disk DIR`` names a folder on a small file system of its own (say ``mount -t tmpfs -o size=4m tmpfs DIR``): it
is filled up during the training of two further rounds, and emptied again before ``--resume``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY / "tests")]

from hierarchies import (  # noqa: E402
    arguments,
    done,
    environment,
    timeless,
    tiny_run,
    wait_for,
    workers_of,
    write_tiny_data,
)

LIMIT = 600.0
"""Seconds that one command may take."""
GONE = 10.0
"""Seconds after which a process must not be there any more."""
RESULTS = 7 * (5 + 2 + 1)
"""Fits of two rungs and the choice, of each label."""


class TortureError(AssertionError):
    """What must never happen happened."""


@dataclass
class Record:
    """What was done, and how it ended."""

    rounds: int = 0
    commands: int = 0
    main_kills: int = 0
    worker_kills: int = 0
    survived: int = 0  # commands that ended before their kill came
    full_disks: int = 0
    results_at_kills: list[int] = field(default_factory=list)
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


class Disturbed:
    """Runs trainings, kills them, and compares what they end with.

    Args:
        folder: for data, models and logs.
        values: configuration of the training.
    """

    def __init__(self, folder: Path, values: dict[str, Any]) -> None:
        self.folder, self.values = folder, values
        self.record = Record()
        self.errors = folder / "commands.log"

    def prepare(self) -> None:
        """Train undisturbed, with one process."""
        reference = self.folder / "reference"
        self._finish(reference, 1)
        self.expected = timeless(reference)

    def round(self, rng: random.Random) -> None:
        """Disturb a training some times, let it end, and compare."""
        started = time.monotonic()
        self.record.rounds += 1
        output = self.folder / f"round-{self.record.rounds}" / "model"
        output.parent.mkdir()
        stamps: dict[str, int] = {}
        try:
            for _ in range(rng.randint(2, 4)):
                if not self._disturb(output, rng, stamps):
                    break
            self._finish(output, rng.choice((1, 2)))
            self._compare(output)
            shutil.rmtree(output.parent)
        except TortureError as error:
            self.record.broken.append(f"round {self.record.rounds}: {error}")
        self.record.seconds += time.monotonic() - started

    def full_disk(self, disk: Path, rng: random.Random) -> None:
        """Fill the disk while a training works there, make room, go on, and compare."""
        self.record.rounds += 1
        output, ballast = disk / f"round-{self.record.rounds}" / "model", disk / "ballast"
        output.parent.mkdir()
        try:
            wanted = rng.randint(3, RESULTS // 2)
            process = self._start(output, 2)
            self._wait(process, lambda: len(done(output)) >= wanted)
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1024))
            code = process.wait(LIMIT)
            told = self._log()
            if code != 2 or "What is done is kept: go on with --resume." not in told or "Traceback" in told:
                raise TortureError(f"on a full disk it ended with {code}: {told}")
            self._check_nobody_is_left(process.pid)
            before = _stamps(output)
            ballast.unlink()
            self._finish(output, 2)
            if not before:
                raise TortureError("nothing was kept")
            self._compare(output)
            shutil.rmtree(output.parent)
            self.record.full_disks += 1
        except TortureError as error:
            self.record.broken.append(f"full disk: {error}")

    # -- kills -------------------------------------------------------------------------------------------------

    def _disturb(self, output: Path, rng: random.Random, stamps: dict[str, int]) -> bool:
        """Start, kill workers perhaps and the main process in the end; False when it ended before."""
        process = self._start(output, rng.choice((1, 2, 2)))
        for _ in range(rng.randint(0, 2)):
            self._wait_for_results(process, output, rng)
            workers = workers_of(process.pid)
            if workers:
                _kill(rng.choice(workers))
                self.record.worker_kills += 1
                self.record.results_at_kills.append(len(done(output)))
        self._wait_for_results(process, output, rng)
        if process.poll() is None:
            process.kill()
        if process.wait() != -signal.SIGKILL:
            if process.returncode != 0:
                raise TortureError(f"it ended with {process.returncode}: {self._log()}")
            self.record.survived += 1
            return False
        self.record.main_kills += 1
        self._check_nobody_is_left(process.pid)
        now = _stamps(output)
        self.record.results_at_kills.append(len(now))
        changed = [key for key, stamp in stamps.items() if now.get(key) != stamp]
        if changed and not (output / "config.json").is_file():  # else it was finished, and about to clean up
            raise TortureError(f"results were lost or computed again: {', '.join(changed)}")
        stamps.update(now)
        self._check_status(output)
        return True

    def _wait_for_results(self, process: subprocess.Popen[bytes], output: Path, rng: random.Random) -> None:
        wanted = len(done(output)) + rng.randint(0, RESULTS // 4)
        self._wait(process, lambda: len(done(output)) >= wanted)
        time.sleep(rng.uniform(0, 0.5))

    def _wait(self, process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
        if not wait_for(lambda: process.poll() is not None or condition(), LIMIT):
            process.kill()
            raise TortureError(f"it took longer than {LIMIT:.0f} s: {self._log()}")

    def _check_nobody_is_left(self, parent: int) -> None:
        if not wait_for(lambda: not workers_of(parent), GONE):
            raise TortureError(f"workers outlived their parent by {GONE:.0f} s")

    def _check_status(self, output: Path) -> None:
        from taxotext.api.status import training_status
        from taxotext.errors import ModelFolderError

        try:
            status = training_status(output)
        except ModelFolderError:
            if output.with_name("model.run").exists() and any(done(output)):
                raise TortureError("status knows of no training") from None
            return  # killed before there was anything
        kept = len([key for key in done(output) if "." in key])
        if status.state == "training" or (status.fits is not None and status.fits.fits.done < kept):
            raise TortureError(f"status speaks of {status}")

    # -- commands ----------------------------------------------------------------------------------------------

    def _start(self, output: Path, processes: int) -> subprocess.Popen[bytes]:
        self.record.commands += 1
        words = arguments(self.values, output, "--resume", "--threads", str(processes))
        with self.errors.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "taxotext", *words], env=environment(), stdout=log, stderr=log
            )

    def _finish(self, output: Path, processes: int) -> None:
        process = self._start(output, processes)
        if process.wait(LIMIT) != 0:
            raise TortureError(f"it ended with {process.returncode}: {self._log()}")
        self._check_nobody_is_left(process.pid)

    def _log(self) -> str:
        return self.errors.read_text(encoding="utf-8", errors="replace")[-2000:]

    def _compare(self, output: Path) -> None:
        found = timeless(output)
        differing = [name for name in found.keys() | self.expected.keys() if found.get(name) != self.expected.get(name)]
        if differing:
            raise TortureError(f"differs from the undisturbed training: {', '.join(sorted(differing))}")
        left = [path for path in output.parent.rglob("*") if path.name.endswith((".tmp", ".old"))]
        run = output.with_name("model.run")
        left += [path for path in run.iterdir() if path.name != "logs"] if run.is_dir() else []
        if left:
            raise TortureError(f"was left behind: {', '.join(map(str, left))}")


def _stamps(output: Path) -> dict[str, int]:
    """Results with what changes when one is written again."""
    folder = output.with_name("model.run") / "checkpoints" / "done"
    found = {}
    for path in folder.glob("[0-9]*.json"):
        json.loads(path.read_text(encoding="utf-8"))  # whole, whenever the kill came
        found[path.stem] = path.stat().st_ino * 10**20 + path.stat().st_mtime_ns
    return found


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _values(folder: Path) -> dict[str, Any]:
    from tiny import tiny_corpus

    return {
        **tiny_run(write_tiny_data(folder, tiny_corpus())),
        "encoder": {"units": 4, "embedding_width": 8},
        "weights": {"candidates": [1, 2, 5, 10, 30], "rungs": [2]},
        "training": {"epochs": 4, "batch_size": 16, "checkpoint_minutes": 0},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds; 1 when anything broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small-disk", type=Path, metavar="DIR", help="on a file system of a few megabytes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was done there")
    given = parser.parse_args(arguments)
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="taxotext-torture-") as name:
        disturbed = Disturbed(Path(name), _values(Path(name)))
        disturbed.prepare()
        for number in range(given.rounds):
            disturbed.round(rng)
            print(f"round {number + 1} of {given.rounds} done", flush=True)
        for _ in range(2 if given.small_disk else 0):
            disturbed.full_disk(given.small_disk, rng)
            print("a disk was full", flush=True)
    record = disturbed.record
    print(
        f"{record.rounds} rounds, {record.commands} commands, {record.main_kills} kills of the main process, "
        f"{record.worker_kills} of workers, {record.survived} came too late, {record.full_disks} full disks, "
        f"{record.seconds:.0f} s"
    )
    print("\n".join(record.broken) or "the models are those of the undisturbed training")
    if given.json is not None:
        given.json.write_text(json.dumps({"seed": given.seed, **asdict(record)}, indent=2) + "\n", encoding="utf-8")
    return int(bool(record.broken))


if __name__ == "__main__":
    sys.exit(main())
