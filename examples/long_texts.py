"""Texts longer than the encoder reads: what each way of reading them sees, and what it costs.

With --train it also trains `bert` on a toy, twice (half a minute on a free machine; needs the encoder of
`pip install 'taxotext[offline]'`).
"""

from __future__ import annotations

import sys

from taxotext import Classifier
from taxotext.data.tokens import TextTokenizer
from taxotext.data.windows import make_windows

FILLER = "Dear all, as discussed on the phone and after some thought, here are my notes of last week. "
LONG = [FILLER * 2 + "The printer is broken." + FILLER, FILLER * 5 + "The printer is broken.", "The printer is broken."]
MODES = ("truncate", "head_tail", "chunk_max", "chunk_mean")


def main() -> None:
    tokenizer = TextTokenizer.learn_words(LONG, min_count=1)
    tokens = tokenizer.encode(LONG)
    print("tokens of the texts:", tokens.lengths.tolist())
    for mode in MODES:
        windows = make_windows(tokens, max_tokens=24, mode=mode, max_chunks=3)
        print(
            f"{mode:11} windows {[int(n) for n in windows.first[1:] - windows.first[:-1]]}   "
            f"tokens read {len(windows.tokens.values):3}   texts cut {int(windows.cut.sum())}"
        )
    if "--train" in sys.argv:
        toy()


def toy() -> None:
    """What matters stands at the end: `truncate` cannot see it, `chunk_max` can."""
    things = ("printer", "invoice", "password", "projector", "calendar")
    texts = [f"{FILLER * 2} It is about the {thing}." for thing in things] * 8
    labels = [[thing] for thing in things] * 8
    for mode in ("truncate", "chunk_max"):
        model = Classifier(
            "bert",
            text={"max_tokens": 24, "long_text": mode},
            training={"epochs": 3, "batch_size": 4, "learning_rate": 3e-4, "head_learning_rate": 1e-2},
        )
        model.fit(texts, labels, validation=(texts[:5], labels[:5]))
        score = model.score(texts[:5], labels[:5])
        print(f"bert with {mode:9} micro-F1 {score:.2f}, texts cut {model.system.count_cut(texts[:5])} of 5")


if __name__ == "__main__":
    main()
