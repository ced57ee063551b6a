"""Competitors in turn on one machine, their times, and the table of ratios."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import taxotext


@dataclass(frozen=True)
class Taken:
    """Seconds that a stretch of work took: on the clock, and of all threads of this process."""

    wall: float
    cpu: float

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.wall + other.wall, self.cpu + other.cpu)


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


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Run the competitors in turn, ``repeats`` times, in an order that is turned round each time."""
    names = list(case.competitors)
    for name in names:
        case.competitors[name](True)
    times: dict[str, list[Timings]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else reversed(names):
            gc.collect()
            taken = case.competitors[name](False)
            times[name].append(taken)
            figures = ", ".join(f"{part} {both.wall:.1f} s (CPU {both.cpu:.1f} s)" for part, both in taken.items())
            print(f"  {case.title}, {name}: {figures}", file=sys.stderr, flush=True)
    return {"title": case.title, "documents": dict(case.documents), "times": _plain(times)}


def _plain(times: Mapping[str, Sequence[Timings]]) -> dict[str, Any]:
    return {
        name: [{work: asdict(t) for work, t in timings.items()} for timings in rounds] for name, rounds in times.items()
    }


@contextmanager
def stopwatch(timings: Timings, name: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    timings[name] = Taken(time.perf_counter() - wall, time.process_time() - cpu)


def machine() -> dict[str, Any]:
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
