"""A system in a folder: its settings, labels and parts, and the systems that it is made of.

This is the lower half of a model folder, which a system can read without :mod:`taxotext.store`. A mixture or an
ensemble holds its members in ``members/0``, ``members/1``, ..., each with a ``config.json`` and parts of its own. A
member over the labels of the whole has no ``taxonomy.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from taxotext import __version__
from taxotext.composition.base import System
from taxotext.composition.named_files import public_settings
from taxotext.errors import ConfigError, ModelFolderError, TaxotextError
from taxotext.files import check_no_device, sha256
from taxotext.files.json_files import json_text
from taxotext.labels import Taxonomy
from taxotext.models.registry import find
from taxotext.settings import parse_settings

FORMAT_VERSION = 2
"""2: parts keep records (``parts.json``), folders may hold members. Folders of version 1 are read."""
MEMBERS = "members"
DEEPEST = 4
"""Folders within each other at most."""
CHECKSUMS = "weights_sha256"
"""Key of ``config.json``: the SHA-256 of each file of weights."""
SHOWN_REASON = 200
"""Characters of an error of a library that a message repeats."""
_KINDS: dict[type, str] = {str: "text", dict: "a JSON object", list: "a list"}
T = TypeVar("T")


def write_system(folder: Path, system: System, beside: Mapping[str, Any] | None = None) -> None:
    """Write ``config.json``, ``taxonomy.json``, the parts of a system, and its members.

    Args:
        folder: empty.
        beside: more keys of ``config.json``.

    Raises:
        OSError: the folder cannot be written.
    """
    write_taxonomy(folder / "taxonomy.json", system.taxonomy)
    _write(folder, system, beside or {})


def _write(folder: Path, system: System, beside: Mapping[str, Any]) -> None:
    system.save_parts(folder)
    config = {
        "format_version": FORMAT_VERSION,
        "taxotext_version": __version__,
        "model": system.name,
        "settings": public_settings(system.settings),
        **beside,
        "labels_sha256": hash_ids(system.taxonomy),
        CHECKSUMS: {path.name: sha256(path) for path in sorted(folder.glob("*.safetensors"))},
    }
    write_json(folder / "config.json", config)
    for number, member in enumerate(system.members):
        place = folder / MEMBERS / str(number)
        place.mkdir(parents=True)
        if member.taxonomy.to_dict() != system.taxonomy.to_dict():
            write_taxonomy(place / "taxonomy.json", member.taxonomy)
        _write(place, member, {})


def load_system(folder: Path, runtime: Mapping[str, Any] | None = None) -> System:
    """Read the system of a model folder, or of a folder that :func:`write_system` wrote; no network.

    Args:
        runtime: settings of ``runtime`` that replace the saved ones.

    Raises:
        ModelFolderError: it is missing, damaged, or of a newer format.
    """
    config = read_config(folder)
    return build_system(folder, config, parsed(folder / "taxonomy.json", Taxonomy.from_dict), runtime)


def build_system(
    folder: Path,
    config: Mapping[str, Any],
    taxonomy: Taxonomy,
    runtime: Mapping[str, Any] | None = None,
    depth: int = 1,
) -> System:
    """Read the parts and members of a system.

    Args:
        config: its ``config.json``, as :func:`read_config` gives it.
        runtime: settings of ``runtime`` that replace the saved ones.
        depth: of this folder among those that it lies in.

    Raises:
        ModelFolderError: something is missing, damaged, or does not fit.
    """
    path = folder / "config.json"
    if config.get("labels_sha256", hash_ids(taxonomy)) != hash_ids(taxonomy):
        raise ModelFolderError(
            f"{folder}: config.json and taxonomy.json do not hold the same labels; the folder was mixed from two "
            "models, save the model again."
        )
    try:
        kind = find(config["model"], saved=True)
    except ConfigError as error:
        raise ModelFolderError(f"{path}: {error}") from None
    settings = parse_settings(kind.Settings, config["settings"], str(path))
    if runtime:
        changed = {**settings.model_dump(), "runtime": {**settings.runtime.model_dump(), **runtime}}
        settings = parse_settings(kind.Settings, changed, "runtime settings of load")
    check_weights(folder, config)
    with _load_errors(folder):
        system = kind.load_parts(folder, settings, taxonomy)
    system.members = tuple(_members(folder, taxonomy, runtime, depth))
    return system


@contextmanager
def _load_errors(folder: Path) -> Iterator[None]:
    """The boundary at which what is foreign becomes a sentence: anyone may have changed the files of parts.

    The cause is kept: ``--debug`` shows it, and a sound folder that cannot be loaded is a bug.
    """
    try:
        yield
    except ModelFolderError as error:
        if str(folder) in error.message:
            raise
        raise ModelFolderError(f"{folder}: {error.message}", error.problems) from error
    except TaxotextError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:SHOWN_REASON]
        raise ModelFolderError(
            f"{folder}: cannot be loaded ({type(error).__name__}: {reason}); its files do not fit each other. Save the "
            "model again, or run with --debug and report it if the files are as they were written."
        ) from error


def check_weights(folder: Path, config: Mapping[str, Any]) -> None:
    """Compare the weights with the checksums in ``config.json``; folders that were written without them pass.

    Args:
        config: its ``config.json``.

    Raises:
        ModelFolderError: a file is not the one that was written, or the checksums are damaged.
    """
    recorded = config.get(CHECKSUMS, {})
    if not isinstance(recorded, dict) or not all(isinstance(digest, str) for digest in recorded.values()):
        raise ModelFolderError(f"{folder / 'config.json'}: {CHECKSUMS} must name files; save the model again.")
    for name, digest in recorded.items():
        path = folder / Path(name).name
        if path.is_file() and sha256(path) != digest:  # of a missing file the system says more
            raise ModelFolderError(
                f"{path}: is damaged (its SHA-256 is not the one in config.json); save the model again, or copy the "
                "folder again from where it came."
            )


def _members(folder: Path, taxonomy: Taxonomy, runtime: Mapping[str, Any] | None, depth: int) -> list[System]:
    if not (folder / MEMBERS).is_dir():
        return []
    if depth >= DEEPEST:
        raise ModelFolderError(f"{folder / MEMBERS}: members within members, {depth} deep; save the model again.")
    names = {path.name for path in (folder / MEMBERS).iterdir()}
    expected = [str(number) for number in range(len(names))]
    if names != set(expected):
        raise ModelFolderError(
            f"{folder / MEMBERS}: holds {', '.join(sorted(names)[:5])}; folders 0, 1, 2 ... are expected. Save the "
            "model again."
        )
    found = []
    for name in expected:
        place = folder / MEMBERS / name
        own = place / "taxonomy.json"
        labels = parsed(own, Taxonomy.from_dict) if own.is_file() else taxonomy
        found.append(build_system(place, read_config(place), labels, runtime, depth + 1))
    return found


def read_config(folder: Path, expected: Mapping[str, type] | None = None) -> dict[str, Any]:
    """Read and check ``config.json``.

    Args:
        expected: kinds of keys beside ``model`` and ``settings``.

    Raises:
        ModelFolderError: there is none, it is damaged, or of a newer format.
    """
    path = folder / "config.json"
    if not folder.exists():
        raise ModelFolderError(f"{folder}: there is no such model folder.")
    if not path.is_file():
        raise ModelFolderError(f"{folder}: is not a model folder (config.json is missing).")
    config: dict[str, Any] = parsed(path, mapping)
    version = config.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFolderError(
            f"{path}: format_version is {json.dumps(version)}, not a number from 1 on; is this a Taxotext model?"
        )
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder}: has format version {version}; this Taxotext ({__version__}) reads up to {FORMAT_VERSION}. "
            "Install a newer Taxotext."
        )
    problems = [
        f"{key}: {'must be ' + _KINDS[kind] if key in config else 'is missing'}"
        for key, kind in {"model": str, "settings": dict, **(expected or {})}.items()
        if not isinstance(config.get(key), kind)
    ]
    if problems:
        raise ModelFolderError(f"{path}: is damaged; save the model again.", problems)
    return config


def hash_ids(taxonomy: Taxonomy) -> str:
    """SHA-256 (hex) of the label ids in their order: what ties weights to a taxonomy."""
    return hashlib.sha256(json.dumps(taxonomy.ids).encode()).hexdigest()


def parsed(path: Path, parse: Callable[[Any], T]) -> T:
    """Read a JSON file and bring its content into form.

    Raises:
        ModelFolderError: it is missing, or ``parse`` refuses what it holds.
        ConfigError: as ``parse`` raises it.
    """
    try:
        check_no_device(path, pipes=False)
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelFolderError(f"{path}: is missing; save the model again.") from None
    except ConfigError:
        raise
    except TaxotextError as error:
        raise ModelFolderError(f"{path}: {error}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelFolderError(f"{path}: is damaged ({error}); save the model again.") from None


def mapping(content: Any) -> dict[str, Any]:
    """Return a JSON object; raises TypeError for anything else."""
    if not isinstance(content, dict):
        raise TypeError("it must be a JSON object")
    return content


def write_taxonomy(path: Path, taxonomy: Taxonomy) -> None:
    """Write what :func:`write_json` would, in a thirtieth of the time: there may be a million labels."""
    import orjson

    path.write_bytes(orjson.dumps(taxonomy.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file for people as well as programs."""
    path.write_text(json_text(content), encoding="utf-8")
