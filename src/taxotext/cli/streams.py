"""stdin, stdout and stderr as they may be: closed, or of a terminal that knows few characters."""

from __future__ import annotations

import contextlib
import os
import sys

MODES = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_RDWR, "w"))
"""Streams by number, and how the null device stands for one that is closed.

Nothing can be written to a closed stdout, so that data is never lost in silence: writing fails, as for a full disk.
Messages to a closed stderr are for nobody.
"""


def open_streams() -> None:
    """Open what is closed, so that no file gets the number of a stream; let no character be an error.

    What the encoding of stdout lacks is written as an escape.
    """
    for number, (name, flags, mode) in enumerate(MODES):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # as long as the process
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # a stand-in, in tests
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text streams have it
