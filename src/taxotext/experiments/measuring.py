"""What a cell costs: memory of the process, speed of prediction, and the machine that it was measured on."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from taxotext import __version__
from taxotext.processes import usable_cores

PACKAGES = ("torch", "transformers", "tokenizers", "lightning", "scikit-learn", "numpy", "scipy")
BATCHES = (1, 32)
WARM_UP = 3
LEAST = 3
"""Batches before the clock starts, and behind it at least."""


def peak_memory() -> int:
    """Greatest resident memory of this process so far, in bytes.

    On Linux that of the program itself: ``getrusage`` would count the process that started it as well.
    """
    if found := _of_system("self/status", "VmHWM"):
        return int(found.split()[0]) * 1024
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def machine(threads: int) -> dict[str, Any]:
    """Processor, memory, and the versions that take part; no names of hosts or users."""
    total = _of_system("meminfo", "MemTotal")
    return {
        "processor": _of_system("cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": usable_cores(),
        "threads": threads,
        "memory_gb": None if total is None else round(int(total.split()[0]) * 1024 / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "accelerator": _accelerator(),
    }


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of the libraries that are installed."""
    found = {"taxotext": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def folder_size(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def spread(texts: Sequence[str], count: int) -> list[str]:
    """At most ``count`` texts, evenly spaced."""
    if len(texts) <= count:
        return list(texts)
    return [texts[position] for position in np.linspace(0, len(texts) - 1, count).round().astype(int).tolist()]


def measure_speed(
    predict: Callable[[list[str]], None], texts: Sequence[str], seconds: float, advance: Callable[[int], None]
) -> dict[str, Any]:
    """Time predictions, from texts to label sets.

    Each batch size is warmed up, then timed batch by batch, going round the texts, for ``seconds`` or once through,
    whichever is shorter. The clock of a batch is divided by its documents.

    Args:
        predict: answers the texts that it is given, completely.
        texts: at least one.
        seconds: of each measurement, at most (but three batches).
        advance: called with the number of timed documents.

    Returns:
        ``batch_1`` and ``batch_32``: ``p50_ms`` and ``p95_ms`` per document, ``batches``; ``documents_per_second``: all
        texts given together, in the batches that the system makes itself; ``documents``; ``load_before``: mean number
        of running processes of the last minute, None where the system does not say.
    """
    result: dict[str, Any] = {"documents": len(texts), "load_before": machine_load()}
    for size in BATCHES:
        batches = [list(texts[start : start + size]) for start in range(0, len(texts), size)]
        if len(batches) > 1 and len(batches[-1]) < size:
            batches.pop()  # a small one would be cheaper
        for number in range(WARM_UP):
            predict(batches[number % len(batches)])
        taken: list[float] = []
        until = time.perf_counter() + seconds
        while len(taken) < LEAST or (len(taken) < len(batches) and time.perf_counter() < until):
            batch = batches[len(taken) % len(batches)]
            started = time.perf_counter()
            predict(batch)
            taken.append(1000 * (time.perf_counter() - started) / len(batch))
            advance(len(batch))
        low, high = np.percentile(taken, [50, 95])
        result[f"batch_{size}"] = {"p50_ms": float(low), "p95_ms": float(high), "batches": len(taken)}
    count, started = 0, time.perf_counter()
    while not count or time.perf_counter() - started < min(seconds, 1.0):
        predict(list(texts))
        count += len(texts)
    result["documents_per_second"] = count / (time.perf_counter() - started)
    advance(count)
    return result


def machine_load() -> float | None:
    """Mean number of running processes of the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _of_system(file: str, name: str) -> str | None:
    """What a file of Linux below ``/proc`` says of a name, ``name: value``; None where it says nothing."""
    path = Path("/proc") / file
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), None)


def _accelerator() -> str | None:
    """The GPU, if torch is in use here and has one; it is not imported for this."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(0))
