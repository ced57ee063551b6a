"""All contracts as one ASGI application, and their errors in the form of each."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from taxotext import __version__
from taxotext.serving import contracts
from taxotext.serving.guard import TOO_LARGE, Guard, extra_headers
from taxotext.serving.limits import Refused
from taxotext.serving.service import Service

logger = logging.getLogger("taxotext.serving")

DESCRIPTION = "Labels of texts by models of Taxotext. Scores are probabilities after calibration and consistency rule."


class JsonResponse(Response):
    """JSON by orjson; what is no valid text (half a character of an address) is escaped."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError:
            return json.dumps(content).encode()


def build_app(service: Service, *, token: str | None = None, on_failure: Callable[[], None] = lambda: None) -> ASGIApp:
    """Return the application; it reads the models when it is started.

    Args:
        service: what is asked.
        token: see :class:`~taxotext.serving.guard.Guard`.
        on_failure: called when a model cannot be read at the start.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.queue.start()
        service.models.start(on_failure)
        try:
            yield
        finally:
            service.models.close()
            service.queue.close()

    app = FastAPI(
        title="Taxotext",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        default_response_class=JsonResponse,
    )
    for contract in contracts.ALL:
        app.include_router(contract.router(service))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    return Guard(app, service.limits, service.metrics, token, lambda scope, refused: _response(scope, refused))


def _response(scope: Scope, refused: Refused) -> Response:
    """The refusal in the form of the contract that the path belongs to."""
    path, sentence = scope["path"], refused.sentence
    headers = extra_headers(refused)
    if path.startswith("/v1/"):
        status = 400 if refused.status == 422 else refused.status  # as Annif says it
        problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": sentence}
        return JsonResponse(problem, status, headers, media_type="application/problem+json")
    content = {"error" if path.startswith(("/v2/", "/hf")) else "detail": sentence}
    return JsonResponse(content, refused.status, headers)


async def _refused(request: Request, error: Exception) -> Response:
    return _response(request.scope, error if isinstance(error, Refused) else Refused(500, str(error)))


async def _invalid(request: Request, error: Exception) -> Response:
    """One sentence for each field; values are not repeated, they may be whole texts."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    if "json" not in request.headers.get("content-type", "") and any(one["loc"] == ("body",) for one in found):
        return _response(request.scope, Refused(422, "Send JSON, with the header Content-Type: application/json."))
    return _response(request.scope, Refused(422, " ".join(_sentence(one) for one in found)))


def _sentence(one: dict[str, Any]) -> str:
    where, *path = one["loc"]
    if one["type"] == "json_invalid":
        return f"The body is not valid JSON ({one['ctx']['error']}, character {path[0]})."
    place = ".".join(map(str, path)) or "The body"
    message = str(one["msg"])
    return f"{place}: {message[:1].lower() + message[1:]}{'' if where == 'body' else f' (in the {where})'}."


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return _response(request.scope, Refused(404, "There is nothing at this address; /openapi.json lists all."))
    if status == 405:
        return _response(request.scope, Refused(405, f"{request.method} is not possible here; see /openapi.json."))
    if TOO_LARGE in request.scope:
        return _response(request.scope, request.scope[TOO_LARGE])
    if status == 400:
        return _response(request.scope, Refused(422, "The body cannot be read; see /openapi.json for its form."))
    return _response(request.scope, Refused(status, f"{HTTPStatus(status).phrase}."))


async def _failed(request: Request, error: Exception) -> Response:
    return _response(request.scope, Refused(500, "An error inside the server, not yours; its log says more."))
