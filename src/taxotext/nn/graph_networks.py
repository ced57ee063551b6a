"""Networks over the nodes of a label graph, on edge lists: any batch size, trees and DAGs, nothing of size M x M."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from taxotext.labels.graph import longest_levels
from taxotext.nn.branches import BranchIndex, BranchLinear
from taxotext.nn.dropout import Dropout

SLOPE = 0.2
"""Of leaky ReLUs below 0, that of GAT (Velickovic et al. 2018, section 2.1)."""


class GraphNetwork(Protocol):
    """(W, M, d) -> (W, M, ``width``)."""

    width: int

    def __call__(self, nodes: Tensor) -> Tensor:
        """Return the nodes after the network."""


class GatedGcn(nn.Module):
    """The bidirectional graph network of HiAGM (Zhou et al. 2020, "Hierarchy-GCN"), one layer.

        up_p   = Σ_{c child of p} a_pc V_c + b_p           a starts from 1
        down_c = Σ_{p parent of c} a'_pc V_p + b'_c        a' starts from the prior π(c | p)
        own_i  = V_i
        g_x,i  = σ(w_x · V_i + β_x,i)                       for x of up, down, own (without β)
        H_i    = LeakyReLU(Σ_x dropout(g_x,i x_i))          of slope 0.2

    The published network has a ReLU. A label without edges has only its own vector; where all its few numbers are below
    0 for a document, a ReLU passes no gradient, and the label stays unlearned.

    Args:
        width: d.
        edges: (2, E) int64, parents above children.
        prior: (E,) π(c | p).
        index: the branches of the M nodes; each has gate weights of its own.
        dropout: on the gated messages, in training.
    """

    edges: Tensor

    def __init__(self, width: int, edges: Tensor, prior: Tensor, index: BranchIndex, dropout: float = 0.05) -> None:
        super().__init__()
        nodes = index.nodes
        self.width, self.index = width, index
        self.register_buffer("edges", edges, persistent=False)
        self.up, self.down = nn.Parameter(torch.ones(edges.shape[1])), nn.Parameter(prior.clone())
        self.up_bias, self.down_bias = nn.Parameter(torch.zeros(nodes, width)), nn.Parameter(torch.zeros(nodes, width))
        bound = (6 / (width + 1)) ** 0.5  # Xavier's, of a matrix (d, 1)
        self.gates = nn.Parameter(torch.empty(index.count, 3 * width).uniform_(-bound, bound))
        self.gate_bias = nn.Parameter(torch.zeros(2, nodes))
        self.dropout = Dropout(dropout)

    def forward(self, nodes: Tensor) -> Tensor:
        """(W, M, d) -> (W, M, d)."""
        parents, children = self.edges
        up = torch.zeros_like(nodes).index_add(1, parents, nodes[:, children] * self.up.unsqueeze(1).to(nodes.dtype))
        down = torch.zeros_like(nodes).index_add(
            1, children, nodes[:, parents] * self.down.unsqueeze(1).to(nodes.dtype)
        )
        gates = self.gates[self.index.branch].view(-1, 3, self.width)  # (M, 3, d)
        opened = torch.einsum("wmd,mkd->kwm", nodes, gates.to(nodes.dtype))  # (3, W, M)
        bias = torch.cat([self.gate_bias, torch.zeros_like(self.gate_bias[:1])])  # (3, M)
        opened = torch.sigmoid(opened + bias.unsqueeze(1)).unsqueeze(-1)  # (3, W, M, 1)
        messages = (up + self.up_bias, down + self.down_bias, nodes)
        first, second, own = (self.dropout(gate * message) for gate, message in zip(opened, messages, strict=True))
        return functional.leaky_relu(first + second + own, SLOPE)


class GraphAttention(nn.Module):
    """Attention over neighbours (Velickovic et al. 2018, equations 1 to 6), along the edges both ways and from itself.

        h = W V,  e_ij = LeakyReLU(a · h_i + a' · h_j + β_kind(ij))      j: child, parent of i, or i
        α_i = softmax_j(e_ij),  H_i = ELU(dropout(Σ_j α_ij h_j))        in each of K heads, side by side

    β, of each branch its own, says in which direction an edge leads, which the published network does not know.

    Args:
        width: d, a multiple of ``heads``.
        edges: (2, E) int64, parents above children.
        index: the branches of the M nodes; each has weights of its own.
        heads: K.
        dropout: on what the nodes gather, in training.
    """

    targets: Tensor
    sources: Tensor
    kind: Tensor

    def __init__(self, width: int, edges: Tensor, index: BranchIndex, heads: int = 4, dropout: float = 0.05) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width is {width}; a multiple of the {heads} heads is needed")
        self.width, self.heads, self.index = width, heads, index
        self.linear = BranchLinear(width, width, index.count, bias=False)
        bound = (6 / (width // heads + 1)) ** 0.5
        self.query = nn.Parameter(torch.empty(index.count, heads, width // heads).uniform_(-bound, bound))
        self.key = nn.Parameter(torch.empty(index.count, heads, width // heads).uniform_(-bound, bound))
        self.direction = nn.Parameter(torch.zeros(3 * index.count, heads))
        self.dropout = Dropout(dropout)
        own, count = torch.arange(index.nodes), edges.shape[1]
        kinds = torch.tensor([0] * count + [1] * count + [2] * index.nodes)  # from children, from parents, from itself
        targets = torch.cat([edges[0], edges[1], own])
        self.register_buffer("targets", targets, persistent=False)
        self.register_buffer("sources", torch.cat([edges[1], edges[0], own]), persistent=False)
        self.register_buffer("kind", kinds + 3 * index.branch[targets], persistent=False)

    def forward(self, nodes: Tensor) -> Tensor:
        """(W, M, d) -> (W, M, d)."""
        hidden = self.linear(nodes, self.index).unflatten(2, (self.heads, -1)).float()  # (W, M, K, d / K)
        query = (hidden * self.query[self.index.branch]).sum(3)  # (W, M, K)
        key = (hidden * self.key[self.index.branch]).sum(3)
        found = query[:, self.targets] + key[:, self.sources] + self.direction[self.kind]  # (W, 2 E + M, K)
        found = functional.leaky_relu(found, SLOPE)
        where = self.targets.view(1, -1, 1).expand_as(found)
        highest = torch.full_like(query, -torch.inf).scatter_reduce(1, where, found.detach(), "amax")
        weights = (found - highest[:, self.targets]).exp()
        total = torch.zeros_like(query).index_add(1, self.targets, weights)
        weights = weights / total[:, self.targets]
        gathered = torch.zeros_like(hidden).index_add(1, self.targets, weights.unsqueeze(3) * hidden[:, self.sources])
        return functional.elu(self.dropout(gathered.flatten(2)))


class ChildSumLstm(nn.Module):
    """Child-Sum TreeLSTM (Tai et al. 2015, equations 2 to 8) from the sources of edges to their targets.

    States h and c of a source are multiplied by the weight of the edge before they enter.

    Args:
        inputs: d.
        hidden: H.
        edges: (2, E) int64, sources above targets; without cycles.
        weights: (E,) first weights of the edges.
        index: branches of the nodes; each has weights of its own.
    """

    order: Tensor
    back: Tensor

    def __init__(self, inputs: int, hidden: int, edges: Tensor, weights: Tensor, index: BranchIndex) -> None:
        super().__init__()
        self.hidden, self.index = hidden, index
        self.edge = nn.Parameter(weights.clone())
        self.given = BranchLinear(inputs, 4 * hidden, index.count)  # i, o, u, f
        self.inner = BranchLinear(hidden, 3 * hidden, index.count, bias=False)
        self.forget = BranchLinear(hidden, hidden, index.count, bias=False)
        levels = torch.from_numpy(longest_levels(index.nodes, edges.numpy()) - 1)
        order = torch.argsort(levels, stable=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", place, persistent=False)
        self._steps: list[_Step] = []
        first = 0
        for level in range(int(levels.max()) + 1 if len(levels) else 0):
            size = int((levels == level).sum())
            chosen = torch.nonzero(levels[edges[1]] == level).flatten()
            nodes, sources = order[first : first + size], edges[0, chosen]
            step = _Step(
                chosen,
                place[sources],
                place[edges[1, chosen]] - first,
                index.branch[nodes],
                index.branch[sources],
                index,
            )
            self._steps.append(step)
            first += size
        self.steps = nn.ModuleList(self._steps)  # so that they go to the device with the rest

    def forward(self, nodes: Tensor) -> Tensor:
        """(W, M, d) -> (W, M, H), the states h."""
        given = self.given(nodes, self.index)[:, self.order]  # (W, M, 4H), level by level
        states: list[Tensor] = []
        cells: list[Tensor] = []
        first = 0
        for step in self._steps:
            now = given[:, first : first + step.nodes.nodes]  # (W, m, 4H)
            first += step.nodes.nodes
            gates, forget = torch.split(now, [3 * self.hidden, self.hidden], 2)
            kept = torch.zeros_like(forget)
            if len(step.edges):
                weight = self.edge[step.edges].unsqueeze(1).to(now.dtype)
                below = torch.cat(states, 1)[:, step.sources] * weight  # (W, e, H)
                cell = torch.cat(cells, 1)[:, step.sources] * weight
                total = torch.zeros_like(kept).index_add(1, step.targets, below)
                gates = gates + self.inner(total, step.nodes)
                open_ = torch.sigmoid(forget[:, step.targets] + self.forget(below, step.of_edges))
                kept = kept.index_add(1, step.targets, open_ * cell)
            into, out, new = torch.split(gates, self.hidden, 2)
            cells.append(torch.sigmoid(into) * torch.tanh(new) + kept)
            states.append(torch.sigmoid(out) * torch.tanh(cells[-1]))
        return torch.cat(states, 1)[:, self.back]


class _Step(nn.Module):
    """What a level of a :class:`ChildSumLstm` reads: its edges, their places, and the branches of nodes and edges."""

    edges: Tensor
    sources: Tensor
    targets: Tensor

    def __init__(
        self, edges: Tensor, sources: Tensor, targets: Tensor, nodes: Tensor, of_edges: Tensor, index: BranchIndex
    ) -> None:
        super().__init__()
        self.register_buffer("edges", edges, persistent=False)
        self.register_buffer("sources", sources, persistent=False)
        self.register_buffer("targets", targets, persistent=False)
        self.nodes, self.of_edges = BranchIndex(nodes, index.count), BranchIndex(of_edges, index.count)


class TreeLstm(nn.Module):
    """Child-Sum TreeLSTMs along the edges in both directions, side by side: the other structure encoder of HiAGM.

    Bottom-up weights of edges start from 1, top-down ones from the prior.

    Args:
        width: d, even.
        edges, prior, index: as for :class:`GatedGcn`.
    """

    def __init__(self, width: int, edges: Tensor, prior: Tensor, index: BranchIndex) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"width is {width}; an even number is needed, half of it for each direction")
        self.width = width
        self.upwards = ChildSumLstm(width, width // 2, edges.flip(0), torch.ones_like(prior), index)
        self.downwards = ChildSumLstm(width, width // 2, edges, prior, index)

    def forward(self, nodes: Tensor) -> Tensor:
        """(W, M, d) -> (W, M, d)."""
        return torch.cat([self.upwards(nodes), self.downwards(nodes)], 2)
