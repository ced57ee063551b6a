"""Damage that checksums do not show: packed files and Parquet that are sound outside and odd inside, values of YAML.

Part of :mod:`torture.mutators`: every function takes a ``random.Random`` and says in a few words what it did.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

YAML_VALUES = (
    *("2001-13-45", "2001-01-01T25:00:00Z", "!!timestamp 'x'", "!!binary 'zz'", "!!set {a, b}", "!!omap [a: 1]"),
    *("!!int abc", "!!float x", "!!str [a]", "!!map [a]", "!!python/object/apply:os.system ['true']", "!foo bar"),
    *("&a [*a, *a]", "&a {x: *a}", "{<<: 3}", "{<<: [[a]]}", "{<<: &b {<<: *b}}", "*undefined", "{? [a, b] : c}"),
    *("0x", "0o9", "1:61:99", "0x" + "f" * 9000, "1" * 5000, "1e400", ".nan", "-.inf", "_", "=", "\\ud800", "\x00"),
    *("[" * 3000, "? ? ? a", "%TAG ! x", "|99\n x", "{a: 1, a: 2}"),
)


def yaml_value(rng: random.Random, path: Path) -> str:
    """Put an odd value of YAML behind a key."""
    lines = path.read_text(encoding="utf-8").split("\n")
    keys = [number for number, line in enumerate(lines) if ":" in line]
    at, value = rng.choice(keys or [0]), rng.choice(YAML_VALUES)
    lines[at] = f"{lines[at].partition(':')[0]}: {value}"
    path.write_text("\n".join(lines), encoding="utf-8")
    return f"line {at + 1} is {value[:30]}"


def packed(rng: random.Random, path: Path, inside: Callable[[random.Random, Path], str]) -> str:
    """Damage what a gzip file holds, so that its sums are right; or pack it in an unusual way."""
    content = gzip.decompress(path.read_bytes())
    how = rng.choice(("inside", "inside", "inside", "twice", "members", "behind", "sum", "bomb"))
    if how == "inside":
        plain = path.with_suffix("")
        plain.write_bytes(content)
        what = inside(rng, plain)
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
        return f"inside: {what}"
    middle = len(content) // 2
    path.write_bytes(
        {
            "twice": lambda: gzip.compress(gzip.compress(content)),
            "members": lambda: gzip.compress(content[:middle]) + gzip.compress(b"") + gzip.compress(content[middle:]),
            "behind": lambda: gzip.compress(content) + rng.randbytes(20),
            "sum": lambda: gzip.compress(content)[:-8] + bytes(8),
            "bomb": lambda: gzip.compress(content + b"x" * 100_000_000, 1),
        }[how]()
    )
    return f"packed: {how}"


def parquet(rng: random.Random, path: Path) -> str:
    """Write the table again: with a column of another type, a name twice, other metadata, or rows that share a text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    rows, numbers = table.num_rows, rng.choice((0, 1, 2**30, 2**60, -(10**17)))
    what = rng.choice(("column", "column", "column", "more", "twice", "metadata", "none", "empty", "bomb"))
    if what == "none":
        table = table.select([])
    elif what == "bomb":
        places = pa.array([0] * 3000, pa.int32())
        text = pa.DictionaryArray.from_arrays(places, pa.array(["x" * 1_000_000]))
        table = pa.table({"id": range(3000), "text": text, "labels": [["cats"]] * 3000})
    elif what == "empty":
        table = table.slice(0, 0)
    elif what == "metadata":
        value = rng.choice((b"[" * 50_000, b"{", json.dumps({"info": {"features": {"labels": {"names": 3}}}}).encode()))
        table = table.replace_schema_metadata({rng.choice((b"huggingface", b"pandas", b"ARROW:schema")): value})
    elif what == "twice":
        name = rng.choice(table.schema.names)
        table = table.append_column(name, table[name])
    else:
        kinds: dict[str, Callable[[], Any]] = {
            "timestamp": lambda: pa.array([numbers] * rows, pa.int64()).view(
                pa.timestamp(rng.choice(("s", "us", "ns")))
            ),
            "zone": lambda: pa.array([0] * rows, pa.int64()).view(pa.timestamp("us", "Nowhere/Land")),
            "date": lambda: pa.array([numbers] * rows, pa.int64()).view(pa.date64()),
            "duration": lambda: pa.array([numbers] * rows, pa.int64()).view(pa.duration("s")),
            "bytes": lambda: pa.array([b"\xff\x00"] * rows),
            "structs": lambda: pa.array([{"a": [1]}] * rows),
            "lists": lambda: pa.array([[["a"], None]] * rows),
            "map": lambda: pa.array([[("a", 1)]] * rows, pa.map_(pa.string(), pa.int64())),
            "floats": lambda: pa.array([float("nan")] * rows),
            "large": lambda: pa.array([2**64 - 1] * rows, pa.uint64()),
            "nulls": lambda: pa.nulls(rows),
            "long": lambda: pa.array(["x" * 200_000] * rows),
            "controls": lambda: pa.array([["\x1b[31m\u202e\x00"]] * rows),
            "categories": lambda: pa.array(["a"] * rows).dictionary_encode(),
        }
        kind = rng.choice(list(kinds))
        if what == "more":
            table = table.append_column(rng.choice(("when", "", "\x1b[31m")), kinds[kind]())
        else:
            at = rng.randrange(table.num_columns)
            table = table.set_column(at, table.schema.names[at], kinds[kind]())
        what = f"{what} of {kind}"
    pq.write_table(table, path)
    return what
