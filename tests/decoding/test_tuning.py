import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, vstack
from sklearn.metrics import f1_score

from decoding_oracle import graphs
from taxotext.decoding import SHRINK_GRID, Decoder, Decoding, sparse_scores, tune
from taxotext.errors import ConfigError, DataError, LabelError
from taxotext.labels import Taxonomy

ON = "validation split"


def tuned(scores, gold, taxonomy=None, **options):
    scores, gold = np.asarray(scores, np.float32), np.asarray(gold, bool)
    taxonomy = taxonomy or Taxonomy.flat([f"l{i}" for i in range(gold.shape[1])])
    return tune(csr_array(scores), csr_array(gold), taxonomy, **({"tuned_on": ON, "floor": 0.0} | options))


def f1(gold, predicted, metric):
    return f1_score(gold, predicted, average=metric.removesuffix("_f1"), zero_division=0.0)


@st.composite
def problems(draw, labels=3, documents=8):
    shape = draw(st.integers(1, documents)), draw(st.integers(2, labels))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    scores = random.integers(0, draw(st.sampled_from([3, 6, 1000])) + 1, shape)
    scores = (scores / scores.max(initial=1)).astype(np.float32)  # ties, zeros and ones
    gold = random.random(shape) < random.choice([0.2, 0.5])
    gold[0, 0] = True
    return scores, gold


def every_threshold(scores):
    """One threshold for each way in which the scores can be cut."""
    values = sorted({0.0, 1.0, *scores.ravel().tolist()})
    return [(a + b) / 2 for a, b in itertools.pairwise(values)]


@settings(max_examples=80, deadline=None)
@given(problems(), st.sampled_from(["micro_f1", "macro_f1"]))
def test_the_global_threshold_is_the_best_of_all(problem, metric):
    scores, gold = problem
    decoding, report = tuned(scores, gold, method="global", metric=metric)
    best = max(f1(gold, scores > t, metric) for t in every_threshold(scores))
    assert report.after == pytest.approx(f1(gold, scores > decoding.threshold, metric))
    if (scores[gold] > 0).any():
        assert report.after == pytest.approx(best)
    assert report.before == pytest.approx(f1(gold, scores > 0.5, metric))
    assert decoding.label_thresholds == {}


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from(["micro_f1", "macro_f1"]))
def test_unshrunk_label_thresholds_are_the_joint_optimum(problem, metric):
    scores, gold = problem
    used = (gold & (scores > 0)).any(0)  # other labels keep the common threshold
    decoding, report = tuned(scores, gold, method="label", metric=metric, shrink=0)
    common = scores > decoding.threshold
    best = 0.0
    for cut in itertools.product(*[every_threshold(scores[:, i]) for i in np.flatnonzero(used)]):
        predicted = common.copy()
        predicted[:, used] = scores[:, used] > np.array(cut)
        best = max(best, f1(gold, predicted, metric))
    if metric == "macro_f1":
        assert report.after == pytest.approx(best if used.any() else report.after)
    elif used.all():
        assert report.after == pytest.approx(best)
    sets = Decoder(decoding, Taxonomy.flat([f"l{i}" for i in range(gold.shape[1])])).sets(scores)
    assert report.after == pytest.approx(f1(gold, sets.toarray(), metric))


@settings(max_examples=40, deadline=None)
@given(problems(labels=4), st.sampled_from(["micro_f1", "macro_f1"]))
def test_unshrunk_level_thresholds_are_the_joint_optimum(problem, metric):
    scores, gold = problem
    count = gold.shape[1]
    taxonomy = Taxonomy.from_edges([("0", str(i)) for i in range(1, count)], labels=["0"])
    gold[0, -1] = True
    scores = np.maximum(scores, np.float32(0.01))
    decoding, report = tuned(scores, gold, taxonomy, method="level", metric=metric, shrink=0)
    best = max(
        f1(gold, np.hstack([scores[:, :1] > top, scores[:, 1:] > below]), metric)
        for top in every_threshold(scores[:, :1])
        for below in every_threshold(scores[:, 1:])
    )
    assert report.after == pytest.approx(best)
    assert report.level_thresholds == decoding.level_thresholds
    assert len(decoding.level_thresholds) == 2
    sets = Decoder(decoding, taxonomy).sets(scores)
    assert report.after == pytest.approx(f1(gold, sets.toarray(), metric))


def test_the_threshold_is_the_midpoint_of_the_gap():
    decoding, report = tuned([[0.75], [0.5], [0.25]], [[1], [1], [0]], method="global")
    assert decoding.threshold == 0.375
    assert report.before == pytest.approx(2 / 3)
    assert report.after == 1.0


