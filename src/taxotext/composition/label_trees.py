"""The head parts ``label_tree`` and ``label_levels``: clusters of labels, and the labels of the best clusters.

The levels of ``label_tree`` are trained together, those of ``label_levels`` one after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from taxotext.composition.name_vectors import name_vectors
from taxotext.composition.parts import HeadSettings, LabelContext, Record, propensity_weights, register
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.labels.clustering import balanced_clusters, label_features
from taxotext.labels.label_tree import LabelTree, clusters_in_order, tree_of_clusters, tree_of_taxonomy
from taxotext.settings import Settings, Width

if TYPE_CHECKING:
    from torch import Tensor, nn

    from taxotext.data import Corpus
    from taxotext.labels import Taxonomy
    from taxotext.nn.candidates import CandidateLoss, TreeArrays
    from taxotext.nn.node_scorers import NodeScorer
    from taxotext.nn.tree_search import TreeSearch

log = logging.getLogger("taxotext")

SPARSE_FROM = 30_000
"""Nodes or labels of a level from which on ``sparse_updates=auto`` changes candidates only."""
MAX_FEATURES = 200_000
"""Words that the labels are clustered by at most."""


class TreeSettings(Settings):
    """How the label tree is built, from the training documents."""

    source: Literal["documents", "names", "both", "random", "taxonomy"] = Field(
        "documents",
        description="what makes labels alike: documents, names, both; random; taxonomy: it is the tree itself",
    )
    cluster_size: int = Field(8, ge=1, description="labels of a cluster at most (M)")
    branching: int = Field(8, ge=2, le=1_000, description="children of a node above the clusters (K)")
    levels: int | Literal["auto"] = Field(
        "auto", description="levels of nodes at most (H); auto: until the first one has no more than 512 nodes"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of the clusters; several trees for an ensemble take several")


class CandidateLossSettings(Settings):
    """The loss of a node or label that is scored."""

    name: Literal["bce", "asymmetric"] = Field(
        "bce", description="bce: cross-entropy; asymmetric: easy negatives count less (Ridnik et al. 2021)"
    )
    gamma_positive: float = Field(0.0, ge=0, le=20, description="of asymmetric: focus on hard positives")
    gamma_negative: float = Field(4.0, ge=0, le=20, description="of asymmetric: focus on hard negatives")
    margin: float = Field(0.05, ge=0, lt=1, description="of asymmetric: taken off the probability of negatives")
    positive_weight: Literal["none", "propensity"] = Field(
        "none", description="of gold labels; propensity: rare ones weigh more (inverse propensity)"
    )


class TreeHeadSettings(HeadSettings):
    """What heads over a label tree have in common."""

    own_loss: ClassVar[bool] = True
    scorer: Literal["attention", "dot"] = Field(
        "attention", description="attention: each node attends to the tokens; dot: compared with the pooled vector"
    )
    tree: TreeSettings = Field(TreeSettings(), description="the label tree")
    beam: int = Field(64, ge=1, description="nodes of a level whose children are candidates (C)")
    hidden: tuple[Width, ...] = Field(
        (256,), max_length=16, description="widths of the layers that all labels share, for attention"
    )
    own_output: bool = Field(
        True, description="whether each label also has an output vector and a bias of its own, for attention"
    )
    names: bool = Field(
        False, description="whether names of labels help to score them, for attention: labels of few or no documents"
    )
    bottleneck: int = Field(300, ge=1, le=16_384, description="width of the vectors of labels, for dot")
    dropout: float = Field(0.0, ge=0, lt=1, description="on what the nodes see")
    loss: CandidateLossSettings = Field(CandidateLossSettings(), description="of a node or label that is scored")
    scale: Literal["sum", "mean"] = Field("sum", description="over the nodes or candidates of a level")
    score: Literal["product", "leaf", "mixed"] = Field(
        "product",
        description="of a label: product along the path; leaf: its own probability alone; mixed: its own, times that "
        "of the path above it to a power between 0 and 1, chosen on the validation documents by training.monitor",
    )
    search: Literal["beam", "exact", "threshold"] = Field(
        "beam",
        description="labels that the trained model gives a score: beam: those below the best nodes (head.beam); exact: "
        "the head.count best of all; threshold: all whose score is at least head.least",
    )
    count: int = Field(100, ge=1, description="labels that the exact search finds")
    least: float = Field(0.01, gt=0, lt=1, description="score of the labels that the search by threshold finds")
    start_at_odds: bool = Field(True, description="outputs start from the mean share of gold nodes")
    sparse_updates: bool | Literal["auto"] = Field(
        "auto",
        description="a training step changes the vectors of candidates only, and leaves those of other labels alone; "
        f"auto: on levels of at least {SPARSE_FROM:,} nodes or labels",
    )
    table_precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of the vectors of nodes and labels in the trained model; bfloat16 (rounded to 8 binary digits) "
        "makes it half as large",
    )

    def widths(self, labels: int) -> tuple[int, int]:
        """Nodes that are scored on the first level, and candidates below, about."""
        clusters = -(-labels // self.tree.cluster_size)
        wide = clusters if self.tree.levels == 1 else min(clusters, 512)
        return wide, min(labels, self.beam * self.tree.cluster_size)

    def searching(self, beams: int | str) -> Mapping[str, Any]:
        """The children of so many nodes of a level; ``exact``: the best labels of all."""
        return {"search": "exact"} if beams == "exact" else {"search": "beam", "beam": beams}

    def search_in(self, head: Any) -> None:
        """Let a built head search as these settings say."""
        head.search.beam, head.search.kind = self.beam, self.search

    def tree_search(self, *, training: bool) -> TreeSearch:
        """The search for labels; in training that by a beam, since early on all labels are nearly as probable."""
        from taxotext.nn.tree_search import TreeSearch

        kind = "beam" if training else self.search
        exponent = {"product": 1.0, "leaf": 0.0, "mixed": None}[self.score]
        return TreeSearch(self.beam, kind, count=self.count, least=self.least, exponent=exponent)


class LabelTreeHeadSettings(TreeHeadSettings):
    """Generator and discriminator over a label tree."""

    name: Literal["label_tree"] = Field("label_tree", description="kind of head")
    negatives: Literal["dynamic", "static", "none"] = Field(
        "dynamic",
        description="candidates in training: dynamic: of the best nodes now; static: next to the gold ones; "
        "none: all labels",
    )

    def scored(self, labels: int) -> int:
        """Clusters and candidates; all labels where no negatives are drawn."""
        wide, candidates = self.widths(labels)
        return wide + (labels if self.negatives == "none" else candidates)


class LabelLevelsHeadSettings(TreeHeadSettings):
    """A network for each level of a label tree, trained one after the other."""

    level_wise: ClassVar[bool] = True
    name: Literal["label_levels"] = Field("label_levels", description="kind of head")

    def scored(self, labels: int) -> int:
        """The nodes of the first level, or candidates below it."""
        return max(self.widths(labels))


def build_tree(settings: TreeSettings, taxonomy: Taxonomy, train: Corpus) -> LabelTree:
    """Build the label tree from the training documents.

    Raises:
        ConfigError: the taxonomy is to be the tree, and has no edges.
    """
    if settings.source == "taxonomy":
        if taxonomy.is_flat:
            raise ConfigError(
                "head.tree.source: the taxonomy has no edges and cannot be the label tree; "
                "set head.tree.source=documents."
            )
        return tree_of_taxonomy(taxonomy, branching=settings.branching, levels=settings.levels)
    features = None if settings.source == "random" else _features(settings.source, taxonomy, train)
    if features is None:
        order = np.random.default_rng(settings.seed).permutation(len(taxonomy))
        clusters = clusters_in_order(order, settings.cluster_size)
    else:
        clusters = balanced_clusters(features, settings.cluster_size, seed=settings.seed)
    return tree_of_clusters(clusters, branching=settings.branching, levels=settings.levels)


def _features(source: str, taxonomy: Taxonomy, train: Corpus) -> csr_array | None:
    """Features (N, V) that labels are compared by; None where no word is in two documents."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    every = range(len(taxonomy)) if source != "documents" else ()
    names = [" ".join(taxonomy.all_names(label)) for label in every]
    vectorizer = TfidfVectorizer(
        token_pattern=r"(?u)\w+",
        sublinear_tf=True,
        min_df=2 if len(train) > 1 else 1,
        max_features=MAX_FEATURES,
        dtype=np.float32,
    )
    try:
        documents = csr_array(vectorizer.fit_transform([*train.texts, *names]))
    except ValueError:
        log.warning("The texts have no words in common: labels are clustered at random.")
        return None
    of_names = documents[len(train) :] if names else None
    targets: Any = train.known_targets
    if source == "names":
        return of_names
    return label_features(targets, documents[: len(train)], of_names)


