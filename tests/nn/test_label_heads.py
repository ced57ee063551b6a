"""Heads over label vectors, layers and branches, and the head of HMCN-F, against loops written from their equations."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from taxotext.labels.branches import LabelGraph
from taxotext.nn.batch import Targets
from taxotext.nn.branches import BranchIndex
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import LinearHead
from taxotext.nn.hmcn import HmcnHead, LevelsHead
from taxotext.nn.label_heads import BranchesHead, FlattenedHead, LabelDotHead, LayersHead
from taxotext.nn.losses import FocalLoss
from tiny import tiny_taxonomy

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
TAXONOMY = tiny_taxonomy()
BRANCHES = LabelGraph.split(TAXONOMY, "root")
EDGES = torch.tensor(TAXONOMY.edge_index)


def index_of(graph: LabelGraph) -> BranchIndex:
    return BranchIndex(torch.from_numpy(graph.branch.copy()), graph.count)


def features_of(windows: int, **more: Tensor) -> TextFeatures:
    return TextFeatures(
        torch.randn(windows, 2, 3), torch.ones(windows, 2, dtype=torch.bool), torch.randn(windows, 5), **more
    )


def targets_of(dense: Tensor, weights: Tensor | None = None) -> Targets:
    rows, indices = torch.nonzero(dense, as_tuple=True)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), torch.bincount(rows, minlength=len(dense)).cumsum(0)])
    return Targets(indices, offsets, dense.shape[1], weights)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_a_label_has_its_own_vector_in_the_dot_head() -> None:
    head, labels = LabelDotHead(4, 7, bias=torch.arange(7.0)), torch.randn(3, 7, 4)
    found = head.logits(features_of(3, labels=labels))
    for label in range(7):
        torch.testing.assert_close(found[:, label], labels[:, label] @ head.weight[label] + label, **CLOSE)
    assert head.tied()[0].shape == (7, 4)


@pytest.mark.parametrize("graph", [LabelGraph.whole(TAXONOMY), LabelGraph.split(TAXONOMY, "level:2"), BRANCHES])
def test_a_label_reads_all_of_its_branch_in_the_flattened_head(graph: LabelGraph) -> None:
    index = index_of(graph)
    head, labels = FlattenedHead(4, index), torch.randn(3, len(graph), 4)
    with torch.no_grad():
        head.bias.normal_()
    found = head.logits(features_of(3, labels=labels))
    for node, branch in enumerate(graph.branch.tolist()):
        flat = labels[:, torch.from_numpy(graph.branch == branch)].flatten(1)
        row = head.tied()[0][node]
        torch.testing.assert_close(found[:, node], flat @ row[: flat.shape[1]] + head.bias[node], **CLOSE)


@pytest.mark.parametrize("graph", [LabelGraph.whole(TAXONOMY), BRANCHES])
def test_each_layer_has_a_linear_layer_and_all_of_them_are_tied(graph: LabelGraph) -> None:
    head = LayersHead(4, 3, index_of(graph), bias=torch.randn(len(graph))).eval()
    layers = torch.randn(2, graph.count, 3, 4)
    found = head.logits(features_of(2, layers=layers))
    for node, branch in enumerate(graph.branch.tolist()):
        expected = sum(layers[:, branch, layer] @ head.tied()[layer][node] for layer in range(3)) + head.bias[node]
        torch.testing.assert_close(found[:, node], expected, **CLOSE)
    head.use(torch.nn.Identity(), recursive=0.1, edges=torch.from_numpy(graph.edges.copy()))
    expected = sum(0.05 * ((rows[p] - rows[c]) ** 2).sum() for rows in head.weight for p, c in graph.edges.T.tolist())
    torch.testing.assert_close(head.penalty(), torch.as_tensor(expected), **CLOSE)


def test_logits_of_windows_are_joined() -> None:
    head = LabelDotHead(4, 7)
    features = features_of(3, labels=torch.randn(3, 7, 4))
    alone = head.logits(features)
    joined = head.logits(features.owned(torch.tensor([0, 0, 1]), 2))
    torch.testing.assert_close(joined, torch.stack([alone[:2].amax(0), alone[2]]))


def branches_head(mode: str, **chosen: Any) -> tuple[BranchesHead, LabelGraph]:
    graph = BRANCHES if mode == "projection" else BRANCHES.masked()
    inner = LinearHead(5, len(graph), dropout=0.0)
    labels, branch, owned = (torch.from_numpy(array.copy()) for array in (graph.labels, graph.branch, graph.owned))
    return BranchesHead(inner, labels, branch, owned, len(TAXONOMY), **chosen), graph


@pytest.mark.parametrize("mode", ["projection", "masking"])
@pytest.mark.parametrize("reduction", ["label_sum", "label_mean", "branch_mean"])
def test_the_loss_of_branches_is_that_of_a_loop(mode: str, reduction: str) -> None:
    head, graph = branches_head(mode, reduction=reduction)
    features, gold = features_of(3), (torch.rand(3, 7) > 0.5).float()
    weights = torch.tensor([1.0, 0.0, 2.0])
    logits = head.inner.logits(features)
    documents = torch.zeros(3)
    for branch in range(2):
        nodes = torch.from_numpy((graph.branch == branch) & graph.owned)
        targets = gold[:, torch.from_numpy(graph.labels)[nodes]]
        cells = functional.binary_cross_entropy_with_logits(logits[:, nodes], targets, reduction="none")
        documents = documents + (cells.mean(1) if reduction == "branch_mean" else cells.sum(1))
    documents = documents / 8 if reduction == "label_mean" else documents
    found = head.loss(features, targets_of(gold, weights))
    torch.testing.assert_close(found, (documents * weights).sum() / 3, **CLOSE)
    found.backward()
    gradient = head.inner.output.weight.grad
    assert torch.equal(gradient.abs().sum(1) > 0, torch.from_numpy(graph.owned))


@pytest.mark.parametrize("mode", ["projection", "masking"])
def test_scores_of_a_label_in_two_branches_are_merged(mode: str) -> None:
    features = features_of(2)
    fish = TAXONOMY.index("fish")
    for merge in ("max", "mean", "sum"):
        head, graph = branches_head(mode, merge=merge)
        found = head.scores(features).values
        each = torch.sigmoid(head.inner.logits(features))[:, torch.from_numpy(graph.owned)]
        labels = torch.from_numpy(graph.labels[graph.owned])
        assert (labels == fish).sum() == 2
        for label in range(7):
            own = each[:, labels == label]
            expected = {"max": own.amax(1), "mean": own.mean(1), "sum": own.sum(1).clamp(max=1)}[merge]
            torch.testing.assert_close(found[:, label], expected)


@pytest.mark.parametrize("scale", ["sum", "mean"])
def test_hmcn_is_that_of_its_equations(scale: str) -> None:
    levels = [torch.from_numpy((TAXONOMY.levels == level).nonzero()[0]) for level in (1, 2, 3)]
    head = HmcnHead(5, levels, EDGES, width=6, beta=0.3, violation=2.0, scale=scale, bias=torch.randn(7)).eval()
    for level, labels in enumerate(levels):
        torch.testing.assert_close(head.local_output[level].bias, head.output.bias[labels])
    features, gold = features_of(3), (torch.rand(3, 7) > 0.5).float()

    def layer(module: torch.nn.Sequential, rows: Tensor) -> Tensor:
        return torch.relu(rows @ module[0].weight.T + module[0].bias) / (1 + module[2].eps) ** 0.5

    state, local = torch.zeros(3, 0), torch.zeros(3, 7)
    for level, labels in enumerate(levels):
        state = layer(head.flow[level], torch.cat([state, features.pooled], 1))
        local[:, labels] = head.local_output[level](layer(head.local[level], state))
    whole = head.output(torch.cat([state, features.pooled], 1))
    mixed = 0.3 * torch.sigmoid(local) + 0.7 * torch.sigmoid(whole)
    torch.testing.assert_close(head.scores(features).values, mixed, **CLOSE)
    entropy = functional.binary_cross_entropy
    expected = torch.zeros(())
    for document in range(3):
        price = sum((mixed[document, c] - mixed[document, p]).clamp(min=0) ** 2 for p, c in EDGES.T.tolist())
        both = sum(entropy(torch.sigmoid(z[document]), gold[document], reduction="sum") for z in (local, whole))
        over = (1.0, 1.0) if scale == "sum" else (7.0, EDGES.shape[1])
        expected = expected + both / over[0] + 2.0 * price / over[1]
    assert price > 0
    torch.testing.assert_close(head.loss(features, targets_of(gold)), expected / 3, **CLOSE)


def test_learned_weights_follow_the_uncertainty_of_each_branch() -> None:
    head, _ = branches_head("projection", weights="learned")
    features, targets = features_of(3), targets_of((torch.rand(3, 7) > 0.5).float())
    losses, _ = head.losses(features, targets)
    assert head.log_variance is not None
    with torch.no_grad():
        head.log_variance.copy_(torch.tensor([0.4, -0.2]))
    expected = losses[0] * math.exp(-0.4) + 0.2 + losses[1] * math.exp(0.2) - 0.1
    torch.testing.assert_close(head.loss(features, targets), expected, **CLOSE)
    optimiser = torch.optim.SGD([head.log_variance], 0.05)
    for _ in range(400):
        optimiser.zero_grad()
        head.loss(features, targets).backward()
        optimiser.step()
    torch.testing.assert_close(torch.exp(-head.log_variance), 1 / (2 * losses.detach()), atol=1e-3, rtol=1e-3)


def test_levels_that_a_layer_combines_are_those_of_the_equations() -> None:
    levels = [torch.from_numpy((TAXONOMY.levels == level).nonzero()[0]) for level in (1, 2, 3)]
    head = LevelsHead(5, levels, EDGES, 6, beta=0.25, violation=3.0, local_weight=0.5, bias=torch.randn(7)).eval()
    features, gold = features_of(3), (torch.rand(3, 7) > 0.5).float()
    local, whole = head.both(features)
    torch.testing.assert_close(local, whole, **CLOSE)  # the layer starts as the identity
    with torch.no_grad():
        head.combine.weight.normal_()
        head.combine.bias.normal_()
    expected = torch.zeros(3, 7)
    for level, labels in enumerate(levels):
        module = head.local[level]
        hidden = torch.relu(features.pooled @ module[0].weight.T + module[0].bias) / (1 + module[2].eps) ** 0.5
        expected[:, labels] = hidden @ head.local_output[level].weight.T + head.local_output[level].bias
        torch.testing.assert_close(head.tied()[0][labels], head.local_output[level].weight)
    local, whole = head.both(features)
    torch.testing.assert_close(local, expected, **CLOSE)
    torch.testing.assert_close(whole, expected @ head.combine.weight.T + head.combine.bias, **CLOSE)
    mixed = 0.25 * torch.sigmoid(local) + 0.75 * torch.sigmoid(whole)
    torch.testing.assert_close(head.scores(features).values, mixed, **CLOSE)
    entropy = functional.binary_cross_entropy
    price = sum((mixed[:, c] - mixed[:, p]).clamp(min=0) ** 2 for p, c in EDGES.T.tolist()).sum()
    both = [entropy(torch.sigmoid(z), gold, reduction="sum") for z in (whole, local)]
    loss = head.loss(features, targets_of(gold))
    torch.testing.assert_close(loss, (both[0] + 0.5 * both[1] + 3.0 * price) / 3, **CLOSE)


def test_another_loss_of_labels_is_summed_over_branches_in_the_same_way() -> None:
    head, graph = branches_head("projection", reduction="branch_mean", cell_loss=FocalLoss(2.0, 0.25, scale="mean"))
    features, gold = features_of(3), (torch.rand(3, 7) > 0.5).float()
    chance, expected = torch.sigmoid(head.inner.logits(features)), torch.zeros(())
    for node, (label, branch) in enumerate(zip(graph.labels.tolist(), graph.branch.tolist(), strict=True)):
        p, y = chance[:, node], gold[:, label]
        cells = torch.where(y > 0, -0.25 * (1 - p) ** 2 * p.log(), -0.75 * p**2 * (1 - p).log())
        expected = expected + cells.mean() / graph.sizes[branch]
    torch.testing.assert_close(head.loss(features, targets_of(gold)), expected, **CLOSE)


def test_losses_of_branches_are_summed_in_32_bits_under_autocast() -> None:
    head, _ = branches_head("projection", reduction="label_sum")
    features, targets = features_of(6), targets_of(torch.randint(0, 2, (6, 7)).float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, logits = head.losses(features, targets)[0], head.logits(features)
    cells = functional.binary_cross_entropy_with_logits(
        logits.float(), targets.dense()[:, head.labels], reduction="none"
    )
    expected = torch.stack([cells[:, head.branch == branch].sum(1).mean() for branch in range(2)])
    torch.testing.assert_close(found, expected, **CLOSE)
