"""Helpers for messages."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Spelling = Callable[[str, Any], str | None]
"""From the name of a parameter, and a value or :data:`NO_VALUE`, to how the user writes it; None: as in Python."""
NO_VALUE: Any = object()
PYTHON = {
    "unknown_labels": "unknown",
    "input_format": "format",
    "no_quotes": "columns.quotes=False",
    "taxonomy_ids": "ids",
} | {role: f"columns.{role}" for role in ("text", "labels", "id", "weight", "group")}
"""Parameters that Python has under another name than the command line and configurations."""

DATA_KEYS = {"input_format": "format"}
"""Keys below ``data`` that have another name than the option of other commands."""

_spelling: ContextVar[Spelling | None] = ContextVar("spelling", default=None)


def parameter(name: str, value: Any = NO_VALUE, *, python: str | None = None) -> str:
    """A parameter as the user of this interface writes it, with the value that a message advises.

    Messages name options on the command line (``--label-separator ','``), keys in a training
    (``data.label_separator=,``), and parameters in Python.

    Args:
        name: as the command line has it, with underscores.
        value: what is advised; True for a switch.
        python: its name in Python, where that depends on the function.

    >>> parameter("label_separator", ","), parameter("overwrite", True), parameter("text")
    ("label_separator=','", 'overwrite=True', 'columns.text')
    """
    spelling = _spelling.get()
    found = None if spelling is None else spelling(name, value)
    if found is not None:
        return found
    own = python or PYTHON.get(name, name)
    return own if value is NO_VALUE else f"{own}={value!r}"


@contextmanager
def spelled(spelling: Spelling) -> Iterator[None]:
    """Let messages name parameters as ``spelling`` does."""
    before = _spelling.set(spelling)
    try:
        yield
    finally:
        _spelling.reset(before)


@contextmanager
def quiet(*names: str, level: int = logging.ERROR) -> Iterator[None]:
    """Hold back what these loggers say below ``level``."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, own in zip(loggers, before, strict=True):
            logger.setLevel(own)


_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, marks that turn the direction of what follows, and halves of characters."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""A text for people, in which nothing changes the terminal, hides, or turns other text around.

    Whatever comes from a file goes through here before it is printed: ids, names, texts, keys, and messages that
    repeat them. Control characters and marks of direction are shown as Python writes them.

    Args:
        text: what is printed.
        lines: keep line breaks and tabs, of messages.

    >>> printable("a\x1b[31mb"), printable("\u202eabc"), printable("a\nb"), printable("é “x”")
    ('a\\x1b[31mb', '\\u202eabc', 'a\\nb', 'é “x”')
    """
    shown = _HIDDEN.sub(_escaped, text)
    return shown if lines else shown.replace("\n", "\\n").replace("\t", "\\t")


def printable_in_place(text: str) -> str:
    """The same where places in the text must stay what they are: each hidden character becomes U+FFFD."""
    return _HIDDEN.sub("\ufffd", text)


def printable_json(line: bytes) -> bytes:
    r"""JSON in UTF-8 with the same characters escaped: the value stays what it is.

    >>> printable_json('{"a": "x\u202ey"}'.encode())
    b'{"a": "x\\u202ey"}'
    """
    if line.isascii():
        return line
    text = line.decode()
    return _HIDDEN_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


_HIDDEN_IN_JSON = re.compile(_HIDDEN.pattern.replace("\x00-\x08\x0b-\x1f", ""))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with the words that fit it; without ``many``, ``one`` gets an s.

    >>> counted(1, "document"), counted(1234, "document"), counted(2, "label has", "labels have")
    ('1 document', '1,234 documents', '2 labels have')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def some(shown: Sequence[str], total: int) -> str:
    """The first of ``total`` things, and how many there are beside them.

    >>> some(["a", "b"], 2), some(["a", "b"], 1000)
    ('a, b', 'a, b and 998 more')
    """
    return ", ".join(shown) + (f" and {total - len(shown):,} more" if total > len(shown) else "")


def percentage(share: float) -> str:
    """A share between 0 and 1 with one decimal; only nothing is 0.0%, and only all is 100.0%.

    >>> percentage(0.034), percentage(0.0001), percentage(0.9999), percentage(1.0)
    ('3.4%', '<0.1%', '>99.9%', '100.0%')
    """
    if 0 < share < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= share < 1 else f"{share:.1%}"


def first_line(error: Exception) -> str:
    """The first line of what an error of a library says, and its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def ended(sentence: str) -> str:
    """The sentence with a full stop, unless it ends already.

    >>> ended("the text is empty"), ended("Did you mean 'text'?")
    ('the text is empty.', "Did you mean 'text'?")
    """
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."
