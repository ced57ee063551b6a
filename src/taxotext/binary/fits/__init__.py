"""Trainings that are many small fits: a graph of them, and what runs it."""

from __future__ import annotations

from taxotext.binary.fits.executors import Executor, InProcess, Outcome, Processes, make_executor
from taxotext.binary.fits.graph import Graph, Node, run_graph
from taxotext.binary.fits.ledger import Ledger
from taxotext.binary.fits.requests import Request

__all__ = [
    "Executor",
    "Graph",
    "InProcess",
    "Ledger",
    "Node",
    "Outcome",
    "Processes",
    "Request",
    "make_executor",
    "run_graph",
]
