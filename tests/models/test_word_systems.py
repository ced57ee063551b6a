"""The systems over words but ``dgcnn``: the contract of all systems, vocabularies, word vectors, losses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taxotext
from models.harness import NETWORK_FILES, WORD_FACTS, all_scores, check_folder, check_resume, check_system
from taxotext import Classifier
from taxotext.data.tokens import TextTokenizer
from taxotext.errors import ConfigError, DataError, ModelFolderError
from taxotext.models.registry import find
from taxotext.nn.encoders import vectors as word_vectors
from taxotext.nn.encoders.vectors import first_vectors, principal_components
from tiny import WORDS, tiny_corpus, tiny_fit, tiny_settings, tiny_words

SYSTEMS = ("textcnn", "kim_cnn", "xml_cnn", "gru_att_multi")


def embedding(classifier: Classifier) -> torch.nn.Embedding:
    found: torch.nn.Embedding = classifier.system.network.encoder.embedding  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("name", SYSTEMS)
def test_systems_over_words_keep_the_contract_of_all_systems(name: str, tmp_path: Path) -> None:
    classifier = check_system(
        name,
        tiny_settings(name),
        tmp_path,
        files=NETWORK_FILES,
        facts=WORD_FACTS,
        few=tiny_settings(name, training={"epochs": 1}),
    )
    facts = classifier.system.facts()
    assert facts["vocabulary"] == len(tiny_words()) + 2
    assert (facts["embeddings"], facts["embeddings_coverage"]) == ("random", None)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_cut_training_goes_on_to_the_same_model(name: str, tmp_path: Path) -> None:
    check_resume(name, tiny_settings(name, training={"epochs": 3, "averaging": "swa"}), tmp_path)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("mode", ["head_tail", "chunk_max"])
def test_long_texts_are_read_in_every_mode(name: str, mode: str, tmp_path: Path) -> None:
    classifier = tiny_fit(name, text={"max_tokens": 8, "long_text": mode, "max_chunks": 3})
    check_folder(classifier, tmp_path, tiny_corpus(), files=NETWORK_FILES)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_last_batch_of_one_document_trains(name: str) -> None:
    corpus = tiny_corpus(count=13)
    classifier = tiny_fit(name, corpus, training={"batch_size": 12})
    assert np.isfinite(classifier.manifest.metrics["history"][0]["loss"])
    assert np.isfinite(classifier.predict_proba(corpus.texts)).all()


# -- presets -------------------------------------------------------------------------------------------------------


def test_the_presets_of_the_papers_set_what_the_papers_say() -> None:
    def of(name: str, **given: Any) -> Any:
        return find(name).Settings.model_validate({"preset": "paper", **given})

    textcnn, kim, gru = of("textcnn"), of("kim_cnn"), of("gru_att_multi")
    assert (textcnn.text.max_tokens, textcnn.encoder.vocabulary.punctuation) == (500, "drop")
    assert (kim.encoder.kernels, kim.encoder.filters, kim.encoder.embedding_width) == ((3, 4, 5), 100, 300)
    assert (kim.head.dropout, kim.training.batch_size) == (0.5, 50)
    assert (gru.encoder.units, gru.encoder.dropout, gru.text.max_tokens) == (96, 0.4, 100)
    assert (gru.training.batch_size, gru.training.epochs, gru.training.monitor) == (128, 10, "weighted_f1")
    xml = of("xml_cnn")
    assert (xml.encoder.kernels, xml.encoder.hidden, xml.text.max_tokens) == ((2, 4, 8), 512, 500)
    assert (xml.head.dropout, xml.training.schedule, xml.training.monitor) == (0.5, "constant", "p@1")
    assert {preset.loss.scale for preset in (textcnn, kim, gru, xml)} == {"mean"}
    assert of("kim_cnn", training={"batch_size": 8}).training.schedule == "constant", "the preset was lost"
    assert of("kim_cnn", loss={"name": "zlpr"}).loss.name == "zlpr"
    assert of("kim_cnn", encoder={"name": "gru_att"}).encoder.name == "gru_att"


def test_parts_of_other_systems_can_be_chosen(tiny_encoder: Path) -> None:
    corpus = tiny_corpus()
    values = tiny_settings("kim_cnn", tiny_encoder, training={"epochs": 1})
    classifier = Classifier("kim_cnn", **values).fit(corpus, validation=corpus)
    assert classifier.system.facts()["encoder_source"] == tiny_encoder.name


# -- vocabulary ----------------------------------------------------------------------------------------------------


def test_the_vocabulary_comes_from_the_training_texts_alone(tmp_path: Path) -> None:
    texts, labels = ["cat cat purrs", "dog dog barks"] * 8, [["c"], ["d"]] * 8
    values = tiny_settings("kim_cnn", training={"epochs": 1})
    classifier = Classifier("kim_cnn", **values).fit(texts, labels, validation=(["zebra zebra cat"], [["c"]]))
    tokenizer: TextTokenizer = classifier.system.tokenizer  # type: ignore[attr-defined]
    assert set(tokenizer.vocabulary) == {"[PAD]", "[UNK]", "cat", "purrs", "dog", "barks"}
    scores = all_scores(classifier, ["zebra", "unseen", "cat"])
    assert np.array_equal(scores[0], scores[1])
    classifier.save(tmp_path / "m")
    loaded = taxotext.load(tmp_path / "m").system
    assert loaded.tokenizer.vocabulary == tokenizer.vocabulary  # type: ignore[attr-defined]


def test_rare_words_and_those_beyond_the_size_are_unknown() -> None:
    texts, labels = ["cat cat cat dog dog owl, ."] * 3 + ["Rare"], [["c"]] * 4
    base = tiny_settings("kim_cnn", training={"epochs": 1})

    def words(**vocabulary: Any) -> set[str]:
        values = {**base, "encoder": {**base["encoder"], "vocabulary": vocabulary}}
        system: Any = Classifier("kim_cnn", **values).fit(texts, labels, validation=(texts, labels)).system
        return set(system.tokenizer.vocabulary) - {"[PAD]", "[UNK]"}

    assert words(min_count=2) == {"cat", "dog", "owl", ",", "."}
    assert words(min_count=1, punctuation="drop") == {"cat", "dog", "owl", "rare"}
    assert words(min_count=1, lowercase=False, punctuation="drop") == {"cat", "dog", "owl", "Rare"}
    assert words(size=4) == {"cat", "dog"}


# -- word vectors --------------------------------------------------------------------------------------------------


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    """Four numbers a word: which label it stands for; two words are missing, one is not of the corpus."""
    rng = np.random.default_rng(0)
    lines = []
    for position, words in enumerate(WORDS.values()):
        for word in words:
            if word not in {"rye", "dark"}:
                row = rng.normal(position, 0.1, 4)
                lines.append(" ".join([word, *(f"{number:.4f}" for number in row)]))
    path = tmp_path / "glove.txt"
    path.write_text("\n".join([*lines, "zebra 1 1 1 1"]) + "\n", encoding="utf-8")
    return path


def test_vectors_of_a_file_are_taken_and_recorded(glove: Path, tmp_path: Path) -> None:
    import hashlib

    values = tiny_settings("gru_att_multi", training={"epochs": 1})
    values["encoder"].update(embeddings=str(glove), embedding_width=None, train_embeddings=False, embedding_scale=None)
    corpus = tiny_corpus()
    classifier = Classifier("gru_att_multi", **values).fit(corpus, validation=corpus)
    table, vocabulary = embedding(classifier).weight.detach(), classifier.system.tokenizer.vocabulary  # type: ignore[attr-defined]
    for line in glove.read_text().splitlines():
        word, *numbers = line.split()
        if word in vocabulary:
            np.testing.assert_allclose(table[vocabulary.index(word)], np.asarray(numbers, np.float32))
    assert not table[0].any()
    assert table[vocabulary.index("rye")].any(), "a word without a vector has random numbers"
    facts = classifier.system.facts()
    assert facts["embeddings"] == "glove.txt", "a folder of this machine has no place in a model"
    assert facts["embeddings_sha256"] == hashlib.sha256(glove.read_bytes()).hexdigest()
    assert facts["embeddings_coverage"] == pytest.approx(12 / 28, abs=1e-4)
    assert (facts["embedding_width"], facts["embeddings_trained"]) == (4, False)
    glove.unlink()
    loaded = check_folder(classifier, tmp_path, corpus, files=NETWORK_FILES)
    assert not embedding(loaded).weight.requires_grad
    card = (tmp_path / "gru_att_multi-saved" / "README.md").read_text(encoding="utf-8")
    assert "glove.txt" in card
    assert facts["embeddings_sha256"] in card


@pytest.mark.parametrize(("choice", "factor"), [("random", 1.0), ("GLOVE", None)])
def test_pretrained_vectors_are_brought_to_a_scale_that_a_recurrent_network_learns_from(
    choice: str, factor: float | None, glove: Path
) -> None:
    tables = {}
    for scale in (None, 0.5):
        values = tiny_settings("gru_att_multi", training={"epochs": 1})
        values["encoder"].update(embedding_scale=scale, embedding_width=None, train_embeddings=False)
        values["encoder"]["embeddings"] = str(glove) if choice == "GLOVE" else choice
        corpus = tiny_corpus()
        classifier = Classifier("gru_att_multi", **values).fit(corpus, validation=corpus)
        tables[scale] = embedding(classifier).weight.detach().numpy()
    given, scaled = tables[None], tables[0.5]
    np.testing.assert_allclose(scaled, given * (factor or 0.5 / given[1:].std()), rtol=1e-5)
    assert not scaled[0].any(), "padding stays zeros"


def test_vectors_that_are_all_zeros_stay_so(tmp_path: Path) -> None:
    (tmp_path / "zeros.txt").write_text("".join(f"{word} 0 0\n" for word in tiny_words()), encoding="utf-8")
    encoder = {"embeddings": str(tmp_path / "zeros.txt"), "embedding_width": None, "train_embeddings": False}
    assert not embedding(tiny_fit("gru_att_multi", encoder=encoder)).weight.any()


def test_frozen_vectors_stay_and_others_are_trained_with_the_smaller_rate(glove: Path) -> None:
    moved = {}
    for train in (False, True):
        encoder = {"embeddings": str(glove), "train_embeddings": train, "embedding_width": None}
        classifier = tiny_fit("kim_cnn", encoder=encoder, training={"epochs": 2, "learning_rate": 1e-4})
        system: Any = classifier.system
        place = system.tokenizer.vocabulary.index("cat")
        line = next(line for line in glove.read_text().splitlines() if line.startswith("cat "))
        start = np.asarray(line.split()[1:], float)
        moved[train] = float(np.abs(embedding(classifier).weight[place].detach().numpy() - start).max())
        assert system.pretrained_parameters() == {"encoder.embedding.weight"}
    assert moved[False] < 1e-6
    assert 1e-5 < moved[True] < 0.005, "ten steps of 1e-4"
    assert tiny_fit("kim_cnn").system.pretrained_parameters() == set()  # type: ignore[attr-defined]


def test_the_user_is_told_how_many_words_have_a_vector(glove: Path) -> None:
    tokenizer = TextTokenizer.learn_words(["cat purrs zoo zoo"], min_count=1)
    found = first_vectors(str(glove), None, tokenizer, ["cat purrs zoo zoo"])
    assert found.notes == (
        "Word vectors of glove.txt: 2 of 3 words of the vocabulary (67%), 50% of the words of the training texts; the "
        "others start from random numbers.",
    )


@pytest.mark.parametrize(
    ("encoder", "kind", "sentence"),
    [
        ({"embeddings": "nope.txt"}, DataError, r"nope\.txt: no such file"),
        ({"embeddings": "GLOVE", "embedding_width": 100}, ConfigError, "embedding_width: is 100, but the vectors of"),
        ({"embeddings": "EMPTY"}, ConfigError, "has none of the 28 words of the training texts"),
        ({"embeddings": "BAD"}, DataError, r"bad\.txt:2: 'x' is not a finite number"),
        ({"embeddings": "encoder", "embedding_width": 33}, ConfigError, "the encoder have 32 numbers; lower it"),
    ],
)
def test_word_vectors_that_do_not_fit_are_named(
    encoder: dict[str, Any],
    kind: type[Exception],
    sentence: str,
    glove: Path,
    tmp_path: Path,
    tiny_default: None,
) -> None:
    (tmp_path / "empty.txt").write_text("zebra 1 1\n", encoding="utf-8")
    (tmp_path / "bad.txt").write_text("cat 1 1\ndog 1 x\n", encoding="utf-8")
    places = {"GLOVE": glove, "EMPTY": tmp_path / "empty.txt", "BAD": tmp_path / "bad.txt"}
    given = {**encoder, "embeddings": str(places.get(encoder["embeddings"], encoder["embeddings"]))}
    with pytest.raises(kind, match=sentence):
        tiny_fit("kim_cnn", encoder={"embedding_width": None, **given})


@pytest.fixture
def tiny_default(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny encoder stands in for the default one."""
    from taxotext.nn.encoders import pretrained

    monkeypatch.setattr(pretrained, "resolve", lambda source: (str(tiny_encoder), "tiny-bert"))


