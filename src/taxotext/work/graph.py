"""A graph of pieces of work: what needs what, what is done, and what may start.

The graph is fixed before the first piece; what a node computes is decided when all that it needs is done. So the third
best of seven fits can be a node although nobody knows yet which of them that will be. A node that is done is never
computed again: its result is in the ledger before any other node sees it.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

from taxotext.errors import TrainingError
from taxotext.work.executors import Executor
from taxotext.work.ledger import Ledger
from taxotext.work.requests import Request, describe

LOOK_EVERY = 1.0
"""Seconds between two looks of the watcher at what is at work."""
KEPT = "What is done is kept: go on with --resume."
Result = Mapping[str, Any]
"""What a node leaves: plain JSON values."""


@dataclass(frozen=True)
class Node:
    """One step."""

    key: str  # its name in the graph and in the ledger (letters, digits and `. _ -`).
    needs: tuple[str, ...]  # keys of the nodes whose results it takes
    # called with the results of `needs`, in the process that holds the graph. Returns a request for the executor, or,
    # where there is nothing to compute, the result itself.
    start: Callable[[Mapping[str, Result]], Request | Result]
    instant: bool = False  # whether `start` always returns the result: such a node does not wait for a free slot


class Graph:
    """Nodes by key, in an order in which they could be computed one after the other.

    Raises:
        ValueError: two nodes with one key, a need that is not a node, or a circle.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        given = list(nodes)
        self._nodes = {node.key: node for node in given}
        if len(self._nodes) < len(given):
            raise ValueError("two nodes have the same key")
        unknown = {need for node in given for need in node.needs} - self._nodes.keys()
        if unknown:
            raise ValueError(f"there is no node {min(unknown)!r}")
        try:
            self.order = tuple(TopologicalSorter({node.key: node.needs for node in given}).static_order())
        except CycleError as error:
            raise ValueError(f"the nodes {' -> '.join(error.args[1])} need each other") from None
        self.dependents: dict[str, list[str]] = {key: [] for key in self._nodes}
        for node in given:
            for need in dict.fromkeys(node.needs):
                self.dependents[need].append(node.key)
        # Nodes on the longest chain are the first to start: the end of the graph waits for them.
        self.height: dict[str, int] = {}
        for key in reversed(self.order):
            self.height[key] = 1 + max((self.height[other] for other in self.dependents[key]), default=0)

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, key: str) -> Node:
        return self._nodes[key]


class Watcher(Protocol):
    """Whoever wants to know how far a graph is."""

    def started(self, key: str) -> None:
        """A request is with the executor."""

    def finished(self, key: str, result: Result) -> None:
        """A node is done, and in the ledger."""

    def looked(self) -> None:
        """Called about once a second while requests are with the executor."""


def run_graph(graph: Graph, executor: Executor, ledger: Ledger, watcher: Watcher) -> dict[str, Result]:
    """Compute every node that is not done, and return all results.

    Args:
        executor: what computes; it stays open.
        watcher: is called for every node, those of an earlier run first.

    Raises:
        TrainingError: a request failed, or the disk is full; all that was done before is in the ledger.
    """
    try:
        return _run(graph, executor, ledger, watcher)
    except OSError as error:
        raise TrainingError(f"{describe(error)} {KEPT}") from error


def _run(graph: Graph, executor: Executor, ledger: Ledger, watcher: Watcher) -> dict[str, Result]:
    results: dict[str, Result] = dict(ledger.read(graph.order))
    for key in graph.order:
        if key in results:
            watcher.finished(key, results[key])
    missing = {
        key: sum(need not in results for need in dict.fromkeys(graph[key].needs))
        for key in graph.order
        if key not in results
    }
    # Instant nodes first: others may wait for them, and what they make superfluous can be removed.
    rank = {key: (not graph[key].instant, -graph.height[key], place) for place, key in enumerate(graph.order)}
    ready = [rank[key] for key, count in missing.items() if count == 0]
    heapq.heapify(ready)
    running, looked = 0, time.monotonic()

    def finish(key: str, result: Result) -> None:
        ledger.write(key, result)
        results[key] = result
        watcher.finished(key, result)
        for other in graph.dependents[key]:
            if other in missing:
                missing[other] -= 1
                if missing[other] == 0:
                    heapq.heappush(ready, rank[other])

    while ready or running:
        while ready and (running < executor.slots or not ready[0][0]):
            key = graph.order[heapq.heappop(ready)[2]]
            begun = graph[key].start({need: results[need] for need in graph[key].needs})
            if isinstance(begun, Request):
                executor.submit(key, begun)
                watcher.started(key)
                running += 1
            else:
                finish(key, begun)
        if running:
            if time.monotonic() - looked >= LOOK_EVERY:
                looked = time.monotonic()
                watcher.looked()
            for outcome in executor.wait(LOOK_EVERY):
                running -= 1
                if outcome.report is None:
                    raise TrainingError(f"{outcome.failure} {KEPT}")
                finish(outcome.key, outcome.report)
    return results
