"""Sparse blocks of scores beside their dense twin: minus infinity for what is not a candidate, and a mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from decoding_oracle import TAXONOMY, answered, calibrated, consistent, decodings, graphs
from taxotext.decoding import Decoder, Decoding, Predictions, ScoreBlock, sparse_scores
from taxotext.errors import ConfigError
from taxotext.labels import Taxonomy


def sparse(scores, candidates):
    """A CSR array of the scores where the mask is true; 0 is stored there, too."""
    rows, columns = np.nonzero(candidates)
    matrix = csr_array((np.asarray(scores, np.float32)[rows, columns], (rows, columns)), shape=np.shape(scores))
    assert matrix.nnz == np.sum(candidates)
    return matrix


def candidates_of(**scores):
    """A block of one document with these candidates of TAXONOMY."""
    labels = [TAXONOMY.index(label) for label in scores]
    values = np.asarray(list(scores.values()), np.float32)
    return ScoreBlock(csr_array((values, ([0] * len(labels), labels)), shape=(1, len(TAXONOMY))))


def names(sets):
    return {TAXONOMY.ids[i] for i in sets.indices}


def stored(block):
    labels, scores = block.row(0)
    return {TAXONOMY.ids[i]: pytest.approx(score) for i, score in zip(labels, scores.tolist(), strict=True)}


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_sparse_blocks_agree_with_their_dense_twin_under_all_rules(data):
    taxonomy, values = data.draw(graphs())
    mask = np.asarray(data.draw(st.lists(st.booleans(), min_size=values.size, max_size=values.size)))
    mask = mask.reshape(values.shape)
    given_sets = data.draw(st.none() | st.lists(st.booleans(), min_size=values.size, max_size=values.size))
    decided = None if given_sets is None else csr_array(np.reshape(given_sets, values.shape))
    source = "threshold" if data.draw(st.booleans()) else "auto"
    decoding = data.draw(decodings(taxonomy)).model_copy(update={"source": source})
    decoder = Decoder(decoding, taxonomy)
    block = ScoreBlock(sparse(values, mask), decided)
    sets, scores = decoder.decode(block)
    assert scores.is_sparse
    assert sets.has_canonical_format
    ranked, best = decoder.rank(scores, len(taxonomy) + 1)
    every = np.where(mask, values, -np.inf)
    for i, row in enumerate(every.tolist()):
        corrected = [
            calibrated(decoding, label, score) if score > -np.inf else score
            for label, score in zip(taxonomy.ids, row, strict=True)
        ]
        expected = consistent(taxonomy, corrected, decoding.consistency)
        labels, found = scores.row(i)
        assert labels.tolist() == [j for j, score in enumerate(expected) if score > -np.inf]
        assert found.tolist() == [score for score in expected if score > -np.inf]
        own = None if decided is None or source == "threshold" else set(np.flatnonzero(decided.toarray()[i]).tolist())
        chosen, ranking = answered(decoding, taxonomy, expected, own)
        assert set(sets.indices[sets.indptr[i] : sets.indptr[i + 1]].tolist()) == chosen
        assert ranked[i].tolist() == [*ranking, *[-1] * (len(taxonomy) + 1 - len(ranking))]
        assert best[i, : len(ranking)].tolist() == [expected[j] for j in ranking]
        assert np.isneginf(best[i, len(ranking) :]).all()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_sparse_block_of_all_labels_is_decoded_like_the_dense_one(data):
    taxonomy, values = data.draw(graphs())
    decided = csr_array(
        np.reshape(data.draw(st.lists(st.booleans(), min_size=values.size, max_size=values.size)), values.shape)
    )
    decoder = Decoder(data.draw(decodings(taxonomy)), taxonomy)
    for sets in (None, decided):
        few, scores = decoder.decode(ScoreBlock(sparse(values, np.ones(values.shape)), sets))
        many, dense = decoder.decode(ScoreBlock(values, sets))
        assert np.array_equal(scores.candidates.toarray(), dense.dense)
        assert (few != many).nnz == 0
        for one, two in zip(decoder.rank(scores, 3), decoder.rank(dense, 3), strict=True):
            assert np.array_equal(one, two)


def test_up_makes_absent_ancestors_candidates_and_keeps_the_larger_score():
    block = candidates_of(optics=0.5, physics=0.25, sport=0.125)
    scores = Decoder(Decoding(consistency="up"), TAXONOMY).scores(block)
    assert stored(scores) == {"science": 0.5, "physics": 0.5, "maths": 0.5, "optics": 0.5, "sport": 0.125}


def test_down_gives_the_score_0_to_candidates_whose_ancestor_is_none():
    decoder = Decoder(Decoding(consistency="down", threshold=None, top_k=5, never_empty=True), TAXONOMY)
    sets, scores = decoder.decode(candidates_of(optics=0.75, physics=0.5, science=0.625))
    assert stored(scores) == {"science": 0.625, "physics": 0.5, "optics": 0.0}  # maths is above optics, too
    assert names(sets) == {"science", "physics"}
    alone, _ = decoder.decode(candidates_of(optics=0.75))
    assert names(alone) == set()  # the best candidate would be answered without what is above it


def test_a_candidate_with_score_0_can_be_the_only_answer_and_a_label_that_is_none_cannot():
    never_empty = Decoder(Decoding(never_empty=True), TAXONOMY)
    assert names(never_empty.sets(candidates_of(sport=0.0))) == {"sport"}
    assert names(never_empty.sets(candidates_of())) == set()
    assert names(Decoder(Decoding(threshold=None, top_k=3), TAXONOMY).sets(candidates_of(sport=0.0))) == {"sport"}


def test_the_sets_of_the_system_are_used_unless_thresholds_are_asked_for():
    block = ScoreBlock(candidates_of(optics=0.75, sport=0.25).scores, csr_array(np.array([[0, 0, 0, 0, 1]], bool)))
    assert names(Decoder(Decoding(), TAXONOMY).sets(block)) == {"sport"}
    assert names(Decoder(Decoding(source="system"), TAXONOMY).sets(block)) == {"sport"}
    assert names(Decoder(Decoding(source="threshold"), TAXONOMY).sets(block)) == {"optics"}


def test_filters_consistency_top_k_and_never_empty_apply_to_the_sets_of_the_system():
    decided = csr_array(np.array([[label in {"optics", "sport"} for label in TAXONOMY.ids]]))
    block = ScoreBlock(candidates_of(optics=0.25, sport=0.75).scores, decided)

    def found(**rules):
        return names(Decoder(Decoding(**rules), TAXONOMY).sets(block))

    assert found() == {"optics", "sport"}
    assert found(consistency="up", exclude=("maths",)) == {"science", "physics", "optics", "sport"}
    assert found(consistency="down") == {"sport"}
    assert found(top_k=1) == {"sport"}
    assert found(include=("maths", "science"), never_empty=True) == set()
    assert found(include=("maths", "science"), never_empty=True, consistency="up") == {"science"}


def test_sets_asked_of_a_system_that_decides_none_are_refused():
    decoder = Decoder(Decoding(source="system"), TAXONOMY)
    with pytest.raises(ConfigError, match="decides no label sets itself; set it to threshold"):
        decoder.sets(candidates_of(sport=0.5))


def test_a_block_knows_its_shape_rows_and_single_scores():
    block = ScoreBlock.of(sparse([[0.5, 0, 0.25], [0, 0.125, 0]], [[1, 0, 1], [0, 1, 1]]))
    assert (len(block), block.labels, block.shape, block.is_sparse) == (2, 3, (2, 3), True)
    assert ScoreBlock.of(block) is block
    pairs = np.array([0, 0, 1, 1]), np.array([2, 1, 1, 2])
    assert block.at(*pairs).tolist() == [0.25, 0.0, 0.125, 0.0]
    assert ScoreBlock(block.candidates.toarray()).at(*pairs).tolist() == [0.25, 0.0, 0.125, 0.0]
    assert block.rows(np.array([1])).row(0)[0].tolist() == [1, 2]
    assert block.rows(slice(0, 1)).row(0)[1].tolist() == [0.5, 0.25]
    with pytest.raises(ValueError, match="has scores of candidates only"):
        block.dense  # noqa: B018


@pytest.mark.parametrize(
    ("scores", "sets", "message"),
    [
        (csr_array((1, 3), dtype=np.int64), None, "floats"),
        (csr_array((np.ones(2, np.float32), [1, 1], [0, 2]), shape=(1, 3)), None, "stores an entry twice"),
        (csr_array((1, 3), dtype=np.float32), csr_array((1, 4), dtype=np.bool_), r"sets has \(1, 4\)"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(scores, sets, message):
    with pytest.raises(ValueError, match=message):
        ScoreBlock(scores, sets)


@pytest.mark.parametrize("value", [np.nan, 3.0, -1.0])
def test_candidates_without_a_probability_are_refused(value):
    with pytest.raises(ValueError, match="probabilities from 0 to 1"):
        Decoder(Decoding(), TAXONOMY).sets(candidates_of(sport=value))


def test_unsorted_candidates_are_sorted_and_the_given_array_stays_as_it_is():
    given_array = csr_array((np.array([0.25, 0.5], np.float32), [3, 1], [0, 2]), shape=(1, 5))
    assert ScoreBlock(given_array).row(0)[0].tolist() == [1, 3]
    assert given_array.indices.tolist() == [3, 1]


def test_scores_above_a_floor_are_taken_from_both_kinds_of_block():
    block = candidates_of(optics=0.75, sport=0.25, maths=0.0)
    for one in (block, block.candidates, block.candidates.toarray()):
        assert sparse_scores(one, 0.25).toarray().tolist() == [[0, 0, 0.75, 0, 0]]


def test_predictions_take_the_scores_of_a_sparse_block():
    sets = csr_array(np.array([[0, 0, 1, 0, 1]], bool))
    found = Predictions.from_sets(sets, candidates_of(optics=0.25, sport=0.75))
    assert found.pairs(TAXONOMY) == [[("sport", 0.75), ("optics", 0.25)]]


def test_few_candidates_of_very_many_labels_are_decoded_in_a_blink():
    count, documents = 200_000, 256
    taxonomy = Taxonomy.from_edges([(None if i == 0 else f"{(i - 1) // 5}", f"{i}") for i in range(count)])
    random = np.random.default_rng(0)
    rows = np.repeat(np.arange(documents), 50)
    labels = np.concatenate([random.choice(count, 50, replace=False) for _ in range(documents)])
    scores = csr_array((random.random(rows.size, dtype=np.float32), (rows, labels)), shape=(documents, count))
    sets, found = Decoder(Decoding(consistency="up", top_k=20), taxonomy).decode(ScoreBlock(scores))
    assert not taxonomy.violations(sets).any()
    assert (np.diff(sets.indptr) == 20).all()
    assert found.candidates.nnz < documents * 50 * taxonomy.depth
