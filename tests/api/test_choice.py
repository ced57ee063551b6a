"""The plan for ``bert`` where no system is named: tokens and epochs that the texts need and the budget has room for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from taxotext.api import choice
from taxotext.api.choice import sized, why_not_bert
from taxotext.training.pace import SCORING, Pace, measure
from tiny import tiny_corpus, tiny_settings


def pace(seconds: float, *lengths: int) -> Pace:
    return Pace(seconds, np.asarray(lengths), 512)


def test_an_epoch_is_the_training_and_the_scoring_and_grows_with_the_tokens_read() -> None:
    some = pace(2.0, 100, 200, 600)
    assert some.epoch(100, 10) == pytest.approx(2.0 * (100 + SCORING * 10))
    # of 512 tokens at most 812 are read of the three, of 128 at most 100 + 128 + 128
    assert some.epoch(100, 10, 128) == pytest.approx(some.epoch(100, 10) * 356 / 812)
    assert (some.whole(128), some.whole(200), some.whole(600)) == pytest.approx((1 / 3, 2 / 3, 1.0))


@pytest.mark.parametrize(
    ("lengths", "tokens"), [([60] * 10, 128), ([60] * 9 + [500], 128), ([60] * 8 + [200, 500], 256), ([900] * 10, 512)]
)
def test_as_many_tokens_are_read_as_nine_texts_in_ten_need(lengths: list[int], tokens: int) -> None:
    plan = sized(pace(0.001, *lengths), 1000, 100, budget=30)
    assert plan.settings == {"text": {"max_tokens": tokens}, "training": {"epochs": 10, "max_minutes": 30}}
    assert ("which cuts 100% of the texts" in plan.reason) == (tokens == 512)


def test_a_small_budget_takes_epochs_then_tokens_then_the_fine_tuning() -> None:
    slow = pace(0.6, *[600] * 10)  # 10 minutes an epoch of 1,000 documents with 512 tokens

    def at(budget: float) -> dict[str, object] | None:
        return sized(slow, 1000, 0, budget).settings

    assert at(125) == {"text": {"max_tokens": 512}, "training": {"epochs": 10, "max_minutes": 125}}
    assert at(50.1) == {"text": {"max_tokens": 512}, "training": {"epochs": 4, "max_minutes": 50.1}}
    assert at(49) == {"text": {"max_tokens": 256}, "training": {"epochs": 7, "max_minutes": 49}}
    assert at(20) == {"text": {"max_tokens": 128}, "training": {"epochs": 6, "max_minutes": 20}}
    without = at(10)
    assert without is not None
    assert (without["text"], without["encoder"]) == ({"max_tokens": 512}, {"trainable": False})
    assert at(1) is None
    assert "more than the budget of 1 minutes allows; raise it with --budget" in sized(slow, 1000, 0, 1).reason


def test_few_documents_are_not_fine_tuned_on_in_few_steps() -> None:
    def fine_tuned(documents: int, budget: float) -> bool:
        plan = sized(pace(0.6, *[100] * 10), documents, 0, budget)
        return plan.settings is not None and "encoder" not in plan.settings

    assert fine_tuned(240, 60)  # ten epochs
    assert not fine_tuned(200, 60)
    assert not fine_tuned(300, 15)  # four epochs would fit
    assert fine_tuned(3000, 160)


def test_the_range_holds_the_measured_time() -> None:
    plan = sized(pace(0.06, *[600] * 10), 1000, 0, budget=30)
    assert plan.minutes[0] < 10 < plan.minutes[1]
    assert "take 8 to 14 minutes for 10 epochs, less if it stops early" in plan.reason


def test_many_labels_vectors_and_a_missing_encoder_speak_against_bert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_encoder_at_hand", lambda: True)
    corpus = tiny_corpus()
    assert why_not_bert(corpus) == ""
    assert why_not_bert(corpus.subset(range(9))) == "Chose linear: 9 documents are too few to compare systems on."
    vectors = replace(corpus, report=replace(corpus.report, feature_vectors=True))
    assert "feature vectors" in why_not_bert(vectors)
    monkeypatch.setattr(choice, "MANY_LABELS", 6)
    assert why_not_bert(corpus) == "Chose linear: 7 labels are many for a network with one output each."
    monkeypatch.undo()
    monkeypatch.setattr(choice, "_encoder_at_hand", lambda: False)
    assert "no encoder is installed" in why_not_bert(corpus)


def test_batches_of_the_real_documents_are_timed(tiny_encoder: object) -> None:
    from taxotext.models.registry import find
    from taxotext.settings import parse_settings

    kind, corpus = find("bert"), tiny_corpus()
    settings = parse_settings(kind.Settings, tiny_settings("bert", tiny_encoder), "test")
    found = measure(kind(settings, corpus.taxonomy), corpus)  # type: ignore[arg-type]  # a NeuralSystem
    assert 0 < found.seconds < 5
    assert len(found.lengths) == len(corpus)
    assert found.max_tokens == settings.text.max_tokens  # type: ignore[attr-defined]
    assert found.lengths.min() >= 3  # two special tokens and one of the text
