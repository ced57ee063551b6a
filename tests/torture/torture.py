"""kill -9 at random moments of training, tuning and saving; whatever happens, the end must be as if undisturbed.

``make torture`` runs it::

    python tests/torture/torture.py --rounds 20 --seed 1 --json torture.json

Each round works through the command line with a tiny random encoder on the sample corpus. After each kill the model
folder must be absent or complete, and loadable; the command is then given again (``--resume`` for a training) until it
ends, and every file of the model must equal that of an undisturbed run byte by byte, the seconds that it took set
aside. Nothing half-written may be left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "src" / "taxotext" / "sample"
LIMIT = 300.0
"""Seconds that one command may take."""


class TortureError(AssertionError):
    """What must never happen happened."""


@dataclass
class Stage:
    """What was done to one stage, and how it ended."""

    name: str
    rounds: int = 0
    kills: int = 0
    survived: int = 0  # commands that ended before their kill came
    commands: int = 0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


class Workshop:
    """Runs commands in ``folder``, kills them, and compares what they leave.

    Args:
        folder: empty.
        data: arguments that name the data, such as ``--train FILE``.
        settings: ``key.path=value`` of the training.
        steps: batches of the whole training.
        run: how undisturbed commands are run; None: in a process of their own.
    """

    def __init__(
        self,
        folder: Path,
        data: Sequence[str],
        settings: Sequence[str],
        steps: int,
        run: Callable[[list[str]], None] | None = None,
    ) -> None:
        self.folder, self.data, self.settings, self.steps = folder, list(data), list(settings), steps
        self.run = run or self._run
        self.stages = {name: Stage(name) for name in ("training", "tuning", "saving", "replacing")}
        self.stage = self.stages["training"]

    # -- references --------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Train and tune undisturbed."""
        self.reference, self.tuned, self.other = (self.folder / name for name in ("reference", "tuned", "other"))
        self.run(self.train(self.reference))
        shutil.copytree(self.reference, self.tuned)
        self.run(self.tune(self.tuned))
        self.run(self.train(self.other, "seed=77", "training.epochs=1"))

    def train(self, output: Path, *more: str) -> list[str]:
        """Arguments of a training."""
        changed = {setting.partition("=")[0] for setting in more}
        settings = [setting for setting in self.settings if setting.partition("=")[0] not in changed]
        return ["train", "--model", "bert", "--no-tune", *self.data, "--output", str(output), *settings, *more]

    def tune(self, model: Path) -> list[str]:
        """Arguments of a tuning."""
        return ["tune", str(model), "--threads", "1"]

    # -- rounds ------------------------------------------------------------------------------------------------

    def training_round(self, rng: random.Random, kills: int = 3) -> None:
        """Kill a training up to ``kills`` times, each after a random number of steps."""
        with self._round("training") as place:
            output = place / "model"
            left = rng.randint(1, kills)
            resume: list[str] = []
            while left:
                left -= 1
                moment = _Checkpoints(place / "model.run/checkpoints/last.ckpt", rng.randint(1, self.steps // 2))
                if not self.kill(self.train(output, *resume), moment, rng.uniform(0, 0.06)):
                    break
                self.check(output, {"new": self.reference})
                resume = ["--resume"]
            self.run(self.train(output, "--resume"))
            self.check_end(output, self.reference)

    def tuning_round(self, rng: random.Random, *, writing: bool = True) -> None:
        """Kill ``tune`` while it writes (or anywhere after its start)."""
        with self._round("tuning") as place:
            output = place / "model"
            shutil.copytree(self.reference, output)
            moment = _Changed(output / "metrics.json") if writing else _Seconds(rng.uniform(0.5, 6.0))
            self.kill(self.tune(output), moment, rng.uniform(0, 0.02) if writing else 0.0)
            self.check_files(output, self.reference)
            self.check_loads(output, self.reference)
            self.run(self.tune(output))
            self.check_end(output, self.tuned)

    def saving_round(self, rng: random.Random, *, replace: bool) -> None:
        """Kill a training while it writes the model, beside nothing or over another model."""
        with self._round("replacing" if replace else "saving") as place:
            output = place / "model"
            if replace:
                shutil.copytree(self.other, output)
            arguments = self.train(output, *(["--overwrite"] if replace else []))
            self.kill(arguments, _Appears(place, r"\.model\..+\.tmp"), rng.uniform(0, 0.06))
            self.check(output, {"old": self.other, "new": self.reference} if replace else {"new": self.reference})
            self.run(self.train(output, "--resume"))
            self.check_end(output, self.reference)

    # -- commands ----------------------------------------------------------------------------------------------

    def kill(self, arguments: list[str], moment: Callable[[], bool], delay: float) -> bool:
        """Start a command, kill it ``delay`` seconds after ``moment``; False when it ended before."""
        log = self.folder / "commands.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(_command(arguments), env=_environment(), stdout=errors, stderr=errors)
        self.stage.commands += 1
        until = time.monotonic() + LIMIT
        try:
            while process.poll() is None and not moment():
                if time.monotonic() > until:
                    raise TortureError(f"{arguments[0]} took longer than {LIMIT:.0f} s")
                time.sleep(0.0005)
            if process.poll() is None:
                time.sleep(delay)
        finally:
            process.kill()
            process.wait()
        if process.returncode == -9:
            self.stage.kills += 1
            return True
        if process.returncode != 0:
            raise TortureError(f"{arguments[0]} ended with {process.returncode}: {log.read_text()[-2000:]}")
        self.stage.survived += 1
        return False

    def _run(self, arguments: list[str]) -> None:
        done = subprocess.run(
            _command(arguments), env=_environment(), capture_output=True, text=True, timeout=LIMIT, check=False
        )
        self.stage.commands += 1
        if done.returncode != 0:
            raise TortureError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")

    # -- checks ------------------------------------------------------------------------------------------------

    def check(self, output: Path, expected: dict[str, Path]) -> None:
        """The folder is absent, or complete and one of ``expected``; what is there loads.

        With an old model, one that can be loaded is there at every moment. Works on a copy, since loading repairs a
        replacement that was cut off.
        """
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(output.parent, copy)
        found = copy / output.name
        if not found.exists() and "old" not in expected:
            return
        if found.exists():
            self.check_files(found, next(iter(expected.values())))
        weights = (_load_weights(found), {name: _load_weights(model) for name, model in expected.items()})
        if weights[0] not in weights[1].values():
            raise TortureError(f"{output}: the model is neither of {', '.join(expected)}")

    def check_files(self, output: Path, like: Path) -> None:
        """All files are there under their names."""
        names = {path.name for path in output.iterdir() if not path.name.endswith(".tmp")}
        wanted = {path.name for path in like.iterdir()}
        if names != wanted:
            raise TortureError(f"{output}: holds {sorted(names ^ wanted)} too many or too few")

    def check_loads(self, output: Path, like: Path) -> None:
        """The model loads and has the weights of ``like``."""
        if _load_weights(output) != _load_weights(like):
            raise TortureError(f"{output}: has other weights")

    def check_end(self, output: Path, like: Path) -> None:
        """The finished model equals ``like`` and nothing else is left."""
        self.check_files(output, like)
        for path in sorted(like.iterdir()):
            if timeless(output / path.name) != timeless(path):
                raise TortureError(f"{output}: {path.name} differs from the undisturbed run")
        for path in [*output.parent.iterdir(), *output.iterdir()]:
            if path.name.startswith("."):
                raise TortureError(f"{path}: was left behind")
        run = output.with_name(f"{output.name}.run")
        left = {path.name for path in run.iterdir()} - {"logs"} if run.is_dir() else set()
        if left:
            raise TortureError(f"{run}: {', '.join(sorted(left))} was left behind")

    def _round(self, name: str) -> _Round:
        return _Round(self, name)


class _Round:
    """A folder and a stop-watch for one round; what broke is kept, and raised by who asks."""

    def __init__(self, workshop: Workshop, name: str) -> None:
        self.workshop = workshop
        workshop.stage = workshop.stages[name]

    def __enter__(self) -> Path:
        self.started = time.monotonic()
        stage = self.workshop.stage
        stage.rounds += 1
        self.place = self.workshop.folder / f"{stage.name}-{stage.rounds}"
        self.place.mkdir()
        return self.place

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        stage = self.workshop.stage
        stage.seconds += time.monotonic() - self.started
        if error is None:
            shutil.rmtree(self.place)
        elif isinstance(error, TortureError):
            stage.broken.append(str(error))


class _Checkpoints:
    """True when ``path`` was replaced ``times`` times."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.left, self.seen = path, times, _stamp(path)

    def __call__(self) -> bool:
        now = _stamp(self.path)
        if now is not None and now != self.seen:
            self.left -= 1
            self.seen = now
        return self.left <= 0


class _Changed(_Checkpoints):
    """True when ``path`` is another file than before."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 1)


class _Appears:
    """True when a name in ``folder`` matches ``pattern``."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self.folder, self.pattern = folder, re.compile(pattern)

    def __call__(self) -> bool:
        return any(self.pattern.fullmatch(name) for name in os.listdir(self.folder))


class _Seconds:
    """True some seconds after it was first asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.first = seconds, 0.0

    def __call__(self) -> bool:
        self.first = self.first or time.monotonic()
        return time.monotonic() - self.first >= self.seconds


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino


def timeless(path: Path) -> bytes:
    """Content of a file of a model folder without what depends on time or on repetition."""
    content = path.read_bytes()
    if path.name == "config.json":
        values = json.loads(content)
        values["facts"].pop("seconds")
        return json.dumps(values).encode()
    if path.name == "metrics.json":
        values = json.loads(content)
        # What the first of two tunings reached is what the second one starts from.
        for key in ("before", "before_tuned_here"):
            values.get("tuning", {}).pop(key, None)
        return json.dumps(values).encode()
    if path.name == "README.md":
        kept = [line for line in content.splitlines() if not line.startswith(b"| seconds |")]
        return b"\n".join(line for line in kept if not line.startswith(b"# "))
    return content


def _load_weights(model: Path) -> bytes:
    import taxotext

    taxotext.load(model)
    return (model / "weights.safetensors").read_bytes()


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "taxotext", *arguments]


def _environment() -> dict[str, str]:
    paths = [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}


def training_settings(encoder: Path, **values: object) -> list[str]:
    """Settings of a training on one core that saves a checkpoint behind each step."""
    chosen: dict[str, object] = {
        "encoder.source": encoder,
        "text.max_tokens": 32,
        "training.learning_rate": 2e-3,
        "training.head_learning_rate": 1e-2,
        "training.checkpoint_minutes": 0,
        "runtime.device": "cpu",
        "runtime.precision": "float32",
        "runtime.threads": 1,
        **values,
    }
    return [f"{key}={value}" for key, value in chosen.items()]


def _sample_words() -> list[str]:
    from collections import Counter

    counts: Counter[str] = Counter()
    for line in (SAMPLE / "train.jsonl").read_text(encoding="utf-8").splitlines():
        counts.update(re.findall(r"[a-z]+", json.loads(line)["text"].lower()))
    return [word for word, _ in counts.most_common(1500)]


def _sample_workshop(folder: Path) -> Workshop:
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from tiny import make_encoder

    encoder = make_encoder(folder / "encoder", _sample_words())
    data = [f"--train={SAMPLE / 'train.jsonl'}", f"--validation={SAMPLE / 'validation.jsonl'}"]
    data += [f"--taxonomy={SAMPLE / 'taxonomy.tsv'}", f"--names={SAMPLE / 'names.tsv'}"]
    documents = len((SAMPLE / "train.jsonl").read_text(encoding="utf-8").splitlines())
    epochs, batch_size = 4, 16
    values: dict[str, object] = {"training.epochs": epochs, "training.batch_size": batch_size}
    return Workshop(folder, data, training_settings(encoder, **values), epochs * -(-documents // batch_size))


def _print_table(stages: Sequence[Stage]) -> None:
    head = ("stage", "rounds", "kills", "too late", "broken", "seconds")
    print("  ".join(f"{name:>10}" for name in head))
    for stage in stages:
        row = (stage.name, stage.rounds, stage.kills, stage.survived, len(stage.broken), f"{stage.seconds:.0f}")
        print("  ".join(f"{value!s:>10}" for value in row))
    for stage in stages:
        for sentence in stage.broken:
            print(f"{stage.name}: {sentence}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds; 1 when anything broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20, help="of each stage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the metrics there")
    given = parser.parse_args(arguments)
    sys.path.insert(0, str(REPOSITORY / "src"))
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="taxotext-torture-") as name:
        workshop = _sample_workshop(Path(name))
        print(f"undisturbed runs, then {given.rounds} rounds of each stage, in {name}", flush=True)
        workshop.prepare()
        for number in range(given.rounds):
            rounds: list[Callable[[], None]] = [
                lambda: workshop.training_round(rng),
                lambda number=number: workshop.tuning_round(rng, writing=number % 4 > 0),
                lambda number=number: workshop.saving_round(rng, replace=number % 2 > 0),
            ]
            for step in rounds:
                try:
                    step()
                except TortureError:
                    print(f"round {number + 1}, {workshop.stage.name}: {workshop.stage.broken[-1]}", flush=True)
            print(f"round {number + 1} of {given.rounds} done", flush=True)
        stages = list(workshop.stages.values())
    _print_table(stages)
    if given.json is not None:
        content = {"seed": given.seed, "rounds": given.rounds, "stages": [asdict(stage) for stage in stages]}
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return int(any(stage.broken for stage in stages))


if __name__ == "__main__":
    sys.exit(main())