def test_of_equally_good_gaps_the_widest_wins():
    # cutting below 0.9 (1 hit of 1) and below 0.5 (2 hits of 4) both give F1 2/3
    decoding, _ = tuned([[0.9], [0.8], [0.7], [0.5]], [[1], [0], [0], [1]], method="global")
    assert decoding.threshold == pytest.approx(0.25)
    decoding, _ = tuned([[0.9], [0.4], [0.35], [0.3]], [[1], [0], [0], [1]], method="global")
    assert decoding.threshold == pytest.approx(0.65)


def test_a_label_threshold_is_pulled_to_the_common_one_in_logits_by_its_positives():
    scores = [[0.9, 0.3], [0.8, 0.2], [0.1, 0.1], [0.7, 0.05]]
    gold = [[1, 1], [1, 1], [0, 0], [0, 0]]

    def logit(p):
        return np.log(p / (1 - p))

    free, _ = tuned(scores, gold, metric="macro_f1", shrink=0)
    pulled, report = tuned(scores, gold, metric="macro_f1", shrink=6)
    assert pulled.threshold == free.threshold
    for label, own in free.label_thresholds.items():
        expected = (2 * logit(own) + 6 * logit(free.threshold)) / 8
        assert logit(pulled.label_thresholds[label]) == pytest.approx(expected)
    assert report.shrink == 6
    assert report.tuned_labels == 2


def test_labels_without_positives_or_without_a_score_for_one_keep_the_common_threshold():
    scores = [[0.9, 0.6, 0.0], [0.2, 0.7, 0.3]]
    gold = [[1, 0, 1], [0, 0, 0]]
    decoding, report = tuned(scores, gold, shrink=0)
    assert set(decoding.label_thresholds) == {"l0"}
    assert report.tuned_labels == 1


def test_labels_may_be_pulled_to_the_threshold_of_their_level():
    random = np.random.default_rng(1)
    taxonomy = Taxonomy.from_edges([("0", "1"), ("0", "2")], labels=["0"])
    gold = random.random((60, 3)) < 0.3
    scores = np.clip(gold * 0.3 + random.random((60, 3)) * 0.5, 0.01, 0.99)
    decoding, report = tuned(scores, gold, taxonomy, towards="level", shrink=1e9)
    assert report.level_thresholds is not None
    thresholds = Decoder(decoding, taxonomy).thresholds
    expected = np.asarray(decoding.level_thresholds)[taxonomy.levels - 1]
    assert thresholds == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx([decoding.threshold] * 3, rel=1e-6)


def test_shrinkage_is_chosen_by_cross_validation():
    random = np.random.default_rng(0)
    gold = random.random((150, 12)) < 0.15
    noise = np.clip(gold * 0.35 + random.random((150, 12)) * 0.6, 0.0, 1.0)
    first = tuned(noise, gold, shrink="auto", seed=3)
    assert first[1].shrink in (*SHRINK_GRID, None)
    assert 0 < first[1].cross_validated <= first[1].after
    assert first == tuned(noise, gold, shrink="auto", seed=3)
    assert tuned(noise, gold, method="global", shrink="auto")[1].shrink is None


def test_cross_validation_trusts_labels_that_differ_and_distrusts_labels_that_do_not():
    random = np.random.default_rng(4)
    gold = random.random((300, 8)) < 0.2
    alike = np.clip(np.where(gold, 0.6, 0.4) + random.normal(0, 0.15, gold.shape), 0.01, 0.99)
    apart = 1 / (1 + np.exp(-(np.log(alike / (1 - alike)) + np.linspace(-4, 4, 8))))
    same, different = (tuned(scores, gold, shrink="auto")[1] for scores in (alike, apart))
    assert same.shrink is None or different.shrink < same.shrink  # None: one threshold for all labels
    assert different.cross_validated > tuned(apart, gold, method="global")[1].after


def test_cross_validation_needs_two_documents():
    with pytest.raises(ConfigError, match="only one document"):
        tuned([[0.5]], [[1]], shrink="auto")


