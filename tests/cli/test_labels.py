"""``taxotext labels``: the list, the map in each form, and a sentence for what cannot be done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from command import Command
from taxotext import load


def test_without_a_map_every_label_is_listed_with_its_nearest(command: Command, sample_model: Path) -> None:
    out = command("labels", sample_model, "--nearest", "2").ok().out
    rows = [line.split() for line in out.splitlines()[1:]]
    assert sorted(row[0] for row in rows) == sorted(load(sample_model).taxonomy.ids)
    assert all(len(row) == 5 for row in rows)


def test_a_map_is_written_in_each_form(command: Command, sample_model: Path) -> None:
    for suffix in ("svg", "png", "html", "json"):
        assert f"Wrote map.{suffix}." in command("labels", sample_model, "--map", f"map.{suffix}").ok().err
    ElementTree.parse("map.svg")
    assert Path("map.png").read_bytes().startswith(b"\x89PNG")
    page = Path("map.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!#)', page)
    content = json.loads(Path("map.json").read_text(encoding="utf-8"))
    assert {one["id"] for one in content["labels"]} == set(load(sample_model).taxonomy.ids)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--map", "map.pdf"], "--map map.pdf: name a file that ends in .svg, .png, .html or .json."),
        (["--method", "umap"], "choose pca or tsne"),
        (["--vectors", "head"], "linear has coefficients"),
    ],
)
def test_mistakes_are_answered_with_advice(
    command: Command, sample_model: Path, arguments: list[str], sentence: str
) -> None:
    command("labels", sample_model, *arguments).refused(sentence)
