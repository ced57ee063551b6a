"""What makes two trainings the same: system, settings, data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxotext.composition.base import System, SystemSettings
from taxotext.composition.class_weights import given_weights
from taxotext.composition.named_files import public_settings
from taxotext.data import Corpus
from taxotext.labels import Taxonomy
from taxotext.settings import parse_settings


@dataclass(frozen=True)
class Chosen:
    """A system and its settings."""

    kind: type[System]
    settings: SystemSettings


def identity(chosen: Chosen, train: Corpus, validation: Corpus | None) -> dict[str, Any]:
    """What makes two trainings the same: system, settings, data. Where they are computed does not count."""
    found = {
        "model": chosen.kind.name,
        "settings": compared(chosen.settings),
        **fingerprints_of(train, validation),
        "taxonomy": hex(hash_taxonomy(train.taxonomy)),
    }
    loss: Any = getattr(chosen.settings, "loss", None)
    if getattr(loss, "weights_from", None) is not None:  # what it leads to may have changed in between
        found["class_weights"] = given_weights(loss.weights_from, loss.weights_missing, train.taxonomy)
    return found


def open_identity(given: Mapping[str, Any], train: Corpus, validation: Corpus | None, where: str) -> dict[str, Any]:
    """The same for a training whose system is still to be chosen; ``given`` are settings that every system has."""
    return {
        "model": "linear or bert",
        "settings": compared(parse_settings(SystemSettings, given, where)),
        **fingerprints_of(train, validation),
        "taxonomy": hex(hash_taxonomy(train.taxonomy)),
    }


ELSEWHERE = ("device", "threads", "predict_precision", "tokens_in_memory", "check_memory")
"""Settings of ``runtime`` that the weights do not depend on."""


def compared(settings: SystemSettings, *, by_name: bool = False) -> dict[str, Any]:
    """The settings that the weights depend on.

    Args:
        by_name: files by their names, as model folders keep them, not by their paths.
    """
    values = public_settings(settings) if by_name else settings.model_dump(mode="json")
    values.pop("decoding", None)
    for name in ELSEWHERE:
        values.get("runtime", {}).pop(name, None)
    values.get("training", {}).pop("checkpoint_minutes", None)
    return values


def fingerprints_of(train: Corpus, validation: Corpus | None) -> dict[str, str | None]:
    """Fingerprints of the documents."""
    return {
        "train": train.fingerprint(),
        "validation": None if validation is None else validation.fingerprint(),
    }


def hash_taxonomy(taxonomy: Taxonomy) -> int:
    """A number that is the same for equal taxonomies in every process."""
    import hashlib
    import json

    return int(hashlib.sha256(json.dumps(taxonomy.to_dict()).encode()).hexdigest()[:16], 16)
