import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from decoding_oracle import graphs
from taxotext.decoding import Decoder, Decoding, ExpectedF1, ScoreBlock, tune_expected
from taxotext.errors import ConfigError, DataError
from taxotext.labels import Taxonomy
from taxotext.metrics import evaluate


def closed_sets(taxonomy):
    """All label sets with the ancestors of every member."""
    sets = itertools.chain.from_iterable(
        itertools.combinations(range(len(taxonomy)), size) for size in range(len(taxonomy) + 1)
    )
    return [set(one) for one in sets if all(set(taxonomy.ancestors(i).tolist()) <= set(one) for i in one)]


def f1(first, second):
    return 2 * len(first & second) / (len(first) + len(second)) if first or second else 1.0


def joint(taxonomy, scores):
    """The probability of each closed set; a label with several parents: given that all of them are members."""
    lowest = [min(scores[j] for j in [i, *taxonomy.ancestors(i)]) for i in range(len(taxonomy))]
    result = []
    for members in closed_sets(taxonomy):
        probability = 1.0
        for i in range(len(taxonomy)):
            parents = taxonomy.parents(i).tolist()
            if set(parents) <= members:
                above = min((lowest[parent] for parent in parents), default=1.0)
                chance = min(1.0, float(lowest[i]) / float(above)) if above > 0 else 0.0
                probability *= chance if i in members else 1 - chance
        result.append((members, probability))
    assert sum(probability for _, probability in result) == pytest.approx(1)
    return result


def expected(chosen, truth):
    return sum(probability * f1(chosen, members) for members, probability in truth)


def is_tree(taxonomy):
    return all(len(taxonomy.parents(i)) < 2 for i in range(len(taxonomy)))


def members(sets, document):
    return set(sets.indices[sets.indptr[document] : sets.indptr[document + 1]].tolist())


