"""What processes are started with: how threads wait, said once and not over the user's head; package and threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import taxotext
from taxotext.processes import THREAD_VARIABLES, TURNS, WAITING_VARIABLES, child_environment, wait_briefly


@pytest.mark.parametrize("given", [None, *WAITING_VARIABLES])
def test_who_has_said_how_threads_wait_is_left_alone(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WAITING_VARIABLES:
        monkeypatch.setenv(name, "7")  # brought back at the end
        monkeypatch.delenv(name)
    if given is not None:
        monkeypatch.setenv(given, "7")
    wait_briefly()
    found = {name: os.environ.get(name) for name in WAITING_VARIABLES}
    assert found == {name: "7" if name == given else None for name in WAITING_VARIABLES} | (
        {"GOMP_SPINCOUNT": str(TURNS)} if given is None else {}
    )


def test_the_command_line_says_it_before_torch_is_there() -> None:
    program = (
        "import os, sys, contextlib\n"
        "import taxotext.cli\n"
        "assert 'torch' not in sys.modules\n"
        "with contextlib.suppress(SystemExit):\n"
        "    taxotext.cli.main(['models'])\n"
        "print(os.environ['GOMP_SPINCOUNT'])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in WAITING_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(TURNS)


def test_child_processes_have_this_very_package_and_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    own = child_environment()
    source, *others = own["PYTHONPATH"].split(os.pathsep)
    assert Path(source, "taxotext", "processes.py").is_file()
    assert others == ["mine"]
    assert own["OMP_NUM_THREADS"] == "7"
    assert {child_environment(2)[name] for name in THREAD_VARIABLES} == {"2"}
    monkeypatch.setattr(taxotext, "__path__", ["/usr/lib/python3/site-packages/taxotext"])
    assert child_environment()["PYTHONPATH"] == "mine"  # site-packages would come before the standard library
