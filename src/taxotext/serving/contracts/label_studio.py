"""A machine learning backend of Label Studio, at ``/label-studio`` or ``/label-studio/MODEL``.

Predictions are made for the first ``Choices`` or ``Taxonomy`` tag over a text. Labels that people gave come back by
webhook and are kept in a file that ``taxotext train`` reads; nothing is trained in the server.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import JSONResponse

from taxotext.serving.answers import Answer, Choice, Loaded
from taxotext.serving.contracts.labeling_config import Control, read_config
from taxotext.serving.contracts.requests import ForeignBody, StrictRoute
from taxotext.serving.limits import Refused
from taxotext.serving.models import Served
from taxotext.serving.service import Service

KEPT = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})
REMOVED = frozenset({"ANNOTATION_DELETED", "ANNOTATIONS_DELETED"})
KNOWN = KEPT | REMOVED | {"START_TRAINING"}
"""Actions that Label Studio sends to backends that learn."""
NOT_KEPT = "not kept: start the server with --feedback FILE"


class Task(ForeignBody):
    """A document of a project."""

    data: dict[str, Any]
    id: int | str | None = None


class Tasks(ForeignBody):
    """Documents to label."""

    tasks: list[Task]
    label_config: str


class Annotation(ForeignBody):
    """What a person said of a document."""

    id: int | str
    result: list[dict[str, Any]] = Field(default_factory=list)
    was_cancelled: bool = False


class Project(ForeignBody):
    """A project."""

    label_config: str = ""


class Event(ForeignBody):
    """Something that happened in a project."""

    action: str
    annotation: Annotation | None = None
    annotations: list[Annotation] = Field(default_factory=list)
    task: Task | None = None
    project: Project | None = None


def router(service: Service) -> APIRouter:
    """The addresses of this contract."""
    routes = APIRouter(route_class=StrictRoute, tags=["Label Studio"])

    async def health(name: str | None = None) -> Any:
        service.models.loaded(name)
        return {"status": "UP", "model_class": "Taxotext"}

    async def setup(body: dict[str, Any], name: str | None = None) -> Any:
        served, loaded = service.models.loaded(name)
        config = body.get("schema")
        if isinstance(config, str) and config.strip():
            read_config(config, loaded.classifier.taxonomy)
        return {"model_version": _version(served, loaded)}

    async def predict(body: Tasks, name: str | None = None) -> Any:
        served, loaded = service.models.loaded(name)
        control = read_config(body.label_config, loaded.classifier.taxonomy)
        texts = [_text(task, control) for task in body.tasks]
        used, answers = await service.answers(served.name, texts, Choice())
        if used is not loaded:  # the model was swapped in between
            control = read_config(body.label_config, used.classifier.taxonomy)
        version = _version(served, used)
        return {"results": [_prediction(control, answer, version) for answer in answers], "model_version": version}

    async def webhook(body: Event, name: str | None = None) -> JSONResponse:
        if body.action not in KNOWN:
            return JSONResponse({"status": "Unknown event"}, 200)
        if service.feedback is None and body.action in KEPT | REMOVED:
            return JSONResponse({"status": NOT_KEPT}, 201)
        if service.feedback is not None and body.action in REMOVED:
            found = [*body.annotations, *([body.annotation] if body.annotation else [])]
            await asyncio.to_thread(service.feedback.remove, [_id(one) for one in found])
        if service.feedback is not None and body.action in KEPT:
            _, loaded = service.models.loaded(name)
            await _keep(service, loaded, body)
        return JSONResponse({"status": "ok"}, 201)

    for prefix in ("/label-studio", "/label-studio/{name}"):
        routes.add_api_route(f"{prefix}/health", health, methods=["GET"], summary="Whether models answer")
        routes.add_api_route(f"{prefix}/setup", setup, methods=["POST"], summary="Connect a project")
        routes.add_api_route(f"{prefix}/predict", predict, methods=["POST"], summary="Predictions for tasks")
        routes.add_api_route(f"{prefix}/webhook", webhook, methods=["POST"], summary="Keep annotations")
    return routes


def _version(served: Served, loaded: Loaded) -> str:
    return f"{served.name}-{loaded.version[:8]}"


def _text(task: Task, control: Control) -> str:
    found = task.data.get(control.field)
    if not isinstance(found, str):
        raise Refused(
            422, f"Task {task.id}: data has no text {control.field!r}, which the labeling configuration names."
        )
    return found


def _prediction(control: Control, answer: Answer, version: str) -> dict[str, Any]:
    chosen = [(label, score) for label, score in answer.pairs() if label in control.paths]
    chosen = chosen if control.multiple else chosen[:1]
    score = sum(score for _, score in chosen) / len(chosen) if chosen else 0.0
    result = [control.region(control.value([label for label, _ in chosen]))] if chosen else []
    return {"model_version": version, "score": score, "result": result}


def _id(annotation: Annotation) -> str:
    return f"label-studio-{annotation.id}"


async def _keep(service: Service, loaded: Loaded, event: Event) -> None:
    annotation, feedback = event.annotation, service.feedback
    if annotation is None or event.task is None or event.project is None or feedback is None:
        raise Refused(422, "The event has no annotation, task and project; choose to send the payload of webhooks.")
    if annotation.was_cancelled:  # skipped: it says nothing about labels
        await asyncio.to_thread(feedback.remove, [_id(annotation)])
        return
    control = read_config(event.project.label_config, loaded.classifier.taxonomy)
    labels = control.labels(annotation.result)
    document = (_id(annotation), _text(event.task, control), labels)
    await asyncio.to_thread(feedback.keep, [document])
