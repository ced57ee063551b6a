"""Prediction on a machine whose cores others want too: how threads wait for each other.

    python benchmarks/busy.py MODEL texts.jsonl [--others 2] [--rounds 3]

Runs ``taxotext predict`` with as many threads as there are cores, on a quiet machine and beside processes that never
rest, with the waiting of OpenMP as torch has it (``GOMP_SPINCOUNT=300000``) and as the command line sets it. Documents
a second, as the command says them, the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from taxotext.processes import TURNS, usable_cores

AS_IT_COMES = 300_000
"""What GCC's OpenMP has where there are no more threads than cores."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--others", type=int, default=usable_cores(), help="busy processes beside it")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| busy processes beside | turns | documents/s |\n| ---: | ---: | ---: |")
    for others in (0, arguments.others):
        found: dict[int, list[float]] = {AS_IT_COMES: [], TURNS: []}
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
        try:
            for _ in range(arguments.rounds):
                for turns, paces in found.items():
                    paces.append(pace(arguments.model, arguments.texts, turns))
        finally:
            for process in busy:
                process.kill()
        for turns, paces in found.items():
            print(f"| {others} | {turns:,} | {statistics.median(paces):.1f} |", flush=True)


def pace(model: Path, texts: Path, turns: int) -> float:
    """Documents a second of one prediction."""
    environment = {**os.environ, "GOMP_SPINCOUNT": str(turns)}
    environment.pop("OMP_NUM_THREADS", None)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "taxotext", "predict", str(model), str(texts), "--output", f"{folder}/answers"]
        command += ["--threads", str(usable_cores())]
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=True)
    told = re.findall(r"([\d.]+)/(s|min)", done.stderr)
    if not told:
        sys.exit("Too short a work to have a pace; give more texts.")
    number, unit = told[-1]
    return float(number) / (60 if unit == "min" else 1)


if __name__ == "__main__":
    main()
