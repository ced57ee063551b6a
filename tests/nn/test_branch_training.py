"""Branches in training: masking against projection, where the loss starts, and branches of one label."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext import Taxonomy
from taxotext.labels.branches import LabelGraph
from taxotext.nn.batch import Targets
from taxotext.nn.branches import BranchIndex
from taxotext.nn.features import TextFeatures
from taxotext.nn.graph_networks import GatedGcn, GraphAttention, TreeLstm
from taxotext.nn.heads import LogitHead
from taxotext.nn.label_heads import BranchesHead, FlattenedHead, LayersHead
from taxotext.nn.structure import CodingTreeNetwork, StructuredLabelAttention, TextPropagation, TextToNodes
from tiny import tiny_taxonomy

BRANCHES = LabelGraph.split(tiny_taxonomy(), "root")
INPUTS = 16


def parts_of(kind: str, graph: LabelGraph, width: int, bias: Tensor | None = None) -> tuple[nn.Module, LogitHead]:
    """A structure encoder and its head, with little dropout."""
    index = BranchIndex(torch.from_numpy(graph.branch.copy()), graph.count)
    if kind == "coding_tree":
        parents, branches = ([torch.from_numpy(row.copy()) for row in rows] for rows in graph.coding_trees(2))
        tree = CodingTreeNetwork(INPUTS, width, parents, branches, "sum", 0.1)
        return tree, LayersHead(width, 3, index, 0.1, bias, tree.added)
    edges = torch.from_numpy(graph.edges.copy())
    prior = torch.full((edges.shape[1],), 0.5)
    network = {
        "gcn": lambda: GatedGcn(width, edges, prior, index),
        "treelstm": lambda: TreeLstm(width, edges, prior, index),
        "gat": lambda: GraphAttention(width, edges, index, heads=2),
    }[kind]()
    nodes = TextToNodes(INPUTS, len(graph), width, low_rank=False)
    return TextPropagation(nodes, network, 0.1), FlattenedHead(width, index, 0.1, bias)


def texts(documents: int) -> TextFeatures:
    pooled = torch.relu(0.3 * torch.randn(documents, INPUTS) + 0.3)  # as maxima of convolutions are
    return TextFeatures(torch.zeros(documents, 1, 3), torch.ones(documents, 1, dtype=torch.bool), pooled)


def copy_to_mask(mine: nn.Module, masked: nn.Module, owned: Tensor, first: dict[str, int]) -> None:
    """Weights of nodes go to the nodes that are owned; those of other nodes become 0."""
    given = dict(mine.named_parameters())
    with torch.no_grad():
        for name, parameter in masked.named_parameters():
            if parameter.shape == given[name].shape:
                parameter.copy_(given[name])
            else:
                at = first.get(name, 0)
                parameter.zero_()
                parameter.movedim(at, 0)[owned] = given[name].movedim(at, 0)


def together(head: LogitHead, graph: LabelGraph) -> BranchesHead:
    head.use(nn.Identity(), recursive=0.1, edges=torch.from_numpy(graph.edges.copy()))
    arrays = (torch.from_numpy(array.copy()) for array in (graph.labels, graph.branch, graph.owned))
    return BranchesHead(head, *arrays, len(graph.taxonomy), "label_sum")


def check_equal(mine: tuple[nn.Module, LogitHead], masked: tuple[nn.Module, LogitHead]) -> None:
    """Projection and masking have the same logits, loss and regulariser."""
    features, found = texts(3), []
    targets = Targets(torch.tensor([0, 3, 6]), torch.tensor([0, 1, 2, 3]), 7, None)
    for (structure, head), graph in zip((mine, masked), (BRANCHES, BRANCHES.masked()), strict=True):
        branches, given = together(head.eval(), graph), structure.eval()(features)
        found.append((branches.logits(given), branches.loss(given, targets), head.penalty()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_a_masked_coding_tree_has_the_logits_loss_and_regulariser_of_projection() -> None:
    torch.manual_seed(0)
    graphs = (BRANCHES, BRANCHES.masked())
    mine, masked = (parts_of("coding_tree", graph, 6) for graph in graphs)
    owned = torch.from_numpy(graphs[1].owned)
    masked[0].load_state_dict(mine[0].state_dict())
    copy_to_mask(mine[1], masked[1], owned, {"weight": 1})
    with torch.no_grad():
        masked[1].weight[:, ~owned] = 100.0  # outputs outside of a branch do not count, and are tied to nothing
    check_equal(mine, masked)


@pytest.mark.parametrize("kind", ["gcn", "treelstm", "gat"])
def test_a_mask_whose_other_labels_weigh_nothing_is_projection(kind: str) -> None:
    torch.manual_seed(0)
    graphs = (BRANCHES, BRANCHES.masked())
    mine, masked = (parts_of(kind, graph, 6) for graph in graphs)
    owned = torch.from_numpy(graphs[1].owned)
    wide = owned.repeat_interleave(6)
    copy_to_mask(mine[0].network, masked[0].network, owned, {"gate_bias": 1})
    copy_to_mask(mine[0].nodes, masked[0].nodes, wide, {})
    with torch.no_grad():
        masked[1].bias[owned], masked[1].weight[:] = mine[1].bias, 0.0
        for branch, labels in enumerate(owned.view(2, 7)):
            columns, rows = torch.nonzero(labels.repeat_interleave(6)).flatten(), torch.nonzero(labels)
            masked[1].weight[branch][rows, columns] = mine[1].weight[branch, : len(rows), : len(columns)]
    check_equal(mine, masked)


@pytest.mark.parametrize("mode", ["projection", "masking"])
@pytest.mark.parametrize("kind", ["gcn", "treelstm", "gat", "low rank", "attention", "coding_tree"])
def test_no_weight_of_a_structure_or_head_learns_from_two_branches(kind: str, mode: str) -> None:
    torch.manual_seed(0)
    graph = BRANCHES if mode == "projection" else BRANCHES.masked()
    index = BranchIndex(torch.from_numpy(graph.branch.copy()), graph.count)
    structure, head = parts_of({"low rank": "gat", "attention": "gat"}.get(kind, kind), graph, 6)
    if kind == "low rank":
        structure.nodes = TextToNodes(INPUTS, len(graph), 6, low_rank=True, index=index)
    elif kind == "attention":
        structure = StructuredLabelAttention(index, 3, structure.network, 6, 0.1)
    features = replace(texts(4), tokens=torch.randn(4, 2, 3), mask=torch.ones(4, 2, dtype=torch.bool))
    targets = Targets(torch.tensor([0, 3, 6]), torch.tensor([0, 1, 2, 3, 3]), 7, None)
    losses, _ = together(head, graph).losses(structure(features), targets)
    weights = [*structure.parameters(), *head.parameters()]
    each = [torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) for loss in losses]
    learned = [torch.stack([one != 0 for one in pair]) for pair in zip(*each, strict=True) if None not in pair]
    assert sum(int(branch.sum()) for numbers in learned for branch in numbers) > 100
    assert all(int(numbers.sum(0).max()) < 2 for numbers in learned)


@pytest.mark.parametrize("mode", ["whole", "projection", "masking"])
def test_logits_of_a_coding_tree_start_near_the_log_odds_however_many_labels_there_are(mode: str) -> None:
    edges = [("a", f"a{n}") for n in range(60)] + [("b", f"b{n}") for n in range(10)]
    taxonomy = Taxonomy.from_edges(edges, labels=["a", "b", "alone"])
    graph = LabelGraph.whole(taxonomy) if mode == "whole" else LabelGraph.split(taxonomy, "root")
    graph = graph.masked() if mode == "masking" else graph
    for seed in range(5):
        torch.manual_seed(seed)
        structure, head = parts_of("coding_tree", graph, 64, torch.full((len(graph),), -3.0))
        logits = head.logits(structure(texts(32)))[:, torch.from_numpy(graph.owned)]
        assert (logits + 3).pow(2).mean().sqrt() < 1
        # of predicting the frequency alone: log(1 + e^-3)
        assert functional.softplus(logits).mean() < 1.5 * math.log1p(math.exp(-3))


@pytest.mark.parametrize("width", [8, 16])
@pytest.mark.parametrize("kind", ["gcn", "treelstm", "gat", "coding_tree"])
def test_every_branch_of_one_label_gets_gradients_and_learns_one_batch_by_heart(kind: str, width: int) -> None:
    graph = LabelGraph.split(Taxonomy.flat(f"l{n}" for n in range(100)), "root")
    torch.manual_seed(width)  # the weights of each branch are drawn anew: a hundred starts
    structure, head = parts_of(kind, graph, width, torch.full((100,), -1.9))
    features = texts(8)
    gold = functional.one_hot(torch.randint(8, (100,)), 8).T.float()  # (8, 100), one document of each label
    first = structure.projection.weight if kind == "coding_tree" else structure.nodes.output.weight

    def loss() -> Tensor:
        return functional.binary_cross_entropy_with_logits(head.logits(structure(features)), gold) * 100

    structure.eval(), head.eval()
    for document in range(8):
        one = TextFeatures(features.tokens[[document]], features.mask[[document]], features.pooled[[document]])
        (found,) = torch.autograd.grad(head.logits(structure(one)).sum(), first)
        assert (found.reshape(100, -1).norm(dim=1) > 0).all(), "a document moves every branch"
    structure.train(), head.train()
    optimiser = torch.optim.AdamW([*structure.parameters(), *head.parameters()], 0.01)
    for _ in range(300):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    structure.eval(), head.eval()
    with torch.no_grad():
        learned = ((head.logits(structure(features)) > 0) == (gold > 0.5)).all(0)
    assert learned.all(), f"{int((~learned).sum())} of 100 branches"
