import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoding_oracle import TAXONOMY, calibrated, consistent, decodings, graphs
from decoding_oracle import answered as by_the_book
from taxotext.decoding import Decoder, Decoding
from taxotext.errors import ConfigError, LabelError
from taxotext.labels import Taxonomy


def row(**scores):
    block = np.zeros((1, len(TAXONOMY)), dtype=np.float32)
    for label, score in scores.items():
        block[0, TAXONOMY.index(label)] = score
    return block


def answered(block, **settings_):
    sets = Decoder(Decoding(**settings_), TAXONOMY).sets(block)
    return {TAXONOMY.ids[i] for i in sets.indices}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_random_settings_on_random_graphs_agree_with_brute_force(data):
    taxonomy, block = data.draw(graphs())
    decoding = data.draw(decodings(taxonomy))
    decoder = Decoder(decoding, taxonomy)
    before = block.copy()
    sets, scores = decoder.decode(block)
    assert (block == before).all()
    assert scores.dense.dtype == np.float32
    assert sets.dtype == np.bool_
    assert (scores.dense == decoder.scores(block).dense).all()
    assert (sets != decoder.sets(block)).nnz == 0
    ranked = decoder.rank(scores, len(taxonomy))[0]
    for i in range(len(block)):
        corrected = [calibrated(decoding, *pair) for pair in zip(taxonomy.ids, block[i].tolist(), strict=True)]
        expected = consistent(taxonomy, corrected, decoding.consistency)
        assert scores.dense[i].tolist() == expected
        found = set(sets.indices[sets.indptr[i] : sets.indptr[i + 1]].tolist())
        chosen, ranking = by_the_book(decoding, taxonomy, expected)
        assert found == chosen
        assert [label for label in ranked[i].tolist() if label >= 0] == ranking
        if decoding.top_k is not None:
            assert len(found) <= decoding.top_k
    if decoding.consistency != "none" and decoder.eligible.all():
        assert not taxonomy.violations(sets).any()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_document_is_decoded_the_same_alone_and_in_a_block(data):
    taxonomy, block = data.draw(graphs())
    decoder = Decoder(data.draw(decodings(taxonomy)), taxonomy)
    whole = decoder.sets(block)
    for i in range(len(block)):
        assert (whole[i : i + 1] != decoder.sets(block[i : i + 1])).nnz == 0


def test_a_probability_equal_to_the_threshold_does_not_pass():
    assert answered(row(sport=0.5)) == set()
    assert answered(row(sport=np.nextafter(np.float32(0.5), np.float32(1)))) == {"sport"}


@settings(max_examples=100, deadline=None)
@given(st.floats(0.001, 0.999), st.integers(-2, 2))
def test_thresholds_between_two_float32_are_compared_exactly(threshold, steps):
    score = np.float32(threshold)
    for _ in range(abs(steps)):
        score = np.nextafter(score, np.float32(np.sign(steps)))
    assert bool(answered(row(sport=score), threshold=threshold)) == (float(score) > threshold)


def test_label_thresholds_are_stronger_than_level_thresholds_and_these_than_the_threshold():
    block = row(science=0.3, physics=0.3, maths=0.3, sport=0.3)
    found = answered(block, threshold=0.1, level_thresholds=(0.4, 0.2, 0.2), label_thresholds={"maths": 0.9})
    assert found == {"physics"}


def test_top_k_alone_answers_exactly_k():
    assert answered(row(sport=0.2, maths=0.1), threshold=None, top_k=2) == {"sport", "maths"}
    assert answered(row(), threshold=None, top_k=3) == set(TAXONOMY.ids[:3])


def test_up_adds_ancestors_and_down_removes_orphans():
    thresholds = {"science": 0.9}
    block = row(optics=0.8)
    assert answered(block, consistency="up") == {"optics", "physics", "maths", "science"}
    assert answered(block, consistency="up", label_thresholds=thresholds) == {
        "optics",
        "physics",
        "maths",
        "science",
    }
    block = row(science=0.8, physics=0.7, maths=0.6, optics=0.6)
    assert answered(block, consistency="down", label_thresholds=thresholds) == set()
    assert answered(row(science=0.8, physics=0.7, optics=0.9), consistency="down") == {"science", "physics"}


def test_an_excluded_label_is_never_answered_even_when_consistency_wants_it():
    assert answered(row(optics=0.8), consistency="up", exclude=("science",)) == {"optics", "physics", "maths"}
    everything = row(science=0.9, physics=0.9, maths=0.9, optics=0.9)
    assert answered(everything, consistency="down", exclude=("maths",)) == {"science", "physics", "optics"}
    assert answered(everything, threshold=None, top_k=5, include=("maths", "sport")) == {"maths", "sport"}


