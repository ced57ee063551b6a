"""Structure encoders against loops over nodes written from their equations: trees, DAGs, no edges, several branches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from taxotext import Taxonomy
from taxotext.labels.branches import LabelGraph
from taxotext.nn.branches import BranchIndex, BranchLinear, BranchNorm
from taxotext.nn.features import TextFeatures
from taxotext.nn.graph_networks import ChildSumLstm, GatedGcn, GraphAttention, TreeLstm
from taxotext.nn.structure import CodingTreeNetwork, StructuredLabelAttention, TextPropagation, TextToNodes
from tiny import tiny_taxonomy

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
GRAPHS = {
    "dag": LabelGraph.whole(tiny_taxonomy()),
    "branches": LabelGraph.split(tiny_taxonomy(), "root"),
    "masked": LabelGraph.split(tiny_taxonomy(), "root").masked(),
    "flat": LabelGraph.whole(Taxonomy.flat("abc")),
    "single": LabelGraph.split(Taxonomy.flat("abc"), "root"),
}


@pytest.fixture(params=sorted(GRAPHS))
def graph(request: pytest.FixtureRequest) -> LabelGraph:
    torch.manual_seed(0)
    return GRAPHS[request.param]


def index_of(graph: LabelGraph) -> BranchIndex:
    return BranchIndex(torch.from_numpy(graph.branch.copy()), graph.count)


def edges_of(graph: LabelGraph) -> Tensor:
    return torch.from_numpy(graph.edges.copy())


def shaken(module: nn.Module) -> nn.Module:
    """All parameters random, so that none that is 0 or 1 at first is left out of a comparison."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.6)
    return module.eval()


def test_padding_and_back_keeps_all_nodes_where_they_were() -> None:
    index = BranchIndex(torch.tensor([2, 0, 2, 1, 2]), 4)
    nodes = torch.randn(3, 5, 2)
    padded = index.padded(nodes)
    assert padded.shape == (4, 3, 3, 2)
    assert torch.equal(index.side_by_side(padded), nodes)
    assert torch.equal(padded[2], nodes[:, [0, 2, 4]])
    assert not padded[3].any()
    assert not padded[0, :, 1:].any()


def test_linear_layers_of_branches_are_those_of_a_loop(graph: LabelGraph) -> None:
    index, nodes = index_of(graph), torch.randn(3, len(graph), 4)
    layer = BranchLinear(4, 5, graph.count)
    found = layer(nodes, index)
    for node, branch in enumerate(graph.branch.tolist()):
        torch.testing.assert_close(
            found[:, node], nodes[:, node] @ layer.weight[branch].T + layer.bias[branch], **CLOSE
        )


def test_norms_of_branches_are_batch_norms_of_their_rows() -> None:
    torch.manual_seed(1)
    branch = torch.tensor([0, 1, 0, 2, 1])
    index, norm = BranchIndex(branch, 3), BranchNorm(4, 3)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    plain = [nn.BatchNorm1d(4) for _ in range(3)]
    for one, module in enumerate(plain):
        module.weight.data, module.bias.data = norm.weight.data.view(3, 4)[one], norm.bias.data.view(3, 4)[one]
    for training in (True, True, False):
        norm.train(training)
        nodes = torch.randn(6, 5, 4) * 2 + 1
        found = norm(nodes, index)
        for one, module in enumerate(plain):
            rows = nodes[:, branch == one]
            expected = module.train(training)(rows.reshape(-1, 4)).view(rows.shape)
            torch.testing.assert_close(found[:, branch == one], expected, **CLOSE)
            torch.testing.assert_close(norm.running_var.view(3, 4)[one], module.running_var, **CLOSE)


def test_a_branch_of_one_row_is_normalised_by_what_was_seen_before() -> None:
    index, norm = BranchIndex(torch.tensor([0, 0, 1]), 2), BranchNorm(2, 2)
    nodes = torch.randn(1, 3, 2)
    found = norm(nodes, index)
    torch.testing.assert_close(found[:, 2], nodes[:, 2] / (1 + norm.eps) ** 0.5)
    assert torch.equal(norm.running_mean.view(2, 2)[1], torch.zeros(2))
    assert norm.running_mean.view(2, 2)[0].all()


