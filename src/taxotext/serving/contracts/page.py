"""The web page: three files of the package."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

from taxotext.charts.chart import palette
from taxotext.serving.service import Service

FILES = (
    ("/", "index.html", "text/html"),
    ("/page.css", "page.css", "text/css"),
    ("/page.js", "page.js", "text/javascript"),
)


def router(service: Service) -> APIRouter:
    """The addresses of the page."""
    routes = APIRouter(include_in_schema=False)
    for address, name, kind in FILES:
        content = files("taxotext.serving").joinpath("page", name).read_text(encoding="utf-8")
        _add(routes, address, (palette() if name == "page.css" else "") + content, kind)
    return routes


def _add(routes: APIRouter, address: str, content: str, kind: str) -> None:
    @routes.get(address)
    async def file() -> Response:
        return Response(content, media_type=kind)
