"""Bodies of requests, read strictly."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
TopK = Annotated[int, Field(ge=1, le=100_000)]


class Body(BaseModel):
    """A body of our own contract: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ForeignBody(BaseModel):
    """A body of another program's contract: keys that we do not use are passed over."""

    model_config = ConfigDict(extra="ignore")


class _StrictRequest(Request):
    """Refuses what Python's own reader lets through: NaN, half characters; and deep nesting without a fault of ours."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    """A route whose JSON is read by orjson."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the handler requests that read strictly."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict
