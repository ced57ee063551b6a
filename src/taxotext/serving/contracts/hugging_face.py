"""The shape of text classification of Hugging Face's inference services, at ``/hf``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from taxotext.serving.answers import Choice
from taxotext.serving.contracts.requests import ForeignBody, StrictRoute, TopK
from taxotext.serving.service import Service


class Parameters(ForeignBody):
    """How many labels."""

    top_k: TopK | None = Field(None, description="the best labels; all when left out")


class Inputs(ForeignBody):
    """One text, or several."""

    inputs: str | list[str]
    parameters: Parameters | None = None


def router(service: Service) -> APIRouter:
    """The addresses of this contract."""
    routes = APIRouter(route_class=StrictRoute, tags=["Hugging Face"])

    @routes.post("/hf", summary="Labels of the first model")
    async def first(body: Inputs) -> Any:
        return await _labels(service, None, body)

    @routes.post("/hf/{name}", summary="Labels of a model")
    async def named(name: str, body: Inputs) -> Any:
        return await _labels(service, name, body)

    return routes


async def _labels(service: Service, name: str | None, body: Inputs) -> list[list[dict[str, Any]]]:
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    best = None if body.parameters is None else body.parameters.top_k
    known = len(service.models.loaded(name)[1].classifier.taxonomy)
    loaded, answers = await service.answers(name, texts, Choice(best or known))
    ids = loaded.classifier.taxonomy.ids
    return [[{"label": ids[label], "score": score} for label, score in answer.pairs()] for answer in answers]
