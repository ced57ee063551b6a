"""Graphs of words: by hand, and against a plain program with dictionaries and queues."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data import graphs
from taxotext.data.graphs import graph_windows
from taxotext.data.tokens import Ragged
from taxotext.data.windows import Windows, make_windows

VOCABULARY = 14
PAD, UNKNOWN, STOP = 0, 1, 13
LEFT_OUT = np.zeros(VOCABULARY, dtype=np.bool_)
LEFT_OUT[[PAD, UNKNOWN, STOP]] = True


def windows_of(*rows: list[int]) -> Windows:
    return Windows(Ragged.from_rows(rows), np.arange(len(rows) + 1), np.zeros(len(rows), np.bool_))


def grids(*rows: list[int], neighbours: int = 10, **options: Any) -> list[list[list[int]]]:
    found = graph_windows(windows_of(*rows), LEFT_OUT, neighbours=neighbours, **options).tokens
    return [found[row].reshape(-1, neighbours).tolist() for row in range(len(found))]


# 5 6 7 5 8. Neighbours in the text add 2, words with one between them 1: 5-6 and 5-7 weigh 3, 5-8 and 6-7 weigh 2,
# 7-8 weighs 1.
TEXT = [5, 6, 7, 5, 8]


def test_rows_are_the_words_and_their_surroundings_heaviest_edges_first() -> None:
    assert grids(TEXT, neighbours=4) == [[[5, 6, 7, 8], [6, 5, 7, 8], [7, 5, 6, 8], [8, 5, 7, 6]]]
    assert grids(TEXT, neighbours=3) == [[[5, 6, 7], [6, 5, 7], [7, 5, 6], [8, 5, 7]]]


def test_a_walk_may_repeat_words_as_the_reference_does() -> None:
    (rows,) = grids(TEXT, neighbours=6, revisit=True)
    assert rows == [[5, 6, 7, 8, 5, 7], [6, 5, 7, 6, 7, 8], [7, 5, 6, 8, 6, 7], [8, 5, 7, 6, 7, 8]]


def test_words_beyond_the_vertices_appear_as_neighbours_only() -> None:
    assert grids(TEXT, neighbours=4, vertices=2) == [[[5, 6, 7, 8], [6, 5, 7, 8]]]


def test_a_text_of_few_words_is_filled_with_padding() -> None:
    assert grids([5], neighbours=4) == [[[5, 0, 0, 0]]]
    assert grids([5, 5, 5], neighbours=3) == [[[5, 0, 0]]], "a word is not a neighbour of itself"
    assert grids([5, 6], neighbours=4, revisit=True) == [[[5, 6, 5, 6], [6, 5, 6, 5]]]
    assert grids([5, 6], [7], neighbours=3) == [[[5, 6, 0], [6, 5, 0]], [[7, 0, 0]]], "texts know nothing of each other"


def test_words_that_are_left_out_are_gone_before_distances_are_counted() -> None:
    assert grids([5, STOP, 6, UNKNOWN, UNKNOWN, 7], neighbours=4) == grids([5, 6, 7], neighbours=4)
    assert grids([STOP, UNKNOWN], [5], [STOP], neighbours=3) == [[[1, 0, 0]], [[5, 0, 0]], [[1, 0, 0]]]


def test_a_wider_window_joins_words_further_apart() -> None:
    assert grids([5, 6, 7, 8], neighbours=4, span=2)[0][0] == [5, 6, 7, 8]  # by way of 6 and 7
    assert grids([5, 6, 5, 9, 7, 8], neighbours=3, span=2)[0][0] == [5, 6, 9]
    assert grids([5, 6, 7, 8], neighbours=4, span=4)[0] == [[5, 6, 7, 8], [6, 5, 7, 8], [7, 6, 8, 5], [8, 7, 6, 5]]


def plain(ids: list[int], vertices: int, neighbours: int, span: int, revisit: bool) -> list[list[int]]:
    """The same by the words of the documentation, one step after the other."""
    words = [word for word in ids if not LEFT_OUT[word]] or [UNKNOWN]
    counts = Counter(words)
    ranked = sorted(counts, key=lambda word: (-counts[word], words.index(word)))
    weights: Counter[tuple[int, int]] = Counter()
    for start in range(1 - span, len(words)):  # every place of a window that holds some of the text
        held = range(max(start, 0), min(start + span, len(words)))
        for one in held:
            for other in held:
                if words[one] != words[other]:
                    weights[words[one], words[other]] += 1
    near = {
        word: sorted((v for u, v in weights if u == word), key=lambda v: (-weights[word, v], ranked.index(v)))
        for word in ranked
    }
    rows = []
    for root in ranked[:vertices]:
        row, queue = [root], deque([root])
        while queue and len(row) < neighbours:
            for word in near[queue.popleft()]:
                if len(row) < neighbours and (revisit or word not in row):
                    row.append(word)
                    queue.append(word)
        rows.append(row + [PAD] * (neighbours - len(row)))
    return rows


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=30), max_size=6),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 6),
    st.booleans(),
    st.sampled_from([1, 7, 40, 10_000]),
)
def test_graphs_are_those_of_a_plain_program(
    rows: list[list[int]], vertices: int, neighbours: int, span: int, revisit: bool, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "BLOCK", block)
        found = grids(*rows, neighbours=neighbours, vertices=vertices, span=span, revisit=revisit)
    assert found == [plain(row, vertices, neighbours, span, revisit) for row in rows]


def test_pieces_of_a_text_have_a_graph_each_and_long_ones_go_to_a_file() -> None:
    tokens = Ragged.from_rows([[5, 6, 7, 8, 9, 10, 11], [5]])
    pieces = make_windows(tokens, max_tokens=4, mode="chunk_max")
    found = graph_windows(pieces, LEFT_OUT, neighbours=4, in_memory=0)
    assert found.first.tolist() == [0, 2, 3]
    assert found.tokens.lengths.tolist() == [16, 12, 4]
    assert found.tokens[1].reshape(-1, 4).tolist() == [[9, 10, 11, 0], [10, 9, 11, 0], [11, 10, 9, 0]]
    assert isinstance(found.tokens.values.base, np.memmap)
    assert not found.cut.any()


def test_no_windows_give_no_graphs() -> None:
    assert len(graph_windows(windows_of(), LEFT_OUT)) == 0
