"""A backend of Label Studio: results for Choices and Taxonomy tags, and annotations that come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

import taxotext
from command import SAMPLE
from serving.client import Client, serving
from taxotext import Taxonomy, read_corpus
from taxotext.serving.contracts.labeling_config import read_config
from taxotext.serving.limits import Refused

TEXTS = tuple(read_corpus(SAMPLE / "test.jsonl").texts[:12])
HEAD = '<View><Text name="text" value="$body"/>'


def nested_choices(taxonomy: Taxonomy, labels: list[int]) -> str:
    return "".join(
        f"<Choice value={quoteattr(taxonomy.ids[label])}>"
        f"{nested_choices(taxonomy, taxonomy.children(label).tolist())}</Choice>"
        for label in labels
    )


def configs(taxonomy: Taxonomy) -> dict[str, str]:
    """Configurations with all labels: a list, one choice, and the taxonomy."""
    flat = "".join(f"<Choice value={quoteattr(label)}/>" for label in taxonomy.ids)
    nested = nested_choices(taxonomy, taxonomy.roots.tolist())
    return {
        "multiple": f'{HEAD}<Choices name="topics" toName="text" choice="multiple">{flat}</Choices></View>',
        "single": f'{HEAD}<Choices name="topics" toName="text">{flat}</Choices></View>',
        "taxonomy": f'{HEAD}<Taxonomy name="topics" toName="text">{nested}</Taxonomy></View>',
    }


@pytest.fixture(scope="module")
def classifier(sample_model: Path) -> taxotext.Classifier:
    return taxotext.load(sample_model)


@pytest.fixture(scope="module")
def client(sample_model: Path) -> Iterator[Client]:
    with serving(sample_model) as client:
        yield client


def predicted(client: Client, config: str, texts: tuple[str, ...] = TEXTS) -> list[dict[str, Any]]:
    tasks = [{"id": place, "data": {"body": text}} for place, text in enumerate(texts)]
    response = client.post(
        "/label-studio/model/predict", json={"tasks": tasks, "label_config": config, "project": "1.2"}
    )
    assert response.status_code == 200, response.text
    assert len(response.json()["results"]) == len(texts)
    return response.json()["results"]


def values(prediction: dict[str, Any], kind: str) -> list[Any]:
    assert {row["type"] for row in prediction["result"]} <= {kind}
    return [one for row in prediction["result"] for one in row["value"][kind]]


def test_choices_are_the_predicted_labels(client: Client, classifier: taxotext.Classifier) -> None:
    expected = classifier.predict(TEXTS)
    found = predicted(client, configs(classifier.taxonomy)["multiple"])
    assert [set(values(one, "choices")) for one in found] == [set(labels) for labels in expected]
    assert all((one["from_name"], one["to_name"]) == ("topics", "text") for row in found for one in row["result"])
    ranked = classifier.suggest(TEXTS, k=46)
    single = predicted(client, configs(classifier.taxonomy)["single"])
    assert [values(one, "choices") for one in single] == [
        [label for label, _ in pairs if label in labels][:1] for pairs, labels in zip(ranked, expected, strict=True)
    ]


def test_taxonomy_answers_are_whole_paths_from_the_root(client: Client, classifier: taxotext.Classifier) -> None:
    taxonomy = classifier.taxonomy
    found = predicted(client, configs(taxonomy)["taxonomy"])
    for one, labels in zip(found, classifier.predict(TEXTS), strict=True):
        paths = values(one, "taxonomy")
        assert {path[-1] for path in paths} == set(labels)
        for path in paths:
            places = [taxonomy.index(step) for step in path]
            assert not len(taxonomy.parents(places[0]))
            assert all(above in taxonomy.parents(below) for above, below in pairwise(places))


def test_a_text_without_labels_has_an_empty_result(client: Client, classifier: taxotext.Classifier) -> None:
    [found] = predicted(client, configs(classifier.taxonomy)["multiple"], ("",))
    assert (found["result"], found["score"]) == ([], 0.0)


def test_choices_are_found_by_id_name_and_alias_and_by_what_stands_above() -> None:
    taxonomy = Taxonomy.from_edges(
        [(None, "a"), (None, "b"), ("a", "a1"), ("b", "b1")], names={"a": "Animals", "a1": "Other", "b1": "Other"}
    )
    control = read_config(
        f"""{HEAD}<Taxonomy name="t" toName="text">
        <Choice value="Animals"><Choice value="Other"/></Choice>
        <Choice value="Buildings" alias="b"><Choice value="Other"/><Choice value="New"/></Choice></Taxonomy></View>""",
        taxonomy,
    )
    assert control.paths == {
        taxonomy.index("a"): [("Animals",)],
        taxonomy.index("a1"): [("Animals", "Other")],
        taxonomy.index("b"): [("b",)],
        taxonomy.index("b1"): [("b", "Other")],
    }
    result = [
        control.region([["Animals", "Other"], ["b", "New"]]),
        {"from_name": "other", "value": {"taxonomy": [["x"]]}},
    ]
    assert control.labels(result) == ["a1", "New"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("<View>", "is not valid XML"),
        (f"{HEAD}</View>", "has no Choices or Taxonomy tag"),
        ('<View><Choices name="c" toName="image"><Choice value="a"/></Choices></View>', "has no Choices"),
        (f'{HEAD}<Choices name="c" toName="text"><Choice value="x"/></Choices></View>', "None of the 1 choices"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><View>&a;</View>', "is not valid XML"),
    ],
)
def test_unusable_configurations_are_refused(client: Client, config: str, said: str) -> None:
    body = {"tasks": [{"data": {"body": "a"}}], "label_config": config}
    for address, content in (("predict", body), ("setup", {"project": "1", "schema": config})):
        response = client.post(f"/label-studio/{address}", json=content)
        assert response.status_code == 422
        assert said in response.json()["detail"]
    with pytest.raises(Refused):
        read_config(config, Taxonomy.flat(["a"]))


def test_a_task_without_the_text_is_refused(client: Client, classifier: taxotext.Classifier) -> None:
    body = {"tasks": [{"id": 7, "data": {"title": "a"}}], "label_config": configs(classifier.taxonomy)["single"]}
    response = client.post("/label-studio/predict", json=body)
    assert response.status_code == 422
    assert "Task 7: data has no text 'body'" in response.json()["detail"]


def test_health_setup_and_unknown_events(client: Client, classifier: taxotext.Classifier) -> None:
    assert client.get("/label-studio/health").json()["status"] == "UP"
    assert client.get("/label-studio/model/health").status_code == 200
    assert client.get("/label-studio/none/health").status_code == 404
    schema = configs(classifier.taxonomy)["taxonomy"]
    version = client.post("/label-studio/setup", json={"project": "1", "schema": schema}).json()["model_version"]
    assert version.startswith("model-")
    assert client.post("/label-studio/webhook", json={"action": "TASKS_CREATED"}).status_code == 200
    kept = client.post("/label-studio/webhook", json=event("ANNOTATION_CREATED", 1, [["wifi"]], schema))
    assert kept.status_code == 201
    assert "--feedback" in kept.json()["status"]


def event(action: str, id: int, value: list[Any], config: str, **annotation: Any) -> dict[str, Any]:
    result = [{"from_name": "topics", "to_name": "text", "type": "taxonomy", "value": {"taxonomy": value}}]
    return {
        "action": action,
        "project": {"id": 3, "label_config": config},
        "task": {"id": 5, "data": {"body": f"text of {id}"}},
        "annotation": {"id": id, "result": result, **annotation},
    }


def test_annotations_are_kept_changed_and_removed(
    sample_model: Path, classifier: taxotext.Classifier, tmp_path: Path
) -> None:
    config, path = configs(classifier.taxonomy)["taxonomy"], tmp_path / "feedback.jsonl"

    def rows() -> dict[str, list[str]]:
        return {row["id"]: row["labels"] for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}

    with serving(sample_model, feedback=path) as client:

        def send(content: dict[str, Any]) -> None:
            assert client.post("/label-studio/webhook", json=content).status_code == 201

        send(event("ANNOTATION_CREATED", 1, [["network", "wifi"]], config))
        send(event("ANNOTATION_CREATED", 2, [["network", "wifi"], ["devices", "printing"]], config))
        assert rows() == {"label-studio-1": ["wifi"], "label-studio-2": ["wifi", "printing"]}
        send(event("ANNOTATION_UPDATED", 1, [["devices"]], config))
        send(event("ANNOTATION_CREATED", 3, [], config, was_cancelled=True))
        assert rows() == {"label-studio-2": ["wifi", "printing"], "label-studio-1": ["devices"]}
        send({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 2}]})
        assert rows() == {"label-studio-1": ["devices"]}
        bad = client.post("/label-studio/webhook", json={"action": "ANNOTATION_CREATED", "annotation": {"id": 1}})
        assert bad.status_code == 422
    with serving(sample_model, feedback=path) as client:  # a new server knows the old lines
        client.post("/label-studio/webhook", json=event("ANNOTATION_UPDATED", 1, [["network", "wifi"]], config))
        assert rows() == {"label-studio-1": ["wifi"]}
    assert read_corpus(path, classifier.taxonomy).texts == ("text of 1",)


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["multiple", "single", "taxonomy"])
def test_predictions_are_valid_for_label_studio(client: Client, classifier: taxotext.Classifier, kind: str) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    config = configs(classifier.taxonomy)[kind]
    checked = interface.LabelInterface(config)
    found = predicted(client, config)
    assert any(one["result"] for one in found)
    for one in found:
        assert checked.validate_prediction(one, return_errors=True) == []
    spoiled = {**found[0], "result": [{**found[0]["result"][0], "from_name": "none"}]}
    assert checked.validate_prediction(spoiled, return_errors=True) != []
