"""Will a training fit into memory? An estimate from documents, tokens, labels, parameters and batch size.

An estimate names the large arrays only, and is a little below what a training takes: one that it refuses cannot fit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from taxotext.errors import ConfigError

Phase = Literal["always", "training", "scoring"]
GIB = 2**30


@dataclass(frozen=True)
class Need:
    """One large thing that a training holds."""

    what: str  # in words
    size: int  # bytes
    advice: str = ""  # which setting makes it smaller, as half a sentence; empty where none does
    # when it is held; what belongs to `training` is gone while documents are scored, and the reverse
    phase: Phase = "always"
    on_device: bool = False  # in the memory of the GPU rather than of the machine
    held: bool = False  # there already when the estimate is made, so that free memory is what is left beside it


def peak(needs: Sequence[Need]) -> tuple[int, list[Need]]:
    """Bytes of the phase that takes most, and what is held then, the largest first.

    >>> needs = [Need("a", 5), Need("b", 3, phase="training"), Need("c", 4, phase="scoring")]
    >>> size, held = peak(needs)
    >>> size, [need.what for need in held]
    (9, ['a', 'c'])
    """
    phases: tuple[Phase, Phase] = ("training", "scoring")
    held = [[need for need in needs if need.phase in ("always", phase)] for phase in phases]
    most = max(held, key=lambda part: sum(need.size for need in part))
    return sum(need.size for need in most), sorted(most, key=lambda need: -need.size)


def check_memory(needs: Sequence[Need], *, device_free: int | None = None, free: int | None = None) -> None:
    """Refuse a training that cannot fit.

    Args:
        needs: of the whole training.
        device_free: free bytes of the GPU, if there is one.
        free: free bytes of the machine; None: looked up, and not checked where they cannot be known.

    Raises:
        ConfigError: with what takes most, and the setting to change.
    """
    for on_device, limit in ((True, device_free), (False, available() if free is None else free)):
        size, held = peak([need for need in needs if need.on_device == on_device and not need.held])
        if limit is None or size <= limit:
            continue
        where = "on the GPU" if on_device else "of memory"
        advice = [need.advice for need in held if need.advice and need.size * 5 >= size] or [
            next((need.advice for need in held if need.advice), "take a machine with more memory")
        ]
        raise ConfigError(
            f"This training needs about {shown(size)} {where}, and {shown(limit)} are free: {'; or '.join(advice)}. "
            "(runtime.check_memory=false starts it anyway.)",
            [f"{need.what}: {shown(need.size)}" for need in held[:4] if need.size * 50 >= size],
        )


def sentence(needs: Sequence[Need], *, device_free: int | None = None) -> str:
    """What a training needs and what is free, for people."""
    parts = []
    on_device = [need for need in needs if need.on_device]
    if on_device:
        free = "" if device_free is None else f" of {shown(device_free)} that are free"
        parts.append(f"about {shown(peak(on_device)[0])}{free} on the GPU")
    here = available()
    free = "" if here is None else f" of {shown(here)} that are free"
    parts.append(f"about {shown(peak([need for need in needs if not need.on_device])[0])}{free} in memory")
    return "It needs " + " and ".join(parts) + "."


def shown(size: float) -> str:
    """Bytes for people.

    >>> shown(3 * 2**30), shown(20 * 2**20), shown(0)
    ('3.0 GiB', '20 MiB', '0 MiB')
    """
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"


def available() -> int | None:
    """Bytes that this process can still take: free memory of the machine, or of its container where that is less.

    None where the system does not say.
    """
    found = [size for size in (_of_machine(), _of_container()) if size is not None]
    return max(0, min(found)) if found else None


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:  # macOS and others: the whole memory is the best that can be said without another package
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_container(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a control group leaves (versions 2 and 1); cached files of the group can be given up and count as free."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = int((root / limit).read_text())  # "max" where there is no limit: a ValueError
            held = int((root / used).read_text())
            rows = (root / limit).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):
            continue
        free = sum(int(row.split()[1]) for row in rows if row.startswith(f"{cached} "))
        return most - held + free
    return None
