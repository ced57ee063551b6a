"""A tiny random encoder and a tiny corpus, so that neural systems are tested in seconds and without network."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from taxotext import Classifier, Corpus, Taxonomy
from taxotext.progress import Silent

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


class Notes(Silent):
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def note(self, sentence: str) -> None:
        self.sentences.append(sentence)


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


def make_encoder_decoder(folder: Path, kind: str, **config: Any) -> Path:
    """Save a T5 or BART of two layers with random weights, and the tokenizer of the tiny encoder."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, BartConfig, T5Config

    make_encoder(folder, tiny_words())
    (folder / "model.safetensors").unlink()
    size = len(tiny_words()) + 120
    ids = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 2}
    both: dict[str, Any] = {"vocab_size": size, "d_model": 32, **ids, **config}
    chosen: Any
    if kind == "t5":
        chosen = T5Config(**{"d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, **both})
    else:
        layers = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")}
        widths = {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64, "bos_token_id": 2}
        chosen = BartConfig(**{"scale_embedding": True, **layers, **widths, **both})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForSeq2SeqLM.from_config(chosen).save_pretrained(folder)
    return folder


def tiny_words() -> list[str]:
    """The words of :func:`tiny_documents`."""
    return [*FILLERS, *(word for words in WORDS.values() for word in words)]


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny encoder: what ``encoder.source`` names."""
    return make_encoder(tmp_path_factory.mktemp("encoder") / "tiny-bert", tiny_words())


TRAINING: dict[str, Any] = {"epochs": 30, "batch_size": 12, "patience": 30}
WORDS_OF_TEXTS: dict[str, Any] = {"embedding_width": 16, "vocabulary": {"min_count": 1}}
SMALL_FITS: dict[str, Any] = {
    "encoder": {"units": 8, "dropout": 0.1, "embedding_width": 12, "vocabulary": {"min_count": 1}},
    "weights": {"candidates": [1, 3, 9], "rungs": [1], "factor": 3},
    "training": {"epochs": 12, "batch_size": 12, "learning_rate": 2e-2, "patience": 12},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "bert": {
        "training": {
            **TRAINING,
            **{"epochs": 25, "patience": 25, "learning_rate": 2e-3, "head_learning_rate": 1e-2},
        },
    },
    "textcnn": {"encoder": {**WORDS_OF_TEXTS, "filters": 24, "kernel": 3, "hidden": 24}, "head": {"dropout": 0.1}},
    "kim_cnn": {"encoder": {**WORDS_OF_TEXTS, "filters": 16}, "head": {"dropout": 0.1}},
    "xml_cnn": {
        "encoder": {**WORDS_OF_TEXTS, "filters": 24, "hidden": 32, "word_dropout": 0.0},
        "head": {"dropout": 0.0},
    },
    "gru_att_multi": {"encoder": {**WORDS_OF_TEXTS, "units": 12, "dropout": 0.1}, "head": {"dropout": 0.1}},
    "c_hmcnn": {"encoder": {**WORDS_OF_TEXTS, "name": "kim_cnn", "filters": 16}},
    "dgcnn": {
        "encoder": {**WORDS_OF_TEXTS, "vertices": 24, "neighbours": 6, "hidden": [32, 24], "dropout": 0.0},
        "training": {**TRAINING, "learning_rate": 5e-3, "head_learning_rate": 5e-3},
    },
    "sgm": {
        "encoder": {**WORDS_OF_TEXTS, "units": 16, "word_dropout": 0.1, "dropout": 0.1},
        "head": {"dropout": 0.1, "beams": 3},
    },
    "light_attention": {
        "encoder": {
            **{"name": "recurrent", "units": 32, "embedding_width": 32, "vocabulary": {"min_count": 1}},
            **{"dropout": 0.1, "word_dropout": 0.0},
        },
        "head": {"beam": 3, "tree": {"cluster_size": 2}, "hidden": (32,)},
        "training": {**TRAINING, "learning_rate": 3e-2, "head_learning_rate": 3e-2, "monitor": "micro_f1"},
    },
    "gru_att": {**SMALL_FITS, "transfer": {"body_learning_rate": 1e-2}},
    "htrans": {**SMALL_FITS, "transfer": {"body_learning_rate": 1e-2}},
}
"""With these a system learns the tiny corpus by heart on one core; what is the same for all is added below."""


def tiny_settings(system: str, source: Path | str | None = None, /, **sections: Any) -> dict[str, Any]:
    """Settings with which a system learns the tiny corpus by heart.

    Args:
        system: one of :data:`SETTINGS`.
        source: folder of a pretrained encoder, which then reads the texts.
        sections: replace single values: ``training={"epochs": 2}``.
    """
    common: dict[str, Any] = {
        "seed": 3,
        "runtime": {"device": "cpu", "precision": "float32", "threads": 1},
        "text": {"max_tokens": 32},
        "training": {**TRAINING, "learning_rate": 1e-2, "head_learning_rate": 1e-2},
    }
    values = {**common, **copy.deepcopy(SETTINGS[system])}
    if source is not None:
        values["encoder"] = {"name": "transformer", "source": str(source)}
    return overlaid(values, **sections)


def overlaid(values: Mapping[str, Any], /, **sections: Any) -> dict[str, Any]:
    """Settings with single values of their sections replaced."""
    changed = {
        name: {**values.get(name, {}), **section} if isinstance(section, dict) else section
        for name, section in sections.items()
    }
    return {**values, **changed}


def tiny_fit(system: str, /, corpus: Corpus | None = None, **sections: Any) -> Classifier:
    """A system after one epoch on the tiny corpus, which it also validates with."""
    documents = tiny_corpus() if corpus is None else corpus
    sections["training"] = {"epochs": 1, **sections.get("training", {})}
    return Classifier(system, **tiny_settings(system, **sections)).fit(documents, validation=documents)
