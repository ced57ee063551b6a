"""The model folder: written completely or not at all, read without running anything that it holds.

====================  =====================================================================================
``config.json``       format version, system, settings, what it was trained on
``taxonomy.json``     label ids, names and parents
``decoding.json``     thresholds and rules, with the data they were tuned on
``metrics.json``      history of the training, tuning, evaluations
``heldout.safetensors``  scores of held-out documents, for later tuning; no texts
``README.md``         model card
the system's files    ``weights.safetensors``, ``tokenizer.json``, ``encoder.json``, ``parts.json``, ``vocabulary.json``
``members/0``, ...    systems that the system is made of, without the files above but ``config.json``
====================  =====================================================================================
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taxotext.composition.base import System
from taxotext.data import Columns
from taxotext.decoding import Decoder, Decoding
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import ConfigError, LabelError, ModelFolderError
from taxotext.files import (
    check_contents,
    check_target,
    named,
    public_name,
    real,
    recover_folder,
    replacing_folder,
    write_atomically,
    write_text_atomically,
)
from taxotext.files.json_files import json_text
from taxotext.files.locks import ASK_EVERY, take_lock
from taxotext.labels import CLOSURE_POLICIES, Taxonomy
from taxotext.messages import parameter
from taxotext.models.saved import (
    build_system,
    mapping,
    parsed,
    read_config,
    write_json,
    write_system,
)
from taxotext.store.card import SHOWN_METRICS, model_card
from taxotext.store.manifest import Manifest, is_model_folder

HELD_OUT = "heldout.safetensors"


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse an output folder that holds something.

    Raises:
        ModelFolderError: it is a file, a folder that is not empty (without ``overwrite``), or a folder that is no
            model and would be lost (with it); or it lies in a model.
    """
    check_outside_models(folder)
    try:
        place = _place(folder)
        recover_folder(place)
        check_target(Path(folder), "folder for the model", ModelFolderError)
        if not place.is_dir() or not any(place.iterdir()):
            return
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be a model folder ({error.strerror or error}).") from error
    if not overwrite:
        raise ModelFolderError(
            f"{folder}: already exists. Choose another folder, or replace it with {parameter('overwrite', True)}."
        )
    if not is_model_folder(place):
        raise ModelFolderError(f"{folder}: is not a model of Taxotext and is not replaced; choose another folder.")


def check_outside_models(folder: Path) -> None:
    """Refuse an output folder inside a model: whatever replaces that model would remove it.

    Raises:
        ModelFolderError: it lies in one.
    """
    try:
        parents = _place(folder).parents
    except OSError:  # a name that no file system takes, of which others tell
        return
    around = next((parent for parent in parents if is_model_folder(parent)), None)
    if around is not None:
        raise ModelFolderError(f"{folder}: lies in the model {around}; choose a folder outside of it.")


def save_folder(folder: Path, system: System, manifest: Manifest, *, overwrite: bool = False) -> None:
    """Write a model folder; whoever looks sees the whole folder or none.

    Raises:
        ModelFolderError: see :func:`check_free`; or the disk is full or not writable.
    """
    check_free(folder, overwrite=overwrite)
    folder = _place(folder)
    try:
        with replacing_folder(folder) as temporary:
            _write(temporary, folder.name, system, manifest)
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be written ({error.strerror or error}).") from error


def update_folder(folder: Path, system: System, manifest: Manifest) -> None:
    """Rewrite thresholds and metrics (``tune``), and what they were tuned on; the weights stay as they are.

    Raises:
        ModelFolderError: the folder cannot be written.
    """
    with _alone(folder):
        if manifest.held_out is not None and manifest.held_out.tuned is not None:
            write_atomically(folder / HELD_OUT, manifest.held_out.save)
        # Before the thresholds: after a kill in between no evaluation is there that was made with others.
        write_text_atomically(folder / "metrics.json", json_text(manifest.metrics))
        write_text_atomically(folder / "decoding.json", json_text(manifest.decoding.to_dict()))
        write_text_atomically(folder / "README.md", model_card(_place(folder).name, system, manifest))


