"""The server process: uvicorn around the application."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from taxotext.errors import ConfigError
from taxotext.progress import Reporter
from taxotext.serving.app import build_app
from taxotext.serving.feedback import Feedback
from taxotext.serving.limits import Limits
from taxotext.serving.metrics import Metrics
from taxotext.serving.models import Models
from taxotext.serving.service import Service


def serve(
    given: Sequence[str],
    *,
    host: str,
    port: int,
    limits: Limits,
    runtime: Mapping[str, Any],
    watch: float | None,
    token: str | None,
    feedback: Path | None,
    reporter: Reporter,
) -> None:
    """Serve models until the process is told to stop; requests that were taken are answered first.

    Args:
        given: model folders, or ``name=folder``.
        host, port: where to listen; port 0: a free one.
        limits: of requests.
        runtime: settings of :func:`taxotext.load`.
        watch: seconds between looks at the folders; None: never.
        token: see :func:`~taxotext.serving.app.build_app`.
        feedback: file for corrected labels.
        reporter: is told the address.

    Raises:
        ConfigError: the address cannot be taken; see :class:`~taxotext.serving.models.Models`.
        ModelFolderError: a model cannot be read.
        DataError: the file for corrected labels cannot be used.
    """
    metrics = Metrics()
    models = Models(given, runtime, metrics, watch)
    kept = None if feedback is None else Feedback(feedback)
    service = Service(models, limits, metrics, kept)
    listener = _listener(host, port)
    server: uvicorn.Server

    def stop() -> None:
        server.should_exit = True

    app = build_app(service, token=token, on_failure=stop)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )
    server = uvicorn.Server(config)
    if token is None and not _is_loopback(listener):
        reporter.note("Whoever reaches this address may use the models: no token is set (TAXOTEXT_TOKEN).")
    names = ", ".join(served.name for served in models.all)
    reporter.note(f"Serving {names} at {address_of(listener)} (Ctrl-C stops).")
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
    if models.failure is not None:
        raise models.failure


def address_of(listener: socket.socket) -> str:
    """``http://host:port`` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listener(host: str, port: int) -> socket.socket:
    """Take the address before a model is read, so that a wrong one is told at once."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"--host {host}: {error.strerror or error}; give an address of this machine.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"{host}:{port} cannot be taken ({error.strerror or error}); choose another port with --port."
        ) from None
    return listener


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0].split("%")[0]).is_loopback
