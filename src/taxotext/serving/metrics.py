"""Figures of a server for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters and histograms of one server; no text and no label is in them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "taxotext_requests", "Requests by route and status.", ("route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "taxotext_request_seconds", "From a request to its answer.", ("route",), buckets=SECONDS, registry=registry
        )
        self.queue_seconds = Histogram(
            "taxotext_queue_seconds",
            "From the arrival of a request to its first batch.",
            buckets=SECONDS,
            registry=registry,
        )
        self.queue_texts = Gauge("taxotext_queue_texts", "Texts that wait.", registry=registry)
        self.batch_texts = Histogram(
            "taxotext_batch_texts", "Texts that were scored together.", buckets=TEXTS, registry=registry
        )
        self.texts = Counter("taxotext_texts", "Texts that were answered.", ("model",), registry=registry)
        self.loads = Counter(
            "taxotext_model_loads", "Readings of a model folder.", ("model", "result"), registry=registry
        )

    def page(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
