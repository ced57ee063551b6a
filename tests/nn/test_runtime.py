"""Device, precision and threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from taxotext.errors import ConfigError
from taxotext.nn.runtime import ALLOCATOR_VARIABLES, keep_memory, resolve_runtime


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "cpu:a"])
def test_a_name_that_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"runtime.device: '{name}' is not a device; use auto, cpu, cuda"):
        resolve_runtime(name, "float32")


@pytest.mark.parametrize("name", ["cuda:77", "meta", "xpu"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"runtime.device: '{name}' is not there on this machine; use auto or cpu"):
        resolve_runtime(name, "float32")


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_runtime("auto", "float32").device == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_runtime("auto", "float32").device == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_runtime("auto", "float32").device == torch.device("cuda")


def test_threads_of_one_system_are_not_those_of_the_next() -> None:
    resolve_runtime("cpu", "float32")  # what systems of other tests have set is gone
    before = torch.get_num_threads()
    for asked, expected in ((before + 2, before + 2), (before + 1, before + 1), (None, before), (None, before)):
        resolve_runtime("cpu", "float32", threads=asked)
        assert torch.get_num_threads() == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx512": True, "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_auto_precision_is_bf16_only_where_the_processor_has_it(
    capabilities: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    chosen = resolve_runtime("cpu", "auto")
    assert chosen.bf16 is expected
    assert chosen.predict_bf16 is False


def test_asked_precisions_are_taken() -> None:
    assert resolve_runtime("cpu", "bf16").bf16
    assert not resolve_runtime("cpu", "float32").bf16
    assert resolve_runtime("cpu", "float32", "bf16").predict_bf16


def test_autocast_follows_the_precision_of_its_phase() -> None:
    runtime = resolve_runtime("cpu", "bf16", "float32")
    a = torch.ones(2, 2)
    with runtime.autocast(training=True):
        assert (a @ a).dtype == torch.bfloat16
    with runtime.autocast(training=False):
        assert (a @ a).dtype == torch.float32


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator is glibc's")
def test_freed_tensors_stay_with_the_process() -> None:
    program = """
import resource, sys, torch
from taxotext.nn.runtime import resolve_runtime
if sys.argv[1] == "ours":
    resolve_runtime("cpu", "float32", threads=1)
for number in range(14):
    torch.ones(20_000_000)
    if number == 9:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {name: value for name, value in os.environ.items() if name not in ALLOCATOR_VARIABLES}
    faults = {
        side: int(subprocess.check_output([sys.executable, "-c", program, side], env=environment))
        for side in ("ours", "plain")
    }
    assert faults["ours"] < faults["plain"] / 5


def test_an_allocator_that_the_user_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    assert not keep_memory.__wrapped__()


def test_the_number_of_threads_is_set() -> None:
    before = torch.get_num_threads()
    try:
        resolve_runtime("cpu", "float32", threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
