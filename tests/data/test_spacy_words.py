"""Words by spaCy's rules: as spaCy itself parts them, kept in the folder, and what is said when they cannot be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import taxotext
from models.harness import NETWORK_FILES, all_scores, check_folder
from taxotext import Classifier
from taxotext.data import spacy_words
from taxotext.data.spacy_words import SpacyWords
from taxotext.data.tokens import SPACY, TextTokenizer
from taxotext.errors import ConfigError, MissingExtraError, ModelFolderError
from tiny import tiny_corpus, tiny_fit

TEXT = "Don't re-read  the U.S. e-mail,\n\nit's at www.example.org!"
WORDS = ["Do", "n't", "re", "-", "read", "the", "U.S.", "e", "-", "mail", ",", "it", "'s", "at", "www.example.org", "!"]


@pytest.fixture(scope="module")
def english() -> SpacyWords:
    pytest.importorskip("spacy", reason="the extra spacy is not installed")
    return SpacyWords.of_language("en")


def fitted(**vocabulary: Any) -> Any:
    return tiny_fit("kim_cnn", encoder={"vocabulary": {"min_count": 1, "tokens": "spacy", **vocabulary}})


def test_words_are_those_of_spacy_without_white_space(english: SpacyWords) -> None:
    assert english.split([TEXT, "", " \n", "cafe\u0301 \u200b"]) == [WORDS, [], [], ["caf\u00e9", "\u200b"]]
    signs = SpacyWords(english.rules, punctuation=False).split([TEXT, "C++ ... 10%", "\u00abd\u00e9j\u00e0\u00bb"])
    assert signs[0] == [word for word in WORDS if word not in {"-", ",", "!"}]
    assert signs[1:] == [["C++", "10"], ["d\u00e9j\u00e0"]]


SIGNS = "aBé'’.,-/:;!?()$%&@_ \n…€9中\u0301"
ALPHABET = st.sampled_from([*SIGNS, "n't", "U.S.", "www.", "http://", "e.g.", ":-)", "km"])


@pytest.mark.parametrize("language", ["en", "de", "hu", "xx"])
def test_restored_rules_part_every_text_as_spacy_does(language: str, english: SpacyWords) -> None:
    import spacy

    blank = spacy.blank(language)
    kept = SpacyWords.of_language(language).to_dict()
    words = SpacyWords.from_dict(json.loads(json.dumps(kept)))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(ALPHABET, max_size=14).map("".join))
    def check(text: str) -> None:
        text = spacy_words.unicodedata.normalize("NFC", text)
        assert words.split([text]) == [[token.text for token in blank(text) if not token.text.isspace()]]

    check()
    assert words.to_dict() == kept


def test_flags_of_regular_expressions_are_kept_and_what_is_none_is_seen() -> None:
    found = spacy_words._pattern(re.compile("a.b", re.IGNORECASE | re.DOTALL).match, "match")
    assert found == {"pattern": "a.b", "flags": int(re.IGNORECASE | re.DOTALL)}
    assert spacy_words._pattern(re.compile("ab").match, "match") == {"pattern": "ab", "flags": 0}
    assert spacy_words._pattern(None, "match") is None
    assert spacy_words._pattern(len, "match") is False
    assert spacy_words._pattern(re.compile("ab").search, "match") is False


def test_a_vocabulary_of_spacys_words_is_learned_and_comes_back(english: SpacyWords, tmp_path: Path) -> None:
    tokenizer = TextTokenizer.learn_words([TEXT, "Read it."] * 2, words=english)
    assert set(tokenizer.vocabulary) == {"[PAD]", "[UNK]", ".", *(word.lower() for word in WORDS)}
    assert tokenizer.tokens("Don't stop") == ["do", "n't", "[UNK]"]
    tokenizer.save(tmp_path / "tokenizer.json")
    again = TextTokenizer.from_file(tmp_path / "tokenizer.json")
    texts = [TEXT, "", "unheard-of", "it's"] * 700
    ids = tokenizer.encode(texts)
    assert again.encode(texts).values.tolist() == ids.values.tolist()
    assert ids.lengths[:4].tolist() == [16, 1, 3, 2]
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    ours = TextTokenizer.learn_words(["it's taxotext_spacy_words"] * 2)
    ours.save(tmp_path / "ours.json")
    assert TextTokenizer.from_file(tmp_path / "ours.json").words is None


def test_a_model_keeps_its_rules(english: SpacyWords, tmp_path: Path) -> None:
    import spacy

    classifier = fitted()
    check_folder(classifier, tmp_path, tiny_corpus(), files=NETWORK_FILES)
    assert classifier.system.facts()["tokens"] == f"spaCy {spacy.__version__}, en"
    place = tmp_path / "kim_cnn-saved"
    path = place / "tokenizer.json"
    content = json.loads(path.read_text())

    def damaged(sentence: str, **changes: Any) -> None:
        rules = {**content[SPACY]["rules"], **changes}
        path.write_text(json.dumps({**content, SPACY: {**content[SPACY], "rules": rules}}))
        with pytest.raises(ModelFolderError, match=rf"tokenizer\.json: {sentence}"):
            taxotext.load(place).predict(["cat"])

    damaged("the rules of spaCy's tokenizer have the format 2, format 1 is read", format=2)
    damaged("the rules of spaCy's tokenizer are damaged", prefix_search={"pattern": "(", "flags": 0})
    damaged("the rules of spaCy's tokenizer are damaged", exceptions=None)
    # As if another version parted texts otherwise by the same rules: never in silence.
    probes = [["Don't"], *content[SPACY]["rules"]["probes"][1:]]
    damaged(rf"spaCy {spacy.__version__} splits texts otherwise than 3\.0\.0, with which", probes=probes, spacy="3.0.0")
    path.write_text(json.dumps({**content, SPACY: {}}))
    with pytest.raises(ModelFolderError, match="the rules of spaCy's tokenizer are missing; save the model again"):
        taxotext.load(place)
    del content[SPACY]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelFolderError, match=r"does not split texts as encoder\.vocabulary\.tokens=spacy says"):
        taxotext.load(place)


def test_rules_of_an_older_spacy_are_kept_as_they_are(english: SpacyWords, tmp_path: Path) -> None:
    classifier = fitted()
    classifier.save(tmp_path / "m")
    path = tmp_path / "m/tokenizer.json"
    content = json.loads(path.read_text())
    content[SPACY]["rules"]["exceptions"]["catdog"] = ["cat", "dog"]  # what today's spaCy knows nothing of
    path.write_text(json.dumps(content))
    loaded = taxotext.load(tmp_path / "m")
    assert loaded.system.tokenizer.tokens("catdog") == ["cat", "dog"]  # type: ignore[attr-defined]
    assert (all_scores(loaded, ["catdog"]) == all_scores(classifier, ["cat dog"])).all()


def test_without_spacy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = TextTokenizer.learn_words(["cat"] * 2)
    ours.save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    rules = {"rules": {"format": 1, "spacy": "3.8.0"}, "punctuation": True}
    (tmp_path / "tokenizer.json").write_text(json.dumps({**content, SPACY: rules}))
    monkeypatch.setattr(spacy_words, "find_spec", lambda name: None)
    advice = r"words are split by spaCy; install it with `pip install 'taxotext\[spacy\]'`\."
    with pytest.raises(MissingExtraError, match=rf"^encoder\.vocabulary\.tokens: {advice}$"):
        fitted()
    with pytest.raises(MissingExtraError, match=rf"tokenizer\.json: {advice}$"):
        TextTokenizer.from_file(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("tlh", "spaCy has no tokenizer for 'tlh' here"), ("zh", "spaCy parts 'zh' by other means than rules")],
)
def test_languages_without_rules_are_named(language: str, sentence: str, english: SpacyWords) -> None:
    with pytest.raises(ConfigError, match=rf"encoder\.vocabulary\.language: {sentence}"):
        fitted(language=language)


def test_a_language_without_spacy_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"encoder\.vocabulary: language is of tokens=spacy"):
        Classifier("kim_cnn", encoder={"vocabulary": {"language": "de"}})
