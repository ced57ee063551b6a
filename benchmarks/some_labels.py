"""A corpus with some of its labels."""

from __future__ import annotations

from collections.abc import Iterable

from taxotext.data import Corpus
from taxotext.labels import Taxonomy


def with_labels(corpus: Corpus, labels: Iterable[int]) -> Corpus:
    """All documents, and of their labels those given; a label stays below those of its parents that stay."""
    whole, kept = corpus.taxonomy, sorted(set(labels))
    edges: list[tuple[str | None, str]] = []
    for label in kept:
        above = [whole.ids[parent] for parent in whole.parents(label).tolist() if parent in kept]
        edges += [(parent, whole.ids[label]) for parent in above or [None]]
    return corpus.aligned(Taxonomy.from_edges(edges), unknown="drop")
