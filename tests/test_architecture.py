"""Imports point one way, nothing prints, and what is cheap stays cheap."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import taxotext

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "taxotext"

# Each row may import from the rows below it; rooms of one row know nothing of each other.
ROWS = (
    {"__main__"},
    {"cli"},
    {"experiments", "report", "serving"},
    {"api"},
    {"store", "explain"},
    {"models"},
    {"binary"},
    {"training"},
    {"composition"},
    {"cost"},
    {"decoding", "nn"},
    {"data"},
    {"labels"},
    {"metrics", "charts"},
    {"errors", "settings", "files", "processes", "progress", "sample", "messages", "work"},
)
HEIGHT = {room: len(ROWS) - number for number, row in enumerate(ROWS) for room in row}
BOTTOM = {
    "settings": {"errors", "messages", "files"},
    "files": {"errors"},
    "processes": set(),
    "progress": set(),
    "errors": set(),
    "messages": set(),
    "work": {"errors", "messages", "files", "processes"},
}
"""What the rooms of the lowest row may import of each other."""

HEAVY = ("torch", "transformers", "lightning", "sklearn", "tokenizers", "scipy", "pandas", "matplotlib")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "taxotext" and len(parts) > 1 and parts[1] != "__version__":
                yield parts[1], node.lineno


def test_every_room_has_its_row() -> None:
    assert {room_of(path) for path in modules()} - {"__init__"} <= set(HEIGHT)


def test_imports_point_one_way_only() -> None:
    wrong = []
    for path in modules():
        room = room_of(path)
        if room == "__init__":  # the front door opens every room, on first use
            continue
        for other, line in imported_rooms(path):
            if other == room or other in BOTTOM.get(room, set()):
                continue
            if HEIGHT[other] >= HEIGHT[room]:
                wrong.append(f"{path.relative_to(PACKAGE.parent)}:{line}: {room} -> {other}")
    assert not wrong, "\n".join(wrong)


def test_library_code_never_prints() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong, ", ".join(wrong)


def test_mistakes_of_the_user_are_never_left_to_assert() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert) and not _narrows_a_type(node.test)
    ]
    assert not wrong, ", ".join(wrong)


def _narrows_a_type(test: ast.expr) -> bool:
    """``x is not None`` and ``isinstance(x, T)`` speak to the type checker, not to people."""
    if isinstance(test, ast.Compare):
        return isinstance(test.ops[0], ast.IsNot) and ast.unparse(test.comparators[0]) == "None"
    return isinstance(test, ast.Call) and ast.unparse(test.func) == "isinstance"


def test_no_file_goes_past_its_length() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert max(lengths.values()) <= 800, max(lengths, key=lengths.__getitem__)


REPORT = """
import sys
heavy = sorted({name.split(".")[0] for name in sys.modules} & set(%r))
sys.stderr.write(f"\\nREPORT {','.join(heavy)}\\n")
"""


def loaded_by(code: str) -> set[str]:
    """Heavy modules in a process of its own that ran ``code``."""
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", f"import atexit\natexit.register(lambda: exec({REPORT % (HEAVY,)!r}))\n{code}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    _, *heavy = done.stderr.strip().splitlines()[-1].split(" ")
    return set(heavy[0].split(",")) if heavy else set()


@pytest.mark.parametrize(
    "code",
    [
        "import taxotext",
        "from taxotext.cli import main; main(['--help'])",
        "from taxotext.cli import main; main(['train', '--help'])",
    ],
    ids=["import taxotext", "taxotext --help", "taxotext train --help"],
)
def test_what_only_looks_loads_nothing_heavy(code: str) -> None:
    """How long it takes is measured by ``benchmarks/startup.py``."""
    assert loaded_by(code) == set()


@pytest.mark.parametrize("room", ["errors", "settings", "labels", "data", "metrics", "decoding", "models.registry"])
def test_rooms_without_networks_import_neither_torch_nor_sklearn(room: str) -> None:
    assert loaded_by(f"import taxotext.{room}") <= {"scipy"}


def test_linear_is_fitted_saved_loaded_and_used_without_torch(tmp_path: Path) -> None:
    code = f"""
import taxotext
model = taxotext.Classifier("linear", features__min_documents=1)
texts, labels = ["cat", "dog", "cat dog", "rain"] * 3, [["c"], ["d"], ["c", "d"], []] * 3
model.fit(texts, labels)
model.tune()
model.evaluate(texts, labels)
model.save({str(tmp_path / "model")!r})
loaded = taxotext.load({str(tmp_path / "model")!r})
loaded.predict(texts)
loaded.update({str(tmp_path / "model")!r})
"""
    heavy = loaded_by(code)
    assert "sklearn" in heavy
    assert not heavy & {"torch", "transformers", "lightning", "tokenizers"}


def test_a_linear_model_is_tuned_evaluated_and_used_without_sklearn(tmp_path: Path) -> None:
    """Importing scikit-learn takes a second of CPU time, more than all else that these commands do."""
    texts, labels = ["cat", "dog", "cat dog", "rain"] * 3, [["c"], ["d"], ["c", "d"], []] * 3
    classifier = taxotext.Classifier("linear", features__min_documents=1).fit(texts, labels)
    classifier.save(tmp_path / "model")
    rows = [{"text": text, "labels": found} for text, found in zip(texts, labels, strict=True)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for command in (["tune", "model"], ["evaluate", "model", "rows.jsonl"], ["predict", "model", "rows.jsonl"]):
        code = f"import os; os.chdir({str(tmp_path)!r})\nfrom taxotext.cli import main; main({command})"
        assert loaded_by(code) == {"scipy"}, command
