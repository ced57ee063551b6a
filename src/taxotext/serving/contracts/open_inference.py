"""The Open Inference Protocol, version 2 (KServe, Triton, MLServer), over HTTP and JSON, at ``/v2``.

Texts go in as one BYTES tensor of n elements. Out come ``labels`` (BYTES) and ``scores`` (FP32) of shape (n, k), the
best first: k is the parameter ``top_k``, or the largest number of labels that the model predicts for one of the texts.
Where a text has fewer, labels are empty and scores 0.
"""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import JSONResponse

from taxotext import __version__
from taxotext.serving.answers import Answer, Choice, Loaded
from taxotext.serving.contracts.requests import ForeignBody, StrictRoute, TopK
from taxotext.serving.limits import Refused
from taxotext.serving.service import Service

OUTPUTS = {"labels": "BYTES", "scores": "FP32"}


class Tensor(ForeignBody):
    """Texts."""

    name: str
    shape: list[int]
    datatype: str
    data: list[str] | list[list[str]]


class Parameters(ForeignBody):
    """How many labels."""

    top_k: TopK | None = Field(None, description="the best labels; else those that the model predicts")


class Wanted(ForeignBody):
    """An output that is asked for."""

    name: str


class Inference(ForeignBody):
    """A request."""

    id: str | None = None
    parameters: Parameters | None = None
    inputs: list[Tensor] = Field(min_length=1, max_length=1)
    outputs: list[Wanted] | None = None


def router(service: Service) -> APIRouter:
    """The addresses of this contract."""
    routes = APIRouter(prefix="/v2", route_class=StrictRoute, tags=["Open Inference Protocol"])

    @routes.get("", summary="Name and version")
    async def server() -> Any:
        return {"name": "taxotext", "version": __version__, "extensions": []}

    @routes.get("/health/live", summary="200: the server runs")
    async def live() -> Any:
        return {"live": True}

    @routes.get("/health/ready", summary="200: all models answer")
    async def ready() -> JSONResponse:
        return JSONResponse({"ready": service.models.ready}, 200 if service.models.ready else 503)

    @routes.get("/models/{name}", summary="Inputs and outputs of a model")
    async def metadata(name: str) -> Any:
        served, loaded = service.models.loaded(name)
        return {
            "name": served.name,
            "versions": [loaded.version[:8]],
            "platform": "taxotext",
            "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
            "outputs": [{"name": name, "datatype": kind, "shape": [-1, -1]} for name, kind in OUTPUTS.items()],
        }

    @routes.get("/models/{name}/ready", summary="200: the model answers")
    async def model_ready(name: str) -> JSONResponse:
        there = service.models.served(name).current is not None
        return JSONResponse({"name": name, "ready": there}, 200 if there else 503)

    @routes.post("/models/{name}/infer", summary="Labels of texts")
    async def infer(name: str, body: Inference) -> Any:
        texts, wanted = _texts(body.inputs[0]), _wanted(body.outputs)
        best = None if body.parameters is None else body.parameters.top_k
        loaded, answers = await service.answers(name, texts, Choice(best))
        tensors = _tensors(loaded, answers, best)
        found: dict[str, Any] = {"model_name": name, "model_version": loaded.version[:8]}
        if body.id is not None:
            found["id"] = body.id
        return {**found, "outputs": [tensors[one] for one in wanted]}

    return routes


def _texts(tensor: Tensor) -> list[str]:
    if tensor.datatype != "BYTES":
        raise Refused(422, f"inputs.0: datatype is {tensor.datatype[:20]!r}; texts are BYTES.")
    texts: list[str] = []
    for row in tensor.data:
        texts += [row] if isinstance(row, str) else row
    if math.prod(tensor.shape) != len(texts) or not tensor.shape or any(size < 0 for size in tensor.shape):
        raise Refused(422, f"inputs.0: shape is {tensor.shape[:5]} and data has {len(texts)} texts; they must fit.")
    return texts


def _wanted(outputs: list[Wanted] | None) -> list[str]:
    names = list(OUTPUTS) if outputs is None else [one.name for one in outputs]
    unknown = next((name for name in names if name not in OUTPUTS), None)
    if unknown is not None:
        raise Refused(422, f"outputs: there is no {unknown[:50]!r}; there are {' and '.join(OUTPUTS)}.")
    return names


def _tensors(loaded: Loaded, answers: list[Answer], best: int | None) -> dict[str, dict[str, Any]]:
    ids = loaded.classifier.taxonomy.ids
    width = max((len(answer.labels) for answer in answers), default=0)
    width = width if best is None else min(best, len(ids))
    labels: list[str] = []
    scores: list[float] = []
    for answer in answers:
        empty = width - len(answer.labels)
        labels += [*(ids[label] for label in answer.labels.tolist()), *[""] * empty]
        scores += [*answer.scores.tolist(), *[0.0] * empty]
    shape = [len(answers), width]
    values: dict[str, list[Any]] = {"labels": labels, "scores": scores}
    return {
        name: {"name": name, "datatype": kind, "shape": shape, "data": values[name]} for name, kind in OUTPUTS.items()
    }
