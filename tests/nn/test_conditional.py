"""Labels given their parents: probabilities and losses by hand, trees, a DAG, no edges."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from torch import Tensor

from taxotext import Taxonomy
from taxotext.nn.batch import Targets
from taxotext.nn.conditional import ConditionalHead
from taxotext.nn.features import TextFeatures
from tiny import tiny_taxonomy

TREE = Taxonomy.from_edges([(None, "a"), (None, "b"), ("a", "c"), ("a", "d"), ("b", "e"), ("e", "f"), ("e", "g")])


def head_of(taxonomy: Taxonomy, softmax: bool, tau: float = 0.0) -> ConditionalHead:
    torch.manual_seed(0)
    edges, levels = torch.tensor(taxonomy.edge_index), torch.tensor(taxonomy.levels).long()
    head = ConditionalHead(4, edges, levels, torch.randn(len(taxonomy)), softmax, tau, 0.0)
    torch.nn.init.normal_(head.output.weight)
    return head


def features() -> TextFeatures:
    return TextFeatures(torch.zeros(3, 1, 2), torch.ones(3, 1, dtype=torch.bool), torch.randn(3, 4))


def sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value))


def conditionals(taxonomy: Taxonomy, logits: list[float], softmax: bool) -> list[float]:
    if not softmax:
        return [sigmoid(value) for value in logits]
    found = []
    for label, value in enumerate(logits):
        family = [label, *taxonomy.siblings(label).tolist()]
        found.append(exp(value) / sum(exp(logits[other]) for other in family))
    return found


@pytest.mark.parametrize(
    ("taxonomy", "softmax"),
    [
        (TREE, True),
        (TREE, False),
        (tiny_taxonomy(), False),
        (Taxonomy.flat("abc"), False),
        (Taxonomy.flat("abc"), True),
    ],
    ids=["tree, softmax", "tree", "dag", "flat", "flat, softmax"],
)
def test_probabilities_are_products_down_the_taxonomy(taxonomy: Taxonomy, softmax: bool) -> None:
    head, text = head_of(taxonomy, softmax, tau=0.7), features()
    values = head.scores(text).values
    for row, logits in enumerate(head.logits(text).tolist()):
        found = conditionals(taxonomy, logits, softmax)

        def joint(label: int, found: list[float] = found) -> float:
            return found[label] * min((joint(parent) for parent in taxonomy.parents(label).tolist()), default=1.0)

        expected = torch.tensor([joint(label) for label in range(len(taxonomy))])
        torch.testing.assert_close(values[row], expected, rtol=1e-5, atol=1e-6)
    if softmax:
        torch.testing.assert_close(values[:, taxonomy.roots.tolist()].sum(1), torch.ones(3))


def targets_of(rows: list[list[int]], labels: int, weights: Tensor) -> Targets:
    offsets = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    return Targets(torch.tensor([label for row in rows for label in row]), offsets, labels, weights)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_a_label_is_in_the_loss_where_its_parents_are_gold(softmax: bool, tau: float) -> None:
    head, text = head_of(TREE, softmax, tau), features()
    rows = [[0, 2], [1, 4, 5], []]  # a c; b e f; nothing
    names = [[TREE.ids[label] for label in row] for row in rows]
    assert names == [["a", "c"], ["b", "e", "f"], []]
    weights = [1.0, 0.5, 1.5]
    total = 0.0
    adjusted = (head.logits(text) + tau * head.prior).tolist()
    for row, logits, weight in zip(rows, adjusted, weights, strict=True):
        found = conditionals(TREE, logits, softmax)
        for label, p in enumerate(found):
            if softmax:
                total -= weight * log(p) if label in row else 0.0
            elif all(parent in row for parent in TREE.parents(label).tolist()):
                total -= weight * log(p if label in row else 1 - p)
    loss = head.loss(text, targets_of(rows, len(TREE), torch.tensor(weights)))
    assert float(loss.detach()) == pytest.approx(total / 3.0, rel=1e-5)


def test_in_a_dag_all_parents_have_to_be_gold() -> None:
    taxonomy = tiny_taxonomy()
    head, text = head_of(taxonomy, False), features()
    animals = taxonomy.index("animals")
    loss = head.loss(text, targets_of([[animals]] * 3, len(taxonomy), torch.ones(3)))
    loss.backward()
    asked = head.output.bias.grad != 0
    expected = {"animals", "food", "cats", "dogs"}  # not fish: food is none of the labels
    assert {taxonomy.ids[label] for label in torch.nonzero(asked).flatten().tolist()} == expected


def test_with_tau_training_starts_from_the_same_frequencies() -> None:
    starts = [head_of(TREE, False, tau).output.bias + tau * head_of(TREE, False, tau).prior for tau in (0.0, 0.5, 1.0)]
    torch.testing.assert_close(starts[0], starts[1])
    torch.testing.assert_close(starts[0], starts[2])


@pytest.mark.parametrize("taxonomy", [TREE, tiny_taxonomy()], ids=["tree", "dag"])
def test_gold_labels_without_their_ancestors_are_learned_as_with_them(taxonomy: Taxonomy) -> None:
    head, text = head_of(taxonomy, False), features()
    rows = [[len(taxonomy) - 1], [len(taxonomy) - 3, 0], []]
    closed = [sorted({label for leaf in row for label in [leaf, *taxonomy.ancestors(leaf).tolist()]}) for row in rows]
    assert closed != rows
    losses = [head.loss(text, targets_of(labels, len(taxonomy), torch.ones(3))) for labels in (rows, closed)]
    assert float(losses[0].detach()) == float(losses[1].detach())
