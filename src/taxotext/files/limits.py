"""Limits of what is read at once: lines, packed files, brackets. A bomb of kilobytes unpacks to gigabytes."""

from __future__ import annotations

import os
import re

VARIABLE = "TAXOTEXT_LONGEST_LINE"
"""Environment variable: another limit, in MiB."""
LONGEST_LINE = 64
"""MiB of a line of a corpus at most; a book has two."""
PACKED_BY = 100
"""How many times its size a packed file that is read as a whole may unpack to, where that is more than a line."""
DECODED_BY = 1000
"""How many times its size a file that is read bit by bit may decode to, where that is more than a line; gzip packs no
better than this."""
MIB = 2**20


def longest_line() -> int:
    """Bytes of a line at most."""
    given = os.environ.get(VARIABLE, "")
    return (int(given) if given.isdecimal() and 0 < int(given) <= MIB else LONGEST_LINE) * MIB


def unpacked_limit(packed: int) -> int:
    """Bytes that a packed file of so many bytes may unpack to."""
    return max(longest_line(), PACKED_BY * packed)


def decoded_limit(size: int) -> int:
    """Bytes that the values in a file of so many bytes may take."""
    return max(longest_line(), DECODED_BY * size)


def decodes_to_more(what: str) -> str:
    """What is wrong with a file beyond :func:`decoded_limit`, and what to do."""
    return (
        f"{what} takes more than {DECODED_BY:,} times the bytes of the file and more than {longest_line() // MIB:,} "
        f"MiB; is the file damaged? The environment variable {VARIABLE} sets another limit, in MiB"
    )


def too_long(what: str) -> str:
    """What is wrong with a line or a packed file beyond its limit, and what to do."""
    return (
        f"{what} is longer than {longest_line() // MIB:,} MiB; is the file damaged? The environment variable "
        f"{VARIABLE} sets another limit, in MiB"
    )


_BRACKETS = re.compile(r"[\[\]{}]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')


def nested_beyond(text: str, levels: int) -> bool:
    """Whether more brackets are open at a place of a YAML text: its parsers take quadratic time over open ones.

    >>> nested_beyond("[[a], [b]]", 2), nested_beyond("a: [[['x']]]", 2), nested_beyond("'[[['", 2)
    (False, True, False)
    """
    if text.count("[") + text.count("{") <= levels:
        return False
    opened = 0
    for sign in _BRACKETS.findall(_QUOTED.sub("", text)):
        opened = opened + 1 if sign in "[{" else max(0, opened - 1)
        if opened > levels:
            return True
    return False