def record_evaluation(folder: Path, system: System, manifest: Manifest, name: str, found: dict[str, Any]) -> None:
    """Add the metrics of an evaluation to those in the folder, and to its card.

    Metrics of other data of the same name are kept beside; those of the same data are replaced. Thresholds and
    metrics that another process has written since the model was loaded stay.

    Raises:
        ModelFolderError: the folder cannot be read or written.
    """
    name = public_name(name)
    found = {**found, "data": name}
    with _alone(folder):
        decoding = parsed(folder / "decoding.json", lambda content: _decoding(content, folder, system.taxonomy))
        if decoding != manifest.decoding:
            raise ModelFolderError(
                f"{folder}: was tuned while it was evaluated; the metrics are of other thresholds and are not recorded."
            )
        metrics = parsed(folder / "metrics.json", _metrics) if (folder / "metrics.json").is_file() else {}
        evaluations = metrics.setdefault("evaluations", {})
        if evaluations.get(name, found).get("data_fingerprint") != found["data_fingerprint"]:
            name = f"{name} ({found['data_fingerprint'][:8]})"
        evaluations[name] = found
        manifest.metrics = metrics
        write_text_atomically(folder / "metrics.json", json_text(metrics))
        write_text_atomically(folder / "README.md", model_card(_place(folder).name, system, manifest))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Change thresholds and metrics of a folder while no other process does; what cannot be written is a sentence."""
    try:
        with (folder / "config.json").open("rb") as file:  # which stays the same file as long as the model does
            while not take_lock(file):
                time.sleep(ASK_EVERY)
            yield
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
    place = _place(folder)
    recover_folder(place)
    # The files of a hub download are links into the folder "blobs" of the same download.
    real_place = real(place)
    blobs = real_place.parent.with_name("blobs") if real_place.parent.name == "snapshots" else None
    check_contents(place, ModelFolderError, also=blobs)
    config = read_config(folder, {"trained_on": dict, "facts": dict, "seen": list})
    problems = _wrong_facts(config)
    if problems:
        raise ModelFolderError(f"{folder / 'config.json'}: is damaged; save the model again.", problems)
    taxonomy = parsed(folder / "taxonomy.json", Taxonomy.from_dict)
    if len(config["seen"]) != len(taxonomy):
        raise ModelFolderError(
            f"{folder}: config.json and taxonomy.json do not hold the same labels; the folder was mixed from two "
            "models, save the model again."
        )
    decoding = parsed(folder / "decoding.json", lambda content: _decoding(content, folder, taxonomy))
    system = build_system(folder, config, taxonomy, overrides)
    held_out = folder / HELD_OUT
    return system, Manifest(
        decoding=decoding,
        trained_on=config["trained_on"],
        facts=config["facts"],
        metrics=parsed(folder / "metrics.json", _metrics) if (folder / "metrics.json").is_file() else {},
        seen=config["seen"],
        held_out=HeldOut.load(held_out, len(taxonomy)) if held_out.is_file() else None,
    )


def _write(folder: Path, title: str, system: System, manifest: Manifest) -> None:
    beside = {"trained_on": manifest.trained_on, "facts": manifest.facts, "seen": manifest.seen}
    write_system(folder, system, beside)
    write_json(folder / "decoding.json", manifest.decoding.to_dict())
    write_json(folder / "metrics.json", manifest.metrics)
    if manifest.held_out is not None:
        write_atomically(folder / HELD_OUT, manifest.held_out.save)
    (folder / "README.md").write_text(model_card(title, system, manifest), encoding="utf-8")


def _place(folder: Path) -> Path:
    """Where the folder really is: behind links, and with a name, because files are put beside it."""
    folder = Path(folder)
    folder = real(folder) if folder.is_symlink() else named(folder)
    if folder.is_symlink():
        raise ModelFolderError(f"{folder}: is a link that leads back to itself; remove it, or name another folder.")
    if not folder.name:
        raise ModelFolderError(f"{folder}: is the top of the file system; name a folder for the model.")
    return folder


def _wrong_facts(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with the facts that prediction and evaluation go by."""
    problems = []
    if not all(count is not None and _fits(count, 0) for count in config["seen"]):
        problems.append("seen: must be a list of whole numbers from 0 on")
    elif not _fits(config["trained_on"].get("training_documents"), max(config["seen"], default=0)):
        problems.append("trained_on.training_documents: must be a whole number, no smaller than those in seen")
    closure, columns = config["trained_on"].get("closure"), config["trained_on"].get("columns", {})
    matrix_columns = config["trained_on"].get("matrix_columns")
    if not (
        matrix_columns is None
        or (isinstance(matrix_columns, list) and all(isinstance(label, str) for label in matrix_columns))
    ):
        problems.append("trained_on.matrix_columns: must be a list of label ids")
    problems += [
        f"facts.{name}: must be a number"
        for name in ("parameters", "seconds")
        if name in config["facts"] and not _is_number(config["facts"][name])
    ]
    if closure is not None and closure not in CLOSURE_POLICIES:
        problems.append(f"trained_on.closure: {closure!r} is not known; choose from {', '.join(CLOSURE_POLICIES)}")
    try:
        Columns(**columns)
    except ConfigError as error:
        problems.append(f"trained_on.columns: {error}")
    except TypeError as error:
        problems.append(f"trained_on.columns: must name the fields of the data ({error})")
    return problems


def _fits(documents: Any, most: int) -> bool:
    """Whether a number of documents is none, or a whole number that is not below another one."""
    return documents is None or (
        isinstance(documents, int) and not isinstance(documents, bool) and most <= documents < 2**63
    )


def _decoding(content: Any, folder: Path, taxonomy: Taxonomy) -> Decoding:
    decoding = Decoding.from_dict(mapping(content), str(folder / "decoding.json"))
    try:
        Decoder(decoding, taxonomy)
    except LabelError as error:
        raise ModelFolderError(
            f"{folder}: decoding.json names labels that taxonomy.json lacks; the folder was mixed from two models, "
            "save the model again.",
            error.problems,
        ) from None
    except ConfigError as error:
        raise ModelFolderError(str(error)) from None
    return decoding


def _metrics(content: Any) -> dict[str, Any]:
    for name, metrics in mapping(mapping(content).get("evaluations", {})).items():
        if not isinstance(metrics, dict):
            raise TypeError(f"evaluations.{name} must be a JSON object")
        for metric in SHOWN_METRICS:
            if not _is_number(metrics.get(metric, 0.0)):
                raise TypeError(f"evaluations.{name}.{metric} must be a number")
    history = content.get("history", [])
    if not isinstance(history, list) or not all(isinstance(row, dict) for row in history):
        raise TypeError("history must be a list of JSON objects")
    for number, row in enumerate(history):
        for name, value in row.items():
            if not _is_number(value) and not (value is None and name != "epoch"):
                raise TypeError(f"history.{number}.{name} must be a number")
    if not isinstance(mapping(content.get("choice", {})).get("settings", {}), dict):
        raise TypeError("choice.settings must be a JSON object")
    return dict(content)


def _is_number(value: Any) -> bool:
    """Whether JSON held a number that a float can hold, or NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e300 or value != value
