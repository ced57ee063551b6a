"""What a check of a corpus finds."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from taxotext.data import Corpus, check_corpus, read_corpus
from taxotext.labels import Taxonomy

TREE = Taxonomy.from_edges([(None, "a"), ("a", "b"), (None, "d")])


def sentences(*corpora: Corpus, **settings: object) -> dict[str, str]:
    """Sentence -> level."""
    return {finding.sentence: finding.level for finding in check_corpus(*corpora, **settings)}  # type: ignore[arg-type]


def good(documents: int = 20) -> Corpus:
    labels = [["x"] if i % 2 else ["y"] for i in range(documents)]
    return Corpus.from_lists([f"a good text number {i}" for i in range(documents)], labels)


def test_a_good_corpus_has_no_findings() -> None:
    assert check_corpus(good()) == []


def test_a_corpus_without_labels_is_an_error() -> None:
    found = check_corpus(Corpus.from_lists(["a b c", "d e f"], source="c.csv"))
    assert [(finding.level, finding.sentence) for finding in found] == [
        ("error", "No document of c.csv has a label; check which field holds the labels.")
    ]


def test_a_single_label_is_an_error() -> None:
    found = sentences(Corpus.from_lists(["a b c", "d e f"], [["x"], ["x"]]))
    assert found["All documents have the same single label; there is nothing to tell apart."] == "error"


def test_a_label_that_some_documents_have_and_some_lack_is_a_task() -> None:
    found = sentences(Corpus.from_lists([f"a b c {i}" for i in range(12)], [["x"] if i % 2 else [] for i in range(12)]))
    assert found == {"6 documents have no label (50.0%); they are kept.": "info"}


def test_rare_unused_and_universal_labels_are_named() -> None:
    labels = [["all", "x" if i < 8 else "y"] for i in range(12)]
    corpus = Corpus.from_lists([f"a b c {i}" for i in range(12)], labels, Taxonomy.flat(["x", "y", "all", "z"]))
    found = sentences(corpus)
    assert (
        found[
            "1 label has fewer than 5 documents: y (4); add documents, merge them into their parent, or "
            "expect them to be missed."
        ]
        == "warning"
    )
    assert found["1 label of the taxonomy has no document: z; it cannot be learned from these data."] == "info"
    assert found["Every document has all; such a label says nothing about a document."] == "info"


def test_labels_that_differ_in_case_only_are_named() -> None:
    corpus = Corpus.from_lists(["a b c", "d e f"], [["Sport"], ["sport"]])
    assert any(
        "differs only in case, spaces or the form of characters: 'Sport' / 'sport'" in sentence
        for sentence in sentences(corpus)
    )


def test_labels_that_look_alike_are_named_with_their_characters() -> None:
    corpus = Corpus.from_lists(["a b c", "d e f"], [["caf\u00e9", "x"], ["cafe\u0301", "X", "y"]])
    found = sentences(corpus)
    assert any(
        r"1 group of labels is the same text, written with other Unicode characters: 'cafe\u0301' / 'caf\xe9'; "
        "normalise the labels to NFC." in sentence
        for sentence in found
    )
    assert any("1 group of labels differs only in case" in s and "'X' / 'x'" in s for s in found)


def test_an_id_given_as_a_number_and_as_text_is_one_id() -> None:
    corpus = Corpus.from_lists(["a b c", "d e f", "g h i"], [["x"], ["y"], []], ids=[7, "7", 8])
    assert any("1 document id occurs more than once: '7'" in sentence for sentence in sentences(corpus))


def test_sentences_end_once_and_count_in_words_that_fit(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(
        json.dumps({"text": "a b c", "labels": [" b", "b"]})
        + "\n"
        + json.dumps({"txt": "d e f", "labels": ["d"]})
        + "\n"
    )
    found = list(sentences(read_corpus(tmp_path / "c.jsonl", TREE, on_bad_line="skip", closure="leaves")))
    assert any(sentence.endswith("Did you mean 'txt'?") for sentence in found)
    assert "1 label occurred twice in one document and counted once." in found
    assert "White space around 1 label was dropped." in found
    assert not any("1 labels" in sentence or ".." in sentence or "?." in sentence for sentence in found)
    (tmp_path / "d.jsonl").write_text(json.dumps({"text": "a b c", "labels": ["a", "b"]}) + "\n")
    found = list(sentences(read_corpus(tmp_path / "d.jsonl", TREE, closure="leaves")))
    assert "1 ancestor was removed from the label sets (closure policy)." in found


def test_closure_is_reported() -> None:
    given = Corpus.from_lists(["a b c", "d e f"], [["b"], ["d"]], TREE, closure="as_given")
    assert any("1 document has labels without all of their ancestors (1 label)" in s for s in sentences(given))
    closed = Corpus.from_lists(["a b c", "d e f"], [["b"], ["d"]], TREE)
    assert "1 ancestor of a label was added to the label sets (closure policy)." in sentences(closed)


def test_duplicates_short_and_damaged_texts_are_reported() -> None:
    corpus = Corpus.from_lists(["a b c", "a  b c", "hm", "caf\ufffd is closed"], [["x"], ["y"], ["x"], ["y"]])
    found = " ".join(sentences(corpus))
    assert "1 text occurs more than once (1 surplus document), for example in documents 1 and 2" in found
    assert "1 text that occurs more than once has different labels, for example documents 1 and 2" in found
    assert "1 text has fewer than 3 words (number 3)" in found
    assert "1 text has the replacement character U+FFFD (number 4)" in found


def test_texts_that_will_be_cut_are_reported() -> None:
    found = sentences(good(), token_counter=lambda texts: np.arange(len(texts)), max_tokens=14)
    assert found["5 texts are longer than 14 tokens (25.0%); choose how long texts are treated."] == "warning"


def test_what_was_changed_while_reading_is_reported(tmp_path: Path, caplog: object) -> None:
    lines = [{"text": f"a b c {i}", "labels": [" b", "d", "d"], "id": "same"} for i in range(6)]
    content = "".join(json.dumps(line) + "\n" for line in lines) + "{\n"
    content += json.dumps({"text": "one two three", "labels": ["stone"]})
    (tmp_path / "c.jsonl").write_text(content)
    logging.getLogger("taxotext").setLevel(logging.ERROR)
    corpus = read_corpus(tmp_path / "c.jsonl", TREE, unknown="drop", on_bad_line="skip")
    logging.getLogger("taxotext").setLevel(logging.NOTSET)
    found = " ".join(sentences(corpus))
    assert "1 bad line was left out; the first one: " in found
    assert "c.jsonl:7: this is not valid JSON" in found
    assert "1 label is not in the taxonomy: 'stone'; it was removed." in found
    assert "6 labels occurred twice in one document" in found
    assert "White space around 6 labels was dropped" in found
    assert "1 document id occurs more than once: 'same'" in found


def test_leaks_and_unseen_labels_between_two_parts_are_reported() -> None:
    train = good()
    test = Corpus.from_lists(["a good text number 3", "new text here"], [["y"], ["z"]], source="test.csv")
    found = " ".join(sentences(train, test))
    assert "1 text of memory (5.0%) is also in test.csv, for example document 4 here and 1 there" in found
    assert "1 shared text has different labels in memory and test.csv" in found
    assert "1 label of test.csv never occurs in memory and cannot be learned: z (in 1 document)." in found


def test_different_taxonomies_and_policies_are_reported() -> None:
    train = Corpus.from_lists(["a b c", "d e f"], [["b"], ["d"]], TREE)
    other = Corpus.from_lists(["x y z"], [["a"]], Taxonomy.from_edges([(None, "a"), ("a", "q")]), closure="as_given")
    found = check_corpus(train, other)
    assert found[0].level == "error"
    assert "different taxonomies" in found[0].sentence
    assert any("read with closure='ancestors'" in finding.sentence for finding in found)
