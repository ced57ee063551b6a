"""The policy that walks down a taxonomy: a step by hand, its candidates, the searches, and its loss."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taxotext import Taxonomy
from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.sequence.decoder import BLOCKED
from taxotext.nn.sequence.head import SequenceHead
from taxotext.nn.sequence.order import TaxonomyOrder
from taxotext.nn.sequence.policy import LabelPolicy

WIDTH = 5
DAG = Taxonomy.from_edges([(None, "a"), (None, "b"), ("a", "c"), ("a", "d"), ("b", "d")])  # d has two parents
A, B, C, D = (DAG.index(label) for label in "abcd")


@pytest.fixture(autouse=True)
def _one_thread_and_no_gradients() -> Iterator[None]:
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


def policy_of(taxonomy: Taxonomy = DAG, seed: int = 0) -> LabelPolicy:
    torch.manual_seed(seed)
    order = TaxonomyOrder(np.asarray(taxonomy.edge_index, dtype=np.int64), taxonomy.closure, "top_down")
    policy = LabelPolicy(len(taxonomy), WIDTH, label_width=3, hidden=4, order=order, dropout=0.0)
    torch.nn.init.normal_(policy.bias)
    return policy.eval()


def features_of(documents: int = 3) -> TextFeatures:
    torch.manual_seed(1)
    return TextFeatures(
        torch.randn(documents, 2, WIDTH), torch.ones(documents, 2, dtype=torch.bool), torch.randn(documents, WIDTH)
    )


def head_of(policy: LabelPolicy, **chosen: Any) -> SequenceHead:
    labels = policy.labels
    values: dict[str, Any] = {"longest": labels, "beams": 1, "objective": "order_free", **chosen}
    return SequenceHead(policy, torch.arange(labels), torch.zeros(labels, dtype=torch.int64), **values).eval()


def walks() -> list[tuple[int, ...]]:
    """Every sequence in which each label comes behind all of its parents."""
    found = []
    for size in range(5):
        for chosen in permutations((A, B, C, D), size):
            place = {label: number for number, label in enumerate(chosen)}
            fine = (C not in place or place.get(A, 9) < place[C]) and (
                D not in place or max(place.get(A, 9), place.get(B, 9)) < place[D]
            )
            if fine:
                found.append(chosen)
    return found


def scored(head: SequenceHead, features: TextFeatures, walk: tuple[int, ...]) -> Tensor:
    whole = torch.tensor([[*walk, head.decoder.end]]).expand(features.documents, -1)
    return head.log_likelihood(features, whole).sum(1)


def test_a_step_by_hand() -> None:
    policy, features = policy_of(), features_of(2)
    memory, state = policy.start(features)
    emitted = torch.zeros(2, 1, 5, dtype=torch.bool)
    emitted[:, 0, A] = True
    found, _ = policy.step(memory, state, torch.full((2, 1), A), emitted)
    for document in range(2):
        given = torch.cat([features.pooled[document], policy.embedding.weight[A]])
        h = torch.relu(policy.second(torch.relu(policy.first(given))))
        candidates = [B, C, policy.end]  # not a, which was taken, nor d, which waits for b
        logits = torch.stack([policy.embedding.weight[label] @ h + policy.bias[label] for label in candidates])
        torch.testing.assert_close(found[document, 0, candidates], torch.log_softmax(logits, 0))
        assert (found[document, 0, [A, D]] < BLOCKED / 2).all()


def test_all_walks_together_have_probability_one() -> None:
    head, features = head_of(policy_of()), features_of()
    total = torch.stack([scored(head, features, walk).exp() for walk in walks()]).sum(0)
    torch.testing.assert_close(total, torch.ones(3))


def test_greedy_and_exact_searches_find_walks_and_the_best_one() -> None:
    policy, features = policy_of(seed=4), features_of()
    scores = torch.stack([scored(head_of(policy), features, walk) for walk in walks()])
    best = head_of(policy, beams=None).search(features)
    torch.testing.assert_close(best.scores, scores.max(0).values)
    for document, place in enumerate(scores.argmax(0).tolist()):
        assert [label for label in best.labels[document].tolist() if label >= 0] == list(walks()[place])
    greedy = head_of(policy).search(features)
    for document, labels in enumerate(greedy.labels.tolist()):
        walk: list[int] = []
        memory, state = policy.start(features)
        emitted, previous = torch.zeros(3, 1, 5, dtype=torch.bool), torch.full((3, 1), policy.begin)
        while True:
            found, state = policy.step(memory, state, previous, emitted)
            label = int(found[document, 0].argmax())
            if label == policy.end:
                break
            walk.append(label)
            emitted[:, 0, label], previous = True, torch.full((3, 1), label)
        assert [label for label in labels if label >= 0] == walk


def test_the_loss_asks_for_gold_labels_that_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, features = policy_of(), features_of(1)
    targets = Targets(torch.tensor(sorted([A, B, D])), torch.tensor([0, 3]), 4)
    drawn = iter([A, C, B, D, policy.end])
    monkeypatch.setattr(SequenceHead, "_draw", staticmethod(lambda given: torch.tensor([[next(drawn)]])))
    found = float(head_of(policy).loss(features, targets))
    expected, walk = 0.0, []
    # After a and the wrong c, b alone is right: d waits for b.
    for label, right in ((A, [A, B]), (C, [B]), (B, [B]), (D, [D]), (policy.end, [policy.end])):
        memory, state = policy.start(features)
        emitted = torch.zeros(1, 1, 5, dtype=torch.bool)
        emitted[:, :, walk] = True
        previous = walk[-1] if walk else policy.begin
        steps, _ = policy.step(memory, state, torch.tensor([[previous]]), emitted)
        expected -= float(steps[0, 0, right].mean())
        walk.append(label)
    assert found == pytest.approx(expected, rel=1e-5)


def test_flat_labels_are_all_candidates_and_the_way_up_is_refused() -> None:
    flat = Taxonomy.from_edges([(None, "a"), (None, "b")])
    policy = policy_of(flat)
    memory, state = policy.start(features_of(1))
    found, _ = policy.step(memory, state, torch.tensor([[policy.begin]]), torch.zeros(1, 1, 3, dtype=torch.bool))
    assert (found > BLOCKED / 2).all()
    order = TaxonomyOrder(np.asarray(DAG.edge_index, dtype=np.int64), DAG.closure, "bottom_up")
    with pytest.raises(ValueError, match="must be top_down"):
        LabelPolicy(4, WIDTH, label_width=3, hidden=4, order=order, dropout=0.0)
