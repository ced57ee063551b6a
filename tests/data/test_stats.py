"""Statistics of corpora, by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxotext.data import Corpus, corpus_statistics, read_corpus
from taxotext.data.stats import Spread
from taxotext.errors import DataError
from taxotext.labels import Taxonomy, read_taxonomy

TREE = Taxonomy.from_edges([(None, "a"), ("a", "b"), ("b", "c"), (None, "d"), ("d", "e")])


def test_counts_of_a_small_corpus_by_hand() -> None:
    corpus = Corpus.from_lists(
        ["one two", "one two three four", "одно слово", "東京"],
        [["b"], ["c", "d"], ["a"], []],
        TREE,
        closure="as_given",
    )
    found = corpus_statistics(corpus)
    assert (found.documents, found.labels, found.edges, found.depth) == (4, 5, 3, 3)
    assert (found.labels_used, found.labels_unused, found.documents_without_labels) == (4, 1, 1)
    assert found.words == Spread(
        mean=2.5, sd=pytest.approx(0.75**0.5), min=2, median=2.0, p95=pytest.approx(3.7), max=4
    )
    assert (found.characters.min, found.characters.max) == (2, 18)
    assert (found.labels_per_document.mean, found.labels_per_document.max) == (1.0, 2)
    assert found.label_frequency == {"0": 1, "1": 4, "2-5": 0, "6-10": 0, "11-100": 0, ">100": 0}
    assert found.top_10_share == 1.0
    assert found.labels_per_level == (2, 2, 1)
    assert found.documents_per_level == (2, 1, 1)
    assert found.closure_violations == {"documents": 2, "pairs": 2}  # b without a; c without a and b


def test_the_tail_of_label_frequencies_by_hand() -> None:
    frequencies = [101, 100, 11, 10, 6, 5, 2, 1, 1, 0] + [1] * 3
    matrix = np.zeros((101, len(frequencies)), dtype=bool)
    for label, frequency in enumerate(frequencies):
        matrix[:frequency, label] = True
    found = corpus_statistics(Corpus.from_lists([f"t{i}" for i in range(101)], matrix))
    assert found.label_frequency == {"0": 1, "1": 5, "2-5": 2, "6-10": 2, "11-100": 2, ">100": 1}
    assert found.top_10_share == pytest.approx(238 / 240)
    assert found.closure_violations == {"documents": 0, "pairs": 0}


def test_violations_are_only_counted_in_data_as_given() -> None:
    found = corpus_statistics(Corpus.from_lists(["x"], [["c"]], TREE))
    assert found.closure_violations is None
    assert found.labels_added == 2


def test_duplicates_are_found_after_white_space_folding() -> None:
    texts = ["a b", "x", " a\n b", "y", "x", "a b"]
    found = corpus_statistics(Corpus.from_lists(texts, [["l"], ["l"], ["l"], [], ["m"], ["l"]])).duplicates
    assert (found.texts, found.copies, found.texts_with_different_labels) == (2, 3, 1)
    assert found.examples == ((2, 5), (1, 3, 6))


def test_overlap_with_another_corpus() -> None:
    train = Corpus.from_lists(["p", "q", "r r"], [["l"], ["m"], ["n"]])
    test = Corpus.from_lists(["new", "q", " r  r", "s"], [["l"], ["m"], ["z"], ["z", "l"]], source="test.csv")
    found = corpus_statistics(train, other=test).overlap
    assert found is not None
    assert (found.source, found.documents, found.share) == ("test.csv", 2, pytest.approx(2 / 3))
    assert found.documents_with_different_labels == 1
    assert found.examples == ((2, 2), (3, 3))
    assert (found.labels_only_here, found.labels_only_there) == (("n",), ("z",))
    assert found.documents_there_with_unseen_labels == 2


def test_token_lengths_are_counted_in_batches() -> None:
    sizes = []

    def counter(texts: Sequence[str]) -> Any:
        sizes.append(len(texts))
        return np.array([len(text) for text in texts])

    corpus = Corpus.from_lists(["x" * (1 + i % 10) for i in range(2500)])
    found = corpus_statistics(corpus, token_counter=counter, max_tokens=8).tokens
    assert sizes == [1000, 1000, 500]
    assert found is not None
    assert (found.tokens.mean, found.cut_texts, found.cut_share) == (5.5, 500, 0.2)
    unlimited = corpus_statistics(corpus, token_counter=counter).tokens
    assert unlimited is not None
    assert unlimited.cut_texts is None


def test_a_bad_counter_gets_a_sentence() -> None:
    corpus = Corpus.from_lists(["x", "y"])
    with pytest.raises(DataError, match="max_tokens=5 needs a token_counter"):
        corpus_statistics(corpus, max_tokens=5)
    with pytest.raises(DataError, match="returned 1 numbers for 2 texts"):
        corpus_statistics(corpus, token_counter=lambda texts: np.array([1]))


def test_statistics_are_ready_for_json_also_of_an_empty_subset() -> None:
    corpus = Corpus.from_lists(["x"], [["c"]], TREE)
    for part in (corpus, corpus.subset([])):
        content = corpus_statistics(part, other=part, token_counter=lambda texts: np.ones(len(texts))).to_dict()
        assert json.loads(json.dumps(content))["labels"] == 5


@pytest.mark.parametrize(
    ("name", "documents", "labels", "per_document", "words"),
    [
        ("reuters21578-apte90", 7769, 90, 1.23, 130),
        ("chemical-exposure", 2563, 69, 6.26, 277),
    ],
)
def test_real_corpora_have_the_numbers_of_their_description(
    name: str, documents: int, labels: int, per_document: float, words: int, real_data: Callable[[str], Path]
) -> None:
    folder = real_data(name)
    taxonomy = read_taxonomy(folder / "hierarchy.tsv") if (folder / "hierarchy.tsv").exists() else None
    found = corpus_statistics(read_corpus(folder / "train.jsonl.gz", taxonomy))
    assert (found.documents, found.labels) == (documents, labels)
    assert found.labels_per_document.mean == pytest.approx(per_document, abs=0.05)
    assert found.words.mean == pytest.approx(words, rel=0.1)  # the description counts words in another way
    assert sum(found.label_frequency.values()) == labels
