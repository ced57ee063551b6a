"""A process that computes one request after the other: ``python -m taxotext.work.worker PARENT``.

Requests come as lines of JSON on stdin, reports leave as lines of JSON on stdout. It ends with its stdin.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import suppress

from taxotext.processes import end_with_parent
from taxotext.work.requests import Request, bug, compute


def main() -> None:
    """Serve requests until stdin ends."""
    end_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print goes to the log, not among the answers
    logging.getLogger("taxotext").addHandler(logging.StreamHandler(sys.stderr))
    requests: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        for line in sys.stdin.buffer:
            requests.put(line)
        os._exit(0)  # nobody waits for an answer any more

    threading.Thread(target=read, daemon=True).start()
    while True:
        answers.write(_answer(json.loads(requests.get())))


def _answer(message: dict[str, object]) -> bytes:
    request = Request(str(message["task"]), message["arguments"])  # type: ignore[arg-type]
    try:
        outcome = compute(str(message["key"]), request)
        answer = {"report": outcome.report, "failure": outcome.failure}
    except Exception as error:
        with suppress(OSError):  # a full disk
            traceback.print_exc()
        answer = {"failure": bug(error)}
    return json.dumps(answer).encode() + b"\n"


if __name__ == "__main__":
    main()
