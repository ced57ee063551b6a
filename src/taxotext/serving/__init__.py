"""Models over HTTP: one queue of micro-batches, and the contracts of programs that ask it."""
