"""The shapes of Hugging Face and of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from command import SAMPLE
from serving.client import Client, serving
from taxotext import read_corpus

TEXTS = list(read_corpus(SAMPLE / "test.jsonl").texts[:5])


@pytest.fixture(scope="module")
def client(sample_model: Path) -> Iterator[Client]:
    with serving(sample_model) as client:
        yield client


def test_hugging_face_gets_lists_of_labels_and_scores(client: Client, sample_model: Path) -> None:
    expected = [
        [{"label": label, "score": score} for label, score in pairs]
        for pairs in taxotext.load(sample_model).suggest(TEXTS, k=3)
    ]
    body = {"inputs": TEXTS, "parameters": {"top_k": 3, "function_to_apply": "sigmoid"}}
    assert client.post("/hf", json=body).json() == expected
    assert client.post("/hf/model", json={"inputs": TEXTS[0], "parameters": {"top_k": 3}}).json() == expected[:1]
    [every] = client.post("/hf", json={"inputs": TEXTS[0]}).json()
    assert len(every) == 46
    assert client.post("/hf", json={"inputs": []}).json() == []
    refused = client.post("/hf", json={"inputs": 3})
    assert refused.status_code == 422
    assert set(refused.json()) == {"error"}
    assert client.post("/hf/none", json={"inputs": "a"}).status_code == 404


def infer(client: Client, texts: list[str], **beside: Any) -> Any:
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    return client.post("/v2/models/model/infer", json={"inputs": [tensor], **beside})


def test_the_open_inference_protocol_gets_tensors(client: Client, sample_model: Path) -> None:
    classifier = taxotext.load(sample_model)
    found = infer(client, TEXTS, id="request-7", parameters={"top_k": 4}).json()
    assert (found["id"], found["model_name"]) == ("request-7", "model")
    labels, scores = found["outputs"]
    assert [(one["name"], one["datatype"], one["shape"]) for one in (labels, scores)] == [
        ("labels", "BYTES", [5, 4]),
        ("scores", "FP32", [5, 4]),
    ]
    expected = [pair for pairs in classifier.suggest(TEXTS, k=4) for pair in pairs]
    assert list(zip(labels["data"], scores["data"], strict=True)) == expected


def test_predicted_labels_are_filled_up_to_a_rectangle(client: Client, sample_model: Path) -> None:
    predicted = taxotext.load(sample_model).predict([*TEXTS, ""])
    labels, scores = infer(client, [*TEXTS, ""]).json()["outputs"]
    width = max(map(len, predicted))
    assert labels["shape"] == [6, width]
    rows = np.asarray(labels["data"], dtype=object).reshape(6, width).tolist()
    assert [{label for label in row if label} for row in rows] == [set(own) for own in predicted]
    assert scores["data"][-width:] == [0.0] * width


def test_outputs_can_be_chosen_and_inputs_may_be_columns(client: Client) -> None:
    tensor = {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [[text] for text in TEXTS[:2]]}
    found = client.post("/v2/models/model/infer", json={"inputs": [tensor], "outputs": [{"name": "scores"}]}).json()
    assert [one["name"] for one in found["outputs"]] == ["scores"]
    assert "id" not in found


def test_the_protocol_tells_its_state_and_refuses_what_does_not_fit(client: Client) -> None:
    for address in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/model", "/v2/models/model/ready"):
        assert client.get(address).status_code == 200
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": TEXTS[:2]}
    for change in ({"shape": [3]}, {"datatype": "FP32"}, {"data": [1, 2]}, {"shape": [-1, -2]}, {"shape": []}):
        refused = client.post("/v2/models/model/infer", json={"inputs": [{**tensor, **change}]})
        assert refused.status_code == 422
        assert set(refused.json()) == {"error"}
    assert infer(client, TEXTS, outputs=[{"name": "logits"}]).status_code == 422
    assert client.get("/v2/models/none").status_code == 404
