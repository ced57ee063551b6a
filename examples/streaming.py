"""More texts than fit in memory: label a stream as it is read, and write lines as they are labelled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import as_file, files
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from taxotext import Classifier, read_corpus, read_taxonomy
from taxotext.data import Document, read_documents
from taxotext.decoding import Predictions


def main() -> None:
    with as_file(files("taxotext") / "sample") as sample, TemporaryDirectory() as folder:
        taxonomy = read_taxonomy(sample / "taxonomy.tsv")
        model = Classifier("linear").fit(read_corpus(sample / "train.jsonl", taxonomy))
        model.tune()
        target = Path(folder) / "labels.jsonl"
        with target.open("w", encoding="utf-8") as file:
            for labels in label_stream(model, many_documents(sample / "test.jsonl", 10_000)):
                file.write(json.dumps(labels) + "\n")
        written = target.read_text(encoding="utf-8").splitlines()
    print(f"wrote {len(written)} lines")
    print("the first:", written[0][:100])


def many_documents(path: Path, count: int) -> Iterator[Document]:
    """A long stream: the test messages again and again, read one at a time."""
    return islice(cycle(read_documents(path)), count)


def label_stream(model: Classifier, documents: Iterator[Document]) -> Iterator[list[tuple[str, float]]]:
    """Yield (label, probability) pairs, best first, in the order of the documents."""
    texts = (document.text for document in documents)
    # Blocks of some thousand documents are drawn, scored, and forgotten.
    for sets, scores in model.decode_stream(texts):
        for pairs in Predictions.from_sets(sets, scores).pairs(model.taxonomy):
            yield [(label, round(probability, 3)) for label, probability in pairs]


if __name__ == "__main__":
    main()
