"""The search along a label tree against brute force over all paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taxotext.labels.label_tree import LabelTree, tree_of_clusters, tree_of_taxonomy
from taxotext.nn.candidates import Beam, TreeArrays
from taxotext.nn.tree_search import Kind, TreeSearch
from tiny import tiny_taxonomy

DOCUMENTS = 5


def tree_of(shape: str) -> LabelTree:
    if shape == "dag":
        return tree_of_taxonomy(tiny_taxonomy(), levels=9)
    levels: Any = {"flat": 1, "deep": 3}[shape]
    return tree_of_clusters(np.random.default_rng(0).permutation(60) // 3, branching=3, levels=levels)


class Table:
    """Log-probabilities of all nodes, and how often each was asked for."""

    def __init__(self, tree: LabelTree, spread: float = 2.0) -> None:
        self.logs = [
            torch.nn.functional.logsigmoid(spread * torch.randn(DOCUMENTS, size)) for size in (*tree.nodes, tree.labels)
        ]
        self.asked = [torch.zeros_like(logs, dtype=torch.long) for logs in self.logs]

    def __call__(self, level: int, nodes: Tensor | None) -> Tensor:
        if nodes is None:
            self.asked[level] += 1
            return self.logs[level]
        self.asked[level].scatter_add_(1, nodes.clamp(min=0), (nodes >= 0).long())
        return self.logs[level].gather(1, nodes.clamp(min=0))


def every_score(tree: LabelTree, table: Table, exponent: float) -> Tensor:
    """σ(z_l) · P(n)^β of all labels, (B, N), and of several nodes n the most probable one."""
    path = table.logs[0].exp()
    for level, link in enumerate(tree.links):
        below = torch.from_numpy(link.toarray())  # (n, m)
        above = (path.unsqueeze(2) * below).amax(1)
        own = table.logs[level + 1].exp()
        path = own * (above**exponent if level == len(tree.links) - 1 else above)
    return path


def by_label(found: Beam, row: int) -> dict[int, float]:
    real = found.nodes[row] >= 0
    labels = found.nodes[row][real].tolist()
    assert len(set(labels)) == len(labels), "each label once"
    return dict(zip(labels, found.path[row][real].exp().tolist(), strict=True))


@pytest.mark.parametrize("exponent", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shape", ["flat", "deep", "dag"])
@pytest.mark.parametrize(("beam", "count"), [(1, 1), (2, 5), (4, 7), (2, 40), (3, 500)])
def test_the_exact_search_finds_the_labels_of_the_largest_scores(
    shape: str, exponent: float, beam: int, count: int
) -> None:
    tree = tree_of(shape)
    table = Table(tree)
    scores = every_score(tree, table, exponent)
    found = TreeSearch(beam, "exact", count=count, exponent=exponent)(TreeArrays.of(tree), table)
    for row in range(DOCUMENTS):
        best = scores[row].topk(min(count, tree.labels))
        expected = dict(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        assert by_label(found, row) == pytest.approx(expected, rel=1e-5)
    assert max(int(asked.max()) for asked in table.asked) == 1, "no node is scored twice"


@pytest.mark.parametrize("exponent", [0.4, 1.0])
@pytest.mark.parametrize("shape", ["flat", "deep", "dag"])
@pytest.mark.parametrize("least", [0.02, 0.2, 0.9])
def test_the_search_by_threshold_finds_every_label_above_it_and_no_other(
    shape: str, exponent: float, least: float
) -> None:
    tree = tree_of(shape)
    table = Table(tree)
    scores = every_score(tree, table, exponent)
    found = TreeSearch(1, "threshold", least=least, exponent=exponent)(TreeArrays.of(tree), table)
    for row in range(DOCUMENTS):
        expected = {label: score for label, score in enumerate(scores[row].tolist()) if score >= least}
        assert by_label(found, row) == pytest.approx(expected, rel=1e-5)
    assert max(int(asked.max()) for asked in table.asked) == 1


@pytest.mark.parametrize("kind", ["exact", "threshold"])
def test_nodes_below_the_bound_are_left_out(kind: Kind) -> None:
    tree = tree_of_clusters(np.arange(4096) // 8, branching=8, levels=3)
    table = Table(tree)
    with torch.no_grad():
        for logs in table.logs:
            logs -= 8  # most nodes are improbable
            logs[:, 7] = -0.01
    found = TreeSearch(4, kind, count=3, least=1e-3)(TreeArrays.of(tree), table)
    assert found.nodes.shape[1] < 100
    asked = sum(int(asked.sum()) for asked in table.asked[1:]) / DOCUMENTS
    assert asked < 2000, "of 64 + 512 + 4,096 nodes"


def test_probabilities_of_zero_have_scores_and_are_no_better_than_others() -> None:
    tree = tree_of("flat")
    table = Table(tree)
    table.logs[0][:, 1:] = -torch.inf
    for exponent in (0.0, 0.5, 1.0):
        found = TreeSearch(30, exponent=exponent)(TreeArrays.of(tree), table)
        assert not found.path.isnan().any()
        inside = np.flatnonzero(tree.links[0][[0]].toarray()[0])
        best = found.nodes.gather(1, found.path.topk(3, 1).indices)
        if exponent:
            assert all(sorted(row) == inside.tolist() for row in best.tolist())


def test_an_exponent_that_is_chosen_later_is_saved_and_a_given_one_is_not() -> None:
    assert list(TreeSearch(3, exponent=None).state_dict()) == ["exponent"]
    assert not TreeSearch(3, exponent=0.5).state_dict()
