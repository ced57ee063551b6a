"""What a server takes at most, and how it says no."""

from __future__ import annotations

from pydantic import Field, model_validator

from taxotext.settings import Settings


class Limits(Settings):
    """Bounds of one server; what lies beyond them is refused, never cut."""

    batch_texts: int = Field(64, ge=1, description="texts that are scored together, at most")
    batch_wait: float = Field(0.002, ge=0, le=10, description="seconds that a text waits for others to join its batch")
    queue_texts: int = Field(4096, ge=1, description="texts that may wait; beyond that requests get status 429")
    request_texts: int = Field(1000, ge=1, description="texts of one request")
    characters: int = Field(200_000, ge=1, le=100_000_000, description="characters of one text")
    body_bytes: int = Field(32 * 2**20, ge=1024, le=2**31, description="bytes of the body of a request")
    seconds: float = Field(120.0, gt=0, description="from a request to its answer; also what a stop waits for")
    explained_texts: int = Field(10, ge=1, description="texts of one request that are explained")
    explained_words: int = Field(200, ge=1, description="words of a text that are left out one by one")

    @model_validator(mode="after")
    def _a_request_fits(self) -> Limits:
        if self.request_texts > self.queue_texts:
            raise ValueError(
                f"request_texts is {self.request_texts} and queue_texts {self.queue_texts}: the largest request would "
                "never fit into the queue; make the queue as large"
            )
        return self


class Refused(Exception):  # noqa: N818  (an answer, not a fault)
    """A request that is not answered as asked.

    Args:
        status: of HTTP: 403, 404, 413, 422, 429 or 503.
        sentence: what was wrong, and what to do.
        retry_after: seconds after which the same request may succeed; None: it will not.
    """

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.retry_after = status, sentence, retry_after
