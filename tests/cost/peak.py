"""Train a system; print the bytes that its training added to the peak of this process, and what was estimated.

python tests/cost/peak.py linear|kim_cnn
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path
from typing import Any

from taxotext import Classifier, Corpus, Taxonomy
from taxotext.cost.memory import peak

RUNTIME: dict[str, Any] = {"device": "cpu", "precision": "float32", "threads": 1}


def peak_so_far() -> int:
    """Greatest resident memory since the process began, or the peak was forgotten (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Let the peak begin at what the process needs now; memory that is free within it goes back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def corpus(documents: int, labels: int, words: int) -> Corpus:
    """Two of the labels have documents; ``words`` words of its own in each document."""
    texts = [" ".join(f"w{row}x{word}" for word in range(words)) + " the house" for row in range(documents)]
    return Corpus.from_lists(
        texts, [[str(row % 2)] for row in range(documents)], Taxonomy.flat(map(str, range(labels)))
    )


def main(name: str) -> None:
    system, _, candidates = name.partition(" ")
    if system == "linear":  # many decision values; or the best of them
        settings: dict[str, Any] = {"runtime": {"threads": 1}, "candidates": candidates}
        small, large = corpus(60, 10, 1), corpus(1000, 20_000, 1)
    else:  # many word vectors
        encoder = {"embedding_width": 256, "filters": 4, "vocabulary": {"min_count": 1, "size": 10**6}}
        settings = {"runtime": RUNTIME, "encoder": encoder, "training": {"epochs": 1, "batch_size": 100}}
        small, large = corpus(60, 2, 1), corpus(1000, 2, 60)
    Classifier(system, **settings).fit(small, validation=small)  # libraries are loaded
    forget_peak()
    before = peak_so_far()
    fitted = Classifier(system, **settings).fit(large, validation=large).system
    print(json.dumps({"measured": peak_so_far() - before, "estimated": peak(fitted.memory(large, large))[0]}))


if __name__ == "__main__":
    main(sys.argv[1])
