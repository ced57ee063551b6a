"""The model folder."""

from taxotext.models.saved import FORMAT_VERSION
from taxotext.store.folder import (
    check_free,
    check_outside_models,
    read_folder,
    record_evaluation,
    save_folder,
    update_folder,
)
from taxotext.store.manifest import Manifest

__all__ = [
    "FORMAT_VERSION",
    "Manifest",
    "check_free",
    "check_outside_models",
    "read_folder",
    "record_evaluation",
    "save_folder",
    "update_folder",
]
