"""Beam sizes of a label-sequence model: metrics, documents a second, and the time beside a plain search.

::

    python benchmarks/beam_search.py MODEL FILE --json beams.json --chart beams.svg

For each number of beams the file is evaluated (``--documents`` of it; 0: all). Then the encoder states of
``--searched`` documents are computed once, and the label sequences are looked for twice: by the search of the package,
for all documents at a time, and by a plain one, which goes through the documents one by one and extends all beams of
a document in one step of the decoder. Processor time of all threads counts, the least of ``--repeats``, in turn. Both
must find the same sequences; a search is compared with the time of the encoder, too.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import taxotext
from taxotext.api.reading import read_for_model
from taxotext.charts.curves import Curve, curves
from taxotext.explain.scoring import sequence_head
from taxotext.nn.sequence.head import SequenceHead

METRICS = ("micro_f1", "macro_f1", "set_accuracy", "hamming_accuracy")


def plain_search(head: SequenceHead, memory: Any, state: Any, beams: int) -> list[list[int]]:
    """One document after the other; the sequences with the largest sum of logarithms."""
    decoder, found = head.decoder, []
    for row in range(len(memory.mask)):
        here = torch.tensor([row])
        own, first = memory.rows(here), state.map(lambda part, here=here: part[here])
        candidates = [(0.0, [], first)]  # sum of logarithms, labels, state after them
        finished: list[tuple[float, list[int]]] = []
        for step in range(head.longest + 1):
            hidden = type(first)(*(_joined([one[2][place] for one in candidates]) for place in range(len(first))))
            emitted = torch.zeros(1, len(candidates), decoder.end + 1, dtype=torch.bool)
            previous = torch.full((1, len(candidates)), decoder.begin)
            for place, (_, labels, _) in enumerate(candidates):
                emitted[0, place, labels] = True
                previous[0, place] = labels[-1] if labels else decoder.begin
            logs, after = decoder.step(own, hidden, previous, emitted)  # (1, K, V)
            extended = []
            for place, (total, labels, _) in enumerate(candidates):
                after_one = after.map(lambda part, place=place: part[:, place : place + 1])
                best = logs[0, place].topk(min(beams, logs.shape[-1]))
                choices = zip(best.values.tolist(), best.indices.tolist(), strict=True)
                if step == head.longest:
                    choices = [(float(logs[0, place, decoder.end]), decoder.end)]
                extended += [(total + log, [*labels, label], after_one) for log, label in choices]
            extended.sort(key=lambda one: -one[0])
            kept = sorted([*extended, *((total, labels, None) for total, labels in finished)], key=lambda one: -one[0])
            kept = kept[:beams]
            finished = [(one[0], one[1]) for one in kept if one[1][-1] == decoder.end]
            candidates = [one for one in kept if one[1][-1] != decoder.end]
            if not candidates or kept[0][1][-1] == decoder.end:
                break
        best_one = max(finished, key=lambda one: one[0])
        found.append(best_one[1][:-1])
    return found


def _joined(parts: list[Any]) -> Any:
    return None if parts[0] is None else torch.cat(parts, 1)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of all threads."""
    before = time.process_time()
    work()
    return time.process_time() - before


@contextmanager
def searching(head: SequenceHead, beams: int | None) -> Iterator[None]:
    """Another number of beams for a while."""
    before, head.beams = head.beams, beams
    try:
        yield
    finally:
        head.beams = before


def main() -> None:
    """Measure, print a table, write JSON and a chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 2, 3, 5, 7, 9])
    parser.add_argument("--documents", type=int, default=0, help="Evaluated; 0: all.")
    parser.add_argument("--searched", type=int, default=64, help="Documents of the comparison.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path, help="Micro-F1 and set accuracy by beams: .svg or .png.")
    asked = parser.parse_args()

    model = taxotext.load(asked.model)
    head = sequence_head(model.system)
    if head is None:
        parser.error(f"{asked.model}: {model.system.name} predicts no label sequences.")
    corpus = read_for_model(model, asked.file)
    if asked.documents:
        corpus = corpus.subset(np.arange(min(asked.documents, len(corpus))))
    rows = []
    for beams in asked.beams:
        model.system.search_with(beams)
        found = model.evaluate(corpus)
        rows.append({"beams": beams, **{name: found[name] for name in METRICS}})
        print(f"K = {beams}: " + ", ".join(f"{name} {100 * found[name]:.2f}" for name in METRICS), flush=True)

    texts = list(corpus.texts[: asked.searched])
    system: Any = model.system
    windows = system.windows(texts)
    batch = system.batch(windows, np.arange(len(texts)))
    with torch.inference_mode():
        features = system.network.features(batch)
        encoder = min(seconds(lambda: system.network.features(batch)) for _ in range(asked.repeats))
        memory, state = head.decoder.start(features, head.skip)
        speed = []
        for beams in asked.beams:
            with searching(head, beams):
                ours = head.search(features).labels.tolist()
                same = [[label for label in one if label >= 0] for one in ours] == plain_search(
                    head, memory, state, beams
                )
                fast, slow = math.inf, math.inf
                for _ in range(asked.repeats):
                    fast = min(fast, seconds(lambda: head.search(features)))
                    slow = min(slow, seconds(lambda beams=beams: plain_search(head, memory, state, beams)))
            speed.append(
                {
                    "beams": beams,
                    "batched_s": fast,
                    "plain_s": slow,
                    "ratio": slow / fast,
                    "end_to_end_ratio": (slow + encoder) / (fast + encoder),
                    "share_of_encoder": fast / encoder,
                    "equal": same,
                }
            )
            print(
                f"K = {beams}: batched {1000 * fast:.0f} ms, plain {1000 * slow:.0f} ms, {slow / fast:.1f}x; with the "
                f"encoder {(slow + encoder) / (fast + encoder):.2f}x; {100 * fast / encoder:.1f} % of the encoder's "
                f"{1000 * encoder:.0f} ms; {'equal' if same else 'DIFFERENT'} sequences",
                flush=True,
            )
    result = {
        "model": asked.model.name,
        "labels": len(model.taxonomy),
        "documents": len(corpus),
        "searched": len(texts),
        "quality": rows,
        "speed": speed,
    }
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if asked.chart:
        drawn = [
            Curve(title, asked.beams, [100 * row[name] for row in rows], number)
            for number, (title, name) in enumerate((("micro-F1", "micro_f1"), ("set accuracy", "set_accuracy")))
        ]
        curves("Label sets by the number of beams", drawn, "beams", "%", whole=False).save(asked.chart)


if __name__ == "__main__":
    main()
