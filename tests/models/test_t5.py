"""``t5``: probabilities of the library itself, rows from names, the contract of all systems, refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.harness import NETWORK_FILES, check_folder, check_resume, check_scores, check_system
from taxotext import Classifier, Corpus, Taxonomy
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.models.registry import find
from taxotext.nn.encoders.encoder_decoder import KINDS, load_encoder_decoder, restore_encoder_decoder
from taxotext.nn.sequence.pretrained import LabelTokens
from taxotext.settings import parse_settings
from tiny import make_encoder_decoder, tiny_corpus, tiny_settings

FACTS = ("encoder_source", "encoder_sha256", "label_order", "longest_sequence")


Folders = Callable[..., Path]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            made[kind] = make_encoder_decoder(tmp_path_factory.mktemp("seq2seq") / kind, kind)
        return made[kind]

    return of


def settings(folder: Path, head: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
    values = tiny_settings("bert", folder, head={"beams": 3, **(head or {})}, training=training)
    return {**values, "encoder": {"source": str(folder)}}


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_with_words_for_labels_it_is_the_pretrained_model(kind: str, source: Folders) -> None:
    """Rows of real words: the probabilities of the words are those of the library, up to the words left out."""
    from transformers import AutoModelForSeq2SeqLM

    with torch.no_grad():
        whole: Any = AutoModelForSeq2SeqLM.from_pretrained(source(kind)).eval()
        model: Any = load_encoder_decoder(str(source(kind))).module.eval()
        words = [20, 31, 42]  # three labels that are words, then the end; the start is read only
        given, shown = model.take_rows([*([word] for word in words), [model.end_id], [model.begin_id]])
        decoder = LabelTokens(3, model, (given, shown[:4])).eval()
        ids = torch.tensor([[2, 50, 60, 3], [2, 44, 3, 0]])
        mask = ids != 0
        memory, state = decoder.start(model(ids, mask))
        beams = torch.tensor([[0, 2], [1, 0]])  # two sequences of each document
        start = torch.full((2, 2), decoder.begin)
        emitted = torch.zeros(2, 2, 4, dtype=torch.bool)
        state = state.map(lambda part: part.expand(-1, 2, *part.shape[2:]))
        _, state = decoder.step(memory, state, start, emitted)
        found, _ = decoder.step(memory, state, beams, emitted)
        for document in range(2):
            for beam in range(2):
                read = torch.tensor([[model.begin_id, words[int(beams[document, beam])]]])
                rows = slice(document, document + 1)
                logits = whole(input_ids=ids[rows], attention_mask=mask[rows].long(), decoder_input_ids=read).logits
                expected = torch.log_softmax(logits[0, -1, [*words, model.end_id]], 0)
                torch.testing.assert_close(found[document, beam], expected, atol=1e-5, rtol=1e-4)


def test_rows_start_from_the_pieces_of_the_names(source: Folders) -> None:
    names = {"c": "cat dog", "r": "rain"}
    taxonomy = Taxonomy.from_edges([(None, "c"), (None, "r")]).with_names(names)
    texts = ["cat", "rain"] * 6
    corpus = Corpus.from_lists(texts, [["c"], ["r"]] * 6, taxonomy)
    values = settings(source("t5"), epochs=1, learning_rate=1e-12, head_learning_rate=1e-12)
    system: Any = Classifier("t5", **values).fit(corpus, validation=corpus).system
    built = load_encoder_decoder(str(source("t5")))
    table: Any = built.module.model.get_input_embeddings().weight  # type: ignore[union-attr,operator]
    cat, dog, rain = (built.tokenizer.encode([word])[0].tolist() for word in ("cat", "dog", "rain"))
    rows = system.network.head.decoder.embedding.weight
    torch.testing.assert_close(rows[0], table[[*cat, *dog]].mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows[1], table[rain].mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows[2:], table[[3, 2]], atol=1e-5, rtol=0)
    names_of_weights = set(system.network.state_dict())
    assert not any("stack" in name for name in names_of_weights), "the decoder belongs to the encoder"
    assert {f"encoder.{name}" for name, _ in built.module.named_parameters()} <= names_of_weights


def test_t5_keeps_the_contract_of_all_systems(source: Folders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source("t5"), tmp_path / "source"))
    classifier = check_system(
        "t5",
        settings(folder, epochs=30, patience=30, learning_rate=1e-2, head_learning_rate=2e-2),
        tmp_path,
        files=NETWORK_FILES,
        facts=FACTS,
        few=settings(folder, epochs=1),
        source=folder,
        overfits=0.95,
    )
    for block in classifier.system.scores([*tiny_corpus().texts, ""]):
        assert block.sets is not None
        assert not classifier.taxonomy.violations(block.sets).any()


def test_bart_is_saved_and_loaded_as_t5_is(source: Folders, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    folder = Path(shutil.copytree(source("bart"), tmp_path / "source"))
    classifier = Classifier("t5", **settings(folder, epochs=4, learning_rate=1e-2)).fit(corpus, validation=corpus)
    losses = [epoch["loss"] for epoch in classifier.manifest.metrics["history"]]
    assert losses[-1] < losses[0] / 1.5
    check_scores(classifier, corpus.texts)
    check_folder(classifier, tmp_path, corpus, files=NETWORK_FILES, source=folder)


def test_a_training_resumes(source: Folders, tmp_path: Path) -> None:
    check_resume("t5", settings(source("t5"), epochs=3), tmp_path)


def test_the_preset_of_the_paper_sets_what_is_known_of_it() -> None:
    paper: Any = parse_settings(find("t5").Settings, {"preset": "paper", "encoder": {"source": "mine"}})
    assert (paper.training.learning_rate, paper.training.head_learning_rate, paper.text.max_tokens) == (5e-5, 5e-5, 512)
    assert (paper.encoder.source, paper.head.label_order, paper.head.constrained) == ("mine", "top_down", True)
    plain: Any = parse_settings(find("t5").Settings, {"preset": "paper"})
    assert plain.encoder.source == "google-t5/t5-base"


def test_what_does_not_fit_is_refused(tiny_encoder: Path, source: Folders) -> None:
    corpus = tiny_corpus()
    with pytest.raises(ConfigError, match="has no decoder; choose an encoder-decoder such as T5 or BART"):
        Classifier("t5", **settings(tiny_encoder)).fit(corpus, validation=corpus)
    with pytest.raises(ConfigError, match="is an encoder-decoder; choose an encoder such as BERT, or the system t5"):
        Classifier("bert", **tiny_settings("bert", source("t5"))).fit(corpus, validation=corpus)
    values = tiny_settings("bert", tiny_encoder, head={"name": "label_tokens"})
    with pytest.raises(ConfigError, match="label_tokens needs a decoder"):
        Classifier("bert_sgm", **values).fit(corpus, validation=corpus)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Classifier("t5", **settings(tiny_encoder / "nowhere")).fit(corpus, validation=corpus)
    tokenizer = load_encoder_decoder(str(source("t5"))).tokenizer
    for kind in ("unheard-of", "bert", None):
        with pytest.raises(ModelFolderError, match="does not describe a known encoder-decoder"):
            restore_encoder_decoder({"config": {}, "model_type": kind}, tokenizer)


@pytest.mark.parametrize("kind", KINDS)
def test_every_known_kind_takes_a_step(kind: str, source: Folders) -> None:
    narrow = {"vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    for side in ("encoder", "decoder"):
        narrow |= {f"{side}_layers": 1, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 32}
    ids = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 2, "bos_token_id": 2}
    config = {**narrow, **ids, "max_position_embeddings": 64, "_commit_hash": "x", "auto_map": {"AutoModel": "evil.py"}}
    tokenizer = load_encoder_decoder(str(source("t5"))).tokenizer
    model: Any = restore_encoder_decoder({"config": config, "model_type": kind}, tokenizer).module.eval()
    decoder = LabelTokens(3, model).eval()
    with torch.no_grad():
        ids_of_text = torch.tensor([[5, 6, 3], [7, 3, 0]])
        memory, state = decoder.start(model(ids_of_text, ids_of_text != 0))
        emitted = torch.zeros(2, 1, 4, dtype=torch.bool)
        found, state = decoder.step(memory, state, torch.full((2, 1), decoder.begin), emitted)
        again, _ = decoder.step(memory, state, torch.zeros(2, 1, dtype=torch.int64), emitted)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(2, 1))
    assert not torch.equal(found, again)