@dataclass(frozen=True, eq=False)
class _Levels:
    """The tree and what scores its levels, the labels last."""

    tree: TreeArrays
    scorers: list[NodeScorer]
    losses: list[CandidateLoss]
    record: Record


def _levels(settings: TreeHeadSettings, context: LabelContext) -> _Levels:
    from taxotext.nn.candidates import TreeArrays

    labels = len(context.taxonomy)
    shares: list[float] | None = None
    if context.train is None:
        sizes = _sizes((context.record or {}).get("levels"), labels)
        tree = TreeArrays(sizes, labels)
    else:
        built = build_tree(settings.tree, context.taxonomy, context.train)
        tree, shares = TreeArrays.of(built), _shares(built, context.train, settings.beam)
        sizes = [(link.shape[0], link.nnz) for link in built.links]
    names = _name_vectors(settings, context)
    scorers = [
        _scorer(
            settings,
            context,
            nodes,
            None if shares is None or not settings.start_at_odds else shares[level],
            names if level == tree.levels else None,
        )
        for level, nodes in enumerate([*tree.nodes, labels])
    ]
    shown = " > ".join(f"{nodes:,}" for nodes in [*tree.nodes, labels])
    record: Record = {"levels": [list(size) for size in sizes], "facts": {"label_tree": shown}}
    if names is not None:
        record["names"] = names.shape[1]
    return _Levels(tree, scorers, _losses(settings, context, tree.levels), record)


