"""``bert``: the contract of all systems, and each of its choices."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from models.harness import NETWORK_FILES, all_scores, check_folder, check_scores, check_system
from taxotext import Classifier, Taxonomy
from taxotext.errors import ConfigError, LabelError, ModelFolderError
from taxotext.models.registry import find
from taxotext.settings import parse_settings
from tiny import EDGES, POSITIONS, WIDTH, make_encoder, tiny_corpus, tiny_settings, tiny_words

FACTS = ("encoder_source", "encoder_sha256")


def fitted(folder: Path, /, corpus: Any = None, **sections: Any) -> Classifier:
    sections.setdefault("training", {"epochs": 1})
    corpus = tiny_corpus() if corpus is None else corpus
    return Classifier("bert", **tiny_settings("bert", folder, **sections)).fit(corpus, validation=corpus)


def head_rows(classifier: Classifier) -> np.ndarray:
    return classifier.system.network.head.output.weight.detach().numpy()


def test_bert_keeps_the_contract_of_all_systems(tiny_encoder: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(tiny_encoder, tmp_path / "source"))
    classifier = check_system(
        "bert",
        tiny_settings("bert", source, training={"epochs": 45, "patience": 45}),
        tmp_path,
        files=NETWORK_FILES,
        facts=FACTS,
        few=tiny_settings("bert", source, training={"epochs": 1}),
        source=source,
    )
    found = classifier.system.facts()
    assert found["encoder_source"] == source.name
    assert len(found["encoder_sha256"]) == 64
    # Two layers, embeddings and seven outputs; the pooler that mean pooling does not use is not there.
    names = set(classifier.system.network.state_dict())
    assert not any("pooler" in name for name in names)
    assert head_rows(classifier).shape == (7, WIDTH)


def test_the_preset_of_the_paper_sets_what_is_known_of_it_and_trains(tiny_encoder: Path, tmp_path: Path) -> None:
    def of(name: str, **values: Any) -> Any:
        return parse_settings(find(name).Settings, {"preset": "paper", **values})

    paper = of("bert")
    assert (paper.loss.scale, paper.text.max_tokens, paper.encoder.pooling) == ("mean", 512, "cls")
    training = paper.training
    assert (training.learning_rate, training.head_learning_rate, training.batch_size) == (2e-5, 2e-5, 16)
    assert (training.epochs, training.schedule, training.warmup, training.weight_decay) == (30, "linear", 0.1, 0.0)
    both = (paper.encoder, of("bert_sgm").encoder)
    assert all((one.lowercase, one.punctuation, one.pooling) == (True, "drop", "cls") for one in both)
    assert of("bert", encoder={"source": "x"}).encoder.punctuation == "drop"
    classifier = fitted(tiny_encoder, preset="paper", text={"max_tokens": 32})
    texts = ["The cat, the DOG.", "the cat the dog"]
    assert np.array_equal(*all_scores(classifier, texts))
    classifier.save(tmp_path / "m")
    assert np.array_equal(all_scores(taxotext.load(tmp_path / "m"), texts), all_scores(classifier, texts))
    plain = all_scores(fitted(tiny_encoder), texts)
    assert not np.array_equal(*plain), "by default punctuation is read"


@pytest.mark.parametrize("pooling", ["cls", "pooler"])
def test_other_poolings_score_and_save_alike(pooling: str, tiny_encoder: Path, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    classifier = fitted(tiny_encoder, encoder={"pooling": pooling})
    check_scores(classifier, corpus.texts)
    check_folder(classifier, tmp_path, corpus, files=NETWORK_FILES)
    has_pooler = any("pooler" in name for name in classifier.system.network.state_dict())
    assert has_pooler == (pooling == "pooler")


def test_the_three_poolings_give_three_different_models(tiny_encoder: Path) -> None:
    texts = tiny_corpus().texts[:5]
    scores = [
        all_scores(fitted(tiny_encoder, encoder={"pooling": pooling}), texts) for pooling in ("mean", "cls", "pooler")
    ]
    assert not np.allclose(scores[0], scores[1])
    assert not np.allclose(scores[1], scores[2])


@pytest.mark.parametrize("mode", ["truncate", "head_tail", "chunk_max", "chunk_mean"])
def test_long_texts_are_read_in_every_mode(mode: str, tiny_encoder: Path, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    text = {"max_tokens": 8, "long_text": mode, "max_chunks": 3}
    classifier = fitted(tiny_encoder, text=text)
    check_scores(classifier, corpus.texts)
    check_folder(classifier, tmp_path, corpus, files=NETWORK_FILES)
    filler = "the a today we saw and "  # six tokens: all that one window of eight holds
    start, second, end = (
        all_scores(classifier, [text])[0]
        for text in (filler + filler + filler, filler + "cat purrs " + filler, filler + filler + filler + "cat purrs")
    )
    assert np.allclose(start, second, atol=1e-6) == (mode in {"truncate", "head_tail"})
    # Pieces: 18 tokens are all that three windows hold, so what lies behind them is not seen.
    assert np.allclose(start, end, atol=1e-6) == (mode != "head_tail")
    cut = classifier.system.count_cut([filler, filler + "cat", filler * 3, filler * 3 + "cat"])
    assert cut == (1 if mode.startswith("chunk") else 3)


def test_the_maximum_over_pieces_is_never_below_the_score_of_a_piece(tiny_encoder: Path) -> None:
    classifier = fitted(tiny_encoder, text={"max_tokens": 8, "long_text": "chunk_max"})
    first, second = "the cat saw a loaf again", "we saw trout and some dog"
    alone = all_scores(classifier, [first, second])
    together = all_scores(classifier, [f"{first} {second}"])
    np.testing.assert_allclose(together[0], alone.max(axis=0), atol=1e-6)


def test_recursive_regularisation_draws_parents_and_children_together(tiny_encoder: Path) -> None:
    free = fitted(tiny_encoder, training={"epochs": 4})
    tied = fitted(tiny_encoder, training={"epochs": 4, "recursive": 5.0})
    parents, children = free.taxonomy.edge_index

    def distance(classifier: Classifier) -> float:
        rows = head_rows(classifier)
        return float(((rows[parents] - rows[children]) ** 2).sum())

    assert distance(tied) < 0.5 * distance(free)


def test_recursive_regularisation_leaves_a_flat_label_set_alone(tiny_encoder: Path) -> None:
    texts, labels = ["cat", "dog", "cat dog", "house"] * 3, [["c"], ["d"], ["c", "d"], ["c"]] * 3
    scores = []
    for recursive in (0.0, 5.0):
        settings = tiny_settings("bert", tiny_encoder, training={"epochs": 1, "recursive": recursive})
        scores.append(Classifier("bert", **settings).fit(texts, labels).predict_proba(texts))
    assert np.array_equal(scores[0], scores[1])


def test_weights_of_positives_raise_the_scores_of_their_label_alone(tiny_encoder: Path) -> None:
    corpus = tiny_corpus()
    one = all_scores(fitted(tiny_encoder, training={"epochs": 3}), corpus.texts).mean(axis=0)
    weighted = fitted(tiny_encoder, training={"epochs": 3}, loss={"positive_weight": {"rye": 20.0}})
    many = all_scores(weighted, corpus.texts).mean(axis=0)
    rye = corpus.taxonomy.index("rye")
    assert many[rye] > one[rye] + 0.1
    assert np.abs(np.delete(many - one, rye)).max() < many[rye] - one[rye]


def test_an_unknown_label_among_the_weights_of_positives_is_named(tiny_encoder: Path) -> None:
    with pytest.raises(LabelError, match=r"'ryee'.*rye"):
        fitted(tiny_encoder, loss={"positive_weight": {"ryee": 2.0}})


def test_documents_of_weight_zero_teach_nothing(tiny_encoder: Path) -> None:
    corpus = tiny_corpus(count=24)
    weights = np.ones(24, dtype=np.float32)
    weights[::2] = 0
    taught = tiny_corpus(count=24, weights=list(weights))
    shown, hidden = np.flatnonzero(weights), np.flatnonzero(weights == 0)
    settings = tiny_settings("bert", tiny_encoder, training={"epochs": 40, "patience": 40, "batch_size": 8})
    classifier = Classifier("bert", **settings).fit(taught, validation=corpus.subset(shown))
    assert classifier.evaluate(corpus.subset(shown))["micro_f1"] > 0.95
    assert classifier.evaluate(corpus.subset(hidden))["micro_f1"] < 0.9


def test_more_tokens_than_positions_are_refused(tiny_encoder: Path) -> None:
    with pytest.raises(ConfigError, match=f"text.max_tokens: the encoder takes {POSITIONS} tokens at most, not 65"):
        fitted(tiny_encoder, text={"max_tokens": 65})


def test_weights_of_another_taxonomy_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    classifier = fitted(tiny_encoder)
    classifier.save(tmp_path / "model")
    wider = Taxonomy.from_edges([*EDGES, ("animals", "horses")])
    with pytest.raises(ModelFolderError, match=r"head\.output\.bias: shape \(7,\) instead of \(8,\)"):
        type(classifier.system).load_parts(tmp_path / "model", classifier.settings_(), wider)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("weights.safetensors", "is missing; save the model again"),
        ("tokenizer.json", "is missing; save the model again"),
        ("encoder.json", "is missing; save the model again"),
    ],
)
def test_a_missing_file_of_the_folder_is_named(name: str, sentence: str, tiny_encoder: Path, tmp_path: Path) -> None:
    fitted(tiny_encoder).save(tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    with pytest.raises(ModelFolderError, match=f"{name}.*{sentence}"):
        taxotext.load(tmp_path / "model")


def test_cut_weights_are_called_damaged(tiny_encoder: Path, tmp_path: Path) -> None:
    fitted(tiny_encoder).save(tmp_path / "model")
    path = tmp_path / "model/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFolderError, match=r"weights.safetensors: is damaged \(.*save the model again"):
        taxotext.load(tmp_path / "model")


def test_the_head_starts_from_the_log_odds_of_the_labels(tiny_encoder: Path) -> None:
    from taxotext.models.registry import find
    from taxotext.settings import parse_settings

    corpus = tiny_corpus()
    kind = find("bert")
    system: Any = kind(parse_settings(kind.Settings, tiny_settings("bert", tiny_encoder)), corpus.taxonomy)
    with pytest.raises(RuntimeError, match="not built yet"):
        _ = system.network
    system.build(corpus)
    positives = corpus.targets.toarray().sum(axis=0)
    shares = (positives + 1) / (len(corpus) + 2)
    np.testing.assert_allclose(
        system.network.head.output.bias.detach().numpy(), np.log(shares / (1 - shares)), rtol=1e-5
    )


def test_an_encoder_of_another_family_works_as_well(tmp_path: Path) -> None:
    """A record is enough to build the module again, whatever the family."""
    from transformers import DistilBertConfig, DistilBertModel

    source = make_encoder(tmp_path / "source", tiny_words())
    size = json.loads((source / "config.json").read_text())["vocab_size"]
    config = DistilBertConfig(
        vocab_size=size, dim=WIDTH, n_layers=1, n_heads=2, hidden_dim=WIDTH, max_position_embeddings=POSITIONS
    )
    DistilBertModel(config).save_pretrained(source)
    corpus = tiny_corpus()
    classifier = fitted(source)
    check_folder(classifier, tmp_path, corpus, files=NETWORK_FILES, source=source)
