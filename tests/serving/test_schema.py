"""Requests that schemathesis makes from the description of all addresses: no fault of the server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from serving.test_serve_command import process, until_ready

CALL = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"


@pytest.mark.integration
def test_made_up_requests_are_never_a_fault_of_the_server(sample_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    with process(sample_model, "--threads", 1, "--feedback", tmp_path / "feedback.jsonl") as (_, address):
        until_ready(address)
        options = ["--max-examples=12", "--checks=not_a_server_error", "--phases=fuzzing,coverage", "--seed=19"]
        done = subprocess.run(
            [sys.executable, "-c", CALL, "run", f"{address}/openapi.json", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout
    tested = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert tested is not None
    assert int(tested[1]) == int(tested[2]) > 500
