"""Label sets and their structure: the taxonomy, its files, and its drawing as a tree.

>>> from taxotext.labels import taxonomy_from_paths
>>> taxonomy_from_paths(["arts/music", "arts/film", "science"]).depth
2
"""

from __future__ import annotations

from taxotext.labels.drawing import draw, tree_lines
from taxotext.labels.readers import (
    TAXONOMY_FORMATS,
    read_alternative_names,
    read_descriptions,
    read_names,
    read_taxonomy,
    taxonomy_from_paths,
)
from taxotext.labels.taxonomy import CLOSURE_POLICIES, ClosurePolicy, Taxonomy
from taxotext.labels.writers import write_names, write_taxonomy

__all__ = [
    "CLOSURE_POLICIES",
    "TAXONOMY_FORMATS",
    "ClosurePolicy",
    "Taxonomy",
    "draw",
    "read_alternative_names",
    "read_descriptions",
    "read_names",
    "read_taxonomy",
    "taxonomy_from_paths",
    "tree_lines",
    "write_names",
    "write_taxonomy",
]
