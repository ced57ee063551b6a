"""The REST interface of Annif, version 1, at ``/v1``: models are its projects.

The address of a label is its id, so that an Annif project with ``backend=http`` finds it in a vocabulary of the same
addresses. Source: ``annif/openapi/annif.yaml`` of Annif 1.3.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Form, Query
from pydantic import Field
from starlette.responses import Response

from taxotext import __version__
from taxotext.serving.answers import NOTHING, Answer, Choice, Loaded
from taxotext.serving.contracts.requests import ForeignBody, StrictRoute, Threshold
from taxotext.serving.limits import Refused
from taxotext.serving.models import Served
from taxotext.serving.service import Service

LANGUAGE = "und"
"""Names of labels have a language, but a taxonomy does not say which."""
MOST_DOCUMENTS = 32
Limit = Annotated[int, Field(ge=0, le=100_000)]


class Document(ForeignBody):
    """One of a batch."""

    text: str
    document_id: str | None = None


class Batch(ForeignBody):
    """Documents to label."""

    documents: list[Document]


class Subject(ForeignBody):
    """A label."""

    uri: str


class IndexedDocument(ForeignBody):
    """A document with the labels that a person gave it."""

    text: str
    subjects: list[Subject]


def router(service: Service) -> APIRouter:
    """The addresses of this contract."""
    routes = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["Annif"])

    @routes.get("/", summary="Name and version")
    async def info() -> Any:
        return {"title": "Taxotext, REST API of Annif", "version": __version__}

    @routes.get("/vocabs", summary="The label sets of all models")
    async def vocabs() -> Any:
        return {"vocabs": [_vocabulary(served) for served in service.models.all]}

    @routes.get("/projects", summary="All models")
    async def projects() -> Any:
        return {"projects": [_project(served) for served in service.models.all]}

    @routes.get("/projects/{project_id}", summary="One model")
    async def project(project_id: str) -> Any:
        return _project(service.models.served(project_id))

    @routes.post("/projects/{project_id}/suggest", summary="Labels of one text")
    async def suggest(
        project_id: str,
        text: Annotated[str, Form()],
        limit: Annotated[Limit, Form()] = 10,
        threshold: Annotated[Threshold, Form()] = 0.0,
        language: Annotated[str | None, Form()] = None,
    ) -> Any:
        loaded, answers = await _asked(service, project_id, [text], limit, threshold)
        return {"results": _results(loaded, answers[0])}

    @routes.post("/projects/{project_id}/suggest-batch", summary="Labels of at most 32 texts")
    async def suggest_batch(
        project_id: str,
        body: Batch,
        limit: Annotated[Limit, Query()] = 10,
        threshold: Annotated[Threshold, Query()] = 0.0,
        language: Annotated[str | None, Query()] = None,
    ) -> Any:
        if len(body.documents) > MOST_DOCUMENTS:
            raise Refused(
                422, f"{len(body.documents):,} documents were sent; send {MOST_DOCUMENTS} at most in one batch."
            )
        texts = [document.text for document in body.documents]
        loaded, answers = await _asked(service, project_id, texts, limit, threshold)
        return [
            {"results": _results(loaded, answer), "document_id": document.document_id}
            for document, answer in zip(body.documents, answers, strict=True)
        ]

    @routes.post("/projects/{project_id}/learn", summary="Keep documents that a person labelled", status_code=204)
    async def learn(project_id: str, documents: list[IndexedDocument]) -> Response:
        service.models.served(project_id)
        if service.feedback is None:
            raise Refused(403, "This server keeps no documents; start it with --feedback FILE.")
        kept = [(None, document.text, [subject.uri for subject in document.subjects]) for document in documents]
        await asyncio.to_thread(service.feedback.keep, kept)
        return Response(status_code=204)

    return routes


async def _asked(
    service: Service, name: str, texts: list[str], limit: int, threshold: float
) -> tuple[Loaded, list[Answer]]:
    # Annif keeps scores that equal the threshold, and none of 0.
    above = float(np.nextafter(threshold, 0)) if threshold else 0.0
    loaded, answers = await service.answers(name, texts, Choice(max(limit, 1), above))
    return loaded, answers if limit else [NOTHING] * len(texts)


def _results(loaded: Loaded, answer: Answer) -> list[dict[str, Any]]:
    taxonomy = loaded.classifier.taxonomy
    return [
        {
            "uri": taxonomy.ids[label],
            "label": taxonomy.name(label),
            "notation": taxonomy.notations[label],
            "score": score,
        }
        for label, score in answer.pairs()
    ]


def _vocabulary(served: Served) -> dict[str, Any]:
    current = served.current
    size = None if current is None else len(current.classifier.taxonomy)
    return {"vocab_id": served.name, "languages": [LANGUAGE], "size": size, "loaded": current is not None}


def _project(served: Served) -> dict[str, Any]:
    current, at = served.current, served.loaded_at
    return {
        "project_id": served.name,
        "name": served.name,
        "language": LANGUAGE,
        "backend": {"backend_id": "taxotext" if current is None else current.classifier.system.name},
        "vocab": _vocabulary(served),
        "vocab_language": LANGUAGE,
        "is_trained": current is not None,
        "modification_time": None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
    }
