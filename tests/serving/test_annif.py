"""The contract of Annif: its fields, its errors, and the answers of the Python interface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import taxotext
from command import SAMPLE
from serving.client import Client, serving
from taxotext import Classifier, Corpus, Taxonomy, read_corpus

TEXTS = tuple(read_corpus(SAMPLE / "test.jsonl").texts[:6])
SUGGEST, BATCH, LEARN = (f"/v1/projects/model/{verb}" for verb in ("suggest", "suggest-batch", "learn"))


@pytest.fixture(scope="module")
def client(sample_model: Path) -> Iterator[Client]:
    with serving(sample_model, characters=3000) as client:
        yield client


def test_models_are_projects_and_vocabularies(client: Client) -> None:
    assert set(client.get("/v1/").json()) == {"title", "version"}
    vocabulary = {"vocab_id": "model", "languages": ["und"], "size": 46, "loaded": True}
    assert client.get("/v1/vocabs").json() == {"vocabs": [vocabulary]}
    [project] = client.get("/v1/projects").json()["projects"]
    assert project == client.get("/v1/projects/model").json()
    assert (project["project_id"], project["is_trained"], project["vocab"]) == ("model", True, vocabulary)
    assert project["backend"] == {"backend_id": "linear"}


def test_a_text_gets_its_best_labels(client: Client, sample_model: Path) -> None:
    expected = taxotext.load(sample_model).suggest(TEXTS, k=10)
    for text, pairs in zip(TEXTS, expected, strict=True):
        form = {"text": text, "metadata_title": "nothing", "language": "en"}
        results = client.post(SUGGEST, data=form).json()["results"]
        assert [(row["uri"], row["score"]) for row in results] == [pair for pair in pairs if pair[1] > 0]
        assert set(results[0]) == {"uri", "label", "notation", "score"}


def test_notations_come_with_the_labels(tmp_path: Path) -> None:
    entries = [{"id": "urn:a", "name": "A", "parents": [], "notation": "1.2"}, {"id": "urn:b", "parents": []}]
    texts = ["apple plum", "wheel engine"] * 6
    corpus = Corpus.from_lists(texts, [["urn:a"], ["urn:b"]] * 6, Taxonomy.from_dict({"labels": entries}))
    Classifier("linear").fit(corpus).save(tmp_path / "model")
    with serving(tmp_path / "model") as client:
        results = client.post(SUGGEST, data={"text": "apple"}).json()["results"]
        [own] = client.post("/predict", json={"texts": ["apple"], "top_k": 2}).json()["results"]
    assert {row["uri"]: row["notation"] for row in results} == {"urn:a": "1.2", "urn:b": None}
    assert {row["id"]: row["notation"] for row in own["labels"]} == {"urn:a": "1.2", "urn:b": None}


def test_limit_and_threshold_act_as_in_annif(client: Client) -> None:
    def scores(**form: object) -> list[float]:
        response = client.post(SUGGEST, data={"text": TEXTS[0], **form})
        assert response.status_code == 200
        return [row["score"] for row in response.json()["results"]]

    every = scores(limit=46)
    assert scores(limit=3) == every[:3]
    assert scores(limit=0) == []
    assert scores(limit=46, threshold=every[4]) == every[:5]  # a score that equals the threshold stays


def test_a_batch_is_answered_in_order_with_its_ids(client: Client) -> None:
    documents = [{"text": text, "document_id": str(place)} for place, text in enumerate(TEXTS)] + [{"text": ""}]
    found = client.post(f"{BATCH}?limit=2&threshold=0.01", json={"documents": documents}).json()
    assert [row["document_id"] for row in found] == ["0", "1", "2", "3", "4", "5", None]
    single = [client.post(SUGGEST, data={"text": text, "limit": 2, "threshold": 0.01}).json() for text in TEXTS]
    assert [{"results": row["results"]} for row in found] == [*single, {"results": []}]


@pytest.mark.parametrize(
    ("address", "beside", "status"),
    [
        ("/v1/projects/none/suggest", {"data": {"text": "a"}}, 404),
        (SUGGEST, {"data": {"limit": "3"}}, 400),
        (SUGGEST, {"data": {"text": "a", "limit": "-1"}}, 400),
        (SUGGEST, {"data": {"text": "a", "threshold": "2"}}, 400),
        (SUGGEST, {"data": {"text": "a", "threshold": "nan"}}, 400),
        (SUGGEST, {"data": {"text": "a" * 3001}}, 413),
        (BATCH, {"json": {"documents": [{"text": "a"}] * 33}}, 400),
        (BATCH, {"json": [{"text": "a"}]}, 400),
        (LEARN, {"json": [{"text": "a", "subjects": [{"uri": "wifi"}]}]}, 403),
    ],
)
def test_errors_are_problems(client: Client, address: str, beside: dict[str, object], status: int) -> None:
    response = client.post(address, **beside)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status


def test_documents_to_learn_from_are_kept_for_a_training(sample_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    with serving(sample_model, feedback=path) as client:
        documents = [{"text": f"text {place}", "subjects": [{"uri": "wifi"}, {"uri": "network"}]} for place in range(2)]
        response = client.post(LEARN, json=documents)
        assert (response.status_code, response.content) == (204, b"")
        assert client.post(LEARN, json=documents[:1]).status_code == 204
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["text 0", "text 1", "text 0"]
    corpus = read_corpus(path, taxotext.load(sample_model).taxonomy)
    assert len(corpus.texts) == 3
