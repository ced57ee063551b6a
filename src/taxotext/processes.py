"""Processes that do not outlive the one that started them, and how many of them a machine has room for."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import taxotext

PR_SET_PDEATHSIG = 1
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""What numeric libraries read when they start."""
WAITING_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Environment variables by which a user says how threads wait for each other."""
TURNS = 3000
"""Turns of a waiting thread before it gives its core away: far less than a millisecond."""


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when the parent is gone, also in the midst of a long computation (Linux).

    Args:
        parent: its process id; when it is gone already, the process ends here.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it went before the system was asked
        os._exit(1)


def end_group_with_parent(parent: int, pipe: int) -> None:
    """End this process, and all that it started, as soon as its parent is gone.

    The parent holds the other end of ``pipe``: however the parent ends, the system closes it. On Linux the system is
    asked for a kill as well, which comes at once also in the midst of a long computation.

    Args:
        parent: its process id.
        pipe: descriptor that is open for reading as long as the parent lives.
    """

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(pipe, 1):
                pass
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():  # never the group of somebody else
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
    end_with_parent(parent)


def child_environment(threads: int | None = None) -> dict[str, str]:
    """The environment of a Python process that computes for this one: this very package, and its threads.

    Args:
        threads: None: as the environment of this process says.
    """
    own = {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))
    source = Path(taxotext.__path__[0]).resolve().parent
    if source.name not in {"site-packages", "dist-packages"}:  # which would come before the standard library
        own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH"))))
    return {**os.environ, **own}


def wait_briefly() -> None:
    """Let threads that wait for each other give their core away soon, in this process and those that it starts.

    The threads of a product wait by turning in a loop, for milliseconds by default (GCC's OpenMP, which torch brings).
    Where other processes want the same cores, the loop takes the core from the very thread that is waited for
    (docs/results/speed.md). It has to be said before torch is loaded; who has set it is left alone.
    """
    if not any(name in os.environ for name in WAITING_VARIABLES):
        os.environ["GOMP_SPINCOUNT"] = str(TURNS)


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where the program is, so that it ends as tidily as at Ctrl-C."""


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into :class:`Terminated`, unless somebody handles it already."""
    main = threading.current_thread() is threading.main_thread()  # only the main thread may handle signals
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: object) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