def test_the_gated_network_is_that_of_its_equations(graph: LabelGraph) -> None:
    width, edges = 4, edges_of(graph)
    prior = torch.rand(edges.shape[1])
    network = GatedGcn(width, edges, prior, index_of(graph))
    assert torch.equal(network.down.data, prior)
    assert torch.equal(network.up.data, torch.ones_like(prior))
    shaken(network)
    nodes = torch.randn(2, len(graph), width)
    found = network(nodes)
    for node in range(len(graph)):
        own = nodes[:, node]
        up, down = network.up_bias[node].expand(2, -1), network.down_bias[node].expand(2, -1)
        for edge, (parent, child) in enumerate(edges.T.tolist()):
            up = up + network.up[edge] * nodes[:, child] if parent == node else up
            down = down + network.down[edge] * nodes[:, parent] if child == node else down
        w = network.gates[graph.branch[node]].view(3, width)
        bias = [network.gate_bias[0, node], network.gate_bias[1, node], 0.0]
        gates = [torch.sigmoid(own @ w[one] + bias[one]).unsqueeze(1) for one in range(3)]
        expected = nn.functional.leaky_relu(gates[0] * up + gates[1] * down + gates[2] * own, 0.2)
        torch.testing.assert_close(found[:, node], expected, **CLOSE)


def test_attention_is_that_of_its_equations(graph: LabelGraph) -> None:
    edges = edges_of(graph)
    network = shaken(GraphAttention(4, edges, index_of(graph), heads=2))
    nodes = torch.randn(3, len(graph), 4)
    found = network(nodes)
    pairs = [(p, c, 0) for p, c in edges.T.tolist()] + [(c, p, 1) for p, c in edges.T.tolist()]
    for node in range(len(graph)):
        branch = graph.branch[node]
        near = [(source, kind) for target, source, kind in pairs if target == node] + [(node, 2)]
        for head in range(2):
            columns = slice(2 * head, 2 * head + 2)
            hidden = (nodes @ network.linear.weight[branch].T)[:, :, columns]
            query = hidden[:, node] @ network.query[branch, head]
            scores = [
                query + hidden[:, j] @ network.key[branch, head] + network.direction[3 * branch + k, head]
                for j, k in near
            ]
            weights = torch.softmax(torch.nn.functional.leaky_relu(torch.stack(scores), 0.2), 0)  # (n, W)
            gathered = sum(w.unsqueeze(1) * hidden[:, j] for w, (j, _) in zip(weights, near, strict=True))
            torch.testing.assert_close(found[:, node, columns], torch.nn.functional.elu(gathered), **CLOSE)


def test_the_tree_lstm_is_that_of_its_equations(graph: LabelGraph) -> None:
    edges, hidden = edges_of(graph), 3
    network = shaken(ChildSumLstm(4, hidden, edges, torch.ones(edges.shape[1]), index_of(graph)))
    nodes = torch.randn(2, len(graph), 4)
    done: dict[int, tuple[Tensor, Tensor]] = {}

    def state(node: int) -> tuple[Tensor, Tensor]:
        if node not in done:
            one = graph.branch[node]
            given = nodes[:, node] @ network.given.weight[one].T + network.given.bias[one]
            into, out, new, forget = given.split(hidden, 1)
            sources = [(edge, state(int(edges[0, edge]))) for edge in range(edges.shape[1]) if edges[1, edge] == node]
            sources = [(edge, (h * network.edge[edge], c * network.edge[edge])) for edge, (h, c) in sources]
            total = sum((h for _, (h, _) in sources), torch.zeros(2, hidden))
            extra = (total @ network.inner.weight[one].T).split(hidden, 1)
            cell = torch.sigmoid(into + extra[0]) * torch.tanh(new + extra[2])
            for _, (h, c) in sources:
                cell = cell + torch.sigmoid(forget + h @ network.forget.weight[one].T) * c
            done[node] = torch.sigmoid(out + extra[1]) * torch.tanh(cell), cell
        return done[node]

    found = network(nodes)
    for node in range(len(graph)):
        torch.testing.assert_close(found[:, node], state(node)[0], **CLOSE)


def test_both_directions_start_from_the_weights_of_their_edges() -> None:
    graph = GRAPHS["dag"]
    edges = edges_of(graph)
    prior = torch.rand(edges.shape[1])
    network = TreeLstm(6, edges, prior, index_of(graph))
    assert torch.equal(network.downwards.edge.data, prior)
    nodes = torch.randn(1, len(graph), 6)
    before = network(nodes)
    rye, animals = graph.taxonomy.index("rye"), graph.taxonomy.index("animals")
    changed = nodes.clone()
    changed[:, rye] += 1.0
    moved = (network(changed) - before).abs().amax(2)[0] > 1e-6
    above = {"rye", "bread", "food"}  # up from rye; nothing is below it
    assert {graph.taxonomy.ids[node] for node in torch.nonzero(moved).flatten().tolist()} == above
    changed = nodes.clone()
    changed[:, animals] += 1.0
    moved = (network(changed) - before).abs().amax(2)[0] > 1e-6
    assert {graph.taxonomy.ids[node] for node in torch.nonzero(moved).flatten().tolist()} == {
        "animals",
        "cats",
        "dogs",
        "fish",
    }
    with pytest.raises(ValueError, match="even"):
        TreeLstm(5, edges, prior, index_of(graph))


