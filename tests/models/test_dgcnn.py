"""``dgcnn``: the contract of all systems, graphs on the path of the data, stop words, the regulariser, the preset."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taxotext
from models.harness import NETWORK_FILES, WORD_FACTS, all_scores, check_folder, check_resume, check_system
from taxotext import Classifier
from taxotext.errors import ConfigError, DataError, ModelFolderError
from taxotext.models.registry import find
from tiny import tiny_corpus, tiny_fit, tiny_settings

FACTS = (*WORD_FACTS, "stop_words")


settings = partial(tiny_settings, "dgcnn")
fitted: Any = partial(tiny_fit, "dgcnn")


def test_dgcnn_keeps_the_contract_of_all_systems(tmp_path: Path) -> None:
    check_system("dgcnn", settings(), tmp_path, files=NETWORK_FILES, facts=FACTS, few=settings(training={"epochs": 1}))


def test_a_cut_training_goes_on_to_the_same_model(tmp_path: Path) -> None:
    check_resume("dgcnn", settings(training={"epochs": 3, "averaging": "swa"}), tmp_path)


@pytest.mark.parametrize("mode", ["head_tail", "chunk_mean"])
def test_long_texts_are_read_in_every_mode(mode: str, tmp_path: Path) -> None:
    classifier = fitted(text={"max_tokens": 8, "long_text": mode, "max_chunks": 2})
    check_folder(classifier, tmp_path, tiny_corpus(), files=NETWORK_FILES)
    assert classifier.system.count_cut(["cat " * 17, "cat " * 8]) == 1


@pytest.mark.parametrize("layers", [1, 6])
def test_fewer_and_more_layers_learn(layers: int) -> None:
    classifier = fitted(encoder={"layers": layers, "vertices": 36}, training={"epochs": 15})
    assert classifier.evaluate(tiny_corpus())["micro_f1"] > 0.75, "all rare labels left out gives 0.58"


def test_graphs_are_what_is_read_in_training_and_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = fitted()
    system, vocabulary = classifier.system, classifier.system.tokenizer.vocabulary
    windows = system.windows(["cat dog, CAT unheard-of fins!", "", "cat"])
    rows = [[vocabulary[i] for i in row] for row in windows.tokens[0].reshape(-1, 6)]
    pad = ["[PAD]"] * 3
    assert rows == [["cat", "dog", "fins", *pad], ["dog", "cat", "fins", *pad], ["fins", "cat", "dog", *pad]]
    assert windows.tokens.lengths.tolist() == [18, 6, 6]
    assert [vocabulary[i] for i in windows.tokens[1]] == ["[UNK]", *pad, *["[PAD]"] * 2]
    expected = all_scores(classifier, tiny_corpus().texts)
    monkeypatch.setattr("taxotext.data.graphs.BLOCK", 20)
    assert np.array_equal(all_scores(classifier, tiny_corpus().texts), expected)


def test_ids_beyond_the_limit_are_in_a_file_and_train_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxotext.data.spill.JOINED", 64)
    spilled = fitted(runtime={"tokens_in_memory": 100})
    windows = spilled.system.windows(tiny_corpus().texts)
    assert isinstance(windows.tokens.values.base, np.memmap)
    kept = fitted()
    assert np.array_equal(all_scores(spilled, tiny_corpus().texts), all_scores(kept, tiny_corpus().texts))


def test_the_encoder_serves_other_systems_and_takes_others_itself() -> None:
    corpus = tiny_corpus()
    graph = settings()["encoder"]
    values = settings(training={"epochs": 15}, head={"dropout": 0.0})
    values["encoder"] = {"name": "dgcnn", **graph}
    classifier = Classifier("kim_cnn", **values).fit(corpus, validation=corpus)
    assert classifier.system.windows(["cat dog"]).tokens.lengths.tolist() == [12]  # type: ignore[attr-defined]
    assert classifier.evaluate(corpus)["micro_f1"] > 0.75
    values["encoder"] = {"name": "kim_cnn", "filters": 8, "vocabulary": {"min_count": 1}}
    other = Classifier("dgcnn", **{**values, "training": {"epochs": 1}}).fit(corpus, validation=corpus)
    assert other.system.windows(["cat dog"]).tokens.lengths.tolist() == [2]  # type: ignore[attr-defined]


def test_weights_of_a_label_are_drawn_to_those_of_its_parents() -> None:
    def apart(weight: float) -> float:
        system = fitted(training={"epochs": 8, "recursive": weight}).system
        rows, (parents, children) = system.network.head.output.weight.detach(), system.taxonomy.edge_index.tolist()
        return float((rows[parents] - rows[children]).pow(2).sum())

    assert apart(1.0) < 0.5 * apart(0.0)
    system = fitted(training={"epochs": 1, "recursive": 0.25}).system
    with torch.no_grad():
        system.network.head.output.weight.zero_()
        system.network.head.output.weight[system.taxonomy.index("rye"), :3] = torch.tensor([1.0, 2.0, 2.0])
    assert float(system.network.head.penalty().detach()) == pytest.approx(0.25 * 0.5 * 9), "one parent, no child"


def test_a_head_without_rows_of_labels_cannot_be_tied() -> None:
    corpus = tiny_corpus()
    values = tiny_settings("kim_cnn", training={"epochs": 1, "recursive": 0.1})
    values["head"] = {"name": "sequence"}
    with pytest.raises(ConfigError, match=r"training\.recursive: the head sequence has no rows of labels to tie"):
        Classifier("kim_cnn", **values).fit(corpus, validation=corpus)


# -- stop words ----------------------------------------------------------------------------------------------------


def test_stop_words_are_no_part_of_the_graph_and_the_folder_knows_them(tmp_path: Path) -> None:
    listed = tmp_path / "stop.txt"
    listed.write_text("\nSaw\r\nand\nnowhere\n", encoding="utf-8")
    classifier = fitted(encoder={"stop_words": str(listed)})
    system, vocabulary = classifier.system, classifier.system.tokenizer.vocabulary
    (row,) = [system.windows(["and cat saw dog saw"]).tokens[0].reshape(-1, 6)]
    assert [[vocabulary[i] for i in words if i] for words in row] == [["cat", "dog"], ["dog", "cat"]]
    assert system.facts()["stop_words"] == 2
    assert "Stop words of stop.txt: 2 of 3 are in the vocabulary." in system.notes
    listed.unlink()
    loaded: Any = check_folder(classifier, tmp_path, tiny_corpus(), files=NETWORK_FILES)
    assert loaded.system.windows(["and cat"]).tokens.lengths.tolist() == [6]
    path = tmp_path / "dgcnn-saved/encoder.json"
    record = json.loads(path.read_text())
    assert sorted(record["stop_words"]) == ["and", "saw"]
    for words in (None, "and", [3]):
        path.write_text(json.dumps({**record, "stop_words": words}))
        with pytest.raises(ModelFolderError, match=r"encoder\.json: stop_words must be a list of words"):
            taxotext.load(tmp_path / "dgcnn-saved")


def test_english_stop_words_are_those_of_scikit_learn() -> None:
    system = fitted(encoder={"stop_words": "english"}).system
    record = system._built.record
    assert {"the", "a", "we", "and", "then", "it", "was", "again", "some"} <= set(record["stop_words"])
    assert not {"cat", "dog", "time", "house"} & set(record["stop_words"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "no such file"), (b"\n \n", "holds no stop word"), (b"and\n\xff\n", ":2: is not UTF-8")],
)
def test_lists_of_stop_words_that_cannot_be_used_are_named(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "stop.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        fitted(encoder={"stop_words": str(path)})


# -- settings ------------------------------------------------------------------------------------------------------


def test_the_preset_of_the_paper_sets_what_is_known_of_it() -> None:
    def of(**given: Any) -> Any:
        return find("dgcnn").Settings.model_validate(given)

    paper, default = of(preset="paper"), of()
    assert (paper.encoder.vertices, paper.encoder.neighbours, paper.encoder.window) == (96, 10, 3)
    assert (paper.encoder.embedding_width, paper.encoder.hidden, paper.encoder.dropout) == (50, (1024, 512), 0.0)
    assert (paper.encoder.revisit, paper.encoder.stop_words, paper.loss.scale) == (True, "english", "mean")
    assert (paper.training.recursive, paper.training.epochs, paper.training.batch_size) == (5e-5, 200, 32)
    assert paper.encoder.vocabulary.punctuation == "drop"
    assert (default.encoder.revisit, default.encoder.vocabulary.punctuation) == (False, "drop")
    assert of(preset="paper", encoder={"layers": 6}).encoder.embedding_width == 50


def test_the_preset_of_the_paper_trains() -> None:
    corpus = tiny_corpus()
    values = settings(preset="paper")
    values["training"] = {"epochs": 2}
    values["encoder"] = {"embedding_width": 16, "hidden": [32]}
    classifier = Classifier("dgcnn", **values).fit(corpus, validation=corpus)
    first, second = (row["loss"] for row in classifier.manifest.metrics["history"])
    assert second < first


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        ({"vertices": 21}, "3 layers need at least 22 vertices and 6 neighbours"),
        ({"layers": 6, "vertices": 35}, "6 layers need at least 36 vertices"),
        ({"layers": 2}, r"encoder\.layers: "),
        ({"hidden": []}, r"encoder\.hidden: "),
        ({"hidden": [8, 0]}, r"encoder\.hidden\.1: input should be greater than or equal to 1"),
        ({"neighbors": 5}, r"encoder\.neighbors: unknown key. Did you mean 'neighbours'"),
    ],
)
def test_settings_that_make_no_network_are_named(encoder: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Classifier("dgcnn", encoder=encoder)
