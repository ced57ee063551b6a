"""The token, other web sites, bodies without a length, headers, and logs without texts."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serving.client import serving
from taxotext.serving import queue as queues


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


def test_a_token_is_asked_for_everywhere_but_where_servers_are_watched(sample_model: Path) -> None:
    with serving(sample_model, token="grün:1") as client:
        for address in ("/", "/models", "/metrics", "/openapi.json", "/nowhere"):
            refused = client.get(address)
            assert refused.status_code == 401, address
            assert refused.headers["www-authenticate"].startswith("Basic")
        assert client.texts("a").status_code == 401
        for wrong in ("Bearer other", "Bearer", "Basic ***", basic("other"), "Digest grün:1".encode()):
            assert client.get("/models", headers={"authorization": wrong}).status_code == 401
        for right in ("Bearer grün:1".encode(), basic("grün:1")):
            assert client.get("/models", headers={"authorization": right}).status_code == 200
        assert client.get("/health").status_code == 200


def test_pages_of_other_sites_may_not_ask(sample_model: Path) -> None:
    with serving(sample_model) as client:
        for origin, status in (
            ("http://testserver", 200),
            ("https://evil.example", 403),
            ("null", 403),
            ("http://[", 403),
        ):
            assert client.post("/predict", json={"texts": ["a"]}, headers={"origin": origin}).status_code == status


def test_a_body_of_unknown_length_is_bounded_too(sample_model: Path) -> None:
    async def body(size: int) -> AsyncIterator[bytes]:
        yield b'{"texts": ["'
        for _ in range(size):
            yield b"a" * 1000
        yield b'"]}'

    with serving(sample_model, body_bytes=10_000) as client:
        headers = {"content-type": "application/json"}
        assert client.post("/predict", content=body(5), headers=headers).status_code == 200
        refused = client.post("/predict", content=body(50), headers=headers)
        assert refused.status_code == 413
        assert "10,000 bytes" in refused.json()["detail"]


def test_answers_forbid_foreign_content(sample_model: Path) -> None:
    with serving(sample_model) as client:
        for address in ("/", "/models", "/nowhere"):
            headers = client.get(address).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"


def test_no_text_reaches_the_log(
    sample_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> None:
        raise ZeroDivisionError("it fails")

    with serving(sample_model) as client, caplog.at_level(logging.DEBUG, "taxotext"):
        client.texts("my secret")
        client.texts("my secret", "", explain=["nolabel"])
        monkeypatch.setattr(queues, "answers", failing)
        assert client.texts("my secret").status_code == 500
    assert "Scoring failed: ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text
