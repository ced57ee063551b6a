"""Importance of words equals what brute force over changed texts gives, for every kind of system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sparse_system import sparse_systems  # noqa: F401
from tests.tiny import tiny_corpus, tiny_encoder, tiny_fit, tiny_taxonomy  # noqa: F401

from taxotext import Classifier
from taxotext.data.words import count_words, word_spans
from taxotext.decoding import Decoder, Decoding, ScoreBlock
from taxotext.errors import ConfigError, LabelError
from taxotext.explain import leave_one_out
from taxotext.explain.pieces import passages_of

TEXTS = [
    "Today the cat purrs, and a loaf of rye was near the baker's house.",
    "trout",
    "We saw a dog; it barks - don't! \u6771\u4eac\u30bf\u30ef\u30fc rye dark RYE",
    "",
]


def without_each(text: str, replacement: str = "") -> list[str]:
    return [text[:start] + replacement + text[stop:] for start, stop in word_spans(text).tolist()]


def probabilities(model: Classifier, texts: list[str]) -> np.ndarray:
    """(D, N) of the system itself: a text of which nothing is left is a text to it."""
    decoder = Decoder(model.decoding, model.taxonomy)
    return np.concatenate([decoder.scores(ScoreBlock.of(block)).dense for block in model.system.scores(texts)])


def check_importance(model: Classifier, texts: list[str], replacement: str = "", **options: Any) -> None:
    """Compare with one prediction for each changed text."""
    ids = list(model.taxonomy.ids)
    whole = probabilities(model, texts)
    sets = model.predict(texts)
    for row, found in enumerate(model.explain(texts, **options)):
        changed = without_each(texts[row], replacement)
        assert [found.word(place) for place in range(len(found.words))] == [
            texts[row][start:stop] for start, stop in word_spans(texts[row]).tolist()
        ]
        assert list(found.predicted) == sets[row]
        columns = [ids.index(label) for label in found.labels]
        np.testing.assert_allclose(found.scores, whole[row, columns], atol=1e-6)
        if not changed:
            assert found.words.importance.shape == (0, len(columns))
            continue
        expected = whole[row, columns] - probabilities(model, changed)[:, columns]
        np.testing.assert_allclose(found.words.importance, expected, atol=2e-5)


@pytest.fixture(scope="module")
def linear() -> Classifier:
    return Classifier("linear", features={"min_documents": 1}, seed=3).fit(tiny_corpus())


@pytest.mark.parametrize(
    "features",
    [
        {"min_documents": 1},
        {"min_documents": 1, "ngrams": [1, 3]},
        {"min_documents": 1, "ngrams": [2, 2], "sublinear": False},
        {"min_documents": 1, "analyzer": "char_wb", "ngrams": [2, 4]},
        {"min_documents": 1, "lowercase": False},
    ],
    ids=["words", "up to 3 words", "pairs, plain counts", "letters", "case"],
)
@pytest.mark.parametrize("mode", ["delete", "mask"])
def test_exact_importance_of_linear_is_that_of_reading_every_changed_text(features: dict[str, Any], mode: Any) -> None:
    model = Classifier("linear", features=features, seed=3).fit(tiny_corpus())
    replacement = "" if mode == "delete" else "\U000103a0\U000103a0"
    if mode == "mask" and features.get("analyzer") == "char_wb":
        replacement = "\ue000\ue000"
    check_importance(
        model, [*TEXTS, "\u0391\u03a3. the cat purrs, \u0391\u03a3 \u0130stanbul rye"], replacement, mode=mode
    )


def test_linear_reads_no_text_again(linear: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    scores = type(linear.system).scores

    def counting(self: Any, texts: Any, **options: Any) -> Any:
        read.append(len(texts))
        return scores(self, texts, **options)

    monkeypatch.setattr(type(linear.system), "scores", counting)
    assert len(linear.explain(TEXTS[:1])[0].words) == 14
    assert read == [1]


def test_the_word_that_a_label_follows_from_matters_most(linear: Classifier) -> None:
    found = linear.explain(["today the trout was near the house"], ["fish"])[0]
    (best, value), *_ = found.best("fish", 3)
    assert found.word(best) == "trout"
    assert value > 0.3


@pytest.mark.parametrize("system", ["kim_cnn", "light_attention", "dgcnn", "gru_att"])
def test_networks_give_what_one_prediction_for_each_changed_text_gives(system: str) -> None:
    model = tiny_fit(system)
    if system == "light_attention":
        found = model.explain(TEXTS[:2], ["rye"])
        for explained in found:
            texts = without_each(explained.text)
            blocks = [ScoreBlock.of(block).scores.toarray() for block in model.system.scores([explained.text, *texts])]
            column = np.concatenate(blocks)[:, model.taxonomy.index("rye")]
            np.testing.assert_allclose(explained.words.importance[:, 0], column[0] - column[1:], atol=2e-5)
        return
    check_importance(model, TEXTS)


def test_a_masked_word_becomes_the_token_without_meaning() -> None:
    model = tiny_fit("kim_cnn")
    check_importance(model, TEXTS, "[UNK]", mode="mask")


def test_consistent_scores_are_explained(linear: Classifier) -> None:
    own = linear.decoding
    linear.decoding = Decoding(consistency="up", threshold=0.4)
    try:
        check_importance(linear, TEXTS)
    finally:
        linear.decoding = own


def log_probability(probabilities: np.ndarray, chosen: list[int]) -> float:
    inside = np.isin(np.arange(len(probabilities)), chosen)
    return float(
        np.log(np.where(inside, np.maximum(probabilities, 1e-6), 1 - np.minimum(probabilities, 1 - 1e-6))).sum()
    )


def test_importance_for_the_set_is_the_fall_of_its_log_probability(linear: Classifier) -> None:
    text = TEXTS[0]
    found = linear.explain([text])[0]
    chosen = [linear.taxonomy.index(label) for label in found.predicted]
    rows = linear.predict_proba([text, *without_each(text)]).astype(np.float64)
    expected = [log_probability(rows[0], chosen) - log_probability(row, chosen) for row in rows[1:]]
    np.testing.assert_allclose(found.words.of_set, expected, atol=1e-4)
    assert found.of_set == "independent"


@pytest.mark.usefixtures("sparse_systems")
def test_importance_for_the_set_of_sparse_scores_counts_candidates_only() -> None:
    model = Classifier("few_candidates").fit(tiny_corpus())
    found = model.explain([TEXTS[0]])[0]
    blocks = [scores for _, scores in model.decode_stream([found.text, *without_each(found.text)])]
    dense = np.concatenate([block.scores.toarray() for block in blocks]).astype(np.float64)
    chosen = [model.taxonomy.index(label) for label in found.predicted]
    expected = [log_probability(dense[0], chosen) - log_probability(row, chosen) for row in dense[1:]]
    np.testing.assert_allclose(found.words.of_set, expected, atol=1e-4)


@pytest.fixture(scope="module")
def sgm() -> Classifier:
    return tiny_fit("sgm", training={"epochs": 6})


def test_the_sequence_of_a_system_that_predicts_one_is_forced(sgm: Classifier) -> None:
    import torch

    text = TEXTS[0]
    found = sgm.explain([text])[0]
    assert found.of_set == "sequence"
    system: Any = sgm.system
    head = system.network.head

    def features(one: str) -> Any:
        windows = system.windows([one])
        return system.network.eval().features(system.batch(windows, np.asarray([0])))

    with torch.inference_mode():
        best = head.search(features(text))
        given = torch.cat([best.labels[:, best.labels[0] >= 0], torch.tensor([[head.decoder.end]])], 1)
        values = [float(head.log_likelihood(features(one), given).sum()) for one in [text, *without_each(text)]]
    assert values[0] == pytest.approx(float(best.scores[0]), abs=1e-4)
    np.testing.assert_allclose(found.words.of_set, values[0] - np.asarray(values[1:]), atol=1e-4)
    check_importance(sgm, TEXTS)


def test_importance_does_not_depend_on_company_or_on_parts(sgm: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    together = sgm.explain(TEXTS, ["rye", "cats"])
    monkeypatch.setattr(leave_one_out, "TOGETHER", 3)
    for one, text in zip(together, TEXTS, strict=True):
        alone = sgm.explain([text], ["rye", "cats"])[0]
        np.testing.assert_allclose(one.words.importance, alone.words.importance, atol=2e-5)
        np.testing.assert_allclose(one.words.of_set, alone.words.of_set, atol=1e-4)


def test_a_mixture_is_explained_by_its_own_scores(tmp_path: Path, linear: Classifier) -> None:
    linear.save(tmp_path / "a")
    tiny_fit("kim_cnn").save(tmp_path / "b")
    settings = {"members": [str(tmp_path / "a"), str(tmp_path / "b")], "weights": [0.5, 0.5]}
    validation = tiny_corpus(20, seed=77)
    mixed = Classifier("mixed", **settings).fit(validation, validation=validation)
    check_importance(mixed, TEXTS)
    with pytest.raises(ConfigError, match="its members have different words for it; choose delete"):
        mixed.explain(TEXTS, mode="mask")


def test_of_a_long_text_every_passage_and_the_words_of_the_strongest_are_left_out(linear: Classifier) -> None:
    filler = "We saw it again today and then some house was near. " * 12
    text = f"{filler}The trout had fins and a beast. {filler}"
    found = linear.explain([text], ["fish"], max_words=45)[0]
    assert count_words(text) == 271
    assert len(found.words) == 45
    assert found.notes == (
        "Importance of 45 of 271 words, those of the passages that matter most; every passage was left out as a whole.",
    )
    (best, value), *_ = found.best("fish", 1, found.passages)
    start, stop = found.passages.places[best].tolist()
    assert "trout had fins" in text[start:stop]
    whole, without = linear.predict_proba([text, text[:start] + text[stop:]])[:, linear.taxonomy.index("fish")]
    assert value == pytest.approx(whole - without, abs=1e-5)
    assert {found.word(place) for place, _ in found.best("fish", 2)} == {"trout", "fins"}
    # Passages are all of the text: no word lies in none of them.
    covered = sum(count_words(text[a:b]) for a, b in found.passages.places.tolist())
    assert covered == 271


@pytest.mark.parametrize(
    ("text", "longest", "expected"),
    [
        ("a b c d e", 2, [[0, 2], [2, 4], [4, 5]]),
        ("a b. c. d e f. g", 3, [[0, 3], [3, 6], [6, 7]]),
        ("... !?", 3, []),
        ("a. b. c.", 40, [[0, 3]]),
    ],
)
def test_passages_end_where_sentences_do(text: str, longest: int, expected: list[list[int]]) -> None:
    assert passages_of(text, word_spans(text), longest).tolist() == expected


def test_wrong_requests_are_answered_with_advice(linear: Classifier) -> None:
    with pytest.raises(ConfigError, match="mode is 'remove'; choose delete or mask"):
        linear.explain(TEXTS, mode="remove")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="max_words is 0; give a whole number from 1"):
        linear.explain(TEXTS, max_words=0)
    with pytest.raises(LabelError, match="'fsh'"):
        linear.explain(TEXTS, ["fsh"])


def test_feature_vectors_are_explained_feature_by_feature() -> None:
    vectors = [f"{1 + number % 4}:0.8 {5 + number % 3}:0.6" for number in range(24)]
    labels = [["a"] if number % 4 == 0 else ["b"] for number in range(24)]
    model = Classifier("linear", features={"analyzer": "given"}, seed=1).fit(vectors, labels)
    found = model.explain(["1:0.8 5:0.6"], ["a"])[0]
    assert [found.word(0), found.word(1)] == ["1:0.8", "5:0.6"]
    whole, *rest = model.predict_proba(["1:0.8 5:0.6", "5:0.6", "1:0.8"])[:, 0].tolist()
    np.testing.assert_allclose(found.words.importance[:, 0], [whole - one for one in rest], atol=1e-6)
    with pytest.raises(ConfigError, match="cannot mask a word"):
        model.explain(["1:0.8"], mode="mask")


def test_words_have_offsets_and_data_are_plain(linear: Classifier) -> None:
    import json

    found = linear.explain([TEXTS[2]], ["rye"])[0]
    row = next(one for one in found.to_dict()["words"] if one["text"] == "RYE")
    assert TEXTS[2][row["start"] : row["end"]] == "RYE"
    assert set(row["importance"]) == {"rye"}
    assert json.loads(json.dumps(found.to_dict()))["labels"][0]["id"] == "rye"
    assert len(tiny_taxonomy()) == 7
