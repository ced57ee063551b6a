"""The contract of Taxotext: fields, status codes, and answers that are those of the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import taxotext
from command import SAMPLE, Command
from serving.client import Client, serving
from taxotext import read_corpus

TEXTS = tuple(read_corpus(SAMPLE / "test.jsonl").texts[:20])


@pytest.fixture(scope="module")
def client(sample_model: Path) -> Iterator[Client]:
    with serving(
        sample_model, f"second={sample_model}", request_texts=50, characters=2000, explained_texts=2, body_bytes=60_000
    ) as client:
        yield client


def test_labels_are_those_that_predict_writes(client: Client, sample_model: Path, command: Command) -> None:
    stdin = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
    for options, beside in (
        ([], {}),
        (["--top-k", "4"], {"top_k": 4}),
        (["--threshold", "0.3"], {"threshold": 0.3}),
    ):
        written = command("predict", sample_model, "-", *options, stdin=stdin).ok().lines
        answered = client.texts(*TEXTS, **beside)
        assert answered.status_code == 200
        assert answered.json()["model"] == "model"
        for line, result in zip(written, answered.json()["results"], strict=True):
            assert {label["id"]: label["score"] for label in result["labels"]} == line["scores"]


def test_single_requests_at_once_get_what_they_get_one_by_one(client: Client) -> None:
    calls = [("POST", "/predict", {"json": {"texts": [text], "top_k": 3}}) for text in TEXTS * 5]
    together = [response.json() for response in client.together(calls)]
    assert together == [client.texts(text, top_k=3).json() for text in TEXTS] * 5


def test_labels_come_with_names_and_whether_they_are_predicted(client: Client, sample_model: Path) -> None:
    classifier = taxotext.load(sample_model)
    [result] = client.texts(TEXTS[0], top_k=50).json()["results"]
    [predicted] = classifier.predict([TEXTS[0]])
    assert {label["id"] for label in result["labels"] if label["predicted"]} == set(predicted)
    assert len(result["labels"]) == 46
    assert set(result["labels"][0]) == {"id", "name", "score", "predicted"}
    [nameless] = client.texts(TEXTS[0], names=False).json()["results"]
    assert set(nameless["labels"][0]) == {"id", "score", "predicted"}


def test_an_empty_text_has_no_labels_and_a_note(client: Client) -> None:
    results = client.texts("", TEXTS[0], " \n", top_k=3).json()["results"]
    assert [len(result["labels"]) for result in results] == [0, 3, 0]
    assert [result.get("note") for result in results] == ["the text is empty", None, "the text is empty"]


def test_an_explanation_is_that_of_explain(client: Client, sample_model: Path) -> None:
    [label] = client.texts(TEXTS[0], top_k=1).json()["results"][0]["labels"]
    [result] = client.texts(TEXTS[0], explain=[label["id"]]).json()["results"]
    [expected] = taxotext.load(sample_model).explain([TEXTS[0]], [label["id"]])
    assert result["explanation"] == expected.to_dict()
    both = client.texts(TEXTS[1], "", top_k=2, explain=True).json()["results"]
    assert [row["id"] for row in both[0]["explanation"]["labels"]] == [row["id"] for row in both[0]["labels"]]
    assert both[1]["explanation"] is None


def test_models_are_listed_and_described(client: Client, sample_model: Path) -> None:
    models = client.get("/models").json()["models"]
    assert [(one["name"], one["state"], one["system"], one["labels"]) for one in models] == [
        ("model", "ready", "linear", 46),
        ("second", "ready", "linear", 46),
    ]
    classifier = taxotext.load(sample_model)
    found = client.get("/models/second").json()
    assert found["metrics"] == json.loads((sample_model / "metrics.json").read_text())
    assert found["decoding"] == classifier.decoding.to_dict()
    assert found["card"].startswith("---\nlibrary_name: taxotext")
    assert client.get(found["taxonomy"]).json() == classifier.taxonomy.to_dict()
    assert client.texts("a", model="second").json()["model"] == "second"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "texts: field required"),
        ({"texts": []}, 422, "texts: list should have at least 1 item"),
        ({"texts": "a"}, 422, "texts: input should be a valid list"),
        ({"texts": ["a", 3]}, 422, "texts.1: input should be a valid string"),
        ({"texts": ["a"], "topk": 3}, 422, "topk: extra inputs are not permitted"),
        ({"texts": ["a"], "top_k": 0}, 422, "top_k: input should be greater than or equal to 1"),
        ({"texts": ["a"], "threshold": 1.5}, 422, "threshold: input should be less than or equal to 1"),
        ({"texts": ["a"], "threshold": "0.5"}, 422, "threshold: input should be a valid number"),
        (
            {"texts": ["a"], "explain": ["wfii"]},
            422,
            "Unknown label 'wfii'. Did you mean 'wifi'? GET /models/model/tax",
        ),
        ({"texts": ["a"], "model": "secnd"}, 404, "Did you mean 'second'?"),
        ({"texts": ["a"] * 51}, 413, "send 50 at most"),
        ({"texts": ["a", "b" * 2001]}, 413, "Text 1 has 2,001 characters; send 2,000 at most."),
        ({"texts": ["a"] * 3, "explain": True}, 413, "explain takes 2 texts at most"),
        ({"texts": ["a" * 61_000]}, 413, "60,000 bytes"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(client: Client, body: object, status: int, said: str) -> None:
    response = client.post("/predict", json=body)
    assert response.status_code == status
    assert said in response.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b'{"texts": ["\\ud800"]}', "application/json"),
        (b'{"texts": ["a"], "threshold": NaN}', "application/json"),
        (b'{"texts": ' + b"[" * 3000 + b"]" * 3000 + b"}", "application/json"),
        (b'{"texts": ["\xff"]}', "application/json"),
        (b'{"texts": ["a"]}', "text/plain"),
        (b"", "application/json"),
    ],
)
def test_a_body_that_is_no_json_is_refused(client: Client, content: bytes, kind: str) -> None:
    response = client.post("/predict", content=content, headers={"content-type": kind})
    assert response.status_code == 422
    assert isinstance(response.json()["detail"], str)


def test_json_that_is_sent_as_something_else_needs_its_header(client: Client) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain"):  # the first is that of curl
        said = client.post("/predict", content=b'{"texts": ["a"]}', headers={"content-type": kind}).json()["detail"]
        assert said == "Send JSON, with the header Content-Type: application/json."
        sound = {"content-type": said.partition("Content-Type: ")[2].rstrip(".")}
        assert client.post("/predict", content=b'{"texts": ["a"]}', headers=sound).status_code == 200


def test_unknown_addresses_and_methods_are_refused(client: Client) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/models/third").status_code == 404
    assert client.get("/predict").status_code == 405
    assert "openapi.json" in client.get("/predict").json()["detail"]


def test_nothing_is_answered_before_the_models_are_read(sample_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from taxotext.serving import models

    may_read = threading.Event()
    real = models.load

    def slow(*given: object, **beside: object) -> object:
        assert may_read.wait(30)
        return real(*given, **beside)

    monkeypatch.setattr(models, "load", slow)
    with serving(sample_model, wait=False) as client:
        health, refused = client.get("/health"), client.texts("a")
        assert (health.status_code, health.json()["status"]) == (503, "LOADING")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert client.get("/models").json()["models"] == [{"name": "model", "state": "loading"}]
        may_read.set()
        client.until(lambda: client.get("/health").status_code == 200)
        assert client.texts("a").status_code == 200


def test_openapi_describes_the_contract_with_examples(client: Client) -> None:
    found = client.get("/openapi.json").json()
    assert {"/predict", "/models", "/models/{name}", "/health", "/metrics"} <= set(found["paths"])
    body = found["components"]["schemas"]["PredictBody"]
    assert client.post("/predict", json=body["examples"][0]).status_code == 200


def test_figures_count_requests_and_texts(client: Client) -> None:
    def figure(line: str) -> float:
        rows = [row for row in client.get("/metrics").text.splitlines() if row.startswith(line)]
        return float(rows[0].split()[-1]) if rows else 0.0

    before = (
        figure('taxotext_texts_total{model="second"}'),
        figure('taxotext_requests_total{route="/predict",status="200"}'),
    )
    client.texts("a", "b", "c", model="second")
    after = (
        figure('taxotext_texts_total{model="second"}'),
        figure('taxotext_requests_total{route="/predict",status="200"}'),
    )
    assert (after[0] - before[0], after[1] - before[1]) == (3, 1)
    assert figure("taxotext_queue_texts") == 0
    assert figure('taxotext_requests_total{route="/predict",status="422"}') >= 0
