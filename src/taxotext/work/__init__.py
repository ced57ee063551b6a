"""Work in many pieces: a graph of them, the ledger of what is done, and what computes them."""

from __future__ import annotations

from taxotext.work.executors import EXECUTORS, Executor, Workers
from taxotext.work.graph import Graph, Node, Result, run_graph
from taxotext.work.ledger import Ledger
from taxotext.work.requests import Outcome, Request

__all__ = [
    "EXECUTORS",
    "Executor",
    "Graph",
    "Ledger",
    "Node",
    "Outcome",
    "Request",
    "Result",
    "Workers",
    "run_graph",
]