def test_vectors_of_the_encoder_are_means_over_pieces_along_principal_components(
    tiny_default: None, tmp_path: Path
) -> None:
    from taxotext.nn.encoders.pretrained import load_transformer

    built: Any = load_transformer("default", "mean")
    pieces = built.module.model.get_input_embeddings().weight.detach().numpy()
    words = ["cat", "zoo", "dog", "ab", "猫"]  # zoo and ab are letters to that encoder; 猫 it does not know
    tokenizer = TextTokenizer.learn_words([" ".join(words)], min_count=1)
    state = torch.get_rng_state()
    found = first_vectors("encoder", 3, tokenizer, [])
    known = [word for word in tokenizer.vocabulary[2:] if word != "猫"]
    means = np.stack([pieces[built.tokenizer.encode([word])[0]].mean(0) for word in known])
    centred = means - means.mean(0)
    left, size, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(3), np.abs(right[:3]).argmax(1)])
    expected = left[:, :3] * size[:3] * signs
    places = [tokenizer.vocabulary.index(word) for word in known]
    np.testing.assert_allclose(found.matrix[places], expected, atol=1e-4)
    assert found.record["embeddings"] == "input embeddings of tiny-bert"
    assert found.record["embeddings_sha256"] == built.record["sha256"]
    assert found.record["embeddings_coverage"] == 0.8
    torch.set_rng_state(state)
    assert np.array_equal(first_vectors("encoder", 3, tokenizer, []).matrix, found.matrix)
    classifier = tiny_fit("kim_cnn", encoder={"embeddings": "encoder", "embedding_width": 8})
    check_folder(classifier, tmp_path, tiny_corpus(), files=NETWORK_FILES)
    assert classifier.system.facts()["embeddings"] == "input embeddings of tiny-bert"


