"""Hints for labels that a taxonomy lacks: near, right, and found with little work."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from taxotext.errors import SHOWN_PROBLEMS, LabelError, nearest
from taxotext.labels import Taxonomy, lookup

URIS = [f"http://example.org/{number * 7919 % 1_000_003:06}" for number in range(60_000)]
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """With how many ids each label is compared letter by letter."""
    counts: list[int] = []

    def counting(label: str, candidates: object) -> str:
        listed = list(candidates)  # type: ignore[call-overload]
        counts.append(len(listed))
        return nearest(label, listed)

    monkeypatch.setattr(lookup, "nearest", counting)
    return counts


def test_a_label_is_compared_with_few_of_many_ids_that_begin_alike(compared: list[int]) -> None:
    wanted = URIS[59_000]
    mistyped = wanted[:-3] + "x" + wanted[-3:]
    assert lookup.hint(mistyped, URIS) == f" Did you mean {wanted!r}?"
    assert max(compared) <= 500


def test_only_labels_that_are_shown_are_looked_up(compared: list[int]) -> None:
    asked = [f"label{number}x" for number in range(50)]
    found = lookup.hints(asked, [f"label{number}" for number in range(50)])
    assert found[:SHOWN_PROBLEMS] == [f" Did you mean 'label{number}'?" for number in range(SHOWN_PROBLEMS)]
    assert found[SHOWN_PROBLEMS:] == [""] * 30
    assert len(compared) == SHOWN_PROBLEMS


def test_an_id_that_differs_in_case_comes_before_a_nearer_one() -> None:
    assert lookup.hints(["SPORT ", 5, 6, "qqq"], ["SPORTS", "sport", "5"]) == [
        " Did you mean 'sport'?",
        " Label ids are text, not int; write '5'.",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("asked", "there", "form"),
    [(DECOMPOSED, COMPOSED, "NFC"), (COMPOSED, DECOMPOSED, "NFC"), ("\ufb01sh", "fish", "NFKC")],
)
def test_labels_that_look_alike_are_shown_with_their_characters(asked: str, there: str, form: str) -> None:
    with pytest.raises(LabelError) as caught:
        Taxonomy.flat(["x", there]).index(asked)
    assert str(caught.value).endswith(
        f" {there!r} is there, written with other Unicode characters ({there!a}, not {asked!a}); normalise to {form}."
    )


def test_labels_are_counted_in_words_that_fit() -> None:
    with pytest.raises(LabelError, match=r"^1 label is not in the taxonomy of 1 label;"):
        Taxonomy.flat(["a"]).indices(["b"])


# Many ids


def swapped(one: str, other: str) -> bool:
    """Whether two neighbouring letters of one are swapped in the other."""
    differ = [i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    return len(one) == len(other) and len(differ) == 2 and differ[1] == differ[0] + 1 and sorted(one) == sorted(other)


def is_one_slip(one: str, other: str) -> bool:
    """Whether a letter more, a letter less, another letter or a swap makes one of the other."""
    if len(one) == len(other):
        return swapped(one, other) or sum(a != b for a, b in zip(one, other, strict=True)) == 1
    short, long = sorted((one, other), key=len)
    return any(short == long[:i] + long[i + 1 :] for i in range(len(long)))


words = st.text("abcé ", min_size=1, max_size=5).filter(lambda word: word == word.strip() and "  " not in word)


@settings(deadline=None)
@given(st.sets(words, min_size=1, max_size=6), words)
def test_of_many_ids_those_that_are_one_slip_away_are_found(ids: set[str], asked: str) -> None:
    assume(lookup.fold(asked) not in {lookup.fold(known) for known in ids})
    near = {f" Did you mean {known!r}?" for known in ids if is_one_slip(asked, known)}
    # The letters that are tried are those of the label and of ASCII.
    must = any(is_one_slip(asked, known) and set(known) <= {*asked, *"abc "} for known in ids)
    with mock.patch.object(lookup, "LARGEST", 0):
        for there in (tuple(ids), dict.fromkeys(ids)):
            assert lookup.hint(asked, there) in (near if must else near | {""})


@pytest.mark.parametrize(
    ("asked", "there"), [("SPORT", "sport"), (" sport  news", "sport news"), ("sport", "SPORT"), ("SPORT", "Sport")]
)
def test_of_many_ids_case_and_white_space_do_not_count(asked: str, there: str) -> None:
    with mock.patch.object(lookup, "LARGEST", 0):
        assert lookup.hint(asked, ["other", there]) == f" Did you mean {there!r}?"
        assert lookup.hint(DECOMPOSED, [COMPOSED]).endswith("normalise to NFC.")
        assert lookup.hint(5, ["5"]) == " Label ids are text, not int; write '5'."
        assert lookup.hint("x" * 300, ["x" * 299]) == ""
