"""Encoder parts over words: a vocabulary of the training texts, word vectors, and a network over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from taxotext.composition.named_files import NamesFile
from taxotext.composition.parts import register
from taxotext.data.spacy_words import SpacyWords
from taxotext.data.tokens import TextTokenizer
from taxotext.errors import ModelFolderError
from taxotext.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from taxotext.nn.encoders.pretrained import BuiltEncoder


Kernels = tuple[Annotated[int, Field(ge=1, le=1_000)], ...]
"""Widths of filters."""


class VocabularySettings(Settings):
    """Words that have a vector, learned from the training texts."""

    size: int = Field(50_000, ge=3, le=10_000_000, description="words at most, the most frequent ones")
    min_count: int = Field(2, ge=1, description="rarer words are unknown")
    lowercase: bool = Field(True, description="fold case")
    punctuation: Literal["keep", "drop"] = Field("keep", description="keep: each sign is a word; drop: left out")
    tokens: Literal["words", "spacy"] = Field(
        "words", description="words: split on whitespace and punctuation; spacy: by spaCy's rules of the language"
    )
    language: str = Field("en", min_length=1, description="whose rules, for tokens=spacy")

    @model_validator(mode="after")
    def _language_is_used(self) -> Self:
        if self.language != "en" and self.tokens != "spacy":
            raise ValueError("language is of tokens=spacy; give that as well, or leave the language out")
        return self


class WordSettings(Settings):
    """What every encoder over words has."""

    name: str = Field("", description="kind of encoder")
    vocabulary: VocabularySettings = Field(VocabularySettings(), description="of the training texts")
    embeddings: Annotated[str, NamesFile(words=("random", "encoder"))] = Field(
        "random",
        min_length=1,
        description="first word vectors: random; encoder (of all-MiniLM-L6-v2); or a file as of GloVe or word2vec",
    )
    embedding_width: int | None = Field(
        None, ge=1, le=10_000, description="numbers of a word vector; null: 100, or as in the file"
    )
    train_embeddings: bool = Field(True, description="false: word vectors stay as they start")


class TextCnnSettings(WordSettings):
    """Two convolutions and a feed-forward layer."""

    name: Literal["textcnn"] = Field("textcnn", description="kind of encoder")
    filters: int = Field(256, ge=1, le=16_384, description="of each convolution")
    kernel: int = Field(5, ge=1, le=1_000, description="positions that a filter sees; odd")
    pool: int = Field(2, ge=1, le=1_000, description="positions that the first pooling joins")
    hidden: int = Field(256, ge=1, le=16_384, description="width of the feed-forward layer")

    @field_validator("kernel")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("an odd number is needed, so that a filter has a middle")
        return value


class KimCnnSettings(WordSettings):
    """Convolutions of several widths side by side."""

    name: Literal["kim_cnn"] = Field("kim_cnn", description="kind of encoder")
    kernels: Kernels = Field((3, 4, 5), min_length=1, max_length=32, description="words that the filters see")
    filters: int = Field(100, ge=1, le=16_384, description="of each width")


class XmlCnnSettings(KimCnnSettings):
    """Convolutions of several widths, maxima over parts of the text, and a narrow layer."""

    name: Literal["xml_cnn"] = Field("xml_cnn", description="kind of encoder")  # type: ignore[assignment]  # not kim_cnn
    kernels: Kernels = Field((2, 4, 8), min_length=1, description="words that the filters see")
    filters: int = Field(128, ge=1, le=16_384, description="of each width")
    parts: int = Field(2, ge=1, le=1_000, description="of the text, each with a maximum of its own")
    hidden: int = Field(512, ge=1, le=16_384, description="width of the layer between filters and labels")
    word_dropout: float = Field(0.25, ge=0, lt=1, description="on the word vectors")


class GruAttentionSettings(WordSettings):
    """A bidirectional GRU with attention, maximum and mean."""

    name: Literal["gru_att"] = Field("gru_att", description="kind of encoder")
    embedding_scale: float | None = Field(
        0.5,
        gt=0,
        description="standard deviation that pretrained word vectors are brought to; null: as they are",
    )
    units: int = Field(96, ge=1, le=16_384, description="of the GRU, in each direction")
    dropout: float = Field(0.4, ge=0, lt=1, description="on the states of the GRU")


def _build_textcnn(settings: TextCnnSettings, **context: Any) -> BuiltEncoder:
    from taxotext.nn.encoders.words import TextCnn

    return build_over_words(
        settings,
        lambda table: TextCnn(table, settings.filters, settings.kernel, settings.pool, settings.hidden),
        **context,
    )


def _build_kim_cnn(settings: KimCnnSettings, **context: Any) -> BuiltEncoder:
    from taxotext.nn.encoders.words import KimCnn

    return build_over_words(settings, lambda table: KimCnn(table, settings.kernels, settings.filters), **context)


def _build_xml_cnn(settings: XmlCnnSettings, **context: Any) -> BuiltEncoder:
    from taxotext.nn.encoders.words import XmlCnn

    return build_over_words(
        settings,
        lambda table: XmlCnn(
            table, settings.kernels, settings.filters, settings.parts, settings.hidden, settings.word_dropout
        ),
        **context,
    )


def _build_gru_attention(settings: GruAttentionSettings, **context: Any) -> BuiltEncoder:
    from taxotext.nn.encoders.words import GruAttention

    return build_over_words(
        settings,
        lambda table: GruAttention(table, settings.units, settings.dropout),
        scale=settings.embedding_scale,
        **context,
    )


def build_over_words(
    settings: WordSettings,
    make: Callable[[nn.Embedding], nn.Module],
    *,
    scale: float | None = None,
    texts: Sequence[str] = (),
    record: dict[str, Any] | None = None,
    tokenizer: TextTokenizer | None = None,
) -> BuiltEncoder:
    """Build an encoder over words: from training texts, or without weights from a model folder.

    Args:
        make: word vectors -> network.
        scale: standard deviation that pretrained word vectors are brought to; None: as they are.
        texts: the training texts; the vocabulary is learned from them and from nothing else.
        record: of a model folder; None: start anew.

    Raises:
        ConfigError, DataError: the word vectors cannot be read or do not fit.
        ModelFolderError: the record does not describe word vectors.
    """
    from torch import random

    from taxotext.nn.encoders.pretrained import BuiltEncoder

    if record is not None and tokenizer is not None:
        width = record.get("embedding_width")
        if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= 10_000:
            raise ModelFolderError(f"encoder.json: embedding_width is {width!r}; save the model again.")
        if (settings.vocabulary.tokens == "spacy") != (tokenizer.words is not None):
            raise ModelFolderError(
                f"tokenizer.json: does not split texts as encoder.vocabulary.tokens={settings.vocabulary.tokens} says; "
                "save the model again."
            )
        with random.fork_rng(devices=[]):  # the random weights are replaced: the caller's seed stays as it is
            module = make(_table(len(tokenizer), width, tokenizer.pad_id))
        pretrained: frozenset[str] = frozenset()
        notes: tuple[str, ...] = ()
    else:
        tokenizer, record, module, pretrained, notes = _start(settings, make, scale, texts)
    if not settings.train_embeddings:
        embedding: Any = module.embedding
        embedding.weight.requires_grad_(False)
    return BuiltEncoder(module, tokenizer, None, record, pretrained, facts=dict(record), notes=notes)


def _start(
    settings: WordSettings, make: Callable[[nn.Embedding], nn.Module], scale: float | None, texts: Sequence[str]
) -> tuple[TextTokenizer, dict[str, Any], nn.Module, frozenset[str], tuple[str, ...]]:
    import torch

    from taxotext.nn.encoders.vectors import first_vectors

    chosen = settings.vocabulary
    punctuation, words = chosen.punctuation == "keep", None
    if chosen.tokens == "spacy":
        words = SpacyWords.of_language(chosen.language, punctuation=punctuation)
    tokenizer = TextTokenizer.learn_words(
        texts,
        size=chosen.size,
        min_count=chosen.min_count,
        lowercase=chosen.lowercase,
        punctuation=punctuation,
        words=words,
    )
    vectors = first_vectors(settings.embeddings, settings.embedding_width, tokenizer, texts)
    table = _table(len(tokenizer), vectors.matrix.shape[1], tokenizer.pad_id)
    with torch.no_grad():
        table.weight.copy_(torch.from_numpy(vectors.matrix))
        if scale is not None and vectors.pretrained:
            scatter = float(vectors.matrix[1:].std())  # row 0 is padding
            if scatter > 0:  # a file may hold zeros alone
                table.weight.mul_(scale / scatter)
    record = {
        "vocabulary": len(tokenizer),
        "embedding_width": int(vectors.matrix.shape[1]),
        "embeddings_trained": settings.train_embeddings,
        **vectors.record,
    }
    if words is not None:
        record["tokens"] = f"spaCy {words.version}, {chosen.language}"
    pretrained = frozenset({"embedding.weight"} if vectors.pretrained else ())
    return tokenizer, record, make(table), pretrained, vectors.notes


def _table(words: int, width: int, pad_id: int) -> nn.Embedding:
    from torch import nn

    return nn.Embedding(words, width, padding_idx=pad_id)


register("encoder", TextCnnSettings, _build_textcnn)
register("encoder", KimCnnSettings, _build_kim_cnn)
register("encoder", XmlCnnSettings, _build_xml_cnn)
register("encoder", GruAttentionSettings, _build_gru_attention)
