"""A thousand bad bodies: no fault of the server, and it answers afterwards."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from serving.client import Call, serving

BODIES: dict[str, dict[str, Any]] = {
    "/predict": {
        "texts": ["a printer", "b"],
        "top_k": 3,
        "threshold": 0.2,
        "names": True,
        "explain": False,
        "model": "model",
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
def test_bad_bodies_are_never_a_fault_of_the_server(address: str, sample_model: Path) -> None:
    rng = random.Random(19)
    count = 1000 // len(BODIES) + 1
    with serving(sample_model, characters=4000) as client:
        for _ in range(count // 50 + 1):
            calls = [bad_call(address, BODIES[address], rng) for _ in range(50)]
            for call, response in zip(calls, client.together(calls), strict=True):
                assert response.status_code < 500, (call, response.text)
        assert client.texts("a printer", top_k=2).status_code == 200
