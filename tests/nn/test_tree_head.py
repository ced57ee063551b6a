"""The head over a label tree: candidates, losses and beams against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from taxotext.errors import TaxonomyError
from taxotext.labels.label_tree import LabelTree, tree_of_clusters, tree_of_taxonomy
from taxotext.nn import node_scorers
from taxotext.nn.batch import Targets
from taxotext.nn.candidates import CandidateLoss, TreeArrays
from taxotext.nn.features import TextFeatures
from taxotext.nn.losses import AsymmetricLoss, BinaryCrossEntropy, Scale
from taxotext.nn.node_scorers import AttentionScorer, DotScorer, NodeScorer, SharedLayers
from taxotext.nn.tree_head import LabelTreeHead
from taxotext.nn.tree_search import TreeSearch
from tiny import tiny_taxonomy

WIDTH = 6
LABELS = 60


def three_levels() -> LabelTree:
    """3 > 8 > 20 nodes > 60 labels."""
    return tree_of_clusters(np.random.default_rng(0).permutation(LABELS) // 3, branching=3, levels=3)


def features(documents: int, length: int = 5) -> TextFeatures:
    tokens = torch.randn(documents, length, WIDTH)
    mask = torch.arange(length) < torch.randint(1, length + 1, (documents, 1))
    return TextFeatures(tokens * mask.unsqueeze(-1), mask, torch.randn(documents, WIDTH))


def targets(rows: Sequence[Sequence[int]], labels: int = LABELS, weights: Any = None) -> Targets:
    offsets = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    return Targets(
        torch.tensor([label for row in rows for label in sorted(row)], dtype=torch.long), offsets, labels, weights
    )


def scorers(tree: LabelTree, kind: str = "attention") -> list[NodeScorer]:
    sizes = [*tree.nodes, tree.labels]
    if kind == "dot":
        return [DotScorer(WIDTH, nodes, 4) for nodes in sizes]
    return [AttentionScorer(WIDTH, nodes, SharedLayers(WIDTH, (7,))) for nodes in sizes]


def head(tree: LabelTree, kind: str = "attention", **options: Any) -> LabelTreeHead:
    search = TreeSearch(options.pop("beam", 3), exponent=options.pop("exponent", 1.0))
    found = LabelTreeHead(TreeArrays.of(tree), scorers(tree, kind), search, **options)
    for scorer in found.scorers:
        torch.nn.init.normal_(scorer.bias, std=0.5)
    return found


@pytest.mark.parametrize("kind", ["attention", "dot"])
def test_candidates_have_the_logits_that_they_have_among_all_nodes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, text = scorers(three_levels(), kind)[-1], features(4)
    everything = scorer.all(text)
    wanted = torch.randint(-1, LABELS, (4, 9))
    found = scorer.some(text, wanted)
    expected = everything.gather(1, wanted.clamp(min=0))
    torch.testing.assert_close(found[wanted >= 0], expected[wanted >= 0])
    monkeypatch.setattr(node_scorers, "CELLS", 4 * WIDTH * 7)
    torch.testing.assert_close(scorer.all(text), everything)
    whole = torch.autograd.grad(everything.sin().sum(), list(scorer.parameters()))
    chunks = torch.autograd.grad(scorer.all(text).sin().sum(), list(scorer.parameters()))
    for one, other in zip(chunks, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("own_output", [True, False])
def test_names_add_to_queries_and_outputs_of_nodes(own_output: bool) -> None:
    names = torch.randn(LABELS, 3)
    scorer = AttentionScorer(WIDTH, LABELS, SharedLayers(WIDTH, (7,)), own_output=own_output, names=names)
    plain = AttentionScorer(WIDTH, LABELS, scorer.layers, own_output=own_output)
    with torch.no_grad():
        plain.queries.copy_(scorer.queries + names @ scorer.of_query.weight.T)
        if own_output:
            plain.output.copy_(scorer.output + names @ scorer.of_output.weight.T)
            plain.bias.copy_(scorer.bias.normal_())
    text, wanted = features(4), torch.randint(-1, LABELS, (4, 9))
    torch.testing.assert_close(scorer.all(text), plain.all(text))
    real = wanted >= 0
    torch.testing.assert_close(scorer.some(text, wanted)[real], plain.some(text, wanted)[real])
    torch.testing.assert_close(scorer.attention(text, wanted.clamp(min=0)), plain.attention(text, wanted.clamp(min=0)))


def test_attention_is_a_softmax_over_the_words_and_layers_that_all_labels_share() -> None:
    scorer, text = AttentionScorer(WIDTH, 3, SharedLayers(WIDTH, (7,))), features(2)
    layers = scorer.layers
    shared = AttentionScorer(WIDTH, 3, layers, own_output=False)
    shared.queries, scorer.bias = scorer.queries, torch.nn.Parameter(torch.randn(3))
    for document in range(2):
        words = text.tokens[document][text.mask[document]]
        for label in range(3):
            attention = torch.softmax(words @ scorer.queries[label], 0)
            context = (attention.unsqueeze(1) * words).sum(0)
            expected = layers.output(functional.relu(layers.hidden[0](context)))[0]
            torch.testing.assert_close(shared.all(text)[document, label], expected)
            own = scorer.output[label] @ context + scorer.bias[label]
            torch.testing.assert_close(scorer.all(text)[document, label], expected + own)


def exhaustive(one: LabelTreeHead, tree: LabelTree, text: TextFeatures) -> Tensor:
    """Products along all paths, the largest of several: (B, N)."""
    path = torch.sigmoid(one.scorers[0].all(text))
    for level, link in enumerate(tree.links):
        below = torch.from_numpy(link.toarray())  # (n, m)
        above = (path.unsqueeze(2) * below).amax(1)
        path = above * torch.sigmoid(one.scorers[level + 1].all(text))
    return path


@pytest.mark.parametrize("shape", ["tree", "dag"])
def test_a_beam_of_all_nodes_gives_the_products_of_all_paths(shape: str) -> None:
    tree = three_levels() if shape == "tree" else tree_of_taxonomy(tiny_taxonomy(), levels=9)
    one, text = head(tree, beam=1000).eval(), features(5)
    found = one.scores(text)
    assert found.candidates is not None
    for row in found.candidates:
        assert row.tolist() == list(range(tree.labels)), "each label once"
    torch.testing.assert_close(found.values, exhaustive(one, tree, text))


@pytest.mark.parametrize("shape", ["tree", "dag"])
def test_a_narrow_beam_keeps_the_best_nodes_of_each_level(shape: str) -> None:
    tree = three_levels() if shape == "tree" else tree_of_taxonomy(tiny_taxonomy(), levels=9)
    one, text = head(tree, beam=2).eval(), features(6)
    found = one.scores(text)
    assert found.candidates is not None
    for document in range(6):
        path = dict(enumerate(torch.sigmoid(one.scorers[0].all(text))[document].tolist()))
        for level, link in enumerate(tree.links):
            kept = sorted(path, key=path.__getitem__)[-2:]
            own = torch.sigmoid(one.scorers[level + 1].all(text))[document].tolist()
            below: dict[int, float] = {}
            for node in kept:
                for child in link.indices[link.indptr[node] : link.indptr[node + 1]].tolist():
                    below[child] = max(below.get(child, 0.0), path[node] * own[child])
            path = below
        real = found.candidates[document] >= 0
        assert found.candidates[document][real].tolist() == sorted(path)
        np.testing.assert_allclose(
            found.values[document][real].tolist(), [path[label] for label in sorted(path)], rtol=1e-5
        )
        assert (found.values[document][~real] == 0).all()


def test_the_score_of_a_label_alone_leaves_its_path_out() -> None:
    tree, text = three_levels(), features(2)
    one = head(tree, beam=1000, exponent=0.0).eval()
    torch.testing.assert_close(one.scores(text).values, torch.sigmoid(one.scorers[-1].all(text)))


def dense_loss(one: LabelTreeHead, tree: LabelTree, text: TextFeatures, gold: Targets) -> Tensor:
    """Cross-entropy over all nodes of all levels, summed."""
    total = torch.zeros(len(gold))
    for level, scorer in enumerate(one.scorers):
        positive = gold.dense()
        if level < len(tree.links):
            positive = positive @ torch.from_numpy(tree.members(level).toarray().T.astype(np.float32))
        cells = functional.binary_cross_entropy_with_logits(scorer.all(text), (positive > 0).float(), reduction="none")
        total = total + cells.sum(1)
    return total


GOLD = ([3, 17, 59], [], [0], [5, 6, 7, 8, 20, 30, 40, 50])


@pytest.mark.parametrize("options", [{"negatives": "none"}, {"beam": 1000}, {"beam": 1000, "negatives": "static"}])
def test_with_all_labels_as_candidates_the_loss_is_that_of_all_nodes(options: dict[str, Any]) -> None:
    tree, text = three_levels(), features(4)
    one, weights = head(tree, **options), torch.tensor([1.0, 0.5, 0.0, 2.0])
    expected = (dense_loss(one, tree, text, targets(GOLD)) * weights).sum() / weights.sum()
    torch.testing.assert_close(one.loss(text, targets(GOLD, weights=weights)), expected)


class _Watched(AttentionScorer):
    """Remembers which candidates it was asked for."""

    def some(self, features: TextFeatures, nodes: Tensor) -> Tensor:
        self.asked = nodes
        return super().some(features, nodes)


@pytest.mark.parametrize("negatives", ["dynamic", "static"])
@pytest.mark.parametrize("shape", ["tree", "dag"])
def test_gold_labels_are_candidates_each_once_and_the_others_are_children_of_few_nodes(
    negatives: str, shape: str
) -> None:
    dag = tree_of_taxonomy(tiny_taxonomy(), levels=9)
    tree, rows = (three_levels(), GOLD) if shape == "tree" else (dag, ([0, 2, 3], [], [6], [1]))
    sizes = [*tree.nodes, tree.labels]
    watched = [_Watched(WIDTH, nodes, SharedLayers(WIDTH, (7,))) for nodes in sizes]
    one = LabelTreeHead(TreeArrays.of(tree), watched, TreeSearch(2), negatives=negatives)  # type: ignore[arg-type]
    text, gold = features(4), targets(rows, tree.labels)
    loss = one.loss(text, gold)
    expected = torch.zeros(4)
    for level, scorer in enumerate(watched):
        positive = gold.dense()
        if level < len(tree.links):
            positive = positive @ torch.from_numpy(tree.members(level).toarray().T.astype(np.float32))
        asked = torch.arange(sizes[0]).expand(4, -1) if level == 0 else scorer.asked
        for document, row in enumerate(asked):
            real = row[row >= 0].tolist()
            wanted = set(positive[document].nonzero().flatten().tolist())
            assert len(set(real)) == len(real), "a node is twice among the candidates"
            assert wanted <= set(real), "a gold node is no candidate"
            if level:
                widest = int(np.diff(tree.links[level - 1].indptr).max())
                assert len(real) <= 2 * widest + len(wanted)
            logits = scorer.all(text)[document, real]
            cells = functional.binary_cross_entropy_with_logits(
                logits, (positive[document, real] > 0).float(), reduction="none"
            )
            expected[document] += cells.sum()
    torch.testing.assert_close(loss, expected.mean())


def test_static_candidates_do_not_depend_on_the_weights_and_dynamic_ones_do() -> None:
    tree, text = tree_of_clusters(np.arange(LABELS) // 3, levels=1), features(4)

    def asked(negatives: str, seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        watched = [_Watched(WIDTH, nodes, SharedLayers(WIDTH, (7,))) for nodes in (*tree.nodes, LABELS)]
        one = LabelTreeHead(TreeArrays.of(tree), watched, TreeSearch(3), negatives=negatives)  # type: ignore[arg-type]
        one.loss(text, targets(([30],) * 4))
        return [sorted(row[row >= 0].tolist()) for row in watched[-1].asked]

    # cluster 10 has label 30; 9 and 11 are next to it
    assert asked("static", 0) == asked("static", 1) == [list(range(27, 36))] * 4
    assert asked("dynamic", 0) != asked("dynamic", 1)


def test_the_choice_of_candidates_gives_the_clusters_no_gradient() -> None:
    tree, text = tree_of_clusters(np.arange(LABELS) // 3, levels=1), features(4)
    gradients = []
    for negatives in ("dynamic", "static"):
        torch.manual_seed(1)
        one = head(tree, beam=2, negatives=negatives)
        one.loss(text, targets(GOLD)).backward()
        gradients.append([parameter.grad for parameter in one.scorers[0].parameters()])
    for other in gradients[1:]:
        for a, b in zip(gradients[0], other, strict=True):
            assert torch.equal(a, b)


def test_means_divide_by_the_candidates_of_a_document() -> None:
    tree, text = tree_of_clusters(np.arange(LABELS) // 3, levels=1), features(4)
    losses = [CandidateLoss(BinaryCrossEntropy(scale="mean")) for _ in range(2)]
    one = head(tree, beam=1000, losses=losses)
    one.loss(text, targets(GOLD))
    found = one.metrics()
    everything = functional.binary_cross_entropy_with_logits(one.scorers[-1].all(text), targets(GOLD).dense())
    assert found["label_loss"] == pytest.approx(everything.item(), rel=1e-5)
    assert one.metrics() == {"cluster_loss": 0.0, "label_loss": 0.0}, "asked twice in an epoch"


@pytest.mark.parametrize("scale", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_the_loss_over_all_nodes_and_over_candidates_is_that_of_dense_targets(
    scale: Scale, weighted: bool, asymmetric: bool
) -> None:
    cells = AsymmetricLoss(1.0, 4.0, 0.05, scale) if asymmetric else BinaryCrossEntropy(scale=scale)
    weights = torch.rand(LABELS) + 0.5
    loss, gold = CandidateLoss(cells, weights if weighted else None), targets(GOLD)
    logits, dense = 2 * torch.randn(len(GOLD), LABELS), gold.dense()
    each = cells.cells(logits, dense) * torch.where(dense > 0, weights if weighted else torch.ones(LABELS), 1.0)
    keys = gold.rows * LABELS + gold.indices
    expected = each.sum(1) if scale == "sum" else each.mean(1)
    torch.testing.assert_close(loss.over_all(logits, keys), expected)
    nodes = torch.stack([torch.randperm(LABELS)[:9] for _ in GOLD])
    nodes[0, 4:] = -1
    real = nodes >= 0
    few = (each.gather(1, nodes.clamp(min=0)) * real).sum(1)
    expected = few if scale == "sum" else few / real.sum(1)
    found = loss.over_some(logits.gather(1, nodes.clamp(min=0)), nodes, keys, LABELS)
    torch.testing.assert_close(found, expected)


def test_sums_of_an_epoch_go_through_a_checkpoint() -> None:
    tree, text = three_levels(), features(4)
    one = head(tree)
    one.loss(text, targets(GOLD))
    kept = one.counts()
    one.loss(text, targets(GOLD))
    expected = one.metrics()
    one.restore_counts(kept)
    one.loss(text, targets(GOLD))
    assert one.metrics() == expected


class _Largest(TorchDispatchMode):
    """Notes the largest array with a row for each document."""

    def __init__(self, documents: int) -> None:
        super().__init__()
        self.documents, self.cells = documents, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(tensor, Tensor) and tensor.ndim > 1 and tensor.shape[0] == self.documents:
                self.cells = max(self.cells, tensor.numel() // self.documents)
        return found


def test_what_a_batch_holds_grows_with_the_candidates_and_not_with_the_labels() -> None:
    documents, found = 7, []
    for labels in (2_000, 20_000):
        tree = tree_of_clusters(np.arange(labels) // 8)
        one, text = head(tree, beam=4), features(documents)
        gold = targets([[document, labels - 1 - document] for document in range(documents)], labels)
        with _Largest(documents) as largest:
            one.loss(text, gold).backward()
            one.scores(text)
        found.append(largest.cells)
    assert max(found) <= 512 * 2 * WIDTH, "more than the first level and the layers above it"
    assert found[1] < 20_000


def test_a_damaged_tree_is_noticed() -> None:
    tree = TreeArrays.of(three_levels())
    tree.children_1[0] = tree.children_1[1]
    for read in (tree.up, tree.down):
        with pytest.raises(TaxonomyError, match="damaged at level 1"):
            read(2, torch.tensor([0]))
