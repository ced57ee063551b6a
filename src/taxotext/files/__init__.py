"""Files and folders: written whole or not at all, checked when they are read."""

from taxotext.files.folders import (
    named,
    public_name,
    real,
    recover_folder,
    remove_leftovers,
    remove_stale,
    replacing,
    replacing_folder,
    sync,
    take_lock,
    temporary_of,
    write_atomically,
    write_text_atomically,
)
from taxotext.files.targets import check_contents, check_target, target_fault

__all__ = [
    "check_contents",
    "check_target",
    "named",
    "public_name",
    "real",
    "recover_folder",
    "remove_leftovers",
    "remove_stale",
    "replacing",
    "replacing_folder",
    "sync",
    "take_lock",
    "target_fault",
    "temporary_of",
    "write_atomically",
    "write_text_atomically",
]
