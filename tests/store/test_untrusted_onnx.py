"""Exported folders that somebody else made, or that are damaged: one sentence each, before anything is computed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

import taxotext
from taxotext.errors import ModelFolderError
from taxotext.files import sha256
from taxotext.store.onnx_export import export_onnx
from tiny import tiny_fit

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an export; only to be read."""
    model = tiny_fit("kim_cnn")
    folder = tmp_path_factory.mktemp("saved") / "onnx"
    export_onnx(folder, model.system, model.manifest)
    return folder


def forged(folder: Path) -> None:
    """Bring the record in line with changed files, as whoever means harm does."""
    record = json.loads((folder / "native.json").read_text(encoding="utf-8"))
    for entry in record["files"]:
        path = folder / entry["name"]
        entry.update(size=path.stat().st_size, sha256=sha256(path))
    (folder / "native.json").write_text(json.dumps(record), encoding="utf-8")


def of_graph(how: Callable[[Any], object]) -> Change:
    def change(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        how(model)
        onnx.save(model, folder / "model.onnx")
        forged(folder)

    return change


def of_json(name: str, how: Callable[[Any], object]) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        how(content)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
        if name != "native.json":
            forged(folder)

    return change


def outside(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../../secret")
    tensor.data_location = onnx.TensorProto.EXTERNAL


def shorter(folder: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])


def bit(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(bytes(content))


def link(folder: Path) -> None:
    place = folder.parent / "elsewhere.onnx"
    shutil.move(folder / "model.onnx", place)
    (folder / "model.onnx").symlink_to(place)


def renamed(model: Any) -> None:
    model.graph.input[0].name = "tokens"
    for node in model.graph.node:
        node.input[:] = ["tokens" if name == "ids" else name for name in node.input]


def twice_as_many(model: Any) -> None:
    (last,) = (node for node in model.graph.node if "scores" in node.output)
    last.output[:] = ["half"]
    model.graph.node.append(helper.make_node("Concat", ["half", "half"], ["scores"], axis=1))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 14


CASES: dict[str, tuple[Change, str]] = {
    "a changed bit": (bit, "SHA-256 is not the one in native.json"),
    "half a file": (shorter, "native.json says"),
    "half a file, forged": (lambda folder: (shorter(folder), forged(folder)), "is damaged"),
    "no file": (lambda folder: (folder / "model.onnx").unlink(), "is missing"),
    "no certificate": (lambda folder: (folder / "certificate.json").unlink(), "is missing"),
    "a second graph": (lambda folder: shutil.copy(folder / "model.onnx", folder / "b.onnx"), "is not in native.json"),
    "a link outside": (link, "is a link that leads out of the folder"),
    "weights from outside": (of_graph(outside), "takes weights from another file"),
    "custom operators": (
        of_graph(lambda m: m.graph.node.append(helper.make_node("Run", ["ids"], ["z"], domain="evil"))),
        "operators of 'evil'",
    ),
    "an operator that does not exist": (
        of_graph(lambda m: m.graph.node.append(helper.make_node("Runn", ["ids"], ["z"]))),
        "is refused by ONNX Runtime",
    ),
    "other inputs": (of_graph(renamed), "reads tokens, mask, not ids, mask"),
    "other labels": (
        of_graph(twice_as_many),
        "does not give the scores of 7 labels",
    ),
    "pieces without places": (
        of_json("config.json", lambda c: c["settings"]["text"].update(long_text="chunk_max")),
        "reads ids, mask, not ids, mask, places",
    ),
    "tokens without vectors": (
        of_json("native.json", lambda c: c["exported"].update(token_ids=1)),
        "vectors of 1 ids",
    ),
    "no facts": (of_json("native.json", lambda c: c.pop("exported")), "must say what was exported"),
    "facts of another kind": (
        of_json("native.json", lambda c: c["exported"].update(token_ids="many")),
        "cannot be loaded",
    ),
}


def test_onnx_runtime_keeps_and_reports_nothing(saved: Path, tmp_path: Path) -> None:
    code = f"import taxotext; print(taxotext.load({str(saved)!r}).predict(['a text']))"
    kept = {
        name: value for name, value in os.environ.items() if name not in {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    }
    source = str(Path(taxotext.__file__).parents[1])
    environment = {**kept, "HOME": str(tmp_path), "PYTHONPATH": source}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []  # by itself it makes .cache/Microsoft with the number of a device


@pytest.mark.parametrize("key", CASES)
def test_a_damaged_or_forged_folder_is_one_sentence(key: str, saved: Path, tmp_path: Path) -> None:
    how, said = CASES[key]
    folder = Path(shutil.copytree(saved, tmp_path / "onnx"))
    taxotext.load(folder)
    how(folder)
    with pytest.raises(ModelFolderError) as caught:
        taxotext.load(folder).predict(["cat"])
    assert said in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_graph_that_cannot_compute_a_text_is_one_sentence(saved: Path, tmp_path: Path) -> None:
    """What ONNX Runtime raises while it computes: here ids beyond the table of vectors."""
    folder = Path(shutil.copytree(saved, tmp_path / "onnx"))

    def fewer_vectors(model: Any) -> None:
        table = next(one for one in model.graph.initializer if "embedding" in one.name)
        array = onnx.numpy_helper.to_array(table)[:2]
        table.CopyFrom(onnx.numpy_helper.from_array(array, table.name))
        del model.graph.value_info[:]

    of_graph(fewer_vectors)(folder)
    with pytest.raises(ModelFolderError, match=r"model\.onnx: cannot be computed"):
        taxotext.load(folder).predict(["cat trout rye loaf"])
