"""``taxotext serve`` as a process: it starts, answers, finishes what it took, and tells mistakes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import taxotext
from command import Command

SOURCE = str(Path(taxotext.__path__[0]).resolve().parent)


@contextmanager
def process(*arguments: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it tells."""
    call = [sys.executable, "-m", "taxotext", "serve", *map(str, arguments), "--port", "0"]
    running = subprocess.Popen(
        call, env={**os.environ, "PYTHONPATH": SOURCE, **environment}, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stderr is not None
        told = ""
        while (found := re.search(r"at (http://\S+) ", told)) is None:
            line = running.stderr.readline()
            assert line, told
            told += line
        yield running, found[1]
    finally:
        running.kill()
        running.wait(30)


def ask(address: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{address}/predict", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def until_ready(address: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=60):
                return
        except urllib.error.HTTPError as error:
            assert error.code == 503
            time.sleep(0.05)
    pytest.fail("it is never ready")


def test_a_server_that_is_told_to_stop_answers_what_it_took(sample_model: Path) -> None:
    with process(sample_model, "--threads", 1, "--batch-wait-ms", 1500) as (running, address):
        until_ready(address)
        look = urllib.request.Request(f"{address}/health", method="HEAD")  # as some that watch over servers do
        with urllib.request.urlopen(look, timeout=60) as response:
            assert (response.status, response.read()) == (200, b"")
        found: list[Any] = []
        asking = threading.Thread(target=lambda: found.append(ask(address, {"texts": ["the printer"], "top_k": 3})))
        asking.start()
        time.sleep(0.5)  # the request waits for others to join its batch
        running.send_signal(signal.SIGTERM)
        asking.join(30)
        assert len(found[0]["results"][0]["labels"]) == 3
        assert running.wait(30) == 143


def test_mistakes_are_told_before_anything_is_served(sample_model: Path, command: Command, tmp_path: Path) -> None:
    command("serve", tmp_path / "none").refused("there is no such model folder")
    command("serve", sample_model, sample_model).refused("is called 'model' too")
    command("serve", sample_model, "--request-texts", 5000).refused("make the queue as large")
    command("serve", sample_model, "--host", "256.1.1.1").refused("give an address of this machine")
    command("serve", sample_model, "--feedback", tmp_path / "none" / "f.jsonl").refused("make it first")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command("serve", sample_model, "--port", taken.getsockname()[1]).refused("choose another port with --port")


def test_a_damaged_model_ends_the_server_with_a_sentence(model: Path, command: Command) -> None:
    (model / "decoding.json").write_text("{", encoding="utf-8")
    ended = command("serve", model, "--port", 0)
    assert ended.code == 2
    assert "decoding.json: is damaged" in ended.err
