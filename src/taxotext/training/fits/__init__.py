"""Trainings that are many small fits: a graph of them, and what runs it."""

from __future__ import annotations

from taxotext.training.fits.executors import Executor, InProcess, Outcome, Processes, make_executor
from taxotext.training.fits.graph import Graph, Node, run_graph
from taxotext.training.fits.ledger import Ledger
from taxotext.training.fits.requests import Request

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
