"""Fits that go wrong on demand, also in child processes, which import this through ``workers/sitecustomize.py``."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from taxotext.errors import ConfigError
from taxotext.work import requests

TROUBLE = "TAXOTEXT_TEST_TROUBLE"
"""Environment: index of the label whose fits kill the process."""


def register() -> None:
    """Add the task ``strange``, and put :func:`advance` in the place of the real fits."""
    requests.TASKS["strange"] = "strange:strange"
    if TROUBLE in os.environ:
        requests.TASKS["binary"] = "strange:advance"


def strange(*, what: str, flag: str = "") -> dict[str, Any]:
    """Do what is asked."""
    if what == "die" or (what == "die once" and not Path(flag).exists()):
        if flag:
            Path(flag).touch()
        print("last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "mistake":
        raise ConfigError("training.epochs: must be 1 or more.")
    if what == "full":
        raise OSError(28, "No space left on device", "/disk/fits/1.safetensors")
    if what == "bug":
        raise ZeroDivisionError("division by zero")
    if what == "sleep":
        time.sleep(60)
    if what.startswith("nap "):
        time.sleep(float(what.split()[1]))
    return {"what": what, "process": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}


def advance(**arguments: Any) -> dict[str, Any]:
    """The real fit, with trouble for one label."""
    if arguments["label"] == int(os.environ[TROUBLE]):
        os.kill(os.getpid(), signal.SIGKILL)
    from taxotext.binary.fit import advance as real

    return real(**arguments)
