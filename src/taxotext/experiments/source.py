"""The state of the source code: which of two results were computed by the same program."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

import taxotext

ASIDE = ("cli", "serving", "explain", "experiments", "sample")
"""Rooms that no metric depends on."""


@cache
def source_digest() -> str:
    """A hash (16 hex digits) of the package's source, without comments, docstrings and layout.

    Two results of one version of Taxotext may come from two states of its source while it is developed; tables say so.
    """
    root = Path(taxotext.__path__[0])
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if inside.parts[0] in ASIDE:
            continue
        digest.update(inside.as_posix().encode() + b"\0")
        digest.update(_code(path.read_text(encoding="utf-8")).encode() + b"\0")
    return digest.hexdigest()[:16]


def _code(text: str) -> str:
    r"""The program alone.

    >>> _code('def f():\n    "Says one."\n    return 1  # one') == _code('def f(): return 1')
    True
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
