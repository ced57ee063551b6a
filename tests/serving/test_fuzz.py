"""A thousand bad bodies: no fault of the server, and it answers afterwards."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from serving.client import Call, serving

CONFIG = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"/></View>'
BODIES: dict[str, Any] = {
    "/predict": {
        **{"texts": ["a printer", "b"], "top_k": 3, "threshold": 0.2},
        **{"names": True, "explain": False, "model": "model"},
    },
    "/v1/projects/model/suggest-batch": {"documents": [{"text": "a printer", "document_id": "1"}, {"text": "b"}]},
    "/v1/projects/model/learn": [{"text": "a", "subjects": [{"uri": "wifi"}]}],
    "/label-studio/predict": {"tasks": [{"id": 1, "data": {"text": "a printer"}}], "label_config": CONFIG},
    "/label-studio/setup": {"project": "1", "schema": CONFIG},
    "/label-studio/webhook": {
        "action": "ANNOTATION_CREATED",
        "task": {"id": 1, "data": {"text": "a"}},
        "annotation": {"id": 3, "result": [{"from_name": "c", "value": {"choices": ["wifi"]}}]},
        "project": {"label_config": CONFIG},
    },
    "/hf": {"inputs": ["a printer", "b"], "parameters": {"top_k": 2}},
    "/v2/models/model/infer": {
        "id": "1",
        "parameters": {"top_k": 2},
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a printer"]}],
        "outputs": [{"name": "labels"}],
    },
}
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3.5, 1e308, -1e308, 2**70, "", "a", "\u0000", "é" * 50, "💥", "<script>", "0.5"),
    *([], {}, [[]], [None], {"a": {}}, ["x"] * 200, [{"text": "a"}], {"texts": ["a"]}, "a" * 5000),
)
KINDS = ("application/json", "application/json; charset=utf-16", "text/plain", "application/x-www-form-urlencoded", "")


def spoiled(value: Any, rng: random.Random) -> Any:
    """A value with something else at one place, or a key too much or too few."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        changed = {**value, key: spoiled(value[key], rng)}
        if rng.random() < 0.2:
            del changed[key]
        if rng.random() < 0.1:
            changed[rng.choice(("extra", "", "__class__", "ключ"))] = rng.choice(ODD)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], spoiled(value[place], rng), *value[place + 1 :]]
    return rng.choice(ODD)


def mangled(content: bytes, rng: random.Random) -> bytes:
    """Bytes cut, repeated or replaced."""
    place = rng.randrange(len(content) + 1)
    return rng.choice(
        (
            content[:place],
            content[:place] + bytes(rng.randrange(256) for _ in range(3)) + content[place:],
            content[:place] + b'\\ud800"' + content[place:],
            content + content,
            b"[" * rng.choice((10, 5000)) + content,
            content.replace(b":", b"=", 1),
        )
    )


def bad_call(address: str, body: Any, rng: random.Random) -> Call:
    content = json.dumps(spoiled(body, rng)).encode()
    if rng.random() < 0.3:
        content = mangled(content, rng)
    kind = KINDS[0] if rng.random() < 0.8 else rng.choice(KINDS)
    return "POST", address, {"content": content, "headers": {"content-type": kind} if kind else {}}


@pytest.mark.parametrize("address", BODIES)
def test_bad_bodies_are_never_a_fault_of_the_server(address: str, sample_model: Path, tmp_path: Path) -> None:
    rng = random.Random(19)
    with serving(sample_model, characters=4000, feedback=tmp_path / "feedback.jsonl") as client:
        for _ in range(1000 // 50 // len(BODIES) + 1):
            calls = [bad_call(address, BODIES[address], rng) for _ in range(50)]
            for call, response in zip(calls, client.together(calls), strict=True):
                assert response.status_code < 500, (call, response.text)
        assert client.texts("a printer", top_k=2).status_code == 200
