"""Names in texts, against windows of words taken one by one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.models.name_matches import find_names, index_names

WORDS = ("graph", "theory", "tree", "learning")


def cut(words: list[str]) -> list[str]:
    """A stemmer that one can follow: a final s goes."""
    return [word.removesuffix("s") for word in words]


def plainly(names: Sequence[Sequence[str]], texts: Sequence[str], longest: int) -> set[tuple[int, int, int, int]]:
    """(text, label, position, length) of all matches of names without brackets."""
    found = set()
    for document, text in enumerate(texts):
        tokens, positions, count = [], [], 0
        for token in re.findall(r"\w+|[.,;:!?()\[\]\n]", text.lower()):
            tokens.append(cut([token])[0])
            positions.append(count)
            count += token[0].isalnum()
        for label, own in enumerate(names):
            for name in own:
                with_marks = cut(name.strip(" .,").split())
                words = [token for token in with_marks if token[0].isalnum()]
                for wanted in (words, with_marks):
                    for start in range(len(tokens) - len(wanted) + 1):
                        window = tokens[start : start + len(wanted)]
                        between = not {*window[:1], *window[-1:]} & {".", ","}
                        if between and 0 < len(words) <= longest and sorted(window) == sorted(wanted):
                            found.add((document, label, positions[start], len(words)))
    return found


@given(
    names=st.lists(
        st.lists(st.lists(st.sampled_from((*WORDS, ".", ",")), min_size=1, max_size=4).map(" ".join), max_size=2),
        max_size=6,
    ),
    texts=st.lists(
        st.lists(st.sampled_from((*WORDS, "trees", "other", ".", ",", "\n", "(")), max_size=12).map(" ".join),
        max_size=4,
    ),
    longest=st.integers(1, 4),
)
@settings(deadline=None, max_examples=150)
def test_matches_are_those_of_all_windows(names: list[list[str]], texts: list[str], longest: int) -> None:
    matches = find_names(index_names(names, cut, longest), texts, cut)
    rows = zip(matches.document, matches.label, matches.position, matches.length, strict=True)
    found = [tuple(map(int, row)) for row in rows]
    assert len(found) == len(set(found))
    assert set(found) == plainly(names, texts, longest)
    assert found == sorted(found, key=lambda row: (row[0], row[2], row[3])) or len(names) > 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("H2O", "the H2O molecule", 1),
        ("1990s", "in the 1990s", 1),
        ("foo_bar", "call foo_bar now", 1),
        ("C++", "all in C++, today", 1),
        ("a.*b", "the pattern a.*b", 2),
        ("St. Louis", "in St. Louis today", 2),
        ("St. Louis", "in St Louis today", 2),
        ("Node.js", "we use Node.js.", 2),
        ("Washington, D.C.", "in Washington, D.C., today", 3),
        ("Wörter", "alle Wo\u0308rter", 1),
        ("Wo\u0308rter", "alle Wörter", 1),
    ],
)
def test_a_name_is_found_as_it_is_written(name: str, text: str, words: int) -> None:
    matches = find_names(index_names([[name]], cut, 6), [text], cut)
    assert matches.length.tolist() == [words]
    assert matches.words.tolist() == [len(re.findall(r"\w+", unicodedata.normalize("NFC", text)))]


def test_no_name_goes_across_marks_that_it_does_not_have() -> None:
    names = index_names([["graph theory"], ["graph, theory"]], cut, 6)
    matches = find_names(names, ["graph. theory", "graph, theory", "graph theory"], cut)
    found = zip(matches.document.tolist(), matches.label.tolist(), strict=True)
    assert sorted(found) == [(1, 1), (2, 0), (2, 1)]


def test_a_match_within_a_longer_one_is_marked() -> None:
    names = index_names([["graph theory"], ["graph"], ["theory of graphs"]], cut, 6)
    matches = find_names(names, ["A theory of graphs. A graph"], cut)
    marked = {
        (int(label), int(at)): bool(inside)
        for label, at, inside in zip(matches.label, matches.position, matches.inside, strict=True)
    }
    assert marked == {(2, 1): False, (1, 3): True, (1, 5): False}


def test_a_qualifier_may_be_missing_and_a_shared_name_is_ambiguous() -> None:
    names = index_names([["Java (island)"], ["Java <language>"], ["Sumatra"]], cut, 6)
    matches = find_names(names, ["Java and Sumatra; the island Java"], cut)
    found = sorted(
        (int(label), int(position), int(length), int(ambiguity), int(kind))
        for label, position, length, ambiguity, kind in zip(
            matches.label, matches.position, matches.length, matches.ambiguity, matches.kind, strict=True
        )
    )
    assert found == [
        (0, 0, 1, 2, 1),
        (0, 4, 2, 1, 0),
        (0, 5, 1, 2, 1),
        (1, 0, 1, 2, 1),
        (1, 5, 1, 2, 1),
        (2, 2, 1, 1, 0),
    ]
    assert matches.words.tolist() == [6]


def test_alternative_names_match_and_say_that_they_are_some() -> None:
    names = index_names([["automobile", "car", "wagon (vehicle)", "Automobiles"], ["", "motor"]], cut, 6)
    matches = find_names(names, ["A car, an automobile, a wagon, a vehicle wagon and a motor"], cut)
    found = zip(matches.label.tolist(), matches.position.tolist(), matches.kind.tolist(), strict=True)
    assert sorted(found) == [(0, 1, 2), (0, 3, 0), (0, 5, 3), (0, 7, 2), (0, 8, 3), (1, 11, 2)]


def test_words_of_the_first_line_are_counted() -> None:
    matches = find_names(index_names([["tree"]], cut, 6), ["A tree\nin the garden", "one line", ""], cut)
    assert matches.words.tolist() == [5, 2, 0]
    assert matches.title.tolist() == [2, 2, 0]


def test_numbers_alone_are_no_names() -> None:
    names = index_names([["1914"], ["World War 1914"], [""], []], cut, 6)
    assert names.labels.tolist() == [1]
    assert len(find_names(names, ["In 1914 the world war"], cut).label) == 0
    assert find_names(names, ["the 1914 world war"], cut).label.tolist() == [1]


def test_no_names_and_no_texts_give_no_matches() -> None:
    assert len(find_names(index_names([[], []], cut, 6), ["tree"], cut).label) == 0
    assert len(find_names(index_names([["tree"]], cut, 6), [], cut).label) == 0
    empty = find_names(index_names([["tree"]], cut, 6), ["", "  "], cut)
    assert empty.document.dtype == np.int64
    assert len(empty.label) == 0
