"""One queue for all requests: micro-batches bounded in size and wait, turns for long requests, a bound on what waits.

One thread computes. While it is busy, requests gather and become the next batch; a text that comes alone waits
``batch_wait`` for company. A request of many texts is scored in parts and goes to the end of the queue after each, so
that a short one never waits for the whole of a long one.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taxotext.errors import TaxotextError
from taxotext.explain.explanation import Explanation
from taxotext.serving.answers import Answer, Choice, Loaded, answers
from taxotext.serving.limits import Limits, Refused

if TYPE_CHECKING:
    from taxotext.serving.metrics import Metrics

logger = logging.getLogger("taxotext.serving")

SMOOTHING = 0.2
"""Weight of the newest batch in the estimate of the speed."""
LONGEST_RETRY = 60


@dataclass(frozen=True)
class ExplanationRequest:
    """What an explanation is asked for."""

    labels: Sequence[Sequence[str]]  # ids for each text
    words: int  # those that are left out one by one, at most


@dataclass(eq=False)
class Job:
    """The texts of one request, and what it asks of them."""

    loaded: Loaded  # the model, as it was when the request came; a swap changes nothing for it
    name: str  # of the model
    texts: Sequence[str]  # D
    asks: Choice | ExplanationRequest  # a choice of labels, or explanations
    deadline: float  # of `time.monotonic`; afterwards nobody waits for the answer
    future: Future[list[Any]] = field(default_factory=Future)  # gets D answers or explanations
    arrived: float = field(default_factory=time.monotonic)
    found: list[Any] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Texts to be scored; an explanation scores one for each word."""
        rest = self.texts[len(self.found) :]
        if isinstance(self.asks, Choice):
            return len(rest)
        return sum(1 + min(len(text.split()), self.asks.words) for text in rest)


class BatchQueue:
    """Takes jobs from any thread and answers them in one.

    Args:
        limits: of batches and of what may wait.
        metrics: where it counts.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits, self._metrics = limits, metrics
        self._pending: deque[Job] = deque()
        self._texts = 0  # of jobs that are not finished
        self._speed: float | None = None  # texts a second
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to compute."""
        self._thread = threading.Thread(target=self._run, name="taxotext-batches", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, refuse what comes, and return when all is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def submit(self, job: Job) -> None:
        """Put a job into the queue.

        Raises:
            Refused: 429 with the seconds after which there may be room; 503 when the server stops.
        """
        with self._changed:
            if self._closed:
                raise Refused(503, "The server is stopping.", 1)
            size = job.waiting
            if self._texts and self._texts + size > self.limits.queue_texts:
                raise Refused(
                    429, f"{self._texts:,} texts are waiting already; send the request again later.", self._retry()
                )
            self._texts += size
            self._metrics.queue_texts.set(self._texts)
            self._pending.append(job)
            self._changed.notify_all()

    def _retry(self) -> int:
        seconds = 1.0 if not self._speed else self._texts / 2 / self._speed
        return min(max(math.ceil(seconds), 1), LONGEST_RETRY)

    # -- the computing thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next():
            started = time.monotonic()
            for job, _ in batch:
                if not job.found:
                    self._metrics.queue_seconds.observe(started - job.arrived)
            before = sum(job.waiting for job, _ in batch)
            self._answer(batch)
            self._finish(batch, before, time.monotonic() - started)

    def _next(self) -> list[tuple[Job, list[str]]]:
        """The next batch: jobs and the texts of each that are in it; empty when the queue is closed and done."""
        with self._changed:
            while True:
                self._drop_dead()
                if not self._pending:
                    if self._closed:
                        return []
                    self._changed.wait(1.0)
                    continue
                first = self._pending[0]
                if isinstance(first.asks, ExplanationRequest):
                    self._pending.popleft()
                    return [(first, list(first.texts[len(first.found) :][:1]))]
                alike = [job for job in self._pending if job.loaded is first.loaded and isinstance(job.asks, Choice)]
                size = sum(job.waiting for job in alike)
                wait = first.arrived + self.limits.batch_wait - time.monotonic()
                if size >= self.limits.batch_texts or wait <= 0 or self._closed or first.found:
                    return self._batch(alike)
                self._changed.wait(wait)

    def _batch(self, alike: Sequence[Job]) -> list[tuple[Job, list[str]]]:
        batch, room = [], self.limits.batch_texts
        for job in alike:
            if not room:
                break
            part = list(job.texts[len(job.found) :][:room])
            room -= len(part)
            batch.append((job, part))
        taken = {id(job) for job, _ in batch}
        self._pending = deque(job for job in self._pending if id(job) not in taken)
        return batch

    def _drop_dead(self) -> None:
        """Forget jobs that nobody waits for."""
        now = time.monotonic()
        dead = [job for job in self._pending if job.deadline < now or job.future.cancelled()]
        if dead:
            self._pending = deque(job for job in self._pending if job not in dead)
            self._release(sum(job.waiting for job in dead))
            for job in dead:
                job.future.cancel()

    def _release(self, texts: int) -> None:
        self._texts -= texts
        self._metrics.queue_texts.set(self._texts)

    def _answer(self, batch: Sequence[tuple[Job, list[str]]]) -> None:
        """Extend what each job has found, or fail it; a text that cannot be read fails its own job only."""
        try:
            found = _computed(batch)
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    self._answer([one])
                return
            if not isinstance(error, TaxotextError):
                logger.error("Scoring failed: %s", type(error).__name__, exc_info=error)
            job, _ = batch[0]
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(error)
            return
        if isinstance(batch[0][0].asks, Choice):
            self._metrics.batch_texts.observe(len(found))
        start = 0
        for job, part in batch:
            job.found += found[start : start + len(part)]
            start += len(part)
            self._metrics.texts.labels(job.name).inc(len(part))

    def _finish(self, batch: Sequence[tuple[Job, list[str]]], before: int, seconds: float) -> None:
        with self._changed:
            after = 0
            for job, _ in batch:
                if job.future.done():  # failed, or nobody waits any more
                    continue
                if len(job.found) < len(job.texts):
                    after += job.waiting
                    self._pending.append(job)
            self._release(before - after)
            speed = (before - after) / max(seconds, 1e-6)
            self._speed = speed if self._speed is None else self._speed + SMOOTHING * (speed - self._speed)
        for job, _ in batch:
            if len(job.found) == len(job.texts) and job.future.set_running_or_notify_cancel():
                job.future.set_result(job.found)


def _computed(batch: Sequence[tuple[Job, list[str]]]) -> list[Answer] | list[Explanation] | list[None]:
    first, part = batch[0]
    if isinstance(first.asks, ExplanationRequest):
        labels = first.asks.labels[len(first.found)]
        return first.loaded.classifier.explain(part, labels, max_words=first.asks.words) if labels else [None]
    texts: list[str] = []
    choices: list[Choice] = []
    for job, part in batch:
        if isinstance(job.asks, Choice):  # as all of a batch
            texts += part
            choices += [job.asks] * len(part)
    return answers(first.loaded, texts, choices)