def test_components_that_few_words_cannot_have_are_zero() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    coordinates = principal_components(rows, 4)
    assert coordinates.shape == (2, 4)
    apart = np.linalg.norm(coordinates[0] - coordinates[1])
    np.testing.assert_allclose(apart, np.linalg.norm(rows[0] - rows[1]), rtol=1e-5)
    np.testing.assert_allclose(coordinates[:, 1:], 0, atol=1e-5)


def test_random_vectors_are_bounded_and_padding_is_zero() -> None:
    tokenizer = TextTokenizer.learn_words([" ".join(f"w{i}" for i in range(300))], min_count=1)
    matrix = first_vectors("random", None, tokenizer, []).matrix
    assert matrix.shape == (302, word_vectors.DEFAULT_WIDTH)
    assert np.abs(matrix).max() <= word_vectors.RANDOM_BOUND
    assert matrix[1:].std() == pytest.approx(word_vectors.RANDOM_BOUND / np.sqrt(3), rel=0.02)
    assert not matrix[0].any()


def test_a_record_that_describes_no_vectors_is_refused(tmp_path: Path) -> None:
    tiny_fit("kim_cnn").save(tmp_path / "m")
    path = tmp_path / "m/encoder.json"
    record = json.loads(path.read_text())
    for width in (None, "16", 0, True):
        path.write_text(json.dumps({**record, "embedding_width": width}))
        with pytest.raises(ModelFolderError, match=r"encoder\.json: embedding_width is"):
            taxotext.load(tmp_path / "m")
    path.write_text(json.dumps({**record, "embedding_width": 17}))
    with pytest.raises(ModelFolderError, match=r"encoder\.embedding\.weight: shape"):
        taxotext.load(tmp_path / "m")


# -- losses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["focal", "asymmetric", "zlpr"])
def test_every_loss_learns_the_tiny_corpus(loss: str) -> None:
    classifier = tiny_fit("kim_cnn", loss={"name": loss}, training={"epochs": 20})
    if loss == "asymmetric":  # it makes little of negatives, so that its scores are too high as they are
        classifier.tune()
    assert classifier.evaluate(tiny_corpus())["micro_f1"] > 0.95
    assert classifier.settings_().model_dump()["loss"]["name"] == loss


def test_unknown_losses_and_their_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"loss\.name: 'zplr' is not known.*Did you mean 'zlpr'"):
        Classifier("kim_cnn", loss={"name": "zplr"})
    with pytest.raises(ConfigError, match=r"loss\.gama: unknown key. Did you mean 'gamma'"):
        Classifier("kim_cnn", loss={"name": "focal", "gama": 2})
    with pytest.raises(ConfigError, match=r"loss\.gamma: unknown key"):
        Classifier("kim_cnn", loss={"gamma": 2})
