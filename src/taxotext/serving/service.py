"""What every contract asks: models by name, and the answers of the queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from taxotext.errors import TaxotextError
from taxotext.explain.explanation import Explanation
from taxotext.labels import lookup
from taxotext.serving.answers import Answer, Choice, Loaded
from taxotext.serving.feedback import Feedback
from taxotext.serving.limits import Limits, Refused
from taxotext.serving.metrics import Metrics
from taxotext.serving.models import Models, Served
from taxotext.serving.queue import BatchQueue, ExplanationRequest, Job


class Service:
    """A server without its addresses.

    Args:
        models: what answers.
        limits: what is taken at most.
        metrics: where it counts.
        feedback: where corrected labels are kept; None: they are refused.
    """

    def __init__(self, models: Models, limits: Limits, metrics: Metrics, feedback: Feedback | None = None) -> None:
        self.models, self.limits, self.metrics, self.feedback = models, limits, metrics, feedback
        self.queue = BatchQueue(limits, metrics)

    async def answers(self, name: str | None, texts: Sequence[str], choice: Choice) -> tuple[Loaded, list[Answer]]:
        """The labels of D texts, and the model that gave them.

        Raises:
            Refused: 404, 413, 422, 429 or 503.
        """
        served, loaded = self.models.loaded(name)
        self._check(texts)
        return loaded, await self._asked(served, loaded, texts, choice)

    async def explanations(
        self, loaded: Loaded, name: str | None, texts: Sequence[str], labels: Sequence[Sequence[str]]
    ) -> list[Explanation | None]:
        """Why labels were chosen, text by text; None for a text without labels to explain.

        Args:
            loaded: the model that answered.
            name: of it.
            texts: D.
            labels: ids for each of them.

        Raises:
            Refused: 413, 422, 429 or 503.
        """
        most = self.limits.explained_texts
        if len(texts) > most:
            raise Refused(413, f"{len(texts):,} texts are to be explained; send {most:,} at most in one request.")
        taxonomy = loaded.classifier.taxonomy
        unknown = next((label for own in labels for label in own if label not in taxonomy), None)
        if unknown is not None:
            (hint,) = lookup.hints([unknown], taxonomy.positions)
            sentence = f"Unknown label {unknown!r}.{hint} GET /models/{name}/taxonomy lists all labels."
            raise Refused(422, sentence)
        request = ExplanationRequest(labels, self.limits.explained_words)
        return await self._asked(self.models.served(name), loaded, texts, request)

    def _check(self, texts: Sequence[str]) -> None:
        if len(texts) > self.limits.request_texts:
            raise Refused(
                413, f"The request has {len(texts):,} texts; send {self.limits.request_texts:,} at most in one."
            )
        for number, text in enumerate(texts):
            if len(text) > self.limits.characters:
                raise Refused(
                    413,
                    f"Text {number} has {len(text):,} characters; send {self.limits.characters:,} at most.",
                )

    async def _asked(
        self, served: Served, loaded: Loaded, texts: Sequence[str], asks: Choice | ExplanationRequest
    ) -> list[Any]:
        seconds = self.limits.seconds
        job = Job(loaded, served.name, texts, asks, time.monotonic() + seconds)
        self.queue.submit(job)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(job.future), seconds)
        except TimeoutError:
            raise Refused(
                503, f"The answer took longer than {seconds:g} seconds; send fewer or shorter texts.", 1
            ) from None
        except TaxotextError as error:
            raise Refused(422, str(error)) from None
