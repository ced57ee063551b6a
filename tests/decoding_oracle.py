"""Decoding by the book, one label at a time: what the decoder is compared with, and random cases for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import expit, logit

from taxotext.decoding import Decoding
from taxotext.labels import Taxonomy

GRID = [0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.8, 1.0]  # few values, so that ties and equalities happen


# science -> physics -> optics; science -> maths; optics is under maths too; sport alone
TAXONOMY = Taxonomy.from_edges(
    [
        (None, "science"),
        ("science", "physics"),
        ("physics", "optics"),
        ("science", "maths"),
        ("maths", "optics"),
        (None, "sport"),
    ]
)


@st.composite
def graphs(draw: Any) -> tuple[Taxonomy, np.ndarray]:
    """A random DAG of one to seven labels (often a tree or flat), and a dense block of one to three documents."""
    count = draw(st.integers(1, 7))
    order = draw(st.permutations(range(count)))
    edges = [(str(order[i]), str(order[j])) for j in range(count) for i in range(j) if draw(st.integers(0, 3)) == 0]
    taxonomy = Taxonomy.from_edges(edges, labels=[str(i) for i in range(count)])
    rows = draw(st.integers(1, 3))
    block = np.array(draw(st.lists(st.sampled_from(GRID), min_size=count * rows, max_size=count * rows)))
    return taxonomy, block.reshape(rows, count).astype(np.float32)


@st.composite
def decodings(draw: Any, taxonomy: Taxonomy) -> Decoding:
    """Random rules, in all combinations."""
    some = st.lists(st.sampled_from(taxonomy.ids), max_size=4)
    thresholds = st.sampled_from([0.1, 0.3, 0.45, 0.5, 0.8])
    temperatures = st.sampled_from([0.5, 1.0, 3.0])
    points = st.sampled_from([((0.0, 0.0), (0.5, 0.2), (1.0, 0.9)), ((0.0, 0.0), (0.2, 0.5), (0.6, 0.5), (1.0, 1.0))])
    top_k = draw(st.none() | st.integers(1, 4))
    include = draw(st.none() | st.lists(st.sampled_from(taxonomy.ids), unique=True, min_size=1, max_size=4))
    exclude = [label for label in draw(some) if label not in (include or ())]
    if set(exclude) == set(taxonomy.ids):
        exclude = []
    return Decoding(
        threshold=draw(thresholds | st.none()) if top_k else draw(thresholds),
        level_thresholds=draw(st.none() | st.tuples(*[thresholds] * taxonomy.depth)),
        label_thresholds=draw(st.dictionaries(st.sampled_from(taxonomy.ids), thresholds, max_size=3)),
        top_k=top_k,
        never_empty=draw(st.booleans()),
        include=include,
        exclude=tuple(exclude),
        consistency=draw(st.sampled_from(["none", "up", "down"])),
        calibration=draw(st.sampled_from(["none", "none", "temperature", "isotonic"])),
        temperature=draw(temperatures),
        label_temperatures=draw(st.dictionaries(st.sampled_from(taxonomy.ids), temperatures, max_size=2)),
        breakpoints=draw(st.just(()) | points),
        label_breakpoints=draw(st.dictionaries(st.sampled_from(taxonomy.ids), points, max_size=2)),
    )


def calibrated(decoding: Decoding, label: str, score: float) -> float:
    """Step 1 of one score."""
    if decoding.calibration == "temperature":
        temperature = decoding.label_temperatures.get(label, decoding.temperature)
        return score if temperature == 1 else float(np.float32(expit(logit(score) / temperature)))
    points = decoding.label_breakpoints.get(label) or decoding.breakpoints
    if decoding.calibration == "isotonic" and points:
        return float(np.float32(np.interp(score, [x for x, _ in points], [y for _, y in points])))
    return score


def consistent(taxonomy: Taxonomy, scores: list[float], consistency: str) -> list[float]:
    """Step 2 of one document; minus infinity marks what is not a candidate."""
    count = range(len(taxonomy))
    if consistency == "up":
        return [max(scores[j] for j in [i, *taxonomy.descendants(i)]) for i in count]
    if consistency == "down":
        lowest = [min(scores[j] for j in [i, *taxonomy.ancestors(i)]) for i in count]
        return [max(low, 0.0) if score > -np.inf else score for low, score in zip(lowest, scores, strict=True)]
    return list(scores)


def eligible_labels(decoding: Decoding, taxonomy: Taxonomy) -> set[int]:
    """Step 3."""
    return {
        i
        for i, label in enumerate(taxonomy.ids)
        if (decoding.include is None or label in decoding.include) and label not in decoding.exclude
    }


def answered(
    decoding: Decoding, taxonomy: Taxonomy, scores: list[float], decided: set[int] | None = None
) -> tuple[set[int], list[int]]:
    """Steps 3 to 7 of one document, and the ranking of its eligible candidates.

    Args:
        decoding: the rules.
        taxonomy: the labels.
        scores: after step 2; minus infinity marks what is not a candidate.
        decided: what the system itself has decided on.
    """
    count = range(len(taxonomy))
    eligible = eligible_labels(decoding, taxonomy)
    candidates = {i for i in eligible if scores[i] > -np.inf}

    def threshold(i: int) -> float:
        if taxonomy.ids[i] in decoding.label_thresholds:
            return decoding.label_thresholds[taxonomy.ids[i]]
        if decoding.level_thresholds is not None:
            return float(decoding.level_thresholds[taxonomy.levels[i] - 1])
        return -1 if decoding.threshold is None else decoding.threshold

    def place(i: int) -> tuple[float, int, int]:
        return (-max(scores[i], 0.0), 0 if decoding.consistency == "none" else int(taxonomy.levels[i]), i)

    chosen = {i for i in candidates if scores[i] > threshold(i)} if decided is None else decided & eligible
    above = {i: set(taxonomy.ancestors(i).tolist()) & eligible for i in count}
    if decoding.consistency == "up":
        chosen = chosen.union(*(above[i] for i in chosen))
    elif decoding.consistency == "down":
        chosen = {i for i in chosen if above[i] <= chosen}
    if decoding.top_k is not None:
        chosen = set(sorted(chosen, key=place)[: decoding.top_k])
    if decoding.never_empty and not chosen:
        whole = {i for i in candidates if decoding.consistency != "down" or above[i] <= candidates}
        chosen = set(sorted(whole, key=place)[:1])
    if decoding.consistency != "none":  # what the class promises of steps 6 and 7
        assert all(above[i] <= chosen for i in chosen)
    return chosen, sorted(candidates, key=place)
