"""Labels that are probably not what was meant."""

from __future__ import annotations

from itertools import permutations

import pytest

from taxotext.data import Corpus, check_corpus
from taxotext.data.label_oddities import label_oddities, uncut_labels
from taxotext.labels import Taxonomy


def sentences(labels: list[str], known: tuple[str, ...] = (), **settings: bool) -> list[str]:
    return [oddity.sentence for oddity in label_oddities(dict.fromkeys(labels, 1), known, **settings)]


@pytest.mark.parametrize("sign", ["#", " ", "/", ";", "|", ",", "+", "::", " > ", ", ", "&", "-", "~", "\\", "_"])
def test_a_sign_that_splits_labels_into_others_is_pointed_out(sign: str) -> None:
    [sentence] = sentences([f"a{sign}b", "a", "b", "c", f"c{sign}a"])
    shown = sign.strip() or sign
    assert sentence.startswith(
        f"{shown!r} splits 2 labels into labels that are there by themselves, too: {f'a{sign}b'!r} into 'a' and 'b'"
    )
    assert f"give label_separator={shown!r}" in sentence


@pytest.mark.parametrize(
    "labels",
    [
        ["hardware/printer", "hardware/screen", "hardware", "network/wifi", "network"],  # paths
        ["machine learning", "deep learning", "statistics"],
        ["cs.AI", "cs.CL", "cs", "math", "math.AG"],
        ["C#", "C++", "C", "F#"],
        ["1.1", "1.2", "2.1"],
        ["health care", "health", "care", "heart failure", "lung cancer", "skin disease"],  # one by chance
    ],
)
def test_signs_inside_labels_are_left_alone(labels: list[str]) -> None:
    assert sentences(labels) == []


def test_a_sign_that_mostly_separates_is_pointed_out_where_every_document_has_one_label() -> None:
    labels = ["hardware#printer", "network#vpn", "software"]
    [sentence] = sentences(labels)
    assert sentence.startswith("2 labels contain '#', such as 'hardware#printer', and each is taken as one label;")
    assert sentences(labels, one_each=False) == []


def test_labels_of_a_taxonomy_are_no_several_labels_but_unknown_ones_may_be() -> None:
    assert sentences(["a b", "a", "b"], ("a b", "a", "b")) == []
    [sentence] = sentences(["a", "b", "a#b"], ("a", "b"))
    assert "'a#b' into 'a' and 'b'" in sentence
    tree = Taxonomy.from_edges([(None, "a"), ("a", "a/b"), (None, "b")])
    corpus = Corpus.from_lists([f"a b c {i}" for i in range(30)], [["a/b"], ["a"], ["b"]] * 10, tree)
    assert [finding for finding in check_corpus(corpus) if "splits" in finding.sentence] == []


def test_entities_missing_values_and_characters_that_nobody_sees_are_named() -> None:
    found = sentences(["Home &amp; Kitchen", "It&#39;s", "nan", "None", "N/A", "a\u200b", "\ufeffb", "R&D"])
    assert found[0].startswith("2 labels have HTML entities such as '&amp;': 'Home &amp; Kitchen', 'It&#39;s';")
    assert [sentence.split("the label ")[1].split(",")[0] for sentence in found[1:4]] == ["'nan'", "'None'", "'N/A'"]
    assert found[4] == r"2 labels have characters that cannot be seen: 'a\u200b', '\ufeffb'; remove them."
    assert sentences(["می\u200cخواهم", "👩\u200d🔬"]) == []  # joiners that the scripts need


def test_labels_that_differ_in_blanks_around_a_sign_are_grouped() -> None:
    corpus = Corpus.from_lists([f"a b c {i}" for i in range(4)], [["A / B"], ["A/B"], ["c"], ["c\u200b"]])
    [sentence] = [finding.sentence for finding in check_corpus(corpus) if "differ only" in finding.sentence]
    assert sentence.startswith("2 groups of labels differ only in case, spaces or the form of characters: 'A / B' / ")


def test_rows_of_a_matrix_without_separators_are_pointed_out_and_plain_numbers_are_not() -> None:
    [sentence] = sentences(["1001", "0110", "0000"])
    assert sentence == (
        "All labels are 4 digits 0 and 1, such as '0110'; if each digit stands for a label, separate them: '0,1,1,0'."
    )
    for labels in (["0", "1"], ["01", "10"], ["100", "101", "110"], ["0110"], ["001", "012"], ["001", "0010"]):
        assert sentences(labels) == []


def test_missing_values_in_paths_and_behind_columns_are_pointed_out() -> None:
    found = [oddity.sentence for oddity in label_oddities({"a/nan": 2, "l1=None": 1, "Nan bread": 1, "a/banana": 3})]
    assert len(found) == 2
    assert "2 documents have the label 'a/nan'" in found[0]
    assert "1 document has the label 'l1=None'" in found[1]


def test_signs_of_equal_numbers_come_in_the_order_of_the_labels() -> None:
    for first, second in permutations("#~^$", 2):  # in a set their order would change from run to run
        labels = [f"a{number}{first}b{number}{second}c{number}" for number in range(10)]
        found = [oddity.sentence for oddity in uncut_labels(labels, (), one_each=True)]
        assert [sentence.partition("contain ")[2][:3] for sentence in found] == [repr(first), repr(second)]
