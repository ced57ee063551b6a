"""Names of class numbers, as Hugging Face ``datasets`` keeps them: in Parquet metadata, or in a file beside the data.

``dataset_info.json`` (also ``dataset_infos.json``) and the front matter of ``README.md`` describe the columns of the
files in their folder and in folders below it, such as ``data/``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from taxotext.errors import ConfigError
from taxotext.settings import load_yaml

Names = dict[str, tuple[str, ...]]
"""The names of the class numbers 0, 1, ... of a column."""

_FILES = ("dataset_info.json", "dataset_infos.json", "README.md")
_LARGEST = 2**24
"""Bytes of such a file that is looked into."""
_LARGEST_FRONT = 2**20
"""Bytes of front matter that is looked into: YAML is slow."""
_DEEPEST = 8
"""Lists within lists of a column."""


def names_of_features(features: Any) -> Names:
    """The names of the ``ClassLabel`` columns of ``features`` as they are written in JSON, lists of them included.

    >>> names_of_features({"label": {"names": ["no", "yes"], "_type": "ClassLabel"}, "text": {"dtype": "string"}})
    {'label': ('no', 'yes')}
    """
    found: Names = {}
    for name, feature in features.items() if isinstance(features, dict) else ():
        while isinstance(feature, (dict, list)) and feature and "names" not in feature:
            feature = feature[0] if isinstance(feature, list) else feature.get("feature")
        if isinstance(feature, dict) and isinstance(feature.get("names"), list):
            found[str(name)] = tuple(map(str, feature["names"]))
    return found


def names_beside(source: Path, columns: Sequence[str]) -> tuple[Names, str]:
    """The names of class numbers in columns of a file or folder, from a description beside it or one folder above.

    Returns:
        The names, and the file that has them; configurations of a data set that contradict each other have none.
    """
    folder = source if source.is_dir() else source.parent
    for place in (folder, folder.resolve().parent):
        for name in _FILES:
            file = place / name
            with suppress(OSError, ValueError):
                if not file.is_file() or file.stat().st_size > _LARGEST:
                    continue
                described = list(_described(file))
                found = {column: {names[column] for names in described if column in names} for column in columns}
                agreed = {column: names.pop() for column, names in found.items() if len(names) == 1}
                if agreed:
                    return agreed, name
    return {}, ""


def _described(file: Path) -> Iterator[Names]:
    """The names by column of each configuration that a file describes."""
    content = file.read_bytes()
    if file.name == "README.md":
        yield from _of_card(content)
        return
    value = orjson.loads(content)
    configurations = value.values() if file.name == "dataset_infos.json" and isinstance(value, dict) else [value]
    for one in configurations:
        if isinstance(one, dict):
            yield names_of_features(one.get("features"))


def _of_card(content: bytes) -> Iterator[Names]:
    """The front matter of a data set card: a list of columns, each with its kind."""
    if not content.startswith(b"---") or b"class_label" not in content:
        return
    front = content.split(b"\n---", 1)[0].removeprefix(b"---")
    if len(front) > _LARGEST_FRONT:
        return
    try:
        value = load_yaml(front.decode("utf-8"), "README.md", plain=True)
    except ConfigError:
        return
    infos = value.get("dataset_info") if isinstance(value, dict) else None
    for info in infos if isinstance(infos, list) else [infos]:
        features = info.get("features") if isinstance(info, dict) else None
        found: Names = {}
        for feature in features if isinstance(features, list) else ():
            names = _class_label(feature)
            if names is not None:
                found[str(feature.get("name"))] = names
        yield found


def _class_label(feature: Any) -> tuple[str, ...] | None:
    """The names of a column, ``{"name": ..., "dtype": {"class_label": {"names": {"0": ...}}}}``, perhaps in a list."""
    for _ in range(_DEEPEST):  # an alias of YAML may lead in a circle
        if not isinstance(feature, Mapping) or "class_label" in feature:
            break
        feature = next((feature[key] for key in ("dtype", "sequence", "list") if key in feature), None)
    if not isinstance(feature, Mapping) or not isinstance(feature.get("class_label"), Mapping):
        return None
    names = feature["class_label"].get("names")
    if isinstance(names, list):
        return tuple(map(str, names))
    if not isinstance(names, Mapping) or {str(number) for number in names} != set(map(str, range(len(names)))):
        return None
    by_number = {str(number): str(name) for number, name in names.items()}
    return tuple(by_number[str(number)] for number in range(len(by_number)))
