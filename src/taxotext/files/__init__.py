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
    sha256,
    sync,
    temporary_of,
    write_atomically,
    write_text_atomically,
)
from taxotext.files.locks import FolderLock, is_locked
from taxotext.files.targets import check_contents, check_no_device, check_target, holds_more, target_fault

__all__ = [
    "FolderLock",
    "check_contents",
    "check_no_device",
    "check_target",
    "holds_more",
    "is_locked",
    "named",
    "public_name",
    "real",
    "recover_folder",
    "remove_leftovers",
    "remove_stale",
    "replacing",
    "replacing_folder",
    "sha256",
    "sync",
    "target_fault",
    "temporary_of",
    "write_atomically",
    "write_text_atomically",
]
