"""``loss.weights_from``: class weights of the binary systems in losses of all labels."""

from __future__ import annotations

import json
import math
import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import taxotext
from models.harness import NETWORK_FILES, check_folder
from taxotext import Classifier, Corpus
from taxotext.api.runs import Chosen, identity
from taxotext.composition import parts
from taxotext.composition.class_weights import given_weights
from taxotext.data.tokens import TextTokenizer
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.labels import Taxonomy
from taxotext.models.registry import find
from tiny import tiny_corpus, tiny_fit, tiny_taxonomy

WEIGHTS = {label: float(weight) for weight, label in enumerate(tiny_taxonomy().ids, start=1)}


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def weights_of(classifier: Any) -> list[float]:
    return [float(weight) for weight in classifier.system.network.head.criterion.positive_weight]


def test_the_loss_is_weighted_as_by_hand(tmp_path: Path) -> None:
    path = written(tmp_path / "w.json", {"format": 1, "weights": {"a": 2.0, "b": 3, "elsewhere": 9}})
    settings = parts.BinaryCrossEntropySettings(weights_from=str(path))
    taxonomy = Taxonomy.from_edges([(None, "a"), (None, "b")])
    train = Corpus.from_lists(["x", "y"], [["a"], ["b"]], taxonomy=taxonomy)
    tokenizer = TextTokenizer.learn_words(["x", "y"], size=5, min_count=1)
    loss, record = parts.build("loss", settings, parts.LabelContext(taxonomy, 4, 4, tokenizer, train))
    digest = sha256(path.read_bytes()).hexdigest()
    facts = {"class_weights": "2 to 3, from w.json", "class_weights_sha256": digest}
    assert record == {"positive_weights": 2, "facts": facts}
    # Every cell is ln 2: the first document costs 2 + 1 of them, the second 1 + 3.
    value = loss(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert float(value) == pytest.approx(3.5 * math.log(2))
    only_b = loss(torch.tensor([[0.0, -1.0]]), torch.tensor([[0.0, 1.0]]))
    assert float(only_b) == pytest.approx(math.log(2) + 3 * math.log(1 + math.e))


def test_weights_are_those_of_a_file_a_model_folder_or_the_run_beside_it(tmp_path: Path) -> None:
    taxonomy, content = tiny_taxonomy(), {"format": 1, "weights": WEIGHTS, "more": "is passed over"}

    def of(path: Path, missing: float | None = None) -> dict[str, float]:
        return given_weights(str(path), missing, taxonomy)

    running = written(tmp_path / "model.run/class_weights.json", {"format": 1, "weights": {"food": 5.0}})
    with pytest.raises(ConfigError, match="has no weight of 6 labels of 7; wait for the end of the training") as caught:
        of(tmp_path / "model")
    assert set(caught.value.problems) == {repr(label) for label in WEIGHTS if label != "food"}
    assert of(tmp_path / "model", 1.0) == {**dict.fromkeys(WEIGHTS, 1.0), "food": 5.0}
    assert of(tmp_path / "model.run", 0.5) == {**dict.fromkeys(WEIGHTS, 0.5), "food": 5.0}
    written(running, content)
    (tmp_path / "model").mkdir()
    assert of(tmp_path / "model") == of(running) == WEIGHTS
    written(tmp_path / "model/class_weights.json", {"format": 1, "weights": dict.fromkeys(WEIGHTS, 7)})
    assert of(tmp_path / "model") == dict.fromkeys(WEIGHTS, 7.0), "the finished model is stronger"
    assert list(of(tmp_path / "model")) == list(taxonomy.ids)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no such file or folder; name a model of gru_att or htrans"),
        ("FOLDER", r"holds no class_weights\.json; name a model"),
        ("{", "is not valid JSON"),
        ([1], "holds no class weights"),
        ({"weights": {}}, "holds no class weights"),
        ({"format": 1, "weights": [1, 2]}, "holds no class weights"),
        ({"format": 2, "weights": {}}, "has the format 2; format 1 is read"),
        ({"format": 1, "weights": {"food": 0}}, r"weights must be numbers above 0\.\n  - 'food': 0"),
        ({"format": 1, "weights": {"food": "2"}}, "'food': '2'"),
        ({"format": 1, "weights": {"food": True}}, "'food': True"),
        ('{"format": 1, "weights": {"food": NaN}}', "'food': nan"),
        ({"format": 1, "weights": {"food": 1e300}}, "'food': 1e[+]300"),
    ],
)
def test_what_holds_no_weights_is_named(content: Any, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    if content == "FOLDER":
        path.mkdir()
    elif content is not None:
        written(path, content)
    with pytest.raises(ConfigError, match=rf"(?s)loss\.weights_from: .*{sentence}"):
        tiny_fit("kim_cnn", loss={"weights_from": str(path)})


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        ({"weights_from": "x", "positive_weight": "balanced"}, "loss: weights come from positive_weight or from"),
        ({"weights_missing": 1.0}, "loss: weights_missing says what weights_from lacks"),
        ({"weights_from": "x", "weights_missing": 0}, r"loss\.weights_missing: "),
        ({"weights_from": ""}, r"loss\.weights_from: "),
        ({"name": "zlpr", "weights_from": "x"}, r"loss\.weights_from: unknown key"),
    ],
)
def test_settings_that_contradict_each_other_are_named(loss: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Classifier("gru_att_multi", loss=loss)


def test_weights_of_binary_models_train_the_model_of_all_labels_and_stay_in_its_folder(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    binary = Classifier(
        "gru_att",
        seed=3,
        runtime={"device": "cpu", "threads": 1},
        encoder={"units": 4, "embedding_width": 8, "vocabulary": {"min_count": 1}},
        weights={"candidates": [2, 5], "rungs": [1]},
        training={"epochs": 2},
    ).fit(corpus, validation=corpus)
    binary.save(tmp_path / "binary")
    chosen = json.loads((tmp_path / "binary/class_weights.json").read_text())["weights"]
    multi = tiny_fit("gru_att_multi", loss={"weights_from": str(tmp_path / "binary")}, preset="paper")
    assert weights_of(multi) == list(chosen.values())
    assert multi.settings_().loss.scale == "mean", "the preset was lost"
    assert multi.settings_().training.monitor == "weighted_f1"
    low, high = min(chosen.values()), max(chosen.values())
    assert multi.system.facts()["class_weights"] == f"{low:g} to {high:g}, from binary"
    shutil.rmtree(tmp_path / "binary")
    loaded: Any = check_folder(multi, tmp_path, corpus, files=NETWORK_FILES)
    assert weights_of(loaded) == list(chosen.values())
    place = tmp_path / "gru_att_multi-saved"
    assert "from binary" in (place / "README.md").read_text(encoding="utf-8")
    for content, sentence in (
        ("{", "is damaged"),
        ("[]", "must be a JSON object"),
        ('{"loss": 3}', "must be a JSON object of objects"),
        ('{"loss": {"positive_weights": 1000000000000}}', "is not the number of labels"),
        ("{}", "head.criterion.positive_weight: not part of this model"),
    ):
        written(place / "parts.json", content)
        with pytest.raises(ModelFolderError, match=rf"(?s){re.escape(sentence)}.*"):
            taxotext.load(place)


def test_weights_change_what_is_learned(tmp_path: Path) -> None:
    path = written(tmp_path / "w.json", {"format": 1, "weights": dict.fromkeys(WEIGHTS, 20.0)})
    text = ["the house again"]
    plain, heavy = tiny_fit("kim_cnn"), tiny_fit("kim_cnn", loss={"weights_from": str(path)})
    same = tiny_fit("kim_cnn", loss={"positive_weight": 20.0})
    assert (heavy.predict_proba(text) > plain.predict_proba(text)).all()
    assert np.array_equal(heavy.predict_proba(text), same.predict_proba(text))
    assert plain.system.network.head.criterion.positive_weight is None
    assert "class_weights" not in plain.system.facts()


def test_a_training_is_not_resumed_with_other_weights(tmp_path: Path) -> None:
    path = written(tmp_path / "w.json", {"format": 1, "weights": WEIGHTS})
    kind, corpus = find("gru_att_multi"), tiny_corpus()

    def told(**loss: Any) -> dict[str, Any]:
        return identity(Chosen(kind, kind.Settings.model_validate({"loss": loss})), corpus, None)

    before = told(weights_from=str(path))
    assert before["class_weights"] == WEIGHTS
    assert told(weights_from=str(path)) == before
    written(path, {"format": 1, "weights": {**WEIGHTS, "food": 50}})
    assert told(weights_from=str(path)) != before
    assert "class_weights" not in told(), "trainings that were begun earlier can be resumed"
