"""Competitors in turn on one machine, their times and memory, and the table of ratios.

Nothing but the standard library is imported here at the start, so that competitors in environments without Taxotext or
torch are measured by the same code, and their memory is their own.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

REMARK = "remark: "
"""Begins a line on stderr that a competitor wants shown beside its times."""


@dataclass(frozen=True)
class Taken:
    """Seconds that a stretch of work took: on the clock, and of all threads of this process (user and system).

    ``peak``: greatest resident memory of the process until its end, in bytes; 0 where the system does not say.
    """

    wall: float
    cpu: float
    peak: int = 0

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak))


Timings = dict[str, Taken]
"""Name of a stretch of work to what it took."""


@dataclass(frozen=True)
class Case:
    """A comparison.

    Attributes:
        title: what is compared.
        documents: documents that one measurement goes through, for each stretch of work.
        competitors: name to (warming up?) -> timings; the first one is Taxotext.
    """

    title: str
    documents: Mapping[str, int]
    competitors: Mapping[str, Callable[[bool], Timings]]


def measure(case: Case, repeats: int, start: Callable[[str], list[str]] | None = None) -> dict[str, Any]:
    """Run the competitors in turn, ``repeats`` times, in an order that is turned round each time.

    Each run is a process of its own, started with the arguments of this one: what one competitor changes in its
    process (threads, memory allocator, caches) does not reach the others.

    Args:
        case: what is compared.
        repeats: rounds.
        start: name of a competitor to the command that runs it once; None: this program with ``--only``.
    """
    names = list(case.competitors)
    times: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else reversed(names):
            command = start(name) if start else [sys.executable, *sys.argv, "--only", case.title, name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SystemExit(f"{case.title}, {name}:\n{done.stderr}")
            taken = json.loads(done.stdout.splitlines()[-1])
            times[name].append(taken)
            figures = ", ".join(f"{part} {t['wall']:.1f} s (CPU {t['cpu']:.1f} s)" for part, t in taken.items())
            print(f"  {case.title}, {name}: {figures}", file=sys.stderr, flush=True)
            for remark in (line for line in done.stderr.splitlines() if line.startswith(REMARK)):
                print(f"    {remark.removeprefix(REMARK)}", file=sys.stderr, flush=True)
    return {"title": case.title, "documents": dict(case.documents), "times": times}


def run_one(cases: Sequence[Case], title: str, name: str) -> None:
    """What the process of one competitor does: a run that is not counted, one that is, and its times as JSON."""
    competitor = next(case for case in cases if case.title == title).competitors[name]
    with redirect_stdout(sys.stderr):  # what libraries print must not get between the times
        competitor(True)
        gc.collect()
        taken = competitor(False)
    print(json.dumps({work: asdict(part) for work, part in taken.items()}))


@contextmanager
def stopwatch(timings: Timings, name: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    timings[name] = Taken(time.perf_counter() - wall, time.process_time() - cpu, peak_memory())


def peak_memory() -> int:
    """Of this process so far, in bytes: on Linux without that of the process that started it; 0 elsewhere."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def machine() -> dict[str, Any]:
    import torch

    import taxotext

    packages = ("torch", "transformers", "tokenizers", "lightning", "accelerate", "scikit-learn", "numpy")
    capabilities = torch.cpu.get_capabilities()
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "capabilities": sorted(name for name, there in capabilities.items() if there is True),
        "python": platform.python_version(),
        "versions": {"taxotext": taxotext.__version__, **{name: version(name) for name in packages}},
        "load before": os.getloadavg()[0],
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """One row for each competitor and stretch of work; ratios are medians over the rounds of one run."""
    lines = [
        "| case | work | competitor | median s | documents/s | Taxotext is faster by (range) | by CPU time |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for result in results:
        times = result["times"]
        ours = next(iter(times))
        for work, documents in result["documents"].items():
            for name, rounds in times.items():
                seconds = statistics.median(round_[work]["wall"] for round_ in rounds)
                pairs = [(theirs[work], mine[work]) for theirs, mine in zip(rounds, times[ours], strict=True)]
                ratios = [theirs["wall"] / mine["wall"] for theirs, mine in pairs]
                cpu = statistics.median(theirs["cpu"] / max(mine["cpu"], 1e-9) for theirs, mine in pairs)
                wall = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
                shown = "| |" if name == ours else f"{wall} | {cpu:.2f}x |"
                rate = f"{documents / seconds:,.1f}"
                lines.append(f"| {result['title']} | {work} | {name} | {seconds:.2f} | {rate} | {shown}")
    return "\n".join(lines)
