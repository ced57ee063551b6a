"""Level by level: a network for each level of a label tree, which finds its candidates in the level above."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext.nn.batch import Targets, TokenBatch
from taxotext.nn.candidates import Beam, CandidateLoss, TreeArrays, children
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import Head, HeadScores
from taxotext.nn.losses import mean_over_documents
from taxotext.nn.network import TextClassifier
from taxotext.nn.node_scorers import AttentionScorer, DotScorer, NodeScorer
from taxotext.nn.tree_search import TreeSearch, as_scores

PARENTS = "parents"
"""Name of the nodes above, (B, C) int64, -1 for none, among what a batch says of its documents."""


class LevelHead(Head):
    """Scores the nodes of one level: all of the first one; on a lower one the children of given nodes.

    The loss is that of :class:`~taxotext.nn.candidates.CandidateLoss` over what is scored, gold nodes always included.
    Targets are the nodes of the level, and ``targets.extra["parents"]`` names the nodes above whose children are
    candidates.

    Args:
        tree: of the labels; who owns the head moves it to the device.
        level: from 0; H are the labels.
        scorer: of the nodes of the level.
        cell_loss: over them.
    """

    def __init__(self, tree: TreeArrays, level: int, scorer: NodeScorer, cell_loss: CandidateLoss) -> None:
        super().__init__()
        if scorer.nodes != tree.width(level):
            raise ValueError(f"a scorer of {scorer.nodes} nodes for a level of {tree.width(level)}")
        self.level, self.scorer, self.cell_loss = level, scorer, cell_loss
        self._tree = (tree,)  # in a tuple: its arrays are saved once, with the whole head

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the loss, mean over the documents."""
        gold = targets.rows * targets.labels + targets.indices  # (P,), ascending
        if self.level == 0:
            return mean_over_documents(self.cell_loss.over_all(self.scorer.all(features), gold), targets.weights)
        parents = targets.extra[PARENTS]
        above = Beam(parents, parents.new_zeros(parents.shape, dtype=torch.float32))
        nodes = children(self._tree[0], self.level, above, gold).nodes  # (B, C)
        found = self.cell_loss.over_some(self.scorer.some(features, nodes), nodes, gold, targets.labels)
        return mean_over_documents(found, targets.weights)

    def beam(self, features: TextFeatures, parents: Beam | None) -> Beam:
        """Return the nodes that are scored, and the log-probabilities of their paths.

        Args:
            features: of B documents.
            parents: nodes of the level above; None on the first level.
        """
        if parents is None:
            found = self.node_scores(features, None)  # (B, n)
            return Beam(torch.arange(found.shape[1], device=found.device).expand_as(found), found)
        candidates = children(self._tree[0], self.level, parents)
        return Beam(candidates.nodes, candidates.path + self.node_scores(features, candidates.nodes))

    def node_scores(self, features: TextFeatures, nodes: Tensor | None) -> Tensor:
        """Return the log-probabilities of nodes alone (B, C), float32; None: of all, (B, n)."""
        logits = self.scorer.all(features) if nodes is None else self.scorer.some(features, nodes)
        return functional.logsigmoid(logits.float())

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the probabilities of the nodes of the first level, (B, n).

        Raises:
            ValueError: of a lower level, which needs the nodes above (:meth:`beam`).
        """
        if self.level:
            raise ValueError(f"level {self.level} has no scores without the nodes above")
        return HeadScores(torch.sigmoid(self.scorer.all(features)))

    def start_from(self, above: LevelHead) -> None:
        """Take over the layers that the nodes of the level above share; queries and outputs of nodes stay."""
        if isinstance(self.scorer, AttentionScorer) and isinstance(above.scorer, AttentionScorer):
            self.scorer.layers.load_state_dict(above.scorer.layers.state_dict())


class LevelsHead(Head):
    """The heads of all levels, and the search from the first one down to the labels.

    Args:
        tree: of the labels.
        levels: one for each level of nodes, and one for the labels.
        search: for labels; its beam is also what is kept of a level for the training of the next one.
    """

    def __init__(self, tree: TreeArrays, levels: Sequence[LevelHead], search: TreeSearch) -> None:
        super().__init__()
        self.tree, self.search = tree, search
        self.levels = nn.ModuleList(levels)

    def level(self, number: int) -> LevelHead:
        """The head of a level."""
        found = self.levels[number]
        assert isinstance(found, LevelHead)
        return found

    def found(self, features: Callable[[int], TextFeatures]) -> HeadScores:
        """Return the scores of the labels that the search finds, (B, C).

        Args:
            features: what the network of a level reads of the documents; asked for once a level.
        """
        read = cache(features)
        return as_scores(
            self.search(self.tree, lambda number, nodes: self.level(number).node_scores(read(number), nodes))
        )

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Levels are trained one after the other, each by its own head.

        Raises:
            ValueError: always.
        """
        raise ValueError("the levels of a label tree are trained one after the other, by the recipe levels")

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the scores where all levels read the same features."""
        return self.found(lambda _: features)

    def attention(self, features: TextFeatures, labels: Tensor) -> Tensor | None:
        """Return α of some labels, (B, C, S), in the network of the labels."""
        scorer = self.level(len(self.levels) - 1).scorer
        return scorer.attention(features, labels) if isinstance(scorer, AttentionScorer) else None

    def label_vectors(self) -> dict[str, Tensor]:
        """What the labels attend to, or what they are compared with."""
        scorer = self.level(len(self.levels) - 1).scorer
        if isinstance(scorer, AttentionScorer):
            return {"head": scorer.queries}
        return {"head": scorer.vectors} if isinstance(scorer, DotScorer) else {}


class LevelNetworks(TextClassifier):
    """A text encoder for each level, and the search through all of them.

    Args:
        encoder: of the labels.
        above: those of the levels of nodes, the first one first; empty: all levels share ``encoder``, which is frozen.
        structure: passes the features on.
        head: of all levels.
    """

    head: LevelsHead

    def __init__(self, encoder: nn.Module, above: Sequence[nn.Module], structure: nn.Module, head: LevelsHead) -> None:
        super().__init__(encoder, structure, head)
        self.above = nn.ModuleList(above)

    def level(self, number: int) -> TextClassifier:
        """The network of one level; what it learns is learned by this one."""
        return TextClassifier(self._encoder(number), self.structure, self.head.level(number))

    def start_level(self, number: int) -> None:
        """Let a level start from the encoder and the shared layers of the level above."""
        own, above = self._encoder(number), self._encoder(number - 1)
        if own is not above:
            own.load_state_dict(above.state_dict())
        self.head.level(number).start_from(self.head.level(number - 1))

    def scores(self, batch: TokenBatch, features: TextFeatures | None = None) -> HeadScores:
        """Return the scores of the labels that the search finds, (B, C)."""
        last = len(self.head.levels) - 1
        shared: Mapping[int, TextFeatures] = {} if features is None else {last: features}
        if not len(self.above):
            shared = dict.fromkeys(range(last + 1), self.features(batch) if features is None else features)

        def of_level(number: int) -> TextFeatures:
            return shared[number] if number in shared else self.level(number).features(batch)

        return self.head.found(of_level)

    def trained_together(self) -> list[nn.Parameter]:
        """The parameters of the largest level."""
        networks = [self.level(number) for number in range(len(self.head.levels))]
        return max((list(network.parameters()) for network in networks), key=lambda own: sum(p.numel() for p in own))

    def _encoder(self, number: int) -> nn.Module:
        return self.above[number] if number < len(self.above) else self.encoder
