"""Matching of texts and labels: what is drawn, and the losses by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from taxotext import Taxonomy
from taxotext.labels.branches import LabelGraph
from taxotext.nn.batch import Targets
from taxotext.nn.branches import BranchIndex
from taxotext.nn.features import TextFeatures
from taxotext.nn.graph_networks import GatedGcn
from taxotext.nn.heads import LinearHead
from taxotext.nn.matching import MatchingHead
from tiny import tiny_taxonomy


def head_of(taxonomy: Taxonomy) -> MatchingHead:
    torch.manual_seed(0)
    labels, edges = len(taxonomy), torch.tensor(taxonomy.edge_index)
    network = GatedGcn(4, edges, torch.ones(edges.shape[1]), BranchIndex(torch.zeros(labels, dtype=torch.long), 1))
    index = BranchIndex(torch.zeros(labels, dtype=torch.long), 1)
    owned = torch.ones(labels, dtype=torch.bool)
    return MatchingHead(LinearHead(5, labels), index, torch.arange(labels), owned, 4, False, 5, network, 8, edges)


def test_drawn_labels_are_of_the_family_and_never_gold() -> None:
    taxonomy = tiny_taxonomy()
    head = head_of(taxonomy)
    rows = [["animals", "fish", "food"], ["animals", "cats", "dogs"], list(taxonomy.ids), ["animals"], []]
    gold = torch.zeros(5, 7, dtype=torch.bool)
    for row, labels in enumerate(rows):
        gold[row, taxonomy.indices(labels).tolist()] = True
    seen: list[set[tuple[str, str, str]]] = [set() for _ in rows]
    for _ in range(200):
        drawn = {which: found[:, 0] for which, found in head.draw(gold).items()}  # of the only branch
        assert drawn["has_positive"].tolist() == [True, True, True, True, False]
        assert drawn["has_other"].tolist() == [True, True, False, True, True]
        for row, labels in enumerate(rows[:4]):
            positive, parent, sibling, other = (
                int(drawn[which][row]) for which in ("positive", "parent", "sibling", "other")
            )
            assert gold[row, positive]
            assert parent in (taxonomy.parents(positive).tolist() or [positive])
            if drawn["has_sibling"][row]:
                assert sibling in taxonomy.siblings(positive)
                assert not gold[row, sibling]
            if drawn["has_other"][row]:
                assert not gold[row, other]
            name = taxonomy.ids[sibling] if drawn["has_sibling"][row] else ""
            seen[row].add((taxonomy.ids[positive], taxonomy.ids[parent], name))
            assert set(labels) >= {taxonomy.ids[positive]}
    assert ("fish", "food", "bread") in seen[0]
    assert ("fish", "animals", "cats") in seen[0]
    assert ("animals", "animals", "") in seen[0]  # the other root is gold
    assert seen[3] == {("animals", "animals", "food")}
    assert all(sibling == "" for _, _, sibling in seen[2])


@pytest.mark.parametrize("there", [True, False])
def test_the_losses_are_hinges_over_mean_squares(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    head = head_of(tiny_taxonomy())
    texts, labels = torch.zeros(2, 1, 8), torch.zeros(7, 8)
    for label, square in enumerate((0.05, 0.01, 0.02, 0.3)):
        labels[label] = square**0.5  # d = square
    row = torch.tensor([[0], [0]])
    yes = torch.tensor([[True], [False]])
    drawn = {"positive": row, "parent": row + 1, "sibling": row + 2, "other": row + 3, "has_positive": yes}
    drawn |= {"has_sibling": yes & there, "has_other": yes}
    monkeypatch.setattr(head, "draw", lambda gold: drawn)
    found = head.matching(texts, labels, torch.zeros(2, 7))
    # pos 0.05; parent 0.01 - 0.01 / 8; sibling 0.1 - 0.02 + 0.05; other 0.2 - 0.3 + 0.05 < 0
    expected = 0.05 + 0.01 - 0.00125 + (0.13 if there else 0.0)
    torch.testing.assert_close(found, torch.tensor([expected, 0.0]))


def test_labels_are_encoded_in_training_only() -> None:
    head = head_of(tiny_taxonomy())
    head.inner.use(Nothing())
    calls: list[int] = []

    def encode() -> torch.Tensor:
        calls.append(int(head.steps))
        return torch.randn(7, 5)

    head.encode, head.refresh = encode, 3
    features = TextFeatures(
        torch.zeros(2, 1, 3), torch.ones(2, 1, dtype=torch.bool), torch.randn(2, 5), torch.randn(2, 7, 4)
    )
    targets = Targets(torch.tensor([0, 2]), torch.tensor([0, 2, 2]), 7)
    for _ in range(7):
        head.loss(features, targets)
    assert calls == [0, 3, 6]
    head.eval()
    head.loss(features, targets)
    assert calls == [0, 3, 6]
    head.train()
    head.loss(features, targets).backward()
    assert all(parameter.grad is not None for parameter in [*head.of_text.parameters(), *head.of_label.parameters()])
    assert head.network.up.grad is not None


@pytest.mark.parametrize("masked", [False, True])
def test_branches_draw_among_their_own_labels_and_share_no_weights(masked: bool) -> None:
    taxonomy = tiny_taxonomy()
    graph = LabelGraph.split(taxonomy, "root")  # fish is below both roots
    graph = graph.masked() if masked else graph
    labels, branch, owned, edges = (
        torch.from_numpy(array.copy()) for array in (graph.labels, graph.branch, graph.owned, graph.edges)
    )
    index = BranchIndex(branch, graph.count)
    network = GatedGcn(4, edges, torch.ones(edges.shape[1]), index)
    inner = LinearHead(5, len(taxonomy))
    inner.use(Nothing())
    head = MatchingHead(inner, index, labels, owned, 4, True, 5, network, 8, edges)
    rows = [["animals", "fish", "food"], ["animals", "cats"], []]
    gold = torch.zeros(3, 7, dtype=torch.bool)
    for row, names in enumerate(rows):
        gold[row, taxonomy.indices(names).tolist()] = True
    for _ in range(100):
        drawn = head.draw(gold[:, labels])
        assert drawn["has_positive"].tolist() == [[True, True], [True, False], [False, False]]
        for row, number in [(0, 0), (0, 1), (1, 0)]:  # where a label of the branch is gold
            chosen = {which: int(drawn[which][row, number]) for which in ("positive", "parent", "sibling", "other")}
            for which, node in chosen.items():
                if which == "parent" or drawn[f"has_{which}"][row, number]:
                    assert owned[node]
                    assert int(branch[node]) == number
                    assert which == "parent" or bool(gold[row, labels[node]]) == (which == "positive")
            if drawn["has_sibling"][row, number]:
                positive, sibling = (int(labels[chosen[which]]) for which in ("positive", "sibling"))
                assert sibling in taxonomy.siblings(positive)
    head.label_texts.normal_()
    vectors = torch.randn(2, len(graph), 4)
    features = TextFeatures(torch.zeros(2, 1, 3), torch.ones(2, 1, dtype=torch.bool), torch.randn(2, 5), vectors)
    cats = int(taxonomy.indices(["cats"])[0])
    head.loss(features, Targets(torch.tensor([cats]), torch.tensor([0, 1, 1]), 7)).backward()  # in one branch alone
    for layer in (head.project, head.of_text.first, head.of_text.second, head.of_label.first, head.of_label.second):
        moved = [bool(weight.any()) for weight in layer.weight.grad]
        assert sorted(moved) == [False, True]


class Nothing(nn.Module):
    def forward(self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        return 0 * logits.sum()
