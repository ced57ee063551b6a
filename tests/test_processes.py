"""How threads wait for each other is said once, before torch is loaded, and not over the user's head."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from taxotext.processes import TURNS, WAITING_VARIABLES, wait_briefly


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
