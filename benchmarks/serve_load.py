"""Load on ``taxotext serve``: many clients at once beside one request at a time, start, memory, overload, kill -9.

    python benchmarks/serve_load.py MODEL TEXTS [--clients 100] [--requests 10000]

MODEL is a folder, TEXTS a file that ``taxotext predict`` reads. Every answer is compared with that of the Python
interface, so that a lost or mixed up answer is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import orjson

import taxotext
from taxotext.data import read_documents

TOP_K = 5


class Server:
    """``taxotext serve`` in a process of its own."""

    def __init__(self, model: Path, *options: str) -> None:
        started = time.monotonic()
        command = [sys.executable, "-m", "taxotext", "serve", f"m={model}", "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        told = ""
        while (found := re.search(r"at (http://\S+) ", told)) is None:
            line = self.process.stderr.readline()
            assert line, told
            told += line
        self.address, self.seconds_to_listen = found[1], time.monotonic() - started
        while not self.is_ready():
            time.sleep(0.02)
        self.seconds_to_ready = time.monotonic() - started
        self.cpu_seconds_to_ready = self.cpu_seconds()

    def is_ready(self) -> bool:
        """Whether all models answer."""
        try:
            with urlopen(f"{self.address}/health", timeout=60) as response:
                return bool(response.status == 200)
        except HTTPError:  # 503
            return False

    def megabytes(self) -> float:
        """Resident memory, and its peak."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return number(r"VmRSS:\s+(\d+)", status) / 1024

    def cpu_seconds(self) -> float:
        """CPU time so far, which does not depend on what else the machine does."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def measured(
    server: Server, texts: list[str], expected: list[Any], clients: int, requests: int, tolerance: float
) -> dict[str, Any]:
    """Load a server, and count what it computes."""
    before = server.cpu_seconds()
    found = asyncio.run(load(server.address, texts, expected, clients, requests, tolerance))
    return {**found, "cpu_ms_a_request": round(1000 * (server.cpu_seconds() - before) / requests, 2)}


async def load(
    address: str, texts: list[str], expected: list[Any], clients: int, requests: int, tolerance: float
) -> dict[str, Any]:
    """Send requests of one text each from clients that wait for their answer; compare the answers."""
    seconds: list[float] = []
    counts: Counter[str] = Counter()
    order = iter(range(requests))
    place_of_server = urlsplit(address)
    bodies = [orjson.dumps({"texts": [text], "top_k": TOP_K, "names": False}) for text in texts]

    async def one_client() -> None:
        reader, writer = await asyncio.open_connection(place_of_server.hostname, place_of_server.port)
        for number in order:
            place = number % len(texts)
            start = time.perf_counter()
            status, content = await post(reader, writer, bodies[place])
            seconds.append(time.perf_counter() - start)
            counts[str(status)] += 1
            if status == 200:
                labels = orjson.loads(content)["results"][0]["labels"]
                found = [(label["id"], label["score"]) for label in labels]
                counts["wrong"] += not same(found, expected[place], tolerance)
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(clients)))
    wall = time.perf_counter() - start
    p50, p95, p99 = np.percentile(np.asarray(seconds) * 1000, (50, 95, 99))
    return {
        **{"clients": clients, "requests": requests, "per_second": round(requests / wall, 1)},
        **{"p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "p99_ms": round(p99, 1)},
        "counts": dict(counts),
    }


def number(pattern: str, text: str) -> int:
    """The number that a pattern finds."""
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"{pattern!r} is not in {text[:200]!r}")
    return int(found[1])


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> tuple[int, bytes]:
    """Send one request on an open connection; a client of a library would compute more than the server."""
    head = f"POST /predict HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = number(r"content-length: (\d+)", answer.decode("latin-1"))
    return int(answer.split(b" ", 2)[1]), await reader.readexactly(length)


def same(found: list[tuple[str, float]], expected: list[tuple[str, float]], tolerance: float) -> bool:
    """Equal labels and scores; scores of a network depend a little on the texts beside it, in 8 bits more."""
    a, b = dict(found), dict(expected)
    shared = a.keys() & b.keys()
    lowest = min(b.values(), default=0.0)
    tied = all(abs(score - lowest) < tolerance for one in (a, b) for label, score in one.items() if label not in shared)
    return len(found) == len(expected) and tied and all(abs(a[label] - b[label]) < tolerance for label in shared)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--single", type=int, default=500, help="requests of the client that is alone")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of scores; 0.1 for ONNX in 8 bits")
    given = parser.parse_args()
    classifier = taxotext.load(given.model, threads=1)
    texts = [document.text for document in read_documents(given.texts, labelled=False)][: min(1000, given.requests)]
    expected = [[(label, round(score, 6)) for label, score in pairs] for pairs in classifier.suggest(texts, k=TOP_K)]
    threads = ("--threads", os.environ.get("OMP_NUM_THREADS", "1"))

    server = Server(given.model, *threads)
    report: dict[str, Any] = {
        **{"system": classifier.system.name, "labels": len(classifier.taxonomy)},
        "seconds_to_listen": round(server.seconds_to_listen, 2),
        "seconds_to_ready": round(server.seconds_to_ready, 2),
        "cpu_seconds_to_ready": round(server.cpu_seconds_to_ready, 2),
        "megabytes_at_start": round(server.megabytes()),
    }
    report["alone"] = measured(server, texts, expected, 1, given.single, given.tolerance)
    report["together"] = measured(server, texts, expected, given.clients, given.requests, given.tolerance)
    report["megabytes_after"] = round(server.megabytes())
    server.stop(signal.SIGKILL)
    server = Server(given.model, *threads, "--queue-texts", "20", "--request-texts", "20")
    report["seconds_to_ready_after_kill"] = round(server.seconds_to_ready, 2)
    report["overload"] = measured(server, texts, expected, given.clients, given.requests // 10, given.tolerance)
    report["megabytes_overload"] = round(server.megabytes())
    report["exit_code"] = server.stop()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