@settings(max_examples=150, deadline=None)
@given(graphs(), st.none() | st.integers(1, 4), st.booleans(), st.booleans())
def test_on_trees_no_closed_set_is_expected_to_do_better(case, most, some, sparse):
    taxonomy, block = case
    assume(is_tree(taxonomy))
    given_block = ScoreBlock(csr_array(block)) if sparse else ScoreBlock(block)
    sets, values = ExpectedF1(taxonomy).choose(given_block, most=most, some=some)
    for document, scores in enumerate(block):
        truth = joint(taxonomy, scores)
        candidates = [s for s in closed_sets(taxonomy) if len(s) <= (most or 99)]
        likely = any(scores[root] > 0 for root in taxonomy.roots)
        if some and likely:
            candidates = [s for s in candidates if s]
        chosen = members(sets, document)
        best = max(expected(one, truth) for one in candidates)
        assert chosen in candidates
        assert expected(chosen, truth) == pytest.approx(best, abs=1e-9)
        assert values[document] == pytest.approx(best, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_in_a_graph_the_set_is_closed_and_loses_little(case):
    taxonomy, block = case
    sets = ExpectedF1(taxonomy)(ScoreBlock(block))
    for document, scores in enumerate(block):
        truth = joint(taxonomy, scores)
        chosen = members(sets, document)
        best = max(expected(one, truth) for one in closed_sets(taxonomy))
        assert chosen in closed_sets(taxonomy)
        assert expected(chosen, truth) >= best - 0.15


def test_in_random_graphs_the_loss_is_a_hundredth_on_average():
    random = np.random.default_rng(3)
    losses = []
    for _ in range(60):
        edges = [(str(i), str(j)) for j in range(7) for i in range(j) if random.random() < 0.35]
        taxonomy = Taxonomy.from_edges(edges, labels=[str(i) for i in range(7)])
        scores = random.random(7).astype(np.float32) ** 2
        truth = joint(taxonomy, scores)
        chosen = members(ExpectedF1(taxonomy)(ScoreBlock(scores[None])), 0)
        losses.append(max(expected(one, truth) for one in closed_sets(taxonomy)) - expected(chosen, truth))
    assert np.mean(losses) < 0.01


TREE = Taxonomy.from_edges([(None, "a"), ("a", "b"), ("a", "c"), (None, "d")])


def test_hand_computed_values():
    # Y is empty, {a} or {a, b} with probability 0.4, 0.3, 0.3: E F1({a}) = 0.3 + 0.3 · 2/3, that of {a, b} the same.
    sets, values = ExpectedF1(TREE).choose(ScoreBlock(np.array([[0.6, 0.3, 0, 0]], dtype=np.float32)))
    assert members(sets, 0) == {0}
    assert values == pytest.approx([0.5])
    # The empty set is as likely as 0.7 here.
    sets, values = ExpectedF1(TREE).choose(ScoreBlock(np.array([[0.3, 0.3, 0, 0]], dtype=np.float32)))
    assert members(sets, 0) == set()
    assert values == pytest.approx([0.7])


def test_certain_labels_and_large_sets_do_not_leave_the_range_of_numbers():
    chain = Taxonomy.from_edges([(None if i == 0 else str(i - 1), str(i)) for i in range(400)])
    block = np.ones((2, 400), dtype=np.float32)
    block[1, 200:] = 0.1
    sets, values = ExpectedF1(chain).choose(ScoreBlock(block))
    assert np.diff(sets.indptr).tolist() == [400, 200]
    assert values[0] == pytest.approx(1, abs=0.01)
    assert values[1] == pytest.approx(0.9 + 0.1 * 2 * 200 / 600, abs=0.01)


def test_many_documents_are_decided_as_each_alone():
    random = np.random.default_rng(0)
    edges = [(str((i - 1) // 3), str(i)) for i in range(1, 40)] + [("2", "39"), ("3", "20")]
    taxonomy = Taxonomy.from_edges(edges, labels=["0"])
    block = (random.random((700, 40)) ** 3).astype(np.float32)
    together = ExpectedF1(taxonomy)(ScoreBlock(block))
    sparse = ExpectedF1(taxonomy)(ScoreBlock(csr_array(block)))
    assert (together != sparse).nnz == 0
    for row in range(0, 700, 97):
        assert members(ExpectedF1(taxonomy)(ScoreBlock(block[row : row + 1])), 0) == members(together, row)
    assert not taxonomy.violations(together).any()


def test_no_documents_and_no_probabilities_give_no_labels():
    assert ExpectedF1(TREE)(ScoreBlock(np.zeros((0, 4), np.float32))).shape == (0, 4)
    assert ExpectedF1(TREE)(ScoreBlock(np.zeros((3, 4), np.float32)), some=True).nnz == 0


def decoded(rules, row):
    sets, _ = Decoder(Decoding.from_dict({"source": "expected_f1"} | rules), TREE).decode(np.array([row], np.float32))
    return {TREE.ids[i] for i in sets.indices}


def test_the_decoder_keeps_to_its_other_rules():
    row = [0.9, 0.8, 0.6, 0.7]
    assert decoded({}, row) == {"a", "b", "c", "d"}
    assert decoded({"top_k": 2}, row) == {"a", "b"}
    assert decoded({"exclude": ["a"]}, row) == {"b", "c", "d"}
    assert decoded({"include": ["d"]}, row) == {"d"}
    assert decoded({}, [0.1, 0.05, 0.05, 0.05]) == set()
    assert decoded({}, [0.2, 0.02, 0.02, 0.02]) == set()
    assert decoded({"never_empty": True}, [0.2, 0.02, 0.02, 0.02]) == {"a"}
    assert decoded({"consistency": "up"}, [0.1, 0.9, 0.1, 0.1]) == {"a", "b"}
    assert decoded({"consistency": "down"}, [0.1, 0.9, 0.1, 0.1]) == set()
    assert decoded({"threshold": None}, row) == decoded({}, row)


def test_a_score_at_its_threshold_counts_as_one_half():
    rules = {"threshold": 0.2, "label_thresholds": {"b": 0.9}}
    # Odds are divided by those of the thresholds.
    moved = np.array([4 / 6, 4 / 6, 1 / 9, 1 / 9]) / np.array([2 / 8, 9 / 1, 2 / 8, 2 / 8])
    row = moved / (1 + moved)
    assert decoded(rules, [0.4, 0.4, 0.1, 0.1]) == decoded({}, row) == {"a", "d"}
    assert decoded({}, [0.4, 0.4, 0.1, 0.1]) == set()


def test_tuning_finds_the_shift_of_the_probabilities():
    random = np.random.default_rng(5)
    logits = random.normal(-1, 2, (4000, 4))
    chances = 1 / (1 + np.exp(-logits))
    gold = TREE.close(csr_array(random.random(chances.shape) < chances))
    shift = np.array([0.0, 1.0, -1.0, 0.5])
    scores = (1 / (1 + np.exp(-(logits + shift)))).astype(np.float32)
    flat = Taxonomy.flat(TREE.ids)
    truth = csr_array(random.random(chances.shape) < chances)
    decoding, report = tune_expected(ScoreBlock(scores), truth, flat, tuned_on="here", base=Decoding())
    found = [np.log(decoding.label_thresholds[i] / (1 - decoding.label_thresholds[i])) for i in flat.ids]
    assert found == pytest.approx(shift, abs=0.15)
    assert (decoding.source, decoding.metric, decoding.tuned_on) == ("expected_f1", "hierarchical_f1", "here")
    assert report.after > report.before
    assert report.tuned_labels == 4
    for method, count in (("level", 2), ("global", None)):
        decoding, report = tune_expected(
            ScoreBlock(scores), gold, TREE, tuned_on="here", method=method, base=Decoding()
        )
        assert decoding.label_thresholds == {}
        assert (count is None) == (decoding.level_thresholds is None)
        metrics = evaluate(gold, Decoder(decoding, TREE).sets(scores), closure=TREE.closure)
        assert report.after == pytest.approx(metrics["hierarchical_samples_f1"])


def test_labels_with_few_documents_stay_near_the_common_intercept():
    scores = np.full((30, 2), 0.5, dtype=np.float32)
    scores[1:, 1] = 0
    gold = np.zeros((30, 2), dtype=bool)
    gold[:15, 0] = gold[0, 1] = True
    flat = Taxonomy.flat(["often", "once"])
    rules, _ = tune_expected(ScoreBlock(csr_array(scores)), csr_array(gold), flat, tuned_on="here", base=Decoding())
    assert rules.label_thresholds["often"] == pytest.approx(0.5, abs=0.02)
    assert 0.4 < rules.label_thresholds["once"] < rules.label_thresholds["often"]


def test_what_cannot_be_tuned_is_said():
    block, gold = ScoreBlock(np.full((2, 4), 0.5, np.float32)), csr_array((2, 4), dtype=bool)
    with pytest.raises(DataError, match="here: no document has a label"):
        tune_expected(block, gold, TREE, tuned_on="here", base=Decoding())
    with pytest.raises(ConfigError, match="method is 'tree': choose label, level or global"):
        tune_expected(block, gold, TREE, tuned_on="here", method="tree", base=Decoding())
