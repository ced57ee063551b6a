"""The model folder."""

from taxotext.store.folder import (
    FORMAT_VERSION,
    Manifest,
    check_free,
    read_folder,
    record_evaluation,
    save_folder,
    update_folder,
)

__all__ = [
    "FORMAT_VERSION",
    "Manifest",
    "check_free",
    "read_folder",
    "record_evaluation",
    "save_folder",
    "update_folder",
]
