"""Documents a second of ``explain`` beside ``predict`` of the same texts, and beside one pass a word.

::

    python benchmarks/explain.py MODEL FILE --documents 8 --repeats 3

Every text without one of its words is a document. ``explain`` makes them itself, scores them in batches and compares;
``predict`` is handed them ready-made, in one list; one pass a word hands them to ``predict`` one by one (for
``--single`` of them, since it is slow). Processor time of all threads counts, of which other work on the machine takes
none; the best of the repeats, in turn. The exit status is 1 where ``explain`` reaches less than 0.9 of ``predict``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import taxotext
from taxotext.api.reading import columns_of
from taxotext.data import read_documents
from taxotext.data.words import word_spans
from taxotext.explain.leave_one_out import MOST_WORDS
from taxotext.explain.pieces import without

LEAST = 0.9


def seconds(work: Callable[[], object]) -> float:
    """Processor time of all threads."""
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--single", type=int, default=100)
    asked = parser.parse_args()
    model = taxotext.load(asked.model)
    found = (one.text for one in read_documents(asked.file, columns_of(model), labelled=False))
    # Texts that are longer would be explained by passages, too.
    short = (text for text in found if 20 <= len(word_spans(text)) < 100)
    texts = list(islice(short, asked.documents))
    changed = [one for text in texts for one in without(text, word_spans(text).tolist(), "")]
    every = changed[:: max(1, len(changed) // asked.single)]
    explain, predict, single = [], [], []
    model.predict(texts)
    for _ in range(asked.repeats):
        predict.append(seconds(lambda: model.predict(changed)))
        explain.append(seconds(lambda: model.explain(texts)))
        single.append(seconds(lambda: [model.predict([text]) for text in every]))
    rates = {
        "predict": len(changed) / min(predict),
        "explain": len(changed) / min(explain),
        "one_pass_a_word": len(every) / min(single),
    }
    ratio = rates["explain"] / rates["predict"]
    result = {
        "system": model.system.name,
        "texts": len(texts),
        "changed_texts": len(changed),
        "documents_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "explain_to_predict": round(ratio, 3),
        "explain_to_one_pass_a_word": round(rates["explain"] / rates["one_pass_a_word"], 2),
        "most_words": MOST_WORDS,
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if ratio >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
