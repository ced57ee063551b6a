"""Beam sizes of a label-sequence model: metrics, documents a second, and the time beside a plain search.

::

    python benchmarks/beam_search.py MODEL FILE --json beams.json --chart beams.svg

The file is evaluated with each number of beams (``--documents`` of it; 0: all), the rules of decoding left aside. Then
the encoder states of ``--searched`` documents are computed once, and the label sequences are looked for twice: by the
search of the package, for all documents at a time, and by a plain one, which goes through the documents one by one and
extends all beams of a document in one step of the decoder. Both must find the same sequences; a search is compared
with the time of the encoder, too. A model that keeps to its taxonomy (``head.constrained``) is searched for that
without its constraint, and once more with it. Processor time of all threads counts, the least of ``--repeats``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, lil_array

import taxotext
from taxotext import Classifier, Corpus
from taxotext.api.reading import read_for_model
from taxotext.charts.curves import Curve, curves
from taxotext.explain.scoring import sequence_head
from taxotext.metrics.sets import SetMetrics
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
def searching(head: SequenceHead, **other: Any) -> Iterator[None]:
    """Another number of ``beams``, or another ``taxonomy``, for a while."""
    before = {name: getattr(head, name) for name in other}
    try:
        for name, value in other.items():
            setattr(head, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(head, name, value)


def quality(model: Classifier, head: SequenceHead, corpus: Corpus, beams: Sequence[int]) -> list[dict[str, float]]:
    """Metrics of the label sets with each number of beams; the encoder reads every document once."""
    system: Any = model.system
    labels = len(model.taxonomy)
    found = [lil_array((len(corpus), corpus.targets.shape[1]), dtype=bool) for _ in beams]

    def look(rows: NDArray[np.int64], features: Any) -> None:
        for sets, count in zip(found, beams, strict=True):
            with searching(head, beams=count):
                sequences = head.search(features).labels.tolist()
            for row, sequence in zip(rows.tolist(), sequences, strict=True):
                sets[row, [label for label in sequence if 0 <= label < labels]] = True

    with searching(head, beams=1):
        for _ in system.score_windows(system.windows(corpus.texts), system.runtime(), look=look):
            pass
    rows = []
    for sets, count in zip(found, beams, strict=True):
        measured = SetMetrics(corpus.targets.shape[1])
        measured.update(corpus.targets, csr_array(sets))
        own = measured.compute()
        rows.append({"beams": count, **{name: own[name] for name in METRICS}})
        print(f"K = {count}: " + ", ".join(f"{name} {100 * own[name]:.2f}" for name in METRICS), flush=True)
    return rows


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
    texts = list(corpus.texts[: asked.searched])
    if asked.documents:
        corpus = corpus.subset(np.arange(min(asked.documents, len(corpus))))
    rows = quality(model, head, corpus, asked.beams)

    system: Any = model.system
    system.network.eval()
    windows = system.windows(texts)
    batch = system.batch(windows, np.arange(len(texts)))
    with torch.inference_mode():
        features = system.network.features(batch)
        encoder = min(seconds(lambda: system.network.features(batch)) for _ in range(asked.repeats))
        memory, state = head.decoder.start(features, head.skip)
        speed = []
        for beams in asked.beams:
            with searching(head, beams=beams, taxonomy=None):
                ours = head.search(features).labels.tolist()
                same = [[label for label in one if label >= 0] for one in ours] == plain_search(
                    head, memory, state, beams
                )
            fast = slow = bound = math.inf
            for _ in range(asked.repeats):
                with searching(head, beams=beams, taxonomy=None):
                    fast = min(fast, seconds(lambda: head.search(features)))
                    slow = min(slow, seconds(lambda beams=beams: plain_search(head, memory, state, beams)))
                with searching(head, beams=beams):
                    bound = min(bound, seconds(lambda: head.search(features)))
            speed.append(
                {
                    "beams": beams,
                    "batched_s": fast,
                    "plain_s": slow,
                    "ratio": slow / fast,
                    "end_to_end_ratio": (slow + encoder) / (fast + encoder),
                    "share_of_encoder": fast / encoder,
                    "equal": same,
                    "constrained_s": None if head.taxonomy is None else bound,
                }
            )
            print(
                f"K = {beams}: batched {1000 * fast:.0f} ms, plain {1000 * slow:.0f} ms, {slow / fast:.1f}x; with the "
                f"encoder {(slow + encoder) / (fast + encoder):.2f}x; {100 * fast / encoder:.1f} % of the encoder's "
                f"{1000 * encoder:.0f} ms; {'equal' if same else 'DIFFERENT'} sequences"
                + ("" if head.taxonomy is None else f"; along the taxonomy {bound / fast:.2f}x the time"),
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
