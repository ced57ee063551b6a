"""One tokenizer interface on the ``tokenizers`` library: sub-words of an encoder, or words learned from the texts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from taxotext.data.spacy_words import SpacyWords
from taxotext.data.spill import IN_MEMORY, IdsBuilder
from taxotext.data.tokenizer_files import check_tokenizer, library_errors
from taxotext.errors import ModelFolderError
from taxotext.files.json_files import read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK = 1024
"""Texts that are handed to the tokenizer at a time: enough to keep its threads busy, little to hold."""
PUNCTUATION = r"[\p{P}$+<=>^`|~]"
"""Unicode's, and the symbols of ASCII: what the library's own pre-tokenizer takes for punctuation."""
SPACY = "taxotext_spacy_words"
"""Key in ``tokenizer.json`` of the rules by which texts are split into words, where spaCy does it."""

UNKNOWN_WORD = "\U000103a0\U000103a0"
"""Two letters of Old Persian: a word that no vocabulary holds."""


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, end to end."""

    values: NDArray[np.int32]  # int32, all rows one after the other; mapped from a temporary file where they are many
    offsets: NDArray[np.int64]  # int64 (rows + 1,); row `i` is `values[offsets[i]:offsets[i + 1]]`

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[int] | NDArray[np.int32]]) -> Self:
        """Join ``rows``."""
        builder = IdsBuilder()
        builder.add([np.asarray(row, dtype=np.int32) for row in rows])
        return cls(*builder.finish())

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each row (rows,)."""
        return np.diff(self.offsets)

    @cached_property
    def longest(self) -> int:
        """Length of the longest row, 0 without rows; looked for once."""
        return int(self.lengths.max(initial=0))


class TextTokenizer:
    """Texts to token ids, without special tokens; ``prefix`` and ``suffix`` are what the encoder wants around them.

    Args:
        tokenizer: a ``tokenizers.Tokenizer`` whose padding token is set.
        words: splits texts into words first, of which ``tokenizer`` makes one token each; None: ``tokenizer`` does all.

    Raises:
        ModelFolderError: when the tokenizer has no padding token.
    """

    def __init__(self, tokenizer: Tokenizer, words: SpacyWords | None = None) -> None:
        # The tokenizer is changed below (no truncation, no padding): work on a copy of its own.
        tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        padding = tokenizer.padding
        if padding is None:
            raise ModelFolderError("The tokenizer names no padding token; set one before it is used here.")
        self.pad_id: int = padding["pad_id"]
        self._pad_token: str = padding["pad_token"]
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.words = words
        self._rows: int | None = None
        example = tokenizer.encode("a")
        inside = [position for position, special in enumerate(example.special_tokens_mask) if not special]
        first, last = (inside[0], inside[-1]) if inside else (len(example.ids), len(example.ids))
        self.prefix: tuple[int, ...] = tuple(example.ids[:first])
        self.suffix: tuple[int, ...] = tuple(example.ids[last + 1 :])
        unknown = getattr(tokenizer.model, "unk_token", None)
        self.unknown_id = tokenizer.token_to_id(unknown) if isinstance(unknown, str) else None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a ``tokenizer.json`` that :meth:`save` wrote.

        Raises:
            ModelFolderError: when the file is missing or no tokenizer.
        """
        from tokenizers import Tokenizer

        content = read_json(path, dict)
        words = SpacyWords.from_dict(content.pop(SPACY), str(path)) if SPACY in content else None
        check_tokenizer(content, path)
        with library_errors(path):
            return cls(Tokenizer.from_str(json.dumps(content)), words)

    def check_ids(self, rows: int) -> None:
        """Refuse ids that an encoder has no vector for: here those of special tokens, in :meth:`encode` all others.

        Args:
            rows: vectors of the encoder.

        Raises:
            ModelFolderError: with the id.
        """
        self._rows = rows
        always = (self.pad_id, self.unknown_id or 0, *self.prefix, *self.suffix)
        self._check_id(max(always))

    def _check_id(self, largest: int) -> None:
        if self._rows is not None and largest >= self._rows:
            raise ModelFolderError(
                f"tokenizer.json: gives the token id {largest}, and the encoder has vectors of {self._rows} ids; the "
                "folder was mixed from two models, save the model again."
            )

    @classmethod
    def learn_words(
        cls,
        texts: Iterable[str],
        *,
        size: int = 50_000,
        min_count: int = 2,
        lowercase: bool = True,
        punctuation: bool = True,
        words: SpacyWords | None = None,
    ) -> Self:
        """Learn a vocabulary of whole words from ``texts`` (the training split only).

        Words are split at white space and punctuation after NFC; Chinese characters and kana stand alone.

        Args:
            texts: the training texts.
            size: words kept, most frequent first, ``[PAD]`` and ``[UNK]`` included.
            min_count: rarer words become ``[UNK]``.
            lowercase: fold case first.
            punctuation: False: punctuation separates words and is left out; True: each sign is a word.
            words: splits texts into words in place of all this, and decides itself about punctuation.
        """
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        steps = [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
        tokenizer.normalizer = normalizers.Sequence(steps)
        behaviour = "isolated" if punctuation else "removed"
        lone = Regex(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
        if words is None:
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.WhitespaceSplit(),
                    pre_tokenizers.Punctuation(behaviour),
                    pre_tokenizers.Split(lone, "isolated"),
                ]
            )
        trainer = trainers.WordLevelTrainer(
            vocab_size=size, min_frequency=min_count, special_tokens=["[PAD]", "[UNK]"], show_progress=False
        )
        # A list of words is to the library a list of texts, each of one word.
        pieces = texts if words is None else chain.from_iterable(map(words.split, batched(texts, CHUNK)))
        tokenizer.train_from_iterator(pieces, trainer)
        tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
        return cls(tokenizer, words)

    def cleaned(self, *, lowercase: bool = False, punctuation: bool = True) -> Self:
        """Return a tokenizer that changes texts before it does what this one does; :meth:`save` keeps that.

        Args:
            lowercase: fold case.
            punctuation: False: punctuation becomes a space, as where words are learned without it.
        """
        from tokenizers import Regex, Tokenizer, normalizers

        copy = Tokenizer.from_str(self._tokenizer.to_str())
        own = copy.normalizer
        steps: list[Any] = [normalizers.Lowercase()] if lowercase else []
        if not punctuation:
            steps.append(normalizers.Replace(Regex(PUNCTUATION), " "))
        copy.normalizer = normalizers.Sequence([*steps, *([] if own is None else [own])])
        copy.enable_padding(pad_id=self.pad_id, pad_token=self._pad_token)
        return type(self)(copy, self.words)

    def save(self, path: Path) -> None:
        """Write ``tokenizer.json``, the padding token included."""
        copy = type(self._tokenizer).from_str(self._tokenizer.to_str())
        copy.enable_padding(pad_id=self.pad_id, pad_token=self._pad_token)
        text = copy.to_str()
        if self.words is not None:
            text = json.dumps({**json.loads(text), SPACY: self.words.to_dict()}, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    @property
    def vocabulary(self) -> list[str]:
        """All tokens, in the order of their ids."""
        ids = self._tokenizer.get_vocab()
        return sorted(ids, key=ids.__getitem__)

    @property
    def specials(self) -> int:
        """Number of tokens that the encoder wants around a text."""
        return len(self.prefix) + len(self.suffix)

    def tokens(self, text: str) -> list[str]:
        """Return the pieces of one text, for people to look at."""
        given: Any = text if self.words is None else self.words.split([text])[0]
        split = self.words is not None
        return list(self._tokenizer.encode(given, is_pretokenized=split, add_special_tokens=False).tokens)

    def spans(self, text: str) -> NDArray[np.int64] | None:
        """Where the tokens of :meth:`encode` are in a text, (tokens, 2) int64; None where that is not known."""
        if self.words is not None:  # it hands over words without their places
            return None
        found = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return np.asarray(found, dtype=np.int64).reshape(-1, 2)

    def mask(self) -> str | None:
        """A text that becomes one token without meaning, the mask or the unknown one; None: there is no such token."""
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        for text in ("[MASK]", "<mask>", unknown, UNKNOWN_WORD):
            wanted = self.unknown_id if text == UNKNOWN_WORD else self._tokenizer.token_to_id(text or "")
            if text is not None and wanted is not None and self.encode([text]).values.tolist() == [wanted]:
                return str(text)
        return None

    def encode(self, texts: Sequence[str], in_memory: int = IN_MEMORY) -> Ragged:
        """Token ids of each text, without special tokens, uncut; more than ``in_memory`` of them are in a file.

        A text of which nothing is left (control characters only, say) becomes one unknown token, so that
        every document has something to attend to.
        """
        # The library warns when a process forks after its threads ran; nothing here forks.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        builder = IdsBuilder(in_memory)
        empty = np.asarray([self.pad_id if self.unknown_id is None else self.unknown_id], dtype=np.int32)
        for start in range(0, len(texts), CHUNK):
            given: Any = list(texts[start : start + CHUNK])
            if self.words is not None:
                given = self.words.split(given)
            with library_errors():
                batch = self._tokenizer.encode_batch_fast(
                    given, is_pretokenized=self.words is not None, add_special_tokens=False
                )
            rows = [np.asarray(encoding.ids, dtype=np.int32) if encoding.ids else empty for encoding in batch]
            self._check_id(max(int(row.max()) for row in rows))
            builder.add(rows)
        return Ragged(*builder.finish())

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Tokens of each text, special tokens included (documents,)."""
        return self.encode(texts).lengths + self.specials


def batched(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """``texts``, ``size`` at a time."""
    remaining = iter(texts)
    while batch := list(islice(remaining, size)):
        yield batch
