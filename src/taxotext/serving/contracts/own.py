"""The contract of Taxotext itself: ``/predict``, ``/models``, ``/health``, ``/metrics``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import JSONResponse, Response

from taxotext.api.lines import NO_TEXT
from taxotext.serving.answers import Answer, Choice, Loaded
from taxotext.serving.contracts.requests import Body, StrictRoute, Threshold, TopK
from taxotext.serving.limits import Refused
from taxotext.serving.models import Served
from taxotext.serving.service import Service
from taxotext.store.card import model_card

EXAMPLE: JsonDict = {"texts": ["The projector in room 12 shows no picture"], "top_k": 5}


class PredictBody(Body):
    """Texts to label."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    texts: list[str] = Field(min_length=1, description="one or more texts")
    model: str | None = Field(None, description="name of a model; the first when left out")
    top_k: TopK | None = Field(None, description="the best labels, whatever their thresholds")
    threshold: Threshold | None = Field(None, description="labels that score more, instead of the model's thresholds")
    names: bool = Field(True, description="whether labels come with their display names")
    explain: bool | list[str] = Field(
        False, description="importance of the words: true for the labels of the answer, or a list of label ids"
    )


def router(service: Service) -> APIRouter:
    """The addresses of this contract."""
    routes = APIRouter(route_class=StrictRoute, tags=["Taxotext"])

    @routes.post("/predict", summary="Labels of texts")
    async def predict(body: PredictBody) -> Any:
        served = service.models.served(body.model)
        if body.explain is not False and len(body.texts) > service.limits.explained_texts:
            most = service.limits.explained_texts
            raise Refused(413, f"explain takes {most:,} texts at most in one request; {len(body.texts):,} were sent.")
        loaded, answers = await service.answers(served.name, body.texts, Choice(body.top_k, body.threshold))
        results = [
            labelled(loaded, text, answer, names=body.names) for text, answer in zip(body.texts, answers, strict=True)
        ]
        if body.explain is not False:
            ids = loaded.classifier.taxonomy.ids
            wanted = (
                [list(body.explain) if text.strip() else [] for text in body.texts]
                if isinstance(body.explain, list)
                else [[ids[label] for label in answer.labels.tolist()] for answer in answers]
            )
            for result, why in zip(
                results, await service.explanations(loaded, served.name, body.texts, wanted), strict=True
            ):
                result["explanation"] = None if why is None else why.to_dict()
        return {"model": served.name, "results": results}

    @routes.get("/models", summary="All models")
    async def models() -> Any:
        return {"models": [brief(served) for served in service.models.all]}

    @routes.get("/models/{name}", summary="One model: card, metrics, thresholds")
    async def model(name: Annotated[str, Path()]) -> Any:
        served, loaded = service.models.loaded(name)
        classifier = loaded.classifier
        manifest = classifier.manifest
        return {
            **brief(served),
            "facts": manifest.facts,
            "trained_on": manifest.trained_on,
            "metrics": manifest.metrics,
            "decoding": manifest.decoding.to_dict(),
            "card": model_card(served.name, classifier.system, manifest),
            "taxonomy": f"/models/{served.name}/taxonomy",
        }

    @routes.get("/models/{name}/taxonomy", summary="The labels of a model: ids, names, parents")
    async def taxonomy(name: Annotated[str, Path()]) -> Any:
        return service.models.loaded(name)[1].classifier.taxonomy.to_dict()

    @routes.get("/health", summary="200 when all models answer, 503 before")
    async def health() -> Response:
        ready = service.models.ready
        status = {"status": "UP" if ready else "LOADING"}
        models = {served.name: served.state for served in service.models.all}
        return JSONResponse(
            {**status, "models": models}, 200 if ready else 503, None if ready else {"Retry-After": "2"}
        )

    @routes.get("/metrics", summary="Metrics for Prometheus")
    async def metrics() -> Response:
        return Response(service.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


def brief(served: Served) -> dict[str, Any]:
    """What is known of a model without asking it."""
    found: dict[str, Any] = {"name": served.name, "state": served.state}
    if served.current is None or served.loaded_at is None:
        return found
    classifier = served.current.classifier
    found |= {
        "system": classifier.system.name,
        "labels": len(classifier.taxonomy),
        "levels": classifier.taxonomy.depth,
        "loaded_at": datetime.fromtimestamp(served.loaded_at, UTC).isoformat(timespec="seconds"),
    }
    if served.problem is not None:
        found["problem"] = served.problem
    return found


def labelled(loaded: Loaded, text: str, answer: Answer, *, names: bool = True) -> dict[str, Any]:
    """An answer as JSON values."""
    taxonomy = loaded.classifier.taxonomy
    labels = []
    for (label, score), predicted in zip(answer.pairs(), answer.predicted.tolist(), strict=True):
        row: dict[str, Any] = {"id": taxonomy.ids[label]}
        if names:
            row["name"] = taxonomy.name(label)
        if names and taxonomy.has_notations:
            row["notation"] = taxonomy.notations[label]
        labels.append({**row, "score": round(score, 6), "predicted": predicted})
    result: dict[str, Any] = {"labels": labels}
    if not text.strip():
        result["note"] = NO_TEXT
    return result