@pytest.mark.parametrize("low_rank", [False, True])
def test_text_goes_to_all_nodes(low_rank: bool) -> None:
    torch.manual_seed(2)
    nodes = TextToNodes(5, 3, 4, low_rank, BranchIndex(torch.tensor([0, 1, 0]), 2))
    text = torch.randn(2, 5)
    found = nodes(text)
    assert found.shape == (2, 3, 4)
    for node in range(3):
        if low_rank:
            projection = nodes.output.weight.view(2, 4, 5)[node % 2]
            expected = nodes.scale[node] * (text @ projection.T) + nodes.shift[node]
        else:
            rows = slice(4 * node, 4 * node + 4)
            expected = text @ nodes.output.weight[rows].T + nodes.output.bias[rows]
        torch.testing.assert_close(found[:, node], expected, **CLOSE)


def test_labels_attend_to_the_tokens_of_a_window_and_get_gradients(graph: LabelGraph) -> None:
    torch.manual_seed(3)
    edges = edges_of(graph)
    network = GatedGcn(4, edges, torch.rand(edges.shape[1]), index_of(graph))
    attention = StructuredLabelAttention(index_of(graph), 6, network, 4, 0.5).eval()
    mask = torch.tensor([[True, True, True], [True, True, False]])
    features = TextFeatures(torch.randn(2, 3, 6), mask, torch.randn(2, 5))
    labels = attention(features).labels
    queries = network(attention.embedding.unsqueeze(0))[0]
    weight, bias = attention.keys.weight.view(graph.count, 4, 6), attention.keys.bias.view(graph.count, 4)
    for window, length in enumerate((3, 2)):
        for node, branch in enumerate(graph.branch.tolist()):
            tokens = features.tokens[window, :length] @ weight[branch].T + bias[branch]
            expected = torch.softmax(tokens @ queries[node], 0) @ tokens
            torch.testing.assert_close(labels[window, node], expected, **CLOSE)
    labels.sum().backward()
    assert attention.embedding.grad.abs().sum() > 0


def test_text_propagation_is_projection_and_network() -> None:
    torch.manual_seed(4)
    graph = GRAPHS["dag"]
    edges = edges_of(graph)
    nodes = TextToNodes(5, len(graph), 4, low_rank=False)
    network = GatedGcn(4, edges, torch.rand(edges.shape[1]), index_of(graph))
    structure = TextPropagation(nodes, network, 0.5).eval()
    features = TextFeatures(torch.randn(2, 3, 6), torch.ones(2, 3, dtype=torch.bool), torch.randn(2, 5))
    torch.testing.assert_close(structure(features).labels, network(nodes(features.pooled)))


@pytest.mark.parametrize("pooling", ["sum", "mean", "max"])
def test_the_coding_tree_network_is_that_of_its_equations(graph: LabelGraph, pooling: str) -> None:
    parents, branches = graph.coding_trees(2)
    network = CodingTreeNetwork(
        5, 4, [torch.from_numpy(row) for row in parents], [torch.from_numpy(row) for row in branches], pooling, 0.5
    )
    shaken(network)
    text = torch.randn(3, 5)
    features = TextFeatures(torch.randn(3, 2, 6), torch.ones(3, 2, dtype=torch.bool), text)
    layers = network(features).layers
    assert layers.shape == (3, graph.count, 3, 4)

    def pooled(nodes: list[Tensor], owners: list[int], branch: int) -> Tensor:
        inside = torch.stack([node for node, owner in zip(nodes, owners, strict=True) if owner == branch])
        return {"sum": inside.sum(0), "mean": inside.mean(0), "max": inside.amax(0)}[pooling]

    def norm(module: BranchNorm, rows: Tensor, branch: int) -> Tensor:  # running statistics are 0 and 1
        return rows / (1 + module.eps) ** 0.5 * module.weight.view(-1, 4)[branch] + module.bias.view(-1, 4)[branch]

    nodes = []
    for node, branch in enumerate(branches[0].tolist()):
        leaf = text @ network.projection.weight[branch].T + network.projection.bias[branch]
        nodes.append(network.scale[node] * leaf + network.shift[node])
    for layer in range(3):
        for branch in range(graph.count):
            expected = pooled(nodes, branches[layer].tolist(), branch)
            torch.testing.assert_close(layers[:, branch, layer], expected, **CLOSE)
        if layer == 2:
            break
        above = []
        for node, branch in enumerate(branches[layer + 1].tolist()):
            total = sum(nodes[child] for child in range(len(nodes)) if parents[layer][child] == node)
            first, second = network.first[layer], network.second[layer]
            hidden = norm(network.inner[layer], total @ first.weight[branch].T + first.bias[branch], branch).relu()
            out = hidden @ second.weight[branch].T + second.bias[branch]
            above.append(norm(network.outer[layer], out, branch).relu())
        nodes = above
