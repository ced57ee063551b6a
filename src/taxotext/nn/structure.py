"""Structure encoders: text features to text features that know the label structure.

They work on the M nodes of a label graph (:class:`taxotext.labels.branches.LabelGraph`), which are the N labels where
there is one branch. What they give is for each window, not for each document: heads join what they compute from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from taxotext.nn.branches import BranchIndex, BranchLinear, BranchNorm
from taxotext.nn.dropout import Dropout
from taxotext.nn.features import TextFeatures
from taxotext.nn.graph_networks import GraphNetwork


class NoStructure(nn.Module):
    """Passes the text features on: the label structure is used in the loss and in decoding only."""

    def forward(self, features: TextFeatures) -> TextFeatures:
        """Return ``features``."""
        return features


class TextToNodes(nn.Module):
    """A vector for each node from the pooled vector of a text: (W, D) -> (W, M, d).

    Args:
        inputs: D.
        nodes: M.
        width: d.
        low_rank: V_m = s_m ∘ (P x) + c_m with a P for each branch, G D d + 2 M d numbers; else V_m = W_m x + c_m, with
            D M d.
        index: the branches of the M nodes; None: one branch.
    """

    def __init__(self, inputs: int, nodes: int, width: int, low_rank: bool, index: BranchIndex | None = None) -> None:
        super().__init__()
        self.nodes, self.width, self.index = nodes, width, index
        branches = 1 if index is None else index.count
        self.output = nn.Linear(inputs, (branches if low_rank else nodes) * width, bias=not low_rank)
        self.scale = nn.Parameter(torch.randn(nodes, width)) if low_rank else None
        self.shift = nn.Parameter(torch.zeros(nodes, width)) if low_rank else None

    def forward(self, pooled: Tensor) -> Tensor:
        """(W, D) -> (W, M, d)."""
        found: Tensor = self.output(pooled)
        if self.scale is None or self.shift is None:
            return found.view(-1, self.nodes, self.width)
        each = found.view(found.shape[0], -1, self.width)  # (W, G, d)
        if self.index is not None and self.index.count > 1:
            each = each[:, self.index.branch]  # (W, M, d)
        return torch.addcmul(self.shift, self.scale, each)


class TextPropagation(nn.Module):
    """Text features are spread over the nodes and sent along the edges (HiAGM-TP, Zhou et al. 2020, section 3.4.2).

        V = dropout(W x),  labels = network(V)

    Args:
        nodes: (W, D) -> (W, M, d).
        network: (W, M, d) -> (W, M, d').
        dropout: on V, in training.
    """

    def __init__(self, nodes: TextToNodes, network: GraphNetwork, dropout: float) -> None:
        super().__init__()
        self.nodes, self.network, self.dropout = nodes, network, Dropout(dropout)
        self.label_width = network.width

    def forward(self, features: TextFeatures) -> TextFeatures:
        """Fill ``labels``, (W, M, d')."""
        return replace(features, labels=self.network(self.dropout(self.nodes(features.pooled))))


class StructuredLabelAttention(nn.Module):
    """Nodes that went along the edges attend to the tokens (HiAGM-LA, Zhou et al. 2020, section 3.4.1).

        C = network(dropout(E)),  S = P tokens,  α_m = softmax_t(C_m · S_t),  labels_m = Σ_t α_mt S_t

    Each branch has a P of its own. The published program attends over one single vector, where the weights are 1
    whatever the labels are; here it is over the tokens of a window, so that labels matter.

    Args:
        index: the branches of the M nodes.
        token_width: of the tokens.
        network: (1, M, d) -> (1, M, d').
        width: d of the node vectors E.
        dropout: on E, in training.
    """

    def __init__(self, index: BranchIndex, token_width: int, network: GraphNetwork, width: int, dropout: float) -> None:
        super().__init__()
        self.index = index
        self.embedding = nn.Parameter(torch.empty(index.nodes, width).uniform_(-1, 1) * (6 / width) ** 0.5)  # Kaiming's
        self.network, self.dropout = network, Dropout(dropout)
        self.label_width = network.width
        self.keys = nn.Linear(token_width, index.count * network.width)

    def forward(self, features: TextFeatures) -> TextFeatures:
        """Fill ``labels``, (W, M, d')."""
        queries = self.index.padded(self.network(self.dropout(self.embedding).unsqueeze(0)))[:, 0]  # (G, P, d')
        tokens = self.keys(features.tokens).unflatten(2, (-1, self.label_width)).movedim(2, 0)  # (G, W, T, d')
        found = torch.bmm(tokens.flatten(1, 2), queries.transpose(1, 2)).float()  # (G, W T, P)
        found = found.view(*tokens.shape[:3], -1)  # (G, W, T, P)
        hidden = ~features.mask.unsqueeze(2)
        attention = torch.softmax(found.masked_fill(hidden, torch.finfo(found.dtype).min), 2).to(tokens.dtype)
        return replace(features, labels=self.index.side_by_side(attention.transpose(2, 3) @ tokens))


class CodingTreeNetwork(nn.Module):
    """Messages from the labels up a coding tree to its root (HiTIN, Zhu et al. 2023, equations 8 to 12).

        x_m   = s_m dropout(P x) + b_m                           leaves, h^0 = dropout(x)
        h^i_v = ReLU(norm(MLP_i(Σ_{c child of v} h^(i-1)_c)))    layers i = 1 .. k; MLP: linear, norm, ReLU, linear
        layer_i = pool over the nodes v of layer i of h^i_v      i = 0 .. k

    The paper copies the projected text to all M leaves and multiplies with an M x M matrix across them. What comes out
    is s_m v + b_m with s the sums of its rows, but for dropout, which the paper draws anew for each copy: M numbers do.

    Args:
        inputs: D.
        width: d.
        parents: for each layer below the root the position of each node's parent in the layer above.
        branches: the branch of each node of layers 0..k; the last layer has one node for each.
        pooling: "sum", "mean" or "max" over the nodes of a layer.
        dropout: on the leaves, in training.

    Attributes:
        added: (k + 1, G) float32, how many nodes each pooled layer adds up; 1 for means and maxima.
    """

    added: Tensor

    def __init__(
        self,
        inputs: int,
        width: int,
        parents: Sequence[Tensor],
        branches: Sequence[Tensor],
        pooling: str,
        dropout: float,
    ) -> None:
        super().__init__()
        count = len(branches[-1])
        self.label_width, self.layers, self.pooling, self.dropout = width, len(branches), pooling, Dropout(dropout)
        self.projection = BranchLinear(inputs, width, count)
        nodes = len(branches[0])
        self.scale = nn.Parameter(torch.randn(nodes) / 3**0.5)  # as sums of N numbers from ±1/√N
        self.shift = nn.Parameter(torch.empty(nodes).uniform_(-1, 1) / max(nodes, 1) ** 0.5)
        self.indexes = [BranchIndex(branch, count) for branch in branches]
        added = torch.stack([index.sizes for index in self.indexes]) if pooling == "sum" else torch.ones(1, 1)
        self.register_buffer("added", added.float().expand(len(branches), count).clone(), persistent=False)
        self.of_layers = nn.ModuleList(self.indexes)  # so that they go to the device with the rest
        for layer, above in enumerate(parents):
            self.register_buffer(f"parents_{layer}", above, persistent=False)
        self.first = nn.ModuleList(BranchLinear(width, width, count) for _ in parents)
        self.second = nn.ModuleList(BranchLinear(width, width, count) for _ in parents)
        self.inner = nn.ModuleList(BranchNorm(width, count) for _ in parents)
        self.outer = nn.ModuleList(BranchNorm(width, count) for _ in parents)

    def forward(self, features: TextFeatures) -> TextFeatures:
        """Fill ``layers``, (W, G, k + 1, d)."""
        root = self.indexes[-1]
        texts = features.pooled.unsqueeze(1).expand(-1, len(root.branch), -1)  # (W, G, D)
        texts = self.dropout(self.projection(texts, root))  # (W, G, d)
        nodes = texts[:, self.indexes[0].branch] * self.scale.unsqueeze(1) + self.shift.unsqueeze(1)
        nodes = self.dropout(nodes)  # (W, M, d)
        found = [self._pool(nodes, self.indexes[0])]
        index: BranchIndex
        steps = zip(self.first, self.inner, self.second, self.outer, self.indexes[1:], strict=True)
        for layer, (first, inner, second, outer, index) in enumerate(steps):
            above: Tensor = getattr(self, f"parents_{layer}")
            total = nodes.new_zeros(nodes.shape[0], index.nodes, nodes.shape[2]).index_add(1, above, nodes)
            hidden = torch.relu(inner(first(total, index), index))
            nodes = torch.relu(outer(second(hidden, index), index))  # (W, n, d)
            found.append(self._pool(nodes, index))
        return replace(features, layers=torch.stack(found, 2))

    def _pool(self, nodes: Tensor, index: BranchIndex) -> Tensor:
        """(W, n, d) -> (W, G, d)."""
        empty = nodes.new_zeros(nodes.shape[0], index.count, nodes.shape[2])
        if self.pooling == "max":
            where = index.branch.view(1, -1, 1).expand_as(nodes)
            return empty.scatter_reduce(1, where, nodes, "amax", include_self=False)
        total = empty.index_add(1, index.branch, nodes)
        return total / index.sizes.unsqueeze(1) if self.pooling == "mean" else total