def test_an_excluded_label_still_raises_its_ancestors():
    assert answered(row(optics=0.8), consistency="up", exclude=("optics",)) == {"physics", "maths", "science"}


def test_never_empty_answers_the_best_eligible_label():
    assert answered(row(sport=0.3, maths=0.2), never_empty=True) == {"sport"}
    assert answered(row(sport=0.3, maths=0.2), never_empty=True, exclude=("sport",)) == {"maths"}
    assert answered(row(optics=0.3), never_empty=True, consistency="up") == {"science"}


def test_ranking_passes_over_ineligible_labels_and_puts_ancestors_first_on_ties():
    decoder = Decoder(Decoding(consistency="up", exclude=("physics", "sport")), TAXONOMY)
    ids, best = decoder.rank(decoder.scores(row(optics=0.75, sport=0.9)), 4)
    assert [TAXONOMY.ids[i] if i >= 0 else None for i in ids[0]] == ["science", "maths", "optics", None]
    assert best[0].tolist() == [0.75, 0.75, 0.75, -np.inf]


def test_unknown_labels_are_reported_together_with_the_nearest():
    decoding = Decoding(include=("phisics",), exclude=("spotr",), label_thresholds={"zzz": 0.5})
    with pytest.raises(LabelError) as caught:
        Decoder(decoding, TAXONOMY)
    text = str(caught.value)
    assert "include: " in text
    assert "'physics'" in text
    assert "exclude: " in text
    assert "'sport'" in text
    assert "label_thresholds: " in text


def test_many_unknown_labels_are_counted():
    with pytest.raises(LabelError, match="and 30 more"):
        Decoder(Decoding(exclude=tuple(f"x{i}" for i in range(50))), TAXONOMY)


def test_level_thresholds_must_fit_the_depth():
    with pytest.raises(ConfigError, match="has 2 entries but the taxonomy has 3 levels"):
        Decoder(Decoding(level_thresholds=(0.5, 0.5)), TAXONOMY)


def test_excluding_everything_is_refused():
    with pytest.raises(ConfigError, match="names every label"):
        Decoder(Decoding(exclude=TAXONOMY.ids), TAXONOMY)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.zeros((1, 4), np.float32), "floats"),
        (np.zeros((1, 5), np.int64), "floats"),
        (np.zeros(5, np.float32), "floats"),
        (np.full((1, 5), np.nan, np.float32), "scores lie between nan and nan"),
        (np.full((1, 5), 3.0, np.float32), "probabilities from 0 to 1"),
        (np.full((1, 5), -1.0, np.float32), "probabilities from 0 to 1"),
    ],
)
def test_blocks_that_are_no_probabilities_are_refused(block, message):
    with pytest.raises(ValueError, match=message):
        Decoder(Decoding(), TAXONOMY).sets(block)


def test_a_sum_of_probabilities_may_overshoot_by_rounding():
    assert answered(row(sport=1.000001)) == {"sport"}


def test_an_empty_block_and_a_half_precision_block_are_decoded():
    decoder = Decoder(Decoding(consistency="up", top_k=1, never_empty=True), TAXONOMY)
    assert decoder.sets(np.zeros((0, 5), np.float32)).shape == (0, 5)
    assert decoder.sets(row(sport=0.75).astype(np.float16)).nnz == 1


def test_the_scores_are_new_arrays():
    block = row(sport=0.75)
    for consistency in ("none", "up", "down"):
        scores = Decoder(Decoding(consistency=consistency), TAXONOMY).scores(block)
        assert not np.shares_memory(scores.dense, block)


def test_a_wide_deep_taxonomy_is_decoded_in_a_blink():
    count = 20_000
    taxonomy = Taxonomy.from_edges([(None if i == 0 else f"{(i - 1) // 5}", f"{i}") for i in range(count)])
    block = np.random.default_rng(0).random((16, count), dtype=np.float32) ** 8
    sets, _ = Decoder(Decoding(consistency="up", top_k=50), taxonomy).decode(block)
    assert not taxonomy.violations(sets).any()
    assert (np.diff(sets.indptr) == 50).all()


def test_the_order_of_decoding_is_a_list_of_seven_steps():
    steps = re.findall(r"^ {4}(\d)\. \*\*", Decoder.__doc__ or "", flags=re.MULTILINE)
    assert steps == [str(number) for number in range(1, 8)]
    lines = (
        (Decoder.__doc__ or "")
        .split("The settings act in this order:")[1]
        .split("Ties in steps")[0]
        .strip()
        .split("\n")
    )
    assert all(re.match(r" {4}\d\. | {7}\S", line) for line in lines[1:] if line)
