"""Tokenizers: special tokens, words of all scripts, ragged rows."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data.tokens import Ragged, TextTokenizer
from taxotext.errors import ModelFolderError

TEXTS = [
    "The cat saw the dog.",
    "Кошка видит собаку, собака видит кошку.",
    "我喜欢猫。我喜欢狗。",
    "ねこがすき ねこがすき",
    "cafe\u0301 au lait, café au lait",
    "한국어 문장 한국어",
]


@pytest.fixture(scope="module")
def words() -> TextTokenizer:
    return TextTokenizer.learn_words(TEXTS, min_count=1)


@pytest.fixture
def subwords(tiny_encoder: Path) -> TextTokenizer:
    from taxotext.nn.encoders.pretrained import load_tokenizer

    return load_tokenizer(str(tiny_encoder))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 1000), max_size=6), max_size=8))
def test_ragged_rows_come_back_as_they_went_in(rows: list[list[int]]) -> None:
    ragged = Ragged.from_rows(rows)
    assert len(ragged) == len(rows)
    assert [ragged[position].tolist() for position in range(len(rows))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.values.dtype == np.int32


def test_special_tokens_are_known_and_kept_out_of_the_text(subwords: TextTokenizer) -> None:
    assert (subwords.prefix, subwords.suffix, subwords.specials) == ((2,), (3,), 2)
    assert (subwords.pad_id, subwords.unknown_id) == (0, 1)
    ids = subwords.encode(["cat dog", "the"])
    assert ids.lengths.tolist() == [2, 1]
    assert not set(ids.values.tolist()) & {0, 2, 3}
    assert subwords.count(["cat dog", "the"]).tolist() == [4, 3]
    assert subwords.tokens("cat zoo") == ["cat", "z", "##o", "##o"]


def test_case_and_punctuation_can_be_taken_from_texts_first_and_the_file_keeps_that(tmp_path: Path) -> None:
    cased = TextTokenizer.learn_words(["Cat cat dog U.S. , ! $"], min_count=1, lowercase=False)
    text = "Cat-dog, U.S. $cat! …"
    assert cased.tokens(text) == ["Cat", "[UNK]", *["dog", ",", "U", ".", "S", ".", "$", "cat", "!"], "[UNK]"]
    clean = cased.cleaned(lowercase=True, punctuation=False)
    assert clean.tokens(text) == ["cat", "dog", "[UNK]", "[UNK]", "cat"]  # u and s are no words in lower case
    assert cased.cleaned(punctuation=False).tokens(text) == ["Cat", "dog", "U", "S", "cat"]
    assert cased.cleaned(lowercase=True).tokens("Cat!") == ["cat", "!"]
    clean.save(tmp_path / "tokenizer.json")
    again = TextTokenizer.from_file(tmp_path / "tokenizer.json")
    assert again.tokens(text) == clean.tokens(text)
    assert (again.pad_id, again.prefix, again.suffix) == (clean.pad_id, clean.prefix, clean.suffix)
    assert clean.encode(["?!", ""]).lengths.tolist() == [1, 1], "nothing is left: one unknown word"


def test_texts_are_encoded_uncut_and_unpadded_whatever_the_file_says(tiny_encoder: Path) -> None:
    from tokenizers import Tokenizer

    own = Tokenizer.from_file(str(tiny_encoder / "tokenizer.json"))
    own.enable_truncation(3)
    own.enable_padding(length=8, pad_id=0, pad_token="[PAD]")
    ids = TextTokenizer(own).encode(["cat " * 30, "cat"])
    assert ids.lengths.tolist() == [30, 1]
    assert len(own.encode("cat " * 30).ids) == 8, "the given tokenizer was changed"


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200b", "\x00\x01"])
def test_a_text_of_which_nothing_is_left_is_one_unknown_token(text: str, subwords: TextTokenizer) -> None:
    ids = subwords.encode([text, "cat", text])
    assert ids.lengths.tolist() == [1, 1, 1]
    assert ids[0].tolist() == ids[2].tolist() == [subwords.unknown_id]


def test_no_texts_give_no_rows(subwords: TextTokenizer) -> None:
    assert len(subwords.encode([])) == 0
    assert subwords.count([]).tolist() == []


def test_many_texts_are_encoded_as_each_alone(subwords: TextTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxotext.data.tokens.CHUNK", 3)
    texts = [*TEXTS, "", "cat dog"] * 2
    together = subwords.encode(texts)
    for position, text in enumerate(texts):
        assert together[position].tolist() == subwords.encode([text])[0].tolist()


def test_words_of_all_scripts_stay_whole_and_ideographs_stand_alone(words: TextTokenizer) -> None:
    assert words.tokens("The CAT.") == ["the", "cat", "."]
    assert words.tokens("Собака, кошка") == ["собака", ",", "кошка"]
    assert words.tokens("我喜欢狗") == ["我", "喜", "欢", "狗"]
    assert words.tokens("ねこ") == ["ね", "こ"]
    assert words.tokens("한국어") == ["한국어"]


def test_a_letter_and_its_combining_mark_are_the_composed_letter(words: TextTokenizer) -> None:
    assert words.tokens("cafe\u0301") == words.tokens("caf\u00e9") == ["caf\u00e9"]


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="aеé猫\u0301 .B", max_size=12))
def test_canonically_equal_texts_have_equal_tokens(text: str) -> None:
    words = TextTokenizer.learn_words(TEXTS, min_count=1)
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert words.encode([composed])[0].tolist() == words.encode([decomposed])[0].tolist()


def test_the_vocabulary_holds_the_most_frequent_words_and_two_special_ones() -> None:
    texts = ["b b b c c a", "c b d"]
    counts = Counter(word for text in texts for word in text.split())
    words = TextTokenizer.learn_words(texts, size=4, min_count=1)
    assert len(words) == 4
    kept = {word for word, _ in counts.most_common(2)}
    assert words.tokens("a b c d") == [word if word in kept else "[UNK]" for word in "abcd"]
    assert len(TextTokenizer.learn_words(texts, min_count=3)) == 2 + sum(count >= 3 for count in counts.values())
    assert (words.pad_id, words.unknown_id, words.prefix, words.suffix) == (0, 1, (), ())


def test_case_is_kept_when_asked() -> None:
    words = TextTokenizer.learn_words(["Cat cat Cat cat"], lowercase=False)
    assert words.tokens("Cat cat CAT") == ["Cat", "cat", "[UNK]"]


def test_a_saved_tokenizer_reads_back_the_same(words: TextTokenizer, subwords: TextTokenizer, tmp_path: Path) -> None:
    for number, tokenizer in enumerate((words, subwords)):
        path = tmp_path / f"{number}.json"
        tokenizer.save(path)
        again = TextTokenizer.from_file(path)
        assert again.encode(TEXTS).values.tolist() == tokenizer.encode(TEXTS).values.tolist()
        for name in ("pad_id", "unknown_id", "prefix", "suffix"):
            assert getattr(again, name) == getattr(tokenizer, name)
        again.save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_text() == path.read_text()


def test_missing_and_damaged_files_and_a_missing_padding_token_are_named(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models

    path = tmp_path / "tokenizer.json"
    with pytest.raises(ModelFolderError, match=r"tokenizer.json: is missing; save the model again"):
        TextTokenizer.from_file(path)
    path.write_text("{not json")
    with pytest.raises(ModelFolderError, match=r"tokenizer.json: is damaged \(.*save the model again"):
        TextTokenizer.from_file(path)
    path.write_text(Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")).to_str())
    with pytest.raises(ModelFolderError, match="names no padding token"):
        TextTokenizer.from_file(path)
