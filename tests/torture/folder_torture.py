"""Thousands of damaged model folders, runs, corpora, taxonomies and settings: each ends with a result or one sentence.

``make torture`` runs it::

    python tests/torture/folder_torture.py --cases 5000 --seed 1 --json folders.json

Each case is a copy of something sound, damaged by :mod:`mutators`, and one command of the command line. It runs in a
process of its own, so that its memory and signals are its own: a fork of this one, which has imported what commands
import, and has computed nothing. The sound material is made by other processes, because threads of a library that has
computed do not live on in a fork.

A case is broken where its process ends with a traceback or an error of ours, dies of a signal, takes longer than
:data:`SECONDS`, waits for ever, or needs :data:`EXTRA` bytes more than the undamaged folder; settings may ask for a
network of any size that the machine has room for. ``serve`` is asked for labels once it is up, then told to stop. A
case is known by its kind and its seed: ``--only model:1.23`` runs it again and shows what it says.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import material
import mutators

SECONDS = 20.0
"""Processor time that a command may take. By the clock it may take longer: the machine may be busy."""
STUCK = 60.0
"""Seconds without any processor time after which a command waits for something that never comes."""
EXTRA = 2**30
"""Bytes beyond what the command needs with the undamaged folder."""
MOST = 12 * 2**30
"""Bytes that no process may ask the system for, so that the machine lives on."""
CODES = {0, 1, 2}
"""Exit codes of a command that did what it should; 1: `data check` found errors."""
STOPPED = 143
"""Exit code of `serve` that was told to stop."""
SIGNS = ("Traceback (most recent call last)", "error inside the program")

Case = tuple[list[str], str]
"""Arguments of a command, and what was damaged."""


@dataclass
class Verdict:
    """How one case ended."""

    case: str
    damage: str
    arguments: str
    broken: str
    code: int
    seconds: float
    mib: float
    said: str


def model_case(rng: random.Random, made: material.Material, place: Path) -> Case:
    """A damaged model folder, read by a command."""
    name = rng.choice(list(made.models))
    model = place / "model"
    shutil.copytree(made.models[name], model)
    damage = mutators.model_folder(rng, model, list(made.models.values()))
    data = [f"--train={made.train}", f"--validation={made.test}", f"--taxonomy={made.taxonomy}"]
    commands = [["predict", str(model), str(made.test)]] * 4 + [
        ["predict", str(model), str(made.test), "--tree"],
        ["predict", str(model), str(made.test), "--all-scores"],
        ["evaluate", str(model), str(made.test)],
        ["evaluate", str(model), str(made.test), "--all", "--per-label", "--record"],
        ["tune", str(model)],
        ["tune", str(model), "--calibration", "isotonic", "--metric", "macro_f1"],
        ["explain", str(model), str(made.test), "--documents", "1"],
        ["labels", str(model)],
        ["status", str(model)],
        ["export", str(model), "--to", "onnx", "--output", str(place / "onnx")],
        ["export", str(model), "--to", "onnx", "--int8", "--data", str(made.test), "--output", str(place / "onnx")],
        ["export", str(model), "--to", "hf", "--output", str(place / "hf")],
        ["explain", str(model), str(made.test), "--documents", "1", "--mode", "mask"],
        ["labels", str(model), "--map", str(place / "map.svg")],
        ["push", str(model), "nobody/nothing"],
        ["serve", str(model), "--port", "0"],
        ["serve", str(model), str(made.models["linear"]), "--port", "0", "--watch", "0"],
        ["predict", str(model), str(made.test), "--shards", "2", "--jobs", "1", "--output", str(place / "shards")],
        [
            "train",
            "--model=mixed",
            f"members=[{model},{made.models['linear']}]",
            *data,
            f"--output={place / 'mixture'}",
        ],
        ["train", "--model=kim_cnn", f"loss.weights_from={model}", *data, f"--output={place / 'o'}", "--dry-run"],
        ["report", str(model), "--output", str(place / "report.html")],
        ["compare", str(model), str(made.models["linear"]), "--data", str(made.test), "--samples", "10"],
        ["data", "check", str(made.test), "--model", str(model)],
    ]
    return rng.choice(commands), f"{name}: {damage}"


def run_case(rng: random.Random, made: material.Material, place: Path) -> Case:
    """A damaged run folder, looked at or continued for a few steps."""
    name = rng.choice(list(made.runs))
    source, arguments = made.runs[name]
    shutil.copytree(source, place / "run")
    run = place / "run" / "model.run"
    damage = [name]
    for _ in range(rng.choice((1, 1, 2))):
        files = sorted(path for path in run.rglob("*") if path.is_file())
        damage.append(mutators.folder(rng, run, []) if rng.random() < 0.12 else mutators.file(rng, rng.choice(files)))
    model = str(place / "run" / "model")
    if rng.random() < 0.35:
        return ["status", model], "; ".join(damage)
    # A run is bound to its settings; only the memory check and the time limit may change.
    return ["train", *arguments, f"--output={model}", "--resume"], "; ".join(damage)


def experiment_case(rng: random.Random, made: material.Material, place: Path) -> Case:
    """A damaged folder of an experiment, looked at."""
    assert made.experiment is not None
    folder = place / "experiment"
    shutil.copytree(made.experiment, folder)
    damage = []
    for _ in range(rng.choice((1, 1, 2))):
        if rng.random() < 0.1:
            damage.append(mutators.folder(rng, folder, []))
            continue
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_size]
        ours = [path for path in files if path.parent.name != "model"]
        damage.append(mutators.file(rng, rng.choice(sorted(ours if rng.random() < 0.9 else files))))
    commands = [["experiment", "show", str(folder)]] * 3 + [
        ["experiment", "show", str(folder), "--json"],
        ["experiment", "status", str(folder)],
        ["experiment", "status", str(folder), "--json"],
        ["report", str(folder), "--output", str(place / "report.html")],
    ]
    return rng.choice(commands), "; ".join(damage)


def search_case(rng: random.Random, made: material.Material, place: Path) -> Case:
    """A damaged folder of a search, gone on with."""
    assert made.search is not None
    source, arguments = made.search
    folder = place / "search"
    shutil.copytree(source, folder)
    files = sorted(path for path in folder.glob("*") if path.is_file() and path.suffix in {".json", ".jsonl", ".yaml"})
    damage = mutators.file(rng, rng.choice(files)) if rng.random() < 0.85 else mutators.folder(rng, folder, [])
    return [*arguments, f"--output={folder}", "--resume", "--trials=3"], damage


def shards_case(rng: random.Random, made: material.Material, place: Path) -> Case:
    """A damaged folder of shards, gone on with."""
    assert made.shards is not None
    source, arguments = made.shards
    folder = place / "shards"
    shutil.copytree(source, folder)
    damage = []
    for _ in range(rng.choice((1, 1, 2))):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        damage.append(mutators.folder(rng, folder, []) if rng.random() < 0.3 else mutators.file(rng, rng.choice(files)))
    return [*arguments, f"--output={folder}", rng.choice(("--resume", "--resume", "--overwrite"))], "; ".join(damage)


def corpus_case(rng: random.Random, made: material.Material, place: Path) -> Case:
    """A damaged corpus, read by a command."""
    source = rng.choice(made.corpora)
    corpus = place / source.name
    shutil.copy(source, corpus)
    damage = [source.name] + [mutators.file(rng, corpus) for _ in range(rng.choice((1, 1, 2)))]
    from taxotext.data.formats.table import FORMATS

    form = ["--input-format", source.stem] if rng.random() < 0.7 and source.stem in FORMATS else []
    linear = str(made.models["linear"])
    commands = [
        ["data", "check", str(corpus), *form],
        ["data", "check", str(corpus), "--taxonomy", str(made.taxonomy), *form],
        ["data", "stats", str(corpus), *form],
        ["data", "convert", str(corpus), str(place / "out.jsonl"), *form],
        ["predict", linear, str(corpus), *form],
        ["evaluate", linear, str(corpus), *form],
        ["train", "--model=linear", f"--train={corpus}", f"--output={place / 'model'}", "--threads=1"],
    ]
    return rng.choice(commands), "; ".join(damage)


def taxonomy_case(rng: random.Random, made: material.Material, place: Path) -> Case:
    """A damaged taxonomy, read by a command."""
    source = rng.choice(made.taxonomies)
    taxonomy = place / source.name
    shutil.copy(source, taxonomy)
    damage = [source.name] + [mutators.file(rng, taxonomy) for _ in range(rng.choice((1, 1, 2)))]
    commands = [
        ["data", "tree", str(taxonomy)],
        ["data", "convert-taxonomy", str(taxonomy), str(place / "out.tsv")],
        ["data", "check", str(made.train), "--taxonomy", str(taxonomy)],
        ["data", "stats", str(made.train), "--taxonomy", str(taxonomy)],
    ]
    return rng.choice(commands), "; ".join(damage)


def settings_case(rng: random.Random, made: material.Material, place: Path) -> Case:
    """Odd settings, of which a training tries a few batches."""
    source = rng.choice(made.configs)
    config = place / source.name
    shutil.copy(source, config)
    damage, given = [source.stem], []
    if rng.random() < 0.3:
        damage.append(mutators.file(rng, config))
    else:
        for _ in range(rng.choice((1, 1, 2))):
            given.append(_assignment(rng, source))
        damage += given
    data = [f"--train={made.train}", f"--validation={made.test}", f"--taxonomy={made.taxonomy}"]
    output = [f"--output={place / 'model'}", "--dry-run"]
    return ["train", str(config), *given, *data, *output], "; ".join(damage)


def _assignment(rng: random.Random, config: Path) -> str:
    import yaml

    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    path: list[str] = []
    here = content
    while isinstance(here, dict) and here:
        path.append(rng.choice(list(here)))
        here = here[path[-1]]
    value = mutators.leaf(rng, here)
    return f"{'.'.join(path)}={json.dumps(value)}"[:100_000].replace("\x00", "")


KINDS: dict[str, tuple[Callable[[random.Random, material.Material, Path], Case], int]] = {
    "model": (model_case, 6),
    "run": (run_case, 2),
    "corpus": (corpus_case, 3),
    "taxonomy": (taxonomy_case, 2),
    "settings": (settings_case, 4),
    "experiment": (experiment_case, 2),
    "search": (search_case, 1),
    "shards": (shards_case, 1),
}
"""Kind of case, and how often it comes."""


class Torture:
    """Runs cases over sound material.

    Args:
        made: the material.
        place: empty folder for the copies.
    """

    def __init__(self, made: material.Material, place: Path) -> None:
        self.made, self.place = made, place
        place.mkdir()
        self.honest = self._run("honest", ["predict", str(made.models["bert"]), str(made.test)], "", float("inf")).mib

    def case(self, name: str) -> Verdict:
        """Run one case, such as ``model:123``."""
        kind = name.partition(":")[0]
        place = self.place / name.replace(":", "-")
        place.mkdir(parents=True)
        rng = random.Random(name)
        try:
            arguments, damage = KINDS[kind][0](rng, self.made, place)
            most = MOST if kind == "settings" else self.honest * 2**20 + EXTRA
            return self._run(name, arguments, damage, most / 2**20)
        finally:
            for path in place.rglob("*"):
                if not path.is_symlink() and path.is_file():
                    path.chmod(0o600)
            shutil.rmtree(place)

    def _run(self, name: str, arguments: list[str], damage: str, most: float) -> Verdict:
        """Run a command in a fork of this process, which has imported what commands import."""
        said = self.place / "said"
        said.write_bytes(b"")
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            _child(arguments, said)
        broken, worked, moved, asked = "", 0.0, time.monotonic(), arguments[0] != "serve"
        while True:
            found, status, usage = os.wait4(process, os.WNOHANG)
            if found:
                break
            if (now := _worked(process)) > worked:
                worked, moved = now, time.monotonic()
            elif time.monotonic() - moved > STUCK:
                broken = f"waited for {STUCK:.0f} s"
                os.kill(process, signal.SIGKILL)
                found, status, usage = os.wait4(process, 0)
                break
            if not asked and (address := re.search(rb"at (http://\S+) ", said.read_bytes())):
                asked = _ask(address[1].decode())
                if asked:
                    os.kill(process, signal.SIGTERM)
            time.sleep(0.005)
        text = said.read_text(encoding="utf-8", errors="replace")
        seconds, mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        code = os.waitstatus_to_exitcode(status)
        if not broken:
            if code < 0:
                broken = f"died of {signal.Signals(-code).name}"
            elif any(sign in text for sign in SIGNS):
                broken = "traceback"
            elif code not in CODES and not (arguments[0] == "serve" and code == STOPPED):
                broken = f"exit code {code}"
            elif seconds > SECONDS:
                broken = f"took {seconds:.0f} s"
            elif mib > most:
                broken = f"took {mib:.0f} MiB"
        return Verdict(name, damage[:400], " ".join(arguments)[:300], broken, code, seconds, mib, text[-1500:])


def _ask(address: str) -> bool:
    """Ask a server for labels; whether it has answered, as soon as it has read its models."""
    body = json.dumps({"texts": ["a cat purrs", "", "the dog barks today"]}).encode()
    request = urllib.request.Request(f"{address}/predict", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            response.read()
    except urllib.error.HTTPError as error:
        return error.code != 503
    except OSError:  # it has ended, or is not up yet
        return False
    return True


def _worked(process: int) -> float:
    """Processor time (user and system) of a process so far, in ticks of the system, and of those it waited for."""
    with contextlib.suppress(OSError):  # it has just ended
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return sum(map(float, fields[11:15]))
    return 0.0


def _child(arguments: list[str], said: Path) -> None:
    """Be the command line; ends the process."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
        resource.setrlimit(resource.RLIMIT_CPU, (int(2 * SECONDS), int(2 * SECONDS) + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        target = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream, number in ((nothing, 0), (nothing, 1), (target, 2)):
            os.dup2(stream, number)
        from taxotext.cli import main

        sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


LAZY = ("lightning.pytorch", "onnxruntime", "pandas", "pyarrow.parquet", "rdflib", "sklearn.linear_model", "uvicorn")
"""What commands import only where they need it."""


def warm_up() -> None:
    """Import what commands import, once for all of them."""
    import torch
    import transformers
    from transformers import AutoConfig, AutoModel  # noqa: F401  # slow to import

    import taxotext

    for module in pkgutil.walk_packages(taxotext.__path__, "taxotext."):
        if not module.name.rpartition(".")[2].startswith("__"):
            import_module(module.name)
    for name in LAZY:
        import_module(name)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    gc.collect()
    gc.freeze()  # a collection in a fork would copy the pages of all these objects


def run_cases(made: material.Material, names: list[str], place: Path, target: Path, *, aloud: bool) -> float:
    """Run cases one after another, write their verdicts to ``target``, and return the memory of an honest command."""
    torture = Torture(made, place)
    with target.open("w", encoding="utf-8") as file:
        for number, name in enumerate(names, 1):
            verdict = torture.case(name)
            file.write(json.dumps(asdict(verdict)) + "\n")
            file.flush()
            if verdict.broken or aloud:
                found = f"{verdict.broken or 'fine'} [{verdict.damage}] {verdict.arguments}"
                print(f"{name}: {found}\n{verdict.said}\n", flush=True)
            if number % 100 == 0:
                print(f"... {number} cases", flush=True)
    return torture.honest


def main() -> None:
    """Run the cases, and list what broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="cases side by side")
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated")
    parser.add_argument("--only", nargs="*", help="cases such as model:1.23")
    parser.add_argument("--material", type=Path, help="folder that keeps the sound folders for the next time")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    os.environ |= material.environment()
    with tempfile.TemporaryDirectory(prefix="taxotext-torture-") as scratch:
        place = given.material or Path(scratch) / "material"
        subprocess.run([sys.executable, material.__file__, str(place)], env=material.environment(), check=True)
        warm_up()
        made = material.make(place)
        kinds = given.kinds.split(",")
        names = given.only or [
            f"{kind}:{given.seed}.{number}"
            for number, kind in enumerate(
                random.Random(given.seed).choices(kinds, [KINDS[kind][1] for kind in kinds], k=given.cases)
            )
        ]
        children = []
        for job in range(given.jobs):
            if (child := os.fork()) == 0:
                results = Path(scratch) / f"{job}.jsonl"
                try:
                    run_cases(
                        made, names[job :: given.jobs], Path(scratch) / f"cases-{job}", results, aloud=bool(given.only)
                    )
                    os._exit(0)
                except BaseException:  # the folder of all cases is not this process's to remove
                    traceback.print_exc()
                    os._exit(1)
            children.append(child)
        ended = [os.waitpid(child, 0)[1] for child in children]
        lines = [line for job in range(given.jobs) for line in (Path(scratch) / f"{job}.jsonl").open(encoding="utf-8")]
    verdicts = [Verdict(**json.loads(line)) for line in lines]
    if given.json:
        given.json.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=1), encoding="utf-8")
    broken = Counter(verdict.broken for verdict in verdicts if verdict.broken)
    slowest = max(verdicts, key=lambda verdict: verdict.seconds)
    largest = max(verdicts, key=lambda verdict: verdict.mib)
    print(f"{len(verdicts)} cases; broken: {dict(broken) or 'none'}")
    print(f"most {largest.mib:.0f} MiB ({largest.case}), slowest {slowest.seconds:.1f} s ({slowest.case})")
    sys.exit(bool(broken) or any(ended))


if __name__ == "__main__":
    main()
