"""Structure encoders along the taxonomy, and the heads that read what they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from taxotext.composition.parts import HeadSettings, LabelContext, Record, StructureSettings, register

if TYPE_CHECKING:
    from torch import nn

    from taxotext.data import Corpus
    from taxotext.labels.branches import LabelGraph
    from taxotext.nn.branches import BranchIndex
    from taxotext.nn.graph_networks import GraphNetwork

MANY = 500
"""Labels above which ``auto`` chooses what grows with their number, not with its square."""


class GraphSettings(StructureSettings):
    """What encoders along the edges have."""

    gives: ClassVar[Literal["text", "labels", "layers"]] = "labels"
    variant: Literal["tp", "la"] = Field(
        "tp", description="tp: text features go along the edges; la: label vectors do, and attend to the tokens"
    )
    width: int = Field(128, ge=1, le=16_384, description="numbers of the vector of a label")
    dropout: float = Field(0.5, ge=0, lt=1, description="on the vectors before they go along the edges")
    projection: Literal["auto", "full", "low_rank"] = Field(
        "auto", description="of tp, text to labels; full: a matrix for each label; auto: low_rank above 500 labels"
    )


class GcnSettings(GraphSettings):
    """Gated graph convolution in both directions (HiAGM)."""

    name: Literal["gcn"] = Field("gcn", description="structure encoder between text and head")
    message_dropout: float = Field(0.05, ge=0, lt=1, description="on the gated messages")


class TreeLstmSettings(GraphSettings):
    """Child-Sum TreeLSTMs in both directions (HiAGM)."""

    name: Literal["treelstm"] = Field("treelstm", description="structure encoder between text and head")

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.width % 2:
            raise ValueError("width: an even number is needed, half of it for each direction")
        return self


class GatSettings(GraphSettings):
    """Attention over the neighbours in the taxonomy (GAT)."""

    name: Literal["gat"] = Field("gat", description="structure encoder between text and head")
    heads: int = Field(4, ge=1, le=1_024, description="of the attention; width is a multiple of them")
    message_dropout: float = Field(0.05, ge=0, lt=1, description="on what labels gather from their neighbours")

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.width % self.heads:
            raise ValueError("width: a multiple of heads is needed")
        return self


class CodingTreeSettings(StructureSettings):
    """Messages up a coding tree of the taxonomy (HiTIN)."""

    gives: ClassVar[Literal["text", "labels", "layers"]] = "layers"
    name: Literal["coding_tree"] = Field("coding_tree", description="structure encoder between text and head")
    height: int = Field(2, ge=1, le=20, description="of the coding tree")
    width: int = Field(256, ge=1, le=16_384, description="numbers of the vector of a node")
    pooling: Literal["sum", "mean", "max"] = Field("sum", description="over the nodes of a layer")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the leaves")


class LabelVectorsHeadSettings(HeadSettings):
    """Logits from one vector for each label."""

    reads: ClassVar[Literal["text", "labels", "layers"]] = "labels"
    name: Literal["label_vectors"] = Field("label_vectors", description="kind of head")
    form: Literal["auto", "flattened", "dot"] = Field(
        "auto",
        description="flattened: a matrix over the vectors of all labels; dot: over its own; auto: dot above 500",
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="on the vectors")


class LayersHeadSettings(HeadSettings):
    """Logits from the layers of a coding tree."""

    reads: ClassVar[Literal["text", "labels", "layers"]] = "layers"
    name: Literal["layers"] = Field("layers", description="kind of head")
    dropout: float = Field(0.5, ge=0, lt=1, description="on the layers")


def edge_prior(graph: LabelGraph, train: Corpus | None) -> NDArray[np.float32]:
    """π(c | p) of each edge (E,): training documents with parent and child over those of all children of the parent.

    Children of a parent add up to 1 within a branch; they share it equally where no document has any of them.
    """
    parents, children = graph.edges
    counts = np.zeros(len(parents))
    if train is not None and len(parents):
        # Of closed label sets: where the child is, its parents are.
        documents = graph.taxonomy.close(train.known_targets).sum(axis=0)  # (N,)
        counts = np.asarray(documents, dtype=np.float64).ravel()[graph.labels[children]]
    total = np.bincount(parents, counts, len(graph))[parents]
    siblings = np.bincount(parents, minlength=len(graph))[parents]
    shares = np.where(total > 0, counts / np.maximum(total, 1), 1 / np.maximum(siblings, 1))
    return np.asarray(shares, dtype=np.float32)


def _index(context: LabelContext) -> BranchIndex:
    import torch

    from taxotext.nn.branches import BranchIndex

    return BranchIndex(torch.from_numpy(context.graph.branch.copy()), context.graph.count)


def graph_network(settings: GraphSettings, context: LabelContext) -> GraphNetwork:
    """The network along the edges that the settings choose."""
    import torch

    from taxotext.nn.graph_networks import GatedGcn, GraphAttention, TreeLstm

    graph, width = context.graph, settings.width
    edges, prior = torch.from_numpy(graph.edges.copy()), torch.from_numpy(edge_prior(graph, context.train))
    if isinstance(settings, GcnSettings):
        return GatedGcn(width, edges, prior, _index(context), settings.message_dropout)
    if isinstance(settings, GatSettings):
        return GraphAttention(width, edges, _index(context), settings.heads, settings.message_dropout)
    return TreeLstm(width, edges, prior, _index(context))


def _along_edges(settings: GraphSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.structure import StructuredLabelAttention, TextPropagation, TextToNodes

    graph, width, network = context.graph, settings.width, graph_network(settings, context)
    if settings.variant == "la":
        index = _index(context)
        return StructuredLabelAttention(index, context.token_width, network, width, settings.dropout), {}
    low_rank = settings.projection == "low_rank" or (settings.projection == "auto" and len(graph) > MANY)
    nodes = TextToNodes(context.width, len(graph), width, low_rank, _index(context) if low_rank else None)
    return TextPropagation(nodes, network, settings.dropout), {}


def _build_coding_tree(settings: CodingTreeSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    import torch

    from taxotext.nn.structure import CodingTreeNetwork

    parents, branches = context.graph.coding_trees(settings.height)
    network = CodingTreeNetwork(
        context.width,
        settings.width,
        [torch.from_numpy(layer.copy()) for layer in parents],
        [torch.from_numpy(layer.copy()) for layer in branches],
        settings.pooling,
        settings.dropout,
    )
    sizes = " / ".join(str(len(layer)) for layer in branches)
    return network, {"facts": {"coding_tree": sizes}}


def _build_label_vectors(settings: LabelVectorsHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.label_heads import FlattenedHead, LabelDotHead

    width, nodes = int(context.structure.label_width), len(context.graph)  # type: ignore[union-attr, arg-type]
    index = _index(context)
    # Matrices of branches are padded to the largest: one large branch beside many small ones would need the most.
    many = nodes > MANY or index.count * index.longest**2 > MANY**2
    if settings.form == "dot" or (settings.form == "auto" and many):
        return LabelDotHead(width, nodes, settings.dropout, context.first_bias), {}
    return FlattenedHead(width, index, settings.dropout, context.first_bias), {}


def _build_layers(settings: LayersHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.label_heads import LayersHead

    structure: Any = context.structure  # gives layers, as the settings have checked, and so has their sizes
    width, layers, added = int(structure.label_width), int(structure.layers), structure.added
    return LayersHead(width, layers, _index(context), settings.dropout, context.first_bias, added), {}


register("structure", GcnSettings, _along_edges)
register("structure", TreeLstmSettings, _along_edges)
register("structure", GatSettings, _along_edges)
register("structure", CodingTreeSettings, _build_coding_tree)
register("head", LabelVectorsHeadSettings, _build_label_vectors)
register("head", LayersHeadSettings, _build_layers)
