"""Level by level: losses over given candidates, and the search through all levels, against brute force."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nn.test_tree_head import LABELS, WIDTH, features, scorers, targets, three_levels
from taxotext.nn.batch import Targets, TokenBatch
from taxotext.nn.candidates import Beam, CandidateLoss, TreeArrays
from taxotext.nn.features import TextFeatures
from taxotext.nn.level_head import LevelHead, LevelNetworks, LevelsHead
from taxotext.nn.structure import NoStructure
from taxotext.nn.tree_search import TreeSearch

TREE = three_levels()


def levels(beam: int, kind: str = "attention", **search: Any) -> LevelsHead:
    tree = TreeArrays.of(TREE)
    heads = [LevelHead(tree, number, scorer, CandidateLoss()) for number, scorer in enumerate(scorers(TREE, kind))]
    found = LevelsHead(tree, heads, TreeSearch(beam, **search))
    for name, parameter in found.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.5)
    return found


def test_the_arrays_of_the_tree_are_saved_once() -> None:
    names = list(levels(3).state_dict())
    assert sum("children_0" in name for name in names) == 1


@pytest.mark.parametrize("exponent", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["attention", "dot"])
def test_a_beam_of_all_nodes_gives_the_products_along_all_paths(kind: str, exponent: float) -> None:
    head, text = levels(1000, kind, exponent=exponent), features(4)
    of_level = [torch.sigmoid(head.level(number).scorer.all(text)) for number in range(4)]
    expected = torch.zeros(4, LABELS)
    links = [link.toarray() for link in TREE.links]
    for path in itertools.product(*(range(len(link)) for link in links)):
        for label in np.flatnonzero(links[2][path[2]]):
            if links[0][path[0], path[1]] and links[1][path[1], path[2]]:
                above = torch.stack([of_level[n][:, path[n]] for n in range(3)]).prod(0)
                expected[:, label] = of_level[3][:, label] * above**exponent
    found = head.scores(text)
    assert found.candidates is not None
    torch.testing.assert_close(torch.zeros(4, LABELS).scatter(1, found.candidates, found.values), expected)


def test_a_narrow_beam_keeps_the_best_nodes_of_each_level() -> None:
    head, text = levels(2), features(3)
    everything = [torch.sigmoid(head.level(number).scorer.all(text)) for number in range(4)]
    found = head.scores(text)
    assert found.candidates is not None
    for row in range(3):
        kept = {node: everything[0][row, node].item() for node in range(TREE.nodes[0])}
        for number in range(3):
            kept = dict(sorted(kept.items(), key=lambda item: -item[1])[:2])
            link = TREE.links[number].toarray()
            kept = {
                int(child): score * everything[number + 1][row, child].item()
                for node, score in kept.items()
                for child in np.flatnonzero(link[node])
            }
        pairs = zip(found.candidates[row].tolist(), found.values[row].tolist(), strict=True)
        assert dict(pair for pair in pairs if pair[0] >= 0) == pytest.approx(kept, rel=1e-4)


def test_the_loss_of_a_lower_level_is_over_the_children_of_the_given_nodes_and_the_gold_ones() -> None:
    head, text = levels(2).level(3), features(2)
    parents = torch.tensor([[4, 7, -1], [0, -1, -1]])
    gold = targets([[5, 30], []])
    extra = Targets(gold.indices, gold.offsets, LABELS, torch.tensor([1.0, 3.0]), {"parents": parents})
    link, everything = TREE.links[2].toarray(), head.scorer.all(text)
    expected = []
    for row, nodes in enumerate([[4, 7], [0]]):
        own = {int(child) for node in nodes for child in np.flatnonzero(link[node])} | set([[5, 30], []][row])
        picked = torch.tensor(sorted(own))
        cells = functional.binary_cross_entropy_with_logits(
            everything[row, picked], gold.dense()[row, picked], reduction="sum"
        )
        expected.append(cells)
    found = head.loss(text, extra)
    torch.testing.assert_close(found, (expected[0] + 3 * expected[1]) / 4)


class _Words(nn.Module):
    """A table of word vectors."""

    width = token_width = WIDTH

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.table = nn.Embedding(9, WIDTH)
        with torch.no_grad():
            self.table.weight.copy_(torch.randn(9, WIDTH, generator=torch.Generator().manual_seed(seed)))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> TextFeatures:
        tokens = self.table(ids) * mask.unsqueeze(-1)
        return TextFeatures(tokens, mask, tokens.mean(1))


def test_each_level_reads_with_its_own_encoder_and_starts_from_the_one_above() -> None:
    head = levels(3)
    networks = LevelNetworks(_Words(0), [_Words(seed) for seed in (1, 2, 3)], NoStructure(), head)
    ids = torch.tensor([[1, 2, 3], [4, 5, 0]])
    batch = TokenBatch(ids, ids > 0, torch.arange(2), 2)
    found = networks.scores(batch)
    beam: Beam | None = None
    for number in range(4):
        read = networks.level(number).features(batch)
        beam = head.level(number).beam(read, None if beam is None else beam.best(3))
    assert beam is not None
    assert found.candidates is not None
    assert torch.equal(found.candidates, beam.nodes)
    torch.testing.assert_close(found.values, beam.path.exp().masked_fill(beam.nodes < 0, 0))
    assert torch.equal(networks.scores(batch, networks.features(batch)).values, found.values)
    queries = head.level(2).scorer.state_dict()["queries"].clone()
    networks.start_level(2)
    own, above = networks.level(2), networks.level(1)
    assert torch.equal(own.encoder.state_dict()["table.weight"], above.encoder.state_dict()["table.weight"])
    state, upper = own.head.state_dict(), above.head.state_dict()
    assert all(torch.equal(state[name], upper[name]) for name in state if "layers" in name)
    assert torch.equal(state["scorer.queries"], queries), "there are other nodes"


def test_a_frozen_encoder_is_there_once() -> None:
    networks = LevelNetworks(_Words(0), [], NoStructure(), levels(3))
    assert sum("table" in name for name in networks.state_dict()) == 1
    ids = torch.tensor([[1, 2, 3]])
    batch = TokenBatch(ids, ids > 0, torch.arange(1), 1)
    torch.testing.assert_close(networks.scores(batch).values, networks.head.scores(networks.features(batch)).values)
