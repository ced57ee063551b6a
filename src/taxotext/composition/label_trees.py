"""The head part ``label_tree``: clusters of labels, and the labels of the best clusters, scored level by level."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from taxotext.composition.parts import HeadSettings, LabelContext, Record, register
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.labels.clustering import balanced_clusters, label_features
from taxotext.labels.label_tree import LabelTree, clusters_in_order, tree_of_clusters, tree_of_taxonomy
from taxotext.settings import Settings, Width

if TYPE_CHECKING:
    from torch import nn

    from taxotext.data import Corpus
    from taxotext.labels import Taxonomy
    from taxotext.nn.node_scorers import NodeScorer

log = logging.getLogger("taxotext")

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


class LabelTreeHeadSettings(HeadSettings):
    """Generator and discriminator over a label tree."""

    own_loss: ClassVar[bool] = True
    name: Literal["label_tree"] = Field("label_tree", description="kind of head")
    scorer: Literal["attention", "dot"] = Field(
        "attention", description="attention: each node attends to the tokens; dot: compared with the pooled vector"
    )
    tree: TreeSettings = Field(TreeSettings(), description="the label tree")
    beam: int = Field(64, ge=1, description="nodes of a level whose children are candidates (C)")
    negatives: Literal["dynamic", "static", "none"] = Field(
        "dynamic",
        description="candidates in training: dynamic: of the best nodes now; static: next to the gold ones; "
        "none: all labels",
    )
    hidden: tuple[Width, ...] = Field(
        (256,), max_length=16, description="widths of the layers that all labels share, for attention"
    )
    own_output: bool = Field(
        True, description="whether each label also has an output vector and a bias of its own, for attention"
    )
    bottleneck: int = Field(300, ge=1, le=16_384, description="width of the vectors of labels, for dot")
    dropout: float = Field(0.0, ge=0, lt=1, description="on what the nodes see")
    scale: Literal["sum", "mean"] = Field("sum", description="over the nodes or candidates of a level")
    score: Literal["product", "leaf"] = Field(
        "product", description="of a label: product along the path, or its own probability alone"
    )
    start_at_odds: bool = Field(True, description="outputs start from the mean share of gold nodes")

    def scored(self, labels: int) -> int:
        """Clusters and candidates; all labels where no negatives are drawn."""
        tree = self.tree
        clusters = -(-labels // tree.cluster_size)
        wide = clusters if tree.levels == 1 else min(clusters, 512)
        candidates = labels if self.negatives == "none" else min(labels, self.beam * tree.cluster_size)
        return wide + candidates


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
        return tree_of_taxonomy(taxonomy, levels=settings.levels)
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

    names = [taxonomy.name(label) for label in range(len(taxonomy))] if source != "documents" else []
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


def _build_label_tree(settings: LabelTreeHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.tree_head import LabelTreeHead, TreeArrays

    labels = len(context.taxonomy)
    if context.train is None:
        sizes, shares = _sizes((context.record or {}).get("levels"), labels), None
        tree = TreeArrays(sizes, labels)
    else:
        built = build_tree(settings.tree, context.taxonomy, context.train)
        tree, shares = TreeArrays.of(built), _shares(built, context.train, settings.beam)
        sizes = [(link.shape[0], link.nnz) for link in built.links]
        _warn_of_no_sampling(settings, built)
    scorers = [
        _scorer(
            settings, context, nodes, level, None if shares is None or not settings.start_at_odds else shares[level]
        )
        for level, nodes in enumerate([*tree.nodes, labels])
    ]
    head = LabelTreeHead(
        tree,
        scorers,
        beam=settings.beam,
        negatives=settings.negatives,
        scale=settings.scale,
        leaf_only=settings.score == "leaf",
    )
    shown = " > ".join(f"{nodes:,}" for nodes in [*tree.nodes, labels])
    return head, {"levels": [list(size) for size in sizes], "facts": {"label_tree": shown}}


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


def _warn_of_no_sampling(settings: LabelTreeHeadSettings, tree: LabelTree) -> None:
    if settings.negatives != "none" and settings.beam >= tree.nodes[-1]:
        log.warning(
            "All %d clusters of the label tree are candidates of each document (head.beam=%d): no negatives are "
            "sampled. Lower head.beam or head.tree.cluster_size, or take head.negatives=none.",
            tree.nodes[-1],
            settings.beam,
        )


def _scorer(
    settings: LabelTreeHeadSettings, context: LabelContext, nodes: int, level: int, prior: float | None
) -> NodeScorer:
    from taxotext.nn.node_scorers import AttentionScorer, DotScorer, SharedLayers

    if settings.scorer == "dot":
        # A narrow vector pays where the nodes are many: the labels.
        bottleneck = settings.bottleneck if nodes == len(context.taxonomy) else None
        return DotScorer(context.width, nodes, bottleneck, prior=prior, dropout=settings.dropout)
    layers = SharedLayers(context.token_width, settings.hidden, prior)
    return AttentionScorer(context.token_width, nodes, layers, own_output=settings.own_output, dropout=settings.dropout)


register("head", LabelTreeHeadSettings, _build_label_tree)
