"""A tiny random encoder and a tiny corpus, so that neural systems are tested in seconds and without network."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from taxotext import Corpus, Taxonomy

WIDTH = 32
POSITIONS = 64

# Two roots; "fish" lies under both "animals" and "food": a DAG.
EDGES: tuple[tuple[str | None, str], ...] = (
    (None, "animals"),
    (None, "food"),
    ("animals", "cats"),
    ("animals", "dogs"),
    ("animals", "fish"),
    ("food", "fish"),
    ("food", "bread"),
    ("bread", "rye"),
)
WORDS = {
    "animals": ("creature", "beast"),
    "food": ("meal", "tasty"),
    "cats": ("cat", "purrs"),
    "dogs": ("dog", "barks"),
    "fish": ("trout", "fins"),
    "bread": ("loaf", "baker"),
    "rye": ("rye", "dark"),
}
"""Each label follows from its words, and so do all labels above it."""

FILLERS = ("the", "a", "today", "we", "saw", "and", "then", "it", "was", "near", "house", "again", "some", "time")
DOCUMENTS = 60


def tiny_taxonomy() -> Taxonomy:
    """Seven labels on three levels."""
    return Taxonomy.from_edges(EDGES)


def tiny_documents(count: int = DOCUMENTS, seed: int = 5) -> tuple[list[str], list[list[str]]]:
    """Texts of 4 to 24 words and their labels (without ancestors)."""
    rng = random.Random(seed)
    texts, labels = [], []
    names = sorted(WORDS)
    for position in range(count):
        chosen = sorted({names[position % len(names)], *rng.sample(names, rng.choice((0, 0, 1)))})
        words = [rng.choice(WORDS[label]) for label in chosen]
        words += rng.choices(FILLERS, k=rng.choice((3, 5, 8, 22)))
        rng.shuffle(words)
        texts.append(" ".join(words))
        labels.append(chosen)
    return texts, labels


def tiny_corpus(count: int = DOCUMENTS, seed: int = 5, weights: Sequence[float] | None = None) -> Corpus:
    """The documents as a corpus; labels with all ancestors."""
    texts, labels = tiny_documents(count, seed)
    return Corpus.from_lists(texts, labels, tiny_taxonomy(), weights=weights, source="tiny")


def make_encoder(folder: Path, words: Iterable[str] = (), *, seed: int = 0, **config: Any) -> Path:
    """Save a BERT of two layers with random weights and a WordPiece tokenizer, as ``save_pretrained`` does.

    Args:
        folder: created.
        words: whole words of the vocabulary; other Latin words fall into letters.
        seed: of the weights.
        config: replaces values of the configuration.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,'-"
    known = dict.fromkeys([*specials, *letters, *(f"##{letter}" for letter in letters), *words])
    vocabulary = {word: position for position, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    values = {
        "vocab_size": len(vocabulary),
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * WIDTH,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": 0,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(BertConfig(**{**values, **config}))
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def tiny_words() -> list[str]:
    """The words of :func:`tiny_documents`."""
    return [*FILLERS, *(word for words in WORDS.values() for word in words)]


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny encoder: what ``encoder.source`` names."""
    return make_encoder(tmp_path_factory.mktemp("encoder") / "tiny-bert", tiny_words())


def tiny_settings(folder: Path | str, /, **sections: dict[str, Any]) -> dict[str, Any]:
    """Settings of a neural system that learns the tiny corpus by heart on one core.

    ``folder`` holds its encoder; ``sections`` replace single values: ``training={"epochs": 2}``.
    """
    values: dict[str, Any] = {
        "seed": 3,
        "runtime": {"device": "cpu", "precision": "float32", "threads": 1},
        "encoder": {"source": str(folder)},
        "text": {"max_tokens": 32},
        "training": {
            "epochs": 25,
            "batch_size": 12,
            "learning_rate": 2e-3,
            "head_learning_rate": 1e-2,
            "patience": 25,
        },
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
    return values