def test_other_settings_and_the_provenance_are_kept():
    base = Decoding(top_k=2, exclude=("l1",), threshold=0.9, label_thresholds={"l0": 0.5})
    decoding, report = tuned([[0.9, 0.8], [0.5, 0.1]], [[1, 1], [0, 0]], base=base, metric="macro_f1")
    assert (decoding.top_k, decoding.exclude) == (2, ("l1",))
    assert (decoding.tuned_on, decoding.metric) == (ON, "macro_f1")
    assert set(decoding.label_thresholds) == {"l0"}
    assert report.before == report.after == 0.5  # an excluded label is never answered
    assert (report.documents, report.method, report.tuned_on) == (2, "label", ON)
    assert json.loads(json.dumps(report.to_dict()))["after"] == 0.5
    with pytest.raises(LabelError):
        tuned([[0.9]], [[1]], base=Decoding(exclude=("nobody",)))


def test_a_threshold_is_never_below_the_floor():
    scores = csr_array(np.array([[0.5], [0.25]], np.float32))
    gold = csr_array(np.ones((2, 1), bool))
    taxonomy = Taxonomy.flat(["a"])
    told, _ = tune(scores, gold, taxonomy, tuned_on=ON, method="global", floor=0.125)
    assert told.threshold == 0.1875
    guessed, _ = tune(scores, gold, taxonomy, tuned_on=ON, method="global")
    assert 0.2499 < guessed.threshold < 0.25
    assert Decoder(guessed, taxonomy).sets(scores.toarray()).nnz == 2


def test_a_score_of_one_always_passes_and_thresholds_stay_below_one():
    decoding, report = tuned([[1.0, 1.0], [1.0, 0.5]], [[0, 1], [0, 0]], shrink=0)
    assert 0 < decoding.threshold < 1
    assert all(0 < t < 1 for t in decoding.label_thresholds.values())
    assert report.after > 0


def test_when_no_gold_label_has_a_score_the_threshold_of_the_base_stays():
    decoding, report = tuned([[0.0, 0.6]], [[1, 0]], base=Decoding(threshold=0.7))
    assert decoding.threshold == 0.7
    assert decoding.label_thresholds == {}
    assert report.after == 0.0


def test_scores_are_collected_block_by_block():
    random = np.random.default_rng(0)
    block = random.random((6, 5), dtype=np.float32)
    stacked = vstack([sparse_scores(block[:4], 0.3), sparse_scores(block[4:], 0.3)], format="csr")
    assert stacked.dtype == np.float32
    assert (stacked.toarray() == np.where(block > np.float32(0.3), block, 0)).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tuned_on": " "}, "tuned_on is empty"),
        ({"method": "labels"}, "Did you mean 'label'"),
        ({"metric": "f1"}, "metric is 'f1'"),
        ({"towards": "root"}, "towards is 'root'"),
        ({"shrink": -1}, "shrink is -1"),
        ({"shrink": "some"}, "shrink is 'some'"),
        ({"shrink": float("nan")}, "shrink is nan"),
        ({"floor": 1.0}, "floor is 1.0"),
        ({"folds": 1}, "folds is 1"),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(ConfigError) as caught:
        tuned([[0.5]], [[1]], **options)
    assert sentence in str(caught.value)


def test_all_wrong_options_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        tuned([[0.5]], [[1]], tuned_on="", method="x", metric="y")
    assert len(caught.value.problems) == 3


def test_data_without_a_label_are_refused():
    with pytest.raises(DataError, match="no document has a label"):
        tuned([[0.5]], [[0]])


def test_shapes_and_values_must_fit():
    gold, taxonomy = csr_array(np.ones((1, 2), bool)), Taxonomy.flat(["a", "b"])
    for scores, message in (
        (np.ones((1, 2), np.float32), "scores is a ndarray"),
        (csr_array(np.ones((2, 2), np.float32)), "scores has shape"),
        (csr_array(np.full((1, 2), 3, np.float32)), "not probabilities"),
        (csr_array(np.full((1, 2), np.nan, np.float32)), "not probabilities"),
    ):
        with pytest.raises(ValueError, match=message):
            tune(scores, gold, taxonomy, tuned_on=ON)
    with pytest.raises(ValueError, match="gold has 2 label columns, not 1"):
        tune(gold, gold, Taxonomy.flat(["a"]), tuned_on=ON)


def test_tens_of_thousands_of_labels_are_tuned_in_seconds():
    random = np.random.default_rng(0)
    documents, labels, stored = 2_000, 30_000, 100
    ids = np.sort(random.integers(0, labels, (documents, stored)), axis=1)
    indptr = np.arange(0, documents * stored + 1, stored)
    scores = csr_array(
        (random.random(ids.size, dtype=np.float32) * 0.9, ids.ravel(), indptr), shape=(documents, labels)
    )
    scores.sum_duplicates()
    scores.data = np.minimum(scores.data, np.float32(1))
    gold = csr_array((scores.data > 0.5, scores.indices, scores.indptr), shape=scores.shape)
    decoding, report = tune(scores, gold, Taxonomy.flat(map(str, range(labels))), tuned_on=ON)
    assert decoding.threshold == pytest.approx(0.5, abs=1e-3)
    assert report.after > 0.9


