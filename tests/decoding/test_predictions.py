import numpy as np
import pytest
from scipy.sparse import csr_array

from taxotext.decoding import Decoder, Decoding, Predictions, top_k
from taxotext.labels import Taxonomy

TAXONOMY = Taxonomy.flat(["a", "b", "c", "d"])
SCORES = np.array([[0.25, 0.75, 0.75, 0.5], [0, 0, 0, 0], [0.5, 0.125, 0, 1]], dtype=np.float32)
SETS = csr_array(np.array([[1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]], dtype=bool))
EXPECTED = [[("b", 0.75), ("c", 0.75), ("a", 0.25)], [], [("d", 1.0), ("a", 0.5)]]


@pytest.mark.parametrize("scores", [SCORES, csr_array(SCORES)])
def test_labels_come_best_first_and_ties_by_index(scores):
    predictions = Predictions.from_sets(SETS, scores)
    assert predictions.pairs(TAXONOMY) == EXPECTED
    assert predictions.labels(TAXONOMY) == [["b", "c", "a"], [], ["d", "a"]]
    assert predictions.ids.dtype == np.int32
    assert predictions.scores.dtype == np.float32


def test_a_score_that_is_not_stored_is_zero():
    assert Predictions.from_sets(SETS, csr_array((3, 4), dtype=np.float32)).scores.tolist() == [0.0] * 5


def test_one_document_is_reached_by_its_number():
    predictions = Predictions.from_sets(SETS, SCORES)
    assert len(predictions) == 3
    assert predictions[0][0].tolist() == [1, 2, 0]
    assert predictions[-1][1].tolist() == [1.0, 0.5]
    with pytest.raises(IndexError):
        predictions[3]


def test_sets_and_rankings_come_back():
    predictions = Predictions.from_sets(SETS, SCORES)
    assert (predictions.sets(4) != SETS).nnz == 0
    assert predictions.sets(6).shape == (3, 6)
    assert predictions.ranked(2).tolist() == [[1, 2], [-1, -1], [3, 0]]
    assert predictions.ranked(4).tolist() == [[1, 2, 0, -1], [-1, -1, -1, -1], [3, 0, -1, -1]]


def test_blocks_are_joined():
    whole = Predictions.from_sets(SETS, SCORES)
    parts = [Predictions.from_sets(SETS[i : i + 1], SCORES[i : i + 1]) for i in range(3)]
    joined = Predictions.concatenate(parts)
    assert joined.pairs(TAXONOMY) == whole.pairs(TAXONOMY)
    assert len(Predictions.concatenate([])) == 0


def test_ranked_lists_are_taken_without_their_pads():
    predictions = Predictions.from_ranked(*top_k(SCORES, 5))
    assert predictions.labels(TAXONOMY)[0] == ["b", "c", "d", "a"]
    assert np.diff(predictions.indptr).tolist() == [4, 4, 4]


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="sets has shape"):
        Predictions.from_sets(SETS, SCORES[:2])
    with pytest.raises(ValueError, match="ids has shape"):
        Predictions.from_ranked(np.zeros((2, 2), np.int32), np.zeros((2, 3)))


def test_a_decoder_feeds_them():
    sets, scores = Decoder(Decoding(threshold=0.4), TAXONOMY).decode(SCORES)
    assert Predictions.from_sets(sets, scores).labels(TAXONOMY) == [["b", "c", "d"], [], ["d", "a"]]
