"""What a worker of a Ray cluster runs."""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

from taxotext import __version__
from taxotext.work.requests import Outcome, Request, bug, compute


def run_requests(
    asked: Sequence[tuple[str, str, dict[str, Any]]], threads: int, version: str, folder: str
) -> list[dict[str, Any]]:
    """Compute some requests one after the other.

    Args:
        asked: key, task and arguments of each.
        threads: of torch, as many as the task has CPUs.
        version: of the program that asks.
        folder: in which that program was started; relative names of files begin there.

    Returns:
        for each request its ``report`` or ``failure``, and the ``seconds`` that it took.
    """
    fault = _fault(version, folder)
    return [{**_answer(key, Request(task, given), threads, fault)} for key, task, given in asked]


def _fault(version: str, folder: str) -> str:
    """Why this machine can compute nothing; empty where it can."""
    here = socket.gethostname()
    if version != __version__:
        return f"The machine {here} of the Ray cluster has taxotext {__version__}, not {version}; install it there."
    try:
        os.chdir(folder)
    except OSError as error:
        return (
            f"The machine {here} of the Ray cluster does not see the folder {folder} ({error.strerror}); all of them "
            "need the same folders under the same names, on a shared disk."
        )
    return ""


def _answer(key: str, request: Request, threads: int, fault: str) -> dict[str, Any]:
    began = time.monotonic()
    if not fault:
        torch = sys.modules.get("torch")  # who imports it later takes OMP_NUM_THREADS
        if torch is not None and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
    try:
        outcome = Outcome(key, None, fault) if fault else compute(key, request)
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome(key, None, bug(error))
    return {"report": outcome.report, "failure": outcome.failure, "seconds": time.monotonic() - began}
