"""Words as spaCy's tokenizers part them: rules of a language, kept with the model, and no statistics."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from threading import Lock
from typing import Any, Self

from taxotext.errors import ConfigError, MissingExtraError, ModelFolderError
from taxotext.messages import first_line

FORMAT = 1
PATTERNS = {
    "prefix_search": "search",
    "suffix_search": "search",
    "infix_finditer": "finditer",
    "token_match": "match",
    "url_match": "match",
}
"""Rules of a tokenizer that are regular expressions, and the method of each that it calls."""
FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE
PROBES = (
    "Don't re-read the U.S. e-mail of 3.5km; it's at www.example.org/a?b=c, isn't it?",
    "\u201cCaf\u00e9s\u201d (12:30pm, $3.50/kg) can\u2019t... well-known; C++/C#: 10%!",
    "L'\u00e9t\u00e9 d'aujourd'hui, z.B. usw. \u00bf Qu\u00e9?  \u041c\u043e\u0441\u043a\u0432\u0430, \u4e2d\u6587",
)
"""Texts whose words a model remembers, to find out whether another version parts them otherwise."""


class SpacyWords:
    """Parts texts into words by the rules of one of spaCy's tokenizers.

    The rules are part of the object, so that a model splits texts in the same way whatever version of spaCy is there.
    spaCy itself is loaded when the first text is split.

    Args:
        rules: what :meth:`of_language` found, or :attr:`rules` of a saved one; JSON-ready.
        punctuation: False: words of nothing but punctuation are left out.

    Raises:
        MissingExtraError: spaCy is not installed.
    """

    def __init__(
        self, rules: Mapping[str, Any], *, punctuation: bool = True, where: str = "encoder.vocabulary.tokens"
    ) -> None:
        if find_spec("spacy") is None:
            raise MissingExtraError(
                f"{where}: words are split by spaCy; install it with `pip install 'taxotext[spacy]'`."
            )
        self._where = where
        self.rules = dict(rules)
        self.punctuation = punctuation
        self._tokenizer: Any = None
        self._lock = Lock()

    @classmethod
    def of_language(cls, language: str, *, punctuation: bool = True) -> Self:
        """Take the rules of a language, such as ``en``; nothing is downloaded.

        Raises:
            MissingExtraError: spaCy is not installed.
            ConfigError: it does not know the language, or parts it by other means than rules.
        """
        words = cls({}, punctuation=punctuation)
        import spacy
        from spacy.attrs import ORTH

        try:
            tokenizer = spacy.blank(language).tokenizer
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"encoder.vocabulary.language: spaCy has no tokenizer for {language!r} here ({first_line(error)})."
            ) from None
        patterns = {name: _pattern(getattr(tokenizer, name, None), method) for name, method in PATTERNS.items()}
        if type(tokenizer) is not spacy.tokenizer.Tokenizer or any(value is False for value in patterns.values()):
            raise ConfigError(
                f"encoder.vocabulary.language: spaCy parts {language!r} by other means than rules, which a model "
                "cannot keep; take encoder.vocabulary.tokens=words."
            )
        words.rules = {
            "format": FORMAT,
            "spacy": spacy.__version__,
            "language": language,
            **patterns,
            "exceptions": {word: [token[ORTH] for token in tokens] for word, tokens in tokenizer.rules.items()},
            "faster_heuristics": bool(tokenizer.faster_heuristics),
        }
        words._tokenizer = tokenizer
        words.rules["probes"] = [_words(tokenizer, probe) for probe in PROBES]
        return words

    @classmethod
    def from_dict(cls, content: Any, where: str = "tokenizer.json") -> Self:
        """Read what :meth:`to_dict` gave; errors begin with ``where``.

        Raises:
            MissingExtraError: spaCy is not installed.
            ModelFolderError: it is damaged, or of a newer format.
        """
        rules = content.get("rules") if isinstance(content, dict) else None
        if not isinstance(rules, dict) or not isinstance(content.get("punctuation"), bool):
            raise ModelFolderError(f"{where}: the rules of spaCy's tokenizer are missing; save the model again.")
        if rules.get("format") != FORMAT or not isinstance(rules.get("spacy"), str):
            raise ModelFolderError(
                f"{where}: the rules of spaCy's tokenizer have the format {rules.get('format')!r}, format {FORMAT} is "
                "read; install a newer Taxotext."
            )
        return cls(rules, punctuation=content["punctuation"], where=where)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content for :meth:`from_dict`."""
        return {"rules": self.rules, "punctuation": self.punctuation}

    @property
    def version(self) -> str:
        """Version of spaCy that the rules are of."""
        return str(self.rules["spacy"])

    def split(self, texts: Sequence[str]) -> list[list[str]]:
        """Words of each text, after NFC; white space is none.

        Raises:
            ModelFolderError: the installed spaCy splits texts otherwise by the same rules.
        """
        with self._lock:  # spaCy's memory is not a place for two threads
            if self._tokenizer is None:
                self._tokenizer = self._restored()
            zone = getattr(self._tokenizer.vocab, "memory_zone", None)
            with nullcontext() if zone is None else zone():  # what spaCy remembers of these texts is forgotten again
                rows = [_words(self._tokenizer, text) for text in texts]
        return rows if self.punctuation else [[word for word in row if not _is_punctuation(word)] for row in rows]

    def _restored(self) -> Any:
        import spacy
        from spacy.attrs import ORTH
        from spacy.tokenizer import Tokenizer
        from spacy.vocab import Vocab

        try:
            patterns = {
                name: None if rule is None else getattr(re.compile(rule["pattern"], rule["flags"]), PATTERNS[name])
                for name, rule in ((name, self.rules[name]) for name in PATTERNS)
            }
            exceptions = {
                word: [{ORTH: piece} for piece in pieces] for word, pieces in self.rules["exceptions"].items()
            }
            tokenizer = Tokenizer(Vocab(), exceptions, **patterns, faster_heuristics=self.rules["faster_heuristics"])
            same = [_words(tokenizer, probe) for probe in PROBES] == self.rules["probes"]
        except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
            raise ModelFolderError(f"{self._where}: the rules of spaCy's tokenizer are damaged ({error}).") from None
        if not same:
            raise ModelFolderError(
                f"{self._where}: spaCy {spacy.__version__} splits texts otherwise than {self.version}, with which the "
                f"model was trained; install spacy=={self.version}."
            )
        return tokenizer


def _words(tokenizer: Any, text: str) -> list[str]:
    found = (token.text for token in tokenizer(unicodedata.normalize("NFC", text)))
    return [word for word in found if not word.isspace()]


def _pattern(method: Any, name: str) -> Any:
    """``{"pattern": ..., "flags": ...}`` of a method of a regular expression, None of None, False of anything else."""
    if method is None:
        return None
    owner = getattr(method, "__self__", None)
    if not isinstance(owner, re.Pattern) or getattr(method, "__name__", "") != name:
        return False
    return {"pattern": owner.pattern, "flags": owner.flags & int(FLAGS)}


def _is_punctuation(word: str) -> bool:
    """Whether all signs of a word are punctuation, or signs of ASCII that are neither letter nor digit."""
    return all(unicodedata.category(sign).startswith("P") or (sign.isascii() and not sign.isalnum()) for sign in word)
