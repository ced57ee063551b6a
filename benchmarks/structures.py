"""What structure encoders and branches add to a training step: processor time and memory.

::

    python benchmarks/structures.py branches --json branches.json
    python benchmarks/structures.py sizes --json sizes.json

``branches``: 240 labels in 4, 8 and 40 branches. ``himtl`` over ``gcn`` and ``coding_tree``, by projection and by
masking, beside the system without branches, and beside a structure encoder and a head for each branch in a loop: over
the labels of the branch (``loop``), and over all labels (``masking loop``: the base, as often as there are branches).
What counts is the step of everything behind the encoder (forward and backward, ``--batch`` documents), and its share
of the whole step with MiniLM at 128 tokens.

``sizes``: every structure encoder at 100, 1,000 and 6,243 labels, beside the same computation with matrices of labels
x labels: adjacency (``gcn``), attention among all pairs (``gat``), the published mixing of all leaves and pooling by
matrices (``coding_tree``). ``treelstm`` has a forget gate for each edge; with matrices that would be labels x labels x
units, so there is nothing beside it.

Every case is a process of its own with one thread: the least processor time of ``--repeats``, and by how much the
greatest resident memory grew from before the first step.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from taxotext import Corpus, Taxonomy
from taxotext.models.registry import find
from taxotext.nn.batch import Targets
from taxotext.nn.features import TextFeatures
from taxotext.nn.graph_networks import SLOPE
from taxotext.settings import parse_settings

LABELS, BRANCHES, SIZES = 240, (4, 8, 40), (100, 1000, 6243)
WIDTH, TOKENS = 384, 128
SYSTEMS = {
    "gcn": ("hiagm", {"structure": {"name": "gcn"}}),
    "coding_tree": ("hitin", {"structure": {"name": "coding_tree"}}),
}
MOST_DENSE = 2_000_000_000
"""Bytes of one dense matrix above which the dense computation is not tried."""


def forest(labels: int, roots: int, children: int = 8) -> Taxonomy:
    """Trees of the same size; each node has up to ``children``."""
    edges: list[tuple[str | None, str]] = []
    for root in range(roots):
        size = labels // roots + (root < labels % roots)
        for node in range(size):
            edges.append((None if node == 0 else f"{root}.{(node - 1) // children}", f"{root}.{node}"))
    return Taxonomy.from_edges(edges)


def documents(taxonomy: Taxonomy, count: int) -> Corpus:
    """Short texts with random labels and their ancestors."""
    rng = np.random.default_rng(7)
    chosen = [[taxonomy.ids[label] for label in rng.choice(len(taxonomy), 3)] for _ in range(count)]
    texts = [" ".join(f"word{number}" for number in rng.integers(0, 50, 20)) for _ in range(count)]
    return Corpus.from_lists(texts, chosen, taxonomy, closure="ancestors")


def build(name: str, taxonomy: Taxonomy, train: Corpus, **settings: Any) -> Any:
    """A system with a small encoder of the width of MiniLM, which is not measured."""
    values = {
        "encoder": {"name": "kim_cnn", "embedding_width": 8, "filters": WIDTH // 3, "kernels": [1, 2, 3]},
        "runtime": {"device": "cpu", "precision": "float32", "threads": 1},
        **settings,
    }
    system: Any = find(name)
    made = system(parse_settings(system.Settings, values, name), taxonomy)
    made.build(train)
    return made


def features_of(batch: int, token_width: int) -> TextFeatures:
    """Random features of texts that learn."""
    torch.manual_seed(1)
    pooled = torch.randn(batch, WIDTH, requires_grad=True)
    tokens = torch.randn(batch, TOKENS, token_width)
    return TextFeatures(tokens, torch.ones(batch, TOKENS, dtype=torch.bool), pooled)


def measure(step: Callable[[], Tensor], repeats: int) -> dict[str, float]:
    """Processor seconds of a step and its backward pass, and bytes by which memory grew."""
    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(repeats + 1):
        started = time.process_time()
        step().backward()
        times.append(time.process_time() - started)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return {"seconds": min(times[1:]), "bytes": grown}


# -- branches --------------------------------------------------------------------------------------------------------


def behind_encoder(system: Any, targets: Targets, batch: int) -> Callable[[], Tensor]:
    """Structure encoder, head and loss of a system."""
    network, features = system.network, features_of(batch, system.network.encoder.token_width)
    network.train()
    return lambda: network.head.loss(network.structure(features), targets)


def branch_case(structure: str, count: int, how: str, batch: int, repeats: int) -> dict[str, float]:
    """One way of joining ``count`` branches."""
    base, settings = SYSTEMS[structure]
    taxonomy = forest(LABELS, count)
    train = documents(taxonomy, 200)
    targets = Targets.of(train.known_targets[:batch], None)
    if how == "base":
        return measure(behind_encoder(build(base, taxonomy, train, **settings), targets, batch), repeats)
    if how != "loop":
        head = {"head": {"name": "layers"}} if structure == "coding_tree" else {}
        system = build("himtl", taxonomy, train, branches={"mode": how}, **settings, **head)
        return measure(behind_encoder(system, targets, batch), repeats)
    steps = []
    for root in range(count):
        size = LABELS // count + (root < LABELS % count)
        own = forest(size, 1)
        part = documents(own, 200)
        system = build(base, own, part, **settings)
        steps.append(behind_encoder(system, Targets.of(part.known_targets[:batch], None), batch))
    return measure(lambda: torch.stack([step() for step in steps]).sum(), repeats)


def encoder_case(batch: int, repeats: int) -> dict[str, float]:
    """A step of MiniLM alone, in float32."""
    taxonomy = forest(10, 1)
    system: Any = find("bert")
    made = system(parse_settings(system.Settings, {}, "bert"), taxonomy)
    made.build(documents(taxonomy, 20))
    encoder = made.network.encoder.train()
    ids = torch.randint(1000, 20000, (batch, TOKENS))
    mask = torch.ones(batch, TOKENS, dtype=torch.bool)
    return measure(lambda: encoder(ids, mask).pooled.sum(), repeats)


def branches(asked: argparse.Namespace) -> dict[str, Any]:
    """All ways at all numbers of branches, and the table."""
    encoder = case(asked, "encoder")
    print(f"encoder: {1000 * encoder['seconds']:.0f} ms a step of {asked.batch} documents, {TOKENS} tokens")
    found: dict[str, Any] = {"encoder": encoder, "batch": asked.batch, "rows": []}
    print("| structure | branches | way | ms behind the encoder | whole step beside the base | MB |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for structure in SYSTEMS:
        for count in BRANCHES:
            base = None
            for how in ("base", "projection", "loop", "masking", "masking loop"):
                if how == "masking loop":
                    assert base is not None
                    own = {"seconds": count * base["seconds"], "bytes": count * base["bytes"]}
                else:
                    own = case(asked, "branch", structure, str(count), how)
                base = own if base is None else base
                whole = (encoder["seconds"] + own["seconds"]) / (encoder["seconds"] + base["seconds"])
                found["rows"].append({"structure": structure, "branches": count, "way": how, **own, "whole": whole})
                print(
                    f"| {structure} | {count} | {how} | {1000 * own['seconds']:.1f} | {whole:.3f} | "
                    f"{own['bytes'] / 1e6:.0f} |",
                    flush=True,
                )
    return found


# -- sizes -----------------------------------------------------------------------------------------------------------


class DenseGcn(nn.Module):
    """The sums of :class:`GatedGcn` with matrices (N, N)."""

    def __init__(self, network: Any, nodes: int) -> None:
        super().__init__()
        self.width, self.network = network.width, network
        parents, children = network.edges
        self.up, self.down = (nn.Parameter(torch.zeros(nodes, nodes)) for _ in range(2))
        with torch.no_grad():
            self.up[parents, children] = network.up
            self.down[children, parents] = network.down

    def forward(self, nodes: Tensor) -> Tensor:
        own = self.network
        up, down = self.up @ nodes, self.down @ nodes
        gates = own.gates[own.index.branch].view(-1, 3, self.width)
        bias = torch.cat([own.gate_bias, torch.zeros_like(own.gate_bias[:1])])
        opened = torch.sigmoid(torch.einsum("wmd,mkd->kwm", nodes, gates) + bias.unsqueeze(1)).unsqueeze(-1)
        messages = (up + own.up_bias, down + own.down_bias, nodes)
        found = sum((own.dropout(gate * message) for gate, message in zip(opened, messages, strict=True)), 0 * nodes)
        return nn.functional.leaky_relu(found, SLOPE)


class DenseGat(nn.Module):
    """The attention of :class:`GraphAttention` among all pairs, those without an edge masked."""

    def __init__(self, network: Any, nodes: int) -> None:
        super().__init__()
        self.width, self.network = network.width, network
        self.hidden = torch.ones(nodes, nodes, dtype=torch.bool)
        self.kind = torch.zeros(nodes, nodes, dtype=torch.long)
        self.hidden[network.targets, network.sources] = False
        self.kind[network.targets, network.sources] = network.kind

    def forward(self, nodes: Tensor) -> Tensor:
        own = self.network
        hidden = own.linear(nodes, own.index).unflatten(2, (own.heads, -1))  # (W, M, K, d / K)
        query, key = (hidden * own.query[own.index.branch]).sum(3), (hidden * own.key[own.index.branch]).sum(3)
        found = query.unsqueeze(2) + key.unsqueeze(1) + own.direction[self.kind]  # (W, M, M, K)
        found = nn.functional.leaky_relu(found, 0.2).masked_fill(self.hidden.unsqueeze(2), -torch.inf)
        gathered = torch.einsum("wijk,wjkd->wikd", found.softmax(2), hidden)
        return nn.functional.elu(own.dropout(gathered.flatten(2)))


class DenseCodingTree(nn.Module):
    """:class:`CodingTreeNetwork` with the published matrix across all leaves, and its sums by matrices."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        leaves = network.indexes[0].nodes
        self.mixing = nn.Parameter(torch.randn(leaves, leaves) / leaves**0.5)
        self.sums = []
        for layer, index in enumerate(network.indexes[1:]):
            above = getattr(network, f"parents_{layer}")
            matrix = torch.zeros(index.nodes, len(above))
            matrix[above, torch.arange(len(above))] = 1
            self.sums.append(matrix)

    def forward(self, features: TextFeatures) -> Tensor:
        own = self.network
        texts = own.projection(features.pooled.unsqueeze(1), own.indexes[-1])  # (W, 1, d)
        nodes = self.mixing @ own.dropout(texts.expand(-1, len(self.mixing), -1))
        found = [nodes.sum(1)]
        steps = zip(own.first, own.inner, own.second, own.outer, own.indexes[1:], self.sums, strict=True)
        for first, inner, second, outer, index, matrix in steps:
            hidden = torch.relu(inner(first(matrix @ nodes, index), index))
            nodes = torch.relu(outer(second(hidden, index), index))
            found.append(nodes.sum(1))
        return torch.stack(found)


