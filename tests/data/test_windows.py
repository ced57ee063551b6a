"""Long texts: which tokens are read, in every mode."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data.tokens import Ragged
from taxotext.data.windows import LongText, Windows, make_windows

DOCUMENTS = st.lists(st.lists(st.integers(10, 99), min_size=1, max_size=40), max_size=6)
MODES = st.sampled_from(["truncate", "head_tail", "chunk_max", "chunk_mean"])


def rows_of(windows: Windows, document: int) -> list[list[int]]:
    return [windows.tokens[row].tolist() for row in range(windows.first[document], windows.first[document + 1])]


def expected(ids: list[int], room: int, mode: str, max_chunks: int) -> list[list[int]]:
    """The pieces of one document, by the words of the documentation."""
    if len(ids) <= room:
        return [ids]
    if mode == "truncate":
        return [ids[:room]]
    if mode == "head_tail":
        head = room // 4
        return [ids[:head] + ids[-(room - head) :]]
    ids = ids[: room * max_chunks]
    count = (len(ids) + room - 1) // room
    short, longer = divmod(len(ids), count)
    pieces, at = [], 0
    for number in range(count):
        size = short + (number < longer)
        pieces.append(ids[at : at + size])
        at += size
    return pieces


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, MODES, st.integers(1, 9), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2))
def test_windows_are_what_the_documentation_says(
    documents: list[list[int]], mode: LongText, room: int, max_chunks: int, before: int, behind: int
) -> None:
    prefix, suffix = (1,) * before, (2,) * behind
    windows = make_windows(
        Ragged.from_rows(documents),
        max_tokens=room + before + behind,
        mode=mode,
        max_chunks=max_chunks,
        prefix=prefix,
        suffix=suffix,
    )
    assert len(windows) == len(documents)
    for position, ids in enumerate(documents):
        pieces = expected(ids, room, mode, max_chunks)
        found = rows_of(windows, position)
        assert found == [[*prefix, *piece, *suffix] for piece in pieces]
        assert all(len(row) <= room + before + behind for row in found)
        read = sum(len(piece) for piece in pieces)
        assert windows.cut[position] == (read < len(ids))
        assert windows.costs[position] == max(len(row) for row in found)


def test_head_and_tail_keep_a_quarter_and_three_quarters() -> None:
    windows = make_windows(
        Ragged.from_rows([list(range(100))]), max_tokens=10, mode="head_tail", prefix=(7,), suffix=(8,)
    )
    assert rows_of(windows, 0) == [[7, 0, 1, 94, 95, 96, 97, 98, 99, 8]]
    assert windows.cut.tolist() == [True]


def test_pieces_are_of_nearly_equal_length() -> None:
    windows = make_windows(Ragged.from_rows([list(range(11))]), max_tokens=5, mode="chunk_max")
    assert [len(row) for row in rows_of(windows, 0)] == [4, 4, 3]


def test_what_lies_behind_the_last_piece_is_cut_and_counted() -> None:
    tokens = Ragged.from_rows([list(range(10)), list(range(11))])
    windows = make_windows(tokens, max_tokens=5, mode="chunk_mean", max_chunks=2)
    assert windows.cut.tolist() == [False, True]
    assert rows_of(windows, 1) == [list(range(5)), list(range(5, 10))]


@pytest.mark.parametrize("max_tokens", [0, 1, 2])
def test_no_room_beside_the_special_tokens_is_refused(max_tokens: int) -> None:
    with pytest.raises(ValueError, match=f"max_tokens={max_tokens} leaves no room beside 2 special tokens"):
        make_windows(Ragged.from_rows([[1]]), max_tokens=max_tokens, prefix=(1,), suffix=(2,))


def test_no_documents_have_no_windows() -> None:
    windows = make_windows(Ragged.from_rows([]), max_tokens=8)
    assert (len(windows), len(windows.tokens), windows.costs.tolist()) == (0, 0, [])