def _losses(settings: TreeHeadSettings, context: LabelContext, levels: int) -> list[CandidateLoss]:
    """One for each level of nodes, and one for the labels."""
    import torch

    from taxotext.nn.candidates import CandidateLoss
    from taxotext.nn.losses import AsymmetricLoss, BinaryCrossEntropy

    chosen, weights = settings.loss, None
    cells = (
        BinaryCrossEntropy(scale=settings.scale)
        if chosen.name == "bce"
        else AsymmetricLoss(chosen.gamma_positive, chosen.gamma_negative, chosen.margin, settings.scale)
    )
    if chosen.positive_weight == "propensity" and context.train is not None:
        weights = torch.from_numpy(propensity_weights(context.positives, len(context.train)))
    return [*(CandidateLoss(cells) for _ in range(levels)), CandidateLoss(cells, weights)]


def _build_label_tree(settings: LabelTreeHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.tree_head import LabelTreeHead

    found = _levels(settings, context)
    if settings.negatives != "none" and context.train is not None:
        _warn_of_no_sampling(settings, found.tree.nodes[-1])
    head = LabelTreeHead(
        found.tree,
        found.scorers,
        settings.tree_search(training=context.train is not None),
        losses=found.losses,
        negatives=settings.negatives,
    )
    return head, found.record


def _build_label_levels(settings: LabelLevelsHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.level_head import LevelHead, LevelsHead

    found = _levels(settings, context)
    if context.train is not None:
        _warn_of_no_sampling(settings, found.tree.nodes[-1])
    levels = [
        LevelHead(found.tree, level, scorer, loss)
        for level, (scorer, loss) in enumerate(zip(found.scorers, found.losses, strict=True))
    ]
    return LevelsHead(found.tree, levels, settings.tree_search(training=context.train is not None)), found.record


def _sizes(found: Any, labels: int) -> list[tuple[int, int]]:
    good = (
        isinstance(found, list)
        and found
        and all(
            isinstance(size, list)
            and len(size) == 2
            and all(isinstance(number, int) and 1 <= number <= 2**31 for number in size)
            for size in found
        )
        and found[-1][1] >= labels
    )
    if not good:
        raise ModelFolderError("parts.json: head.levels are not the sizes of a label tree; save the model again.")
    return [(nodes, links) for nodes, links in found]


def _shares(tree: LabelTree, train: Corpus, beam: int) -> list[float]:
    """Mean share of gold nodes among the nodes that are scored, on each level; of the labels last."""
    targets = train.known_targets.astype(np.int64)
    found = []
    for level, nodes in enumerate(tree.nodes):
        gold = csr_array(targets @ csr_array(tree.members(level).T).astype(np.int64)).nnz / max(len(train), 1)
        scored = nodes if level == 0 else min(nodes, beam * nodes / tree.nodes[level - 1])
        found.append(gold / max(scored, 1.0))
    gold = targets.nnz / max(len(train), 1)
    return [*found, gold / max(1.0, min(tree.labels, beam * tree.labels / tree.nodes[-1]))]


def _warn_of_no_sampling(settings: TreeHeadSettings, clusters: int) -> None:
    if settings.beam >= clusters:
        instead = "head.negatives=none" if isinstance(settings, LabelTreeHeadSettings) else "another head"
        log.warning(
            "All %d clusters of the label tree are candidates of each document (head.beam=%d): no negatives are "
            "sampled. Lower head.beam or head.tree.cluster_size, or take %s.",
            clusters,
            settings.beam,
            instead,
        )


def _scorer(
    settings: TreeHeadSettings, context: LabelContext, nodes: int, prior: float | None, names: Tensor | None
) -> NodeScorer:
    import torch

    from taxotext.nn.node_scorers import AttentionScorer, DotScorer, SharedLayers

    stored = None if context.train is not None else getattr(torch, settings.table_precision)
    sparse = nodes >= SPARSE_FROM if settings.sparse_updates == "auto" else settings.sparse_updates
    if settings.scorer == "dot":
        # A narrow vector pays where the nodes are many: the labels.
        bottleneck = settings.bottleneck if nodes == len(context.taxonomy) else None
        return DotScorer(
            context.width, nodes, bottleneck, prior=prior, dropout=settings.dropout, sparse=sparse, stored=stored
        )
    layers = SharedLayers(context.token_width, settings.hidden, prior)
    return AttentionScorer(
        context.token_width,
        nodes,
        layers,
        own_output=settings.own_output,
        dropout=settings.dropout,
        names=names,
        sparse=sparse,
        stored=stored,
    )


def _name_vectors(settings: TreeHeadSettings, context: LabelContext) -> Tensor | None:
    """What the names of the labels are at the start (N, D), rows of length 1 or 0; zeros for a saved record to fill.

    Of an encoder over words the mean of the first vectors of the words of all names of a label; of a pretrained encoder
    what it makes of them.

    Raises:
        ConfigError: no label has a name, or the scorer has no place for them.
        ModelFolderError: the record does not say how wide they are.
    """
    import torch

    if not settings.names:
        return None
    if settings.scorer != "attention":
        raise ConfigError("head.names: only head.scorer=attention uses names of labels; set it, or leave names out.")
    taxonomy = context.taxonomy
    if context.train is None:
        width = (context.record or {}).get("names")
        if not isinstance(width, int) or not 1 <= width <= 2**16:
            raise ModelFolderError("parts.json: head.names is not the width of name vectors; save the model again.")
        return torch.zeros(len(taxonomy), width)
    if not (taxonomy.has_names or taxonomy.has_alternative_names):
        raise ConfigError(
            "head.names: no label has a name; give names (--names FILE, or a SKOS vocabulary), or leave head.names out."
        )
    return name_vectors([", ".join(taxonomy.all_names(label)) for label in range(len(taxonomy))], context)


register("head", LabelTreeHeadSettings, _build_label_tree)
register("head", LabelLevelsHeadSettings, _build_label_levels)
