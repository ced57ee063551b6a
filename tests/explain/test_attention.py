"""Attention on words: against weights computed by hand from the states, and for sequences step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny import tiny_encoder, tiny_fit  # noqa: F401

from taxotext import Classifier
from taxotext.data.words import word_spans
from taxotext.explain.attention import attention_of

TEXT = "Today, the cat purrs. A zebra, rye."


def states(model: Classifier, text: str) -> Any:
    """Token states of one text, (S, d)."""
    import torch

    system: Any = model.system
    with torch.inference_mode():
        windows = system.windows([text])
        return system.network.eval().features(system.batch(windows, np.asarray([0]))).by_document()[0][0].numpy()


def softmax(values: np.ndarray) -> np.ndarray:
    values = np.exp(values - values.max())
    return values / values.sum()


def by_words(text: str, tokens: list[str], weights: np.ndarray) -> dict[str, float]:
    """Sum the weights of tokens over words, matching letters one after the other."""
    found: dict[str, float] = {}
    place = 0
    for token, weight in zip(tokens, weights, strict=True):
        piece = token.removeprefix("##")
        place = text.lower().index(piece, place)
        for start, stop in word_spans(text).tolist():
            if start <= place < stop:
                found[text[start:stop]] = found.get(text[start:stop], 0.0) + float(weight)
        place += len(piece)
    return found


@pytest.mark.parametrize("head", ["label_attention", "multi_label_attention"])
def test_labels_that_attend_show_their_weights_summed_over_the_tokens_of_a_word(head: str, tiny_encoder: Path) -> None:  # noqa: F811
    encoder = {"name": "transformer", "source": str(tiny_encoder)}
    model = tiny_fit("bert", encoder=encoder, head={"name": head})
    found = model.explain([TEXT], ["cats", "rye"])[0]
    system: Any = model.system
    weights = system.network.head.queries if head == "label_attention" else system.network.head.scorer.queries
    tokens = states(model, TEXT)
    for label in ("cats", "rye"):
        query = weights[model.taxonomy.index(label)].detach().numpy()
        expected = by_words(TEXT, system.tokenizer.tokens(TEXT), softmax(tokens @ query)[1:-1])  # not [CLS], [SEP]
        shown = {found.word(place): float(value) for place, value in enumerate(found.attention[label])}
        assert shown == pytest.approx(expected, abs=1e-5)
        assert 0 < sum(shown.values()) < 1


def test_windows_of_a_long_text_share_their_attention(tiny_encoder: Path) -> None:  # noqa: F811
    encoder = {"name": "transformer", "source": str(tiny_encoder)}
    text = {"max_tokens": 8, "long_text": "chunk_max", "max_chunks": 2}
    model = tiny_fit("bert", encoder=encoder, head={"name": "label_attention"}, text=text)
    weights = model.explain([TEXT], ["rye"])[0].attention["rye"]
    assert "".join(model.system.tokenizer.tokens(TEXT)[:12]) == "today,thecatpurrs.az##e##b##r##a"  # type: ignore[attr-defined]
    assert (weights > 0).tolist() == [True] * 6 + [False]
    short = tiny_fit("bert", encoder=encoder, head={"name": "label_attention"}, text={"max_tokens": 8})
    assert (short.explain([TEXT], ["rye"])[0].attention["rye"] > 0).tolist() == [True] * 4 + [False] * 3


@pytest.mark.parametrize("query", ["current", "previous"])
def test_labels_of_a_sequence_show_the_step_that_predicts_them(query: str) -> None:
    import torch

    model = tiny_fit("sgm", head={"query": query}, training={"epochs": 8})
    system: Any = model.system
    head, decoder = system.network.head, system.network.head.decoder
    labels = [2, 0, 5]
    words = word_spans(TEXT)
    found = attention_of(system, TEXT, np.asarray([0, 2]), np.asarray(labels), words)
    assert set(found) == {0, 2}
    with torch.inference_mode():
        features = system.network.eval().features(system.batch(system.windows([TEXT]), np.asarray([0])))
        memory, state = decoder.start(features, head.skip)
        emitted = torch.zeros(1, 1, decoder.end + 1, dtype=torch.bool)
        before = decoder.begin
        for label in labels[:2]:
            old = state
            _, state = decoder.step(memory, state, torch.tensor([[before]]), emitted)
            asked = (state if query == "current" else old).hidden[0, 0, -1]
            keys = decoder.attend_tokens(memory.tokens[0]) + decoder.attend_state(asked)
            expected = softmax(decoder.attend_energy(torch.tanh(keys)).squeeze(-1).numpy())
            tokens = system.tokenizer.tokens(TEXT)
            weights = [
                sum(expected[place] for place, token in enumerate(tokens) if token == TEXT[a:b].lower())
                for a, b in words.tolist()
                if TEXT[a:b].lower() in tokens
            ]
            known = [row for row, (a, b) in enumerate(words.tolist()) if TEXT[a:b].lower() in tokens]
            np.testing.assert_allclose(found[label][known], weights, atol=1e-5)
            emitted[0, 0, label] = True
            before = label


@pytest.mark.parametrize("system", ["kim_cnn", "dgcnn", "gru_att"])
def test_systems_that_attend_to_no_tokens_show_none(system: str) -> None:
    assert tiny_fit(system).explain([TEXT], ["rye"])[0].attention == {}