def size_case(structure: str, labels: int, how: str, batch: int, repeats: int) -> dict[str, float]:
    """One structure encoder at one number of labels."""
    taxonomy = forest(labels, 1)
    train = documents(taxonomy, 50)
    name = "hitin" if structure == "coding_tree" else "hiagm"
    system = build(name, taxonomy, train, structure={"name": structure})
    features = features_of(batch, system.network.encoder.token_width)
    module: Any = system.network.structure.train()
    if how == "edges":
        if structure == "coding_tree":
            return measure(lambda: module(features).layers.sum(), repeats)
        return measure(lambda: module(features).labels.sum(), repeats)
    if structure == "coding_tree":
        tree = DenseCodingTree(module)
        return measure(lambda: tree(features).sum(), repeats)
    module.network = {"gcn": DenseGcn, "gat": DenseGat}[structure](module.network, labels)
    return measure(lambda: module(features).labels.sum(), repeats)


def sizes(asked: argparse.Namespace) -> dict[str, Any]:
    """All structure encoders at all sizes, and the table."""
    found: dict[str, Any] = {"batch": asked.batch, "rows": []}
    print("| structure | labels | ms | MB | ms, labels x labels | MB, labels x labels |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for structure in ("gcn", "treelstm", "gat", "coding_tree"):
        for labels in SIZES:
            own = case(asked, "size", structure, str(labels), "edges")
            row = {"structure": structure, "labels": labels, "edges": own}
            cells = f"| {structure} | {labels:,} | {1000 * own['seconds']:.1f} | {own['bytes'] / 1e6:.0f} |"
            largest = 4 * labels**2 * (asked.batch * 4 if structure == "gat" else 1)  # four heads of each document
            if structure == "treelstm":
                cells += " – | – |"
            elif largest > MOST_DENSE:
                cells += f" not tried: {largest / 1e9:.1f} GB | |"
            else:
                dense = case(asked, "size", structure, str(labels), "dense")
                row["dense"] = dense
                cells += f" {1000 * dense['seconds']:.1f} | {dense['bytes'] / 1e6:.0f} |"
            found["rows"].append(row)
            print(cells, flush=True)
    return found


# -- processes -------------------------------------------------------------------------------------------------------


def case(asked: argparse.Namespace, *named: str) -> dict[str, float]:
    """Run one case in a process of its own."""
    given = ["--batch", str(asked.batch), "--repeats", str(asked.repeats), "--case", *named]
    command = [sys.executable, __file__, asked.what, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(named)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("branches", "sizes"))
    parser.add_argument("--case", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.case:
        kind, *named = asked.case
        how = (asked.batch, asked.repeats)
        if kind == "encoder":
            found = encoder_case(*how)
        else:
            structure, count, way = named
            found = (branch_case if kind == "branch" else size_case)(structure, int(count), way, *how)
        print(json.dumps(found))
        return
    result = {"branches": branches, "sizes": sizes}[asked.what](asked)
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
