"""What an ONNX file may hold: operators of the standard and weights of its own.

ONNX Runtime reads the files that a graph names as the places of its weights, and runs whatever operators its libraries
know. A model folder may come from anyone, so that the file is walked through first, without reading the weights: an
ONNX file is a protocol buffer, messages of numbered fields (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from taxotext.errors import ModelFolderError

MOST_FIELDS = 2_000_000
"""Fields of a file at most; a BERT of 12 layers has 20,000."""
STANDARD = frozenset({"", "ai.onnx"})
"""Domains of the operators of the standard; what others hold depends on the libraries of the machine."""

_WIDTHS = {1: 8, 5: 4}  # bytes of fields of a fixed width, by wire type
_Children = Mapping[int, str]


def _fields(**numbers: int) -> _Children:
    return MappingProxyType({number: name for name, number in numbers.items()})


# Of each message those fields that hold others, or that decide something; numbers of onnx.proto of version 1.23.
_MESSAGES: Mapping[str, _Children] = MappingProxyType(
    {
        "model": _fields(graph=7, opset=8, training=20, function=25),
        "graph": _fields(node=1, tensor=5, sparse=15),
        "node": _fields(attribute=5, domain=7),
        "attribute": MappingProxyType(
            {5: "tensor", 6: "graph_inside", 10: "tensor", 11: "graph_inside", 22: "sparse", 23: "sparse"}
        ),
        "tensor": _fields(place=13, location=14),
        "opset": MappingProxyType({1: "opset_domain"}),
    }
)
_REFUSED = {
    "training": "holds a graph for training",
    "function": "holds functions",
    "graph_inside": "holds a loop or a branch",
    "sparse": "holds sparse weights",
    "place": "takes weights from another file",
    "location": "takes weights from another file",
}


def check_onnx(path: Path) -> None:
    """Refuse a graph that takes weights from other files, or has operators that are not of the standard.

    Loops, branches and functions are refused too: no exported network has them.

    Args:
        path: of the file.

    Raises:
        ModelFolderError: it is missing, damaged, or does one of these.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for seen, (name, value) in enumerate(_walk(content, 0, len(content), "model")):
                if seen >= MOST_FIELDS:
                    raise _refused(path, f"has more than {MOST_FIELDS:,} fields")
                if name in _REFUSED and not (name == "location" and value == 0):
                    raise _refused(path, _REFUSED[name])
                if name in {"domain", "opset_domain"} and value not in STANDARD:
                    raise _refused(path, f"has operators of {value!r}, which are not of the ONNX standard")
    except FileNotFoundError:
        raise ModelFolderError(f"{path}: is missing; export the model again.") from None
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise ModelFolderError(f"{path}: is damaged ({error}); export the model again.") from None


def _refused(path: Path, reason: str) -> ModelFolderError:
    return ModelFolderError(f"{path}: {reason}, and no file that Taxotext exported does; it is not loaded.")


def _walk(content: mmap.mmap, start: int, end: int, message: str) -> Iterator[tuple[str, int | str]]:
    """The fields that matter of a message and of those in it: name, and a number or a text.

    Raises:
        ValueError: the bytes are no message.
    """
    children, at = _MESSAGES[message], start
    while at < end:
        key, at = _varint(content, at, end)
        number, wire = key >> 3, key & 7
        name = children.get(number, "")
        value: int | str = 0
        if wire == 0:
            value, at = _varint(content, at, end)
        elif wire == 2:
            length, at = _varint(content, at, end)
            if length > end - at:
                raise ValueError(f"a field at byte {at:,} is longer than what it is in")
            if name in _MESSAGES:
                yield from _walk(content, at, at + length, name)
            elif name.endswith("domain"):
                value = content[at : at + min(length, 200)].decode("utf-8", "replace")
            else:
                value = length
            at += length
        elif wire in _WIDTHS:
            at += _WIDTHS[wire]
            if at > end:
                raise ValueError("it ends within a number")
        else:
            raise ValueError(f"there is no field at byte {at:,}")
        yield name, value


def _varint(content: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError("it ends within a number")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"the integer that ends at byte {at:,} has more than 64 bits")
