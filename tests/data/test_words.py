"""Counting words."""

from __future__ import annotations

import pytest

from taxotext.data import count_words
from taxotext.data.words import _ASCII, _pattern


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" ,.- \n", 0),
        ("The cat's tail", 3),
        ("re-read 3.14", 4),
        ("naïve café", 2),
        ("nai\u0308ve cafe\u0301", 2),
        ("Москва — столица России", 3),
        ("東京", 2),
        ("東京に行く。", 5),
        ("カ\u3099スター", 3),
        ("中文 and English", 4),
        ("대한민국 서울", 2),
        ("हिन्दी में", 2),
        ("\u0645\u06cc\u200c\u062e\u0648\u0631\u0645", 1),
        ("l\u2019été d'or", 2),
        ("snake_case", 1),
        ("👩‍🔬 works", 1),
    ],
)
def test_words_are_counted_in_any_script(text: str, words: int) -> None:
    assert count_words(text) == words


def test_the_rule_for_ascii_is_the_general_one() -> None:
    text = "It's 5 o'clock' _now_, isn't-it? 'quoted' x''y"
    assert _ASCII.findall(text) == _pattern().findall(text)