# -- rules -----------------------------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(st.data(), st.sampled_from(["none", "up", "down"]), st.sampled_from(["label", "level", "global"]))
def test_what_is_reported_is_what_decoding_gives_whatever_the_rules(data, rule, method):
    taxonomy, _ = data.draw(graphs())
    random = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    raw = np.maximum(random.integers(0, 8, (9, len(taxonomy))) / 8, 0.01).astype(np.float32)
    gold = csr_array(random.random(raw.shape) < 0.4)
    if gold.nnz == 0:
        return
    base = Decoding(
        consistency=rule,
        top_k=data.draw(st.none() | st.integers(1, 3)),
        never_empty=data.draw(st.booleans()),
        exclude=taxonomy.ids[:1] if len(taxonomy) > 1 and data.draw(st.booleans()) else (),
    )
    metric = data.draw(st.sampled_from(["micro_f1", "macro_f1"]))
    scores = sparse_scores(Decoder(base, taxonomy).scores(raw), 0.0)
    shrink = data.draw(st.sampled_from(["auto", 0.0, 3.0]))
    decoding, report = tune(
        scores, gold, taxonomy, tuned_on=ON, base=base, metric=metric, method=method, shrink=shrink, floor=0.001
    )

    def by_hand(sets):
        """A metric of sets, one label at a time."""
        tp, size = (gold.multiply(sets)).sum(0), gold.sum(0) + sets.sum(0)
        if metric == "micro_f1":
            return 2 * tp.sum() / size.sum()
        return np.divide(2 * tp, size, out=np.zeros(len(taxonomy)), where=size > 0).mean()

    assert report.after == pytest.approx(by_hand(Decoder(decoding, taxonomy).sets(raw)))
    assert report.before == pytest.approx(by_hand(Decoder(base, taxonomy).sets(raw)))
    assert report.cross_validated == pytest.approx(by_hand(report.cross_validated_sets))
    assert (report.consistency, decoding.consistency) == (rule, rule)


def test_thresholds_of_labels_that_a_rule_spoils_are_not_taken():
    """Alone the parent wants a threshold above that of the child; with ``up`` every child brings it back."""
    taxonomy = Taxonomy.from_edges([("science", "physics")], labels=["science"])
    random = np.random.default_rng(2)
    gold = np.stack([random.random(300) < 0.2, random.random(300) < 0.5], 1)  # not closed: the rule is wrong here
    raw = np.where(gold, [0.9, 0.3], [0.6, 0.1]) + random.normal(0, 0.1, gold.shape)
    raw = np.clip(raw, 0.01, 0.99).astype(np.float32)

    def found(rule, threshold):
        base = Decoding(consistency=rule)
        scores = sparse_scores(Decoder(base, taxonomy).scores(raw), 0.0)
        decoding, report = tune(scores, csr_array(gold), taxonomy, tuned_on=ON, base=base, shrink=threshold)
        sets = Decoder(decoding, taxonomy).sets(raw).toarray()
        assert report.after == pytest.approx(f1(gold, sets, "micro_f1"))
        return report

    spoilt = found("up", "auto")
    assert spoilt.cross_validated < found("none", "auto").cross_validated
    # the best single decision for both labels together, by brute force over thresholds of the two
    best = 0.0
    up = np.maximum(raw, [[1, 0]] * raw[:, 1:])
    for parent, child in itertools.product(np.linspace(0.02, 0.98, 49), repeat=2):
        sets = up > [parent, child]
        sets[:, 0] |= sets[:, 1]
        best = max(best, f1(gold, sets, "micro_f1"))
    assert spoilt.after >= best - 0.03


def test_cross_validation_is_never_below_one_half_for_all_labels():
    for seed in range(8):
        random = np.random.default_rng(seed)
        gold = random.random((20, 4)) < 0.3
        scores = np.clip(gold * 0.4 + random.random(gold.shape) * 0.6, 0.01, 0.99)
        for metric in ("micro_f1", "macro_f1"):
            report = tuned(scores, gold, shrink="auto", metric=metric)[1]
            assert report.cross_validated >= report.before - 1e-12
