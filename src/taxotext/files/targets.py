"""What may be written to: a file or a folder, or a name that is free."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from taxotext.errors import TaxotextError

Wanted = Literal["file", "folder", "folder for the model", "folder for the search", "folder for the experiment"]
"""What is to be written; ``file`` or a folder."""


def check_target(path: Path, wanted: Wanted, error: type[TaxotextError]) -> None:
    """Refuse a target that no command may write to, before anything is computed.

    Links are followed. A file (or a folder) that exists passes: whether it may be replaced depends on the command.

    Args:
        path: of the target.
        wanted: what is to be written there, as the message names it.
        error: what to raise.

    Raises:
        TaxotextError: of the given kind: the target is the other of the two, a device, a named pipe, a socket or a
            link to one, a link that leads back to itself, no possible name, or lies below something that is not a
            folder.
    """
    fault = target_fault(path, wanted)
    if fault is not None:
        raise error(f"{path}: {fault}.")


def check_contents(folder: Path, error: type[TaxotextError], also: Path | None = None) -> None:
    """Refuse a folder of ours in which something stands that is never written to, or leads out of it.

    Reading a named pipe may wait for ever, and writing through a link changes a file of somebody else.

    Args:
        folder: which is read, continued or updated; passes where it does not exist. It may be a link itself.
        error: what to raise.
        also: another folder that links may lead to.

    Raises:
        TaxotextError: of the given kind: there is a device, pipe, socket, or a link that leads out of the folder.
    """
    top = Path(os.path.realpath(folder))
    for place, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(place, name)
            shown = folder / path.relative_to(top)
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # another process is at work in the folder
                continue
            if stat.S_ISLNK(mode):
                target = Path(os.path.realpath(path))
                if not target.is_relative_to(top) and (also is None or not target.is_relative_to(also)):
                    raise error(f"{shown}: is a link that leads out of the folder; replace it by a copy of {target}.")
            elif not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                raise error(f"{shown}: is a device, pipe or socket; remove it from the folder.")


def holds_more(folder: Path, own: Collection[str]) -> bool:
    """Whether there is more in a folder than files and folders of these names, and what a killed process half wrote."""
    return any(path.name not in own and not path.name.endswith(".tmp") for path in folder.iterdir())


def check_replaceable(path: Path) -> None:
    """Refuse to write to a device, pipe or socket: the last look, where a file is opened.

    Raises:
        OSError: naming ``path``.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # nothing is there, or whoever writes meets the same error
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EEXIST, "it is a device, pipe or socket, which is never replaced", str(path))


def check_no_device(path: Path, *, pipes: bool = True) -> None:
    """Refuse to read a device as if it were a file: it may never end.

    Args:
        path: to be read; passes where nothing is there.
        pipes: whether a named pipe passes, which somebody may write to.

    Raises:
        OSError: naming ``path``.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # nothing is there, or whoever reads meets the same error
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (pipes and stat.S_ISFIFO(mode))):
        raise OSError(errno.EINVAL, "it is a device, pipe or socket", str(path))


def target_fault(path: Path, wanted: Wanted) -> str | None:
    """What :func:`check_target` has against a target and what to do, without its name; None where it passes."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return _fault_above(path, wanted)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            return f"is a link that leads back to itself; remove it, or name another {wanted}"
        reason = getattr(error, "strerror", None) or error
        return f"cannot be written ({reason}); name another {wanted}"
    if stat.S_ISDIR(mode):
        return "is a folder; name a file in it" if wanted == "file" else None
    if stat.S_ISREG(mode):
        return None if wanted == "file" else f"is a file; name a {wanted}"
    return f"is a device, pipe or socket, which is never replaced; name a {wanted}"


def _fault_above(path: Path, wanted: Wanted) -> str | None:
    """What is wrong with the folders that a target lies in; those that are missing may be made."""
    above = next(folder for folder in Path(os.path.realpath(path)).parents if os.path.lexists(folder))
    return None if above.is_dir() else f"cannot be written (Not a directory: {above}); name another {wanted}"
