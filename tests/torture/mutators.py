"""Seeded damage to files: what a hand, a disk or somebody who means ill does to JSON, tensors, tables and folders.

Every function takes a ``random.Random`` and says in a few words what it did; the same seed does the same.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import sound_outside
from sealing import seal

NUMBERS: tuple[Any, ...] = (
    *(-1, 0, 1, 2, 3, 7, 64, 1000, 65_537, 10_000, 1_000_000, 5_000_000, 2**31 - 1, 2**31, 2**32, 2**63, 10**30),
    *(-0.5, 0.0, 0.5, 1.0, 1.5, 1e-308, 1e30, 1e308, float("nan"), float("inf"), -(2**63)),
)
TEXTS = (
    *("", "x", "default", "none", "\x1b[31mred\x1b[0m\x07", "\u202eabc\u2066", "../../etc/passwd", "\x00", "\ud800"),
    *("a" * 50_000, "label\twith\ttabs\n", "transformer", "linear", "é" * 300, "[PAD]", "1e999"),
)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"a": 1}, [None], [1, "a"], {"": ""})


def leaf(rng: random.Random, old: Any = None) -> Any:
    """A value in the place of ``old``: mostly of the same kind, and odd."""
    if rng.random() < 0.25:
        return rng.choice((*NUMBERS, *TEXTS, *OTHERS))
    if isinstance(old, bool):
        return rng.choice((not old, None, 1))
    if isinstance(old, int):
        return rng.choice((*NUMBERS, old + 1, old - 1, 2 * old, -old, old * 1000))
    if isinstance(old, float):
        return rng.choice((*NUMBERS, -old, old * 1e6, old / 1e6))
    if isinstance(old, str):
        return rng.choice((*TEXTS, old + "x", old[:-1], old.upper(), old * 100))
    return rng.choice((*NUMBERS, *TEXTS, *OTHERS))


def change_value(rng: random.Random, content: Any) -> tuple[Any, str]:
    """Change one place of a JSON value; returns the whole and what was done."""
    path: list[Any] = []
    here = content
    while isinstance(here, (dict, list)) and here and (not path or rng.random() < 0.9):
        step = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
        path.append(step)
        here = here[step]
    if not path:
        return leaf(rng, content), "the whole"
    above: Any = content
    for step in path[:-1]:
        above = above[step]
    last, name = path[-1], ".".join(map(str, path))[:80]
    what = rng.choice(("value", "value", "value", "value", "drop", "double", "wrap", "rename", "swap", "many"))
    if what == "drop":
        del above[last]
    elif what == "double" and isinstance(above, list):
        above.insert(last, above[last])
    elif what == "rename" and isinstance(above, dict):
        above[f"{last}{rng.choice(('x', '_', chr(0x202E)))}"] = above.pop(last)
    elif what == "swap" and isinstance(above, (dict, list)):
        other = rng.choice(list(above)) if isinstance(above, dict) else rng.randrange(len(above))
        above[last], above[other] = above[other], above[last]
    elif what == "many":
        above[last] = [above[last]] * rng.choice((2, 100, 20_000))
    elif what == "wrap":
        above[last] = rng.choice(([above[last]], {"a": above[last]}, {str(last): above[last]}))
    else:
        above[last] = leaf(rng, above[last])
        return content, f"{name} = {above[last]!r:.60}"
    return content, f"{what} {name}"


def json_file(rng: random.Random, path: Path) -> str:
    """Damage a JSON file, mostly so that it is still JSON."""
    how = rng.random()
    if how < 0.06:
        deep = rng.choice((50, 900, 1500, 100_000))
        path.write_text("[" * deep + "]" * rng.choice((0, deep)), encoding="utf-8")
        return f"{deep} brackets"
    if how < 0.12:
        return any_bytes(rng, path)
    text = path.read_text(encoding="utf-8")
    if how < 0.16:
        spots = [match.span() for match in re.finditer(r"(?<=[:\[,\s])-?\d+(?:\.\d+)?", text)]
        if spots:
            begin, end = rng.choice(spots)
            number = rng.choice(("9" * 400, "1e400", "-0", "9" * 5000, "1" + "0" * 18))
            path.write_text(text[:begin] + number + text[end:], encoding="utf-8")
            return f"number at {begin} is {number[:20]}"
    content = json.loads(text)
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content, what = change_value(rng, content)
        done.append(what)
    if how > 0.97:
        deep = rng.choice((200, 5000))
        for _ in range(deep):
            content = [content]
        path.write_text("[" * 0 + json.dumps("deep"), encoding="utf-8")
        path.write_text("[" * deep + text + "]" * deep, encoding="utf-8")
        return f"wrapped {deep} times"
    path.write_text(json.dumps(content), encoding="utf-8")
    return "; ".join(done)


def any_bytes(rng: random.Random, path: Path) -> str:
    """Damage bytes: flipped, cut, repeated, overwritten."""
    content = bytearray(path.read_bytes())
    how = rng.choice(("flip", "cut", "zero", "garbage", "insert", "empty", "double", "head"))
    at = rng.randrange(max(1, len(content)))
    if how == "flip":
        for _ in range(rng.choice((1, 3, 30))):
            at = rng.randrange(max(1, len(content)))
            if content:
                content[at] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del content[at:]
    elif how == "zero":
        content[at : at + 100] = bytes(min(100, len(content) - at))
    elif how == "garbage":
        content = bytearray(rng.randbytes(rng.choice((1, 10, 5000))))
    elif how == "insert":
        content[at:at] = rng.choice((b"\x00", b"\xff\xfe", b"\x1b[2J", b"\n\n\n", b'"', b"[" * 3000, b"\xe2\x80\xae"))
    elif how == "empty":
        content = bytearray()
    elif how == "double":
        content += bytes(content)
    else:
        content[: min(8, len(content))] = struct.pack("<Q", rng.choice((0, 1, 2**40, 2**63, 2**64 - 1)))[: len(content)]
    path.write_bytes(bytes(content))
    return f"bytes: {how} at {at}"


def read_header(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and data of a safetensors file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def write_header(path: Path, header: dict[str, Any], data: bytes) -> None:
    """Write a safetensors file with any header."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def tensors(rng: random.Random, path: Path) -> str:
    """Damage a safetensors file: its header, or the numbers of one tensor."""
    from safetensors.numpy import load_file, save_file

    how = rng.random()
    if how < 0.15:
        return any_bytes(rng, path)
    if how < 0.22:
        return _other_kind(rng, path)
    if how < 0.45:
        header, data = read_header(path)
        header, what = change_value(rng, header)
        write_header(path, header if isinstance(header, dict) else {"x": header}, data)
        return f"header: {what}"
    header, _ = read_header(path)
    metadata = header.get("__metadata__")
    arrays = load_file(path)
    name = rng.choice(list(arrays))
    array = arrays[name]
    what = rng.choice(("drop", "rename", "reshape", "number", "kind", "cut", "huge", "shuffle", "same", "more"))
    flat = array.reshape(-1)
    if what == "drop":
        del arrays[name]
    elif what == "rename":
        arrays[f"{name}x"] = arrays.pop(name)
    elif what == "reshape":
        arrays[name] = array.reshape(rng.choice(((1, -1), (-1, 1), (-1,), (1, 1, -1))))
    elif what == "kind":
        kind = rng.choice((np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_))
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(kind)
    elif what == "cut":
        arrays[name] = np.ascontiguousarray(flat[: len(flat) // 2])
    elif what == "huge":
        arrays[name] = np.zeros(
            (rng.choice((1, 10, 3_000_000)), max(1, array.shape[-1] if array.ndim else 1)), array.dtype
        )
    elif what == "shuffle":
        order = np.random.default_rng(rng.randrange(2**31)).permutation(len(flat))
        arrays[name] = np.ascontiguousarray(flat[order].reshape(array.shape))
    elif what == "same" and len(flat):
        arrays[name] = np.full_like(array, flat[0])
    elif what == "more":
        arrays["odd\u202e\x1b[31m"] = np.zeros(3, np.float32)
    elif len(flat):
        flat = flat.copy()
        limits = (0, 1) if flat.dtype == np.bool_ else (-1, 0, 1, 2**31 - 1, 1e30, float("nan"), float("inf"), -1e38)
        for _ in range(rng.choice((1, 5))):
            with np.errstate(all="ignore"):
                value = np.asarray(rng.choice(limits)).astype(flat.dtype)
            flat[rng.randrange(len(flat))] = value
        arrays[name] = flat.reshape(array.shape)
    save_file(arrays, path, metadata=metadata)
    return f"tensor {name}: {what}"


KINDS = {1: ("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 2: ("F16", "BF16", "I16", "U16"), 4: ("F32", "I32", "U32")}
KINDS[8] = ("F64", "I64", "U64", "C64")


def _other_kind(rng: random.Random, path: Path) -> str:
    """Give the bytes of one tensor another meaning of the same width: the header fits the data."""
    header, data = read_header(path)
    name = rng.choice([name for name in header if name != "__metadata__"])
    width = next(width for width, kinds in KINDS.items() if header[name]["dtype"] in kinds)
    header[name]["dtype"] = kind = rng.choice(KINDS[width])
    write_header(path, header, data)
    return f"{name} is {kind}"


def text_file(rng: random.Random, path: Path) -> str:
    """Damage a table, YAML or other text line by line, or byte by byte."""
    if rng.random() < 0.3:
        return any_bytes(rng, path)
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    done = []
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines))
        line = lines[at]
        what = rng.choice(("number", "word", "drop", "double", "swap", "token", "break", "quote", "long", "token"))
        if what == "number":
            number = str(rng.choice(NUMBERS))
            line = re.sub(r"-?\d+(?:\.\d+)?", lambda match, n=number: n, line, count=1)
        elif what == "word":
            word = rng.choice(TEXTS)[:2000].encode("utf-8", "replace").decode()
            line = re.sub(r"\w+", lambda match, w=word: w, line, count=1)
        elif what == "swap":
            other = rng.randrange(len(lines))
            lines[other], line = line, lines[other]
        elif what == "double":
            line = f"{line}\n{line}"
        elif what == "token":
            place = rng.randrange(len(line) + 1)
            odd = (
                "\t",
                "\x1b[31m",
                "\u202e",
                "\x00",
                "{",
                "}",
                "[",
                "]",
                ":",
                ",",
                '"',
                "'",
                "&a",
                "*a",
                "!!python/x",
                "<",
                "&e;",
            )
            line = line[:place] + rng.choice(odd) + line[place:]
        elif what == "break":
            place = rng.randrange(len(line) + 1)
            line = line[:place] + "\n" + line[place:]
        elif what == "quote":
            line = f'"{line}'
        elif what == "long":
            line *= 2000
        else:
            line = ""
        lines[at] = line
        done.append(f"{what} in line {at + 1}")
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    return "; ".join(done)


def folder(rng: random.Random, place: Path, others: list[Path]) -> str:
    """Damage what lies in a folder: files that are missing, of another, links, pipes, folders."""
    paths = sorted(path for path in place.rglob("*") if path.is_file())
    path = rng.choice(paths)
    what = rng.choice(("missing", "folder", "pipe", "link", "loop", "swap", "foreign", "more", "unreadable"))
    if what == "swap":
        other = rng.choice(paths)
        content = path.read_bytes()
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
        return f"{path.name} and {other.name} are swapped"
    if what == "more":
        (path.parent / rng.choice(("0", "odd.json", "members", "\x1b[31mred", "weights.bin"))).mkdir(exist_ok=True)
        return "one more folder"
    if what == "unreadable":
        path.chmod(0)
        return f"{path.name} cannot be read"
    content = path.read_bytes()
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "link":
        outside = place.parent / "outside"
        outside.write_bytes(content)
        path.symlink_to(rng.choice((outside, Path("/etc/passwd"), Path("/dev/zero"), Path("nowhere"))))
    elif what == "loop":
        path.symlink_to(path.name)
    elif what == "foreign":
        found = [other / path.relative_to(place) for other in others if (other / path.relative_to(place)).is_file()]
        if found:
            shutil.copy(rng.choice(found), path)
    return f"{path.name}: {what}"


def model_folder(rng: random.Random, model: Path, others: list[Path]) -> str:
    """Damage a model folder at one to three places; mostly its checksums fit the damage."""
    damage = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.12:
            damage.append(folder(rng, model, others))
            continue
        files = sorted(path for path in model.rglob("*") if path.is_file() and not path.is_symlink())
        damage.append(file(rng, rng.choice([path for path in files if path.suffix != ".md"])))
    if rng.random() < 0.7:
        seal(model)
    return f"{model.name}: {'; '.join(damage)}"


Mutator = Callable[[random.Random, Path], str]
BY_SUFFIX: dict[str, Mutator] = {
    ".json": json_file,
    ".safetensors": tensors,
    ".parquet": sound_outside.parquet,
    ".gz": lambda rng, path: sound_outside.packed(rng, path, file),
    ".yaml": lambda rng, path: (sound_outside.yaml_value if rng.random() < 0.4 else text_file)(rng, path),
    **dict.fromkeys((".tsv", ".csv", ".jsonl", ".ttl", ".rdf", ".jsonld", ".txt", ".svm", ".md"), text_file),
}


def file(rng: random.Random, path: Path) -> str:
    """Damage a file as its kind may be damaged."""
    mutate = BY_SUFFIX.get(path.suffix, any_bytes)
    before = path.read_bytes()
    try:
        return f"{path.name}: {mutate(rng, path)}"
    except Exception:  # damaged by an earlier mutation so that it cannot be read
        path.write_bytes(before)  # a writer of Parquet that fails removes the file
        return f"{path.name}: {any_bytes(rng, path)}"
