"""The queue: nothing is mixed up or lost, batches and waiting texts are bounded, long requests leave room."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from taxotext.errors import DataError
from taxotext.serving import queue as queues
from taxotext.serving.answers import Answer, Choice, Loaded
from taxotext.serving.limits import Limits, Refused
from taxotext.serving.metrics import Metrics
from taxotext.serving.queue import BatchQueue, Job

MODEL: Any = object()  # stands for a loaded model: the queue only compares it
OTHER: Any = object()


class Scorer:
    """Answers a text that is a number with that number as label; keeps the batches; can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()
        self.busy = threading.Event()

    def __call__(self, loaded: Loaded, texts: Sequence[str], choices: Sequence[Choice]) -> list[Answer]:
        self.batches.append(list(texts))
        self.busy.set()
        assert self.free.wait(30)
        if "bad" in texts:
            raise DataError("A text cannot be read.")
        if "broken" in texts:
            raise ZeroDivisionError
        found = []
        for text, choice in zip(texts, choices, strict=True):
            number = int(text) + 1000 * (choice.top_k or 0) + (1_000_000 if loaded is OTHER else 0)
            found.append(Answer(np.asarray([number]), np.zeros(1, np.float32), np.ones(1, np.bool_)))
        return found


@contextmanager
def running(scorer: Scorer, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> Iterator[BatchQueue]:
    monkeypatch.setattr(queues, "answers", scorer)
    queue = BatchQueue(Limits(**{"batch_wait": 0.0, **limits}), Metrics())
    queue.start()
    try:
        yield queue
    finally:
        scorer.free.set()
        queue.close()


def ask(
    queue: BatchQueue, *texts: Any, top_k: int | None = None, model: Any = MODEL, seconds: float = 30
) -> Future[list[Any]]:
    job = Job(model, "m", [str(text) for text in texts], Choice(top_k), time.monotonic() + seconds)
    queue.submit(job)
    return job.future


def numbers(future: Future[list[Any]]) -> list[int]:
    return [int(answer.labels[0]) for answer in future.result(30)]


def test_answers_of_many_threads_are_never_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    with running(scorer, monkeypatch, batch_texts=16, batch_wait=0.001, queue_texts=100_000) as queue:
        problems: list[str] = []

        def client(seed: int) -> None:
            rng = random.Random(seed)
            for turn in range(30):
                texts = [seed * 10_000 + turn * 100 + place for place in range(rng.choice((1, 1, 2, 40)))]
                k, model = rng.choice((None, 3)), rng.choice((MODEL, OTHER))
                expected = [text + 1000 * (k or 0) + (1_000_000 if model is OTHER else 0) for text in texts]
                if numbers(ask(queue, *texts, top_k=k, model=model)) != expected:
                    problems.append(f"client {seed}, turn {turn}")

        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not problems
    assert max(map(len, scorer.batches)) <= 16
    assert max(map(len, scorer.batches)) > 1


def test_what_comes_while_a_batch_is_scored_becomes_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    with running(scorer, monkeypatch, batch_texts=8) as queue:
        scorer.free.clear()
        first = ask(queue, 0)
        assert scorer.busy.wait(30)
        later = [ask(queue, number) for number in range(1, 11)]
        scorer.free.set()
        assert [numbers(one) for one in [first, *later]] == [[number] for number in range(11)]
    assert [len(batch) for batch in scorer.batches] == [1, 8, 2]


def test_a_text_that_comes_alone_waits_for_others_only_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    with running(scorer, monkeypatch, batch_wait=0.3, batch_texts=4) as queue:
        start = time.monotonic()
        two = [ask(queue, 1), ask(queue, 2)]
        assert [numbers(one) for one in two] == [[1], [2]]
        waited = time.monotonic() - start
        assert 0.29 <= waited < 5
        start = time.monotonic()
        full = [ask(queue, number) for number in range(4)]
        wait(full, 30)
        assert time.monotonic() - start < 0.29  # a full batch does not wait
    assert [len(batch) for batch in scorer.batches] == [2, 4]


def test_a_long_request_leaves_room_for_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    with running(scorer, monkeypatch, batch_texts=4) as queue:
        scorer.free.clear()
        long = ask(queue, *range(40))
        assert scorer.busy.wait(30)
        short = ask(queue, 99)
        scorer.free.set()
        assert numbers(long) == list(range(40))
        assert numbers(short) == [99]
    assert "99" in scorer.batches[1]


def test_a_text_that_cannot_be_read_fails_its_own_request_only(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    with running(scorer, monkeypatch) as queue:
        scorer.free.clear()
        first = ask(queue, 0)
        assert scorer.busy.wait(30)
        good, bad, broken, more = (ask(queue, text) for text in (1, "bad", "broken", 2))
        scorer.free.set()
        assert [numbers(one) for one in (first, good, more)] == [[0], [1], [2]]
        with pytest.raises(DataError):
            bad.result(30)
        with pytest.raises(ZeroDivisionError):
            broken.result(30)
        assert numbers(ask(queue, 3)) == [3]  # the queue goes on


def test_a_full_queue_refuses_and_says_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    with running(scorer, monkeypatch, batch_texts=2, queue_texts=5, request_texts=5) as queue:
        scorer.free.clear()
        taken = [ask(queue, 1), ask(queue, 2, 3, 4)]
        with pytest.raises(Refused) as refused:
            ask(queue, 5, 6)
        assert refused.value.status == 429
        assert refused.value.retry_after is not None
        assert 1 <= refused.value.retry_after <= 60
        last = ask(queue, 5)
        scorer.free.set()
        assert [numbers(one) for one in (*taken, last)] == [[1], [2, 3, 4], [5]]
        assert numbers(ask(queue, 5, 6, 7, 8, 9)) == [5, 6, 7, 8, 9]  # there is room again


def test_texts_that_nobody_waits_for_any_more_are_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    with running(scorer, monkeypatch, batch_texts=2, queue_texts=4, request_texts=4) as queue:
        scorer.free.clear()
        first = ask(queue, 0)
        assert scorer.busy.wait(30)
        late, given_up = ask(queue, 1, seconds=0.01), ask(queue, 2)
        given_up.cancel()
        time.sleep(0.05)
        scorer.free.set()
        assert numbers(first) == [0]
        assert numbers(ask(queue, 3, 4, 5, 6)) == [3, 4, 5, 6]  # their room is free
        assert late.cancelled()
    assert not {"1", "2"} & {text for batch in scorer.batches for text in batch}


def test_closing_answers_what_was_taken_and_refuses_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()
    with running(scorer, monkeypatch, batch_texts=2) as queue:
        scorer.free.clear()
        taken = [ask(queue, number) for number in range(7)]
        closing = threading.Thread(target=queue.close)
        closing.start()
        time.sleep(0.05)
        with pytest.raises(Refused) as refused:
            ask(queue, 8)
        assert refused.value.status == 503
        scorer.free.set()
        closing.join(30)
        assert [numbers(one) for one in taken] == [[number] for number in range(7)]
