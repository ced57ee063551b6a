"""The head over a label tree: clusters are scored, the labels of the best are candidates, and both learn together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext.nn.batch import Targets
from taxotext.nn.candidates import Beam, CandidateLoss, TreeArrays, children, contains
from taxotext.nn.features import TextFeatures
from taxotext.nn.heads import Head, HeadScores
from taxotext.nn.node_scorers import NodeScorer
from taxotext.nn.tree_search import TreeSearch, as_scores

Negatives = Literal["dynamic", "static", "none"]


class LabelTreeHead(Head):
    """Generator and discriminator over a label tree, trained together.

    Level 0 is scored for all nodes, the children of the ``search.beam`` most probable nodes on each level below, and
    so on down to the labels.

    The loss is binary cross-entropy on each level, over all nodes of level 0 and over the candidates below; a node is
    positive where a gold label is below it. Which candidates there are is decided without gradient:

    * ``dynamic``: children of the best nodes, every gold node before all others (Jiang et al. 2021, LightXML);
    * ``static``: children of the gold nodes, and of those next to them in the order of the clusters: the same in every
      epoch;
    * ``none``: all nodes, which costs as much as a flat head.

    Gold nodes are candidates always, and none twice. At prediction no gold is known, and what ``search`` finds counts.

    Args:
        tree: of the labels.
        scorers: one for each level, and one for the labels.
        search: for labels; its beam is C in training.
        losses: one for each level, and one for the labels; None: binary cross-entropy, summed.
        negatives: see above.
    """

    def __init__(
        self,
        tree: TreeArrays,
        scorers: Sequence[NodeScorer],
        search: TreeSearch,
        *,
        losses: Sequence[CandidateLoss] | None = None,
        negatives: Negatives = "dynamic",
    ) -> None:
        super().__init__()
        if [scorer.nodes for scorer in scorers] != [*tree.nodes, tree.labels]:
            raise ValueError("there must be a scorer for the nodes of each level, and one for the labels")
        self.tree, self.scorers = tree, nn.ModuleList(scorers)
        self.losses = nn.ModuleList([CandidateLoss() for _ in scorers] if losses is None else losses)
        self.search, self.negatives = search, negatives
        self._sums: dict[str, float | Tensor] = {}

    # -- training ----------------------------------------------------------------------------------------------

    def loss(self, features: TextFeatures, targets: Targets) -> Tensor:
        """Return the losses of all levels in sum, mean over the documents."""
        gold = self._gold(targets)  # by level: rows * width + node, ascending
        documents, device = len(targets), targets.indices.device
        weights = torch.ones(documents, device=device) if targets.weights is None else targets.weights
        found, chosen = [], None
        for level, (scorer, loss) in enumerate(zip(self.scorers, self.losses, strict=True)):
            if level == 0 or self.negatives == "none":
                logits = scorer.all(features)  # type: ignore[operator]  # (B, n)
                total = loss.over_all(logits, gold[level])  # type: ignore[operator]  # (B,)
                if level < self.tree.levels and self.negatives != "none":
                    everywhere = torch.arange(logits.shape[1], device=device).expand(documents, -1)
                    chosen = Beam(everywhere, functional.logsigmoid(logits.detach()))
            else:
                selected = self._selected(chosen, gold[level - 1], level - 1)
                candidates = children(self.tree, level, selected, gold[level])
                logits = scorer.some(features, candidates.nodes)  # type: ignore[operator]  # (B, C)
                total = loss.over_some(  # type: ignore[operator]
                    logits, candidates.nodes, gold[level], self.tree.width(level)
                )  # (B,)
                chosen = Beam(candidates.nodes, candidates.path + functional.logsigmoid(logits.detach()))
            found.append((total * weights).sum())
        self._count(label_loss=found[-1], cluster_loss=torch.stack(found[:-1]).sum(), documents=weights.sum())
        return torch.stack(found).sum() / weights.sum().clamp(min=1e-6)

    def _gold(self, targets: Targets) -> list[Tensor]:
        """Positive nodes of each level, and gold labels last: rows * width + node, ascending, each once."""
        rows, nodes = targets.rows, targets.indices
        found = [rows * self.tree.labels + nodes]
        for level in reversed(range(self.tree.levels)):
            places, parents = self.tree.up(level, nodes)
            keys = torch.unique(rows[places] * self.tree.width(level) + parents)
            rows, nodes = keys // self.tree.width(level), keys % self.tree.width(level)
            found.insert(0, keys)
        return found

    def _selected(self, beam: Beam | None, gold: Tensor, level: int) -> Beam:
        """The C nodes of a level whose children become candidates; the gold ones come first."""
        if beam is None:
            raise RuntimeError("the level above was not scored")
        if self.search.beam >= beam.nodes.shape[1]:
            return beam
        positive = contains(gold, beam.nodes, self.tree.width(level))
        order = self._nearness(beam.nodes, positive) if self.negatives == "static" else beam.path
        # Both are at most 0, so that gold nodes come first.
        order = torch.where(positive, 1.0, order).masked_fill(beam.nodes < 0, -torch.inf)
        found, places = order.topk(self.search.beam, 1)
        nodes = beam.nodes.gather(1, places).masked_fill(found.isneginf(), -1)
        return Beam(nodes, beam.path.gather(1, places))

    def _nearness(self, nodes: Tensor, positive: Tensor) -> Tensor:
        """Minus the distance to the nearest gold node in the order of the clusters, (B, C)."""
        places = nodes.float()
        far = 2.0 * self.tree.labels
        gold = torch.where(positive, places, -far)
        before = places - torch.cummax(gold, 1).values
        after = torch.where(positive, places, far).flip(1).cummin(1).values.flip(1) - places
        return -torch.minimum(before, after)

    # -- use ---------------------------------------------------------------------------------------------------

    def scores(self, features: TextFeatures) -> HeadScores:
        """Return the scores of the labels that the search finds, (B, C)."""

        def node_scores(level: int, nodes: Tensor | None) -> Tensor:
            scorer: Any = self.scorers[level]  # a ModuleList knows modules only
            logits = scorer.all(features) if nodes is None else scorer.some(features, nodes)
            return functional.logsigmoid(logits)

        return as_scores(self.search(self.tree, node_scores))

    # -- metrics of an epoch -----------------------------------------------------------------------------------

    def metrics(self) -> dict[str, float]:
        """The two losses a document: over nodes of the tree, and over labels."""
        documents = float(self._sums.get("documents", 0.0)) or 1.0
        found = {name: float(self._sums.get(name, 0.0)) / documents for name in ("cluster_loss", "label_loss")}
        self._sums = {}
        return found

    def counts(self) -> dict[str, float]:
        """Losses and documents since the last call of :meth:`metrics`."""
        return {name: float(value) for name, value in self._sums.items()}

    def restore_counts(self, counts: Mapping[str, float]) -> None:
        """Go on from :meth:`counts`."""
        self._sums = dict(counts)

    def _count(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()
