"""The model folder: written completely or not at all, read without running anything that it holds.

====================  =============================================================================
``config.json``       format version, system, settings, what it was trained on
``taxonomy.json``     label ids, names and parents
``decoding.json``     thresholds and rules, with the data they were tuned on
``metrics.json``      history of the training, tuning, evaluations
``heldout.safetensors``  scores of held-out documents, for later tuning; no texts
``README.md``         model card
the system's files    ``weights.safetensors``, ``tokenizer.json``, ``encoder.json``, ``vocabulary.json``
====================  =============================================================================
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxotext import __version__
from taxotext.decoding import Decoding
from taxotext.errors import ConfigError, ModelFolderError, TaxotextError
from taxotext.files import remove_stale, sync, temporary_of, write_atomically, write_text_atomically
from taxotext.labels import Taxonomy
from taxotext.models.base import System
from taxotext.models.heldout import HeldOut
from taxotext.models.registry import find
from taxotext.settings import parse_settings
from taxotext.store.card import model_card

FORMAT_VERSION = 1
HELD_OUT = "heldout.safetensors"


@dataclass
class Manifest:
    """What a folder keeps beside the system.

    Attributes:
        decoding: how scores become labels.
        trained_on: facts about the training data: sources, documents, closure, columns, fingerprints.
        facts: of the system: parameters, encoder, hash.
        metrics: history, tuning and evaluations.
        seen: training documents of each label, in label order.
        held_out: for tuning; None when there is none.
    """

    decoding: Decoding
    trained_on: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)
    held_out: HeldOut | None = None


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse an output folder that holds something.

    Raises:
        ModelFolderError: it is a file, a folder that is not empty (without ``overwrite``), or a folder that is no
            model and would be lost (with it).
    """
    _recover(folder)
    if folder.is_file():
        raise ModelFolderError(f"{folder}: is a file; name a folder for the model.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise ModelFolderError(f"{folder}: already exists. Choose another folder, or replace it with --overwrite.")
    if not (folder / "config.json").is_file():
        raise ModelFolderError(f"{folder}: is not a model folder and is not replaced; choose another folder.")


def save_folder(folder: Path, system: System, manifest: Manifest, *, overwrite: bool = False) -> None:
    """Write a model folder; whoever looks sees the whole folder or none.

    Raises:
        ModelFolderError: see :func:`check_free`; or the disk is full or not writable.
    """
    folder = Path(folder)
    check_free(folder, overwrite=overwrite)
    temporary = temporary_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        _write(temporary, folder.name, system, manifest)
        for path in temporary.iterdir():
            path.chmod(0o666 & ~_umask())  # safetensors writes files for the owner only
            sync(path)
        sync(temporary)
        _replace(temporary, folder)
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they wrote ``folder`` left beside it."""
    remove_stale(folder)
    if folder.exists():
        shutil.rmtree(_aside(folder), ignore_errors=True)


def update_folder(folder: Path, system: System, manifest: Manifest) -> None:
    """Write thresholds and figures anew (``tune``, ``evaluate``); the weights stay as they are.

    Raises:
        ModelFolderError: the folder cannot be written.
    """
    try:
        write_text_atomically(folder / "metrics.json", _json(manifest.metrics))
        write_text_atomically(folder / "README.md", model_card(folder.name, system, manifest))
        write_text_atomically(folder / "decoding.json", _json(manifest.decoding.to_dict()))
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be written ({error.strerror or error}).") from error


def read_folder(folder: Path, overrides: Mapping[str, Any] | None = None) -> tuple[System, Manifest]:
    """Read a model folder, without network.

    Args:
        folder: what :func:`save_folder` wrote.
        overrides: settings of ``runtime`` that replace the saved ones (device, threads, precision).

    Raises:
        ModelFolderError: it is missing, no model folder, damaged, or of a newer format.
    """
    folder = Path(folder)
    _recover(folder)
    config = _read_config(folder)
    taxonomy = _parsed(folder / "taxonomy.json", Taxonomy.from_dict)
    decoding = _parsed(folder / "decoding.json", lambda content: Decoding.from_dict(content, "decoding"))
    kind = find(str(config["model"]))
    settings = config["settings"]
    if overrides:
        settings = {**settings, "runtime": {**settings.get("runtime", {}), **overrides}}
    system = kind.load_parts(folder, parse_settings(kind.Settings, settings, str(folder / "config.json")), taxonomy)
    seen = config.get("seen", [])
    if len(seen) != len(taxonomy):
        raise ModelFolderError(
            f"{folder}: config.json counts {len(seen)} labels and taxonomy.json {len(taxonomy)}; "
            "the folder was mixed from two models, save the model again."
        )
    held_out = folder / HELD_OUT
    return system, Manifest(
        decoding=decoding,
        trained_on=config.get("trained_on", {}),
        facts=config.get("facts", {}),
        metrics=_parsed(folder / "metrics.json", _mapping) if (folder / "metrics.json").is_file() else {},
        seen=seen,
        held_out=HeldOut.load(held_out, len(taxonomy)) if held_out.is_file() else None,
    )


def _write(folder: Path, title: str, system: System, manifest: Manifest) -> None:
    config = {
        "format_version": FORMAT_VERSION,
        "taxotext_version": __version__,
        "model": system.name,
        "settings": system.settings.model_dump(mode="json"),
        "trained_on": manifest.trained_on,
        "facts": manifest.facts,
        "seen": manifest.seen,
    }
    (folder / "config.json").write_text(_json(config), encoding="utf-8")
    (folder / "taxonomy.json").write_text(_json(system.taxonomy.to_dict()), encoding="utf-8")
    (folder / "decoding.json").write_text(_json(manifest.decoding.to_dict()), encoding="utf-8")
    (folder / "metrics.json").write_text(_json(manifest.metrics), encoding="utf-8")
    if manifest.held_out is not None:
        write_atomically(folder / HELD_OUT, manifest.held_out.save)
    system.save_parts(folder)
    (folder / "README.md").write_text(model_card(title, system, manifest), encoding="utf-8")


def _replace(temporary: Path, folder: Path) -> None:
    """Move the new folder into place; a crash between the two renames is mended by :func:`_recover`."""
    old = _aside(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
    os.rename(temporary, folder)
    sync(folder.parent)
    if old.exists():
        os.rename(old, temporary)  # a half-deleted folder must never be taken for one to recover
        shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _recover(folder: Path) -> None:
    """Bring the old folder back if a replacement was cut off before the new one was in place."""
    old = _aside(folder)
    if old.is_dir() and not folder.exists():
        os.rename(old, folder)


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.exists():
        raise ModelFolderError(f"{folder}: there is no such model folder.")
    if not (folder / "config.json").is_file():
        raise ModelFolderError(f"{folder}: is not a model folder (config.json is missing).")
    config: dict[str, Any] = _parsed(folder / "config.json", _mapping)
    version = config.get("format_version")
    if not isinstance(version, int):
        raise ModelFolderError(f"{folder / 'config.json'}: format_version is missing; is this a Taxotext model?")
    if version > FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder}: has format version {version}; this Taxotext ({__version__}) reads up to {FORMAT_VERSION}. "
            "Install a newer Taxotext."
        )
    missing = [key for key in ("model", "settings") if key not in config]
    if missing or not isinstance(config["settings"], dict):
        raise ModelFolderError(f"{folder / 'config.json'}: {', '.join(missing) or 'settings'} is missing or damaged.")
    return config


def _parsed(path: Path, parse: Any) -> Any:
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelFolderError(f"{path}: is missing; save the model again.") from None
    except ConfigError:
        raise
    except TaxotextError as error:
        raise ModelFolderError(f"{path}: {error}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelFolderError(f"{path}: is damaged ({error}); save the model again.") from None


def _mapping(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise TypeError("it must be a JSON object")
    return content


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
