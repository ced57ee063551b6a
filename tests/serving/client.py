"""A server inside the test process: its ASGI application, asked by httpx, without a socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from taxotext.serving.app import build_app
from taxotext.serving.feedback import Feedback
from taxotext.serving.limits import Limits
from taxotext.serving.metrics import Metrics
from taxotext.serving.models import Models
from taxotext.serving.service import Service

Call = tuple[str, str, dict[str, Any]]
"""Method, address, and what httpx takes beside."""


class Client:
    """Sends requests to an application, one by one or all at once."""

    def __init__(self, app: Any, service: Service) -> None:
        self.service = service
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._app = app
        self._told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._said: list[str] = []
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=60)

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def start(self) -> None:
        async def say(message: dict[str, str]) -> None:
            self._said.append(message["type"])

        async def begin() -> None:
            self._lifespan = asyncio.ensure_future(self._app({"type": "lifespan"}, self._told.get, say))
            await self._told.put({"type": "lifespan.startup"})

        self.run(begin())
        self.until(lambda: "lifespan.startup.complete" in self._said)

    def stop(self) -> None:
        async def end() -> None:
            await self._told.put({"type": "lifespan.shutdown"})
            await self._lifespan
            await self._http.aclose()

        self.run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def until(self, happened: Any, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < end, "nothing happened"
            time.sleep(0.005)

    def get(self, address: str, **beside: Any) -> httpx.Response:
        return self.run(self._http.get(address, **beside))

    def post(self, address: str, **beside: Any) -> httpx.Response:
        return self.run(self._http.post(address, **beside))

    def together(self, calls: Sequence[Call]) -> list[httpx.Response]:
        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(*(self._http.request(how, where, **beside) for how, where, beside in calls))

        return self.run(all_of_them())

    def texts(self, *texts: str, **beside: Any) -> httpx.Response:
        return self.post("/predict", json={"texts": list(texts), **beside})


@contextmanager
def serving(
    *given: Path | str,
    token: str | None = None,
    feedback: Path | None = None,
    watch: float | None = None,
    wait: bool = True,
    **limits: Any,
) -> Iterator[Client]:
    """Serve models; ``wait``: until all are read."""
    metrics = Metrics()
    models = Models([str(one) for one in given], {"threads": 1}, metrics, watch)
    kept = None if feedback is None else Feedback(feedback)
    service = Service(models, Limits(**limits), metrics, kept)
    client = Client(build_app(service, token=token), service)
    client.start()
    try:
        if wait:
            client.until(lambda: models.ready or models.failure is not None)
        yield client
    finally:
        client.stop()
