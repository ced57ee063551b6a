"""What an ONNX file may hold: files of strangers that reach out of themselves are refused, damaged ones are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from taxotext.errors import ModelFolderError
from taxotext.files import onnx_files
from taxotext.files.onnx_files import check_onnx


def graph(*nodes: Any, tensors: tuple[Any, ...] = (), **more: Any) -> Any:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])
    opset = [helper.make_opsetid("", 23), *more.pop("opsets", [])]
    inside = helper.make_graph(list(nodes), "graph", [x], [y], list(tensors))
    return helper.make_model(inside, opset_imports=opset, **more)


def weights(name: str = "w", **places: str) -> Any:
    tensor = numpy_helper.from_array(np.ones((2, 2), np.float32), name)
    for key, value in places.items():
        tensor.external_data.add(key=key, value=value)
    if places:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
    return tensor


def product(domain: str = "") -> Any:
    return helper.make_node("MatMul", ["x", "w"], ["y"], domain=domain)


SOUND = graph(product(), tensors=(weights(),)).SerializeToString()


def loop() -> Any:
    steps = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    going = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    body = helper.make_graph([], "body", [steps, going], [going])
    return graph(helper.make_node("Loop", ["n", "b"], ["y"], body=body))


def inner_tensor() -> Any:
    outside = weights(location="../../../etc/passwd")
    return graph(helper.make_node("Constant", [], ["w"], value=outside), product())


def sparse() -> Any:
    model = graph(product())
    model.graph.sparse_initializer.add()
    return model


def function() -> Any:
    own = helper.make_function("own", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [], [])
    return graph(product(), tensors=(weights(),), functions=[own])


REFUSED = {
    "weights of another file": (graph(product(), tensors=(weights(location="/etc/passwd"),)), "from another file"),
    "weights beside the file": (graph(product(), tensors=(weights(location="more.bin"),)), "from another file"),
    "weights in a constant": (inner_tensor(), "from another file"),
    "custom operators": (graph(product("mine"), opsets=[helper.make_opsetid("mine", 1)]), "operators of 'mine'"),
    "operators of a vendor": (graph(product("com.microsoft")), "operators of 'com.microsoft'"),
    "domains that nothing uses": (graph(product(), opsets=[helper.make_opsetid("mine", 1)]), "operators of 'mine'"),
    "a loop": (loop(), "a loop or a branch"),
    "functions": (function(), "functions"),
    "sparse weights": (sparse(), "sparse weights"),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_reaches_out_of_the_file_is_refused(key: str, tmp_path: Path) -> None:
    model, said = REFUSED[key]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelFolderError, match=said):
        check_onnx(tmp_path / "model.onnx")


def test_a_sound_file_passes(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(SOUND)
    check_onnx(tmp_path / "model.onnx")


def test_a_missing_or_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="is missing; export the model again"):
        check_onnx(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelFolderError, match="is damaged"):
        check_onnx(tmp_path / "model.onnx")


def test_very_many_fields_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "MOST_FIELDS", 1000)
    (tmp_path / "model.onnx").write_bytes(b"\x08\x01" * 1001)
    with pytest.raises(ModelFolderError, match="more than 1,000 fields"):
        check_onnx(tmp_path / "model.onnx")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_files_end_in_a_sentence_or_pass(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(bytes(content))
    try:
        check_onnx(path)
    except ModelFolderError as error:
        assert str(path) in str(error)


def test_a_message_that_merges_into_another_one_is_seen(tmp_path: Path) -> None:
    """A protocol buffer may give a part twice, and readers join the two: the second one counts, too."""
    second = graph(product("mine"))
    (tmp_path / "model.onnx").write_bytes(SOUND + second.SerializeToString())
    with pytest.raises(ModelFolderError, match="operators of 'mine'"):
        check_onnx(tmp_path / "model.onnx")
