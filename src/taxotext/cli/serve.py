"""``taxotext serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from taxotext.cli.options import Device, Threads, given

TOKEN = "TAXOTEXT_TOKEN"


def serve(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Model folders; NAME=FOLDER gives one another name.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8000,
    feedback: Annotated[
        Path | None,
        typer.Option(help="JSON lines to which labels corrected in Annif or Label Studio go; else they are refused."),
    ] = None,
    watch: Annotated[
        float, typer.Option(min=0, help="Seconds between looks for a replaced model folder; 0: never look.")
    ] = 2.0,
    batch_texts: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Texts scored together, at most (64).")
    ] = None,
    batch_wait_ms: Annotated[
        float | None, typer.Option(min=0, help="Milliseconds that a text waits for others (2).")
    ] = None,
    queue_texts: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Texts that may wait; beyond that 429 (4096).")
    ] = None,
    request_texts: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Texts of one request, at most (1000).")
    ] = None,
    characters: Annotated[
        int | None, typer.Option(min=1, max=100_000_000, help="Characters of one text, at most (200000).")
    ] = None,
    body_mb: Annotated[
        int | None, typer.Option(min=1, max=2048, help="Megabytes of one request, at most (32).")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Longest time for one request (120).")] = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Answer requests for labels over HTTP, and show a web page.

    The address / is a page to try the models; /openapi.json describes all others. The environment variable
    TAXOTEXT_TOKEN sets a token that requests must bring. A model folder that is replaced is read in the background, and
    no request is lost.

    Examples:

    \b
      taxotext serve model
      taxotext serve tickets=model bert=runs/bert/model --port 9000
      TAXOTEXT_TOKEN=secret taxotext serve model --host 0.0.0.0
    """
    import os
    from importlib.util import find_spec

    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import MissingExtraError

    for module in ("fastapi", "prometheus_client", "python_multipart", "uvicorn"):
        if find_spec(module) is None:
            raise MissingExtraError(f"serve needs {module}; install it with: pip install 'taxotext[serve]'")
    from taxotext.serving.limits import Limits
    from taxotext.serving.server import serve as run
    from taxotext.settings import parse_settings

    chosen: dict[str, Any] = given(
        batch_texts=batch_texts,
        batch_wait=None if batch_wait_ms is None else batch_wait_ms / 1000,
        queue_texts=queue_texts,
        request_texts=request_texts,
        characters=characters,
        body_bytes=None if body_mb is None else body_mb * 2**20,
        seconds=seconds,
    )
    run(
        models,
        host=host,
        port=port,
        limits=parse_settings(Limits, chosen, "serve"),
        runtime=given(device=device, threads=threads),
        watch=watch or None,
        token=os.environ.get(TOKEN) or None,
        feedback=feedback,
        reporter=make_reporter(),
    )
