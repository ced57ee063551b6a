"""What a Ray cluster costs beside local processes: tasks that wait some seconds, on as many CPUs of this machine.

    python benchmarks/ray_overhead.py [--seconds 5] [--tasks 12] [--cpus 2]

Tasks wait instead of computing, so that other programs on the machine hardly change the result. The start of both,
and the first task of each worker, are measured apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from taxotext.work import Executor, Request, Workers

TESTS = Path(__file__).resolve().parents[1] / "tests"


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(executor: Executor, tasks: int, seconds: float) -> tuple[float, float]:
    """Wall and CPU seconds of this process until all tasks are done."""
    started, before, waiting, running = time.monotonic(), cpu(), tasks, 0
    while waiting or running:
        while waiting and running < executor.slots:
            executor.submit(str(waiting), Request("strange", {"what": f"nap {seconds}"}))
            waiting, running = waiting - 1, running + 1
        for outcome in executor.wait(1.0):
            running -= 1
            if outcome.report is None:
                sys.exit(outcome.failure)
    return time.monotonic() - started, cpu() - before


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--tasks", type=int, default=12)
    options.add_argument("--cpus", type=int, default=2)
    given = options.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(TESTS / "work" / "workers"), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    least = given.seconds * given.tasks / given.cpus
    print(f"{given.tasks} tasks of {given.seconds:g} s on {given.cpus} CPUs: {least:.1f} s at least")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("processes", "ray"):
            began = time.monotonic()
            if name == "ray":
                import ray

                ray.init(num_cpus=given.cpus, object_store_memory=80 * 2**20, include_dashboard=False)
            with Workers(name).start(given.cpus, Path(folder)) as executor:
                measured(executor, given.cpus, 2.0)  # workers start with their first task
                start = time.monotonic() - began
                wall, used = measured(executor, given.tasks, given.seconds)
            print(
                f"{name}: start {start:.1f} s, then {wall:.2f} s ({100 * (wall / least - 1):+.1f} %), "
                f"{1000 * used / given.tasks:.1f} ms CPU of the driver a task",
                flush=True,
            )


if __name__ == "__main__":
    main()
