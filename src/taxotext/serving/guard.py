"""Runs before every route: token, requests of other web sites, size of bodies, headers, metrics."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taxotext.serving.limits import Limits, Refused
from taxotext.serving.metrics import Metrics

logger = logging.getLogger("taxotext.serving")

OPEN = frozenset({"/health", "/v2/health/live", "/v2/health/ready"})
"""Paths that need no token: programs that watch over servers have none."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
TOO_LARGE = "taxotext.too_large"
"""Key of a request whose body was too large."""
Refusal = Callable[[Scope, Refused], ASGIApp]
"""Gives the response of a refusal in the form of the contract that the path belongs to."""


class Guard:
    """An ASGI application around another one.

    Args:
        app: what is guarded.
        limits: size of bodies.
        metrics: where requests are counted.
        token: that requests must bring, as a bearer token or as the password of basic authentication; None: any may.
        refusal: makes responses.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, token: str | None, refusal: Refusal) -> None:
        self._app, self._limits, self._metrics, self._refusal = app, limits, metrics, refusal
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # what watches over servers may send it; uvicorn leaves the body out
            scope = {**scope, "method": "GET"}
        started, status = time.monotonic(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            refused = self._fault(scope)
            if refused is not None:
                await self._refusal(scope, refused)(scope, receive, send_with_headers)
            else:
                await self._app(scope, self._bounded(scope, receive), send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", None) or "other"
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.monotonic() - started)

    def _fault(self, scope: Scope) -> Refused | None:
        headers = Headers(scope=scope)
        if self._token is not None and scope["path"] not in OPEN and not self._knows_token(headers):
            return Refused(401, "The token is missing or wrong; send it as Authorization: Bearer TOKEN.")
        origin = headers.get("origin")
        if scope["method"] not in {"GET", "HEAD"} and origin is not None and _place(origin) != headers.get("host"):
            return Refused(403, "Pages of other web sites may not send requests to this server.")
        try:
            length = int(headers.get("content-length", "0"))
        except ValueError:
            length = 0
        return self._too_large() if length > self._limits.body_bytes else None

    def _knows_token(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        token = given.strip().encode("latin-1")  # the bytes as they were sent
        if kind.lower() == "basic":
            try:
                token = base64.b64decode(token, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif kind.lower() != "bearer":
            return False
        return hmac.compare_digest(token, self._token or b"")

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Count the bytes of a body whose length was not announced."""
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limits.body_bytes:
                scope[TOO_LARGE] = self._too_large()  # who reads the body may turn what is raised into something else
                raise scope[TOO_LARGE]
            return message

        return bounded

    def _too_large(self) -> Refused:
        return Refused(413, f"The body is larger than {self._limits.body_bytes:,} bytes; send fewer or shorter texts.")


def _place(origin: str) -> str | None:
    """``host:port`` of an origin, as the header ``Host`` writes it."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def extra_headers(refused: Refused) -> dict[str, Any]:
    """Headers that belong to a status."""
    headers = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
    if refused.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="taxotext", charset="UTF-8"'
    return headers
