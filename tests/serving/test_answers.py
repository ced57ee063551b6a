"""What a text is answered does not depend on the texts beside it, and equals what the Python interface says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from command import SAMPLE
from taxotext import read_corpus
from taxotext.decoding import Decoding
from taxotext.serving.answers import Answer, Choice, Loaded, answers

CHOICES = (Choice(), Choice(3), Choice(None, 0.3), Choice(5, 0.2), Choice(1, 0.999), Choice(1000), Choice(None, 0.0))


def texts_of(count: int) -> list[str]:
    return [*read_corpus(SAMPLE / "test.jsonl").texts[:count], "", "  \n"]


def same(one: Answer, other: Answer) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(params=["as trained", "up", "expected_f1", "excluded"])
def loaded(sample_model: Path, request: pytest.FixtureRequest) -> Loaded:
    classifier = taxotext.load(sample_model)
    rules: dict[str, Any] = {
        "as trained": {},
        "up": {"consistency": "up"},
        "expected_f1": {"source": "expected_f1", "consistency": "up"},
        "excluded": {"exclude": classifier.taxonomy.ids[:5]},
    }[request.param]
    classifier.decoding = Decoding.from_dict({**classifier.decoding.to_dict(), **rules})
    return Loaded(classifier)


def test_texts_with_different_choices_in_one_batch_get_what_they_get_alone(loaded: Loaded) -> None:
    texts = texts_of(40)
    choices = [CHOICES[place % len(CHOICES)] for place in range(len(texts))]
    together = answers(loaded, texts, choices)
    for text, choice, found in zip(texts, choices, together, strict=True):
        assert same(found, answers(loaded, [text], [choice])[0])


def test_answers_are_those_of_predict_suggest_and_the_probabilities(loaded: Loaded) -> None:
    classifier, texts = loaded.classifier, texts_of(30)
    ids, eligible = classifier.taxonomy.ids, classifier.decoder.eligible
    predicted, suggested = classifier.predict(texts), classifier.suggest(texts, k=4)
    probabilities = classifier.predict_proba(texts).astype(np.float64)
    own = answers(loaded, texts, [Choice()] * len(texts))
    best = answers(loaded, texts, [Choice(4)] * len(texts))
    above = answers(loaded, texts, [Choice(None, 0.25)] * len(texts))
    both = answers(loaded, texts, [Choice(2, 0.25)] * len(texts))
    for row, text in enumerate(texts):
        assert {ids[label] for label in own[row].labels} == set(predicted[row])
        assert own[row].predicted.all()
        assert [(ids[label], score) for label, score in zip(*best[row][:2], strict=True)] == suggested[row]
        assert [ids[label] in predicted[row] for label in best[row].labels] == best[row].predicted.tolist()
        expected = set(np.flatnonzero((probabilities[row] > 0.25) & eligible).tolist()) if text.strip() else set()
        assert set(above[row].labels.tolist()) == expected
        assert (np.diff(above[row].scores) <= 0).all()
        assert both[row].labels.tolist() == above[row].labels.tolist()[:2]


def test_a_score_equal_to_the_threshold_is_not_above_it(loaded: Loaded) -> None:
    text = texts_of(1)[0]
    best = answers(loaded, [text], [Choice(1)])[0]
    score = float(best.scores[0])
    assert best.labels[0] not in answers(loaded, [text], [Choice(None, score)])[0].labels
    assert best.labels[0] in answers(loaded, [text], [Choice(None, np.nextafter(score, 0).item())])[0].labels


@pytest.mark.usefixtures("sparse_systems")
def test_systems_with_candidates_answer_candidates_only() -> None:
    classifier = taxotext.Classifier("few_candidates").fit(
        ["cat purrs", "dog barks", "cat and dog", "rain falls"] * 3, [["cat"], ["dog"], ["cat", "dog"], []] * 3
    )
    loaded = Loaded(classifier)
    texts = ["cat dog", "cat", "rain", ""]
    found = answers(loaded, texts, [Choice(5), Choice(None, 0.01), Choice(), Choice(2)])
    suggested = classifier.suggest(texts, k=5)
    ids = classifier.taxonomy.ids
    assert [ids[label] for label in found[0].labels] == [label for label, _ in suggested[0]]
    assert {ids[label] for label in found[1].labels} == {label for label, score in suggested[1] if score > 0.01}
    assert found[3].labels.size == 0
