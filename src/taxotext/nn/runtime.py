"""Device, precision and threads as the hardware has them."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from taxotext.errors import ConfigError

ALLOCATOR_VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Environment variables by which a user sets glibc's allocator."""
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>
_NEVER_TRIM = 2**31 - 1
_THREADS_BEFORE: list[int] = []
"""CPU threads of the process before the settings of a system changed them; empty where none has."""


@dataclass(frozen=True)
class Runtime:
    """A resolved choice."""

    device: torch.device  # where tensors live
    bf16: bool  # train under bf16 autocast (weights and optimiser stay in float32)
    predict_bf16: bool  # predict under bf16 autocast

    @contextlib.contextmanager
    def autocast(self, training: bool) -> Iterator[None]:
        """Context of a forward pass."""
        enabled = self.bf16 if training else self.predict_bf16
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            yield


def resolve_runtime(
    device: str, precision: str, predict_precision: str = "float32", threads: int | None = None
) -> Runtime:
    """Turn settings into what this machine has; sets the number of CPU threads of the process.

    Args:
        threads: None: as many as before an earlier call set another number.

    Raises:
        ConfigError: when the device is unknown or not there.
    """
    if threads is not None:
        if not _THREADS_BEFORE:
            _THREADS_BEFORE.append(torch.get_num_threads())
        torch.set_num_threads(threads)
    elif _THREADS_BEFORE:
        torch.set_num_threads(_THREADS_BEFORE.pop())
    chosen = _device(device)
    if chosen.type == "cpu":
        keep_memory()
    bf16 = _has_bf16(chosen) if precision == "auto" else precision == "bf16"
    return Runtime(chosen, bf16, predict_precision == "bf16")


@functools.cache
def keep_memory() -> bool:
    """Let glibc keep the memory that tensors free, for the next ones, once for the process.

    By default each large tensor is memory of its own, given back to the system when it is freed. The next batch
    then waits for the system to clear as many pages again: a third of the time of a training on a CPU. The price is
    that the process stays as large as it ever was. Who has set the allocator in the environment is left alone.

    Returns:
        Whether anything was changed; other systems and C libraries are left as they are.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in ALLOCATOR_VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM))


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"runtime.device: {name!r} is not a device; use auto, cpu, cuda, cuda:1 or mps.") from None
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing or device.type not in {"cpu", "cuda", "mps"}:
        raise ConfigError(f"runtime.device: {name!r} is not there on this machine; use auto or cpu.")
    return device


def _has_bf16(device: torch.device) -> bool:
    """Whether bf16 is a gain: processors without native instructions emulate it, slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False
